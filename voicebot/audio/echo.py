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

from voicebot.audio.delay import (
    HURRIED_BLOCKS,
    MAX_DELAY_MS,
    RELAXED_BLOCKS,
    UNLOCKED,
    UPDATE_BLOCKS,
    DelayTracker,
)
from voicebot.audio.kalman import PARTITIONS, KalmanFilter
from voicebot.audio.realign import SEARCH, realign
from voicebot.audio.reference import Reference
from voicebot.audio.residual import Coupling, Explanation
from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

SLACK_SAMPLES = 5 * CHUNK_SAMPLES // 2
"""The reference is read 50 ms before the direct path is expected: amid the filter's third
partition, for the tracker may be wrong by a few samples."""
_EARLY_SAMPLES = 40  # so much earlier than the tracker says the direct path may still come
TAIL_BLOCKS = 15
"""An echo is possible for 300 ms after its far end should have passed: the room."""
REPLAY_BLOCKS = 20
"""400 ms of near end are kept; a filter that starts has heard them."""
REHEARSE_BLOCKS, REHEARSED_BLOCKS = 5, 60
"""So often, and for so long after its start, it hears them once more."""
LATE_SAMPLES, REHEARSE_LATE_BLOCKS = SAMPLE_RATE_HZ, 2
"""A delay as long is known when little time is left: then more often (LOG.md)."""
REHEARSED_ROWS = 16
"""So many filters at a time hear it once more, the others in the blocks after: each costs as much
as twenty, and calls that lock together would all fall behind (LOG.md)."""
AUDIBLE = np.float32(1e-3)
"""Peak of a far-end block (-60 dBFS) below which its echo is never heard."""
_OFFSET_SHARE = np.float32(0.05)
"""Of a block's mean in the offset: a high pass at 0.4 Hz leaves the echo's phase as it is."""
SETTLED_BLOCKS = 50
"""A filter younger than 1 s cannot tell a lag from what it has not learnt."""
_DOUBT_SHARE = np.float32(0.1)
"""Of the filter's own uncertainty in the residual; it errs on the safe side by 10 dB (LOG.md)."""
LOST_BLOCKS = 50
"""Of audible echo for which a learned path that explains nothing is kept unchanged: most often
only the delay has changed. Then the filter starts anew."""
TRIAL_BLOCKS = 75
"""For which a new filter may explain nothing until its delay counts as a mistake: 1.5 s."""
_WORSE = np.float32(2.0)
_MAX_LOUDER_BLOCKS = 25  # 500 ms with more left than there was: the filter has diverged


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
        _watch(slots, far, *state, *bounds, is_awake, is_active)
        clean, aligned = near.copy(), np.zeros_like(near)
        residual_db = np.full(count, -np.inf, np.float32)
        if is_awake.any():
            filtered = self._remember(slots, near, far, is_awake)
            active = np.flatnonzero(is_active)
            self._wake(slots[active])
            echo, residual = self._cancel(slots[active], filtered[active], far[active])
            clean[active] -= echo
            left = np.einsum("nt,nt->n", clean[active], clean[active]) / np.float32(CHUNK_SAMPLES)
            residual_db[active] = 10 * np.log10(np.maximum(np.minimum(residual, left), 1e-12))
            aligned[active] = self._aligned(slots[active])
            self._track(slots[active], filtered[active], far[active])
        self._was_active[slots] = is_active
        self._idle[slots] += ~is_active
        is_locked = self._explanation.is_trusted[slots]
        settled_ms = np.where(is_locked, self._settled[slots] * 20, 0).astype(np.int32)
        return Cancelled(clean, aligned, residual_db, is_active, is_locked, settled_ms)

    # ------------------------------------------------------------ what is kept

    def _remember(
        self, slots: Slots, near: Signal, far: Signal, is_awake: NDArray[np.bool_]
    ) -> Signal:
        """Write the histories; the near end without offset, zeros where not awake."""
        filtered = np.empty_like(near)
        is_fresh = np.empty(len(slots), np.bool_)
        state = self._silent, self._was_active, self._offset
        _centre(slots, near, is_awake, *state, filtered, is_fresh)
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
        if not _wait(slots, self._delay, self._lost, self._age, self._waiting):
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
        _fade(slots, near, echo, wanted, self._gain, faded)
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
        if _count(slots, *heard, *counts, has_failed):
            for slot in slots[has_failed]:
                self._start(int(slot))
        if _try(slots, is_trusted, self._lost, self._trial):
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
    if _is_finite(signal):
        return signal
    return np.clip(np.nan_to_num(signal, nan=0.0), -1.0, 1.0)


@compiled("boolean(float32[:,::1])")
def _is_finite(signal: Signal) -> bool:
    """Whether it is a number within full scale everywhere."""
    outside = 0
    for row in range(signal.shape[0]):
        for t in range(signal.shape[1]):
            outside += not (abs(signal[row, t]) <= np.float32(1.0))  # true for NaN
    return outside == 0


