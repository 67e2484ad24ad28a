"""What the two halves of the echo canceller share: its filters and counters; see audio.echo."""

from __future__ import annotations

import torch
from torch import Tensor

from voicebot.audio import followed
from voicebot.audio.delay import UNLOCKED
from voicebot.audio.kalman_model import PARTITIONS
from voicebot.engine.hearing_device.delay import Tracker
from voicebot.engine.hearing_device.kalman import Filter
from voicebot.engine.hearing_device.reference import Reference
from voicebot.engine.hearing_device.residual import Explanation
from voicebot.engine.hearing_device.state import SlotState
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

START, LOCK, FOLLOW, REHEARSE = 1, 2, 4, 8
"""Bits of what a row needs after a block: its filter begins anew; its delay was found or changed;
its echo is lost and may be where the last correlation is highest; filters wait to hear again."""


class Parts:
    """Names are those of audio.echo.EchoCanceller."""

    def __init__(self, state: SlotState, max_delay_ms: int) -> None:
        self.state = state
        self.max_blocks = -(-max_delay_ms * SAMPLE_RATE_HZ // 1000 // CHUNK_SAMPLES)
        self.ring = self.max_blocks + PARTITIONS + followed.REPLAY_BLOCKS + 2
        self.tracker = Tracker(state, max_delay_ms)
        self.filter = Filter(state)
        self.explanation = Explanation(state)
        self.reference = Reference(state, self.ring, followed.REPLAY_BLOCKS)
        self.delay = state.counter(UNLOCKED)
        self.lost = state.counter()
        self.trial = state.counter()
        self.age = state.counter()
        self.waiting = state.counter()
        self.louder = state.counter()
        self.settled = state.counter()
        self.starts = state.flag()
        """Whose filter shall begin anew."""
        self.rehearsing = torch.full((0,), state.scratch, dtype=torch.int64, device=state.device)
        """int64[k]: who hears again next, the scratch row in free places."""

    def allocate(self, rows: int) -> None:
        """For steps of up to so many rows."""
        count, device = min(rows, at_once(rows)), self.state.device
        self.rehearsing = torch.full((count,), self.state.scratch, dtype=torch.int64, device=device)

    def give_up(self, kept: Tensor) -> None:
        """Delays at which no filter ever explains anything."""
        self.delay.index_fill_(0, kept, UNLOCKED)
        self.tracker.lose(kept)
        self.explanation.lose(kept)
        self.trial.index_fill_(0, kept, 0)


def at_once(rows: int) -> int:
    """How many of so many filters may hear again at a time."""
    return max(followed.REHEARSED_ROWS, rows // 16)
