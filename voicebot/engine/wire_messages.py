"""The messages between front ends and recogniser processes, as values. `wire`: how they travel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from voicebot.engine.scheduler import JobKind
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis

PROTOCOL = "voicebot-asr.2"
MAX_MESSAGE_BYTES = 512 * 1024
MAX_AUDIO_BYTES = SAMPLE_RATE_HZ
"""Of one frame; chunks are 100 to 160 ms, only what is sent again after a loss is longer."""
MAX_SPAN_SAMPLES = 30 * SAMPLE_RATE_HZ
"""Of one request: what a recogniser keeps of a stream (hearing.RING_S)."""
MAX_WHY_BYTES = 200
MAX_AT = 2**48
"""No call lasts 1,000 years; positions beyond are a fault."""


class Reason(IntEnum):
    """Why a stream was refused or ended."""

    FULL = 1
    DRAINING = 2
    DUPLICATE = 3  # `open` of a stream that is open
    OUT_OF_ORDER = 4  # audio not where the last ended
    TOO_FAST = 5  # more audio or requests than a caller can cause
    MISSING_AUDIO = 6  # a request beyond what was sent
    BAD_EXPECTATION = 7
    IDLE = 8  # nothing came for too long
    TOO_MANY = 9  # streams of one connection
    DEVICE_LOST = 10  # no replica of that process will take it again


class State(IntEnum):
    """Whether a recogniser takes more streams."""

    OPEN = 0
    FULL = 1
    DRAINING = 2


@dataclass(frozen=True, slots=True)
class Open:
    """A call wants to be recognised; its audio begins at `at`."""

    stream: int
    at: int


@dataclass(frozen=True, slots=True)
class Audio:
    """mu-law bytes of a stream from `at` on."""

    stream: int
    at: int
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Expect:
    """What the dialogue waits for, as later requests of the stream name it by `number`."""

    stream: int
    number: int
    body: bytes  # JSON, read by `read_expectation`


@dataclass(frozen=True, slots=True)
class Ask:
    """Recognise samples [start_at, end_at)."""

    stream: int
    request: int
    utterance: int
    kind: JobKind
    expectation: int
    start_at: int
    end_at: int


@dataclass(frozen=True, slots=True)
class Close:
    """The call ended."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The front end lives."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream has a place."""

    stream: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream has none, or has it no longer. `why`: for people, "" where the reason says it."""

    stream: int
    reason: Reason
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was recognised; None: it failed. Partials that newer requests replaced get none."""

    stream: int
    request: int
    hypothesis: Hypothesis | None


@dataclass(frozen=True, slots=True)
class Load:
    """The recogniser lives, and how full it is. `final_ms`: p95 from request to final."""

    nonce: int
    live: int
    capacity: int
    state: State
    final_ms: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What the peer did wrong: the connection is of no use any more."""

    reason: str


FromFrontEnd = Open | Audio | Expect | Ask | Close | Ping
FromRecogniser = Opened | Closed | Answer | Load
