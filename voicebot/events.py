"""The values that pass between rooms.

Every `at` is a sample index on the call's inbound 8 kHz clock (0 = first sample received),
never wall time: a recorded call replays to the same events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8000
CHUNK_SAMPLES = 160
"""20 ms at 8 kHz, what Twilio sends in one message."""


class BargeInMode(StrEnum):
    """What may interrupt a prompt, as VoiceXML's `bargein` and `bargeintype`."""

    SPEECH = "speech"
    HOTWORD = "hotword"
    DTMF = "dtmf"
    NONE = "none"


# ---------------------------------------------------------------- hearing


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

    NONE = "none"  # nothing plays, nor did as long ago as an echo may last
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


# ---------------------------------------------------------------- recognition


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; confidence in 0..1; times are None where not known."""

    text: str
    confidence: float
    start_at: int | None = None
    end_at: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One entry of an n-best list."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the recogniser heard between `start_at` and `end_at`.

    `stable_words` counts the leading words that later partials will not change.
    `end_probability`: that the caller has finished, judged by voice and words (0..1; None
    where nobody judged). `hotword_probability`: that the hot word is in it, likewise.
    """

    text: str
    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    nbest: tuple[Alternative, ...] = ()
    start_at: int = 0
    end_at: int = 0
    is_final: bool = False
    stable_words: int = 0
    end_probability: float | None = None
    hotword_probability: float | None = None


# ---------------------------------------------------------------- what the dialogue waits for


class SlotType(StrEnum):
    """What a slot holds; `SlotValue.value` has the form named here."""

    CHOICE = "choice"  # the chosen Choice.value
    YES_NO = "yes_no"  # "yes" or "no"
    DIGITS = "digits"  # "0042"
    NUMBER = "number"  # "42"
    AMOUNT = "amount"  # decimal string with two places, "12.50"
    DATE = "date"  # ISO 8601, "2026-11-21"
    TIME = "time"  # "14:30"
    PHONE = "phone"  # digits
    LETTERS = "letters"  # "ABC"
    TEXT = "text"  # the words as heard


CONFIRM_SLOT = "confirmed"
"""The slot that answers a yes/no question of the dialogue's own; yes and no fill it at any
time, another yes/no slot only when it was asked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a choice slot and the phrases that mean it (patterns, see nlu.grammar)."""

    value: str
    phrases: tuple[str, ...] = ()
    dtmf: str | None = None


