"""Audio of the calls of a device: what came of each, what was computed, who has a chunk ready.

Silence before an utterance makes its chunks end with those of its lane. No torch, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.device_audio import ChunkRing

RING_CHUNKS = 8
"""Audio kept for a call; what comes faster is refused."""
GOES_ON = -1


class SlotAudio:
    """Positions of a slot count from its utterance's beginning, silence before it included."""

    def __init__(self, slots: int, chunk: int, lead: int) -> None:
        """`chunk` and `lead` in samples; every utterance begins with a lead of silence."""
        self._chunk, self._lead = chunk, lead
        self._ring = ChunkRing(slots, RING_CHUNKS, chunk)
        self._written = np.zeros(slots, np.int64)
        self._taken = np.zeros(slots, np.int64)
        self._silence = np.zeros(slots, np.int64)  # before the utterance: the lead and a pad
        self._ends = np.full(slots, GOES_ON, np.int64)
        self._ended_at = np.full(slots, np.inf)  # when the final was asked for
        self._open = np.zeros(slots, bool)
        self._rests = np.zeros(slots, bool)  # open, but nothing is being said
        self._ready_at = np.full(slots, np.inf)
        self.refused_samples = 0

    # ------------------------------------------------------------ what there is

    def rest(self, slot: int, rests: bool = True) -> None:
        """Nothing more of it for a while: its lane does not wait for it. What it said stays."""
        self._rests[slot] = rests

    def heard(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Samples of each one's present utterance that were computed."""
        heard: NDArray[np.int64] = np.maximum(self._taken[slots] - self._silence[slots], 0)
        return heard

    def waiting(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Samples of each that were not computed yet."""
        waiting: NDArray[np.int64] = self._written[slots] - self._taken[slots]
        return waiting

    def missing(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Samples until each has a whole chunk; 0 where one waits to be computed."""
        missing: NDArray[np.int64] = np.maximum(self._chunk - self.waiting(slots), 0)
        return missing

    # ------------------------------------------------------------ what comes

    def push(self, slot: int, samples: NDArray[np.int16], now: float) -> None:
        """Audio of one caller, int16[n] at the model's rate."""
        self.push_rows(np.array([slot]), samples[None], now)

    def push_rows(self, slots: NDArray[np.intp], samples: NDArray[np.int16], now: float) -> None:
        """Audio of many callers at once, int16[len(slots), n].

        What finds no place, because a caller sends faster than he speaks, is refused and counted;
        so is what comes for a slot that is not open.
        """
        count = samples.shape[1]
        fits = self._written[slots] - self._taken[slots] + count <= self._ring.length
        fits &= self._open[slots] & (self._ends[slots] == GOES_ON)
        self.refused_samples += int((~fits).sum()) * count
        slots, samples = slots[fits], samples[fits]
        self._ring.put(slots, self._written[slots], samples)
        self._written[slots] += count
        self._note_ready(slots, now)

    def push_each(
        self, slots: NDArray[np.intp], samples: Sequence[NDArray[np.int16]], now: float
    ) -> None:
        """The same of callers who bring different lengths."""
        counts = np.array([len(said) for said in samples], np.int64)
        fits = self.waiting(slots) + counts <= self._ring.length
        fits &= self._open[slots] & (self._ends[slots] == GOES_ON)
        self.refused_samples += int(counts[~fits].sum())
        for index in np.flatnonzero(fits).tolist():
            slot = int(slots[index])
            self._ring.put_one(slot, int(self._written[slot]), samples[index])
        self._written[slots] += counts * fits
        self._note_ready(slots, now)

    def _place(self, slots: Sequence[int], wait: int) -> None:
        """Their next utterance, whose first sample comes `wait` samples before a chunk of their
        lane is complete: silence before it makes its chunks end with the lane's."""
        where, lead = np.asarray(slots, np.intp), self._lead
        # Where that is a chunk or more, it does without: its chunks end up to a lead earlier.
        pad = max(0, self._chunk - lead - wait) if wait else 0
        for slot in slots:
            self._ring.clear(slot)
        self._written[where], self._taken[where] = lead + pad, 0
        self._silence[where] = lead + pad
        self._ends[where], self._ready_at[where] = GOES_ON, np.inf
        self._ended_at[where] = np.inf

    def _note_ready(self, slots: NDArray[np.intp] | Iterable[int], now: float) -> None:
        where = np.asarray(slots, np.intp)
        there = self._written[where] - self._taken[where]
        found = where[(there >= self._chunk) | (self._ends[where] != GOES_ON)]
        self._ready_at[found] = np.minimum(self._ready_at[found], now)

    def _chunks(self, rows: NDArray[np.intp], slots: NDArray[np.intp]) -> NDArray[np.int16]:
        """The next chunk of each row, int16[len(rows), chunk]; `slots`: those of them that take
        part. Beyond the end of what was said there is silence."""
        audio = self._ring.take(rows, self._taken[rows])
        there = self._written[slots] - self._taken[slots]
        for slot, end in zip(slots[there < self._chunk], there[there < self._chunk], strict=True):
            audio[slot - rows[0], end:] = 0  # what the ring held before
        return audio
