"""What of a sentence is compared: its words, their spelling, their sounds and their sense.

Four views, each of unit length, weighted so that their dot product is one similarity 0..1:

- words and pairs of words, by TF-IDF;
- letters in runs of 2 to 5 within words (Cavnar and Trenkle, 1994): inflections, typing errors;
- sounds in runs of 2 to 4 across word boundaries (nlu.phonetics): recognition errors, which
  keep the sounds and lose words and spaces ("with drawl");
- sense, by the mean of static subword vectors (intents_vectors), centred on the examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from voicebot.nlu.phonetics import sounds_of
from voicebot.nlu.text import tokenize

Floats = NDArray[np.float32]

WORDS, LETTERS, SOUNDS, SENSE = 0.2, 0.1, 0.2, 0.5
"""Shares of the views; a plateau, see LOG.md."""
MAX_WORDS = 60
"""Later words of an utterance are not looked at: what a caller wants is said by then."""


def words_of(text: str) -> list[str]:
    """The words as spoken, lower case, numerals spelled out."""
    return [word for token in tokenize(text) for word in token.words][:MAX_WORDS]


# ---------------------------------------------------------------- the views


def word_terms(words: Sequence[str]) -> Iterator[str]:
    """Words and pairs of neighbours."""
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(words))


def letter_terms(words: Sequence[str]) -> Iterator[str]:
    """Runs of letters within words, their ends marked."""
    for word in words:
        yield from _letter_runs(word)


def sound_terms(words: Sequence[str]) -> Iterator[str]:
    """Runs of sounds, word boundaries ignored."""
    sounds = "".join(_sounds(word) for word in words)
    for size in (2, 3, 4):
        yield from (sounds[i : i + size] for i in range(len(sounds) - size + 1))


@lru_cache(maxsize=32768)
def _sounds(word: str) -> str:
    return sounds_of(word)


@lru_cache(maxsize=32768)
def _letter_runs(word: str) -> tuple[str, ...]:
    marked = f" {word} "
    return tuple(
        marked[i : i + size] for size in (2, 3, 4, 5) for i in range(len(marked) - size + 1)
    )


VIEWS: tuple[tuple[float, Callable[[Sequence[str]], Iterable[str]]], ...] = (
    (WORDS, word_terms),
    (LETTERS, letter_terms),
    (SOUNDS, sound_terms),
)


class Terms:
    """TF-IDF of one view, as learned from the examples; unknown terms are dropped."""

    def __init__(
        self,
        view: Callable[[Sequence[str]], Iterable[str]],
        examples: Sequence[Sequence[str]],
        share: float,
    ) -> None:
        self._view, self._scale = view, float(np.sqrt(share))
        counts = Counter(term for words in examples for term in set(view(words)))
        self._index = {term: i for i, term in enumerate(counts)}
        occurrences = np.fromiter(counts.values(), np.float32, len(counts))
        self._idf = np.log((1.0 + len(examples)) / (1.0 + occurrences)) + 1.0
        self.size = len(counts)

    def vector(self, words: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """(indices, values) of a sentence's terms; the norm is the root of the view's share."""
        index = self._index
        counts = Counter(index[term] for term in self._view(words) if term in index)
        indices = np.fromiter(counts.keys(), np.int64, len(counts))
        values = np.fromiter(counts.values(), np.float32, len(counts))
        values = (1.0 + np.log(values)) * self._idf[indices]
        norm = float(np.sqrt(values @ values))
        if norm > 0.0:
            values *= self._scale / norm
        return indices, values.astype(np.float32)


class LexicalViews:
    """The three views of spelling and sound side by side, as one sparse vector."""

    def __init__(self, examples: Sequence[Sequence[str]]) -> None:
        self._terms = [Terms(view, examples, share) for share, view in VIEWS]
        self._offsets = np.cumsum([0, *(terms.size for terms in self._terms)])

    @property
    def size(self) -> int:
        """Number of distinct terms."""
        return int(self._offsets[-1])

    def vector(self, words: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """(indices, values) of a sentence in all views."""
        parts = [terms.vector(words) for terms in self._terms]
        shifted = [i + offset for (i, _), offset in zip(parts, self._offsets, strict=False)]
        return np.concatenate(shifted), np.concatenate([values for _, values in parts])

    def matrix(self, sentences: Sequence[Sequence[str]]) -> Any:
        """CSR matrix float32 [sentences, size]."""
        vectors = [self.vector(words) for words in sentences]
        starts = np.cumsum([0, *(len(i) for i, _ in vectors)])
        indices = np.concatenate([i for i, _ in vectors]) if vectors else np.zeros(0, np.int64)
        values = np.concatenate([v for _, v in vectors]) if vectors else np.zeros(0, np.float32)
        return sparse.csr_matrix((values, indices, starts), shape=(len(vectors), self.size))
