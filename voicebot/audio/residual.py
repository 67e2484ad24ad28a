"""Whether the predicted echo is in the near end at all, and how much of it is left. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]
    Flags = NDArray[np.bool_]

LEAK = np.float32(0.8)
"""Kept of the sums per block: they look back about 100 ms."""
AUDIBLE_ECHO = 1e-6
"""Mean power of a predicted echo (-60 dBFS) below which nothing is concluded."""
_DEGREES = 80.0  # independent samples of speech in what LEAK looks back on
_EXPLAINS = 0.7  # share of the predicted echo that must be in the near end to gain trust
_FAILS = 0.5  # and, two deviations up, the share below which it is lost
_CLEAN_RATIO = 0.3  # of what is left to what was there: only an echo that is there goes away
_CLEAR_RATIO = 0.5
_RISE = np.float32(10 ** (2.0 / 10 / 50))  # of the leakage: 2 dB a second
_LEAKAGE_MARGIN = 2.0  # between the best moments, which the leakage follows, and the usual ones
_COUPLING_LEAK = np.float32(0.993)  # about 3 s
_UNKNOWN_COUPLING = 4.0  # +6 dB: the loudest echo that is expected
_ECHO = 1  # column of the sums


class Explanation:
    """Short-time sums of near end, predicted echo and what is left; trust and leakage."""

    def __init__(self, slots: int) -> None:
        self._sums = np.zeros((slots, 4), np.float32)  # near, echo, their product, what is left
        self._leakage = np.ones(slots, np.float32)
        self.is_trusted = np.zeros(slots, np.bool_)
        """bool[slots]: the predicted echo is in the near end, by all that is known."""
        self.is_verified = np.zeros(slots, np.bool_)
        """bool[slots]: seen to be so since `expect`."""
        self.is_audible = np.zeros(slots, np.bool_)
        """bool[slots]: the predicted echo is loud enough to judge."""
        self.is_clear = np.zeros(slots, np.bool_)
        """bool[slots]: and most of what is heard."""

    def trust(self, slots: Slots | int) -> None:
        """The filter was realigned and is known to explain what is heard."""
        self.lose(slots)
        self.is_trusted[slots] = True

    def expect(self, slots: Slots | int) -> None:
        """A new prompt: the echo path may have changed meanwhile."""
        self._sums[slots] = 0.0
        self.is_verified[slots] = False

    def lose(self, slots: Slots | int) -> None:
        """No filter is there to be trusted, or one that has to show first what it explains."""
        self.expect(slots)
        self.is_trusted[slots] = self.is_audible[slots] = False
        self._leakage[slots] = 1.0

    def hear(self, slots: Slots, near: Signal, echo: Signal) -> tuple[Flags, Flags]:
        """A block, float32[n, 160] each: (where trust was lost now, where leaving the echo in is
        better than taking it out)."""
        lost_louder = np.empty((2, len(slots)), np.bool_)
        flags = self.is_trusted, self.is_verified, self.is_audible, self.is_clear
        _explain(slots, near, echo, self._sums, self._leakage, *flags, lost_louder)
        return lost_louder[0], lost_louder[1]

    def residual(self, slots: Slots) -> Signal:
        """Power of the echo that is left, float32[n], by what usually is left of it."""
        echo_power = self._sums[slots, _ECHO] * np.float32((1 - LEAK) / CHUNK_SAMPLES)
        usual = _LEAKAGE_MARGIN * self._leakage[slots] * echo_power
        return np.asarray(np.where(self.is_verified[slots], usual, echo_power), np.float32)


class Coupling:
    """How loud the echo can be at most, as long as its delay is not known.

    Far-end energy counts once all delays have passed, so that the ratio is never too small.
    """

    def __init__(self, slots: int, delay_blocks: int) -> None:
        self._far = np.zeros((slots, delay_blocks), np.float32)  # ring of block powers
        self._at = np.zeros(slots, np.int64)
        self._near_sum = np.zeros(slots, np.float32)
        self._far_sum = np.zeros(slots, np.float32)

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._far[slot] = self._near_sum[slot] = self._far_sum[slot] = 0.0

    def hear(self, slots: Slots, near: Signal, far: Signal) -> Signal:
        """A block, float32[n, 160] each: bound of the echo's power in it, float32[n]."""
        bound = np.empty(len(slots), np.float32)
        sums = self._near_sum, self._far_sum
        _couple(slots, near, far, self._far, self._at, *sums, bound)
        return bound


