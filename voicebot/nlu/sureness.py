"""How sure the recogniser was of the words behind a value, and what that makes of the value."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from voicebot.events import Hypothesis
from voicebot.nlu.similarity import Heard
from voicebot.nlu.understanding import Understanding

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
        return cls(understood.heard, tuple(found))

    def between(self, start: int, end: int) -> float:
        """Mean over the tokens behind a span of sounds."""
        token_of, word_at = self.heard.token_of, self.heard.word_at
        if end <= start:
            return sum(self.tokens) / max(1, len(self.tokens))
        first, last = (token_of[word_at[at]] for at in (start, end - 1))
        return sum(self.tokens[first : last + 1]) / (last + 1 - first)


def _folded(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())
