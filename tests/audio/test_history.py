"""Histories read over the end of their rings."""

import numpy as np
import pytest

from voicebot.audio.history import History

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("length", [10, 35, 60])
def test_reads_the_last_samples_wherever_the_ring_ends(length: int) -> None:
    history = History(3, 6, 10)
    slots = np.array([2, 0])
    spoken = np.random.default_rng(0).integers(-999, 999, (2, 300)).astype(np.float32) / 32768
    for count in range(30):
        block = spoken[:, 10 * count : 10 * count + 10]
        history.write(slots, np.full(2, count), block)
        end = 10 * (count + 1)
        if end >= length + 7:
            ends = np.array([end, max(end - 7, length)]) if length < 60 else np.array([end, end])
            read = history.read(slots, ends, length)
            for row, last in enumerate(ends):
                np.testing.assert_array_equal(read[row], spoken[row, last - length : last])
