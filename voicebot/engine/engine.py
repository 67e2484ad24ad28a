"""Two threads that compute for all calls: one hears (20 ms ticks), one recognises (batches).

The event loop only appends to queues; results come back on the loop, one wake-up per step.
A failed batch is retried call by call, and only the calls that fail alone get an error.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from voicebot.engine.engine_ports import (
    CallHandle,
    CallSink,
    EngineObserver,
    NoObserver,
    Recognised,
)
from voicebot.engine.runner import Chunk, Result, Runner
from voicebot.engine.scheduler import Job, JobKind, Scheduler
from voicebot.engine.slots import SlotPool
from voicebot.events import Expectation, Hypothesis

__all__ = [
    "CallHandle",
    "CallSink",
    "Engine",
    "EngineObserver",
    "NoObserver",
    "Recognised",
]

log = structlog.get_logger(__name__)
T = TypeVar("T")

TICK_S, BUSY_TICK_S = 0.010, 0.020
"""Between two steps of the hearing thread: calls arriving within it share a batch. With BUSY_CALLS
the longer one costs 5 ms of latency on average, and saves half the steps."""
BUSY_CALLS = 10
CATCH_UP_STEPS = 50
"""In one of so many steps also what has only just come is heard: after a stall all calls would stay
a chunk behind for as long as they last."""
BACKLOG_CHUNKS = 500
"""Audio waiting per slot before it is dropped: 10 s, by then the call is lost anyway."""
STOP_TIMEOUT_S = 10.0


class _Audio(NamedTuple):
    handle: CallHandle
    chunk: Chunk
    pushed_at: float


@dataclass(frozen=True, slots=True)
class _Opened:
    handle: CallHandle


LATE_S = 0.2
STEP_CHUNKS = 10
"""Of one call in one step: 200 ms of audio. What a burst brings beyond that waits."""


class Engine:
    """Owns the threads. All public methods belong to the event loop's thread."""

    def __init__(
        self,
        runner: Runner,
        *,
        slots: int,
        scheduler: Scheduler | None = None,
        observer: EngineObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`slots` must be what `runner` was built with."""
        self._runner = runner
        self._pool = SlotPool(slots)
        self._scheduler = Scheduler() if scheduler is None else scheduler  # empty, it is false
        self._observer = observer or NoObserver()
        self._clock = clock
        self._limit = slots * BACKLOG_CHUNKS
        self._inbox: deque[_Audio | _Opened] = deque()
        self._arrived = threading.Event()
        self._work = threading.Condition()
        self._stopping = False
        self._is_paced = False
        self._steps = 0
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._live: dict[int, CallHandle] = {}
        self._heard_calls: dict[int, CallHandle] = {}  # by slot: the last that was reset for one
        self._generation = 0

    # ------------------------------------------------------------ the loop's side

    def start(self) -> None:
        """Start the threads; results will arrive on the running event loop."""
        self._loop = asyncio.get_running_loop()
        for name, work in (("hear", self._hear), ("recognise", self._recognise)):
            thread = threading.Thread(target=work, name=f"voicebot-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    async def close(self) -> None:
        """Stop the threads; a batch in progress is finished and its results are dropped."""
        self._stopping = True
        self._live.clear()
        self._arrived.set()
        with self._work:
            self._work.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, STOP_TIMEOUT_S)

    @property
    def calls(self) -> int:
        """Calls in the engine."""
        return self._pool.taken

    def open_call(self, sink: CallSink) -> CallHandle:
        """Give a call a slot; CapacityError when all are taken."""
        slot = self._pool.acquire()
        self._generation += 1
        handle = CallHandle(slot, self._generation, sink)
        self._live[slot] = handle
        self._inbox.append(_Opened(handle))
        return handle

    def release(self, handle: CallHandle) -> None:
        """The call left; nothing is delivered to it any more. Idempotent."""
        if self._live.get(handle.slot) is not handle:
            return
        del self._live[handle.slot]
        self._pool.release(handle.slot)
        with self._work:
            self._scheduler.withdraw(handle.slot)

    def push(self, handle: CallHandle, at: int, payload: bytes, reference: bytes = b"") -> None:
        """mu-law bytes of the caller whose first sample is `at`.

        `reference`: what the caller heard until the end of `payload`, b"" where he heard nothing.
        """
        if len(self._inbox) >= self._limit:
            self._observer.late_chunk()
            return
        chunk = Chunk(handle.slot, at, payload, reference)
        self._inbox.append(_Audio(handle, chunk, self._clock()))
        if not self._is_paced and not self._arrived.is_set():  # setting it takes a lock
            self._arrived.set()

    def pace(self, is_paced: bool) -> None:
        """Whether the thread hears when `step` says so, about every BUSY_TICK_S, not by itself."""
        self._is_paced = is_paced
        self._runner.align(is_paced)
        self.step()

    def step(self) -> None:
        """Hear what was pushed."""
        if self._inbox:
            self._arrived.set()

    def recognise(
        self,
        handle: CallHandle,
        utterance: int,
        kind: JobKind,
        start_at: int,
        end_at: int,
        *,
        expectation: Expectation | None = None,
    ) -> None:
        """Ask for samples [start_at, end_at); answered by `sink.on_recognised`, unless shed.

        `expectation`: what the dialogue waits for there.
        """
        job = Job(
            handle.slot,
            handle.generation,
            utterance,
            kind,
            start_at,
            end_at,
            self._clock(),
            expectation,
        )
        self._ask(handle, job)

    def _ask(self, handle: CallHandle, job: Job) -> None:
        """See `recognise`."""
        with self._work:
            self._scheduler.submit(job)
            self._work.notify()

    # ------------------------------------------------------------ hearing thread

    def _hear(self) -> None:
        due = 0.0
        while not self._stopping:
            self._arrived.wait()
            self._arrived.clear()
            began = self._clock()
            try:
                self._hear_once(began)
            except Exception:
                # Nothing may end this thread: every call depends on it.
                log.exception("hearing step failed")
                self._observer.engine_failure("hear")
            if self._is_paced:
                continue
            # On a grid: were steps a little further apart than chunks, some would meet two.
            tick = BUSY_TICK_S if self._is_busy else TICK_S
            due = (due if began - due < tick else began) + tick
            if (rest := due - self._clock()) > 0:
                time.sleep(rest)

    @property
    def _is_busy(self) -> bool:
        return self._pool.taken >= BUSY_CALLS

    def _hear_once(self, now: float) -> None:
        touched: dict[int, CallHandle] = {}
        chunks: list[Chunk] = []
        # A second chunk of a call makes a batch of its own: one that has only just come waits.
        self._steps += 1
        is_held = self._is_busy and self._steps % CATCH_UP_STEPS
        newest_at = now - BUSY_TICK_S if is_held else math.inf
        per_slot: dict[int, int] = {}
        held: list[_Audio | _Opened] = []
        while self._inbox:
            item = self._inbox.popleft()
            handle = item.handle
            count = per_slot.get(handle.slot, 0)
            is_new = isinstance(item, _Audio) and item.pushed_at > newest_at
            if count >= STEP_CHUNKS or (count and is_new):
                held.append(item)  # a burst of one call must not hold up the others
                continue
            if self._live.get(handle.slot) is not handle:
                continue
            if isinstance(item, _Opened):
                # What this step took of the call before it must not follow the reset.
                chunks = [chunk for chunk in chunks if chunk.slot != handle.slot]
                touched.pop(handle.slot, None)
                per_slot.pop(handle.slot, None)
                self._heard_calls[handle.slot] = handle
                self._runner.reset(handle.slot)
                continue
            if now - item.pushed_at > LATE_S:
                self._observer.late_chunk()
            chunks.append(item.chunk)
            per_slot[handle.slot] = count + 1
            touched[handle.slot] = handle
        if held:
            self._inbox.extendleft(reversed(held))
            if not self._is_paced:
                self._arrived.set()
        if not touched:
            return
        by_slot: dict[int, list[Result]] = {}
        for result in self._heard(chunks, list(touched)):
            by_slot.setdefault(result.slot, []).append(result)
        if by_slot:  # there may be news of calls that have no audio in this step
            told = [(self._heard_calls.get(slot), results) for slot, results in by_slot.items()]
            self._post(partial(self._deliver_heard, told))
        self._observer.engine_step(self._clock() - now, len(touched))

    def _heard(self, chunks: list[Chunk], slots: list[int]) -> list[Result]:
        try:
            return self._runner.hear(chunks)
        except Exception:
            log.exception("hearing batch failed; retrying call by call")
        results: list[Result] = []
        for slot in slots:
            try:
                # What was written stays written: a chunk told again is of the past.
                results += self._runner.hear([chunk for chunk in chunks if chunk.slot == slot])
            except Exception:
                self._observer.engine_failure("hear")
                self._runner.skip(slot)
        return results

    # ------------------------------------------------------------ recognising thread

    def _recognise(self) -> None:
        while (batch := self._wait_for_work()) is not None:
            try:
                self._recognise_once(batch)
            except Exception:
                # Nothing may end this thread: every call depends on it.
                log.exception("recognition step failed")
                self._observer.engine_failure("recognise")

    def _wait_for_work(self) -> list[Job] | None:
        """The next batch; None when the engine stops."""
        with self._work:
            while not self._stopping and not len(self._scheduler):
                self._work.wait()
            return None if self._stopping else self._scheduler.next_batch()

    def _recognise_once(self, batch: list[Job]) -> None:
        began = self._clock()
        hypotheses = self._recognise_batch(batch)
        ended = self._clock()
        answers = [
            Recognised(job, hypothesis, ended - job.asked_at)
            for job, hypothesis in zip(batch, hypotheses, strict=True)
        ]
        self._post(partial(self._deliver_recognised, answers))
        self._observer.recognition_batch(batch[0].kind.name.lower(), len(batch), ended - began)

    def _recognise_batch(self, batch: list[Job]) -> list[Hypothesis | None]:
        try:
            return self._run(batch)
        except Exception:
            log.exception("recognition batch failed; retrying call by call", size=len(batch))
        results: list[Hypothesis | None] = []
        for job in batch:
            try:
                results += self._run([job])
            except Exception:
                self._observer.engine_failure("recognise")
                results.append(None)
        return results

    def _run(self, batch: list[Job]) -> list[Hypothesis | None]:
        return list(self._runner.recognise(batch))

    # ------------------------------------------------------------ back on the loop

    def _deliver_heard(self, told: list[tuple[CallHandle | None, list[Result]]]) -> None:
        for handle, results in told:
            if handle is not None and self._live.get(handle.slot) is handle:
                self._guarded(handle.sink.on_heard, results)

    def _deliver_recognised(self, answers: list[Recognised]) -> None:
        for answer in answers:
            handle = self._live.get(answer.job.slot)
            if handle is not None and handle.generation == answer.job.generation:
                self._guarded(handle.sink.on_recognised, answer)

    def _guarded(self, give: Callable[[T], None], result: T) -> None:
        """One call's fault must not keep the others from their results."""
        try:
            give(result)
        except Exception:
            log.exception("a call failed to take a result")
            self._observer.engine_failure("deliver")

    def _post(self, work: Callable[[], object]) -> None:
        """Run `work` on the event loop; a loop that has closed meanwhile is no error."""
        loop = self._loop
        if loop is None or self._stopping:
            return
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:
            self._stopping = True
