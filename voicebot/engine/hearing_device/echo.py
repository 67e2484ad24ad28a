"""The echo canceller as tensor operations; see audio.echo.

A block of all rows is one recorded step. What is rare and costs as much as dozens of blocks - a
filter that starts, one that follows a step of the delay, one that hears again what it has heard -
are steps of their own over a few rows (echo_rare); a block tells who needs one, and the host has
them computed before the next block, in the order in which the room does so at the end of this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from voicebot.audio import echo_loops as loops
from voicebot.audio import followed
from voicebot.audio.delay import (
    HURRIED_BLOCKS,
    MAX_DELAY_MS,
    RELAXED_BLOCKS,
    UNLOCKED,
    UPDATE_BLOCKS,
)
from voicebot.engine.hearing_device.echo_parts import (
    FOLLOW,
    LOCK,
    REHEARSE,
    START,
    Parts,
    at_once,
)
from voicebot.engine.hearing_device.echo_rare import RareSteps
from voicebot.engine.hearing_device.residual import Coupling
from voicebot.engine.hearing_device.state import SlotState, put
from voicebot.events import CHUNK_SAMPLES


@dataclass(frozen=True, slots=True)
class Cancelled:
    """As audio.echo.Cancelled, and the rows' events (bits, see echo_parts), int32[n]."""

    clean: Tensor
    far: Tensor
    residual_db: Tensor
    is_active: Tensor
    is_locked: Tensor
    settled_ms: Tensor
    delay: Tensor
    is_verified: Tensor
    events: Tensor


