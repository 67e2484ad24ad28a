"""From scores to probabilities: logistic regression on answers that were left out of training.

Three things tell how far the best intent is to be believed: its score, its lead over the next
one, and how similar the nearest example is. Right answers count as 1; wrong ones, and sentences
whose own intent was unknown, as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

UNKNOWN = 0.1
"""Weight of the sentences of unknown intents beside those of known ones: callers mostly ask for
what the line is for."""
BACKGROUND = 0.3
"""Weight of all sentences of the background together, beside the examples' together."""
PRIOR = 2.0
"""Strength of the belief in DEFAULT, in examples: a plan of five sentences teaches little."""
DEFAULT = (-3.5, 4.0, 2.0, 2.0)
"""Bias and weights of (score, lead, similarity), learned from Banking77's training part."""
SHARE = 0.08
"""Scores this far apart differ e-fold in probability, within what the best intent leaves over."""
STEPS = 30


@dataclass(frozen=True, slots=True)
class Calibration:
    """`weights`: bias, score, lead, similarity."""

    weights: tuple[float, float, float, float]

    def confidences(self, scores: Floats, nearest: float) -> Floats:
        """Probability of each intent, float [intents]; what is missing to 1 is "none"."""
        features = _features(scores[None], np.array([nearest]))
        best = float(_sigmoid(features @ np.array(self.weights))[0])
        shares = np.exp((scores - scores.max()) / SHARE)
        others = shares.sum() - 1.0
        top = int(scores.argmax())
        # The best keeps its own probability; wrong answers are shared out among the others.
        rest = (1.0 - best) * others / (1.0 + others)
        result = shares * (min(rest, best * others) / others if others > 0 else 0.0)
        result[top] = best
        return np.asarray(np.minimum(result, best), np.float32)


def fit_calibration(
    left_out: Floats,
    labels: NDArray[np.int64],
    nearest: Floats,
    unknown: Floats,
    nearest_other: Floats,
) -> Calibration:
    """From scores with each sentence left out [examples and background, intents], and with its
    intent left out [examples, intents].

    `labels` [examples]; `nearest`, `nearest_other`: similarity to the nearest remaining example.
    """
    count, rest = len(labels), len(left_out) - len(labels)
    known = _features(left_out, nearest)
    foreign = _features(unknown, nearest_other)
    features = np.concatenate([known, foreign])
    right = np.zeros(len(features))
    right[:count] = left_out[:count].argmax(axis=1) == labels
    weight = np.ones(len(features))
    weight[count : count + rest] = BACKGROUND * count / max(1, rest)
    weight[count + rest :] = UNKNOWN
    return Calibration(_logistic(features, right, weight))


def _features(scores: Floats, nearest: Floats) -> NDArray[np.float64]:
    two = np.sort(scores, axis=1)[:, -2:].astype(np.float64)
    two[~np.isfinite(two)] = 0.0
    best, lead = two[:, 1], two[:, 1] - two[:, 0]
    return np.stack([np.ones_like(best), best, lead, nearest.astype(np.float64)], axis=1)


def _logistic(
    features: NDArray[np.float64], right: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Newton's method, with a Gaussian prior around DEFAULT."""
    default = np.array(DEFAULT)
    w = default.copy()
    for _ in range(STEPS):
        p = _sigmoid(features @ w)
        gradient = features.T @ (weight * (p - right)) + PRIOR * (w - default)
        hessian = (features * (weight * p * (1 - p))[:, None]).T @ features + PRIOR * np.eye(4)
        step = np.linalg.solve(hessian, gradient)
        w = w - step * min(1.0, 4.0 / float(np.abs(step).max() + 1e-9))
    return float(w[0]), float(w[1]), float(w[2]), float(w[3])


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -30, 30))))
