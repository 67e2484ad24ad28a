"""What the dialogue wants done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from voicebot.events.expectation import BargeInMode, Expectation


@dataclass(frozen=True, slots=True)
class Say:
    """A value to be spoken properly: `kind` is a SlotType value or "money", "ordinal", ...

    A `kind` "pause" is a silence of `value` milliseconds. `pace`: how it is spoken.
    """

    value: str
    kind: str = "text"
    pace: Literal["", "slow", "emphasis"] = ""


@dataclass(frozen=True, slots=True)
class Play:
    """Speak these parts in order; plain strings are text. `language` "": the plan's own."""

    parts: tuple[str | Say, ...]
    barge_in: BargeInMode = BargeInMode.SPEECH
    language: str = ""


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for the caller once what was played before has ended (or been interrupted).

    `must_be_heard`: some of that may not be interrupted.
    """

    expectation: Expectation
    must_be_heard: bool = False


@dataclass(frozen=True, slots=True)
class CallService:
    """Call the plan's service `name`; answer with ServiceReply(id).

    `filler` is spoken once where no answer came within `filler_after_ms`.
    """

    id: str
    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    filler: tuple[Play, ...] = ()
    filler_after_ms: int = 1500


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Record the caller once what was played before was heard; answer with MessageTaken(id).

    Ends at `max_ms`, after `silence_ms` without speech, at the key `terminator`, or when the
    caller hangs up. `has_tone`: a beep says when to speak.
    """

    id: str
    max_ms: int = 120_000
    silence_ms: int = 4000
    terminator: str = "#"
    has_tone: bool = True


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One line of what a language model is shown. What callers said is data, not instruction."""

    role: Literal["caller", "bot", "tool"]
    text: str


@dataclass(frozen=True, slots=True)
class AskModel:
    """Ask the language model; answer with ModelReply(id).

    Its reply must follow the JSON Schema `schema`; whoever sent this checks it again.
    """

    id: str
    instructions: str
    messages: tuple[ModelMessage, ...] = ()
    schema: Mapping[str, object] = field(default_factory=dict)
    timeout_ms: int = 8000


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the call's record: a task, a correction, a digression, a refused tool ..."""

    kind: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the call to `destination` (E.164 number or SIP URI) after what was played.

    `summary` is spoken to whoever answers before the caller is put through (a warm hand-over).
    With `queue` the caller waits in the telephone network's queue of that name instead, and
    hears `hold_music` (URL) and `hold_prompt` (`{position}` stands for his place in it).
    """

    destination: str
    outcome: str = "transferred"
    is_goal: bool = False
    summary: tuple[str | Say, ...] = ()
    queue: str = ""
    hold_prompt: str = ""
    hold_music: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Switch the call's recording on or off (voicemail, consent)."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the call after what was played; `outcome` goes to the journal."""

    outcome: str
    is_goal: bool = False


Action = (
    Play | Listen | CallService | TakeMessage | AskModel | Transfer | Record | Disconnect | Note
)
