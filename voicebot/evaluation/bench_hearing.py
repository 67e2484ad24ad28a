"""How many calls a machine can hear: one step of 20 ms for all of them, again and again.

Each call is a bot over a telephone with an echo, and a caller who talks now and then; calls begin
one after the other, with rooms and delays of their own. What is measured is what the hearing thread
does in a call of `Hearing.hear`: everything from mu-law bytes to probabilities, without the wire.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal

from voicebot.asr.device_streams import device_named
from voicebot.audio import mulaw
from voicebot.audio.dtmf import DtmfDetector
from voicebot.audio.echo import EchoCanceller
from voicebot.audio.echo_path import impulse_response
from voicebot.audio.pcm import to_int16
from voicebot.engine.hearing import BLOCK, Chunk, Hearing
from voicebot.engine.hearing_device.build import make_machine
from voicebot.engine.hearing_device.hearing import DeviceHearing, Rooms
from voicebot.engine.hearing_device.machine import Machine
from voicebot.engine.hearing_rooms import Unwatched
from voicebot.errors import CapacityError, DeviceLost
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.vad import SileroVad

TICK_MS = 20
MOST_STREAMS = 32768
NARROW = 1.3
"""The search ends when what holds and what does not are that close."""
JOIN_S = 2.0
"""Within which all calls begin, before anything is measured."""
RECORDINGS = 48
LENGTH_S = 12
"""Of the recordings that calls take turns to play."""
WHERE = "bench hearing"


@dataclass(slots=True)
class Trial:
    """So many streams: milliseconds of each step, and of each stage in all steps together."""

    streams: int
    steps_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, float] = field(default_factory=dict)
    state_bytes: int = 0

    def percentile(self, share: float) -> float:
        """Of the steps, ms."""
        return float(np.percentile(self.steps_ms, share)) if self.steps_ms else float("inf")

    @property
    def holds(self) -> bool:
        """99 of 100 steps are done before the next audio is there."""
        return self.percentile(99) <= TICK_MS

    def stages(self) -> dict[str, float]:
        """Mean milliseconds of a step; "host": what no stage accounts for."""
        count = max(1, len(self.steps_ms))
        found = {name: total / count for name, total in self.stages_ms.items()}
        return {**found, "host": max(0.0, sum(self.steps_ms) / count - sum(found.values()))}


class HearingBench:
    """Trials on one device."""

    def __init__(self, device: str, *, has_keys: bool = False) -> None:
        """UserMistake where there is no such device."""
        self.device = device_named(device, WHERE)
        self.is_cpu = self.device.type == "cpu"
        self.name = "cpu" if self.is_cpu else torch.cuda.get_device_name(self.device)
        self._has_keys = has_keys
        self._recordings = recordings()
        self.trials: list[Trial] = []
        self.note = ""

    def run(self, streams: int, seconds: float, *, is_search: bool = True) -> Iterator[Trial]:
        """Of `streams`, of twice or half as many, then between what holds and what does not."""
        while 0 < streams <= MOST_STREAMS:
            try:
                trial = self._try(streams, seconds)
            except (CapacityError, DeviceLost) as error:
                self.note = str(error)
                return
            self.trials.append(trial)
            yield trial
            streams = self._next() if is_search else 0

    def _next(self) -> int:
        """How many to try; 0: enough is known."""
        late = [trial.streams for trial in self.trials if not trial.holds]
        if not late:
            return 2 * self.most
        least = min(late)
        if not self.most:
            return least // 2
        between = round((self.most * least) ** 0.5)
        return between if least > NARROW * self.most and self.most < between < least else 0

    @property
    def most(self) -> int:
        """Streams in time; 0 where none were."""
        return max((trial.streams for trial in self.trials if trial.holds), default=0)

    def report(self) -> dict[str, Any]:
        """For --json; figures are those of the most streams in time, else of the last trial."""
        held = [trial for trial in self.trials if trial.holds] or self.trials
        trial = max(held, key=lambda one: one.streams, default=Trial(0))
        is_measured = bool(trial.steps_ms)
        return {
            "device": self.name,
            "streams": trial.streams,
            "max_streams": self.most,
            "tick_ms": TICK_MS,
            "step_p50_ms": round(trial.percentile(50), 3) if is_measured else None,
            "step_p99_ms": round(trial.percentile(99), 3) if is_measured else None,
            "stages_ms": {name: round(ms, 3) for name, ms in trial.stages().items()},
            "state_mb_per_stream": round(trial.state_bytes / 1e6, 4),
        }

    # ------------------------------------------------------------ one trial

    def _try(self, streams: int, seconds: float) -> Trial:
        hearing, timed = self._make(streams)
        trial = Trial(streams, state_bytes=timed.state_bytes)
        for slot in range(streams):
            hearing.reset(slot)
        joining = int(JOIN_S * 1000 / TICK_MS)
        began = np.arange(streams) * joining // streams  # the tick with which each call begins
        ticks = joining + int(seconds * 1000 / TICK_MS)
        for tick in range(ticks):
            chunks = [
                self._chunk(slot, tick - first)
                for slot, first in enumerate(began.tolist())
                if first <= tick
            ]
            timed.clear()
            before = time.perf_counter()
            hearing.hear(chunks)
            took = time.perf_counter() - before
            if tick >= joining:
                trial.steps_ms.append(took * 1000)
                for name, spent in timed.seconds().items():
                    trial.stages_ms[name] = trial.stages_ms.get(name, 0.0) + spent * 1000
        del hearing, timed
        gc.collect()
        if not self.is_cpu:
            torch.cuda.empty_cache()
        return trial

    def _chunk(self, slot: int, number: int) -> Chunk:
        near, far = self._recordings[slot % len(self._recordings)]
        # Those who play the same recording are not in the same place of it.
        at = (number + 37 * (slot // len(self._recordings))) * BLOCK % len(near)
        here = slice(at, at + BLOCK)
        return Chunk(slot, number * BLOCK, near[here], far[here])

    def _make(self, streams: int) -> tuple[Hearing, _TimedRooms | _TimedMachine]:
        if not self.is_cpu:
            name = str(self.device)
            machine = make_machine(streams, name, has_keys=self._has_keys, where=WHERE)
            rooms = _rooms(1, self._has_keys)  # never asked: a bench that falls back fails
            return DeviceHearing(streams, machine, rooms, watch=_Failing()), _TimedMachine(machine)
        own = _rooms(streams, self._has_keys)
        timed = _TimedRooms(own, streams)
        hearing = Hearing(
            streams,
            timed.of("vad", own.vad),
            canceller=timed.of("echo", own.canceller),
            near_end=timed.of("near end", own.near_end),
            keys=timed.of("keys", own.keys) if own.keys is not None else None,
        )
        return hearing, timed


class _Failing(Unwatched):
    """A device that is lost is not measured any more."""

    def lost(self, why: str) -> None:
        raise CapacityError(f"{WHERE}: {why}", why="device")


def _rooms(slots: int, has_keys: bool) -> Rooms:
    return Rooms(
        SileroVad(slots),
        EchoCanceller(slots),
        NearEndDetector(slots),
        DtmfDetector(slots) if has_keys else None,
    )


class _TimedMachine:
    """Stages of the last step, by the device's own clock."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.state_bytes = machine.line.nbytes_per_slot

    def clear(self) -> None:
        """Every step begins anew."""

    def seconds(self) -> dict[str, float]:
        """Of each stage."""
        return self._machine.stage_times()


