"""Rests of the event loop, by a clock of their own."""

import asyncio
from itertools import pairwise

import pytest

from voicebot.server.loop_rest import REST_S, RESTING_CALLS, ROUNDS, rests

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
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
    assert clock.slept[:3] == pytest.approx([REST_S - 0.001] * 3)
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
