"""Takes the bot's own voice out of what comes back: an echo canceller for all calls at once. Pure.

    far end, as sent -> history -> delayed by the tracker -> Kalman filter -> predicted echo
    near end -> without offset (for adaptation only) ------------^      near end - echo = clean

The reference is read a little before the direct path, so that small changes of the delay are
the filter's business; larger ones move the reading, and the learned path with it. What was heard
lately is kept: once the delay is known the filter runs through it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import echo_loops as loops
from voicebot.audio.delay import (
    HURRIED_BLOCKS,
    MAX_DELAY_MS,
    RELAXED_BLOCKS,
    UNLOCKED,
    UPDATE_BLOCKS,
    DelayTracker,
)
from voicebot.audio.kalman import KalmanFilter
from voicebot.audio.kalman_model import PARTITIONS
from voicebot.audio.realign import SEARCH, realign
from voicebot.audio.reference import Reference
from voicebot.audio.residual import Coupling, Explanation
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

SLACK_SAMPLES = 5 * CHUNK_SAMPLES // 2
"""The reference is read 50 ms before the direct path is expected: amid the filter's third
partition, for the tracker may be wrong by a few samples."""
_EARLY_SAMPLES = 40  # so much earlier than the tracker says the direct path may still come
AUDIBLE, TAIL_BLOCKS, LATE_SAMPLES = loops.AUDIBLE, loops.TAIL_BLOCKS, loops.LATE_SAMPLES
LOST_BLOCKS, TRIAL_BLOCKS = loops.LOST_BLOCKS, loops.TRIAL_BLOCKS
REHEARSE_BLOCKS, REHEARSED_BLOCKS = loops.REHEARSE_BLOCKS, loops.REHEARSED_BLOCKS
REHEARSE_LATE_BLOCKS = loops.REHEARSE_LATE_BLOCKS
_OFFSET_SHARE, _WORSE = loops._OFFSET_SHARE, loops._WORSE
_MAX_LOUDER_BLOCKS = loops._MAX_LOUDER_BLOCKS
"""See there; cancellers on devices keep the same bounds."""
REPLAY_BLOCKS = 20
"""400 ms of near end are kept; a filter that starts has heard them."""
REHEARSED_ROWS = 16
"""So many filters at a time hear it once more, the others in the blocks after: each costs as much
as twenty, and calls that lock together would all fall behind (LOG.md)."""
SETTLED_BLOCKS = 50
"""A filter younger than 1 s cannot tell a lag from what it has not learnt."""
_DOUBT_SHARE = np.float32(0.1)
"""Of the filter's own uncertainty in the residual; it errs on the safe side by 10 dB (LOG.md)."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """One block of each row. Levels are in dB re full scale."""

    clean: NDArray[np.float32]
    """[n, 160]: near end without echo."""
    far: NDArray[np.float32]
    """[n, 160]: far end as it lies in the near end; zeros while the delay is not known."""
    residual_db: NDArray[np.float32]
    """[n]: level of the echo that may be left in `clean`; -inf without echo."""
    is_active: NDArray[np.bool_]
    """[n]: an echo is possible."""
    is_locked: NDArray[np.bool_]
    """[n]: its delay is known and the filter explains what is heard."""
    settled_ms: NDArray[np.int32]
    """[n]: with possible echo since the lock or the last step of the delay."""
    delay: NDArray[np.int64]
    """[n]: samples by which `far` is late, or audio.delay.UNLOCKED."""
    is_verified: NDArray[np.bool_]
    """[n]: the filter was seen to explain what is heard since the far end was last silent."""


