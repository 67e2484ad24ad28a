"""Lanes, slots, finals, failures and admission of the device engine, with a scripted model."""

import numpy as np
import pytest

from voicebot.asr.lanes import LaneStep
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_audio import ChunkRing
from voicebot.engine.device_cadence import GRACE_S
from voicebot.engine.device_engine import DeviceEngine
from voicebot.errors import CapacityError, DeviceLost

pytestmark = pytest.mark.unit


class Scripted:
    """Each active row says one token: the first sample of its chunk. Faults on demand."""

    chunk_samples, lead_samples, input_hz, frames, lane_rows = 100, 40, 1000, 2, 3
    buckets = (1, 2, 3)

    def __init__(self, memory: int = 9) -> None:
        self.memory, self.lanes = memory, 0
        self.poison: int | None = None  # a sample that makes the step raise
        self.broken: int | None = None  # a sample that is not finite on the device
        self.resets: list[tuple[int, int]] = []
        self.steps: list[tuple[int, list[int]]] = []
        self.waiting: dict[int, LaneStep] = {}
        self.is_lost = False

    def add_lane(self):
        if self.lanes == self.memory:
            raise CapacityError("the device has no memory for more calls")
        self.lanes += 1

    def reset(self, lane, rows):
        self.resets += [(lane, row) for row in rows]

    def chunks_of(self, samples):
        return samples // self.chunk_samples + 1

    def is_alive(self):
        return not self.is_lost

    def submit(self, number, chunk):
        said = chunk.audio[:, -1]
        rows = np.flatnonzero(chunk.active)
        if self.is_lost:
            raise RuntimeError("CUDA error: device lost")
        self.steps.append((number, rows.tolist()))
        if self.poison is not None and self.poison in said[rows]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        failed = tuple(int(row) for row in rows if said[row] == self.broken)
        told = np.array([row for row in rows if row not in failed], np.int64)
        self.waiting[number] = LaneStep(
            told,
            np.arange(len(told) + 1),
            said[told].astype(np.int32),
            np.ones(len(told), np.int32),
            np.zeros(len(told), np.float32),
            failed,
            {},
        )

    def collect(self, number):
        return self.waiting.pop(number)


def engine_with(model: Scripted, lanes: int = 3, **options) -> DeviceEngine:
    return DeviceEngine(model, lanes=lanes, clock=lambda: 0.0, **options)


def say(value: int, count: int = 100) -> np.ndarray:
    return np.full(count, value, np.int16)


def test_rows_of_a_lane_step_together_once_all_have_a_chunk():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(2)]
    engine.push(slots[0], say(7, 60), 0.06)  # with the lead, a chunk
    assert engine.advance(0.06) == []
    engine.push(slots[1], say(8, 60), 0.06)
    emitted = engine.advance(0.06)
    assert {(e.slot, e.tokens, e.frames) for e in emitted} == {(0, (7,), (1,)), (1, (8,), (1,))}
    engine.push(slots[0], say(9), 0.16)
    assert engine.advance(0.161) == []  # the other may still come
    (late,) = engine.advance(0.19)
    assert (late.slot, late.tokens, late.frames) == (0, (9,), (3,))
    assert model.steps == [(0, [0, 1]), (0, [0])]


def test_the_lane_that_has_waited_longest_goes_first():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(4)]
    engine.push(slots[3], say(1, 60), 0.05)
    for slot in slots[:3]:
        engine.push(slot, say(2, 60), 0.06)
    engine.advance(0.07)
    assert [lane for lane, _ in model.steps] == [1, 0]


def test_a_call_that_comes_later_ends_its_chunks_with_its_lane():
    engine = engine_with(Scripted())
    first, second = engine.open(0.0), engine.open(0.03)
    engine.push(first, say(1, 60), 0.06)
    engine.push(second, say(2, 30), 0.06)  # 30 ms of silence stand before it
    assert {e.slot for e in engine.advance(0.06)} == {first, second}


