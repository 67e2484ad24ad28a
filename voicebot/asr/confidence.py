"""Token log-probabilities -> confidence of words and utterances, 0..1."""

from __future__ import annotations

import math
from collections.abc import Sequence


def word_confidence(log_probs: Sequence[float]) -> float:
    """Confidence of a word whose tokens have these log-probabilities."""
    return math.exp(min(log_probs, default=0.0))


def utterance_confidence(log_probs: Sequence[float]) -> float:
    """Confidence of an utterance: the geometric mean over its tokens; 0 without any."""
    if not log_probs:
        return 0.0
    return math.exp(sum(log_probs) / len(log_probs))