@dataclass(frozen=True, slots=True)
class SlotSpec:
    """A slot that an utterance may fill."""

    name: str
    type: SlotType
    choices: tuple[Choice, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    check: Literal["", "luhn"] = ""  # what the digits must satisfy


@dataclass(frozen=True, slots=True)
class IntentSpec:
    """An intent and the phrases that mean it (patterns, see nlu.grammar).

    `examples` are sentences of callers, not patterns: the trained classifier learns from them.
    """

    name: str
    phrases: tuple[str, ...] = ()
    dtmf: str | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DigitRule:
    """How keys are collected: at most `max_keys`, closed by `terminator` or a pause.

    `term_ms`: how long the terminator is waited for after the last allowed key. `has_type_ahead`:
    keys pressed before they are asked for count.
    """

    max_keys: int = 1
    min_keys: int = 1
    terminator: str | None = "#"
    interdigit_ms: int = 2000
    term_ms: int = 0
    has_type_ahead: bool = True


@dataclass(frozen=True, slots=True)
class Timeouts:
    """VoiceXML's timeouts, in milliseconds of silence unless said otherwise.

    `complete_ms`: the utterance matches and cannot be extended. `incomplete_ms`: it may go
    on. `yes_no_ms`, `digits_ms`: the same for those kinds. `noinput_ms`: silence after the
    prompt. `max_speech_ms`: length of the whole utterance.
    """

    noinput_ms: int = 6000
    complete_ms: int = 300
    yes_no_ms: int = 350
    incomplete_ms: int = 1500
    digits_ms: int = 1500
    max_speech_ms: int = 20000


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the dialogue waits for; it biases endpointing, recognition and understanding.

    `focus` is the slot that the prompt asked for, first in `slots` when set. `universals`
    are intents valid everywhere (operator, help, repeat, ...). `digits` is None where keys
    are ignored. `state` names the dialplan's form/field, for journal and logs.
    """

    state: str = ""
    focus: str | None = None
    slots: tuple[SlotSpec, ...] = ()
    intents: tuple[IntentSpec, ...] = ()
    universals: tuple[IntentSpec, ...] = ()
    digits: DigitRule | None = None
    barge_in: BargeInMode = BargeInMode.SPEECH
    timeouts: Timeouts = field(default_factory=Timeouts)
    hints: tuple[str, ...] = ()
    language: str = "en"


# ---------------------------------------------------------------- understanding


@dataclass(frozen=True, slots=True)
class SlotValue:
    """A filled slot: canonical `value` (see SlotType), the words it came from, 0..1."""

    name: str
    value: str
    text: str = ""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand an utterance."""

    intent: str | None
    slots: tuple[SlotValue, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What an utterance or key sequence means; nomatch when intent is None and slots empty.

    `is_universal`: intent is one of the Expectation's universals. `denied`: slot values the
    caller rejected ("no, not savings"). `also`: further wishes said in the same breath, in order
    ("check my balance and then block my card"); the first is the interpretation itself.
    """

    intent: str | None = None
    slots: tuple[SlotValue, ...] = ()
    confidence: float = 0.0
    nbest: tuple[Reading, ...] = ()
    text: str = ""
    is_universal: bool = False
    denied: tuple[SlotValue, ...] = ()
    by: Literal["speech", "dtmf"] = "speech"
    also: tuple[Reading, ...] = ()

    @property
    def is_nomatch(self) -> bool:
        """True when nothing that the dialogue waits for was understood."""
        return self.intent is None and not self.slots and not self.denied


class Completeness(StrEnum):
    """How far a partial text satisfies an Expectation; drives the endpointer."""

    COMPLETE = "complete"  # matches, and no continuation would add to it
    EXTENDABLE = "extendable"  # matches or may come to match; the caller may go on
    NONE = "none"  # matches nothing yet


# ---------------------------------------------------------------- dialogue: events in


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The media stream is open; parameters come from the TwiML (caller, dialled number)."""

    at: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoInput:
    """The caller said nothing within noinput_ms after the prompt."""

    at: int


@dataclass(frozen=True, slots=True)
class ServiceReply:
    """Answer to CallService `id`; `error` is None on success, else one line."""

    id: str
    value: Mapping[str, object] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """Answer to TakeMessage `id`: how long the caller spoke, where it is kept, what ended it."""

    id: str
    seconds: float = 0.0
    file: str = ""
    ended_by: Literal["silence", "key", "max", "hangup"] = "silence"
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """Answer to AskModel `id`: the language model's JSON text; `error`: one line."""

    id: str
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """What the caller said in one turn; an empty hypothesis when nothing was recognised."""

    ended: TurnEnded
    hypothesis: Hypothesis


@dataclass(frozen=True, slots=True)
class KeysEntered:
    """A complete sequence of DTMF keys, without its terminator."""

    keys: str
    at: int


@dataclass(frozen=True, slots=True)
class PromptStarted:
    """The first audio of a prompt leaves for the caller."""

    at: int


@dataclass(frozen=True, slots=True)
class PromptEnded:
    """All prompts before a Listen were heard; the caller's time to answer begins."""

    at: int


@dataclass(frozen=True, slots=True)
class PromptHeard:
    """A prompt ended or was cut: what the caller heard of it."""

    at: int
    text: str
    was_cut: bool


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The media stream is gone."""

    at: int


# ---------------------------------------------------------------- dialogue: actions out


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
DialogueEvent = (
    CallStarted
    | Interpretation
    | NoInput
    | ServiceReply
    | MessageTaken
    | ModelReply
    | PromptHeard
    | CallerHungUp
)


# ---------------------------------------------------------------- speech


@dataclass(frozen=True, slots=True)
class PhraseEnd:
    """At `sample` of the prompt's audio the first `chars` characters of its text are spoken."""

    sample: int
    chars: int


@dataclass(frozen=True, slots=True)
class SpokenPrompt:
    """Rendered speech: 8 kHz mu-law bytes and where its words end (ascending)."""

    text: str
    mulaw: bytes
    word_ends: tuple[PhraseEnd, ...] = ()
