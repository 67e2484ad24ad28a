"""Hearing whose computation lies on a device; see engine.hearing, which it is for everybody else.

The host keeps what others read (the audio to be recognised) and counts samples, which needs no
values; mu-law goes to the device as it came. When the device fails, hearing goes on with the rooms
of the CPU from the very chunks that failed: no call and no audio is lost, only what filters and
nets knew, which they learn again within a second.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import dtmf, mulaw
from voicebot.audio.offset import Offset
from voicebot.audio.pcm import to_float
from voicebot.engine.hearing import BLOCK, WINDOW, Chunk, Hearing, InbandKey, VadResult
from voicebot.engine.hearing_device.keys import KeyJudge
from voicebot.engine.hearing_device.line import STATES
from voicebot.engine.hearing_device.machine import Heard, Machine, Step
from voicebot.engine.hearing_rooms import Canceller, Keys, NearEnd, Vad
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
        machine: Machine,
        rooms: Rooms,
        *,
        on_lost: Callable[[str], object] = lambda why: None,
    ) -> None:
        """`rooms` hear once the device has failed; `on_lost` is then told why, in the thread that
        hears."""
        nobody = _Elsewhere()
        super().__init__(slots, nobody, canceller=nobody, near_end=nobody)
        self._machine: Machine | None = machine
        self._on_cpu, self._on_lost = rooms, on_lost
        self._offset = _LeftAsItIs(slots)
        self._judge = KeyJudge(slots) if machine.line.keys is not None else None
        self._direct: _Direct | None = None
        self._fresh: set[int] = set()  # slots whose rows on the device are to be reset

    @property
    def is_on_device(self) -> bool:
        """Whether the device still computes."""
        return self._machine is not None

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        super().reset(slot)
        self._fresh.add(slot)
        if self._judge is not None:
            self._judge.reset(slot)

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
        super()._advance(slots)

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
        rooms, self._machine = self._on_cpu, None
        # Never freed, also when the process ends: giving its pinned memory back asks the lost
        # device for an event, and where that fails C++ aborts the process, with all calls.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(machine))
        self._vad, self._canceller = rooms.vad, rooms.canceller
        self._near_end, self._keys = rooms.near_end, rooms.keys
        together = (rooms.vad, rooms.canceller, rooms.near_end, rooms.keys)
        self._rooms = [room for room in together if room is not None]
        self._offset = Offset(len(self._written))
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
        self._on_lost(why)
