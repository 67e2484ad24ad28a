"""How sure the recogniser may be: the chance that a word is right, and that all of them are.

What the search leaves behind anyway (log-probabilities of tokens and of the end, the other beams)
and what the audio shows (level, noise, pace) are features of two logistic models, one for words,
one for whole utterances, which is given the words' answers too. Their parameters come from
recordings with known texts (`learning.asr_confidence`) and lie in `models/confidence.json`, by
how the sentence was searched: greedy (a single beam says nothing of rivals), with a beam, or with
what the dialogue expects, where the free hypothesis counts too: how sure that is itself, and its
lead. Where even that is nothing that anybody said, no grammar makes an answer of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from voicebot.asr.confidence_features import (
    UTTERANCE_FEATURES,
    WORD_FEATURES,
    Piece,
    Sentence,
    Vector,
    free_of,
    utterance_features,
    word_features,
)
from voicebot.asr.decoder import Decoded

FILE = Path(__file__).parent / "models" / "confidence.json"
Search = Literal["greedy", "beam", "expected"]

INVENTED, INVENTED_WORD = 0.05, 0.2
"""An utterance less sure than this, whose words are on average less sure than that, is not
reported."""
UNSURE = 0.3
FOREIGN: Mapping[Search, tuple[float, int]] = {"beam": (UNSURE, 6), "expected": (0.03, 1)}
"""Nor is an utterance less sure than UNSURE whose words are on average less sure than this, and so
many at least: so speech in another language is read, and hardly any in English (LOG.md). Greedy
readings are partials, which tell that somebody speaks, or sure."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """1 / (1 + exp(-(weights . (features - mean) / scale + bias)))."""

    mean: Vector
    scale: Vector
    weights: Vector
    bias: float

    def __call__(self, features: Vector) -> Vector:
        """float64[N, features] -> float64[N], 0..1."""
        score = (features - self.mean) / self.scale @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(score, -30, 30))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The two models for one kind of search."""

    word: Logistic
    utterance: Logistic


@dataclass(frozen=True, slots=True)
class Judgement:
    """`words`: the chance of each word of the chosen sentences to be right; `utterance`: of all."""

    words: tuple[float, ...]
    utterance: float


def judge(pieces: Sequence[Piece], calibration: Calibration | None = None) -> Judgement:
    """Of an utterance's pieces; no words have no confidence. `calibration`: the shipped one for
    this search unless given."""
    pieces = [piece for piece in pieces if piece.sentences[0].words]
    if not pieces:
        return Judgement((), 0.0)
    of_search = calibration or shipped()[searched(pieces)]
    chances = of_search.word(np.concatenate([word_features(piece) for piece in pieces]))
    words = tuple(float(chance) for chance in chances)
    features = utterance_features(pieces, words)
    whole = float(of_search.utterance(features[None])[0])
    if calibration is None and searched(pieces) == "expected" and _is_nothing_freely(pieces):
        words = tuple(min(word, INVENTED_WORD / 2) for word in words)
        whole = min(whole, INVENTED / 2)
    return Judgement(words, whole)


def searched(pieces: Sequence[Piece]) -> Search:
    """What the sentences were searched with."""
    if any(piece.sentences[0].decoded.free_margin is not None for piece in pieces):
        return "expected"
    return "beam" if any(len(piece.sentences) > 1 for piece in pieces) else "greedy"


def is_invented(judgement: Judgement) -> bool:
    """Whether nobody can have said this: the recogniser's answer to noise, or to speech that it
    makes nothing of."""
    return judgement.utterance < INVENTED and _mean(judgement) < INVENTED_WORD


def is_foreign(judgement: Judgement, search: Search) -> bool:
    """Whether `search` made English words, none of them sure, of what probably is none."""
    bound, least = FOREIGN.get(search, (0.0, 0))
    has_enough = len(judgement.words) >= least
    return has_enough and judgement.utterance < UNSURE and _mean(judgement) < bound


def _mean(judgement: Judgement) -> float:
    return sum(judgement.words) / max(1, len(judgement.words))


def unexpected(pieces: Sequence[Piece]) -> list[Piece] | None:
    """With what was heard but not expected in front, where what is in front is invented; None
    where it is not, or that is invented too, by the calibration of a search that expects nothing.

    The calibration for what is expected hardly believes anything else, and goes on to say how sure
    the words are: a dialogue shall say that it did not understand, not that it heard nothing.
    """
    if not pieces or searched(pieces) != "expected" or not is_invented(judge(pieces)):
        return None
    return None if _is_nothing_freely(pieces) else [_free_first(piece) for piece in pieces]


def _is_nothing_freely(pieces: Sequence[Piece]) -> bool:
    """Whether the free beams' reading is invented: a grammar makes no answer of such audio."""
    found = [_free_first(piece) for piece in pieces]
    free = [replace(piece, sentences=[*map(_freely, piece.sentences)]) for piece in found]
    return is_invented(judge(free, shipped()["beam"]))


def _free_first(piece: Piece) -> Piece:
    """With what is heard without knowledge in front; its rivals by their scores."""
    free = free_of(piece)
    others = (one for one in piece.sentences if one is not free)
    ordered = sorted(others, key=lambda one: one.decoded.score, reverse=True)
    return replace(piece, sentences=[free, *ordered])


def _freely(sentence: Sentence) -> Sentence:
    return replace(sentence, decoded=replace(sentence.decoded, bias=0.0, free_margin=None))


def mean_probability(pieces: Sequence[Decoded]) -> float:
    """Geometric mean over the tokens of an utterance (its pieces, ends included); 0 if empty.

    Not calibrated: it compares readings of one utterance with each other.
    """
    log_probs = [log_prob for piece in pieces for log_prob in piece.log_probs]
    if not log_probs:
        return 0.0
    log_probs += [piece.end_log_prob for piece in pieces if piece.end_log_prob is not None]
    return math.exp(sum(log_probs) / len(log_probs))


# ---------------------------------------------------------------- parameters


@cache
def shipped() -> Mapping[str, Calibration]:
    """The parameters in the package, by search."""
    return read(FILE)


def read(path: Path) -> dict[str, Calibration]:
    """Parameters by search."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        search: Calibration(
            _logistic(both["word"], WORD_FEATURES),
            _logistic(both["utterance"], UTTERANCE_FEATURES),
        )
        for search, both in content["searches"].items()
    }


def _logistic(content: Mapping[str, Any], names: Sequence[str]) -> Logistic:
    if content["features"] != list(names):
        raise ValueError("fitted to other features: python -m voicebot.learning.asr_confidence")
    mean, scale, weights = (
        np.array(content[key], np.float64) for key in ("mean", "scale", "weights")
    )
    return Logistic(mean, scale, weights, float(content["bias"]))
