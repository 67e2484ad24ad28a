"""A line's constant offset taken out, for all calls at once, before anything else hears it. Pure.

Bad converters add one; recognisers were never taught speech that does not swing around zero. The
offset is the mean of late, a high pass at 0.4 Hz: it leaves voices, and the phase of the bot's
echo, as they are. What a sound line has of it is left alone, to the sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]

SHARE = np.float32(0.05)
"""Of a chunk's mean in the offset; more in a call's first chunks, which are averaged."""
TOLERATED = np.float32(80.0)
"""In steps of 16 bits (-52 dBFS): means of voices wander by so much, and nobody minds so little."""
_RANGE = 32767.0


class Offset:
    """The offset of each slot's line."""

    def __init__(self, slots: int) -> None:
        self._mean = np.zeros(slots, np.float32)
        self._chunks = np.zeros(slots, np.float32)  # heard

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._mean[slot] = 0.0
        self._chunks[slot] = 0.0

    def remove(self, slots: Slots, chunks: NDArray[np.int16]) -> NDArray[np.int16]:
        """The next chunk of each of these slots (intp[n], distinct), int16[n, samples], without its
        offset; the same array where there is none."""
        means = chunks.mean(axis=1, dtype=np.float32)
        new = np.float32(min(1.0, chunks.shape[1] / CHUNK_SAMPLES))
        self._chunks[slots] += new
        mean = self._mean[slots]
        share = np.maximum(SHARE, 1.0 / np.maximum(self._chunks[slots], 1.0))
        mean += new * share * (means - mean)
        self._mean[slots] = mean
        excess = np.abs(mean) - TOLERATED
        bent = np.flatnonzero(excess > 0)
        if not len(bent):
            return chunks
        offset = np.rint(np.copysign(excess[bent], mean[bent]))
        mended = chunks.copy()
        mended[bent] = np.clip(chunks[bent] - offset[:, None], -_RANGE, _RANGE)
        return mended
