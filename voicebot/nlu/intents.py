"""Which intent a sentence means, learned from examples: kernel ridge regression.

Similarity of two sentences is s = 0..1 over words, letters, sounds and sense (intents_features);
the kernel exp(SHARPNESS * (s - 1)) makes it more than additive. Regression of the intents'
indicators on it (Rifkin, Yeo and Poggio, "Regularized least-squares classification", 2003) has a
closed form, and so have its answers with one example left out, or with a whole intent left out
(block inverse). These train the confidence honestly: it is the probability that the intent is
right, sentences that mean no intent at all included: the background's, and everyone's as if its
intent had been unknown.

Ten thousand examples take some twenty seconds of one core, a plan's hundred some milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from voicebot.errors import UserMistake
from voicebot.nlu.intents_background import BACKGROUND
from voicebot.nlu.intents_calibration import Calibration, fit_calibration
from voicebot.nlu.intents_features import SENSE, LexicalViews, words_of
from voicebot.nlu.intents_regression import regress
from voicebot.nlu.intents_vectors import Vectors, load_vectors

Floats = NDArray[np.float32]

SHARPNESS = 2.0
RIDGE = 0.05
MAX_EXAMPLES = 14_000
"""Of more, every k-th of each intent is kept: memory and time grow with their square and cube."""
COMMON = 0.05
"""Terms in more than this share of the examples are multiplied as dense columns."""
ROWS = 1024
"""Sentences compared with the others at once."""


@dataclass(frozen=True, slots=True)
class IntentScore:
    """An intent and the probability that it is what was meant."""

    name: str
    confidence: float


class Similarity:
    """Similarity of sentences to the examples."""

    def __init__(self, sentences: Sequence[Sequence[str]], vectors: Vectors | None) -> None:
        self._views = LexicalViews(sentences)
        self._vectors = vectors
        self.matrix = self._views.matrix(sentences)
        self.columns = self.matrix.tocsc()
        self._centre = np.zeros(0, np.float32)
        self.sense = np.zeros((len(sentences), 0), np.float32)
        self._lexical = 1.0 / (1.0 - SENSE)  # without vectors the other views make up the whole
        if vectors is not None:
            raw = np.stack([vectors.mean(words) for words in sentences])
            self._centre = np.asarray(raw.mean(axis=0), np.float32)
            self.sense = np.stack([self._sense_of(row) for row in raw])
            self._lexical = 1.0

    def _sense_of(self, mean: Floats) -> Floats:
        centred = mean - self._centre
        norm = float(np.linalg.norm(centred))
        return np.asarray(centred * (np.sqrt(SENSE) / norm if norm > 0 else 0.0), np.float32)

    def to_all(self, words: Sequence[str]) -> Floats:
        """Similarity to every example, float32 [examples]."""
        indices, values = self._views.vector(words)
        starts, ends = self.columns.indptr[indices], self.columns.indptr[indices + 1]
        found = np.zeros(self.matrix.shape[0], np.float32)
        for value, start, end in zip(values, starts, ends, strict=True):
            found[self.columns.indices[start:end]] += value * self.columns.data[start:end]
        found *= self._lexical
        if self._vectors is not None:
            found += self.sense @ self._sense_of(self._vectors.mean(words))
        return found

    def among(self) -> torch.Tensor:
        """Similarity of all examples to each other, float32 [examples, examples]."""
        size = self.matrix.shape[0]
        share = np.diff(self.columns.indptr) / max(1, size)
        common = np.asarray(self.columns[:, share > COMMON].todense(), np.float32)
        common *= np.float32(np.sqrt(self._lexical))
        dense = torch.from_numpy(np.hstack([common, self.sense]))
        rare = self.columns[:, share <= COMMON].tocsr() * np.float32(np.sqrt(self._lexical))
        rare_columns = rare.T.tocsr()
        gram = torch.empty(size, size)
        for begin in range(0, size, ROWS):  # up to the diagonal; the rest is the same
            rows = slice(begin, min(size, begin + ROWS))
            until = rows.stop
            part = dense[rows] @ dense[:until].T
            part += torch.from_numpy((rare[rows] @ rare_columns[:, :until]).toarray())
            gram[rows, :until] = part
            gram[:begin, rows] = part[:, :begin].T
        return gram


class IntentClassifier:
    """Trained by `fit`; `classify` takes some 2 ms with ten thousand examples."""

    def __init__(
        self,
        names: tuple[str, ...],
        similarity: Similarity,
        weights: Floats,
        calibration: Calibration,
    ) -> None:
        self.names = names
        self._similarity = similarity
        self._weights = weights
        self._calibration = calibration

    def classify(self, text: str) -> tuple[IntentScore, ...]:
        """All intents, the likeliest first; confidences sum to at most 1, the rest is "none of
        them". Empty when the text has no words. Never raises."""
        words = words_of(text)
        if not words:
            return ()
        similar = self._similarity.to_all(words)
        scores = np.exp(SHARPNESS * (similar - 1.0)) @ self._weights + 1.0 / len(self.names)
        nearest = float(similar[: len(similar) - len(BACKGROUND)].max())
        shares = self._calibration.confidences(scores, nearest)
        order = np.argsort(-shares, kind="stable")
        return tuple(IntentScore(self.names[i], round(float(shares[i]), 4)) for i in order)


