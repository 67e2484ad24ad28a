"""Requests answered by a model that listens all the time, with one that says what it was fed."""

import numpy as np
import pytest

from voicebot.asr.lanes import LaneStep
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_calls import DeviceCalls
from voicebot.engine.device_engine import DeviceEngine
from voicebot.engine.scheduler import Job, JobKind
from voicebot.errors import CapacityError, DeviceLost
from voicebot.events import Hypothesis, Word

pytestmark = pytest.mark.unit

CHUNK, LEAD = 1280, 500
FINAL, SPECULATIVE, PARTIAL = JobKind.FINAL, JobKind.SPECULATIVE, JobKind.PARTIAL


class Loudest:
    """Each frame of 640 samples says how loud its middle is, in thousands; silence says nothing."""

    chunk_samples, lead_samples, input_hz, frames, lane_rows = CHUNK, LEAD, 8000, 2, 3
    buckets = (1, 2, 3)

    def __init__(self) -> None:
        self.poison: list[int] = []  # what makes a row fail, once each
        self.is_lost = False
        self.steps = 0
        self.resets = 0

    def add_lane(self):
        pass

    def reset(self, lane, rows):
        self.resets += len(rows)

    def is_alive(self):
        return not self.is_lost

    def chunks_of(self, samples):
        return samples // CHUNK + 1

    def submit(self, number, chunk):
        if self.is_lost:
            raise RuntimeError("CUDA error: device lost")
        self.steps += 1
        loud = np.abs(chunk.audio.astype(int)[:, 320::640]) // 1000
        told, failed = [], []
        for row in np.flatnonzero(chunk.active):
            hit = [value for value in self.poison if value in loud[row]]
            if hit:
                self.poison.remove(hit[0])
                failed.append(int(row))
            else:
                told.append((row, [(v, f) for f, v in enumerate(loud[row].tolist()) if v]))
        flat = [pair for _, pairs in told for pair in pairs]
        self.told = LaneStep(
            np.array([row for row, _ in told], np.int64),
            np.concatenate([[0], np.cumsum([len(pairs) for _, pairs in told])]).astype(np.int64),
            np.array([token for token, _ in flat], np.int32),
            np.array([frame for _, frame in flat], np.int32),
            np.zeros(len(flat), np.float32),
            tuple(failed),
            {},
        )

    def collect(self, number):
        return self.told


class Line:
    """Audio of all calls, spoken in real time: `levels` of 80 ms each, in thousands."""

    def __init__(self, *levels: list[int]) -> None:
        self.audio = [np.repeat(np.array(said, np.int16) * 1000, 640) for said in levels]
        self.now = 0

    def until(self, slots):
        return np.array([min(self.now, len(self.audio[slot])) for slot in slots], np.int64)

    def span(self, slot, start_at, end_at):
        return self.audio[slot][start_at : min(end_at, self.now)]


def spell(tokens, at, log_probs):
    words = tuple(
        Word(str(token), 1.0, place, place + 640) for token, place in zip(tokens, at, strict=True)
    )
    return Hypothesis(" ".join(map(str, tokens)), words)


class Desk:
    """The calls, driven at 10 ms a tick."""

    def __init__(self, *levels: list[int], admission: Admission | None = None) -> None:
        self.model, self.line = Loudest(), Line(*levels)
        self.engine = DeviceEngine(
            self.model, lanes=1, clock=lambda: 0.0, admission=admission or Admission(1e9)
        )
        self.calls = DeviceCalls(self.engine, self.line, spell, 640)
        for slot in range(len(levels)):
            self.calls.open(slot, 0.0)
        self.answers: list[tuple[float, Job, Hypothesis | None]] = []

    def job(self, slot: int, kind: JobKind, start: int, end: int, utterance: int = 1) -> None:
        now = self.line.now / 8000
        self.calls.ask(Job(slot, 1, utterance, kind, start, end, now), now)

    def run(self, seconds: float, *, is_said: bool = True) -> None:
        for _ in range(round(seconds * 100)):
            self.line.now += 80 if is_said else 0
            self.tick()

    def tick(self) -> None:
        now = self.line.now / 8000
        self.answers += [(now, *answer) for answer in self.calls.advance(now)]

    def texts(self, slot: int = 0) -> list[str | None]:
        return [said and said.text for _, job, said in self.answers if job.slot == slot]


