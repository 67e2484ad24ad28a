"""The last seconds of many signals, one ring per slot, as int16. Pure.

16 bits hold everything a telephone's 8-bit code can say and half the memory of float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.pcm import to_float
from voicebot.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]


class History:
    """Rings of `blocks` blocks of `block` samples; the caller counts what each slot wrote."""

    def __init__(self, slots: int, blocks: int, block: int) -> None:
        self.blocks = blocks
        self.block = block
        self.samples = blocks * block
        self._rings = np.zeros((slots, blocks, block), np.int16)
        self._flat = self._rings.reshape(slots, self.samples)

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._rings.nbytes

    def clear(self, slots: Slots | int) -> None:
        """All silence."""
        self._rings[slots] = 0

    def write(self, slots: Slots, counts: NDArray[np.int64], signal: NDArray[np.float32]) -> None:
        """Put float32[n, block] where block number `counts` (int64[n]) belongs."""
        _write(slots, counts, np.ascontiguousarray(signal), self._rings)

    def read(self, slots: Slots, ends: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """float32[n, length], the samples before sample `ends` (int64[n]) of each slot.

        At most `samples` long and not older than that, or what is newer shows through.
        """
        found = np.empty((len(slots), length), np.float32)
        _read(slots, ends, self._flat, found)
        return found

    def ring(self, slots: Slots) -> NDArray[np.float32]:
        """float32[n, blocks, block] as stored: block number c at c % blocks."""
        return to_float(self._rings[slots])


@compiled("void(int64[::1], int64[::1], float32[:,::1], int16[:,:,::1])")
def _write(
    slots: Slots,
    counts: NDArray[np.int64],
    signal: NDArray[np.float32],
    rings: NDArray[np.int16],
) -> None:
    """See History.write; rounded and clipped as pcm.to_int16 does."""
    for row in range(len(slots)):
        into = rings[slots[row], counts[row] % rings.shape[1]]
        for t in range(len(into)):
            sample = np.rint(signal[row, t] * np.float32(32768.0))
            into[t] = np.int16(min(max(sample, np.float32(-32768.0)), np.float32(32767.0)))


@compiled("void(int64[::1], int64[::1], int16[:,::1], float32[:,::1])")
def _read(
    slots: Slots,
    ends: NDArray[np.int64],
    rings: NDArray[np.int16],
    found: NDArray[np.float32],
) -> None:
    """See History.read."""
    length, samples = found.shape[1], rings.shape[1]
    for row in range(len(slots)):
        of, begin = rings[slots[row]], (ends[row] - length) % samples
        first = min(length, samples - begin)
        for t in range(first):
            found[row, t] = np.float32(of[begin + t]) * np.float32(1.0 / 32768.0)
        for t in range(first, length):
            found[row, t] = np.float32(of[t - first]) * np.float32(1.0 / 32768.0)
