"""The delay tracker as tensor operations; see audio.delay.

Every block's rows are written, but only a share of them is correlated: each call's turn comes every
UPDATE_BLOCKS or so. Those whose turn it is are put first and a fixed number is taken; who finds no
place is first in the next block. Sums that a room sets to zero or fades at once are faded when they
are next read: they are by far the most of the state.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voicebot.audio import delay as room
from voicebot.audio.pcm import FULL_SCALE
from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.events import SAMPLE_RATE_HZ

UNLOCKED = room.UNLOCKED
ALL_ROWS = 256
"""Up to so many rows all may be correlated in one block, of more a quarter."""
_BLOCK, _RATE_HZ = room._BLOCK, room._RATE_HZ
_WINDOW = room._WINDOW_BLOCKS
_CONTEXT = room._FIR_TAPS - 1


def to_int16(samples: Tensor) -> Tensor:
    """As audio.pcm.to_int16."""
    return (samples * FULL_SCALE).round().clamp(-32768, 32767).to(torch.int16)


def to_float(samples: Tensor) -> Tensor:
    """As audio.pcm.to_float."""
    return samples.to(torch.float32) * (1.0 / FULL_SCALE)


@dataclass(frozen=True, slots=True)
class Tracked:
    """bool[n] each: correlated now; delay found or changed."""

    correlated: Tensor
    changed: Tensor


class Tracker:
    """As room.DelayTracker."""

    def __init__(self, state: SlotState, max_delay_ms: int) -> None:
        lag_blocks = max_delay_ms * _RATE_HZ // 1000 // _BLOCK + 1
        self._blocks = lag_blocks + _WINDOW
        self._size = self._blocks * _BLOCK
        self._lags = lag_blocks * _BLOCK
        self._state = state
        device = state.device
        self._decimator = constant(room._decimator(), device)
        self._zone = constant(room._band_matrix(lag_blocks, room._ZONE_BLOCKS), device)
        self._far = state.unkept(self._blocks, _BLOCK, dtype=torch.int16)
        self._near = state.unkept(_WINDOW, _BLOCK, dtype=torch.int16)
        self._sums = state.unkept(self._lags, dtype=torch.int16)
        self._kept = state.add()  # how much of the sums counts
        self._far_context = state.add(_CONTEXT)
        self._near_context = state.add(_CONTEXT)
        self._counts = state.counter()
        self._since = state.counter()  # blocks before that count as silence
        self._pending = state.counter()  # 1: to be correlated, 2: and added to the sums
        self._peak = state.counter(-1)
        self._updates = state.counter()
        self.delay = state.counter(UNLOCKED)
        self.guess = state.counter()
        low, high = (round(hz / _RATE_HZ * self._size) for hz in room.BAND_HZ)
        self._band = slice(low, high)
        self._at = torch.arange(self._blocks, device=device)

    def reset(self, rows: Tensor) -> None:
        """After the state's own: the updates of calls that begin together are staggered."""
        put(self._counts, rows, rows)
        put(self._since, rows, rows)

    def wake(self, rows: Tensor, kept: Tensor) -> None:
        """The far end of `kept` (those of `rows` that are meant) becomes audible."""
        put(self._since, kept, self._counts[rows])
        self._far_context.index_fill_(0, kept, 0.0)
        self._near_context.index_fill_(0, kept, 0.0)
        put(self._kept, kept, self._kept[rows] * room.LEAK**4)
        self._updates.index_fill_(0, kept, 0)

    def move(self, kept: Tensor, delay: Tensor) -> None:
        """The delay (int64[n]) is known better than by correlation."""
        put(self.delay, kept, delay)
        self._kept.index_fill_(0, kept, 0.0)
        self._updates.index_fill_(0, kept, 0)

    def lose(self, kept: Tensor) -> None:
        """It is not what was thought."""
        self.delay.index_fill_(0, kept, UNLOCKED)
        self._updates.index_fill_(0, kept, 0)

    def step(self, rows: Tensor, kept: Tensor, near: Tensor, far: Tensor, every: Tensor) -> Tracked:
        """The next blocks, float32[n, 160] each, of `kept`; `every`: int64[n], blocks from one
        correlation to the next."""
        counts = self._counts[rows]
        self._write(self._near, self._near_context, kept, counts, near, rows)
        self._write(self._far, self._far_context, kept, counts, far, rows)
        counts = counts + 1
        put(self._counts, kept, counts)
        is_meant = kept != self._state.scratch
        is_due = (counts % every == 0) & is_meant
        is_regular = counts % room.UPDATE_BLOCKS == 0
        due = (is_due * (1 + is_regular.to(torch.int64))).to(torch.int64)
        if len(rows) <= ALL_ROWS:
            return self._update(rows, due)
        due = torch.maximum(due, self._pending[rows] * is_meant)
        first = torch.argsort(due, descending=True, stable=True)[: len(rows) // 4]
        put(self._pending, kept, due)
        self._pending.index_fill_(0, rows[first], 0)
        found = self._update(rows[first], due[first])
        spread = torch.zeros_like(is_due)
        return Tracked(
            spread.index_copy(0, first, found.correlated),
            spread.index_copy(0, first, found.changed),
        )

    def _write(
        self,
        ring: Tensor,
        context: Tensor,
        kept: Tensor,
        counts: Tensor,
        signal: Tensor,
        rows: Tensor,
    ) -> None:
        joined = torch.cat((context[rows], signal), dim=1)
        put(context, kept, signal[:, -_CONTEXT:])
        where = kept * ring.shape[1] + counts % ring.shape[1]
        ring.view(-1, _BLOCK).index_copy_(0, where, to_int16(joined @ self._decimator))

    # ------------------------------------------------------------ correlation

    def _update(self, rows: Tensor, due: Tensor) -> Tracked:
        """`due`: 0, nothing is kept of this row; 1 and 2 as `_pending`."""
        near, far = self._spread(self._near, rows), self._spread(self._far, rows)
        power = room._SILENT_POWER
        is_heard = (near.square().sum(dim=(1, 2)) > power * _WINDOW * _BLOCK) & (
            far.square().mean(dim=(1, 2)) > power
        )
        deviations = self._deviations(self._correlate(near, far))
        deviations = deviations.masked_fill(~is_heard[:, None], 0.0)
        is_due, is_regular = due > 0, due > 1
        kept = self._state.only(rows, is_due)
        put(self.guess, kept, deviations.abs().argmax(dim=1) * room.DECIMATION)
        kept = self._state.only(rows, is_regular)
        step = room._SUM_STEP
        scale = self._kept[rows, None] * (room.LEAK * step)
        sums = self._sums[rows].to(torch.float32) * scale
        sums = sums + deviations.clamp(-room._CLIP, room._CLIP)
        put(self._sums, kept, sums * (1 / step))
        self._kept.index_fill_(0, kept, 1.0)
        return Tracked(is_due, self._judge(rows, kept, sums) & is_regular)

    def _spread(self, ring: Tensor, rows: Tensor) -> Tensor:
        """float32[n, blocks, _BLOCK]: block number c at c % blocks, as far as there is one."""
        newest = (self._counts[rows] - 1)[:, None]
        number = newest - (newest - self._at) % self._blocks
        is_there = (number >= self._since[rows, None]) & (number > newest - ring.shape[1])
        where = rows[:, None] * ring.shape[1] + number % ring.shape[1]
        blocks = to_float(ring.view(-1, _BLOCK)[where])
        return blocks.masked_fill(~is_there[:, :, None], 0.0)

    def _correlate(self, near: Tensor, far: Tensor) -> Tensor:
        """Partially whitened cross-correlation, float32[n, lags], in any scale."""
        cross = torch.fft.rfft(near.flatten(1))
        band = cross[:, self._band] * torch.fft.rfft(far.flatten(1))[:, self._band].conj()
        root = (band.real.square() + band.imag.square() + 1e-20).sqrt()
        band = band * (root * root.sqrt()).rsqrt()
        whole = torch.zeros_like(cross)
        whole[:, self._band] = band
        correlation: Tensor = torch.fft.irfft(whole, self._size)
        return correlation[:, : self._lags]

    def _deviations(self, correlation: Tensor) -> Tensor:
        """Each lag in units of the deviation around it."""
        blocks = correlation.reshape(len(correlation), -1, _BLOCK)
        power = blocks.square().mean(dim=2)
        least = room._ZONE_FLOOR * power.mean(dim=1, keepdim=True)
        around = torch.maximum(power @ self._zone, least)
        deviations: Tensor = blocks * (around + 1e-20).rsqrt()[:, :, None]
        return deviations.flatten(1)

    # ------------------------------------------------------------ decision

    def _judge(self, rows: Tensor, kept: Tensor, sums: Tensor) -> Tensor:
        """Whose delay changes, bool[n]."""
        power = sums.square()
        power = power[:, :-3] + power[:, 1:-2] + power[:, 2:-1] + power[:, 3:]
        highest, first = power.max(dim=1)
        score = (highest / room._PEAK).sqrt()
        peak = first + room._PEAK // 2
        same = (peak - self._peak[rows]).abs() <= room._SAME_MS * _RATE_HZ / 1000
        updates = self._updates[rows].masked_fill(~same, 0) + 1
        put(self._updates, kept, updates)
        put(self._peak, kept, peak)
        persists = updates >= room.PERSIST_UPDATES
        is_echo = (score >= room.LOCK_SCORE) | ((score >= room.PERSIST_SCORE) & persists)
        found, current = peak * room.DECIMATION, self.delay[rows]
        moved = (found - current).abs() > room._SAME_MS * SAMPLE_RATE_HZ / 1000
        changes = is_echo & ((current == UNLOCKED) | moved)
        put(self.delay, self._state.only(kept, changes), found)
        return changes
