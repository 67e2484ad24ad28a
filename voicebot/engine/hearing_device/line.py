"""One step of hearing as tensor operations: what engine.hearing does between its rooms.

mu-law to samples, the line's offset, the canceller, what is known of the echo; windows of what the
caller said to the voice activity net and the near-end detector. Inputs and outputs lie at fixed
places, so that each stage can be recorded once for each batch size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from voicebot.audio import mulaw
from voicebot.audio import offset as offset_room
from voicebot.audio.delay import MAX_DELAY_MS, UNLOCKED
from voicebot.engine import known_echo as room
from voicebot.engine.hearing import BLOCK, WINDOW
from voicebot.engine.hearing_device.delay import to_float, to_int16
from voicebot.engine.hearing_device.echo import Canceller
from voicebot.engine.hearing_device.keys import COLUMNS, Correlators
from voicebot.engine.hearing_device.near_end import NearEnd, Windows
from voicebot.engine.hearing_device.state import SlotState, constant, put
from voicebot.engine.hearing_device.vad import Vad
from voicebot.events import EchoState

RING = 1024
"""Samples kept on the device: a window and a block, and what a window may be behind."""
STATES = (EchoState.NONE, EchoState.FAINT, EchoState.UNLOCKED, EchoState.LOCKED)
"""What the third column of a window stands for."""
TOLD = 4
"""Columns of a window: probability, speech, echo state, level (see engine.hearing.VadResult)."""


class Line:
    """All stages over the first rows of fixed inputs; see `machine` for who calls them."""

    def __init__(
        self,
        slots: int,
        device: torch.device,
        *,
        has_keys: bool = False,
        max_delay_ms: int = MAX_DELAY_MS,
    ) -> None:
        """Takes all memory; ModelUnavailable where a net is missing."""
        state = self.state = SlotState(slots, device)
        self.vad, self.near_end = Vad(state), NearEnd(state)
        self.canceller = Canceller(state, max_delay_ms=max_delay_ms)
        self.keys = Correlators(state) if has_keys else None
        self._table = constant(mulaw.decode(bytes(range(256))).astype(np.float32), device)
        self._mean, self._chunks = state.add(), state.add()
        self._near = state.add(RING, dtype=torch.int16)
        self._far = state.add(RING, dtype=torch.int16)
        self._reference = state.add(RING, dtype=torch.int16)
        self._clean = state.add(RING, dtype=torch.int16)
        self._is_active, self._is_locked = state.flag(), state.flag()
        self._is_verified, self._settled_ms = state.flag(), state.counter()
        self._delay = state.counter(UNLOCKED)
        self._is_faint, self._is_absent = state.flag(), state.flag()
        self._sent = state.counter()
        self._residual_db = state.add(fill=-torch.inf)
        self._loudest_db = state.add(fill=-torch.inf)
        self._in_block = torch.arange(BLOCK, device=device)
        self._in_window = torch.arange(WINDOW, device=device)
        self._allocate(slots, device)
        self.reset(torch.arange(slots + 1, device=device))

    def _allocate(self, slots: int, device: torch.device) -> None:
        self.audio = torch.zeros(slots, 2 * BLOCK, dtype=torch.uint8, device=device)
        """uint8[slots, 320]: mu-law as it came in and as it was sent."""
        self.blocks = torch.zeros(2, slots, dtype=torch.int64, device=device)
        """int64[2, slots]: row and first sample of each block."""
        self.windows = torch.zeros(2, slots, dtype=torch.int64, device=device)
        """The same of each window."""
        self._near_now = torch.zeros(slots, BLOCK, device=device)  # as integers, no offset
        self._far_now = torch.zeros(slots, BLOCK, device=device)
        self._clean_now = torch.zeros(slots, BLOCK, device=device)
        self._speech = torch.zeros(slots, device=device)
        self.clean = torch.zeros(slots, BLOCK, dtype=torch.int16, device=device)
        self.events = torch.zeros(slots, dtype=torch.int32, device=device)
        self.told = torch.zeros(slots, TOLD, device=device)
        self.tones = torch.zeros(slots if self.keys else 1, COLUMNS, device=device)
        self.canceller.allocate(slots)

    @property
    def nbytes_per_slot(self) -> int:
        """Device memory of a call."""
        return self.state.nbytes_per_slot + self.canceller.nbytes_per_slot

    def reset(self, rows: Tensor) -> None:
        """New calls take these rows."""
        self.state.reset(rows)
        self.canceller.reset(rows)

    # ------------------------------------------------------------ blocks

    def decode(self, count: int) -> None:
        """mu-law; and off the near end what the line adds to it, as audio.offset."""
        rows = self.blocks[0, :count]
        samples = self._table[self.audio[:count].to(torch.int64)]
        near, far = samples.chunk(2, dim=1)
        chunks = self._chunks[rows] + 1
        share = (1 / chunks).clamp(min=float(offset_room.SHARE))
        mean = self._mean[rows]
        mean = mean + share * (near.mean(dim=1) - mean)
        put(self._chunks, rows, chunks)
        put(self._mean, rows, mean)
        excess = (mean.abs() - float(offset_room.TOLERATED)).clamp(min=0)[:, None]
        mended = (near - torch.copysign(excess, mean[:, None]).round()).clamp(-32767, 32767)
        self._near_now[:count].copy_(torch.where(excess > 0, mended, near))
        self._far_now[:count].copy_(far / 32768)

    def cancel(self, count: int) -> None:
        """The canceller, and what is known of the echo."""
        rows, at = self.blocks[0, :count], self.blocks[1, :count]
        near, far = self._near_now[:count], self._far_now[:count]
        done = self.canceller.step(rows, near / 32768, far)
        clean = torch.where(done.is_active[:, None], to_int16(done.clean), near.to(torch.int16))
        self._clean_now[:count].copy_(done.clean)
        self.clean[:count].copy_(clean)
        self.events[:count].copy_(done.events)
        where = (rows[:, None] * RING + (at[:, None] + self._in_block) % RING).flatten()
        for ring, signal in (
            (self._near, near.to(torch.int16)),
            (self._far, to_int16(done.far)),
            (self._reference, to_int16(far)),
            (self._clean, clean),
        ):
            ring.view(-1).index_copy_(0, where, signal.flatten())
        is_loud = far.abs().amax(dim=1) > room.AUDIBLE
        sent = self._sent[rows] + BLOCK * is_loud
        active, locked = done.is_active, done.is_locked
        fallen = self._loudest_db[rows] - float(room.LOUDEST_FALL_DB) * (active & ~locked)
        loudest = torch.maximum(fallen, done.residual_db)  # -inf where not active
        is_faint = active & (sent >= room.PROVEN_SAMPLES) & (loudest < room.FAINT_DB)
        is_absent = is_faint & (loudest < room.ABSENT_DB)
        put(self._sent, rows, sent)
        put(self._loudest_db, rows, loudest)
        put(self._residual_db, rows, done.residual_db)
        put(self._is_active, rows, active)
        put(self._is_locked, rows, locked & (done.settled_ms >= room.SETTLED_MS))
        put(self._is_verified, rows, done.is_verified)
        put(self._delay, rows, done.delay)
        put(self._settled_ms, rows, done.settled_ms)
        put(self._is_faint, rows, ~locked & (self._is_faint[rows] | is_faint))
        put(self._is_absent, rows, ~locked & (self._is_absent[rows] | is_absent))

    def correlate(self, count: int) -> None:
        """Tones of keys."""
        if self.keys is not None:
            rows = self.blocks[0, :count]
            self.tones[:count].copy_(self.keys.step(rows, self._clean_now[:count]))

    # ------------------------------------------------------------ windows

    def _window(self, ring: Tensor, count: int) -> Tensor:
        rows, at = self.windows[0, :count, None], self.windows[1, :count, None]
        return to_float(ring.view(-1)[rows * RING + (at + self._in_window) % RING])

    def listen(self, count: int) -> None:
        """Does anybody speak?"""
        rows, clean = self.windows[0, :count], self._window(self._clean, count)
        self._speech[:count].copy_(self.vad.step(rows, clean))

    def judge(self, count: int) -> None:
        """Is it the caller?"""
        rows, speech = self.windows[0, :count], self._speech[:count]
        rings = (self._near, self._clean, self._far, self._reference)
        near, clean, far, sent = (self._window(ring, count) for ring in rings)
        is_active, is_locked = self._is_active[rows], self._is_locked[rows]
        is_faint = self._is_faint[rows]
        echoes = is_active & ~self._is_absent[rows]
        windows = Windows(
            near=near,
            clean=clean,
            far=far,
            sent=sent,
            speech=speech,
            residual_db=self._residual_db[rows],
            delay=self._delay[rows],
            is_locked=is_locked,
            is_verified=self._is_verified[rows],
            settled_ms=self._settled_ms[rows],
        )
        judged = self.near_end.step(rows, self.state.only(rows, echoes), windows)
        probability = torch.where(echoes, judged, speech)
        has_echo = (self._sent[rows] >= room.PROVEN_SAMPLES) & ~is_faint
        state = (is_active * 2 + (is_active & is_locked).to(torch.int64)).masked_fill(is_faint, 1)
        level = 10 * (clean.square().mean(dim=1) + 1e-10).log10()
        speech = torch.where(has_echo, probability, speech)
        columns = (probability, speech, state.to(torch.float32), level)
        self.told[:count].copy_(torch.stack(columns, dim=1))
