"""Hearing whose computation lies on a device; see engine.hearing, which it is for everybody else.

The host keeps what others read (the audio to be recognised) and counts samples, which needs no
values; mu-law goes to the device as it came. When the device fails, hearing goes on with the rooms
of the CPU from the very chunks that failed: no call and no audio is lost, only what filters and
nets knew, which they learn again within a second. Calls for which the CPU has no time are told so:
they go on by keys, until the device is back.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import dtmf, mulaw
from voicebot.audio.offset import Offset
from voicebot.audio.pcm import to_float
from voicebot.engine.hearing import (
    BLOCK,
    WINDOW,
    Chunk,
    Hearing,
    HearingLost,
    InbandKey,
    Result,
    VadResult,
)
from voicebot.engine.hearing_device.keys import KeyJudge
from voicebot.engine.hearing_device.line import STATES
from voicebot.engine.hearing_device.machine import Heard, Machine, Step
from voicebot.engine.hearing_device.revival import Revival
from voicebot.engine.hearing_device.shedding import Reviewed, Shedding
from voicebot.engine.hearing_rooms import Canceller, DeviceWatch, Keys, NearEnd, Unwatched, Vad
from voicebot.engine.rings import Rows, Samples

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What hears on a CPU; see engine.hearing."""

    vad: Vad
    canceller: Canceller
    near_end: NearEnd
    keys: Keys | None = None


class _Elsewhere:
    """In the place of rooms while the device computes."""

    def _never(self, *_: object) -> NoReturn:
        raise AssertionError("computed on the device")

    process = probabilities = feed = _never

    def reset(self, slot: int) -> None:
        """The device does so before its next step."""


class _LeftAsItIs(Offset):
    """A line's offset is taken off on the device."""

    def remove(self, slots: Rows, chunks: Samples) -> Samples:
        """Nothing yet."""
        return chunks


@dataclass(frozen=True, slots=True)
class _Direct:
    """Whole chunks that follow what was heard: on their way to the device nothing keeps them."""

    rows: Rows
    at: NDArray[np.int64]
    audio: NDArray[np.uint8]  # [n, 320], mu-law in and sent


