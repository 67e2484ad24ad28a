"""What was heard and sent lately, and how they align; see audio.reference."""

from __future__ import annotations

import torch
from torch import Tensor

from voicebot.audio import reference as room
from voicebot.engine.hearing_device.delay import to_float, to_int16
from voicebot.engine.hearing_device.state import SlotState, put
from voicebot.events import CHUNK_SAMPLES

_LEAK, _MAX_LAG, _MAX_RATE = float(room._LEAK), float(room._MAX_LAG), float(room.MAX_RATE)


class _Ring:
    """The last blocks of each slot, int16; what was written before `since` is silence."""

    def __init__(self, state: SlotState, blocks: int) -> None:
        self._length = blocks * CHUNK_SAMPLES
        self._blocks = blocks
        self._data = state.unkept(self._length, dtype=torch.int16)
        self.since = state.counter()  # block

    def write(self, kept: Tensor, counts: Tensor, signal: Tensor) -> None:
        """float32[n, 160] as block number `counts`."""
        where = kept * self._blocks + counts % self._blocks
        self._data.view(-1, CHUNK_SAMPLES).index_copy_(0, where, to_int16(signal))

    def read(self, rows: Tensor, ends: Tensor, length: int) -> Tensor:
        """float32[..., length] before sample `ends`, int64[...]; `rows` of the same shape."""
        at = ends[..., None] + torch.arange(-length, 0, device=ends.device)
        begin = self.since[rows] * CHUNK_SAMPLES
        index = rows[..., None] * self._length + at % self._length
        return to_float(self._data.view(-1)[index]).masked_fill(at < begin[..., None], 0.0)


class Reference:
    """As room.Reference."""

    def __init__(self, state: SlotState, far_blocks: int, near_blocks: int) -> None:
        self._far = _Ring(state, far_blocks)
        self._near = _Ring(state, near_blocks)
        self._counts = state.counter()
        self.shift = state.counter()
        self.fraction = state.add()
        self.rate = state.add()
        self._product = state.add()
        self._energy = state.add()

    def place(self, kept: Tensor, shift: Tensor) -> None:
        """Read the far end so late (int64[n]) from now on; the rate stays."""
        put(self.shift, kept, shift)
        for tensor in (self.fraction, self._product, self._energy):
            tensor.index_fill_(0, kept, 0.0)

    def forget_near(self, rows: Tensor, kept: Tensor) -> None:
        """What was heard before a prompt has no part in its echo."""
        put(self._near.since, kept, self._counts[rows])

    def write(self, rows: Tensor, kept: Tensor, near: Tensor, far: Tensor) -> None:
        """The next block of each."""
        counts = self._counts[rows]
        self._far.write(kept, counts, far)
        self._near.write(kept, counts, near)
        put(self._counts, kept, counts + 1)

    def late(self, rows: Tensor, blocks: int, samples: Tensor) -> Tensor:
        """Far end of the last `blocks` blocks, `samples` late; `rows` and `samples` alike."""
        ends = self._counts[rows] * CHUNK_SAMPLES - samples
        return self._far.read(rows, ends, blocks * CHUNK_SAMPLES)

    def near(self, rows: Tensor, blocks: int) -> Tensor:
        """Near end of the last `blocks`, float32[n, blocks * 160]."""
        return self._near.read(rows, self._counts[rows] * CHUNK_SAMPLES, blocks * CHUNK_SAMPLES)

    def drift(
        self, rows: Tensor, kept: Tensor, near: Tensor, echo: Tensor, is_clear: Tensor
    ) -> Tensor:
        """Move on by a block; whole samples moved, int64[n]."""
        slope = 0.5 * (echo[:, 2:] - echo[:, :-2])
        left = near[:, 1:-1] - echo[:, 1:-1]
        product = _LEAK * self._product[rows] + (left * slope).sum(dim=1)
        energy = _LEAK * self._energy[rows] + slope.square().sum(dim=1)
        put(self._product, kept, product)
        put(self._energy, kept, energy)
        lag = (-product / (energy + 1e-9)).masked_fill(~is_clear, 0.0).clamp(-_MAX_LAG, _MAX_LAG)
        rate = self.rate[rows] + float(room._RATE_SHARE) * lag
        rate = rate.clamp(-_MAX_RATE, _MAX_RATE)
        put(self.rate, kept, rate)
        return self.advance(rows, kept, rate + float(room._LAG_SHARE) * lag)

    def coast(self, rows: Tensor, kept: Tensor, blocks: Tensor) -> Tensor:
        """Move on by so many blocks (int64[n]) in which nothing was read."""
        return self.advance(rows, kept, self.rate[rows] * blocks.to(torch.float32))

    def advance(self, rows: Tensor, kept: Tensor, samples: Tensor) -> Tensor:
        """By samples, float32[n]; whole samples moved, int64[n]."""
        fraction = self.fraction[rows] + samples
        whole = fraction.round()
        put(self.fraction, kept, fraction - whole)
        shift = self.shift[rows]
        moved = torch.maximum(whole.to(torch.int64), -shift)  # the future is not known
        put(self.shift, kept, shift + moved)
        return moved
