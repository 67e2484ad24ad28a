"""The engine's threads, with real threads and scripted computations."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from fakes import LoudnessVad, ScriptedRecogniser

from voicebot.audio import mulaw
from voicebot.engine.engine import (
    BUSY_CALLS,
    BUSY_TICK_S,
    CATCH_UP_STEPS,
    Engine,
    NoObserver,
    Recognised,
)
from voicebot.engine.runner import Chunk, HearingLost, Result, Runner, VadResult
from voicebot.engine.scheduler import JobKind

pytestmark = pytest.mark.pipeline

LOUD = mulaw.encode(np.full(256, 8000, np.int16))


class Sink:
    def __init__(self, breaks: bool = False) -> None:
        self.windows: list[VadResult] = []
        self.answers: list[Recognised] = []
        self.changed = asyncio.Event()
        self.breaks = breaks

    def on_heard(self, results: Sequence[VadResult]) -> None:
        if self.breaks:
            raise RuntimeError("this call is broken")
        self.windows += results
        self.changed.set()

    def on_recognised(self, result: Recognised) -> None:
        self.answers.append(result)
        self.changed.set()

    async def until(self, windows: int = 0, answers: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.windows) < windows or len(self.answers) < answers:
                self.changed.clear()
                await self.changed.wait()


class Observer(NoObserver):
    def __init__(self) -> None:
        self.failures: list[str] = []
        self.late = 0

    def engine_failure(self, stage: str) -> None:
        self.failures.append(stage)

    def late_chunk(self) -> None:
        self.late += 1


def fragile(samples: np.ndarray) -> str:
    if len(samples) < 1000:
        raise RuntimeError("too short for me")
    return "hello"


@pytest.fixture
async def made():  # type: ignore[no-untyped-def]
    vad, observer = LoudnessVad(), Observer()
    runner = Runner(3, vad, ScriptedRecogniser(fragile))  # type: ignore[arg-type]
    engine = Engine(runner, slots=3, observer=observer)
    engine.start()
    yield engine, vad, observer
    await engine.close()


async def test_a_paced_engine_hears_when_it_is_told(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, _ = made
    sink = Sink()
    engine.pace(True)
    handle = engine.open_call(sink)
    for number in range(4):
        engine.push(handle, number * 256, LOUD)
    assert not engine._arrived.is_set(), "the thread is not woken for each chunk"
    engine.step()
    await sink.until(windows=3)  # the last may wait for the next step
    engine.push(handle, 4 * 256, LOUD)
    engine.pace(False)
    await sink.until(windows=4)
    engine.push(handle, 5 * 256, LOUD)
    await sink.until(windows=5)


async def test_news_of_a_call_without_audio_in_a_step_reach_it_and_harm_no_other(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, _ = made
    quiet, talks = Sink(), Sink()
    handles = [engine.open_call(sink) for sink in (quiet, talks)]
    engine.push(handles[0], 0, LOUD)
    await quiet.until(windows=1)
    hear = engine._runner.hear

    def told_of_both(chunks: Sequence[Chunk]) -> list[Result]:
        return [HearingLost(handles[0].slot, 256), *hear(chunks)]

    engine._runner.hear = told_of_both
    engine.push(handles[1], 0, LOUD)
    await talks.until(windows=1)
    assert quiet.windows[1:] == [HearingLost(handles[0].slot, 256)]


async def test_each_call_gets_its_own_windows(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, _ = made
    sinks = [Sink(), Sink()]
    handles = [engine.open_call(sink) for sink in sinks]
    for number in range(4):
        engine.push(handles[0], number * 256, LOUD)
    engine.push(handles[1], 0, LOUD)
    await sinks[0].until(windows=4)
    await sinks[1].until(windows=1)
    assert [window.at for window in sinks[0].windows] == [0, 256, 512, 768]
    assert {window.slot for window in sinks[1].windows} == {handles[1].slot}


async def test_failed_batch_fails_only_the_call_that_fails_alone(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, observer = made
    good, bad = Sink(), Sink()
    handles = engine.open_call(good), engine.open_call(bad)
    for handle, size in zip(handles, (4, 1), strict=True):
        for number in range(size):
            engine.push(handle, number * 256, LOUD)
    await good.until(windows=4)
    await bad.until(windows=1)
    with engine._work:  # both requests enter one batch
        engine._scheduler.submit(job_of(engine, handles[0], 1024))
        engine._scheduler.submit(job_of(engine, handles[1], 256))
        engine._work.notify()
    await good.until(answers=1)
    await bad.until(answers=1)
    assert good.answers[0].hypothesis is not None
    assert good.answers[0].hypothesis.text == "hello"
    assert bad.answers[0].hypothesis is None
    assert observer.failures == ["recognise"]


def job_of(engine, handle, end_at):  # type: ignore[no-untyped-def]
    from voicebot.engine.scheduler import Job

    return Job(handle.slot, handle.generation, 1, JobKind.FINAL, 0, end_at)


async def test_failing_voice_activity_skips_the_slot_and_hearing_goes_on(made) -> None:  # type: ignore[no-untyped-def]
    engine, vad, observer = made
    first, second = Sink(), Sink()
    bad, good = engine.open_call(first), engine.open_call(second)
    vad.fail_on_slot = bad.slot
    engine.push(bad, 0, LOUD)
    engine.push(good, 0, LOUD)
    await second.until(windows=1)
    vad.fail_on_slot = None
    engine.push(bad, 256, LOUD)
    await first.until(windows=1)
    assert [window.at for window in first.windows] == [256]
    assert "hear" in observer.failures


async def test_broken_sink_does_not_keep_others_from_their_results(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, observer = made
    broken, well = Sink(breaks=True), Sink()
    handles = engine.open_call(broken), engine.open_call(well)
    for handle in handles:
        engine.push(handle, 0, LOUD)
    await well.until(windows=1)
    assert "deliver" in observer.failures


async def test_results_for_a_call_that_left_are_dropped(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, _ = made
    gone, here = Sink(), Sink()
    handle = engine.open_call(gone)
    engine.push(handle, 0, LOUD)
    engine.release(handle)
    engine.release(handle)
    again = engine.open_call(here)
    assert again.slot == handle.slot
    engine.push(again, 0, LOUD)
    await here.until(windows=1)
    assert gone.windows == []
    assert engine.calls == 1


async def test_audio_beyond_the_backlog_is_dropped_and_counted(made) -> None:  # type: ignore[no-untyped-def]
    engine, _, observer = made
    await engine.close()  # nobody takes the audio any more
    handle = engine.open_call(Sink())
    for number in range(3 * 500 + 5):
        engine.push(handle, number * 256, LOUD)
    assert observer.late >= 5


async def test_what_a_call_left_behind_does_not_follow_the_next_ones_reset():
    """The slot changes hands while the hearing thread empties its inbox."""
    runner = Runner(1, LoudnessVad(), None)
    engine = Engine(runner, slots=1)
    before, after = engine.open_call(Sink()), Sink()
    engine._hear_once(0)
    engine.push(before, 16000, b"\x00" * 160)

    class HandsOver(dict):
        is_done = False

        def get(self, key, default=None):
            handle = super().get(key, default)
            if handle is before and not self.is_done:  # right after the old chunk was taken
                self.is_done = True
                engine.release(before)
                opened.append(engine.open_call(after))
            return handle

    opened = []
    engine._live = HandsOver(engine._live)
    engine._hear_once(0)
    engine.push(opened[0], 0, LOUD)
    engine._hear_once(0)
    assert runner.hearing.span(0, 0, 256).any(), "the new call is deaf"


@pytest.mark.parametrize(("calls", "steps"), [(BUSY_CALLS, [1, 1, 2]), (BUSY_CALLS - 1, [4])])
async def test_with_many_calls_a_second_chunk_waits_for_the_next_step(calls, steps):  # type: ignore[no-untyped-def]
    """One chunk of each call a step makes one batch; what has waited for a step waits no more."""
    taken: list[int] = []

    class Counting(Runner):
        def hear(self, chunks):  # type: ignore[no-untyped-def]
            taken.append(len(chunks))
            assert [chunk.at for chunk in chunks] == sorted(chunk.at for chunk in chunks)
            return super().hear(chunks)

    now_s = 100.0
    engine = Engine(Counting(calls, LoudnessVad(), None), slots=calls, clock=lambda: now_s)
    handle, *_ = [engine.open_call(Sink()) for _ in range(calls)]
    for number in range(4):
        engine.push(handle, 160 * number, LOUD[:160])
        now_s += 0.001
    for _ in steps[:-1]:
        engine._hear_once(now_s)
        now_s += 0.001
    now_s += BUSY_TICK_S
    engine._hear_once(now_s)
    assert taken == steps


@pytest.mark.parametrize("is_paced", [True, False])
def test_after_a_stall_nobody_stays_a_chunk_behind(is_paced: bool) -> None:
    now = 0.0
    engine = Engine(Runner(BUSY_CALLS, LoudnessVad(), None), slots=BUSY_CALLS, clock=lambda: now)
    handles = [engine.open_call(Sink()) for _ in range(BUSY_CALLS)]
    engine.pace(is_paced)
    waiting = []
    for step in range(3 * CATCH_UP_STEPS):
        now += BUSY_TICK_S
        for number in range(2 if step == 10 else 1):
            for handle in handles:
                engine.push(handle, (step + number + (step > 10)) * 160, LOUD[:160])
        engine._hear_once(now)
        waiting.append(len(engine._inbox))
    assert waiting[10:12] == [BUSY_CALLS] * 2, "it does not make a batch of its own at once"
    assert waiting[10 + CATCH_UP_STEPS :] == [0] * (2 * CATCH_UP_STEPS - 10)