class EchoCanceller:
    """State of all slots; rows without echo cost next to nothing."""

    def __init__(self, slots: int, *, max_delay_ms: int = MAX_DELAY_MS) -> None:
        self._max_blocks = -(-max_delay_ms * SAMPLE_RATE_HZ // 1000 // CHUNK_SAMPLES)
        ring = self._max_blocks + PARTITIONS + REPLAY_BLOCKS + 2
        self._tracker = DelayTracker(slots, max_delay_ms=max_delay_ms)
        self._filter = KalmanFilter(slots)
        self._explanation = Explanation(slots)
        self._coupling = Coupling(slots, self._max_blocks + 1)
        self._reference = Reference(slots, ring, REPLAY_BLOCKS)
        self._ring = ring
        self._silent = np.full(slots, ring + 1, np.int64)  # blocks since the far end was audible
        self._delay = np.full(slots, UNLOCKED, np.int64)  # that the reference was placed for
        self._offset = np.zeros(slots, np.float32)  # of the near end, its mean of late
        self._idle = np.zeros(slots, np.int64)  # blocks since an echo was possible
        self._was_active = np.zeros(slots, np.bool_)
        self._lost = np.zeros(slots, np.int64)  # blocks for which the path is still kept
        self._trial = np.zeros(slots, np.int64)  # blocks for which a new filter explained nothing
        self._age = np.zeros(slots, np.int64)  # blocks since the filter's start
        self._waiting = np.zeros(slots, np.int64)  # blocks since a rehearsal was due; 0: none is
        self._louder = np.zeros(slots, np.int64)  # blocks in a row louder than the near end
        self._settled = np.zeros(slots, np.int64)  # blocks
        self._gain = np.zeros(slots, np.float32)  # of the predicted echo at the last block's end

    @property
    def nbytes_per_slot(self) -> int:
        """Memory of one call, small counters aside."""
        parts = (self._tracker, self._filter, self._reference)
        return sum(part.nbytes for part in parts) // len(self._delay)

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._tracker.reset(slot)
        self._explanation.lose(slot)
        self._coupling.reset(slot)
        self._reference.reset(slot)
        for counts in (self._idle, self._settled, self._louder, self._lost, self._trial):
            counts[slot] = 0
        self._silent[slot] = self._ring + 1
        self._delay[slot] = UNLOCKED
        self._was_active[slot] = False
        self._gain[slot] = 0.0

    def process(self, slots: Slots, near: Signal, far: Signal) -> Cancelled:
        """The next block of each of these slots (intp[n], distinct), float32[n, 160] each.

        `far` is what was sent, where it is in time, zeros where nothing was. What is not a
        number counts as silence, what exceeds full scale as full scale.
        """
        slots = np.ascontiguousarray(slots, np.int64)
        near, far = _finite(near), _finite(far)
        count = len(slots)
        is_awake, is_active = np.empty((2, count), np.bool_)
        bounds = self._ring, self._max_blocks
        state = self._silent, self._delay, self._explanation.is_trusted
        loops.watch(slots, far, *state, *bounds, is_awake, is_active)
        active = np.flatnonzero(is_active)
        echo, aligned = np.empty((2, len(active), CHUNK_SAMPLES), np.float32)
        residual = np.empty(len(active), np.float32)
        if is_awake.any():
            filtered = self._remember(slots, near, far, is_awake)
            if len(active):
                rows, filtered, sent = slots[active], filtered[active], far[active]
                self._wake(rows)
                echo, residual = self._cancel(rows, filtered, sent)
                aligned = self._aligned(rows)
        # As they are for this block: the tracker may move the next one.
        delay, settled = self._delay[slots], self._settled.copy()
        is_verified = self._explanation.is_trusted[slots] & self._explanation.is_verified[slots]
        if len(active):
            self._track(rows, filtered, sent)
        done = Cancelled(
            np.empty_like(near),
            np.empty_like(near),
            np.empty(count, np.float32),
            is_active,
            np.empty(count, np.bool_),
            np.empty(count, np.int32),
            delay,
            is_verified,
        )
        loops.tell(
            slots,
            near,
            active,
            echo,
            aligned,
            residual,
            is_active,
            self._was_active,
            self._idle,
            self._explanation.is_trusted,
            settled,
            done.clean,
            done.far,
            done.residual_db,
            done.is_locked,
            done.settled_ms,
        )
        return done

    # ------------------------------------------------------------ what is kept

    def _remember(
        self, slots: Slots, near: Signal, far: Signal, is_awake: NDArray[np.bool_]
    ) -> Signal:
        """Write the histories; the near end without offset, zeros where not awake."""
        filtered = np.empty_like(near)
        is_fresh = np.empty(len(slots), np.bool_)
        state = self._silent, self._was_active, self._offset
        loops.centre(slots, near, is_awake, *state, filtered, is_fresh)
        if is_fresh.any():
            self._reference.forget_near(slots[is_fresh])
        if is_awake.all():
            self._reference.write(slots, filtered, far)
        else:
            self._reference.write(slots[is_awake], filtered[is_awake], far[is_awake])
        return filtered

    def _aligned(self, slots: Slots) -> Signal:
        reference = self._reference.late(slots, 1, np.maximum(self._delay[slots], 0))
        reference[self._delay[slots] == UNLOCKED] = 0.0
        return reference

    def _wake(self, slots: Slots) -> None:
        """The far end is heard again."""
        woken = slots[~self._was_active[slots]]
        if not len(woken):
            return
        self._tracker.wake(woken)
        self._explanation.expect(woken)
        known = woken[self._delay[woken] != UNLOCKED]
        if len(known):
            self._move(known, self._reference.coast(known, self._idle[known]))
            before = self._reference.shift[known] + CHUNK_SAMPLES
            self._filter.load(known, self._reference.late(known, PARTITIONS, before))
        self._idle[woken] = 0

    # ------------------------------------------------------------ one block

    def _cancel(self, slots: Slots, near: Signal, far: Signal) -> tuple[Signal, Signal]:
        """(echo to take out, float32[n, 160]; power of what may be left, float32[n])."""
        residual = self._coupling.hear(slots, near, far)
        taken = np.zeros_like(near)
        known = np.flatnonzero(self._delay[slots] != UNLOCKED)
        if not len(known):
            return taken, residual
        rows = slots[known]
        is_kept = self._lost[rows] > 0
        frames, fraction = self._reference.frames(rows), self._reference.fraction[rows]
        echo, doubted = self._filter.process(rows, near[known], frames, ~is_kept, fraction)
        is_lost, is_louder = self._explanation.hear(rows, near[known], echo)
        is_trusted = self._explanation.is_trusted[rows]
        taken[known] = self._fade(rows, near[known], echo, is_trusted & ~is_louder)
        self._settled[rows[is_trusted]] += 1
        estimate = np.maximum(_DOUBT_SHARE * doubted, self._explanation.residual(rows))
        residual[known] = np.where(is_trusted, estimate, residual[known])
        self._drift(rows, near[known], echo)
        self._rehearse(rows)
        self._recover(rows, is_lost, is_louder)
        return taken, residual

    def _drift(self, slots: Slots, near: Signal, echo: Signal) -> None:
        """Keep up with a clock that differs from ours, once the filter has settled."""
        is_clear = self._explanation.is_clear[slots] & (self._settled[slots] > SETTLED_BLOCKS)
        self._move(slots, self._reference.drift(slots, near, echo, is_clear))

    def _rehearse(self, slots: Slots) -> None:
        """A young filter hears every block several times; who has waited longest goes first."""
        if not loops.wait(slots, self._delay, self._lost, self._age, self._waiting):
            return
        waiting = self._waiting[slots]
        longest = np.argsort(-waiting, kind="stable")[:REHEARSED_ROWS]
        rows = slots[longest[waiting[longest] > 0]]
        self._waiting[rows] = 0
        shift = self._reference.shift[rows]
        heard = self._reference.heard(rows, REPLAY_BLOCKS, PARTITIONS, shift)
        self._filter.rehearse(rows, *heard)

    def _move(self, slots: Slots, moved: NDArray[np.int64]) -> None:
        """The reference moves with the other clock, so does the delay."""
        self._delay[slots] += moved
        self._tracker.delay[slots] += moved

    def _fade(self, slots: Slots, near: Signal, echo: Signal, wanted: NDArray[np.bool_]) -> Signal:
        """`echo` faded in or out over a block where that changes; none at all in a block that it
        would make louder: the line may have gone silent."""
        faded = np.empty_like(near)
        loops.fade(slots, near, echo, wanted, self._gain, faded)
        return faded

    def _recover(
        self, slots: Slots, is_lost: NDArray[np.bool_], is_louder: NDArray[np.bool_]
    ) -> None:
        """Keep a path that is lost for a while; start filters anew that stay lost, or that only
        make things louder; give up delays at which no filter ever explains anything."""
        has_failed = np.empty(len(slots), np.bool_)
        is_trusted = self._explanation.is_trusted[slots]
        counts = self._lost, self._settled, self._louder
        heard = is_lost, is_louder, is_trusted, self._explanation.is_audible
        if loops.count_lost(slots, *heard, *counts, has_failed):
            for slot in slots[has_failed]:
                self._start(int(slot))
        if loops.count_trial(slots, is_trusted, self._lost, self._trial):
            for slot in slots[self._trial[slots] > TRIAL_BLOCKS]:
                self._give_up(int(slot))

    def _give_up(self, slot: int) -> None:
        self._delay[slot] = UNLOCKED
        self._tracker.move(slot, UNLOCKED)
        self._explanation.lose(slot)
        self._trial[slot] = 0

    # ------------------------------------------------------------ changes of the delay

    def _track(self, slots: Slots, near: Signal, far: Signal) -> None:
        is_lost = self._lost[slots] > 0
        is_verified = self._explanation.is_verified[slots]
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
        found, known = int(self._tracker.delay[slot]), int(self._delay[slot])
        if known == UNLOCKED or not self._follow(slot, found):
            self._delay[slot] = found
            self._start(slot)

    def _start(self, slot: int) -> None:
        """Learn the echo path from what was heard lately; it is trusted once it explains that."""
        delay = int(self._delay[slot])
        shift = max(delay - SLACK_SAMPLES, 0)
        self._reference.place(slot, shift)
        rows = np.array([slot])
        heard, far = self._reference.heard(rows, REPLAY_BLOCKS, PARTITIONS, np.array([shift]))
        near = heard[0]
        lead = (delay - shift - _EARLY_SAMPLES) // CHUNK_SAMPLES
        echo = self._filter.start(slot, near, far[0], max(lead, 0))
        fresh = (self._settled, self._louder, self._lost, self._trial, self._age, self._waiting)
        for counts in fresh:
            counts[slot] = 0
        self._explanation.lose(slot)
        for at in range(0, len(near), CHUNK_SAMPLES):
            now = slice(at, at + CHUNK_SAMPLES)
            self._explanation.hear(rows, near[None, now], echo[None, now])

    def _follow(self, slot: int, delay: int) -> bool:
        """Move the reference to another delay and keep the learned path, if that explains what is
        heard now; or keep both, if the old delay still does."""
        shift, known = int(self._reference.shift[slot]), int(self._delay[slot])
        moved = shift + delay - known
        places = [shift, *(moved + extra for extra in SEARCH)]
        place = realign(self._filter, self._reference, slot, places)
        if place is None:
            return False
        self._delay[slot] = known + place - shift
        self._tracker.move(slot, int(self._delay[slot]))
        if place != shift:
            self._settled[slot] = self._louder[slot] = self._lost[slot] = 0
            self._explanation.trust(slot)
        return True


def _finite(signal: Signal) -> Signal:
    """Within full scale, whatever came."""
    signal = np.ascontiguousarray(signal, np.float32)
    if loops.is_finite(signal):
        return signal
    return np.clip(np.nan_to_num(signal, nan=0.0), -1.0, 1.0)
