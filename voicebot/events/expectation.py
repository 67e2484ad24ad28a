"""What the dialogue waits for; endpointing, recognition and understanding read it alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class BargeInMode(StrEnum):
    """What may interrupt a prompt, as VoiceXML's `bargein` and `bargeintype`."""

    SPEECH = "speech"
    HOTWORD = "hotword"
    DTMF = "dtmf"
    NONE = "none"


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
MAX_WEIGHT = 10.0
"""How many times the usual help to recognition a phrase may have: 7 nats a word, more than an
answer pays that nobody expects."""


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
    are ignored. `state` names the dialplan's form/field, for journal and logs. `weights`: phrases
    of choices, intents or hints that are likelier than the others, or less so: 1 is usual, 0 no
    help to recognition.
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
    weights: tuple[tuple[str, float], ...] = ()
