"""The far end as it lies in the near end: what was heard and sent lately, and how they align. Pure.

Two clocks that differ move the echo slowly through the filter. The lag between near end and
predicted echo, by one Gauss-Newton step on the delay (near(t) = echo(t - lag), so near - echo =
-lag * echo'), drives the rate at which the reference is read: whole samples by the place, the
rest by the phase of its spectrum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.history import History
from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]
    Flags = NDArray[np.bool_]

MAX_RATE = np.float32(500e-6 * CHUNK_SAMPLES)
"""Samples per block: clocks of telephones differ by 200 ppm at most."""
_RATE_SHARE = np.float32(0.003)  # of the lag, per block, in the rate: follows in about 1 s
_LAG_SHARE = np.float32(0.03)  # and in the place
_MAX_LAG = np.float32(1.0)  # samples; beyond this the step means nothing
_LEAK = np.float32(0.8)


class Reference:
    """Histories of both ends, place and rate of the reference, for all slots."""

    def __init__(self, slots: int, far_blocks: int, near_blocks: int) -> None:
        """So many blocks of each are kept."""
        self._far = History(slots, far_blocks, CHUNK_SAMPLES)
        self._near = History(slots, near_blocks, CHUNK_SAMPLES)
        self._counts = np.zeros(slots, np.int64)  # blocks written
        self.shift = np.zeros(slots, np.int64)
        """int64[slots]: samples by which the far end is read late."""
        self.fraction = np.zeros(slots, np.float32)
        """float32[slots]: and the rest, -0.5..0.5."""
        self.rate = np.zeros(slots, np.float32)
        """float32[slots]: samples per block by which that grows."""
        self._product = np.zeros(slots, np.float32)
        self._energy = np.zeros(slots, np.float32)

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._far.nbytes + self._near.nbytes

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._far.clear(slot)
        self._near.clear(slot)
        self._counts[slot] = 0
        self.rate[slot] = 0.0
        self.place(slot, 0)

    def place(self, slot: int, shift: int) -> None:
        """Read the far end `shift` samples late from now on; the rate stays."""
        self.shift[slot] = shift
        self.fraction[slot] = self._product[slot] = self._energy[slot] = 0.0

    def forget_near(self, slots: Slots) -> None:
        """What was heard before a prompt has no part in its echo."""
        self._near.clear(slots)

    def write(self, slots: Slots, near: Signal, far: Signal) -> None:
        """The next block of each."""
        self._far.write(slots, self._counts[slots], far)
        self._near.write(slots, self._counts[slots], near)
        self._counts[slots] += 1

    # ------------------------------------------------------------ reading

    def late(self, slots: Slots, blocks: int, samples: NDArray[np.int64]) -> Signal:
        """Far end of the last `blocks` blocks, `samples` (int64[n]) late."""
        ends = self._counts[slots] * CHUNK_SAMPLES - samples
        return self._far.read(slots, ends, blocks * CHUNK_SAMPLES)

    def frames(self, slots: Slots) -> Signal:
        """The block now and the one before, in place but for the fraction, float32[n, 320]."""
        return self.late(slots, 2, self.shift[slots])

    def heard(
        self, slots: Slots, blocks: int, before: int, shift: NDArray[np.int64]
    ) -> tuple[Signal, Signal]:
        """Near end of the last `blocks`, float32[n, blocks * 160]; far end of these and `before`
        more, `shift` (int64[n]) samples late."""
        ends = self._counts[slots] * CHUNK_SAMPLES
        near = self._near.read(slots, ends, blocks * CHUNK_SAMPLES)
        return near, self.late(slots, blocks + before, shift)

    # ------------------------------------------------------------ drift

    def drift(self, slots: Slots, near: Signal, echo: Signal, is_clear: Flags) -> NDArray[np.int64]:
        """Move on by a block; whole samples moved, int64[n].

        The rate follows the lag of the predicted echo where `is_clear` (bool[n]) that the near
        end is echo for the most part.
        """
        moved = np.empty(len(slots), np.int64)
        state = self.rate, self.fraction, self.shift, self._product, self._energy
        _drift(slots, near, echo, is_clear, *state, moved)
        return moved

    def coast(self, slots: Slots, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Move on by so many blocks (int64[n]) in which nothing was read; whole samples moved."""
        return self._advance(slots, self.rate[slots] * blocks.astype(np.float32))

    def _advance(self, slots: Slots, samples: Signal) -> NDArray[np.int64]:
        fraction = self.fraction[slots] + samples
        whole = np.rint(fraction)
        self.fraction[slots] = fraction - whole
        moved: NDArray[np.int64] = whole.astype(np.int64)
        np.maximum(moved, -self.shift[slots], out=moved)  # the future is not known
        self.shift[slots] += moved
        return moved


@compiled(
    "void(int64[::1], float32[:,::1], float32[:,::1], boolean[::1], float32[::1], float32[::1],"
    "int64[::1], float32[::1], float32[::1], int64[::1])"
)
def _drift(
    slots: Slots,
    near: Signal,
    echo: Signal,
    is_clear: Flags,
    rates: Signal,
    fractions: Signal,
    shifts: NDArray[np.int64],
    products: Signal,
    energies: Signal,
    moved: NDArray[np.int64],
) -> None:
    """See Reference.drift; `moved` is what it returns."""
    for row in range(len(slots)):
        slot = slots[row]
        product = energy = np.float32(0.0)
        for t in range(1, near.shape[1] - 1):
            slope = np.float32(0.5) * (echo[row, t + 1] - echo[row, t - 1])
            product += (near[row, t] - echo[row, t]) * slope
            energy += slope * slope
        products[slot] = _LEAK * products[slot] + product
        energies[slot] = _LEAK * energies[slot] + energy
        lag = np.float32(0.0)
        if is_clear[row]:
            lag = -products[slot] / (energies[slot] + np.float32(1e-9))
            lag = min(max(lag, -_MAX_LAG), _MAX_LAG)
        rate = min(max(rates[slot] + _RATE_SHARE * lag, -MAX_RATE), MAX_RATE)
        rates[slot] = rate
        fraction = fractions[slot] + rate + _LAG_SHARE * lag
        whole = np.rint(fraction)
        fractions[slot] = fraction - whole
        moved[row] = max(np.int64(whole), -shifts[slot])  # the future is not known
        shifts[slot] += moved[row]
