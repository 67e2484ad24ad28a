"""Stretches of speech of a recording, and which of them may be none of the speaker's."""

import numpy as np
import pytest

from voicebot.turns.pauses import Stretch, doubtful, level_db, stretches
from voicebot.turns.vad import WINDOW_SAMPLES

pytestmark = pytest.mark.unit


def said(start: int, end: int, level: float = -20.0) -> Stretch:
    return Stretch(start * 8, end * 8, end * 8 + 1024, level)


def test_stretches_as_the_detector_hears_them() -> None:
    windows = [0.0] * 5 + [0.9] * 10 + [0.0] * 6 + [0.9] * 8 + [0.0] * 4 + [0.9] * 9
    samples = np.full(len(windows) * WINDOW_SAMPLES, 0.1, np.float32)
    first, second = stretches(windows, samples)
    assert (first.start_at, first.end_at) == (5 * WINDOW_SAMPLES, 15 * WINDOW_SAMPLES)
    assert first.known_at == 19 * WINDOW_SAMPLES
    assert (second.start_at, second.end_at) == (21 * WINDOW_SAMPLES, 29 * WINDOW_SAMPLES)
    assert first.level_db == pytest.approx(-20, abs=0.1)


def test_silence_has_none() -> None:
    assert stretches([0.0] * 50, np.zeros(50 * WINDOW_SAMPLES, np.float32)) == []
    assert doubtful([]) == 0


@pytest.mark.parametrize(
    ("found", "count"),
    [
        ([said(0, 1000), said(1500, 2500)], 0),
        ([said(0, 1000), said(1500, 2500, -40)], 1),
        ([said(0, 1000), said(1500, 1600)], 1),
        ([said(0, 1000), said(1500, 2500, -40), said(3000, 3100)], 2),
        ([said(0, 1000), said(1500, 2500, -40), said(3000, 4000)], 0),
        ([said(0, 100, -40)], 0),
    ],
)
def test_weak_or_short_sounds_at_the_end_are_doubtful(found: list[Stretch], count: int) -> None:
    assert doubtful(found) == count


def test_level_of_scraps() -> None:
    assert level_db(np.zeros(0, np.float32)) == -100
    assert level_db(np.full(5, 0.1, np.float32)) == pytest.approx(-20, abs=0.1)