def fit(
    examples: Sequence[tuple[str, str]], *, vectors: Vectors | None = None, with_names: bool = True
) -> IntentClassifier:
    """A classifier from (sentence, intent) pairs.

    `with_names`: an intent's name, read as words, is an example of it. `vectors`: those of the
    installed wheel where None is given. UserMistake when fewer than two intents have examples.
    """
    sentences, names, labels = _prepared(examples, with_names)
    count = len(sentences)  # what follows them means nothing
    sentences += [words_of(text) for text in BACKGROUND]
    similarity = Similarity(sentences, vectors or load_vectors())
    similar = similarity.among()
    ends = np.cumsum(np.bincount(labels, minlength=len(names))).tolist()  # they stand in order
    nearest, nearest_other = _nearest(similar, ends)
    kernel = similar.sub_(1.0).mul_(SHARPNESS).exp_()
    kernel.diagonal().add_(RIDGE)
    base = 1.0 / len(names)
    targets = torch.full((len(sentences), len(names)), -base)
    targets[torch.arange(count), torch.from_numpy(labels)] += 1.0
    weights, left_out, unknown = regress(kernel, targets, ends)
    calibration = fit_calibration(
        left_out.add_(base).numpy(), labels, nearest, unknown.add_(base).numpy(), nearest_other
    )
    return IntentClassifier(names, similarity, weights.numpy(), calibration)


def _nearest(similar: torch.Tensor, ends: Sequence[int]) -> tuple[Floats, Floats]:
    """Similarity to the nearest example, for each sentence but itself; and to the nearest of
    another intent, for each example. Those of an intent end before `ends`."""
    count = ends[-1]
    nearest = torch.empty(len(similar))
    nearest_other = torch.empty(count)
    nearest[count:] = similar[count:, :count].amax(dim=1)
    for begin, end in zip([0, *ends], ends, strict=False):
        rows = similar[begin:end, :count].clone()
        rows[:, begin:end].fill_diagonal_(-1.0)
        nearest[begin:end] = rows.amax(dim=1)
        rows[:, begin:end] = -1.0
        nearest_other[begin:end] = rows.amax(dim=1)
    return nearest.numpy(), nearest_other.numpy()


def _prepared(
    examples: Sequence[tuple[str, str]], with_names: bool
) -> tuple[list[list[str]], tuple[str, ...], NDArray[np.int64]]:
    """Sentences as words, intents, and the intent of each sentence; repeated ones once."""
    pairs = [(tuple(words_of(text)), name) for text, name in examples]
    names = tuple(sorted({name for words, name in pairs if words}))
    if len(names) < 2:
        raise UserMistake("intents: examples of at least two intents are needed to tell them apart")
    step = -(-len(pairs) // MAX_EXAMPLES)
    kept: dict[tuple[tuple[str, ...], str], None] = {}
    for name in names:
        kept.update(dict.fromkeys([p for p in pairs if p[0] and p[1] == name][::step]))
        if with_names:
            kept.setdefault((tuple(words_of(name.replace("_", " "))) or (name,), name))
    labels = np.array([names.index(name) for _, name in kept], np.int64)
    return [list(words) for words, _ in kept], names, labels


@lru_cache(maxsize=64)
def trained(examples: tuple[tuple[str, str], ...]) -> IntentClassifier:
    """`fit`, kept in memory: dialogues ask for the same intents again and again."""
    return fit(examples)
