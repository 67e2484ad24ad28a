"""What a call's dialogue remembers; JSON-able, so that a call can move or be replayed."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from voicebot.dialogue.expectations import Kind, Place
from voicebot.events import BargeInMode

MAX_HISTORY = 20
MAX_RECENT = 8
MAX_BITS = 256
"""Of a whole number from outside; what is larger counts nothing."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Filled(_Record):
    """A slot's value, the words it came from, and whether the caller confirmed it."""

    value: str
    text: str = ""
    confidence: float = 1.0
    is_confirmed: bool = False
    others: list[tuple[str, float]] = []  # values of other readings: offered after a "no"


class Frame(_Record):
    """A running step list: its address in the plan, the next step, what is done of that step."""

    address: list[str | int]
    index: int = 0
    stage: Literal["begin", "call", "form", "voicemail", "do", "exit"] = "begin"


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
    """A prompt as it was played: its parts, a Say as (value, kind, pace)."""

    parts: list[str | tuple[str, str, Literal["", "slow", "emphasis"]]]
    barge_in: BargeInMode
    language: str = ""


Phase = Literal["enter", "collect", "submit"]


class Activation(_Record):
    """A form that waits for another one to come back: where it was, and what it held."""

    form: str
    is_call: bool = False  # by a step; otherwise a digression of the caller's
    phase: Phase = "collect"
    is_opened: bool = False
    is_reviewed: bool = False
    to_confirm: list[str] = []
    to_acknowledge: list[str] = []
    newly_filled: list[str] = []
    named: list[str] = []
    held: dict[str, Filled] = {}
    slots: dict[str, Filled] = {}
    variables: dict[str, JsonValue] = {}  # the called form's own, as they were
    frames: list[Frame] = []
    assign: dict[str, str] = {}


class Wish(_Record):
    """A form that the caller asked for beside another one: slots as (name, value, text, sure)."""

    form: str
    slots: list[tuple[str, str, str, float]] = []
    depth: int = 0  # forms that waited when it was said: above them it belongs to a digression


class Called(_Record):
    """The service that is waited for, and what it was given."""

    name: str
    arguments: dict[str, str] = {}


class State(_Record):
    """Everything that changes during a call."""

    mode: Literal["new", "run", "listen", "service", "message", "model", "ended"] = "new"
    form: str = ""
    phase: Phase = "enter"
    at: Visit | None = None
    is_opened: bool = False  # the form's open question is answered
    is_reviewed: bool = False
    is_changing: bool = False  # "no" to the review: what shall be changed?
    named: list[str] = []  # fields to change that the caller named: asked for even where optional
    held: dict[str, Filled] = {}  # what they held, for who goes back to the review
    corrected: list[str] = []  # slots that the last answer changed
    is_resumed: bool = False  # a digression has just come back
    noinput_ms: int | None = None  # as the last prompt said
    language: str = ""  # "": the plan's own
    slots: dict[str, Filled] = {}
    ahead: dict[str, Filled] = {}  # values of a language model for forms that are still to come
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
    stack: list[Activation] = []  # forms to return to, the innermost last
    wishes: list[Wish] = []  # asked for in the same breath as another: begun after it
    recent: list[tuple[str, str]] = []  # values given, the last one last: "the same day"
    history: list[Visit] = []
    pending: str = ""  # id of the service, message or model waited for
    called: Called | None = None  # the last service: asked again where the call goes on elsewhere
    asked: int = 0  # ids given out
    alone: int = 0  # answers of services and models since the caller was waited for
    talk: list[tuple[Literal["caller", "bot", "tool"], str]] = []  # with the language model
    model_turns: int = 0
    model_steps: int = 0
    is_tool: bool = False  # the service waited for was called by the model
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

    def remember(self, name: str, value: str) -> None:
        """A slot got a value: callers may point at it later, whatever became of the slot."""
        kept = [one for one in self.recent if one[0] != name]
        self.recent = [*kept, (name, value)][-MAX_RECENT:]

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
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return None  # Python writes no such number
    if isinstance(value, str):
        return whole(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict) and depth < 8:
        return {whole(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < 8:
        return [plain(item, depth + 1) for item in value]
    return whole(str(value))


def whole(text: str) -> str:
    """Text without halves of surrogate pairs, which no file takes."""
    return text.encode("utf-8", "replace").decode()
