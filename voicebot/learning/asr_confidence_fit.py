"""Fitting the recogniser's confidence: which words were right, logistic models, how good they are.

What was recognised is kept as `Observed`: features of the room's own making and the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.confidence import Calibration, Logistic
from voicebot.asr.confidence_features import (
    UTTERANCE_FEATURES,
    WORD_FEATURES,
    Piece,
    utterance_features,
    word_features,
)
from voicebot.learning.asr_transcripts import words_of

Vector = NDArray[np.float64]
Truth = NDArray[np.bool_]

RIDGE = 3.0
"""Weight of the squares of the weights, as of so many recordings."""
EVENNESS = 0.5
"""Sets of recordings weigh by their size to the power of 1 minus this."""
UNINTELLIGIBLE = frozenset(["foreign", "backwards"])
"""Sets in which nothing is English: how much they weigh decides how readily words are doubted."""
STEPS = 25
BINS = 10
FILLERS = frozenset(["uh", "um", "er", "erm", "ah", "hm", "hmm", "mm", "mhm", "huh"])
"""Nobody misses them, nobody minds them."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One utterance as recognised: `is_right` of each of its words, `is_all_right` of the whole.

    `part`: held-out half 0 or 1, or what else it comes from. Of orders the words' truth is not
    known: `is_right` is empty.
    """

    kind: str
    part: str
    search: str
    pieces: tuple[Piece, ...]
    is_right: tuple[bool, ...]
    is_all_right: bool

    def features(self) -> Vector:
        """float64[words, WORD_FEATURES]."""
        return np.concatenate([word_features(piece) for piece in self.pieces])


_Placed = list[tuple[str, tuple[int, ...]]]
"""Words, and which of the recogniser's words they come from."""


def truth(words: Sequence[str], reference: str) -> tuple[tuple[bool, ...], bool]:
    """(of each recognised word whether it was said, whether nothing is wrong)."""
    heard: _Placed = [(part, (at,)) for at, word in enumerate(words) for part in words_of(word)]
    heard = [one for one in heard if one[0] not in FILLERS]
    wanted: _Placed = [(word, (0,)) for word in words_of(reference) if word not in FILLERS]
    heard, wanted = (
        _joined(heard, [word for word, _ in wanted]),
        _joined(wanted, [word for word, _ in heard]),
    )
    errors, matched = _align([word for word, _ in heard], [word for word, _ in wanted])
    wrong = {at for (_, origin), ok in zip(heard, matched, strict=True) if not ok for at in origin}
    return tuple(at not in wrong for at in range(len(words))), errors == 0


def _joined(words: _Placed, others: Sequence[str]) -> _Placed:
    """ "think engine" is "thinkengine" where the other side has it so."""
    whole, apart, out = set(others), set(pairwise(others)), _Placed()
    for word, origin in words:
        if out and out[-1][0] + word in whole and (out[-1][0], word) not in apart:
            before = out.pop()
            out.append((before[0] + word, before[1] + origin))
        else:
            out.append((word, origin))
    return out


def _align(heard: Sequence[str], wanted: Sequence[str]) -> tuple[int, list[bool]]:
    """(edits, of each heard word whether it matches), by Levenshtein's alignment."""
    rows, columns = len(heard), len(wanted)
    cost = [
        [max(i, j) if not (i and j) else 0 for j in range(columns + 1)] for i in range(rows + 1)
    ]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            replaced = cost[i - 1][j - 1] + (heard[i - 1] != wanted[j - 1])
            cost[i][j] = min(cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced)
    matched, i, j = [False] * rows, rows, columns
    while i and j:
        is_same = heard[i - 1] == wanted[j - 1]
        if cost[i][j] == cost[i - 1][j - 1] + (not is_same):
            i, j = i - 1, j - 1
            matched[i] = is_same
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return cost[rows][columns], matched


# ---------------------------------------------------------------- fitting


def fit(observed: Sequence[Observed], unintelligible: float = 1.0) -> Calibration:
    """Both models for one kind of search. `unintelligible`: what such recordings weigh."""
    known = [one for one in observed if one.is_right]
    features = [one.features() for one in known]
    weights = _even([one.kind for one in known], [len(one.is_right) for one in known])
    weights *= _doubted(known, unintelligible)
    word = logistic(
        np.concatenate(features),
        np.concatenate([np.array(one.is_right) for one in known]),
        np.repeat(weights, [len(one.is_right) for one in known]),
    )
    rows = np.array([_of_whole(one, word) for one in observed])
    right = np.array([one.is_all_right for one in observed])
    weights = _even([one.kind for one in observed]) * _doubted(observed, unintelligible)
    return Calibration(word, logistic(rows, right, weights))


