"""How sure the recogniser was of the words behind a value, and what that makes of the value."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from voicebot.events import Hypothesis, SlotType
from voicebot.nlu.matcher import FILLERS, Candidate, Fill
from voicebot.nlu.similarity import STOP_WORDS, Heard
from voicebot.nlu.understanding import Understanding
from voicebot.nlu.words import word_set

BESIDE = 4
"""Telling words that may stand beside an answer; with more the sentence may be about anything."""
BESIDE_LETTER = 1
"""Words that may stand beside one letter, carriers apart; one more for each further letter."""
DOUBT, MOST_DOUBTS = 0.5, 6
"""What each word beyond these leaves of the confidence in a yes, a no, or letters: every sentence
holds an "a", an "I" or a "right" that answers nothing."""
_SPELLING = word_set(
    "it its it's is was that that's thats this the a an be would letter letters capital i i'm my "
    "me name first last initial initials middle word code spelled spelt spell starts start begins "
    "begin with as in for like of yes no yeah okay ok so well and then please thank thanks sorry "
    "said say think meant mean just dash hyphen hi hello"
)
_WORD = re.compile(r"\S+")
"""As str.split() finds them."""


def combined(quality: float, confidence: float) -> float:
    """Confidence in a value: how well it matched, and how sure the recogniser was of its words.

    Both are shares of 1: the recogniser's confidence is calibrated with what was expected.
    """
    return quality * min(1.0, max(0.0, confidence))


@dataclass(frozen=True, slots=True)
class Sureness:
    """How sure the recogniser was of each token of a text."""

    heard: Heard
    tokens: tuple[float, ...]
    whole: float = 1.0

    @classmethod
    def of(cls, hypothesis: Hypothesis, understood: Understanding, confidence: float) -> Sureness:
        """Of the hypothesis' text or one of its alternatives; words that the recogniser says
        nothing of are as sure as the text, `confidence`."""
        text = understood.text
        begins = [word.start() for word in _WORD.finditer(text)]
        words = hypothesis.words
        if text == hypothesis.text and len(words) == len(begins):
            of_words = [word.confidence for word in words]
        else:  # an alternative, or typed
            known = {_folded(word.text): word.confidence for word in words}
            of_words = [known.get(_folded(word), confidence) for word in text.split()]
        found, at = [], 0
        for token in understood.tokens:
            begin = text.find(token.raw, at)
            if begin < 0:
                found.append(confidence)
                continue
            at = begin + len(token.raw)
            found.append(of_words[bisect_right(begins, begin) - 1] if begins else confidence)
        return cls(understood.heard, tuple(found), confidence)

    def between(self, start: int, end: int) -> float:
        """Mean over the tokens behind a span of sounds."""
        token_of, word_at = self.heard.token_of, self.heard.word_at
        if end <= start:
            return sum(self.tokens) / max(1, len(self.tokens))
        first, last = (token_of[word_at[at]] for at in (start, end - 1))
        return sum(self.tokens[first : last + 1]) / (last + 1 - first)

    def of_fill(self, fill: Fill, parts: Sequence[Candidate], kind: SlotType) -> float:
        """Of the words of a value of that type, `parts` being all that was understood: less for a
        yes, a no or a letter within other words, and none is surer than the whole text where most
        of it was not understood."""
        sure = self.between(fill.start, fill.end)
        if kind is SlotType.LETTERS:
            many = self._beside_letters(fill) - BESIDE_LETTER - max(0, len(fill.value) - 1)
            return _doubted(sure, many)
        before, behind = self._beside(fill, parts)
        telling = before + behind + len(parts)
        if before + behind > max(BESIDE, telling / 2):
            sure = min(sure, self.whole)
        if kind is SlotType.YES_NO:
            # Who begins with it answers, and says why.
            many = before + behind if before else behind // 2
            return _doubted(sure, many - BESIDE)
        return sure

    def _beside(self, fill: Fill, parts: Sequence[Candidate]) -> tuple[int, int]:
        """Telling words before and behind a value that nothing was made of."""
        places = [
            at
            for word, at in zip(self.heard.words, self.heard.starts, strict=False)
            if word not in STOP_WORDS
            and word not in FILLERS
            and not any(part.start <= at < part.end for part in parts)
        ]
        return sum(at < fill.start for at in places), sum(at >= fill.end for at in places)

    def _beside_letters(self, fill: Fill) -> int:
        """Words outside of the letters, but those with which letters are given."""
        pairs = zip(self.heard.words, self.heard.starts, strict=False)
        return sum(
            word not in _SPELLING and word not in FILLERS and not fill.start <= at < fill.end
            for word, at in pairs
        )


def _doubted(sure: float, many: int) -> float:
    """Less by DOUBT for each of so many words, down to MOST_DOUBTS of them."""
    return float(sure * DOUBT ** min(MOST_DOUBTS, max(0, many)))


def _folded(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())
