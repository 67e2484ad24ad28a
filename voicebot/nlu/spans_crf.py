"""A linear-chain conditional random field over binary features (Lafferty et al., 2001).

Trained exactly, by L-BFGS with a Gaussian prior. Sentences of one length are computed together,
so that numpy does the work: a thousand short sentences take a second or so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

PRIOR = 0.5
"""Variance of the weights' prior."""
ITERATIONS = 120


@dataclass(frozen=True, slots=True)
class Chain:
    """Weights: `emission` [features, labels], `transition` [from, to], `start` [labels]."""

    emission: Floats
    transition: Floats
    start: Floats

    def best(self, sentence: Sequence[Sequence[int]]) -> list[int]:
        """The likeliest labels of a sentence, given the features of each token (Viterbi)."""
        scores = [self.emission[list(features)].sum(axis=0) for features in sentence]
        if not scores:
            return []
        value = self.start + scores[0]
        back: list[Labels] = []
        for score in scores[1:]:
            paths = value[:, None] + self.transition
            back.append(paths.argmax(axis=0))
            value = paths.max(axis=0) + score
        labels = [int(value.argmax())]
        for pointers in reversed(back):
            labels.append(int(pointers[labels[-1]]))
        return labels[::-1]


def train(
    sentences: Sequence[Sequence[Sequence[int]]],
    labels: Sequence[Sequence[int]],
    features: int,
    kinds: int,
    *,
    tell: Callable[[int], None] = lambda _: None,
) -> Chain:
    """A chain for `kinds` labels from sentences (features of each token) and their labels.

    `tell` is given the number of passes done.
    """
    groups = _groups(sentences, labels, features)
    sizes = (features * kinds, kinds * kinds, kinds)
    seen = sum(group.seen(kinds) for group in groups)

    def objective(flat: Floats) -> tuple[float, Floats]:
        chain = _unflatten(flat, features, kinds)
        loss, gradient = 0.5 / PRIOR * float(flat @ flat), flat / PRIOR - seen
        for group in groups:
            partition, expected = group.expect(chain)
            loss += partition
            gradient += expected
        return loss - float(flat @ seen), gradient

    done = 0

    def step(_: Floats) -> None:
        nonlocal done
        done += 1
        tell(done)

    found = optimize.minimize(
        objective,
        np.zeros(sum(sizes)),
        jac=True,
        method="L-BFGS-B",
        callback=step,
        options={"maxiter": ITERATIONS, "maxcor": 6},
    )
    return _unflatten(np.asarray(found.x, np.float64), features, kinds)


def _unflatten(flat: Floats, features: int, kinds: int) -> Chain:
    end = features * kinds
    return Chain(
        flat[:end].reshape(features, kinds),
        flat[end : end + kinds * kinds].reshape(kinds, kinds),
        flat[end + kinds * kinds :],
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Sentences of one length: binary `matrix` [sentences * length, features]."""

    matrix: Any
    labels: Labels  # [sentences, length]

    def seen(self, kinds: int) -> Floats:
        """How often each feature was true in the training data."""
        count, length = self.labels.shape
        truth = np.zeros((count * length, kinds))
        truth[np.arange(count * length), self.labels.ravel()] = 1.0
        pairs = np.zeros((kinds, kinds))
        np.add.at(pairs, (self.labels[:, :-1].ravel(), self.labels[:, 1:].ravel()), 1.0)
        start = np.bincount(self.labels[:, 0], minlength=kinds).astype(np.float64)
        return np.concatenate([(self.matrix.T @ truth).ravel(), pairs.ravel(), start])

    def expect(self, chain: Chain) -> tuple[float, Floats]:
        """Sum of log partition functions, and the expected counts of all features."""
        count, length = self.labels.shape
        kinds = len(chain.start)
        scores = (self.matrix @ chain.emission).reshape(count, length, kinds)
        peak = scores.max(axis=2, keepdims=True)
        local = np.exp(scores - peak)
        move = np.exp(chain.transition)
        forward = np.empty_like(local)
        scale = np.empty((count, length))
        current = np.exp(chain.start) * local[:, 0]
        for t in range(length):
            if t:
                current = (forward[:, t - 1] @ move) * local[:, t]
            scale[:, t] = current.sum(axis=1)
            forward[:, t] = current / scale[:, t, None]
        log_partition = float(np.log(scale).sum() + peak.sum())
        backward = np.ones((count, kinds))
        marginal = np.empty_like(local)
        pairs = np.zeros((kinds, kinds))
        for t in range(length - 1, -1, -1):
            marginal[:, t] = forward[:, t] * backward
            if t:
                arriving = local[:, t] * backward / scale[:, t, None]
                pairs += (forward[:, t - 1].T @ arriving) * move
                backward = arriving @ move.T
        emission = self.matrix.T @ marginal.reshape(count * length, kinds)
        start = marginal[:, 0].sum(axis=0)
        return log_partition, np.concatenate([emission.ravel(), pairs.ravel(), start])


def _groups(
    sentences: Sequence[Sequence[Sequence[int]]], labels: Sequence[Sequence[int]], features: int
) -> list[_Group]:
    by_length: dict[int, list[int]] = {}
    for number, sentence in enumerate(sentences):
        if sentence:
            by_length.setdefault(len(sentence), []).append(number)
    groups = []
    for numbers in by_length.values():
        tokens = [token for n in numbers for token in sentences[n]]
        starts = np.cumsum([0, *(len(token) for token in tokens)])
        indices = np.concatenate([np.asarray(token, np.int64) for token in tokens])
        matrix = sparse.csr_matrix(
            (np.ones(len(indices)), indices, starts), shape=(len(tokens), features)
        )
        groups.append(_Group(matrix, np.array([labels[n] for n in numbers], np.int64)))
    return groups