class _TimedRooms:
    """Rooms of a CPU that note how long they were asked."""

    def __init__(self, rooms: Rooms, slots: int) -> None:
        self._spent: dict[str, float] = {}
        parts = (rooms.vad, rooms.canceller, rooms.near_end, rooms.keys)
        self.state_bytes = sum(_bytes(part, set()) for part in parts) // slots

    def clear(self) -> None:
        """Before a step."""
        self._spent = dict.fromkeys(self._spent, 0.0)

    def seconds(self) -> dict[str, float]:
        """Of each room in the step since."""
        return self._spent

    def of(self, name: str, room: Any) -> Any:
        """The room, timed."""
        return _TimedRoom(name, room, self._add)

    def _add(self, name: str, spent: float) -> None:
        self._spent[name] = self._spent.get(name, 0.0) + spent


class _TimedRoom:
    def __init__(self, name: str, room: Any, add: Callable[[str, float], None]) -> None:
        self._name, self._room, self._add = name, room, add

    def reset(self, slot: int) -> None:
        """A new call."""
        self._room.reset(slot)

    def _timed(self, method: str, *given: Any) -> Any:
        before = time.perf_counter()
        told = getattr(self._room, method)(*given)
        self._add(self._name, time.perf_counter() - before)
        return told

    def process(self, *given: Any) -> Any:
        """Of a canceller."""
        return self._timed("process", *given)

    def probabilities(self, *given: Any) -> Any:
        """Of a net."""
        return self._timed("probabilities", *given)

    def feed(self, *given: Any) -> Any:
        """Of keys."""
        return self._timed("feed", *given)


def _bytes(thing: object, seen: set[int]) -> int:
    """Of all arrays that a room holds, the rooms within it included."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return int(thing.nbytes) if thing.base is None else 0
    if type(thing).__module__.startswith("voicebot.") and hasattr(thing, "__dict__"):
        return sum(_bytes(part, seen) for part in vars(thing).values())
    return 0


def recordings(count: int = RECORDINGS, seconds: int = LENGTH_S) -> list[tuple[bytes, bytes]]:
    """(what comes in, what was sent), mu-law: echoes between 50 and 600 ms at 0 to 20 dB below a
    bot that talks two thirds of the time, and a caller who talks one third."""
    rng = np.random.default_rng(0)
    length = seconds * SAMPLE_RATE_HZ
    found = []
    for number in range(count):
        far = _talk(rng, length, begin=0.0, end=0.65)
        caller = _talk(rng, length, begin=0.55, end=0.9)
        room = impulse_response(0.2, number) * 10 ** (-rng.uniform(0, 20) / 20)
        delay = int(rng.uniform(0.05, 0.6) * SAMPLE_RATE_HZ)
        echo = np.roll(signal.fftconvolve(far, room)[:length], delay)
        near = echo + 0.5 * caller + 1e-3 * rng.standard_normal(length)
        pair = [to_int16(np.asarray(one, np.float32)) for one in (near, far)]
        found.append((mulaw.encode(pair[0]), mulaw.encode(pair[1])))
    return found


def _talk(rng: np.random.Generator, length: int, begin: float, end: float) -> NDArray[np.float64]:
    """Noise of a voice's band, in syllables, in a part of the time."""
    noise = np.convolve(rng.standard_normal(length), [0.2, 0.5, 0.7, 0.5, 0.2], "same")
    ends = np.cumsum(rng.integers(800, 2400, length // 800))
    loudness = np.interp(np.arange(length), ends, rng.uniform(0, 1, len(ends)) ** 2)
    at = np.arange(length) / length
    return 0.15 * noise * loudness * ((at >= begin) & (at < end))
