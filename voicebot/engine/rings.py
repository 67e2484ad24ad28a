"""Audio of all slots by position: int16[slots, length], where a position is a sample's time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Samples = NDArray[np.int16]


class Ring:
    """Keeps the last `length` samples of each slot; positions count from the call's begin.

    It does not know how far a slot was written: whoever reads keeps to what is there.
    """

    def __init__(self, slots: int, length: int) -> None:
        """Zeros until written; memory is taken from the system as calls fill it."""
        self.length = length
        self._data: Samples = np.zeros((slots, length), np.int16)

    def clear(self, slot: int) -> None:
        """Silence."""
        self._data[slot] = 0

    def put(self, slot: int, at: int, samples: Samples) -> None:
        """int16[k] at `at`; of more than `length` the last ones stay."""
        if len(samples) > self.length:
            at, samples = at + len(samples) - self.length, samples[-self.length :]
        begin = at % self.length
        first = min(len(samples), self.length - begin)
        self._data[slot, begin : begin + first] = samples[:first]
        self._data[slot, : len(samples) - first] = samples[first:]

    def get(self, slot: int, start: int, end: int) -> Samples:
        """int16[end - start], a copy; at most `length`."""
        begin, count = start % self.length, end - start
        first = self._data[slot, begin : begin + count]
        if len(first) == count:
            return first.copy()
        return np.concatenate([first, self._data[slot, : count - len(first)]])

    def put_rows(self, rows: Rows, at: NDArray[np.int64], samples: Samples) -> None:
        """int16[n, k], row by row at `at` int64[n]."""
        self._data[rows[:, None], self._index(at, samples.shape[1])] = samples

    def get_rows(self, rows: Rows, at: NDArray[np.int64], count: int) -> Samples:
        """int16[n, count], from `at` int64[n] on."""
        samples: Samples = self._data[rows[:, None], self._index(at, count)]
        return samples

    def _index(self, at: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        index: NDArray[np.int64] = (at[:, None] + np.arange(count)) % self.length
        return index
