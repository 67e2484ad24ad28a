"""The engine of a recogniser process whose model runs on a device; see engine.device_calls.

Calls are refused while the device has no room, no memory or no time for more; those that are live
stay. When the device is lost, every call is told, and the process ends: front ends go on with
other replicas, their own recogniser or keys, and whoever started the process starts it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

import structlog

from voicebot.engine.device_calls import DeviceCalls
from voicebot.engine.engine import CallHandle, CallSink, Engine, EngineObserver, Recognised
from voicebot.engine.kept_audio import take_turns
from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import Job, JobKind, Scheduler
from voicebot.errors import CapacityError, DeviceLost
from voicebot.events import Hypothesis

log = structlog.get_logger(__name__)

TICK_S = 0.010
MEASURE_S = 2.0
"""While the door is shut for time: nobody is let in whose steps would tell that it passed."""
SHORT_S = 10.0
"""After memory has run out, no call is taken for so long."""
LOST = "the device is lost"
HUNG_S = 10.0
"""No step of a sound GPU takes so long: one that neither answers nor fails is lost, too."""


@runtime_checkable
class Refusable(Protocol):
    """A sink that can be told that its call has no place after all."""

    def on_refused(self, error: CapacityError | DeviceLost) -> None:
        """It was let in, but there is no room; or there is none any more."""


class AcceleratedEngine(Engine):
    """An Engine whose recogniser computes on a device: batches of utterances."""

    def __init__(
        self,
        runner: Runner,
        *,
        slots: int,
        is_alive: Callable[[], bool],
        shortages: Callable[[], int] = lambda: 0,
        scheduler: Scheduler | None = None,
        observer: EngineObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        hung_s: float = HUNG_S,
        workers: int = 1,
    ) -> None:
        """`is_alive`: whether the device computes, asked when something failed. `shortages`:
        how often its memory was short so far. `hung_s`: the longest that a step may take.
        `workers`: batches under way at once; the runner recognises in so many threads."""
        super().__init__(runner, slots=slots, scheduler=scheduler, observer=observer, clock=clock)
        self._hung_s, self._workers = hung_s, workers
        self._busy: dict[int, float] = {}  # since when each thread waits for the device
        self._newest: dict[int, tuple[int, int, int, bool]] = {}  # what a slot was told last
        self._is_alive, self._shortages = is_alive, shortages
        self._known_shortages = 0
        self._short_until = 0.0
        self.is_lost = False
        self._losing = threading.Lock()
        self.lost = asyncio.Event()

    def open_call(self, sink: CallSink) -> CallHandle:
        """CapacityError, also where the device cannot take another call."""
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        return super().open_call(sink)

    def start(self) -> None:
        """See Engine; as many threads recognise as batches may be under way."""
        super().start()
        if self._workers > 1:
            take_turns()
        for number in range(1, self._workers):
            name = f"voicebot-recognise-{number}"
            thread = threading.Thread(target=self._recognise, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def look(self) -> None:
        """From the loop, again and again: whether a step will ever end."""
        since = min(list(self._busy.values()), default=None)
        if since is None or self.is_lost or self._clock() - since < self._hung_s:
            return
        # Its thread may never come back: nobody waits for it.
        self._threads = [one for one in self._threads if "recognise" not in one.name]
        self._lose(f"a step has taken longer than {self._hung_s:g} s")

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Around whatever waits for the device."""
        mine = threading.get_ident()
        self._busy[mine] = self._clock()
        try:
            yield
        finally:
            del self._busy[mine]

    def _refusal(self) -> CapacityError | None:
        if self.is_lost:
            return CapacityError(LOST, why="device")
        if self._shortages() > self._known_shortages:
            self._known_shortages = self._shortages()
            self._short_until = self._clock() + SHORT_S
        if self._clock() < self._short_until:
            return CapacityError("the device has no memory for more calls", why="memory")
        return None

    def _recognise_batch(self, batch: list[Job]) -> list[Hypothesis | None]:
        if self.is_lost:
            return [None] * len(batch)
        try:
            return self._run(batch)
        except Exception:
            if not self.is_lost:
                log.exception("recognition batch failed; retrying its halves", size=len(batch))
        found = self._parted(batch)
        if None in found and not self.is_lost and not self._is_alive():
            self._lose()
        return found

    def _parted(self, batch: list[Job]) -> list[Hypothesis | None]:
        """Of a batch that failed: halves of it, until only those fail that fail by themselves. One
        by one, thousands would wait for the fault of one."""
        if self.is_lost or not self._is_alive():
            return [None] * len(batch)
        found: list[Hypothesis | None] = []
        half = len(batch) // 2
        for part in (batch[:half], batch[half:]) if half else (batch,):
            try:
                found += self._run(part)
            except Exception:
                if len(part) > 1:
                    found += self._parted(part)
                else:
                    self._observer.engine_failure("recognise")
                    found.append(None)
        return found

    def _run(self, batch: list[Job]) -> list[Hypothesis | None]:
        if self.is_lost:
            raise DeviceLost(LOST)
        with self._computing():
            return super()._run(batch)

    def _deliver_recognised(self, answers: list[Recognised]) -> None:
        """See Engine; where one batch overtook another, what it made pointless is left out."""
        super()._deliver_recognised([answer for answer in answers if self._is_news(answer.job)])

    def _is_news(self, job: Job) -> bool:
        """Whether nothing newer was told: of a partial, any; of a pause, the final. Hot words are
        no readings."""
        if job.kind is JobKind.HOTWORD:
            return True
        place = (job.generation, job.utterance, job.end_at, job.kind is JobKind.FINAL)
        known = self._newest.get(job.slot, (-1, -1, -1, False))
        is_older = known[:3] > place[:3] or (known[3] and known[:3] == place[:3])
        if job.kind is JobKind.PARTIAL and is_older:
            return False
        if job.kind is JobKind.SPECULATIVE and is_older and known[3]:
            return False
        self._newest[job.slot] = max(known, place) if known[0] == place[0] else place
        return True

    def _lose(self, why: str = "it reported an error") -> None:
        """From any thread; several may find out at once, and it is told once."""
        with self._losing:
            if self.is_lost:
                return
            self.is_lost = True
        log.error(LOST, why=why)
        self._observer.engine_failure("device")
        self._post(self._tell_lost)

    def _tell_lost(self) -> None:
        self.lost.set()
        for handle in list(self._live.values()):
            self._refuse(handle, DeviceLost(LOST))

    def _refuse(self, handle: CallHandle, error: CapacityError | DeviceLost) -> None:
        if self._live.get(handle.slot) is handle and isinstance(handle.sink, Refusable):
            self._guarded(handle.sink.on_refused, error)