class Canceller:
    """As EchoCanceller."""

    def __init__(self, state: SlotState, *, max_delay_ms: int = MAX_DELAY_MS) -> None:
        self._parts = Parts(state, max_delay_ms)
        self.rare = RareSteps(self._parts)
        self._coupling = Coupling(state, self._parts.max_blocks + 1)
        self._silent = state.counter(self._parts.ring + 1)
        self._offset = state.add()
        self._idle = state.counter()
        self._was_active = state.flag()
        self._gain = state.add()
        self._ramp = torch.arange(1, CHUNK_SAMPLES + 1, device=state.device) / CHUNK_SAMPLES

    @property
    def nbytes_per_slot(self) -> int:
        """Beyond what the state counts."""
        return self._parts.filter.nbytes_per_slot

    @property
    def rehearsing(self) -> Tensor:
        """int64[k]: who hears again next."""
        return self._parts.rehearsing

    def allocate(self, rows: int) -> None:
        """For steps of up to so many rows."""
        self._parts.allocate(rows)

    def reset(self, rows: Tensor) -> None:
        """After the state's own."""
        self._parts.tracker.reset(rows)

    # ------------------------------------------------------------ a block

    def step(self, rows: Tensor, near: Tensor, far: Tensor) -> Cancelled:
        """The next block of each of `rows`, int64[n]: float32[n, 160] each."""
        state = self._parts.state
        is_audible = far.abs().amax(dim=1) > float(loops.AUDIBLE)
        silent = (self._silent[rows] + 1).masked_fill(is_audible, 0)
        put(self._silent, rows, silent)
        is_active = (silent <= self._last_block(rows)) & (rows != state.scratch)
        was_active = self._was_active[rows]
        filtered = self._remember(rows, near, far, silent, was_active)
        active = state.only(rows, is_active)
        self._wake(rows, is_active & ~was_active)
        taken, residual, events = self._cancel(rows, active, filtered, far)
        clean = near - taken
        residual = torch.minimum(residual, clean.square().mean(dim=1))
        level = 10 * residual.clamp(min=1e-12).log10()
        aligned = self._parts.reference.late(rows, 1, self._parts.delay[rows].clamp(min=0))
        delay = self._parts.delay[rows]
        is_placed = is_active & (delay != UNLOCKED)
        events = events | self._track(rows, active, filtered, far)
        put(self._was_active, rows, is_active)
        put(self._idle, rows, self._idle[rows] + ~is_active)
        is_locked = self._parts.explanation.is_trusted[rows]
        return Cancelled(
            clean,
            aligned.masked_fill(~is_placed[:, None], 0.0),
            level.masked_fill(~is_active, -torch.inf),
            is_active,
            is_locked,
            (self._parts.settled[rows] * 20).masked_fill(~is_locked, 0),
            delay,
            is_locked & self._parts.explanation.is_verified[rows],
            events.masked_fill(~is_active, 0).to(torch.int32),
        )

    def _last_block(self, rows: Tensor) -> Tensor:
        delay = self._parts.delay[rows] // CHUNK_SAMPLES
        known = self._parts.explanation.is_trusted[rows]
        return delay.masked_fill(~known, self._parts.max_blocks) + loops.TAIL_BLOCKS

    def _remember(
        self, rows: Tensor, near: Tensor, far: Tensor, silent: Tensor, was_active: Tensor
    ) -> Tensor:
        """Write the histories; the near end without offset."""
        is_awake = (silent <= self._parts.ring) & (rows != self._parts.state.scratch)
        awake = self._parts.state.only(rows, is_awake)
        means = near.mean(dim=1)
        fresh = is_awake & (silent == 0) & ~was_active
        self._parts.reference.forget_near(rows, self._parts.state.only(rows, fresh))
        offset = torch.where(fresh, means, self._offset[rows])
        offset = offset + float(loops._OFFSET_SHARE) * (means - offset)
        put(self._offset, awake, offset)
        filtered = near - offset[:, None]
        self._parts.reference.write(rows, awake, filtered, far)
        return filtered

    def _wake(self, rows: Tensor, wakes: Tensor) -> None:
        """The far end is heard again. All that can be in the room is this block: what came
        before was silence for longer than the delay."""
        woken = self._parts.state.only(rows, wakes)
        self._parts.tracker.wake(rows, woken)
        self._parts.explanation.expect(woken)
        known = self._parts.state.only(rows, wakes & (self._parts.delay[rows] != UNLOCKED))
        self._move(rows, known, self._parts.reference.coast(rows, known, self._idle[rows]))
        self._parts.filter.silence(known)
        self._idle.index_fill_(0, woken, 0)

    def _move(self, rows: Tensor, kept: Tensor, moved: Tensor) -> None:
        """The reference moves with the other clock, so does the delay."""
        put(self._parts.delay, kept, self._parts.delay[rows] + moved)
        put(self._parts.tracker.delay, kept, self._parts.tracker.delay[rows] + moved)

    def _cancel(
        self, rows: Tensor, active: Tensor, near: Tensor, far: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(echo to take out, power of what may be left, events)."""
        state, explanation = self._parts.state, self._parts.explanation
        residual = self._coupling.hear(rows, active, near, far)
        is_known = (active != state.scratch) & (self._parts.delay[rows] != UNLOCKED)
        known = state.only(rows, is_known)
        frames = self._parts.reference.late(rows, 2, self._parts.reference.shift[rows])
        late, learns = self._parts.reference.fraction[rows], self._parts.lost[rows] == 0
        echo, doubted = self._parts.filter.step(rows, known, near, frames, learns, late)
        is_broken = ~echo.isfinite().all(dim=1)  # its filter begins anew, nobody else minds
        echo, doubted = echo.masked_fill(is_broken[:, None], 0.0), doubted.masked_fill(is_broken, 0)
        is_lost, is_louder = explanation.hear(rows, known, near[:, None], echo[:, None])
        is_trusted = explanation.is_trusted[rows] & is_known
        faded = self._fade(rows, known, near, echo, is_trusted & ~is_louder)
        settled = self._parts.settled[rows] + is_trusted
        estimate = torch.maximum(float(followed.DOUBT_SHARE) * doubted, explanation.residual(rows))
        residual = torch.where(is_trusted, estimate, residual)
        is_clear = explanation.is_clear[rows] & (settled > followed.SETTLED_BLOCKS)
        self._move(rows, known, self._parts.reference.drift(rows, known, near, echo, is_clear))
        put(self._parts.settled, known, settled.masked_fill(is_lost, 0))
        events = self._rehearsals(rows, known)
        events = events | self._recover(rows, known, is_trusted, is_lost, is_louder)
        self._parts.give_up(state.only(known, is_broken))
        taken = faded.masked_fill(~is_known[:, None], 0.0)
        return taken, residual, events.masked_fill(~is_known, 0)

    def _fade(
        self, rows: Tensor, kept: Tensor, near: Tensor, echo: Tensor, wanted: Tensor
    ) -> Tensor:
        """As EchoCanceller._fade."""
        begin, end = self._gain[rows], wanted.to(torch.float32)
        faded = echo * (begin[:, None] + (end - begin)[:, None] * self._ramp)
        left = (near - faded).square().sum(dim=1)
        is_worse = left > float(loops._WORSE) * near.square().sum(dim=1)
        put(self._gain, kept, end.masked_fill(is_worse, 0.0))
        return faded.masked_fill(is_worse[:, None], 0.0)

    def _rehearsals(self, rows: Tensor, known: Tensor) -> Tensor:
        """Note who hears again next: who has waited longest. Told of all that waited."""
        age = self._parts.age[rows] + 1
        put(self._parts.age, known, age)
        is_late = self._parts.delay[rows] >= loops.LATE_SAMPLES
        is_due = torch.where(
            is_late,
            age % loops.REHEARSE_LATE_BLOCKS == 0,
            age % loops.REHEARSE_BLOCKS == 0,
        )
        is_due = is_due & (age <= loops.REHEARSED_BLOCKS)
        is_known = known != self._parts.state.scratch
        waiting = self._parts.waiting[rows]
        waiting = waiting + (is_due | (waiting > 0))
        waiting = waiting.masked_fill((self._parts.lost[rows] > 0) | ~is_known, 0)
        put(self._parts.waiting, known, waiting)
        count = min(len(rows), at_once(len(rows)))
        longest = torch.argsort(waiting, descending=True, stable=True)[:count]
        chosen = self._parts.state.only(rows[longest], waiting[longest] > 0)
        self._parts.waiting.index_fill_(0, chosen, 0)
        self._parts.rehearsing.fill_(self._parts.state.scratch)
        self._parts.rehearsing[:count].copy_(chosen)
        return (waiting > 0) * REHEARSE

    def _recover(
        self, rows: Tensor, known: Tensor, is_trusted: Tensor, is_lost: Tensor, is_louder: Tensor
    ) -> Tensor:
        """As EchoCanceller._recover, but for the starts, which are told."""
        lost = self._parts.lost[rows]
        was_kept = lost > 0
        left = (lost - self._parts.explanation.is_audible[rows].to(torch.int64)).masked_fill(
            is_lost, loops.LOST_BLOCKS
        )
        lost = left.clamp(min=0).masked_fill(is_trusted, 0)
        put(self._parts.lost, known, lost)
        louder = (self._parts.louder[rows] + 1).masked_fill(~(is_louder & is_trusted), 0)
        put(self._parts.louder, known, louder)
        has_failed = (louder > loops._MAX_LOUDER_BLOCKS) | (was_kept & (left <= 0))
        starts = has_failed & ~(is_trusted & was_kept) & (known != self._parts.state.scratch)
        put(self._parts.starts, known, starts)
        trial = (self._parts.trial[rows] + 1).masked_fill(is_trusted | (lost > 0) | starts, 0)
        put(self._parts.trial, known, trial)
        self._parts.give_up(self._parts.state.only(known, trial > loops.TRIAL_BLOCKS))
        return starts * START

    def _track(self, rows: Tensor, active: Tensor, near: Tensor, far: Tensor) -> Tensor:
        is_lost = self._parts.lost[rows] > 0
        every = torch.full_like(rows, UPDATE_BLOCKS)
        every = every.masked_fill(self._parts.explanation.is_verified[rows], RELAXED_BLOCKS)
        every = every.masked_fill(is_lost, HURRIED_BLOCKS)
        found = self._parts.tracker.step(rows, active, near, far, every)
        return found.changed * LOCK | (found.correlated & is_lost) * FOLLOW
