"""Successive partial hypotheses of one utterance: what one takes from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicebot.asr.splicing import letters, opening, plain, timed
from voicebot.events import Alternative, Hypothesis, Word

if TYPE_CHECKING:
    from torch import Tensor

    from voicebot.asr.decoder import Decoded


@dataclass(slots=True)
class Draft:
    """What was last read of an utterance, renewed by each reading.

    Greedy decoding begins with its `tokens`. Audio of as many `samples` is the same audio: its
    encoded `frames` [T, C], and the `sentence` that decoding them greedily gave, are there already.
    `is_timed`: a final's words shall carry times, for a tenth of its cost.
    """

    tokens: tuple[int, ...] = ()
    samples: int = 0
    frames: Tensor | None = None
    sentence: Decoded | None = None
    is_timed: bool = True

    def frames_of(self, samples: int) -> Tensor | None:
        """Those of audio of so many samples, if that is what was read last."""
        return self.frames if samples == self.samples else None


class LocalAgreement:
    """Words on which the last `agree` partials concur are stable (Macháček et al. 2023,
    arXiv:2307.14743, LocalAgreement-n), if each of them was sure and they are not the last.

    What is stable stays, letter by letter: it opens every later partial and the final of the
    utterance, whatever the recogniser makes of the audio later. That is why it is granted late:
    without `least_confidence` and `hold_back` every third final would have had other words
    (LOG.md). A reading that the promise overrules stays among the final's alternatives.
    """

    def __init__(
        self, agree: int = 2, *, hold_back: int = 1, least_confidence: float = 0.5
    ) -> None:
        """`hold_back`: how many words at the end of a partial may still be cut off in sound."""
        self._agree = agree
        self._hold_back = hold_back
        self._least = least_confidence
        self._recent: list[Sequence[Word]] = []
        self._stable: list[Word] = []

    @property
    def stable(self) -> tuple[str, ...]:
        """The stable words."""
        return tuple(word.text for word in self._stable)

    def apply(self, partial: Hypothesis) -> Hypothesis:
        """The partial as the promise allows it, with `stable_words` set."""
        self._recent = [*self._recent, partial.words][-self._agree :]
        if len(self._recent) == self._agree and self._agrees(partial.words):
            self._stable += self._agreed()[len(self._stable) :]
        return replace(self._keeping(partial), stable_words=len(self._stable))

    def settle(self, final: Hypothesis) -> Hypothesis:
        """The final as the promise allows it: all its words are stable."""
        kept = self._keeping(final)
        return replace(kept, stable_words=len(kept.words))

    def reset(self) -> None:
        """Begin another utterance."""
        self._recent, self._stable = [], []

    # ------------------------------------------------------------ inside

    def _agrees(self, words: Sequence[Word]) -> bool:
        """Whether this partial repeats what is stable; one that does not makes nothing stable."""
        first = words[: len(self._stable)]
        return [plain(word) for word in first] == [plain(word) for word in self._stable]

    def _agreed(self) -> list[Word]:
        """Longest prefix that the recent partials have in common, spelling included."""
        most = min(len(words) for words in self._recent) - self._hold_back
        agreed = 0
        for same in zip(*self._recent, strict=False):
            is_sure = min(word.confidence for word in same) >= self._least
            if agreed >= most or not is_sure or len({word.text for word in same}) > 1:
                break
            agreed += 1
        return list(self._recent[-1][:agreed])

    def _keeping(self, heard: Hypothesis) -> Hypothesis:
        stable = self._stable
        if [word.text for word in heard.words[: len(stable)]] == [word.text for word in stable]:
            return heard
        stands_for = opening(stable, heard.words)
        rest = list(heard.words[stands_for:])
        words = (*timed(stable, heard.words[:stands_for]), *rest)
        text = " ".join(word.text for word in words)
        sure = heard.confidence if heard.words else min(word.confidence for word in stable)
        others = [other for other in heard.nbest if letters(other.text) != letters(text)]
        nbest = (Alternative(text, sure), *others) if heard.nbest or not heard.words else ()
        return replace(heard, text=text, words=words, confidence=sure, nbest=nbest)
