"""Takes the bot's own voice out of what comes back: an echo canceller for all calls at once. Pure.

    far end, as sent -> history -> delayed by the tracker -> Kalman filter -> predicted echo
    near end -> without offset (for adaptation only) ------------^      near end - echo = clean

Where the echo lies in time, and its path, is followed.py's; here is what of it is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import echo_loops as loops
from voicebot.audio.delay import MAX_DELAY_MS, UNLOCKED
from voicebot.audio.followed import FollowedEcho
from voicebot.audio.residual import Coupling
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

AUDIBLE, TAIL_BLOCKS = loops.AUDIBLE, loops.TAIL_BLOCKS
"""See there."""


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
        self._echo = FollowedEcho(slots, max_delay_ms=max_delay_ms)
        self._coupling = Coupling(slots, self._echo.max_blocks + 1)
        self._ring = self._echo.kept_blocks
        self._silent = np.full(slots, self._ring + 1, np.int64)  # blocks since far was audible
        self._offset = np.zeros(slots, np.float32)  # of the near end, its mean of late
        self._idle = np.zeros(slots, np.int64)  # blocks since an echo was possible
        self._was_active = np.zeros(slots, np.bool_)
        self._gain = np.zeros(slots, np.float32)  # of the predicted echo at the last block's end

    @property
    def nbytes_per_slot(self) -> int:
        """Memory of one call, small counters aside."""
        return self._echo.nbytes_per_slot

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._echo.reset(slot)
        self._coupling.reset(slot)
        self._idle[slot] = 0
        self._silent[slot] = self._ring + 1
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
        of = self._echo
        bounds = self._ring, of.max_blocks
        state = self._silent, of.delay, of.explanation.is_trusted
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
        delay, settled = of.delay[slots], of.settled.copy()
        is_verified = of.explanation.is_trusted[slots] & of.explanation.is_verified[slots]
        if len(active):
            of.track(rows, filtered, sent)
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
            of.explanation.is_trusted,
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
            self._echo.reference.forget_near(slots[is_fresh])
        if is_awake.all():
            self._echo.reference.write(slots, filtered, far)
        else:
            self._echo.reference.write(slots[is_awake], filtered[is_awake], far[is_awake])
        return filtered

    def _aligned(self, slots: Slots) -> Signal:
        delay = self._echo.delay[slots]
        reference = self._echo.reference.late(slots, 1, np.maximum(delay, 0))
        reference[delay == UNLOCKED] = 0.0
        return reference

    def _wake(self, slots: Slots) -> None:
        """The far end is heard again."""
        woken = slots[~self._was_active[slots]]
        if len(woken):
            self._echo.wake(woken, self._idle[woken])
            self._idle[woken] = 0

    # ------------------------------------------------------------ one block

    def _cancel(self, slots: Slots, near: Signal, far: Signal) -> tuple[Signal, Signal]:
        """(echo to take out, float32[n, 160]; power of what may be left, float32[n])."""
        residual = self._coupling.hear(slots, near, far)
        taken = np.zeros_like(near)
        known = np.flatnonzero(self._echo.delay[slots] != UNLOCKED)
        if not len(known):
            return taken, residual
        rows, heard = slots[known], near[known]
        echo, left, is_trusted, is_wanted = self._echo.hear(rows, heard)
        taken[known] = self._fade(rows, heard, echo, is_wanted)
        residual[known] = np.where(is_trusted, left, residual[known])
        return taken, residual

    def _fade(self, slots: Slots, near: Signal, echo: Signal, wanted: NDArray[np.bool_]) -> Signal:
        """`echo` faded in or out over a block where that changes; none at all in a block that it
        would make louder: the line may have gone silent."""
        faded = np.empty_like(near)
        loops.fade(slots, near, echo, wanted, self._gain, faded)
        return faded


def _finite(signal: Signal) -> Signal:
    """Within full scale, whatever came."""
    signal = np.ascontiguousarray(signal, np.float32)
    if loops.is_finite(signal):
        return signal
    return np.clip(np.nan_to_num(signal, nan=0.0), -1.0, 1.0)
