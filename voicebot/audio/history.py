"""The last seconds of many signals, one ring per slot, as int16. Pure.

16 bits hold everything a telephone's 8-bit code can say and half the memory of float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.pcm import to_float, to_int16

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

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._rings.nbytes

    def clear(self, slots: Slots | int) -> None:
        """All silence."""
        self._rings[slots] = 0

    def write(self, slots: Slots, counts: NDArray[np.int64], signal: NDArray[np.float32]) -> None:
        """Put float32[n, block] where block number `counts` (int64[n]) belongs."""
        self._rings[slots, counts % self.blocks] = to_int16(signal)

    def read(self, slots: Slots, ends: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """float32[n, length], the samples before sample `ends` (int64[n]) of each slot.

        At most `samples` long and not older than that, or what is newer shows through.
        """
        index = (ends - length)[:, None] + np.arange(length)
        index %= self.samples
        index += (slots * self.samples)[:, None]
        return to_float(self._rings.reshape(-1).take(index))

    def ring(self, slots: Slots) -> NDArray[np.float32]:
        """float32[n, blocks, block] as stored: block number c at c % blocks."""
        return to_float(self._rings[slots])
