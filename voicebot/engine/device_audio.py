"""Audio of calls that waits to be computed, kept so that whole chunks lie in one piece.

Of thousands of calls a chunk is 10 MB: with an index for every sample (engine.rings) gathering
it costs the host more time than the device needs for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Places = NDArray[np.int64]


class ChunkRing:
    """The last `chunks` chunks of every slot; positions count samples from 0."""

    def __init__(self, slots: int, chunks: int, chunk: int) -> None:
        """Zeros until written; the system gives memory as calls fill it."""
        self.length, self.chunk = chunks * chunk, chunk
        self._data = np.zeros((slots, chunks, chunk), np.int16)
        self._flat = self._data.reshape(slots, self.length)

    def clear(self, slot: int) -> None:
        """Silence."""
        self._flat[slot] = 0

    def put(self, rows: Rows, at: Places, samples: NDArray[np.int16]) -> None:
        """int16[n, k], row by row at `at` int64[n]; k is at most `length`.

        Rows that write at the same place, as those of a lane do, are written together.
        """
        count, begins = samples.shape[1], at % self.length
        for begin in np.unique(begins).tolist():
            (mine,) = np.nonzero(begins == begin)
            where, first = rows[mine], min(count, self.length - begin)
            self._flat[where, begin : begin + first] = samples[mine, :first]
            if first < count:
                self._flat[where, : count - first] = samples[mine, first:]

    def put_one(self, row: int, at: int, samples: NDArray[np.int16]) -> None:
        """int16[k] of one row at `at`; k is at most `length`."""
        begin = at % self.length
        first = min(len(samples), self.length - begin)
        self._flat[row, begin : begin + first] = samples[:first]
        if first < len(samples):
            self._flat[row, : len(samples) - first] = samples[first:]

    def take(self, rows: Rows, at: Places) -> NDArray[np.int16]:
        """int16[n, chunk], a copy; each `at` is a multiple of the chunk."""
        taken: NDArray[np.int16] = self._data[rows, at // self.chunk % self._data.shape[1]]
        return taken
