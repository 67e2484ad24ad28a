"""What is heard on the line: audio, speech, turns, barge-ins, keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8000
CHUNK_SAMPLES = 160
"""20 ms at 8 kHz, what Twilio sends in one message."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Mono int16 audio, usually CHUNK_SAMPLES long, whose first sample is at `at`."""

    at: int
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The VAD hears speech; `at` is its onset, `detected_at` when that became known."""

    at: int
    detected_at: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The VAD hears silence again; `at` is the last sample of speech."""

    at: int
    detected_at: int


class TurnEndReason(StrEnum):
    """Why the endpointer closed a turn; the names are VoiceXML's timeouts."""

    COMPLETE = "completetimeout"
    INCOMPLETE = "incompletetimeout"
    MAX_SPEECH = "maxspeechtimeout"
    NOINPUT = "noinput"
    DTMF = "dtmf"


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The endpointer's decision, taken at `at`; the caller last spoke at `speech_end_at`."""

    at: int
    reason: TurnEndReason
    speech_start_at: int | None = None
    speech_end_at: int | None = None


class EchoState(StrEnum):
    """Whether what is heard may be the bot's own voice on its way back."""

    NONE = "none"  # nothing plays, nor did as long ago as an echo may last, as far as is known
    FAINT = "faint"  # next to nothing comes back of what plays: that is proven
    UNLOCKED = "unlocked"  # it may, and its delay is not known or has just changed
    LOCKED = "locked"  # it may, and the canceller removes it


@dataclass(frozen=True, slots=True)
class BargeInCandidate:
    """The caller may be taking the floor: the prompt pauses until that is known."""

    at: int  # onset of what was heard
    detected_at: int


@dataclass(frozen=True, slots=True)
class BargeInRejected:
    """The candidate was none: the prompt goes on from its last word boundary."""

    at: int
    reason: Literal["backchannel", "noise", "echo"]


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller takes the floor at `at` (onset of what interrupts)."""

    at: int
    kind: Literal["speech", "hotword", "dtmf"]


@dataclass(frozen=True, slots=True)
class Digit:
    """One DTMF key, 0-9 * # A-D."""

    key: str
    at: int


@dataclass(frozen=True, slots=True)
class KeysEntered:
    """A complete sequence of DTMF keys, without its terminator."""

    keys: str
    at: int