def test_slots_are_given_back_and_taken_again_without_new_memory():
    model = Scripted(memory=1)
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    engine.release(slots[1])
    engine.release(slots[1])
    assert engine.open(0.0) == slots[1]
    assert model.lanes == 1
    assert model.resets.count((0, 1)) == 2
    assert engine.calls == 3


def test_no_memory_refuses_the_new_call_and_keeps_the_live_ones():
    model = Scripted(memory=1)
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    with pytest.raises(CapacityError, match="no memory"):
        engine.open(0.0)
    for slot in slots:
        engine.push(slot, say(5, 60), 0.06)
    assert [e.tokens for e in engine.advance(0.06)] == [(5,)] * 3


def test_no_time_refuses_the_new_call():
    engine = engine_with(Scripted(), admission=Admission(0.1, utilisation=0.5))
    engine.admission.record(1, 0.02)
    engine.admission.record(2, 0.06)
    engine.open(0.0)
    with pytest.raises(CapacityError, match="no time"):
        engine.open(0.0)
    assert engine.calls == 1


def test_a_stall_shuts_the_door_for_a_while_only():
    engine = engine_with(Scripted(), admission=Admission(0.1, utilisation=0.5))
    engine.release(engine.open(0.0))
    engine.admission.record(1, 5.0)
    with pytest.raises(CapacityError, match="no time"):
        engine.open(0.0)
    for _ in range(100):
        engine.measure_again()
    assert engine.calls == 0
    engine.open(0.0)
    assert engine.calls == 1


def test_who_is_behind_waits_for_nobody():
    engine = engine_with(Scripted())
    behind, other = engine.open(0.0), engine.open(0.0)
    for slot in (behind, other):
        engine.push(slot, say(1, 60), 0.06)
    assert len(engine.advance(0.06)) == 2
    for value in (2, 3):
        engine.push(behind, say(value), 0.16)
        assert engine.advance(0.161) == [], "the other may still come"
    engine.push(behind, say(4), 0.16)
    assert [emission.slot for emission in engine.advance(0.161)] == [behind]


def test_all_slots_taken_is_said():
    engine = engine_with(Scripted(), lanes=1)
    for _ in range(3):
        engine.open(0.0)
    with pytest.raises(CapacityError, match="all 3 slots"):
        engine.open(0.0)


def test_a_final_comes_after_the_steps_it_needs_and_the_next_utterance_begins():
    model = Scripted()
    engine = engine_with(model)
    slot = engine.open(0.0)
    engine.push(slot, say(1, 120), 0.12)
    engine.finish(slot, 0.12)
    engine.push(slot, say(9), 0.12)  # after the end: not of this utterance
    assert engine.refused_samples == 100
    told = engine.advance(0.12) + engine.advance(0.25)
    assert [e.is_final for e in told] == [False, True]
    assert model.resets == [(0, 0), (0, 0)]
    engine.push(slot, say(3, 140), 0.4)
    (again,) = engine.advance(0.4)
    assert (again.tokens, again.frames) == ((3,), (1,))


def test_a_row_that_is_not_finite_fails_alone_and_begins_anew():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    model.broken = 2
    for slot in slots:
        engine.push(slot, say(slot + 1, 60), 0.06)
    told = {e.slot: e for e in engine.advance(0.06)}
    assert [told[slot].is_failed for slot in slots] == [False, True, False]
    assert [told[slot].tokens for slot in slots] == [(1,), (), (3,)]
    assert model.resets[-1] == (0, 1)


def test_a_step_that_raises_fails_only_the_call_that_makes_it_raise():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    model.poison = 3
    for slot in slots:
        engine.push(slot, say(slot + 1, 60), 0.06)
    told = {e.slot: e for e in engine.advance(0.06)}
    assert [told[slot].is_failed for slot in slots] == [False, False, True]
    assert [told[slot].tokens for slot in slots] == [(1,), (2,), ()]


