"""In-band keys: the products on the device, the judgement of the few that may be keys on the host.

See audio.dtmf, of which these are the two halves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicebot.audio import dtmf as room
from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.events import CHUNK_SAMPLES

_TONES = 16
COLUMNS = 3 * (_TONES + 1) + 1
"""Of a row: three windows, the first of the block before, each the eight products (real and
imaginary part) and the power; last whether there may be two tones."""


class Correlators:
    """What audio.dtmf.DtmfDetector computes of every block."""

    def __init__(self, state: SlotState) -> None:
        window, basis = room._correlators()
        self._window = constant(window, state.device)
        self._products = constant(np.concatenate((basis, room._hum()), axis=1), state.device)
        self._history = state.add(room.WINDOW - room.HOP)
        self._last = state.add(_TONES + 1)

    def step(self, rows: Tensor, blocks: Tensor) -> Tensor:
        """float32[n, COLUMNS] of the next blocks, float32[n, 160]."""
        joined = torch.cat((self._history[rows], blocks.clamp(-1, 1)), dim=1)
        put(self._history, rows, joined[:, CHUNK_SAMPLES:])
        windows = joined.unfold(1, room.WINDOW, room.HOP)  # two of them
        products = windows @ self._products
        tones, hum = products[..., :_TONES], products[..., _TONES:]
        power = windows.square() @ self._window - hum.square().sum(dim=2)
        now = torch.cat((tones, power[:, :, None]), dim=2)
        levels = tones.reshape(len(rows), 2, 2, 4, 2).square().sum(dim=4).amax(dim=3).sum(dim=2)
        is_pair = (levels > room.SCREEN_PURITY * power) & (power > room.MIN_POWER / 2)
        told = torch.cat((self._last[rows, None], now), dim=1).flatten(1)
        put(self._last, rows, now[:, -1])
        return torch.cat((told, is_pair.any(dim=1, keepdim=True).to(told.dtype)), dim=1)


class KeyJudge(room.DtmfDetector):
    """What it decides of the few blocks that may hold keys."""

    def __init__(self, slots: int) -> None:
        super().__init__(1)
        self._is_held = np.zeros(slots, np.bool_)

    def reset(self, slot: int) -> None:
        """Forget a call."""
        self._held.pop(slot, None)
        self._is_held[slot] = False

    def judge(
        self,
        slots: NDArray[np.intp],
        columns: NDArray[np.float32],
        heard: Callable[[int], NDArray[np.float32]],
    ) -> list[room.Detection]:
        """As DtmfDetector.feed; `columns` float32[n, COLUMNS], `heard(row)`: the row's block and
        the HISTORY samples before it, float32."""
        found: list[room.Detection] = []
        for row in np.flatnonzero((columns[:, -1] > 0) | self._is_held[slots]).tolist():
            windows = columns[row, :-1].reshape(3, 1, _TONES + 1)
            steps = [
                (np.ascontiguousarray(one[:, :_TONES]).view(np.complex64), one[:, _TONES])
                for one in windows
            ]
            slot = int(slots[row])
            for step in (1, 2):
                held = self._advance(slot, 0, steps[step - 1], steps[step])
                if held is not None:
                    samples = heard(row)[: room.HISTORY + step * room.HOP]
                    onset = room._onset(samples, held)
                    found.append((row, held.key, onset - room.HISTORY))
            self._is_held[slot] = slot in self._held
        return found
