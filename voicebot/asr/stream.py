"""From successive partial hypotheses of one utterance to a prefix that no longer changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebot.events import Hypothesis


class LocalAgreement:
    """Words on which the last `agree` partials concur are stable (Macháček et al. 2023,
    arXiv:2307.14743, LocalAgreement-n).

    Case and punctuation do not count: they settle only at the end of the sentence. What is
    stable stays: a later partial that contradicts it does not take it back.
    """

    def __init__(self, agree: int = 2) -> None:
        self._agree = agree
        self._recent: list[list[str]] = []
        self._stable: list[str] = []

    @property
    def stable(self) -> tuple[str, ...]:
        """The stable words, as they were first agreed on."""
        return tuple(self._stable)

    def update(self, words: Sequence[str]) -> tuple[str, ...]:
        """Take the next partial's words; the stable prefix, never shorter than before."""
        self._recent = [*self._recent, list(words)][-self._agree :]
        if len(self._recent) == self._agree:
            agreed = _common(self._recent)
            if len(agreed) > len(self._stable):
                self._stable += agreed[len(self._stable) :]
        return self.stable

    def apply(self, partial: Hypothesis) -> Hypothesis:
        """The partial with `stable_words` set: how many of ITS leading words are stable."""
        self.update([word.text for word in partial.words])
        same = _common([self._stable, [word.text for word in partial.words]])
        return replace(partial, stable_words=len(same))

    def reset(self) -> None:
        """Begin another utterance."""
        self._recent, self._stable = [], []


def _common(lists: Sequence[Sequence[str]]) -> list[str]:
    """Longest common prefix, in the spelling of the last list."""
    length = 0
    for words in zip(*lists, strict=False):
        if len({_plain(word) for word in words}) > 1:
            break
        length += 1
    return list(lists[-1][:length])


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold())) or word