def test_who_sends_faster_than_he_speaks_is_refused_what_is_too_much():
    engine = engine_with(Scripted())
    slot = engine.open(0.0)
    for _ in range(9):
        engine.push(slot, say(1), 0.0)
    assert engine.refused_samples == 200
    assert len(engine.advance(0.0)) == 1


def test_admission_predicts_between_and_beyond_what_it_saw():
    admission = Admission(0.1)
    assert admission.allows([1000])
    admission.record(4, 0.010)
    admission.record(8, 0.016)
    assert admission.predicted(6) == 0.016
    assert admission.predicted(16) == pytest.approx(0.032)
    admission.record(8, 0.006)
    assert 0.006 < admission.predicted(8) < 0.016
    admission.record(8, 0.03)
    assert admission.seconds()[8] == 0.03
    assert not admission.allows([8, 8, 8])


def test_sizes_are_brought_up_so_that_one_slow_step_does_not_shut_the_door():
    admission = Admission(0.1, sizes=(4, 8))
    admission.record(3, 0.5)
    assert not admission.allows([4])
    for _ in range(20):
        admission.record(2, 0.01)
    assert admission.seconds().keys() == {4}
    assert admission.allows([1, 4])


def test_a_lane_does_not_wait_for_those_who_rest():
    engine = engine_with(Scripted())
    slots = [engine.open(0.0) for _ in range(3)]
    engine.rest(slots[1])
    engine.rest(slots[2])
    engine.push(slots[0], say(7, 60), 0.06)
    assert [e.tokens for e in engine.advance(0.06)] == [(7,)]


def test_an_utterance_may_begin_in_the_past_and_says_how_much_of_it_was_heard():
    model = Scripted()
    engine = engine_with(model)
    slot = engine.open(0.0)
    pad = engine.begin(slot, 0.03)
    assert pad == 30  # so that its chunks end with its lane's
    assert model.resets == [(0, 0)]  # nothing was said yet: nothing to forget
    engine.push(slot, say(4, 30), 0.5)
    assert engine.missing(np.array([slot])).tolist() == [0]
    engine.advance(0.5)
    assert engine.heard(np.array([slot])).tolist() == [30]
    assert engine.missing(np.array([slot])).tolist() == [100]
    engine.begin(slot, 0.9)
    assert model.resets == [(0, 0), (0, 0)]
    assert engine.heard(np.array([slot])).tolist() == [0]


@pytest.mark.parametrize("spoken", [-0.03, -0.04])
def test_no_chunk_of_silence_is_computed_before_an_utterance(spoken):
    """The lane's next chunk ends too late or right now: the utterance begins without more than
    the lead, and its chunks end somewhat before the lane's."""
    model = Scripted()
    engine = engine_with(model)
    slot = engine.open(0.0)
    assert engine.begin(slot, spoken) == 0
    assert engine.missing(np.array([slot])).tolist() == [60]
    assert engine.advance(0.0) == []
    assert model.steps == []


def test_a_final_waits_for_the_step_of_its_lane():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    for slot in slots:
        engine.push(slot, say(1, 60), 0.06)
    assert len(engine.advance(0.06)) == 3
    engine.push(slots[0], say(2, 50), 0.11)
    engine.finish(slots[0], 0.11)
    assert engine.advance(0.15) == []
    for slot in slots[1:]:
        engine.push(slot, say(3), 0.16)
    assert [e.is_final for e in sorted(engine.advance(0.16), key=lambda e: e.slot)] == [
        True,
        False,
        False,
    ]
    assert len(model.steps) == 2


