"""Whether the predicted echo is in the near end at all, and how much of it is left. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


class Explanation:
    """Short-time sums of near end, predicted echo and what is left; trust and leakage."""

    def __init__(self, slots: int) -> None:
        self._near = np.zeros(slots, np.float32)
        self._echo = np.zeros(slots, np.float32)
        self._cross = np.zeros(slots, np.float32)
        self._left = np.zeros(slots, np.float32)
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
        for sums in (self._near, self._echo, self._cross, self._left):
            sums[slots] = 0.0
        self.is_verified[slots] = False

    def lose(self, slots: Slots | int) -> None:
        """No filter is there to be trusted, or one that has to show first what it explains."""
        self.expect(slots)
        self.is_trusted[slots] = self.is_audible[slots] = False
        self._leakage[slots] = 1.0

    def hear(self, slots: Slots, near: Signal, echo: Signal) -> tuple[Flags, Flags]:
        """A block, float32[n, 160] each: (where trust was lost now, where leaving the echo in is
        better than taking it out)."""
        left = near - echo
        for sums, a, b in (
            (self._near, near, near),
            (self._echo, echo, echo),
            (self._cross, near, echo),
            (self._left, left, left),
        ):
            sums[slots] = LEAK * sums[slots] + np.einsum("nt,nt->n", a, b)
        near_power, echo_power = self._near[slots], self._echo[slots] + np.float32(1e-12)
        share = self._cross[slots] / echo_power
        deviation = np.sqrt((near_power / echo_power + 1e-3) / _DEGREES)
        is_audible = echo_power * (1 - LEAK) > AUDIBLE_ECHO * CHUNK_SAMPLES
        self.is_audible[slots] = is_audible
        is_clean = self._left[slots] < _CLEAN_RATIO * near_power
        explains = is_audible & (share > _EXPLAINS) & is_clean
        self.is_clear[slots] = is_audible & (self._left[slots] < _CLEAR_RATIO * near_power)
        fails = is_audible & (share + 2 * deviation < _FAILS)
        is_lost = fails & self.is_trusted[slots]
        self.is_verified[slots] = (self.is_verified[slots] | explains) & ~fails
        self.is_trusted[slots] = (self.is_trusted[slots] | explains) & ~fails
        ratio = np.where(is_audible, self._left[slots] / echo_power, 1.0)
        self._leakage[slots] = np.minimum(self._leakage[slots] * _RISE, ratio).clip(1e-4, 1.0)
        return is_lost, self._left[slots] > near_power

    def residual(self, slots: Slots) -> Signal:
        """Power of the echo that is left, float32[n], by what usually is left of it."""
        echo_power = self._echo[slots] * np.float32((1 - LEAK) / CHUNK_SAMPLES)
        usual = _LEAKAGE_MARGIN * self._leakage[slots] * echo_power
        return np.where(self.is_verified[slots], usual, echo_power)


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
        near_power, far_power = np.mean(near * near, axis=1), np.mean(far * far, axis=1)
        at = self._at[slots]
        passed = self._far[slots, at]
        self._far[slots, at] = far_power
        self._at[slots] = (at + 1) % self._far.shape[1]
        self._near_sum[slots] = _COUPLING_LEAK * self._near_sum[slots] + near_power
        self._far_sum[slots] = _COUPLING_LEAK * self._far_sum[slots] + passed
        ratio = self._near_sum[slots] / (self._far_sum[slots] + np.float32(1e-9))
        loudest = self._far[slots].max(axis=1)
        return np.asarray(loudest * np.minimum(ratio, _UNKNOWN_COUPLING), np.float32)