@compiled(
    "void(int64[::1], float32[:,::1], int64[::1], int64[::1], boolean[::1], int64, int64,"
    "boolean[::1], boolean[::1])"
)
def _watch(
    slots: Slots,
    far: Signal,
    silent: NDArray[np.int64],
    delay: NDArray[np.int64],
    is_known: NDArray[np.bool_],
    ring: int,
    max_blocks: int,
    is_awake: NDArray[np.bool_],
    is_active: NDArray[np.bool_],
) -> None:
    """Blocks since the far end was audible; whether it is kept at all, and may still come back."""
    for row in range(len(slots)):
        slot = slots[row]
        loudest = np.float32(0.0)
        for t in range(far.shape[1]):
            loudest = max(loudest, abs(far[row, t]))
        silent[slot] = 0 if loudest > AUDIBLE else silent[slot] + 1
        last = delay[slot] // CHUNK_SAMPLES if is_known[slot] else max_blocks
        is_awake[row] = silent[slot] <= ring
        is_active[row] = silent[slot] <= last + TAIL_BLOCKS


@compiled(
    "void(int64[::1], float32[:,::1], boolean[::1], int64[::1], boolean[::1], float32[::1],"
    "float32[:,::1], boolean[::1])"
)
def _centre(
    slots: Slots,
    near: Signal,
    is_awake: NDArray[np.bool_],
    silent: NDArray[np.int64],
    was_active: NDArray[np.bool_],
    offset: Signal,
    filtered: Signal,
    is_fresh: NDArray[np.bool_],
) -> None:
    """The near end without its offset, which a prompt that begins (`is_fresh`) begins anew."""
    for row in range(len(slots)):
        slot = slots[row]
        is_fresh[row] = is_awake[row] and silent[slot] == 0 and not was_active[slot]
        if not is_awake[row]:
            filtered[row] = 0.0
            continue
        mean = np.float32(0.0)
        for t in range(near.shape[1]):
            mean += near[row, t]
        mean /= np.float32(near.shape[1])
        if is_fresh[row]:
            offset[slot] = mean
        offset[slot] += _OFFSET_SHARE * (mean - offset[slot])
        for t in range(near.shape[1]):
            filtered[row, t] = near[row, t] - offset[slot]


@compiled(
    "void(int64[::1], float32[:,::1], float32[:,::1], boolean[::1], float32[::1], float32[:,::1])"
)
def _fade(
    slots: Slots,
    near: Signal,
    echo: Signal,
    is_wanted: NDArray[np.bool_],
    gain: Signal,
    faded: Signal,
) -> None:
    """See EchoCanceller._fade; `faded` is what it returns."""
    for row in range(len(slots)):
        slot = slots[row]
        begin, end = gain[slot], np.float32(is_wanted[row])
        step = (end - begin) / np.float32(CHUNK_SAMPLES)
        before = after = np.float32(0.0)
        for t in range(CHUNK_SAMPLES):
            faded[row, t] = echo[row, t] * (begin + step * np.float32(t + 1))
            left = near[row, t] - faded[row, t]
            before += near[row, t] * near[row, t]
            after += left * left
        is_worse = after > _WORSE * before
        gain[slot] = np.float32(0.0) if is_worse else end
        if is_worse:
            faded[row] = 0.0


@compiled("boolean(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1])")
def _wait(
    slots: Slots,
    delay: NDArray[np.int64],
    lost: NDArray[np.int64],
    ages: NDArray[np.int64],
    waiting: NDArray[np.int64],
) -> bool:
    """A block more since a young filter should have heard all of it again; whether any should."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        ages[slot] += 1
        every = REHEARSE_LATE_BLOCKS if delay[slot] >= LATE_SAMPLES else REHEARSE_BLOCKS
        is_due = ages[slot] % every == 0 and ages[slot] <= REHEARSED_BLOCKS
        if lost[slot] > 0:
            waiting[slot] = 0
        elif is_due or waiting[slot] > 0:
            waiting[slot] += 1
            is_any = True
    return is_any


@compiled(
    "boolean(int64[::1], boolean[::1], boolean[::1], boolean[::1], boolean[::1], int64[::1],"
    "int64[::1], int64[::1], boolean[::1])"
)
def _count(
    slots: Slots,
    is_lost: NDArray[np.bool_],
    is_louder: NDArray[np.bool_],
    is_trusted: NDArray[np.bool_],
    is_audible: NDArray[np.bool_],
    lost: NDArray[np.int64],
    settled: NDArray[np.int64],
    louder: NDArray[np.int64],
    has_failed: NDArray[np.bool_],
) -> bool:
    """Blocks for which a lost path is kept, and in which it made things louder; where it is to be
    started anew, and whether it is anywhere."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        trusted, was_kept = is_trusted[row], lost[slot] > 0
        kept = LOST_BLOCKS if is_lost[row] else lost[slot] - np.int64(is_audible[slot])
        lost[slot] = 0 if trusted else max(kept, 0)
        if is_lost[row]:
            settled[slot] = 0
        louder[slot] = louder[slot] + 1 if is_louder[row] and trusted else 0
        failed = louder[slot] > _MAX_LOUDER_BLOCKS or (was_kept and kept <= 0)
        has_failed[row] = failed and not (trusted and was_kept)
        is_any |= has_failed[row]
    return is_any


@compiled("boolean(int64[::1], boolean[::1], int64[::1], int64[::1])")
def _try(
    slots: Slots,
    is_trusted: NDArray[np.bool_],
    lost: NDArray[np.int64],
    trial: NDArray[np.int64],
) -> bool:
    """Blocks for which a new filter has explained nothing; whether any has had its time."""
    is_any = False
    for row in range(len(slots)):
        slot = slots[row]
        is_on_trial = not is_trusted[row] and lost[slot] == 0
        trial[slot] = trial[slot] + 1 if is_on_trial else 0
        is_any |= trial[slot] > TRIAL_BLOCKS
    return is_any
