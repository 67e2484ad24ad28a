"""Where a recording's speaker pauses, as the product's own ears hear it. Pure.

For training and evaluation: a recording taken at leisure, window by window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebot.events import SAMPLE_RATE_HZ, SpeechStarted
from voicebot.turns.vad import WINDOW_SAMPLES, SpeechDetector

WEAK_DB = 12.0
"""Last words fall by as much at most, nearly always: what is weaker may be somebody else."""
SHORT_SAMPLES = SAMPLE_RATE_HZ // 5
"""Speech as short may be a breath, a click, a receiver put down."""
_FRAME = SAMPLE_RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech in [start_at, end_at); that it was over became known at `known_at`.

    `level_db`: the 90th percentile of its 20 ms frames, dBFS.
    """

    start_at: int
    end_at: int
    known_at: int
    level_db: float


def stretches(probabilities: Sequence[float], samples: NDArray[np.float32]) -> list[Stretch]:
    """All of a recording (float32 at 8 kHz) whose windows have these probabilities of speech.

    Speech that goes on when the recording ends is left out.
    """
    detector, found, onset = SpeechDetector(), [], 0
    for window, probability in enumerate(probabilities):
        for event in detector.feed(window * WINDOW_SAMPLES, float(probability)):
            if isinstance(event, SpeechStarted):
                onset = event.at
            else:
                # The last window of speech, not where the detector puts its end.
                end = event.detected_at - detector.min_silence_ms * SAMPLE_RATE_HZ // 1000
                found.append(Stretch(onset, end, event.detected_at, level_db(samples[onset:end])))
    return found


def doubtful(found: Sequence[Stretch]) -> int:
    """How many stretches at the end may be no words of the speaker; never all of them."""
    loudest = max((stretch.level_db for stretch in found), default=0.0)
    count = 0
    for stretch in reversed(found[1:]):
        is_short = stretch.end_at - stretch.start_at < SHORT_SAMPLES
        if not is_short and stretch.level_db >= loudest - WEAK_DB:
            break
        count += 1
    return count


def level_db(samples: NDArray[np.float32]) -> float:
    """Level of the loud parts: the 90th percentile of 20 ms frames, dBFS (at least -100)."""
    whole = samples[: len(samples) // _FRAME * _FRAME] if len(samples) >= _FRAME else samples
    if not len(whole):
        return -100.0
    power = np.mean(whole.reshape(-1, min(_FRAME, len(whole))).astype(np.float64) ** 2, axis=1)
    return float(10 * np.log10(np.percentile(power, 90) + 1e-10))