class StreamingEngine(AcceleratedEngine):
    """An Engine whose model listens to each call all the time it speaks."""

    def __init__(
        self,
        runner: Runner,
        calls: DeviceCalls,
        *,
        slots: int,
        is_alive: Callable[[], bool],
        observer: EngineObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        hung_s: float = HUNG_S,
    ) -> None:
        """`runner` keeps the audio; see kept_audio.ReplicaRunner."""
        super().__init__(
            runner, slots=slots, is_alive=is_alive, observer=observer, clock=clock, hung_s=hung_s
        )
        self._streams = calls
        self._news: deque[CallHandle | Job] = deque()
        self._full: CapacityError | None = None  # as the other thread last saw it
        self._placed: dict[int, CallHandle] = {}
        self._failures = 0
        self._measured_at = clock()

    def open_call(self, sink: CallSink) -> CallHandle:
        """See AcceleratedEngine; where there proves to be no room, the sink is told later."""
        handle = super().open_call(sink)
        self._tell(handle)
        return handle

    def release(self, handle: CallHandle) -> None:
        """See Engine."""
        super().release(handle)
        self._tell(handle)

    def _refusal(self) -> CapacityError | None:
        return super()._refusal() or self._full

    def _ask(self, handle: CallHandle, job: Job) -> None:
        self._tell(job)

    def _tell(self, news: CallHandle | Job) -> None:
        with self._work:
            self._news.append(news)
            self._work.notify()

    # ------------------------------------------------------------ recognising thread

    def _recognise(self) -> None:
        while not self._stopping and not self.is_lost:
            try:
                with self._computing():
                    self._once()
            except DeviceLost:
                self._lose()
            except Exception:
                # Nothing else may end this thread: every call depends on it.
                log.exception("recognition step failed")
                self._observer.engine_failure("recognise")
                if not self.is_lost and not self._is_alive():
                    self._lose()
            self._wait()

    def _wait(self) -> None:
        with self._work:
            if not self._news and not self._stopping and not self.is_lost:
                shut = MEASURE_S if self._is_short_of_time else None
                self._work.wait(TICK_S if self._streams.is_listening else shut)

    def _once(self) -> None:
        began = self._clock()
        steps = self._streams.lanes.steps
        while self._news:
            news = self._news.popleft()
            if isinstance(news, Job):
                self._ask_for(news, began)
            else:
                self._come_or_go(news, began)
        answered = self._streams.advance(began)
        ended = self._clock()
        if answered:
            answers = [Recognised(job, said, ended - job.asked_at) for job, said in answered]
            self._post(partial(self._deliver_recognised, answers))
            self._observe(answers)
        if self._streams.lanes.steps > steps:
            self._observer.recognition_batch("step", self._streams.lanes.calls, ended - began)
        for _ in range(self._streams.failures - self._failures):
            self._observer.engine_failure("recognise")
        self._failures = self._streams.failures
        self._full = self._streams.refusal()
        if self._is_short_of_time and ended >= self._measured_at + MEASURE_S:
            self._streams.lanes.measure_again()
            self._measured_at = self._clock()
            self._full = self._streams.refusal()

    @property
    def _is_short_of_time(self) -> bool:
        return self._full is not None and self._full.why == "time"

    def _observe(self, answers: Sequence[Recognised]) -> None:
        for kind in JobKind:
            seconds = [answer.seconds for answer in answers if answer.job.kind is kind]
            if seconds:
                self._observer.recognition_batch(kind.name.lower(), len(seconds), max(seconds))

    def _ask_for(self, job: Job, now: float) -> None:
        handle = self._placed.get(job.slot)
        if handle is not None and handle.generation == job.generation:
            self._streams.ask(job, now)

    def _come_or_go(self, handle: CallHandle, now: float) -> None:
        """A slot may have passed to another call meanwhile: who is live there counts."""
        live = self._live.get(handle.slot)
        known = self._placed.get(handle.slot)
        if known is not None and known is not live:
            del self._placed[handle.slot]
            self._streams.release(handle.slot)
            known = None
        if live is None or known is live or live is not handle:
            return
        try:
            self._streams.open(handle.slot, now)
        except CapacityError as error:
            self._post(partial(self._refuse, handle, error))
            return
        self._placed[handle.slot] = handle
