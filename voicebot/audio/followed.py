"""The echo path of each call and where it lies in time: learnt, proven, lost and found again. Pure.

The reference is read a little before the direct path, so that small changes of the delay are the
filter's business; larger ones move the reading, and the learned path with it. What was heard lately
is kept: once the delay is known the filter runs through it at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import echo_loops as loops
from voicebot.audio.delay import (
    HURRIED_BLOCKS,
    RELAXED_BLOCKS,
    UNLOCKED,
    UPDATE_BLOCKS,
    DelayTracker,
)
from voicebot.audio.kalman import KalmanFilter
from voicebot.audio.kalman_model import PARTITIONS
from voicebot.audio.realign import SEARCH, realign
from voicebot.audio.reference import Reference
from voicebot.audio.residual import Explanation
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

SLACK_SAMPLES = 5 * CHUNK_SAMPLES // 2
"""The reference is read 50 ms before the direct path is expected: amid the filter's third
partition, for the tracker may be wrong by a few samples."""
EARLY_SAMPLES = 40
"""So much earlier than the tracker says the direct path may still come."""
REPLAY_BLOCKS = 20
"""400 ms of near end are kept; a filter that starts has heard them."""
REHEARSED_ROWS = 16
"""So many filters at a time hear it once more, the others in the blocks after: each costs as much
as twenty, and calls that lock together would all fall behind (LOG.md)."""
SETTLED_BLOCKS = 50
"""A filter younger than 1 s cannot tell a lag from what it has not learnt."""
DOUBT_SHARE = np.float32(0.1)
"""Of the filter's own uncertainty in the residual; it errs on the safe side by 10 dB (LOG.md)."""