SAID = [0, 0, 1, 2, 3, 0, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_partials_tell_what_is_known_and_the_final_all():
    desk = Desk(SAID)
    desk.run(0.4)
    desk.job(0, PARTIAL, 0, 3200)
    desk.run(0.05)
    desk.run(0.35)
    desk.job(0, FINAL, 0, desk.line.now)
    desk.run(0.3)
    assert desk.texts()[-1] == "1 2 3 4 5"
    assert desk.texts()[0] in {"1", "1 2"}
    (_, _, final) = desk.answers[-1]
    starts = [word.start_at for word in final.words]
    assert np.abs(np.array(starts) - [1280, 1920, 2560, 3840, 4480]).max() <= 640
    assert (final.start_at, final.end_at) == (0, 6400)


def test_an_utterance_begins_where_it_is_asked_for_and_catches_up():
    """Asked late and in the middle of the call: its audio is fed faster than it was spoken."""
    desk = Desk([9, 9, 9, *SAID])
    desk.run(1.2)
    steps = desk.model.steps
    assert steps == 0  # nobody asked: nothing was computed
    desk.job(0, FINAL, 3 * 640, 3 * 640 + 6400)
    desk.run(0.25)
    assert desk.texts() == ["1 2 3 4 5"]
    assert abs(desk.answers[0][2].words[0].start_at - 5 * 640) <= 640


def test_a_pause_is_answered_with_what_comes_right_after_it_and_not_later():
    desk = Desk([0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 0, 0, 0, 0])
    desk.run(0.2)
    desk.job(0, PARTIAL, 0, 1600)
    desk.run(0.2)
    desk.job(0, SPECULATIVE, 0, 3200)
    desk.run(0.4)
    assert desk.texts()[-1] == "1 2 3"
    desk.job(0, FINAL, 0, 3200)  # the same once more, when the rest has been heard, too
    desk.run(0.3)
    assert desk.texts()[-1] == "1 2 3"


def test_a_pause_is_answered_also_when_no_more_audio_comes():
    desk = Desk(SAID)
    desk.run(0.45)
    desk.job(0, SPECULATIVE, 0, 3600)
    for _ in range(70):
        desk.line.now += 0
        desk.tick()
    assert desk.answers == []  # time is the line's, which stands still
    now = desk.line.now / 8000 + 0.7
    ((job, said),) = desk.calls.advance(now)
    assert (job.kind, said.text) == (SPECULATIVE, "1 2 3")


def test_the_next_utterance_waits_for_the_final_of_the_last():
    desk = Desk([1, 2, 3, 0, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    desk.run(0.32)
    desk.job(0, FINAL, 0, 2560)
    desk.job(0, PARTIAL, 2560, 2700, utterance=2)
    desk.run(0.32)
    desk.job(0, FINAL, 2560, 5120, utterance=2)
    desk.run(0.4)
    finals = [said.text for _, job, said in desk.answers if job.kind is FINAL]
    assert finals == ["1 2 3", "7 8 9"]


def test_a_final_that_waits_is_answered_though_a_third_utterance_has_begun():
    desk = Desk([*range(1, 10), *[0] * 11])
    desk.job(0, PARTIAL, 0, 0)
    desk.run(0.5)
    desk.job(0, FINAL, 0, 3840)
    desk.job(0, FINAL, 3840, 3900, utterance=2)
    desk.job(0, PARTIAL, 3900, 3990, utterance=3)
    desk.run(3.0)
    assert {job.utterance for _, job, _ in desk.answers if job.kind is FINAL} == {1, 2}


def test_a_row_that_fails_is_fed_once_more_and_its_neighbours_do_not_notice():
    desk = Desk(SAID, SAID)
    desk.model.poison = [3]
    for slot in (0, 1):
        desk.job(slot, PARTIAL, 0, 0)
    desk.run(0.8)
    for slot in (0, 1):
        desk.job(slot, FINAL, 0, 6400)
    desk.run(0.4)
    assert desk.texts(0)[-1] == desk.texts(1)[-1] == "1 2 3 4 5"
    assert desk.calls.failures == 1


def test_what_fails_again_is_answered_as_failed_and_the_call_goes_on():
    desk = Desk([1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0])
    desk.model.poison = [2, 2]
    desk.run(0.4)
    desk.job(0, FINAL, 0, 3200)
    desk.run(0.3)
    assert desk.texts() == [None]
    desk.job(0, FINAL, 3200, 5600, utterance=2)
    desk.run(0.4)
    assert desk.texts() == [None, "4 5 6"]


def test_rows_rest_when_nothing_is_asked_and_take_up_where_they_were():
    desk = Desk([1, 0] * 60)
    desk.job(0, PARTIAL, 0, 0)
    desk.run(3.0)
    assert not desk.calls.is_listening
    steps = desk.model.steps
    desk.run(2.0)
    assert desk.model.steps == steps
    desk.job(0, FINAL, 0, desk.line.now)
    desk.run(0.6)
    words = desk.texts()[-1].split()
    assert len(words) in {31, 32}  # of five seconds, those of two while nobody asked


def test_hot_words_are_not_looked_for_and_strangers_not_answered():
    desk = Desk(SAID)
    desk.job(0, JobKind.HOTWORD, 0, 1000)
    desk.job(5, FINAL, 0, 1000)
    desk.tick()
    assert desk.texts() == [""]
    desk.calls.release(0)
    desk.calls.release(0)
    desk.job(0, FINAL, 0, 1000)
    desk.run(0.3)
    assert desk.texts() == [""]
    assert desk.engine.calls == 0


def test_admission_by_the_time_that_steps_took():
    desk = Desk(SAID, admission=Admission(0.1, sizes=(1, 2, 3)))
    desk.engine.admission.record(1, 0.01)
    assert desk.calls.refusal() is None
    desk.engine.admission.record(2, 0.2)
    refusal = desk.calls.refusal()
    assert refusal is not None
    assert (refusal.why, str(refusal)) == ("time", "the device has no time for another call")
    with pytest.raises(CapacityError, match="no time"):
        desk.calls.open(1, 0.0)
    desk.job(0, PARTIAL, 0, 0)
    desk.run(0.8)
    desk.job(0, FINAL, 0, 6400)
    desk.run(0.3)
    assert desk.texts()[-1] == "1 2 3 4 5"  # the live one goes on


def test_a_lost_device_is_told():
    desk = Desk(SAID)
    desk.job(0, PARTIAL, 0, 0)
    desk.model.is_lost = True
    with pytest.raises(DeviceLost):
        desk.run(0.4)
