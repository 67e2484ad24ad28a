"""Rests of the event loop, by a clock of their own."""

import asyncio
from itertools import pairwise

import pytest

from voicebot.server.gathering import TICK_S, Gathering
from voicebot.server.loop_rest import IDLE_ROUNDS, IDLE_S, REST_S, RESTING_CALLS, ROUNDS, rests

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self, round_s: float = 2 * IDLE_S) -> None:
        self.now_s = 0.0
        self.round_s = round_s  # what each look at the clock takes, as if something was under way
        self.slept: list[float] = []

    def __call__(self) -> float:
        self.now_s += self.round_s
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


async def _rounds() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


async def test_with_many_calls_the_loop_rests_between_two_looks() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        for _ in range(3):
            clock.now_s += 0.001  # work
            await _rounds()
    rested = len(clock.slept)
    assert rested >= 3
    assert clock.slept[:3] == pytest.approx([REST_S - 0.001] * 3, abs=4e-4)
    await _rounds()
    assert len(clock.slept) == rested, "it rests after its end"


async def test_a_loop_that_has_no_time_does_not_rest() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        clock.slept.clear()
        for _ in range(3):
            clock.now_s += 2 * REST_S
            await _rounds()
    assert clock.slept == []


async def test_with_few_calls_it_never_rests() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS - 1, clock=clock, sleep=clock.sleep):
        for _ in range(3):
            await _rounds()
    assert clock.slept == []


async def test_what_goes_from_task_to_task_waits_for_one_rest_at_most() -> None:
    clock = Clock()
    queues: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(12)]

    async def hand_on(source: asyncio.Queue[str], to: asyncio.Queue[str]) -> None:
        await to.put(await source.get())

    tasks = [asyncio.create_task(hand_on(*pair)) for pair in pairwise(queues)]
    await asyncio.sleep(0)
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        await queues[0].put("a key")
        assert await queues[-1].get() == "a key"
        assert len(clock.slept) <= 1
    await asyncio.gather(*tasks)


async def test_a_loop_on_which_nothing_is_under_way_rests_at_once() -> None:
    clock = Clock(round_s=IDLE_S / 100)
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        for _ in range(10 * IDLE_ROUNDS):
            await asyncio.sleep(0)
    assert len(clock.slept) in {9, 10, 11}


class Ticks:
    """The engine's side of a gathering, and one who holds something."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.paced: list[bool] = []
        self.stepped_s: list[float] = []
        self.read = 0
        self.gathering = Gathering(self.paced.append, self._step)

    def _step(self) -> None:
        self.stepped_s.append(self.clock.now_s)

    def read_held(self) -> None:
        self.read += 1


async def test_a_gathering_ticks_on_a_grid_while_the_loop_rests() -> None:
    clock = Clock(round_s=IDLE_S / 100)
    ticks = Ticks(clock)
    calls = RESTING_CALLS
    with rests(lambda: calls, ticks.gathering, clock=clock, sleep=clock.sleep):
        assert ticks.paced == [True]
        ticks.gathering.add(ticks)
        rested = 0
        while clock.now_s < 10:
            if len(clock.slept) > rested:
                rested = len(clock.slept)
                clock.now_s += 0.0013  # work: steps must not fall behind for it
            await asyncio.sleep(0)
        assert ticks.read == 1, "read at the next tick, and once"
        apart_s = [after - before for before, after in pairwise(ticks.stepped_s)]
        assert apart_s == pytest.approx([TICK_S] * len(apart_s), abs=REST_S)
        assert len(apart_s) * TICK_S == pytest.approx(10, abs=2 * TICK_S)
        ticks.gathering.add(ticks)
        calls = RESTING_CALLS - 1
        await asyncio.sleep(0)
        assert (ticks.read, ticks.paced) == (2, [True, False]), "nothing is left behind"
        assert not ticks.gathering.is_on


async def test_on_a_loop_that_is_never_idle_audio_waits_no_longer() -> None:
    round_s = 0.002
    clock = Clock(round_s=round_s)
    ticks = Ticks(clock)
    with rests(lambda: RESTING_CALLS, ticks.gathering, clock=clock, sleep=clock.sleep):
        for _ in range(500):
            await asyncio.sleep(0)
        apart_s = [after - before for before, after in pairwise(ticks.stepped_s)]
    assert len(apart_s) > 50
    assert max(apart_s) <= TICK_S + REST_S + 4 * round_s
    assert min(apart_s) >= TICK_S - REST_S
    assert len(clock.slept) < len(apart_s), "it has no time to rest"
