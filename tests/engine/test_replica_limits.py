"""What a front end may do, when a recogniser is full, and how many replicas a cluster runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.engine.kept_audio import ReplicaRunner
from voicebot.engine.replica_load import FAILING, FAILING_S, ReplicaLoad
from voicebot.engine.runner import Chunk, VadResult
from voicebot.engine.scheduler import Job, JobKind
from voicebot.engine.wire import Ask, Audio, Close, Closed, Expect, Open, Reason, State
from voicebot.engine.wire_session import KEPT_EXPECTATIONS, Session
from voicebot.events import Expectation, Hypothesis
from voicebot.server.cluster_plan import IDLE_S, Health, Scaling

pytestmark = pytest.mark.unit

SECOND = bytes(8000)


def open_session() -> Session:
    session = Session(2)
    assert session.take(Open(1, 160), 0.0) == Open(1, 160)
    return session


def test_half_a_minute_at_once_and_then_as_fast_as_time_passes() -> None:
    session = open_session()
    at = 160
    for _ in range(34):
        assert isinstance(session.take(Audio(1, at, SECOND), 0.0), Audio)
        at += 8000
    for now in range(1, 120):
        assert isinstance(session.take(Audio(1, at, SECOND), float(now)), Audio)
        at += 8000
    extra = [session.take(Audio(1, at + 8000 * n, SECOND), 119.0) for n in range(34)]
    assert Closed(1, Reason.TOO_FAST) in extra
    assert session.take(Audio(1, at, SECOND), 200.0) is None  # it is closed
    assert session.unknown > 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    session = open_session()
    session.take(Audio(1, 160, SECOND), 10.0)
    assert isinstance(session.take(Audio(1, 8160, SECOND), 5.0), Audio)


def test_streams_of_one_connection_are_counted() -> None:
    session = open_session()
    assert session.take(Open(2, 0), 0.0) == Open(2, 0)
    assert session.take(Open(3, 0), 0.0) == Closed(3, Reason.TOO_MANY)
    assert session.take(Close(1), 0.0) == Close(1)
    assert session.take(Close(1), 0.0) is None
    assert session.take(Open(3, 0), 0.0) == Open(3, 0)
    assert len(session) == 2


def test_the_last_expectations_are_kept() -> None:
    session = open_session()
    session.take(Audio(1, 160, SECOND), 0.0)
    for number in range(1, KEPT_EXPECTATIONS + 2):
        session.take(Expect(1, number, b'{"state":"s%d"}' % number), 0.0)
    ask = Ask(1, 1, 1, JobKind.FINAL, KEPT_EXPECTATIONS + 1, 160, 8000)
    assert session.take(ask, 0.0) == ask
    assert session.expectation(ask) == Expectation(f"s{KEPT_EXPECTATIONS + 1}")
    gone = Ask(1, 2, 1, JobKind.FINAL, 1, 160, 8000)
    assert session.take(gone, 0.0) == Closed(1, Reason.BAD_EXPECTATION)


def test_silent_streams_are_named_once() -> None:
    session = open_session()
    session.take(Open(2, 0), 50.0)
    assert session.idle(61.0) == [Closed(1, Reason.IDLE)]
    assert session.idle(61.0) == []


# ---------------------------------------------------------------- load


def test_full_by_places_or_by_late_finals_and_open_again() -> None:
    load = ReplicaLoad(2)
    assert load.state(0.0) is State.OPEN
    load.live = 2
    assert load.state(0.0) is State.FULL
    load.live = 1
    for n in range(19):
        load.final(0.9, n * 0.01)
    assert load.state(0.2) is State.OPEN  # too few to tell
    load.final(0.9, 0.2)
    assert load.state(0.2) is State.FULL
    assert load.final_p95_s(0.2) == 0.9
    assert load.state(11.0) is State.OPEN
    load.is_draining = True
    assert load.state(11.0) is State.DRAINING


def test_a_recogniser_whose_every_answer_fails_takes_no_streams() -> None:
    load = ReplicaLoad(2)
    for n in range(FAILING - 1):
        load.answered(True, float(n))
    assert load.state(7.0) is State.OPEN
    load.answered(False, 7.0)  # some do not
    for n in range(FAILING):
        assert load.shortage(8.0 + n) is None
        load.answered(True, 8.0 + n)
    assert (load.state(16.0), load.shortage(16.0)) == (State.FULL, "failures")
    assert load.state(15.0 + FAILING_S) is State.OPEN  # to see whether it is over
    load.answered(True, 50.0)
    assert load.state(51.0) is State.FULL  # it is not
    load.answered(False, 52.0)
    assert load.state(52.0) is State.OPEN


def test_scaling_follows_the_load_one_replica_at_a_time() -> None:
    scaling = Scaling(1, 3)
    assert scaling.wanted(0, [], 0.0) == 1
    assert scaling.wanted(1, [], 1.0) == 1  # still loading
    busy = [Health("a", 8, 10)]
    assert scaling.wanted(1, busy, 2.0) == 2
    assert scaling.wanted(2, busy, 3.0) == 2  # the second still loads
    both = [Health("a", 8, 10, True), Health("b", 9, 10, True)]
    assert scaling.wanted(2, both, 4.0) == 3
    three = [*both, Health("c", 10, 10, True)]
    assert scaling.wanted(3, three, 5.0) == 3  # no more than that
    idle = [Health("a", 2, 10), Health("b", 1, 10), Health("c", 0, 10)]
    assert scaling.wanted(3, idle, 10.0) == 3
    assert scaling.wanted(3, idle, 9.0 + IDLE_S) == 3
    assert scaling.wanted(3, idle, 10.0 + IDLE_S) == 2
    assert scaling.wanted(2, idle[:2], 11.0 + IDLE_S) == 2  # counts anew


def test_one_slow_replica_is_not_a_full_cluster() -> None:
    scaling = Scaling(2, 4)
    assert scaling.wanted(2, [Health("a", 1, 10, True), Health("b", 1, 10)], 0.0) == 2


# ---------------------------------------------------------------- kept audio


def test_kept_audio_is_what_was_sent_wherever_it_begins() -> None:
    runner = ReplicaRunner(2, None)  # type: ignore[arg-type]  # nothing is recognised here
    samples = (np.arange(3000) % 255 * 100).astype(np.int16)
    sent = mulaw.encode(samples)
    at = 10_000_000
    told = runner.hear([Chunk(1, at, sent[:1024]), Chunk(1, at + 1024, sent[1024:])])
    assert [r.at for r in told if isinstance(r, VadResult)] == [at + 1024 - 256, at + 3000 - 256]
    assert (runner.span(1, at, at + 3000) == mulaw.decode(sent)).all()
    assert (runner.span(1, at + 1000, at + 9999) == mulaw.decode(sent)[1000:]).all()
    runner.reset(1)
    runner.hear([Chunk(1, 0, sent[:100])])
    assert (runner.span(1, 0, 3000) == mulaw.decode(sent)[:100]).all()


def test_audio_of_many_calls_is_kept_whatever_its_length_and_place() -> None:
    runner = ReplicaRunner(4, None)  # type: ignore[arg-type]
    sent = mulaw.encode((np.arange(2000) % 251 * 100).astype(np.int16))
    said = mulaw.decode(sent)
    runner.hear([Chunk(slot, 0, sent[:1000]) for slot in range(3)])
    told = runner.hear(
        [
            Chunk(0, 1000, sent[1000:1024]),
            Chunk(1, 1000, sent[1000:]),
            Chunk(2, 1500, sent[1500:]),  # after a gap
            Chunk(3, 0, sent[:7]),
        ]
    )
    assert [(r.slot, r.at + 256) for r in told if isinstance(r, VadResult)] == [
        (0, 1024),
        (1, 2000),
        (2, 2000),
        (3, 7),
    ]
    assert (runner.span(0, 0, 9999) == said[:1024]).all()
    assert (runner.span(1, 0, 9999) == said).all()
    assert (runner.span(2, 1000, 9999) == np.concatenate([np.zeros(500), said[1500:]])).all()
    assert (runner.span(3, 0, 9999) == said[:7]).all()
    runner.hear([Chunk(1, 1990, sent[:30])])  # what is known stays
    assert (runner.span(1, 0, 2000) == said).all()


class Understanding:
    """A recogniser that takes spans as they are, and hears a word of doubtful sureness in each."""

    def __init__(self) -> None:
        self.spans: list[NDArray[np.int16]] = []
        self.judged: list[list[bool]] = []

    def understand(
        self,
        spans: Sequence[NDArray[np.int16]],
        *,
        judge: Callable[[list[NDArray[np.float32]], list[int]], list[float]] | None = None,
        judged: Sequence[bool] = (),
        at: Sequence[tuple[int, int]] = (),
    ) -> list[Hypothesis]:
        self.spans += spans
        self.judged.append([judge is not None and of_one for of_one in judged])
        asked = [index for index, of_one in enumerate(self.judged[-1]) if of_one]
        told = [0.5] * len(spans)
        if judge is not None:
            frames = [np.full((1, 1), index, np.float32) for index in asked]
            for index, sure in zip(
                asked, judge(frames, [2 * index for index in asked]), strict=True
            ):
                told[index] = sure
        return [
            Hypothesis("mm", (), 0.3, (), *place, end_probability=sure)
            for place, sure in zip(at, told, strict=True)
        ]


@pytest.mark.parametrize("cores", [1, 4])
def test_spans_go_to_a_device_as_they_are_and_hums_are_no_words(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.engine.kept_audio.os.cpu_count", lambda: cores)
    recogniser = Understanding()
    counts: list[int] = []

    def probabilities(frames: Sequence[NDArray[np.float32]], samples: Sequence[int]) -> list[float]:
        assert [2 * of_one[0, 0] for of_one in frames] == list(samples)
        counts.append(len(frames))
        return [float(of_one[0, 0]) / 100 for of_one in frames]

    ended = SimpleNamespace(probabilities=probabilities)
    runner = ReplicaRunner(40, recogniser, end_of_turn=ended)  # type: ignore[arg-type]
    at = np.arange(8000) / 8000
    hum = (6000 * np.sin(2 * np.pi * 140 * at) * (1 + 0.2 * np.sin(5 * at))).astype(np.int16)
    noise = np.random.default_rng(0).normal(0, 3000, 8000)
    words = (noise * np.repeat(np.tile([1.0, 0.1], 10), 400)).astype(np.int16)
    for slot in range(40):
        runner.write(slot, 0, mulaw.encode(words if slot % 2 else hum))
    jobs = [Job(slot, 0, 0, JobKind.PARTIAL, slot, 8000) for slot in range(40)]
    heard = runner.recognise(jobs)
    assert [one.text for one in heard] == ["", "mm"] * 20
    assert [(one.start_at, one.end_at) for one in heard] == [(slot, 8000) for slot in range(40)]
    assert all(one.end_probability == 0.5 for one in heard)
    assert all((runner.span(n, n, 8000) == span).all() for n, span in enumerate(recogniser.spans))
    runner.write(0, 8000, mulaw.encode(np.resize(words, 29 * 8000 + 100)))  # over the ring's end
    places = [(0, 9000), (7000, 237_000), (237_000, 240_050), (239_000, 999_999), (9000, 8000)]
    later = [Job(0, 0, 0, JobKind.PARTIAL, *place) for place in places]
    recogniser.spans.clear()
    runner.recognise(later)
    for span, (start, end) in zip(recogniser.spans, places, strict=True):
        assert (span == runner.span(0, start, end)).all()
        assert len(span) == len(runner.span(0, start, end))
    kinds = (JobKind.PARTIAL, JobKind.SPECULATIVE, JobKind.FINAL)
    runner.recognise([Job(0, 0, 0, kind, 0, 8000) for kind in kinds])
    assert recogniser.judged == [[False] * 40, [False] * 5, [False, True, False]]
    assert counts == [1]
    heard = runner.recognise([Job(n, 0, 0, JobKind.SPECULATIVE, 0, 8000) for n in range(40)])
    assert [one.end_probability for one in heard] == [n / 100 for n in range(40)]
    assert counts[1:] == ([40] if cores == 1 else [5] * 8)
