"""Several batches of a device under way: together, and none makes what is newer undone."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from voicebot.engine.engine import NoObserver, Recognised
from voicebot.engine.runner import Result
from voicebot.engine.scheduler import Job, JobKind, Scheduler
from voicebot.events import Hypothesis
from voicebot.server.asr_serve_device import AcceleratedEngine

pytestmark = pytest.mark.unit


class Runs:
    """Recognises nothing before `count` batches are under way."""

    def __init__(self, count: int) -> None:
        self.together = threading.Barrier(count, timeout=20)

    def reset(self, slot: int) -> None:
        """Nothing."""

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        self.together.wait()
        return [Hypothesis(f"{job.slot} {job.end_at}") for job in jobs]


class Sink:
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_heard(self, results: Sequence[Result]) -> None:
        """Nothing."""

    def on_recognised(self, result: Recognised) -> None:
        assert result.hypothesis is not None
        self.told.append(result.hypothesis.text)


@pytest.fixture
def interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)
    gc.unfreeze()


def engine_of(runs: Runs, workers: int) -> AcceleratedEngine:
    return AcceleratedEngine(
        runs,  # type: ignore[arg-type]
        slots=4,
        is_alive=lambda: True,
        scheduler=Scheduler(max_batch=1),
        workers=workers,
    )


@pytest.mark.usefixtures("interval")
async def test_as_many_batches_are_under_way_as_there_are_workers() -> None:
    engine, sink = engine_of(Runs(3), 3), Sink()
    engine.start()
    try:
        for slot in range(3):
            handle = engine.open_call(sink)
            engine.recognise(handle, 0, JobKind.FINAL, 0, 100 + slot)
        async with asyncio.timeout(20):
            while len(sink.told) < 3:  # noqa: ASYNC110  # another thread has no event here
                await asyncio.sleep(0.005)
    finally:
        await engine.close()
    assert sorted(sink.told) == ["0 100", "1 101", "2 102"]
    assert sys.getswitchinterval() < 0.001
    assert gc.get_freeze_count() > 1000


def job(kind: JobKind, end_at: int, utterance: int = 1, generation: int = 1) -> Job:
    return Job(0, generation, utterance, kind, 0, end_at)


@pytest.mark.parametrize(
    ("first", "then", "is_told"),
    [
        (job(JobKind.PARTIAL, 200), job(JobKind.PARTIAL, 100), False),
        (job(JobKind.PARTIAL, 100), job(JobKind.PARTIAL, 200), True),
        (job(JobKind.FINAL, 200), job(JobKind.PARTIAL, 200), False),
        (job(JobKind.FINAL, 200), job(JobKind.SPECULATIVE, 150), False),
        (job(JobKind.FINAL, 200), job(JobKind.PARTIAL, 300, utterance=2), True),
        (job(JobKind.FINAL, 200), job(JobKind.PARTIAL, 50, generation=2), True),
        (job(JobKind.PARTIAL, 200), job(JobKind.SPECULATIVE, 150), True),
        (job(JobKind.PARTIAL, 200), job(JobKind.FINAL, 150), True),
        (job(JobKind.HOTWORD, 200), job(JobKind.PARTIAL, 150), True),
        (job(JobKind.FINAL, 200), job(JobKind.HOTWORD, 150), True),
        (job(JobKind.FINAL, 200), job(JobKind.SPECULATIVE, 300), True),
    ],
)
def test_what_a_newer_answer_made_pointless_is_left_out(
    first: Job, then: Job, is_told: bool
) -> None:
    engine = engine_of(Runs(1), 1)
    assert engine._is_news(first)
    assert engine._is_news(then) == is_told


async def test_a_device_that_several_workers_find_lost_is_told_once() -> None:
    failures: list[str] = []

    class Counting(NoObserver):
        def engine_failure(self, stage: str) -> None:
            failures.append(stage)

    engine = AcceleratedEngine(
        Runs(1),  # type: ignore[arg-type]
        slots=1,
        is_alive=lambda: False,
        observer=Counting(),
    )
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: engine._lose(), range(3)))
    assert failures == ["device"]
    assert engine.is_lost


class Faulty:
    """One call's audio makes every batch fail that it is in."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.slots, self.sizes = slots, list[int]()

    def reset(self, slot: int) -> None:
        """Nothing."""

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        self.sizes.append(len(jobs))
        if any(job.slot in self.slots for job in jobs):
            raise ValueError("no")
        return [Hypothesis(str(job.slot)) for job in jobs]


async def test_who_fails_in_a_large_batch_makes_others_wait_for_a_few_runs() -> None:
    runs = Faulty((3, 900))
    engine = AcceleratedEngine(runs, slots=1, is_alive=lambda: True)  # type: ignore[arg-type]
    found = engine._recognise_batch(
        [Job(slot, 1, 1, JobKind.PARTIAL, 0, 100) for slot in range(1024)]
    )
    assert [one and one.text for one in found] == [
        None if slot in runs.slots else str(slot) for slot in range(1024)
    ]
    assert len(runs.sizes) <= 2 * 2 * 10
    assert not engine.is_lost


async def test_a_batch_of_a_lost_device_is_not_tried_again() -> None:
    runs = Faulty(range(64))
    engine = AcceleratedEngine(runs, slots=1, is_alive=lambda: False)  # type: ignore[arg-type]
    jobs = [Job(slot, 1, 1, JobKind.PARTIAL, 0, 100) for slot in range(64)]
    assert engine._recognise_batch(jobs) == [None] * 64
    assert engine.is_lost
    assert runs.sizes == [64]
