"""What the recogniser heard."""

from __future__ import annotations

from dataclasses import dataclass

from voicebot.events.hearing import TurnEnded


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


GOES_ON = 0.05
"""`Hypothesis.end_probability` of a caller who will go on and be asked for again: what he said so
far is heard the cheap way, and once more if he does not."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the recogniser heard between `start_at` and `end_at`.

    `stable_words` counts the leading words that later partials will not change.
    `end_probability`: that the caller has finished, judged by voice and words (0..1; None
    where nobody judged). `hotword_probability`: that the hot word is in it, likewise.
    `is_unheard`: there was no recogniser, so that nobody knows what was said.
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
    is_unheard: bool = False


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """What the caller said in one turn; an empty hypothesis when nothing was recognised."""

    ended: TurnEnded
    hypothesis: Hypothesis
