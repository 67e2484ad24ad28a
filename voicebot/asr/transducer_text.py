"""What a transducer's labels say: words, when they were said, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import Alternative, Hypothesis, Word


def hypothesis(
    vocabulary: Vocabulary,
    tokens: Sequence[int],
    at: Sequence[int],
    log_probs: Sequence[float],
    *,
    frame_samples: int,
) -> Hypothesis:
    """Of labels, each at a sample of the utterance.

    A word lasts from its first label's frame to the end of its last one's: transducers say a
    label when they are sure of it, up to a few frames late. Confidence is the geometric mean of
    the labels' probabilities: not calibrated, as nothing is known of the model's training.
    """
    words = []
    for text, indices in vocabulary.words(tokens):
        begin, end = max(0, at[indices[0]]), max(0, at[indices[-1]] + frame_samples)
        sure = math.exp(sum(log_probs[index] for index in indices) / len(indices))
        words.append(Word(text, sure, begin, end))
    if not words:
        return Hypothesis("")
    text = " ".join(word.text for word in words)
    sure = math.exp(sum(log_probs) / len(log_probs))
    return Hypothesis(text, tuple(words), sure, (Alternative(text, sure),))
