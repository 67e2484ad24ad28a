"""Streams in real time against the engine of a device: how long each chunk and final took.

Callers are noise. Chunks arrive when they would; what is late is counted from when its last
sample was spoken. A trial stops early once the device has fallen hopelessly behind.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.device_engine import DeviceEngine

HOPELESS_CHUNKS = 4
UTTERANCE_S = 5.0
"""Between two finals of a stream that is listened to all the time."""
SPEECH_SHARE, SPEECH_S = 0.4, (1.0, 5.0)
"""How much of a call its caller speaks, and how long at a time."""
TWO_BREATHS_S, BREATH_AT = 2.5, 0.55
"""Who speaks longer than that pauses once within, there: all so far is recognised, in vain."""
FINAL_WAIT_S = 10.0
"""A trial goes on for so long at most until a caller has ended an utterance."""
WARM_S = 1.0
"""At the beginning of a trial nothing is counted: so long, or a quarter of a short one."""


@dataclass(slots=True)
class Measured:
    """Latencies in seconds; `stage_s` sums over `steps`. `busy_s` of `wall_s` was computed.

    `shed`: chunks that newer ones replaced before they were computed; they have no latency.
    `waited_s`: what had waited longest when a hopeless trial was given up.
    """

    streams: int
    chunks: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    stage_s: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    busy_s: float = 0.0
    wall_s: float = 0.0
    tokens: int = 0
    shed: int = 0
    is_hopeless: bool = False
    waited_s: float = 0.0

    def told_ms(self, of: str, share: float) -> float:
        """As `percentile_ms`, but of a hopeless trial what it came to before it was given up, at
        least; infinite where nothing was measured at all."""
        if not self.is_hopeless:
            return self.percentile_ms(of, share)
        values = self.chunks if of == "chunks" else self.finals
        known = float(np.percentile(values, share)) if values else 0.0
        return max(known, self.waited_s) * 1000 or float("inf")

    def gives_up(self, waited_s: float, most_s: float) -> None:
        """Hopeless from now on, if somebody has waited for more than `most_s`."""
        if waited_s > most_s:
            self.is_hopeless, self.waited_s = True, max(waited_s, self.waited_s)

    def is_over(self, passed_s: float, seconds: float) -> bool:
        """Whether a trial of callers who speak by themselves ends: not without a final."""
        most = seconds + (0.0 if self.finals else FINAL_WAIT_S)
        return self.is_hopeless or passed_s >= most

    @property
    def left_out_share(self) -> float:
        """Of all chunks those that newer ones replaced."""
        return self.shed / max(1, self.shed + len(self.chunks))

    def percentile_ms(self, of: str, share: float) -> float:
        """Of "chunks" or "finals"; infinite where nothing came back in time."""
        values = self.chunks if of == "chunks" else self.finals
        if self.is_hopeless or not values:
            return float("inf")
        return float(np.percentile(values, share)) * 1000


class Trial(Protocol):
    """Runs so many streams for some seconds."""

    def __call__(self, streams: int, seconds: float) -> Measured: ...


def noise(samples: int, rows: int) -> NDArray[np.int16]:
    """int16[rows, samples]."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 1500, (rows, samples)).astype(np.int16)


@dataclass(slots=True)
class _Lane:
    """Streams of a lane, whose chunks end together."""

    slots: NDArray[np.intp]
    due: float
    begun: list[tuple[NDArray[np.intp], int]] = field(default_factory=list)  # in this chunk


