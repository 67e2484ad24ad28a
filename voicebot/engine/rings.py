"""Audio of all slots by position: int16[slots, length], where a position is a sample's time."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
        self._views: dict[int, Samples] = {}

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
        count = samples.shape[1]
        begin = at % self.length
        over = np.flatnonzero(begin > self.length - count)
        if not len(over):
            self._runs(count)[rows, begin] = samples
            return
        whole = np.flatnonzero(begin <= self.length - count)
        self._runs(count)[rows[whole], begin[whole]] = samples[whole]
        for row in over.tolist():
            self.put(int(rows[row]), int(at[row]), samples[row])

    def get_rows(self, rows: Rows, at: NDArray[np.int64], count: int) -> Samples:
        """int16[n, count], from `at` int64[n] on."""
        begin = at % self.length
        last = self.length - count
        found: Samples = self._runs(count)[rows, np.minimum(begin, last)]
        for row in np.flatnonzero(begin > last).tolist():
            start = int(at[row])
            found[row] = self.get(int(rows[row]), start, start + count)
        return found

    def _runs(self, count: int) -> Samples:
        """int16[slots, length - count + 1, count]: every run of so many samples, in place.

        Indexed by slot and begin it moves whole runs; with an index for each sample that costs
        six times as much.
        """
        runs = self._views.get(count)
        if runs is None:
            runs = sliding_window_view(self._data, count, axis=1, writeable=True)
            self._views[count] = runs
        return runs
