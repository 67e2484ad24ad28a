"""A line's constant offset taken out, for all calls at once, before anything else hears it. Pure.

Bad converters add one; recognisers were never taught speech that does not swing around zero. The
offset is the mean of late, a high pass at 0.4 Hz: it leaves voices, and the phase of the bot's
echo, as they are. What a sound line has of it is left alone, to the sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]

SHARE = np.float32(0.05)
"""Of a chunk's mean in the offset; more in a call's first chunks, which are averaged."""
TOLERATED = np.float32(80.0)
"""In steps of 16 bits (-52 dBFS): means of voices wander by so much, and nobody minds so little."""
_RANGE = np.float32(32767.0)


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
        mended = np.empty_like(chunks)
        state = self._mean, self._chunks
        is_bent = _remove(np.ascontiguousarray(slots, np.int64), chunks, *state, mended)
        return mended if is_bent else chunks


@compiled("boolean(int64[::1], int16[:,::1], float32[::1], float32[::1], int16[:,::1])")
def _remove(
    slots: Slots,
    chunks: NDArray[np.int16],
    means: NDArray[np.float32],
    heard: NDArray[np.float32],
    mended: NDArray[np.int16],
) -> bool:
    """See Offset.remove; whether any line of these has an offset, and `mended` without it."""
    count = chunks.shape[1]
    new = min(np.float32(1.0), np.float32(count) / np.float32(CHUNK_SAMPLES))
    is_bent = False
    for row in range(len(slots)):
        slot = slots[row]
        total = 0
        for t in range(count):
            total += chunks[row, t]
        heard[slot] += new
        share = max(SHARE, np.float32(1.0) / max(heard[slot], np.float32(1.0)))
        mean = np.float32(total) / np.float32(count)
        means[slot] += new * share * (mean - means[slot])
        excess = abs(means[slot]) - TOLERATED
        offset = np.rint(np.copysign(max(excess, np.float32(0.0)), means[slot]))
        is_bent |= excess > 0
        for t in range(count):
            sample = np.float32(chunks[row, t]) - offset
            if excess > 0:  # what a sound line has stays to the sample
                sample = min(max(sample, -_RANGE), _RANGE)
            mended[row, t] = np.int16(sample)
    return is_bent
