"""Callers of the telephone model in real time, in batches: how long each partial and final took.

They speak a share of the time; all that each has said is recognised again for every partial. As
many batches are under way as a device has lanes: one is prepared while another is computed.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.scheduler import DeviceScheduler, Job, JobKind, Scheduler
from voicebot.evaluation.bench_pace import (
    BREATH_AT,
    SPEECH_S,
    SPEECH_SHARE,
    TWO_BREATHS_S,
    WARM_S,
    Measured,
    noise,
)

TOKENS_PER_S = 3.8
"""Most that telephone sentences needed (asr.decoder)."""
PHASES = 64
"""Moments of a chunk at which callers send theirs."""
HOPELESS_S = 4.0
Transcribe = Callable[[Sequence[NDArray[np.int16]], Sequence[JobKind]], object]


class _Callers:
    """When each speaks and is silent, all at once: one by one would cost more than the model."""

    def __init__(self, count: int, begin: float, activity: float) -> None:
        self._activity = activity
        self._rng = np.random.default_rng(1)
        self.is_speaking = self._rng.random(count) < activity
        self.is_speaking[0] = True  # of one caller, too, something is heard
        lasts = self._lasts(self.is_speaking)
        # As if the calls had gone on for a while.
        self.since = begin - lasts * self._rng.random(count)
        self.since[0] = begin
        self.until = self.since + lasts
        self.breath = self._breaths(self.since, lasts)
        self.breath[self.breath < begin] = np.inf

    def ask(self, line: Scheduler, which: NDArray[np.intp], at: float) -> None:
        """A chunk of these came: partials of those who speak; at pauses what becomes the final if
        the caller stays silent, and judges whether he will."""
        ends = self.until[which] <= at
        speaking = which[self.is_speaking[which]]
        lengths = (np.minimum(at, self.until[speaking]) - self.since[speaking]) * 8000
        pauses = (self.until[speaking] <= at) | (self.breath[speaking] <= at)
        self.breath[speaking[pauses]] = np.inf
        for caller, length, is_pause in zip(
            speaking.tolist(),
            np.maximum(lengths, 800).astype(int).tolist(),
            pauses.tolist(),
            strict=True,
        ):
            kind = JobKind.SPECULATIVE if is_pause else JobKind.PARTIAL
            line.submit(Job(caller, 0, 0, kind, 0, length, at))
        turned = which[ends]
        self.is_speaking[turned] ^= True
        self.since[turned] = at
        lasts = self._lasts(self.is_speaking[turned])
        self.until[turned] = at + lasts
        self.breath[turned] = self._breaths(self.since[turned], lasts)

    @staticmethod
    def _breaths(since: NDArray[np.float64], lasts: NDArray[np.float64]) -> NDArray[np.float64]:
        """When each pauses within; infinity where he does not."""
        return np.where(lasts > TWO_BREATHS_S, since + BREATH_AT * lasts, np.inf)

    def _lasts(self, is_speaking: NDArray[np.bool_]) -> NDArray[np.float64]:
        lasts = self._rng.uniform(*SPEECH_S, len(is_speaking))
        return np.where(is_speaking, lasts, lasts * (1 - self._activity) / self._activity)


@dataclass(frozen=True, slots=True)
class _Done:
    batch: list[Job]
    started: float
    ended: float


class _Workers:
    """Threads that recognise batches; one: whoever gives it a batch does."""

    def __init__(self, transcribe: Transcribe, count: int, clock: Callable[[], float]) -> None:
        self._transcribe, self._count, self._clock = transcribe, count, clock
        self._threads = ThreadPoolExecutor(count, "voicebot-bench") if count > 1 else None
        self._audio = noise(int((SPEECH_S[1] + 1) * 8000), 1)[0]
        self._done: deque[_Done | BaseException] = deque()
        self._under_way = 0

    @property
    def has_room(self) -> bool:
        return self._under_way < self._count

    def start(self, batch: list[Job]) -> None:
        self._under_way += 1
        if self._threads is None:
            self._recognise(batch)
        else:
            self._threads.submit(self._recognise, batch)

    def _recognise(self, batch: list[Job]) -> None:
        started = self._clock()
        try:
            audio = [self._audio[: job.length] for job in batch]
            self._transcribe(audio, [job.kind for job in batch])
        except BaseException as error:
            self._done.append(error)
        else:
            self._done.append(_Done(batch, started, self._clock()))

    def finished(self) -> list[_Done]:
        """Since the last call; what went wrong in a thread is raised here."""
        found = []
        while self._done:
            done = self._done.popleft()
            self._under_way -= 1
            if isinstance(done, BaseException):
                raise done
            found.append(done)
        return found

    def close(self) -> None:
        """Waits for what is under way."""
        if self._threads is not None:
            self._threads.shutdown()


def tokens_of(batch: Sequence[Job]) -> int:
    """Of each, about."""
    return 1 + round(max(job.length for job in batch) / 8000 * TOKENS_PER_S)


class UtteranceTrial:
    """Callers who speak a share of the time, re-encoded for every partial: the telephone model."""

    def __init__(
        self,
        transcribe: Transcribe,
        chunk_s: float,
        *,
        max_batch: int,
        room: Callable[[int], int] | None = None,
        activity: float = SPEECH_SHARE,
        workers: int = 1,
        stages: Callable[[], Mapping[str, float]] = dict,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`transcribe(utterances at 8 kHz, kinds of each)`, from so many `workers` at once.
        `max_batch`, `room`: see DeviceScheduler. `stages`: seconds of the device by stage."""
        self._transcribe, self._clock = transcribe, clock
        self._chunk_s, self._activity = chunk_s, activity
        self._max_batch, self._room = max_batch, room
        self._workers, self._stages = workers, stages

    def __call__(self, streams: int, seconds: float) -> Measured:
        """See bench_pace.Trial."""
        workers = _Workers(self._transcribe, self._workers, self._clock)
        try:
            return self._measure(streams, seconds, workers)
        finally:
            workers.close()

    def _measure(self, streams: int, seconds: float, workers: _Workers) -> Measured:
        measured, before = Measured(streams), dict(self._stages())
        line = DeviceScheduler(self._max_batch, self._room)  # as asr-serve has it
        begin = self._clock() + 0.05
        counts_from = begin + min(WARM_S, seconds / 4)
        callers = _Callers(streams, begin, self._activity)
        groups = [
            np.arange(index, streams, PHASES, dtype=np.intp)
            for index in range(min(PHASES, streams))
        ]
        events = [
            (begin + self._chunk_s * index / len(groups), index) for index in range(len(groups))
        ]
        busy: list[tuple[float, float]] = []
        while not measured.is_over(self._clock() - begin, seconds):
            now = self._clock()
            while events[0][0] <= now:
                at, index = heapq.heappop(events)
                callers.ask(line, groups[index], at)
                heapq.heappush(events, (at + self._chunk_s, index))
            if workers.has_room and (batch := line.next_batch()):
                workers.start(batch)
            else:
                time.sleep(max(0.0, min(events[0][0] - self._clock(), 0.001)))
            for done in workers.finished():
                busy.append((done.started, done.ended))
                self._note(measured, done, counts_from)
        measured.wall_s, measured.shed = self._clock() - begin, line.shed
        measured.busy_s = _covered(busy)
        measured.stage_s = {
            name: seconds - before.get(name, 0.0) for name, seconds in self._stages().items()
        }
        return measured

    @staticmethod
    def _note(measured: Measured, done: _Done, counts_from: float) -> None:
        measured.tokens += tokens_of(done.batch) * len(done.batch)
        measured.steps += 1
        oldest = min(job.asked_at for job in done.batch)
        measured.gives_up(done.ended - oldest, HOPELESS_S)
        if done.started > counts_from:
            for job in done.batch:
                kind = measured.chunks if job.kind is JobKind.PARTIAL else measured.finals
                kind.append(done.ended - job.asked_at)


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds in which at least one of them was."""
    found, until = 0.0, -np.inf
    for begin, end in sorted(spans):
        found += max(0.0, end - max(begin, until))
        until = max(until, end)
    return found