@compiled(
    "void(int64[::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[::1],"
    "boolean[::1], boolean[::1], boolean[::1], boolean[::1], boolean[:,::1])"
)
def _explain(
    slots: Slots,
    near: Signal,
    echo: Signal,
    sums: Signal,
    leakage: Signal,
    is_trusted: Flags,
    is_verified: Flags,
    is_audible: Flags,
    is_clear: Flags,
    lost_louder: Flags,
) -> None:
    """See Explanation.hear; `lost_louder` bool[2, n] is what it returns."""
    for row in range(len(slots)):
        slot = slots[row]
        near_now = echo_now = cross_now = left_now = np.float32(0.0)
        for t in range(near.shape[1]):
            a, b = near[row, t], echo[row, t]
            near_now += a * a
            echo_now += b * b
            cross_now += a * b
            left_now += (a - b) * (a - b)
        near_power = LEAK * sums[slot, 0] + near_now
        echo_power = LEAK * sums[slot, _ECHO] + echo_now
        cross = LEAK * sums[slot, 2] + cross_now
        left = LEAK * sums[slot, 3] + left_now
        sums[slot, 0], sums[slot, _ECHO], sums[slot, 2], sums[slot, 3] = (
            near_power,
            echo_power,
            cross,
            left,
        )
        echo_power += np.float32(1e-12)
        share = cross / echo_power
        deviation = np.sqrt((near_power / echo_power + np.float32(1e-3)) / np.float32(_DEGREES))
        audible = echo_power * (1 - LEAK) > AUDIBLE_ECHO * CHUNK_SAMPLES
        explains = audible and share > _EXPLAINS and left < _CLEAN_RATIO * near_power
        fails = audible and share + 2 * deviation < _FAILS
        is_audible[slot] = audible
        is_clear[slot] = audible and left < _CLEAR_RATIO * near_power
        lost_louder[0, row] = fails and is_trusted[slot]
        lost_louder[1, row] = left > near_power
        is_verified[slot] = (is_verified[slot] or explains) and not fails
        is_trusted[slot] = (is_trusted[slot] or explains) and not fails
        ratio = left / echo_power if audible else np.float32(1.0)
        usual = min(leakage[slot] * _RISE, ratio)
        leakage[slot] = min(max(usual, np.float32(1e-4)), np.float32(1.0))


@compiled(
    "void(int64[::1], float32[:,::1], float32[:,::1], float32[:,::1], int64[::1],"
    "float32[::1], float32[::1], float32[::1])"
)
def _couple(
    slots: Slots,
    near: Signal,
    far: Signal,
    powers: Signal,
    at: NDArray[np.int64],
    near_sums: Signal,
    far_sums: Signal,
    bound: Signal,
) -> None:
    """See Coupling.hear; `bound` float32[n] is what it returns."""
    blocks = powers.shape[1]
    for row in range(len(slots)):
        slot = slots[row]
        near_power = far_power = np.float32(0.0)
        for t in range(near.shape[1]):
            near_power += near[row, t] * near[row, t]
            far_power += far[row, t] * far[row, t]
        near_power /= np.float32(near.shape[1])
        far_power /= np.float32(near.shape[1])
        passed = powers[slot, at[slot]]
        powers[slot, at[slot]] = far_power
        at[slot] = (at[slot] + 1) % blocks
        near_sums[slot] = _COUPLING_LEAK * near_sums[slot] + near_power
        far_sums[slot] = _COUPLING_LEAK * far_sums[slot] + passed
        ratio = near_sums[slot] / (far_sums[slot] + np.float32(1e-9))
        loudest = np.float32(0.0)
        for block in range(blocks):
            loudest = max(loudest, powers[slot, block])
        bound[row] = loudest * min(ratio, np.float32(_UNKNOWN_COUPLING))
