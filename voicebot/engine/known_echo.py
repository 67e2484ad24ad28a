"""What is known of each call's echo: whether there is one, how loud, and whether it is cancelled.

The canceller tells of its own block alone. That a line has no echo, or none that could be heard,
is known only after the bot has spoken for long enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voicebot.audio.delay import MAX_DELAY_MS, UNLOCKED
from voicebot.audio.echo import TAIL_BLOCKS
from voicebot.compiled import compiled
from voicebot.engine.rings import Rows
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ, EchoState

if TYPE_CHECKING:
    from voicebot.audio.echo import Cancelled

FAINT_DB = -46.0
"""Where no more than this (dBFS) can come back, as on most calls from a handset, there is no echo
to wait for: its delay will never be known."""
ABSENT_DB = -65.0
"""Below this (dBFS) nothing comes back, not even noise: a digital line. The near-end detector never
heard such a one, and has nothing to judge."""
LOUDEST_FALL_DB = np.float32(0.1)
"""Per block: what came back loudest while the bot spoke counts for seconds, 5 dB each."""
AUDIBLE = 1e-3
PROVEN_SAMPLES = MAX_DELAY_MS * SAMPLE_RATE_HZ // 1000 + TAIL_BLOCKS * CHUNK_SAMPLES
"""So much of the bot must have been heard (above -60 dBFS) before its echo counts as absent: the
longest delay and the room."""
SETTLED_MS = 500
"""A canceller that has followed the echo for less than this counts as not locked yet."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class KnownEcho:
    """State of all slots."""

    def __init__(self, slots: int) -> None:
        """Nothing is known."""
        self.is_locked = np.zeros(slots, np.bool_)
        """The canceller has followed the echo for long enough."""
        self.is_verified = np.zeros(slots, np.bool_)
        self.delay = np.full(slots, UNLOCKED, np.int64)
        self.settled_ms = np.zeros(slots, np.int32)
        self.residual_db = np.full(slots, -np.inf, np.float32)
        """Of the latest block; these four: see audio.echo.Cancelled."""
        self._is_active = np.zeros(slots, np.bool_)
        self._sent = np.zeros(slots, np.int64)  # samples of audible reference
        self._is_absent = np.zeros(slots, np.bool_)
        self._is_faint = np.zeros(slots, np.bool_)
        self._loudest_db = np.full(slots, -np.inf, np.float32)

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._is_active[slot] = self.is_locked[slot] = self._is_faint[slot] = False
        self.is_verified[slot], self.delay[slot], self.settled_ms[slot] = False, UNLOCKED, 0
        self._sent[slot], self._is_absent[slot] = 0, False
        self.residual_db[slot] = self._loudest_db[slot] = -np.inf

    def note(self, rows: Rows, far: Floats, done: Cancelled) -> None:
        """A block of each call: `far` was heard, `done` came of it."""
        _note(
            rows,
            far,
            done.is_active,
            done.is_locked & (done.settled_ms >= SETTLED_MS),
            done.is_locked,
            done.residual_db,
            self._is_active,
            self.is_locked,
            self._sent,
            self._is_absent,
            self._is_faint,
            self._loudest_db,
            self.residual_db,
        )
        self.is_verified[rows], self.delay[rows] = done.is_verified, done.delay
        self.settled_ms[rows] = done.settled_ms

    def may_echo(self, rows: Rows) -> Flags:
        """Where the bot's echo may be in what was heard just now."""
        return self._is_active[rows] & ~self._is_absent[rows]

    def is_echoing(self, rows: Rows) -> Flags:
        """Where the line has an echo, as far as the bot was heard for long enough to tell."""
        return (self._sent[rows] >= PROVEN_SAMPLES) & ~self._is_faint[rows]

    def state(self, slot: int) -> EchoState:
        """What one call is told."""
        if self._is_faint[slot]:
            return EchoState.FAINT
        if not self._is_active[slot]:
            return EchoState.NONE
        return EchoState.LOCKED if self.is_locked[slot] else EchoState.UNLOCKED


@compiled(
    "void(int64[::1], float32[:,::1], boolean[::1], boolean[::1], boolean[::1], float32[::1],"
    "boolean[::1], boolean[::1], int64[::1], boolean[::1], boolean[::1], float32[::1],"
    "float32[::1])"
)
def _note(
    rows: Rows,
    far: Floats,
    active: Flags,
    settled: Flags,
    locked: Flags,
    residual_db: Floats,
    is_active: Flags,
    is_locked: Flags,
    sent: NDArray[np.int64],
    is_absent: Flags,
    is_faint: Flags,
    loudest_db: Floats,
    last_residual_db: Floats,
) -> None:
    """What a block told of each echo: the first six of the block, the others of all slots."""
    for row in range(len(rows)):
        slot = rows[row]
        is_active[slot], is_locked[slot] = active[row], settled[row]
        last_residual_db[slot] = residual_db[row]
        peak = np.float32(0.0)
        for t in range(CHUNK_SAMPLES):
            peak = max(peak, abs(far[row, t]))
        if peak > AUDIBLE:
            sent[slot] += CHUNK_SAMPLES
        # The loudest of late: between two words nothing comes back on any telephone.
        if active[row]:
            fallen = loudest_db[slot] - (np.float32(0.0) if locked[row] else LOUDEST_FALL_DB)
            loudest_db[slot] = max(fallen, residual_db[row])
        # Kept until an echo is found: the bound rises whenever the caller speaks.
        is_proven = active[row] and sent[slot] >= PROVEN_SAMPLES
        faint = is_proven and loudest_db[slot] < FAINT_DB
        absent = faint and loudest_db[slot] < ABSENT_DB
        is_faint[slot] = not locked[row] and (is_faint[slot] or faint)
        is_absent[slot] = not locked[row] and (is_absent[slot] or absent)
