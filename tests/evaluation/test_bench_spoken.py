"""Callers of the telephone model's bench: how much they speak, what they ask, what is counted."""

import itertools

import numpy as np
import pytest

from voicebot.engine.dips import APART_SAMPLES
from voicebot.engine.scheduler import JobKind
from voicebot.evaluation.bench_spoken import TICK_S, SpokenTrial
from voicebot.events import Hypothesis

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1e-5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Listening:
    """Answers after `seconds_each` of the trial's clock."""

    def __init__(self, clock: Clock, seconds_each: float) -> None:
        self.clock, self.seconds_each = clock, seconds_each
        self.written: dict[int, int] = {}
        self.loud: dict[int, int] = {}
        self.jobs: list = []

    def reset(self, slot):
        raise AssertionError("nobody asked for it")

    def write(self, slot, at, payload, reference=b""):
        assert at == self.written.get(slot, 0)
        self.written[slot] = at + len(payload)

    def recognise(self, jobs):
        for job in jobs:
            assert 0 <= job.start_at < job.end_at <= self.written[job.slot]
        self.jobs += jobs
        self.clock.sleep(self.seconds_each * len(jobs))
        return [Hypothesis("a word") for _ in jobs]


def trial_of(seconds_each: float, activity: float = 0.4) -> tuple[SpokenTrial, Listening]:
    clock = Clock()
    runner = Listening(clock, seconds_each)
    voice = np.full(8000, 3000, np.int16)
    trial = SpokenTrial(
        lambda _: runner, 400, activity, clock=clock, sleep=clock.sleep, _voice=voice
    )
    return trial, runner


@pytest.mark.parametrize("activity", [0.2, 0.4, 0.8])
def test_callers_speak_the_share_of_time_that_was_asked_for(activity):
    trial, runner = trial_of(0.0005, activity)
    measured = trial(30, 60.0)
    assert not measured.is_hopeless
    whole = [job for job in runner.jobs if job.kind is JobKind.SPECULATIVE]
    # The longest request of an utterance is all of it, 300 ms before its onset included.
    ends: dict[tuple[int, int], int] = {}
    for job in whole:
        key = job.slot, job.utterance
        ends[key] = max(ends.get(key, 0), job.end_at - job.start_at - 2400)
    spoken = sum(ends.values()) / 8000 / 30 / 60
    assert spoken == pytest.approx(activity, rel=0.2)


def test_partials_come_at_the_interval_and_grow_rarer_and_pauses_are_asked_twice():
    trial, runner = trial_of(0.0005)
    trial(10, 40.0)
    for _, jobs in itertools.groupby(
        sorted(runner.jobs, key=lambda j: (j.slot, j.utterance, j.end_at)),
        key=lambda j: (j.slot, j.utterance),
    ):
        partials = [j.end_at for j in jobs if j.kind is JobKind.PARTIAL]
        assert all(b - a >= 3200 for a, b in itertools.pairwise(partials))
    wholes = [(j.slot, j.utterance) for j in runner.jobs if j.kind is JobKind.SPECULATIVE]
    assert 1.2 < len(wholes) / len(set(wholes)) < 1.8


def test_partials_are_those_of_a_call():
    trial, runner = trial_of(0.0005, activity=0.8)
    trial(4, 30.0)
    asked = sorted((job.slot, job.utterance, job.end_at, job.kind) for job in runner.jobs)
    gaps = [
        after[2] - before[2]
        for before, after in itertools.pairwise(asked)
        if before[:2] == after[:2] and before[3] is after[3] is JobKind.PARTIAL
    ]
    assert len(gaps) > 5
    assert min(gaps) >= APART_SAMPLES, "a voice that never falls is read by the clock alone"


def test_latency_is_from_the_request_to_the_answer():
    trial, _ = trial_of(0.050)
    measured = trial(1, 30.0)
    assert min(measured.finals) == pytest.approx(0.050, abs=0.002)
    assert max(measured.finals) < 0.050 + 2 * TICK_S + 0.050
    assert measured.shed == 0
    assert 0.0 < measured.busy_s / measured.wall_s < 0.3


def test_who_cannot_keep_pace_leaves_partials_out_and_is_hopeless_at_last():
    trial, _ = trial_of(0.080)
    assert trial(40, 20.0).shed > 20
    trial, _ = trial_of(0.5)
    assert trial(40, 20.0).is_hopeless


def test_the_voice_is_speech_that_the_recogniser_is_given():
    trial = SpokenTrial(lambda _: None, 400, 0.4)  # type: ignore[arg-type,return-value]
    assert 20 < len(trial._voice) / 8000 < 60
    whole = trial._voice[: len(trial._voice) // 160 * 160].astype(float)
    levels = np.abs(whole).reshape(-1, 160).mean(1)
    assert levels.max() > 20 * max(np.percentile(levels, 5), 1.0)
