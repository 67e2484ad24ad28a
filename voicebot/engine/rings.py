"""Audio of all slots by position: int16[slots, length], where a position is a sample's time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicebot.compiled import compiled

Rows = NDArray[np.intp]
Samples = NDArray[np.int16]
Floats = NDArray[np.float32]


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
        seen = self.see(slot, start, end)
        return seen.copy() if seen.base is not None else seen

    def see(self, slot: int, start: int, end: int) -> Samples:
        """The same, but as it lies here if it is in one piece: it changes with the ring."""
        begin, count = start % self.length, max(0, end - start)
        first = self._data[slot, begin : begin + count]
        if len(first) == count:
            return first
        return np.concatenate([first, self._data[slot, : count - len(first)]])

    def put_rows(self, rows: Rows, at: NDArray[np.int64], samples: Samples) -> None:
        """int16[n, k], row by row at `at` int64[n]; k is at most `length`."""
        _put(rows, at, samples, self._data)

    def put_floats(
        self, rows: Rows, at: NDArray[np.int64], samples: Floats, wanted: NDArray[np.bool_]
    ) -> None:
        """float32[n, k] where `wanted` bool[n], rounded and clipped (pcm.to_int16)."""
        _put_floats(rows, at, samples, wanted, self._data)

    def get_rows(self, rows: Rows, at: NDArray[np.int64], count: int) -> Samples:
        """int16[n, count], from `at` int64[n] on."""
        found = np.empty((len(rows), count), np.int16)
        _get(rows, at, self._data, found)
        return found

    def get_floats(self, rows: Rows, at: NDArray[np.int64], count: int) -> Floats:
        """The same as float32, full scale 1 (pcm.to_float)."""
        found = np.empty((len(rows), count), np.float32)
        _get_floats(rows, at, self._data, found)
        return found


@compiled("void(int64[::1], int64[::1], int16[:,::1], int16[:,::1])")
def _put(rows: Rows, at: NDArray[np.int64], samples: Samples, data: Samples) -> None:
    count, length = samples.shape[1], data.shape[1]
    for row in range(len(rows)):
        into, place = data[rows[row]], at[row] % length
        first = min(count, length - place)
        for t in range(first):
            into[place + t] = samples[row, t]
        for t in range(first, count):
            into[t - first] = samples[row, t]


@compiled("void(int64[::1], int64[::1], float32[:,::1], boolean[::1], int16[:,::1])")
def _put_floats(
    rows: Rows,
    at: NDArray[np.int64],
    samples: Floats,
    wanted: NDArray[np.bool_],
    data: Samples,
) -> None:
    count, length = samples.shape[1], data.shape[1]
    for row in range(len(rows)):
        if not wanted[row]:
            continue
        into, place = data[rows[row]], at[row] % length
        first = min(count, length - place)
        for t in range(count):
            sample = np.rint(samples[row, t] * np.float32(32768.0))
            sample = min(max(sample, np.float32(-32768.0)), np.float32(32767.0))
            into[place + t if t < first else t - first] = np.int16(sample)


@compiled("void(int64[::1], int64[::1], int16[:,::1], int16[:,::1])")
def _get(rows: Rows, at: NDArray[np.int64], data: Samples, found: Samples) -> None:
    count, length = found.shape[1], data.shape[1]
    for row in range(len(rows)):
        of, place = data[rows[row]], at[row] % length
        first = min(count, length - place)
        for t in range(first):
            found[row, t] = of[place + t]
        for t in range(first, count):
            found[row, t] = of[t - first]


@compiled("void(int64[::1], int64[::1], int16[:,::1], float32[:,::1])")
def _get_floats(rows: Rows, at: NDArray[np.int64], data: Samples, found: Floats) -> None:
    count, length = found.shape[1], data.shape[1]
    for row in range(len(rows)):
        of, place = data[rows[row]], at[row] % length
        first = min(count, length - place)
        for t in range(first):
            found[row, t] = np.float32(of[place + t]) * np.float32(1.0 / 32768.0)
        for t in range(first, count):
            found[row, t] = np.float32(of[t - first]) * np.float32(1.0 / 32768.0)