def _doubted(observed: Sequence[Observed], unintelligible: float) -> Vector:
    return np.array([unintelligible if one.kind in UNINTELLIGIBLE else 1.0 for one in observed])


def logistic(features: Vector, right: Truth, weights: Vector, ridge: float = RIDGE) -> Logistic:
    """Ridge-penalised logistic regression by Newton's method (IRLS)."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6] = 1.0
    rows = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    penalty = np.full(rows.shape[1], ridge)
    penalty[-1] = 1e-6
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (weights * (right - said)) - penalty * found
        curve = (rows * (weights * np.maximum(said * (1 - said), 1e-6))[:, None]).T @ rows
        step = np.linalg.solve(curve + np.diag(penalty), slope)
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return Logistic(mean, scale, found[:-1], float(found[-1]))


def answers(one: Observed, calibration: Calibration) -> tuple[Vector, float]:
    """(chances of its words, chance of the whole)."""
    rows = _of_whole(one, calibration.word)
    return calibration.word(one.features()), float(calibration.utterance(rows[None])[0])


def _of_whole(one: Observed, word: Logistic) -> Vector:
    return utterance_features(one.pieces, [float(chance) for chance in word(one.features())])


def _even(kinds: Sequence[str], sizes: Sequence[int] | None = None) -> Vector:
    """Weights that sum up to the number of recordings or words, sets nearer to each other."""
    counts: dict[str, int] = {}
    for kind, size in zip(kinds, sizes or [1] * len(kinds), strict=True):
        counts[kind] = counts.get(kind, 0) + size
    weights = np.array([counts[kind] ** -EVENNESS for kind in kinds])
    of_all = np.array(sizes or [1] * len(kinds))
    return np.asarray(weights * of_all.sum() / (weights * of_all).sum())


# ---------------------------------------------------------------- judging


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one set: Brier scores, share right and mean confidence, of words and of utterances."""

    words: int
    utterances: int
    word_brier: float
    word_right: float
    word_said: float
    brier: float
    right: float
    said: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model said of an utterance that it was not fitted to, and the truth."""

    kind: str
    words: Vector
    is_right: Truth
    whole: float
    is_all_right: bool


def crossed(
    observed: Sequence[Observed],
    halves: tuple[str, str],
    tested: Sequence[Observed],
    unintelligible: float = 1.0,
) -> list[Answered]:
    """Every tested utterance of either half, judged by models that saw the other half alone (and
    what belongs to neither)."""
    found = []
    for half in halves:
        calibration = fit([one for one in observed if one.part != half], unintelligible)
        for one in tested:
            if one.part == half:
                words, whole = answers(one, calibration)
                is_right = np.array(one.is_right, bool)
                words = words if len(is_right) else words[:0]
                found.append(Answered(one.kind, words, is_right, whole, one.is_all_right))
    return found


def figures(answered: Sequence[Answered]) -> Figures:
    """Of those together."""
    said = np.concatenate([one.words for one in answered])
    right = np.concatenate([one.is_right for one in answered])
    whole = np.array([one.whole for one in answered])
    all_right = np.array([one.is_all_right for one in answered])
    return Figures(
        len(said),
        len(whole),
        *(_brier(said, right) if len(said) else (float("nan"),) * 3),
        *_brier(whole, all_right),
    )


def by_set(answered: Sequence[Answered]) -> Mapping[str, Figures]:
    """Of every set, and of "all"."""
    kinds = sorted({one.kind for one in answered})
    found = {kind: figures([one for one in answered if one.kind == kind]) for kind in kinds}
    return found | {"all": figures(answered)}


def _brier(said: Vector, right: Truth) -> tuple[float, float, float]:
    return float(np.mean((said - right) ** 2)), float(right.mean()), float(said.mean())


def reliability(said: Vector, right: Truth) -> list[tuple[float, float, int]]:
    """(mean confidence, share right, how many) of each tenth of the scale that occurs."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    return [
        (float(said[bins == n].mean()), float(right[bins == n].mean()), int((bins == n).sum()))
        for n in range(BINS)
        if (bins == n).any()
    ]


def as_dict(calibration: Calibration) -> dict[str, dict[str, object]]:
    """As the room reads it."""
    both = {
        "word": (calibration.word, WORD_FEATURES),
        "utterance": (calibration.utterance, UTTERANCE_FEATURES),
    }
    return {
        name: {
            "features": list(names),
            "mean": [round(float(x), 5) for x in model.mean],
            "scale": [round(float(x), 5) for x in model.scale],
            "weights": [round(float(x), 5) for x in model.weights],
            "bias": round(model.bias, 5),
        }
        for name, (model, names) in both.items()
    }
