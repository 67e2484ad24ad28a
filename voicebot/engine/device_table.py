"""What is asked of the calls of a device, as arrays by their rows: thousands are looked at at once.

Most calls need nothing at most ticks; which of them do is computed for all together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
NEVER = np.iinfo(np.int64).max


class CallTable:
    """One entry for each row; positions are samples on the call's clock, times seconds."""

    def __init__(self) -> None:
        """Of no rows; `grow` makes room."""
        self.call = np.zeros(0, np.intp)  # whose row it is
        self.is_live = np.zeros(0, bool)  # something is asked of it, or was a moment ago
        self.is_ending = np.zeros(0, bool)  # all of its utterance was fed
        self.start = np.zeros(0, np.int64)  # of the utterance
        self.fed = np.zeros(0, np.int64)  # up to where
        self.final = np.zeros(0, np.int64)  # where a final that is asked for ends, or NEVER
        self.pause = np.zeros(0, np.int64)  # the same of a speculative one
        self.pause_at = np.zeros(0)  # when that was asked for, or inf
        self.is_partial = np.zeros(0, bool)  # a partial is asked for
        self.idle_at = np.zeros(0)  # when the last request came, or inf while one waits

    def grow(self, rows: int) -> None:
        """Room for rows 0..rows-1."""
        for name, held in vars(self).items():
            if len(held) < rows:
                more = np.zeros(max(rows, 2 * len(held)), held.dtype)
                more[: len(held)] = held
                setattr(self, name, more)

    def fed_now(self) -> Rows:
        """Rows that are fed as audio comes."""
        return np.flatnonzero(self.is_live & ~self.is_ending)

    def due(
        self,
        rows: Rows,
        heard: NDArray[np.int64],
        has_all: NDArray[np.bool_],
        now: float,
        patience_s: float,
        idle: NDArray[np.float64],
    ) -> Rows:
        """Those with something to answer, or that may rest.

        `heard`: where what was computed of each ends. `has_all`: nothing that makes a whole chunk
        waits. `patience_s`: of pauses. `idle`: seconds after which each rests.
        """
        is_due = self.is_partial[rows] & has_all
        is_due |= (heard >= self.pause[rows]) | (now - self.pause_at[rows] > patience_s)
        is_due |= (heard >= self.final[rows]) & ~self.is_ending[rows]
        is_due |= now - self.idle_at[rows] > idle
        return rows[is_due]
