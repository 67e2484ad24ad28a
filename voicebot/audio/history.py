"""The last seconds of many signals, one ring per slot, as int16. Pure.

16 bits hold everything a telephone's 8-bit code can say and half the memory of float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
        self._views: dict[int, NDArray[np.int16]] = {}

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
        begin = (ends - length) % self.samples
        last = self.samples - length
        found = self._runs(length)[slots, np.minimum(begin, last)]
        for row in np.flatnonzero(begin > last).tolist():
            ring, start = self._flat[slots[row]], begin[row]
            first = self.samples - start
            found[row, :first], found[row, first:] = ring[start:], ring[: length - first]
        return to_float(found)

    def _runs(self, length: int) -> NDArray[np.int16]:
        """int16[slots, samples - length + 1, length]: every run of so many samples, in place."""
        runs = self._views.get(length)
        if runs is None:
            runs = self._views[length] = sliding_window_view(self._flat, length, axis=1)
        return runs

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
