"""What a call's dialogue remembers; JSON-able, so that a call can move or be replayed."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from voicebot.dialogue.expectations import Kind, Place
from voicebot.events import BargeInMode

MAX_HISTORY = 20


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filled(_Record):
    """A slot's value, the words it came from, and whether the caller confirmed it."""

    value: str
    text: str = ""
    confidence: float = 1.0
    is_confirmed: bool = False


class Frame(_Record):
    """A running step list: its address in the plan, the next step, what is done of that step."""

    address: list[str | int]
    index: int = 0
    stage: Literal["begin", "call", "do", "exit"] = "begin"


class Visit(_Record):
    """A place where the dialogue waited."""

    form: str
    kind: Kind
    field: str = ""

    @property
    def place(self) -> Place:
        """The same as a Place."""
        return Place(self.form, self.kind, self.field)


class Said(_Record):
    """A prompt as it was played: its parts, a Say as (value, kind)."""

    parts: list[str | tuple[str, str]]
    barge_in: BargeInMode


class State(_Record):
    """Everything that changes during a call."""

    mode: Literal["new", "run", "listen", "service", "ended"] = "new"
    form: str = ""
    phase: Literal["enter", "collect", "submit"] = "enter"
    at: Visit | None = None
    is_opened: bool = False  # the form's open question is answered
    is_reviewed: bool = False
    is_changing: bool = False  # "no" to the review: what shall be changed?
    slots: dict[str, Filled] = {}
    variables: dict[str, JsonValue] = {}
    call: dict[str, str] = {}
    to_confirm: list[str] = []
    to_acknowledge: list[str] = []
    acknowledged: list[str] = []  # mentioned before the present question; "no" rejects them
    newly_filled: list[str] = []
    denied: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    misses: int = 0
    frames: list[Frame] = []
    stack: list[str] = []  # forms to return to after a digression
    history: list[Visit] = []
    pending_service: str = ""
    services_called: int = 0
    last_plays: list[Said] = []  # what "repeat" says again
    heard: str = ""  # what the caller heard of it
    was_cut: bool = False  # because he interrupted it
    goals: list[str] = []
    outcome: str | None = None
    is_goal: bool = False

    def count(self, key: str) -> int:
        """Count one more under a key; the new count."""
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def forget_counts(self, state: str) -> None:
        """Drop the counters of a place, or of a form and all its places."""
        self.counts = {
            key: count
            for key, count in self.counts.items()
            if key.rsplit(":", 1)[0] != state and not key.startswith(f"{state}/")
        }

    def forget_misses(self, state: str) -> None:
        """Drop the noinput and nomatch counters of a place, but not that it was asked."""
        for kind in ("noinput", "nomatch"):
            self.counts.pop(f"{state}:{kind}", None)

    def visit(self, place: Place) -> None:
        """Note where the dialogue waits now."""
        here = Visit(form=place.form, kind=place.kind, field=place.field)
        self.at = here
        if not self.history or self.history[-1] != here:
            self.history = [*self.history, here][-MAX_HISTORY:]


def plain(value: object, depth: int = 0) -> JsonValue:
    """Any value as JSON; what JSON does not know, as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict) and depth < 8:
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < 8:
        return [plain(item, depth + 1) for item in value]
    return str(value)