class DeviceHearing(Hearing):
    """Belongs to one thread, but for `span`."""

    def __init__(
        self,
        slots: int,
        machine: Machine | None,
        rooms: Rooms,
        *,
        watch: DeviceWatch | None = None,
        shedding: Shedding | None = None,
        revival: Revival | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rooms` hear once the device has failed, or from the start where there is no `machine`:
        as many calls as `shedding` (unless given: all) says. `revival`: how it is had again."""
        nobody = _Elsewhere()
        super().__init__(slots, nobody, canceller=nobody, near_end=nobody)
        self._slots, self._clock = slots, clock
        self._machine: Machine | None = machine
        self._on_cpu, self._watch = rooms, watch or Unwatched()
        self._shedding = shedding or Shedding(slots, 0.0, tick_s=1e9)
        self._revival = revival
        self._offset = _LeftAsItIs(slots)
        self._judge: KeyJudge | None = None
        self._direct: _Direct | None = None
        self._fresh: set[int] = set()  # slots whose rows on the device are to be reset
        self._stepped_s = 0.0  # in steps of the CPU, since `hear` began
        self._blocks = 0
        self._began = clock()  # with a step
        if machine is None:
            self._use_cpu()
            self._report(self._shedding.begin(self._began))
        elif machine.line.keys is not None:
            self._judge = KeyJudge(slots)

    @property
    def is_on_device(self) -> bool:
        """Whether the device still computes."""
        return self._machine is not None

    @property
    def places(self) -> int | None:
        """How many calls can be heard; None: as many as there are slots. From any thread."""
        return self._shedding.places if self._machine is None else None

    @property
    def deaf_calls(self) -> int:
        """How many calls go on by keys now. From any thread."""
        return self._shedding.deaf_calls(self._clock())

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        super().reset(slot)
        self._results = [result for result in self._results if result.slot != slot]
        self._fresh.add(slot)
        if self._judge is not None:
            self._judge.reset(slot)
        if not self._shedding.opened(slot, self._clock()):
            self._report(Reviewed([slot], []))

    # ------------------------------------------------------------ a step

    def hear(self, chunks: Sequence[Chunk]) -> list[Result]:
        """See Hearing; without the device, those are heard for whom there is time."""
        self._began = began = self._clock()
        was_on_device = self.is_on_device
        slots = np.array([chunk.slot for chunk in chunks], np.intp)
        self._shedding.came(slots, began)
        if self._machine is None:
            if self._revival is not None and (machine := self._revival.look(began)) is not None:
                self._return_to(machine)
            else:
                self._report(self._shedding.review(began))
        self._stepped_s, self._blocks = 0.0, 0
        told = super().hear(chunks)
        if self._blocks and not was_on_device:  # else it was the lost device that took its time
            other = self._clock() - began - self._stepped_s
            self._shedding.measured(self._blocks, self._stepped_s, max(0.0, other))
        return told

    def _report(self, reviewed: Reviewed) -> None:
        """To the calls, and to whoever watches."""
        for slots, is_back in ((reviewed.lost, False), (reviewed.regained, True)):
            self._results += [
                HearingLost(slot, int(self._written[slot]), is_back) for slot in slots
            ]
        if reviewed.lost or reviewed.regained:
            self._watch.shed(self.deaf_calls, self._shedding.places)

    # ------------------------------------------------------------ audio in

    def _write_all(self, chunks: list[Chunk]) -> None:
        if self._machine is None:
            super()._write_all(chunks)
            return
        direct = []
        slots = [chunk.slot for chunk in chunks]
        written, cancelled = self._written[slots].tolist(), self._cancelled[slots].tolist()
        for chunk, end, done in zip(chunks, written, cancelled, strict=True):
            is_whole = len(chunk.payload) == BLOCK and len(chunk.reference) in {0, BLOCK}
            if is_whole and chunk.at == end == done:
                direct.append(chunk)
            else:
                self.write(chunk.slot, chunk.at, chunk.payload, chunk.reference)
        if direct:
            rows = np.array([chunk.slot for chunk in direct], np.intp)
            silence = mulaw.SILENCE * BLOCK
            parts = [part for one in direct for part in (one.payload, one.reference or silence)]
            audio = np.frombuffer(b"".join(parts), np.uint8).reshape(len(direct), 2 * BLOCK)
            self._direct = _Direct(rows, self._written[rows], audio)

    def _catch_up(self, slot: int) -> None:
        super()._catch_up(slot)
        if self._machine is not None and self._heard[slot] < self._cancelled[slot] - WINDOW:
            # The device keeps no more than it needs: of a gap that long its end is heard.
            self._heard[slot] = self._cancelled[slot]

    # ------------------------------------------------------------ computing

    def _advance(self, slots: Sequence[int]) -> None:
        if self._machine is not None:
            try:
                self._advance_there(self._machine, np.asarray(slots, np.intp))
                return
            except Exception as error:
                self._fall_back(self._machine, f"{type(error).__name__}: {error}".splitlines()[0])
        rows = np.asarray(slots, np.intp)
        is_deaf = self._shedding.is_deaf[rows]
        if is_deaf.any():
            self._pass_over(rows[is_deaf])
            rows = rows[~is_deaf]
        began = self._clock()
        self._blocks += int(((self._written[rows] - self._cancelled[rows]) // BLOCK).sum())
        super()._advance(rows)  # type: ignore[arg-type]  # an array of them will do
        self._stepped_s += self._clock() - began

    def _pass_over(self, rows: Rows) -> None:
        """Nobody has time to hear these calls but for keys: it is as if they were silent."""
        keys = self._on_cpu.keys
        while len(blocks := rows[self._written[rows] - self._cancelled[rows] >= BLOCK]):
            at = self._cancelled[blocks]
            if keys is not None:
                found = keys.feed(blocks, self._near.get_floats(blocks, at, BLOCK))
                self._results += [
                    InbandKey(int(blocks[row]), int(at[row]) + on, key) for row, key, on in found
                ]
            self._cancelled[blocks] += BLOCK
        while len(windows := self._ready(rows)):
            self._results += [
                VadResult(slot, at, 0.0)
                for slot, at in zip(windows.tolist(), self._heard[windows].tolist(), strict=True)
            ]
            self._heard[windows] += WINDOW

    def _advance_there(self, machine: Machine, slots: Rows) -> None:
        if self._fresh:
            machine.reset(sorted(self._fresh))
            self._fresh.clear()
        while True:
            is_kept = self._written[slots] - self._cancelled[slots] >= BLOCK
            blocks, audio = self._waiting(slots[is_kept])
            if not len(blocks) and not len(self._ready(slots)):
                return
            at = self._cancelled[blocks]
            self._cancelled[blocks] += BLOCK
            windows = self._ready(slots)
            self._cancelled[blocks] = at
            step = Step(audio, np.stack((blocks, at)), np.stack((windows, self._heard[windows])))
            self._take_in(step, machine.step(step))

    def _ready(self, slots: Rows) -> Rows:
        """Slots with a window."""
        return slots[self._cancelled[slots] - self._heard[slots] >= WINDOW]

    def _waiting(self, rows: Rows) -> tuple[Rows, NDArray[np.uint8]]:
        """Slots with a block, `rows` and those whose chunks need not be kept; and the blocks."""
        direct = self._direct
        if direct is not None and not len(rows):
            return direct.rows, direct.audio
        both = np.empty((len(rows), 2, BLOCK), np.uint8)
        for kept, ring in enumerate((self._near, self._reference)):
            samples = ring.get_rows(rows, self._cancelled[rows], BLOCK)
            coded = mulaw.encode(samples.reshape(-1))  # exact: samples were decoded from it
            both[:, kept] = np.frombuffer(coded, np.uint8).reshape(-1, BLOCK)
        audio = both.reshape(-1, 2 * BLOCK)
        if direct is None:
            return rows, audio
        return np.concatenate((direct.rows, rows)), np.concatenate((direct.audio, audio))

    def _take_in(self, step: Step, heard: Heard) -> None:
        rows, at = step.blocks
        if len(rows):
            self._clean.put_rows(rows, at, heard.clean)
            self._cancelled[rows] += BLOCK
            # Now there is something to read up to there.
            self._written[rows] = np.maximum(self._written[rows], self._cancelled[rows])
            self._direct = None
        if self._judge is not None and len(rows):
            keys = self._judge.judge(rows, heard.tones, lambda row: self._before(rows[row]))
            self._results += [InbandKey(int(rows[r]), int(at[r]) + on, key) for r, key, on in keys]
        self._heard[step.windows[0]] += WINDOW
        columns = (*step.windows, *heard.told.T)
        self._results += [
            VadResult(slot, start, probability, STATES[int(state)], speech, level)
            for slot, start, probability, speech, state, level in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def _before(self, slot: int) -> Floats:
        """The last block that the canceller has done, and what a key may have begun in."""
        end, length = int(self._cancelled[slot]), dtmf.HISTORY + BLOCK
        begin = max(0, end - length)
        samples = np.zeros(length, np.float32)
        samples[length - (end - begin) :] = to_float(self._clean.get(slot, begin, end))
        return samples

    # ------------------------------------------------------------ without the device

    def _fall_back(self, machine: Machine, why: str) -> None:
        """Go on with the CPU's rooms; what the device did not do waits for them."""
        self._machine = None
        # Never freed, also when the process ends: giving its pinned memory back asks the lost
        # device for an event, and where that fails C++ aborts the process, with all calls.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(machine))
        self._use_cpu()
        direct, self._direct = self._direct, None
        if direct is not None:
            near, sent = (
                mulaw.decode(np.ascontiguousarray(half).tobytes()).reshape(-1, BLOCK)
                for half in (direct.audio[:, :BLOCK], direct.audio[:, BLOCK:])
            )
            near = self._offset.remove(direct.rows, near)
            for ring, samples in ((self._near, near), (self._clean, near), (self._reference, sent)):
                ring.put_rows(direct.rows, direct.at, samples)
            self._written[direct.rows] += BLOCK
        now = self._clock()
        if self._revival is not None:
            self._revival.lost(now)
        self._watch.lost(why)
        self._report(self._shedding.begin(now, stood_s=now - self._began))

    def _use_cpu(self) -> None:
        rooms = self._on_cpu
        self._vad, self._canceller = rooms.vad, rooms.canceller
        self._near_end, self._keys = rooms.near_end, rooms.keys
        together = (rooms.vad, rooms.canceller, rooms.near_end, rooms.keys)
        self._rooms = [room for room in together if room is not None]
        self._offset = Offset(self._slots)

    def _return_to(self, machine: Machine) -> None:
        """The device is back: all calls are heard there, as if they had begun just now."""
        for room in self._rooms:
            for slot in range(self._slots):
                room.reset(slot)
        nobody = _Elsewhere()
        self._vad = self._canceller = self._near_end = nobody
        self._keys, self._rooms = None, [nobody]
        self._offset = _LeftAsItIs(self._slots)
        self._judge = KeyJudge(self._slots) if machine.line.keys is not None else None
        self._fresh = set(range(self._slots))
        self._heard = np.maximum(self._heard, self._cancelled)
        self._machine = machine
        self._watch.back()
        self._report(self._shedding.end())