class FollowedEcho:
    """State of all slots: delay, place of the reference, filter, and what is known of them."""

    def __init__(self, slots: int, *, max_delay_ms: int) -> None:
        """No echo is known."""
        self.max_blocks = -(-max_delay_ms * SAMPLE_RATE_HZ // 1000 // CHUNK_SAMPLES)
        """Of the longest delay."""
        self.kept_blocks = self.max_blocks + PARTITIONS + REPLAY_BLOCKS + 2
        """Of the far end."""
        self.explanation = Explanation(slots)
        self.reference = Reference(slots, self.kept_blocks, REPLAY_BLOCKS)
        self.delay = np.full(slots, UNLOCKED, np.int64)
        """int64[slots], samples, or UNLOCKED: what the reference was placed for."""
        self.settled = np.zeros(slots, np.int64)
        """int64[slots], blocks of echo since the lock or the last step of the delay."""
        self._tracker = DelayTracker(slots, max_delay_ms=max_delay_ms)
        self._filter = KalmanFilter(slots)
        self._lost = np.zeros(slots, np.int64)  # blocks for which the path is still kept
        self._trial = np.zeros(slots, np.int64)  # blocks for which a new filter explained nothing
        self._age = np.zeros(slots, np.int64)  # blocks since the filter's start
        self._waiting = np.zeros(slots, np.int64)  # blocks since a rehearsal was due; 0: none is
        self._louder = np.zeros(slots, np.int64)  # blocks in a row louder than the near end

    @property
    def nbytes_per_slot(self) -> int:
        """Memory of one call, small counters aside."""
        parts = (self._tracker, self._filter, self.reference)
        return sum(part.nbytes for part in parts) // len(self.delay)

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._tracker.reset(slot)
        self.explanation.lose(slot)
        self.reference.reset(slot)
        for counts in (self.settled, self._louder, self._lost, self._trial):
            counts[slot] = 0
        self.delay[slot] = UNLOCKED

    def wake(self, slots: Slots, idle: NDArray[np.int64]) -> None:
        """The far end is heard again, after so many blocks (int64[n]) without an echo."""
        self._tracker.wake(slots)
        self.explanation.expect(slots)
        is_known = self.delay[slots] != UNLOCKED
        known = slots[is_known]
        if len(known):
            self._move(known, self.reference.coast(known, idle[is_known]))
            before = self.reference.shift[known] + CHUNK_SAMPLES
            self._filter.load(known, self.reference.late(known, PARTITIONS, before))

    def hear(
        self, slots: Slots, near: Signal
    ) -> tuple[Signal, Signal, NDArray[np.bool_], NDArray[np.bool_]]:
        """The next block of calls whose delay is known, float32[n, 160] without offset:
        (predicted echo; power of what of it may be left, float32[n]; where it is trusted, and
        where it is to be taken out, bool[n])."""
        is_kept = self._lost[slots] > 0
        frames, fraction = self.reference.frames(slots), self.reference.fraction[slots]
        echo, doubted = self._filter.process(slots, near, frames, ~is_kept, fraction)
        is_lost, is_louder = self.explanation.hear(slots, near, echo)
        is_trusted = self.explanation.is_trusted[slots]
        self.settled[slots[is_trusted]] += 1
        residual = np.maximum(DOUBT_SHARE * doubted, self.explanation.residual(slots))
        self._drift(slots, near, echo)
        self._rehearse(slots)
        self._recover(slots, is_lost, is_louder)
        return echo, residual, is_trusted, is_trusted & ~is_louder

    def _drift(self, slots: Slots, near: Signal, echo: Signal) -> None:
        """Keep up with a clock that differs from ours, once the filter has settled."""
        is_clear = self.explanation.is_clear[slots] & (self.settled[slots] > SETTLED_BLOCKS)
        self._move(slots, self.reference.drift(slots, near, echo, is_clear))

    def _rehearse(self, slots: Slots) -> None:
        """A young filter hears every block several times; who has waited longest goes first."""
        if not loops.wait(slots, self.delay, self._lost, self._age, self._waiting):
            return
        waiting = self._waiting[slots]
        longest = np.argsort(-waiting, kind="stable")[:REHEARSED_ROWS]
        rows = slots[longest[waiting[longest] > 0]]
        self._waiting[rows] = 0
        shift = self.reference.shift[rows]
        heard = self.reference.heard(rows, REPLAY_BLOCKS, PARTITIONS, shift)
        self._filter.rehearse(rows, *heard)

    def _move(self, slots: Slots, moved: NDArray[np.int64]) -> None:
        """The reference moves with the other clock, so does the delay."""
        self.delay[slots] += moved
        self._tracker.delay[slots] += moved

    def _recover(
        self, slots: Slots, is_lost: NDArray[np.bool_], is_louder: NDArray[np.bool_]
    ) -> None:
        """Keep a path that is lost for a while; start filters anew that stay lost, or that only
        make things louder; give up delays at which no filter ever explains anything."""
        has_failed = np.empty(len(slots), np.bool_)
        is_trusted = self.explanation.is_trusted[slots]
        counts = self._lost, self.settled, self._louder
        heard = is_lost, is_louder, is_trusted, self.explanation.is_audible
        if loops.count_lost(slots, *heard, *counts, has_failed):
            for slot in slots[has_failed]:
                self._start(int(slot))
        if loops.count_trial(slots, is_trusted, self._lost, self._trial):
            for slot in slots[self._trial[slots] > loops.TRIAL_BLOCKS]:
                self._give_up(int(slot))

    def _give_up(self, slot: int) -> None:
        self.delay[slot] = UNLOCKED
        self._tracker.move(slot, UNLOCKED)
        self.explanation.lose(slot)
        self._trial[slot] = 0

    # ------------------------------------------------------------ changes of the delay

    def track(self, slots: Slots, near: Signal, far: Signal) -> None:
        """After `hear`: the delay of the next block, from what came in and what was sent."""
        is_lost = self._lost[slots] > 0
        is_verified = self.explanation.is_verified[slots]
        every = np.where(is_verified, RELAXED_BLOCKS, UPDATE_BLOCKS)
        every[is_lost] = HURRIED_BLOCKS
        correlated, changed = self._tracker.process(slots, near, far, every)
        for slot in changed:
            self._lock(int(slot))
        for slot in correlated[self._lost[correlated] > 0]:
            # A lost echo may be where the last correlation is highest: the learned path proves it.
            self._follow(int(slot), int(self._tracker.guess[slot]))

    def _lock(self, slot: int) -> None:
        """The tracker has found a delay, or another one."""
        found, known = int(self._tracker.delay[slot]), int(self.delay[slot])
        if known == UNLOCKED or not self._follow(slot, found):
            self.delay[slot] = found
            self._start(slot)

    def _start(self, slot: int) -> None:
        """Learn the echo path from what was heard lately; it is trusted once it explains that."""
        delay = int(self.delay[slot])
        shift = max(delay - SLACK_SAMPLES, 0)
        self.reference.place(slot, shift)
        rows = np.array([slot])
        heard, far = self.reference.heard(rows, REPLAY_BLOCKS, PARTITIONS, np.array([shift]))
        near = heard[0]
        lead = (delay - shift - EARLY_SAMPLES) // CHUNK_SAMPLES
        echo = self._filter.start(slot, near, far[0], max(lead, 0))
        fresh = (self.settled, self._louder, self._lost, self._trial, self._age, self._waiting)
        for counts in fresh:
            counts[slot] = 0
        self.explanation.lose(slot)
        for at in range(0, len(near), CHUNK_SAMPLES):
            now = slice(at, at + CHUNK_SAMPLES)
            self.explanation.hear(rows, near[None, now], echo[None, now])

    def _follow(self, slot: int, delay: int) -> bool:
        """Move the reference to another delay and keep the learned path, if that explains what is
        heard now; or keep both, if the old delay still does."""
        shift, known = int(self.reference.shift[slot]), int(self.delay[slot])
        moved = shift + delay - known
        places = [shift, *(moved + extra for extra in SEARCH)]
        place = realign(self._filter, self.reference, slot, places)
        if place is None:
            return False
        self.delay[slot] = known + place - shift
        self._tracker.move(slot, int(self.delay[slot]))
        if place != shift:
            self.settled[slot] = self._louder[slot] = self._lost[slot] = 0
            self.explanation.trust(slot)
        return True
