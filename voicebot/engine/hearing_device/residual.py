"""What of the predicted echo is in the near end, and what is left; see audio.residual."""

from __future__ import annotations

import torch
from torch import Tensor

from voicebot.audio import residual as room
from voicebot.engine.hearing_device.state import SlotState, put
from voicebot.events import CHUNK_SAMPLES

_LEAK, _RISE = float(room.LEAK), float(room._RISE)


class Explanation:
    """As room.Explanation."""

    def __init__(self, state: SlotState) -> None:
        self._sums = state.add(4)  # near, echo, their product, left
        self._leakage = state.add(fill=1.0)
        self.is_trusted = state.flag()
        self.is_verified = state.flag()
        self.is_audible = state.flag()
        self.is_clear = state.flag()

    def expect(self, kept: Tensor) -> None:
        """A new prompt: the echo path may have changed meanwhile."""
        self._sums.index_fill_(0, kept, 0.0)
        self.is_verified.index_fill_(0, kept, False)

    def lose(self, kept: Tensor) -> None:
        """No filter is there to be trusted, or one that has to show first what it explains."""
        self.expect(kept)
        self.is_trusted.index_fill_(0, kept, False)
        self.is_audible.index_fill_(0, kept, False)
        self._leakage.index_fill_(0, kept, 1.0)

    def trust(self, kept: Tensor) -> None:
        """The filter was realigned and is known to explain what is heard."""
        self.lose(kept)
        self.is_trusted.index_fill_(0, kept, True)

    def hear(self, rows: Tensor, kept: Tensor, near: Tensor, echo: Tensor) -> tuple[Tensor, Tensor]:
        """As room.Explanation.hear: blocks of float32[n, k, 160], one after the other.

        The answer is of the last. What blocks do one after the other is written down as one
        expression: the sums are leaky, trust is what came after the last failure.
        """
        products = torch.stack(_products(near, echo), dim=2)  # [n, k, 4]
        before, sums = self._sums[rows], []
        for block in products.unbind(dim=1):
            before = _LEAK * before + block
            sums.append(before)
        put(self._sums, kept, before)
        near_power, echo_power, cross, left = torch.stack(sums, dim=2).unbind(dim=1)  # [n, k]
        echo_power = echo_power + 1e-12
        share = cross / echo_power
        deviation = ((near_power / echo_power + 1e-3) / room._DEGREES).sqrt()
        is_audible = echo_power * (1 - _LEAK) > room.AUDIBLE_ECHO * CHUNK_SAMPLES
        is_clean = left < room._CLEAN_RATIO * near_power
        explains = is_audible & (share > room._EXPLAINS) & is_clean
        fails = is_audible & (share + 2 * deviation < room._FAILS)
        put(self.is_audible, kept, is_audible[:, -1])
        is_clear = is_audible & (left < room._CLEAR_RATIO * near_power)
        put(self.is_clear, kept, is_clear[:, -1])
        was_trusted = self.is_trusted[rows]
        put(self.is_verified, kept, _latched(self.is_verified[rows], explains, fails))
        put(self.is_trusted, kept, _latched(was_trusted, explains, fails))
        ratio = (left / echo_power).masked_fill(~is_audible, 1.0)
        leakage = self._leakage[rows]
        for block in ratio.unbind(dim=1):
            leakage = torch.minimum(leakage * _RISE, block).clamp(1e-4, 1.0)
        put(self._leakage, kept, leakage)
        return fails[:, -1] & was_trusted, left[:, -1] > near_power[:, -1]

    def residual(self, rows: Tensor) -> Tensor:
        """Power of the echo that is left, float32[n], by what usually is left of it."""
        echo_power = self._sums[rows, 1] * ((1 - _LEAK) / CHUNK_SAMPLES)
        usual = room._LEAKAGE_MARGIN * self._leakage[rows] * echo_power
        return torch.where(self.is_verified[rows], usual, echo_power)


class Coupling:
    """As room.Coupling."""

    def __init__(self, state: SlotState, delay_blocks: int) -> None:
        self._blocks = delay_blocks
        self._far = state.add(delay_blocks)
        self._at = state.counter()
        self._near_sum = state.add()
        self._far_sum = state.add()

    def hear(self, rows: Tensor, kept: Tensor, near: Tensor, far: Tensor) -> Tensor:
        """A block, float32[n, 160] each: bound of the echo's power in it, float32[n]."""
        near_power, far_power = near.square().mean(dim=1), far.square().mean(dim=1)
        at = self._at[rows]
        passed = self._far[rows, at]
        self._far.view(-1).index_copy_(0, kept * self._blocks + at, far_power)
        put(self._at, kept, (at + 1) % self._blocks)
        leak = float(room._COUPLING_LEAK)
        near_sum = leak * self._near_sum[rows] + near_power
        far_sum = leak * self._far_sum[rows] + passed
        put(self._near_sum, kept, near_sum)
        put(self._far_sum, kept, far_sum)
        ratio = near_sum / (far_sum + 1e-9)
        return self._far[rows].amax(dim=1) * ratio.clamp(max=room._UNKNOWN_COUPLING)


def _products(near: Tensor, echo: Tensor) -> tuple[Tensor, ...]:
    left = near - echo
    pairs = ((near, near), (echo, echo), (near, echo), (left, left))
    return tuple((a * b).sum(dim=2) for a, b in pairs)


def _latched(before: Tensor, explains: Tensor, fails: Tensor) -> Tensor:
    """What (before | explains) & ~fails comes to, block after block of bool[n, k]."""
    for explained, failed in zip(explains.unbind(dim=1), fails.unbind(dim=1), strict=True):
        before = (before | explained) & ~failed
    return before