def test_a_final_does_not_wait_for_a_lane_that_does_not_step():
    engine = engine_with(Scripted())
    first, other = engine.open(0.0), engine.open(0.0)
    for slot in (first, other):
        engine.push(slot, say(1, 60), 0.06)
    engine.advance(0.06)
    engine.push(first, say(2, 50), 0.11)
    engine.finish(first, 0.11)
    (told,) = engine.advance(0.061 + engine.chunk_s + GRACE_S)
    assert (told.slot, told.is_final) == (first, True)


def test_a_final_waits_a_little_for_the_step_of_a_lane_that_is_late():
    """Where nothing is known of steps that step is about to come: it answers with the others."""
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    for slot in slots:
        engine.push(slot, say(1, 60), 0.06)
    engine.advance(0.06)
    engine.push(slots[0], say(2, 50), 0.11)
    engine.finish(slots[0], 0.11)
    late = 0.06 + engine.chunk_s + GRACE_S / 2
    assert engine.advance(late) == []
    for slot in slots[1:]:
        engine.push(slot, say(3), late)
    assert {e.slot for e in engine.advance(late) if e.is_final} == {slots[0]}
    assert model.steps == [(0, [0, 1, 2])] * 2


class Timed(Scripted):
    """Its steps take time."""

    lane_rows, buckets = 24, (24,)

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self.step_s, self.busy_s = step_s, 0.0

    def collect(self, number):
        self.busy_s += self.step_s
        return super().collect(number)


@pytest.mark.parametrize(("step_s", "answers_s"), [(0.0005, 0.06), (0.02, 0.18), (0.03, 0.36)])
def test_callers_who_come_and_go_take_no_more_than_the_spare_time_of_a_device(step_s, answers_s):
    """Two lanes of callers whose audio comes in pieces of 64 ms at any time, who begin late and
    end anywhere: time that is spared is spent on finals, and none waits for ever."""
    model = Timed(step_s)
    engine = DeviceEngine(model, lanes=2, admission=Admission(1e9), clock=lambda: model.busy_s)
    rng = np.random.default_rng(2)
    slots = [engine.open(0.0) for _ in range(48)]
    engine.measure()
    model.busy_s = 0.0
    asked: dict[int, float] = {}
    waited = []
    for tick in range(1000):
        now = tick * 0.008
        for slot in slots:
            if slot in asked or slot % 8 != tick % 8:
                continue
            if rng.random() < 0.05:
                engine.finish(slot, now)
                asked[slot] = now
            else:
                engine.push(slot, say(1, 64), now)
        for told in engine.advance(now):
            if told.is_final:
                waited.append(now - asked.pop(told.slot))
                engine.begin(told.slot, now - 0.25)
                engine.push(told.slot, say(1, 250), now)
    assert len(waited) > 200
    assert np.percentile(waited, 99) <= answers_s
    assert model.busy_s / 8.0 <= 0.81
    assert engine.refused_samples == 0


def test_a_lost_device_is_told_from_a_call_that_fails():
    model = Scripted()
    engine = engine_with(model)
    slots = [engine.open(0.0) for _ in range(3)]
    for slot in slots:
        engine.push(slot, say(5, 60), 0.06)
    model.is_lost = True
    with pytest.raises(DeviceLost):
        engine.advance(0.06)


def test_audio_is_kept_in_chunks_wherever_it_was_cut():
    ring = ChunkRing(3, 4, 10)
    said = np.arange(1, 101, dtype=np.int16)
    at = 0
    for count in (7, 3, 11, 19, 10, 25, 15):
        rows, other = np.array([2, 0]), np.array([at, at + 3])
        part = np.stack([said[at : at + count], -said[at : at + count]])
        ring.put(rows, other, part)
        ring.put_one(1, at, part[0])
        at += count
        whole = (at // 10 - 1) * 10
        if whole >= 0 and at - whole <= 40:
            for told in ring.take(np.array([2, 1]), np.array([whole, whole])):
                assert told.tolist() == said[whole : whole + 10].tolist()
    ring.clear(2)
    assert not ring.take(np.array([2]), np.array([0])).any()