class StreamingTrial:
    """Streams that are listened to all the time: FastConformer."""

    def __init__(
        self,
        engine_for: Callable[[int], DeviceEngine],
        chunk_samples: int,
        lead_samples: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`engine_for(streams)`: an engine with room for them, warm and empty."""
        self._engine_for, self._clock = engine_for, clock
        self._chunk, self._lead = chunk_samples, lead_samples

    def __call__(self, streams: int, seconds: float) -> Measured:
        """See Trial."""
        engine = self._engine_for(streams)
        slots: list[int] = []
        try:
            return self._measure(engine, streams, seconds, slots)
        finally:
            for slot in slots:  # also of a trial that there was no room for
                engine.release(slot)

    def _measure(
        self, engine: DeviceEngine, streams: int, seconds: float, slots: list[int]
    ) -> Measured:
        """`slots`: those taken are added."""
        measured, rng = Measured(streams), np.random.default_rng(1)
        opened = self._clock()
        lanes = self._open(engine, streams, opened, slots)
        # Opening thousands takes a while; whole chunks later they begin in the same order.
        chunks = int((self._clock() - opened) / engine.chunk_s) + 1
        begin = opened + chunks * engine.chunk_s
        for lane in lanes:
            lane.due += chunks * engine.chunk_s
        audio = noise(self._chunk, max(len(lane.slots) for lane in lanes))
        counts_from = begin + min(WARM_S, seconds / 4)
        events = [(lane.due, index, 1.0) for index, lane in enumerate(lanes)]
        heapq.heapify(events)
        asked: dict[int, float] = {}
        while events and events[0][0] < begin + seconds:
            at, index, share = heapq.heappop(events)
            lane = lanes[index]
            while (wait := at - self._clock()) > 0:
                time.sleep(min(wait, 0.001))
            if (late := self._clock() - at) > HOPELESS_CHUNKS * engine.chunk_s:
                measured.is_hopeless, measured.waited_s = True, late
                break
            if share == 1.0:
                self._chunk_came(engine, lane, audio, at)
                end = at + engine.chunk_s * float(rng.uniform(0.2, 0.8))
                heapq.heappush(events, (end, index, (end - at) / engine.chunk_s))
                lane.due = at + engine.chunk_s
                heapq.heappush(events, (lane.due, index, 1.0))
            else:
                ended = rng.random(len(lane.slots)) < engine.chunk_s / UTTERANCE_S
                if at >= counts_from and not measured.finals and not asked:
                    ended[0] = True  # however few callers: a final is measured
                self._ended(engine, lane, np.flatnonzero(ended), share, audio, at, asked)
            started = self._clock()
            emitted = engine.advance(max(started, at))
            done = self._clock()
            measured.busy_s += done - started
            if at < counts_from:
                for emission in emitted:
                    asked.pop(emission.slot, None) if emission.is_final else None
                continue
            if share == 1.0:
                measured.chunks += [done - at] * len(lane.slots)
            measured.tokens += sum(len(emission.tokens) for emission in emitted)
            measured.finals += [
                done - asked.pop(emission.slot)
                for emission in emitted
                if emission.is_final and emission.slot in asked
            ]
        measured.wall_s = self._clock() - begin
        measured.stage_s, measured.steps = dict(engine.stage_s), engine.steps
        return measured

    def _open(
        self, engine: DeviceEngine, streams: int, begin: float, taken: list[int]
    ) -> list[_Lane]:
        """Lanes due one after the other within a chunk."""
        engine.reserve(streams)
        rows = engine.lane_rows
        count = -(-streams // rows)
        first = (self._chunk - self._lead) / self._chunk * engine.chunk_s
        lanes = []
        for index in range(count):
            at = begin + index / count * engine.chunk_s
            wanted = min(rows, streams - index * rows)
            for _ in range(wanted):
                taken.append(engine.open(at))
            lanes.append(_Lane(np.array(taken[index * rows :], np.intp), at + first))
        for lane in lanes:
            lane.begun = [(np.arange(len(lane.slots)), self._chunk - self._lead)]
        return lanes

    def _chunk_came(
        self, engine: DeviceEngine, lane: _Lane, audio: NDArray[np.int16], at: float
    ) -> None:
        """What is left of the chunk, of all: those whose utterance began in it have less."""
        whole = np.ones(len(lane.slots), bool)
        for rows, count in lane.begun:
            whole[rows] = False
            engine.push_rows(lane.slots[rows], audio[rows, :count], at)
        rows = np.flatnonzero(whole)
        if len(rows):
            engine.push_rows(lane.slots[rows], audio[rows], at)
        lane.begun = []

    def _ended(
        self,
        engine: DeviceEngine,
        lane: _Lane,
        rows: NDArray[np.intp],
        share: float,
        audio: NDArray[np.int16],
        at: float,
        asked: dict[int, float],
    ) -> None:
        """Some utterances end within a chunk; what their callers say next begins new ones."""
        if not len(rows):
            return
        count = int(share * self._chunk)
        engine.push_rows(lane.slots[rows], audio[rows, :count], at)
        for slot in lane.slots[rows].tolist():
            engine.finish(slot, at)
            asked[slot] = at
        lane.begun.append((rows, self._chunk - count))
