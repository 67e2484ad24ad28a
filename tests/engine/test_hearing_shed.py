"""The device that hears is lost: who is heard on the CPU, who goes on by keys, and the way back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from engine.test_hearing_device import BLOCK, calls, chunk, on_cpu, rooms, windows

from voicebot.audio import mulaw
from voicebot.audio.dtmf import generate
from voicebot.engine.hearing import Chunk, HearingLost, InbandKey, Result
from voicebot.engine.hearing_device import build
from voicebot.engine.hearing_device.hearing import DeviceHearing
from voicebot.engine.hearing_device.line import Line
from voicebot.engine.hearing_device.machine import HUNG_S, Heard, Machine, Step
from voicebot.engine.hearing_device.revival import FIRST_S, MOST_S, Revival
from voicebot.engine.hearing_device.shedding import (
    GONE_S,
    REVIEW_S,
    TICK_S,
    UTILISATION,
    WEIGHT,
    Shedding,
)
from voicebot.errors import DeviceLost

pytestmark = pytest.mark.unit

BUDGET_S = UTILISATION * TICK_S


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def room_for(places: int, slots: int = 10) -> Shedding:
    return Shedding(slots, BUDGET_S / (places + 0.5))


def opened(shedding: Shedding, slots: list[int], now: float = 0.0) -> Shedding:
    for slot in slots:
        shedding.opened(slot, now)
    return shedding


# ---------------------------------------------------------------- the policy


def test_the_longest_calls_stay_and_new_ones_come_when_there_is_room() -> None:
    shedding = opened(room_for(3), [4, 2, 0, 1, 3])
    assert shedding.review(10.0) == ([], [])  # nothing is lost yet
    lost, regained = shedding.begin(0.5)
    assert (sorted(lost), list(regained)) == ([1, 3], [])
    assert shedding.places == 3
    assert not shedding.opened(5, 0.6), "no room for another"
    assert shedding.deaf_calls(0.7) == 3
    shedding.came(np.array([0, 1, 3, 5]), 2.0)  # 4 and 2 have hung up
    assert shedding.review(2.0).regained == [1], "not up to the brim"
    lost, regained = shedding.end()
    assert (list(lost), sorted(regained)) == ([], [3, 5])
    assert not shedding.is_deaf.any()
    assert shedding.opened(6, 2.2)


def test_steps_that_take_longer_cost_more_calls_their_hearing() -> None:
    slots = np.arange(100)
    shedding = opened(room_for(50, 100), list(range(100)))
    assert len(shedding.begin(0.0).lost) == 50
    now, known = 0.0, shedding.places
    while shedding.places > 25:
        now += TICK_S
        shedding.came(slots, now)
        shedding.measured(50, 50 * BUDGET_S / 20, 0.0)
        for slot in shedding.review(now).lost:
            assert shedding.is_deaf[slot]
    shedding.review(now + REVIEW_S)
    assert known == 50
    heard = np.flatnonzero(~shedding.is_deaf)
    assert heard.tolist() == list(range(len(heard))), "who has been there longest"
    assert len(heard) <= 1.1 * 25


def test_small_steps_and_a_slow_one_tell_little() -> None:
    shedding = room_for(50, 100)
    shedding.measured(2, 1.0, 0.0)
    assert shedding.places == 50
    shedding.measured(50, 2 * 50 * BUDGET_S / 50, 0.0)
    assert shedding.places >= 50 * (1 - 2 * WEIGHT)


def test_what_is_done_for_deaf_calls_takes_time_from_the_others() -> None:
    shedding = room_for(50, 100)
    for _ in range(200):
        shedding.measured(0, 0.0, BUDGET_S / 2)
    assert 24 <= shedding.places <= 26


def test_a_step_that_stood_still_tells_nothing() -> None:
    shedding = room_for(50, 100)
    shedding.measured(50, 5.0, 0.0)  # the process was stopped for a while
    shedding.measured(50, 0.0, 5.0)
    assert shedding.places >= 50 * 0.75


def test_who_is_silent_when_the_device_is_back_is_told_too() -> None:
    shedding = opened(room_for(1), [0, 1])
    assert shedding.begin(0.0).lost == [1]
    assert shedding.end().regained == [1], "his network is held up"


def test_who_sends_nothing_takes_no_place() -> None:
    shedding = opened(room_for(2), [0, 1, 2, 3])
    shedding.came(np.array([2, 3]), GONE_S + 0.5)
    lost, _ = shedding.begin(GONE_S + 0.5)
    assert list(lost) == []
    assert room_for(0).places == 1, "somebody is always heard"


def test_where_there_is_time_for_one_the_next_is_heard_once_he_has_left() -> None:
    shedding = opened(room_for(1), [0, 1, 2])
    assert shedding.begin(0.0).lost == [1, 2]
    shedding.came(np.array([0, 1, 2]), REVIEW_S)
    assert shedding.review(REVIEW_S) == ([], [])
    later = REVIEW_S + GONE_S + 0.1
    shedding.came(np.array([1, 2]), later)
    assert shedding.review(later).regained == [1]


def test_there_are_never_more_places_than_slots() -> None:
    assert Shedding(7, 1e-12).places == 7


# ---------------------------------------------------------------- the way back


def test_tries_are_rarer_and_rarer_and_one_at_a_time() -> None:
    tried: list[float] = []
    held: list[object] = []
    now = 0.0

    def make() -> Machine:
        tried.append(now)
        raise DeviceLost("still lost") if len(tried) % 2 else OSError("what a driver says")

    revival = Revival(make, start=lambda work: held.append(work))
    assert revival.look(1e9) is None, "it is not lost"
    revival.lost(0.0)
    while now < 5000:
        now += 1.0
        assert revival.look(now) is None
        assert len(held) <= 1
        if held and now % 3 == 0:
            held.pop()()  # type: ignore[operator]
    gaps = np.diff([0.0, *tried])
    assert gaps[0] == pytest.approx(FIRST_S, abs=5)
    assert gaps[-1] == pytest.approx(MOST_S, abs=8)
    assert all(later > 0.9 * earlier for earlier, later in itertools.pairwise(gaps))


# ---------------------------------------------------------------- whole calls


class Watch:
    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def lost(self, why: str) -> None:
        self.told.append(("lost", why))

    def back(self) -> None:
        self.told.append(("back",))

    def shed(self, deaf: int, places: int) -> None:
        self.told.append(("shed", deaf, places))


class Given(Shedding):
    """What a call costs is given, not measured: the clock of a test stands still in a step."""

    def measured(self, blocks: int, seconds: float, other_s: float) -> None:
        pass


class OtherMeasured(Shedding):
    """The same, but for what is done beside the steps."""

    def measured(self, blocks: int, seconds: float, other_s: float) -> None:
        super().measured(0, 0.0, other_s)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def machine_of(slots: int) -> Machine:
    return Machine(Line(slots, torch.device("cpu"), has_keys=True), buckets=(2, 4))


def test_calls_beyond_the_cpu_go_on_by_keys_until_the_device_is_back() -> None:
    recorded = calls(3.4)
    count = len(recorded)
    pressed = mulaw.encode(np.concatenate([np.zeros(800, np.int16), generate("7", level_dbm0=-8)]))
    keyed = pressed + b"\xff" * len(recorded[0][0])
    clock, watch = Clock(), Watch()
    made: list[Machine] = []

    def make() -> Machine:
        made.append(machine_of(count))
        return made[-1]

    machine = machine_of(count)
    hearing = DeviceHearing(
        count,
        machine,
        rooms(count),
        watch=watch,
        shedding=Given(count, BUDGET_S / 2.5),
        revival=Revival(make, start=lambda work: work()),
        clock=clock,
    )
    other = on_cpu(count)
    for slot in range(count):
        hearing.reset(slot)
    told: list[Result] = []
    expected: list[Result] = []
    lost_at, back_at = 60 * BLOCK, 130 * BLOCK
    for at in range(0, len(recorded[0][0]), BLOCK):
        clock.now += FIRST_S if at == back_at else TICK_S
        if at == lost_at:
            machine.step = lambda step: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        chunks = [chunk(slot, call, at) for slot, call in enumerate(recorded)]
        if at >= lost_at:  # in a call that nobody hears any more, a key in the audio
            begin = at - lost_at
            chunks[5] = Chunk(5, at, keyed[begin : begin + BLOCK], b"")
        told += hearing.hear(chunks)
        expected += other.hear(chunks)
        assert (hearing.places is None) is (at < lost_at or at > back_at)
    assert watch.told[0] == ("lost", "ZeroDivisionError: division by zero")
    assert watch.told[1:] == [("shed", 4, 2), ("back",), ("shed", 0, 2)]
    news = [result for result in told if isinstance(result, HearingLost)]
    assert [(n.slot, n.is_back) for n in news] == [
        *((slot, False) for slot in range(2, 6)),
        *((slot, True) for slot in range(2, 6)),
    ]
    assert len(made) == 1
    assert hearing.is_on_device
    deaf = [r for r in windows(told) if r.slot >= 2 and lost_at <= r.at < back_at - 512]
    assert {r.probability for r in deaf} == {0.0}
    for slot in range(count):
        ats = [r.at for r in windows(told) if r.slot == slot]
        assert ats[: back_at // 256 - 3] == [256 * number for number in range(back_at // 256 - 3)]
        assert ats[-1] + 512 > len(recorded[0][0])
        assert max(np.diff(ats)) < 512, "time goes on without a gap"
    heard = [r for r in windows(told) if r.slot < 2 and r.at < back_at - 512]
    alike = [r for r in windows(expected) if r.slot < 2 and r.at < back_at - 512]
    assert [(r.slot, r.at) for r in heard] == [(r.slot, r.at) for r in alike]
    found = [r for r in told if isinstance(r, InbandKey) and r.slot == 5]
    assert [(key.key, abs(key.at - lost_at - 800) <= BLOCK) for key in found] == [("7", True)]
    again, always = (
        [r.level_db for r in windows(results) if r.slot == 4 and r.at > back_at + 2000]
        for results in (told, expected)
    )
    assert abs(np.mean(again) - np.mean(always)) < 1, "the device hears it again"


def test_a_device_that_hangs_costs_as_many_their_hearing_as_any_other_that_is_lost() -> None:
    clock, watch = Clock(), Watch()
    machine = machine_of(4)

    def hangs(step: Step) -> Heard:
        clock.now += HUNG_S
        raise DeviceLost("a step has taken longer than 2 s")

    machine.step = hangs  # type: ignore[method-assign]
    shedding = OtherMeasured(4, BUDGET_S / 2.5)
    hearing = DeviceHearing(4, machine, rooms(4), watch=watch, shedding=shedding, clock=clock)
    for slot in range(4):
        hearing.reset(slot)
    call = calls(1.6)[0]
    told: list[Result] = []
    for step in range(100):
        told += hearing.hear([chunk(slot, call, step % 80 * BLOCK) for slot in range(4)])
        clock.now += TICK_S
    assert [r.slot for r in told if isinstance(r, HearingLost)] == [2, 3]
    assert hearing.places == 2
    assert hearing.deaf_calls == 2
    clock.now += GONE_S + 1
    assert hearing.deaf_calls == 0, "all have hung up"


def test_news_of_a_call_that_left_are_not_told_to_the_next() -> None:
    hearing = DeviceHearing(3, None, rooms(3), shedding=Given(3, BUDGET_S / 1.5), clock=Clock())
    for slot in (0, 1, 1):
        hearing.reset(slot)
    call = calls(1.6)[0]
    told = hearing.hear([chunk(0, call, 0)])
    assert [n for n in told if isinstance(n, HearingLost)] == [HearingLost(1, 0)]


def test_a_call_that_comes_when_the_cpu_is_full_is_told_at_once() -> None:
    watch, clock = Watch(), Clock()
    hearing = DeviceHearing(
        3, None, rooms(3), watch=watch, shedding=Given(3, BUDGET_S / 1.5), clock=clock
    )
    hearing.reset(0)
    hearing.reset(1)
    call = calls(1.6)[0]
    told = hearing.hear([chunk(0, call, 0), chunk(1, call, 0)])
    assert [n for n in told if isinstance(n, HearingLost)] == [HearingLost(1, 0)]
    assert (hearing.is_on_device, hearing.places) == (False, 1)
    assert watch.told == [("shed", 1, 1)]


def test_what_a_call_costs_is_measured_beforehand_and_leaves_no_trace() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.001
        return now

    own, fresh = rooms(3), rooms(3)
    assert build.cost_of_a_call(3, own, clock) == pytest.approx(0.001 / 3)
    call = calls(1.6)[0]
    first, second = (DeviceHearing(3, None, of) for of in (own, fresh))
    for at in range(0, 40 * BLOCK, BLOCK):
        assert first.hear([chunk(1, call, at)]) == second.hear([chunk(1, call, at)])
