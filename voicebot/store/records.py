"""The rows of the journal. Sample positions are on the call's inbound 8 kHz clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voicebot.events import Alternative, SlotValue


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call was taken; `started_at` is ISO 8601 with an offset."""

    call_sid: str
    stream_sid: str
    from_: str
    to: str
    dialplan: str
    started_at: str


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What the caller said and what the bot answered; None where a time does not apply.

    `caller_text` is written for people, `spoken_text` are its words as recognised ("" of keys).
    `bot_heard_text` is what the caller heard of `bot_text`. `by`: "speech", "dtmf",
    "noinput", or "" for the greeting.
    """

    call_sid: str
    number: int
    state: str = ""
    bot_text: str = ""
    bot_heard_text: str = ""
    was_barged_in: bool = False
    caller_text: str = ""
    spoken_text: str = ""
    confidence: float = 0.0
    nbest: tuple[Alternative, ...] = ()
    intent: str | None = None
    slots: tuple[SlotValue, ...] = ()
    by: str = ""
    speech_start_at: int | None = None
    speech_end_at: int | None = None
    turn_end_at: int | None = None
    end_reason: str = ""
    response_ms: float | None = None
    barge_in_ms: float | None = None
    recognition_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One call-out: `error` is None on success; `at` is where in the call it was asked."""

    call_sid: str
    name: str
    at: int | None = None
    duration_ms: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """Something worth knowing about a call: a task for people, a message, a correction, ...

    `data` is JSON-able; `at` is where in the call it was noted.
    """

    call_sid: str
    kind: str
    at: int | None = None
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended: the dialogue's `outcome`, the filled slots, and `reason`, who ended it."""

    call_sid: str
    outcome: str
    is_goal: bool
    ended_at: str
    slots: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
