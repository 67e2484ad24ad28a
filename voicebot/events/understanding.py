"""What an utterance or a sequence of keys means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


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
    `is_unheard`: there was no recogniser: only keys can answer.
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
    is_unheard: bool = False

    @property
    def is_nomatch(self) -> bool:
        """True when nothing that the dialogue waits for was understood."""
        return self.intent is None and not self.slots and not self.denied


class Completeness(StrEnum):
    """How far a partial text satisfies an Expectation; drives the endpointer."""

    COMPLETE = "complete"  # matches, and no continuation would add to it
    EXTENDABLE = "extendable"  # matches or may come to match; the caller may go on
    NONE = "none"  # matches nothing yet
