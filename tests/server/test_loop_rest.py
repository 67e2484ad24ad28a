"""Rests of the event loop, by a clock of their own."""

import asyncio

import pytest

from voicebot.server.loop_rest import REST_S, RESTING_CALLS, rests

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


async def test_with_many_calls_the_loop_rests_between_two_looks() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        for _ in range(3):
            clock.now_s += 0.001  # work
            await asyncio.sleep(0)
    rested = len(clock.slept)
    assert rested >= 3
    assert clock.slept[0] == pytest.approx(REST_S)
    assert clock.slept[1:4] == pytest.approx([REST_S - 0.001] * len(clock.slept[1:4]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(clock.slept) == rested, "it rests after its end"


async def test_a_loop_that_has_no_time_does_not_rest() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS, clock=clock, sleep=clock.sleep):
        clock.slept.clear()
        for _ in range(3):
            clock.now_s += 2 * REST_S
            await asyncio.sleep(0)
    assert clock.slept == []


async def test_with_few_calls_it_never_rests() -> None:
    clock = Clock()
    with rests(lambda: RESTING_CALLS - 1, clock=clock, sleep=clock.sleep):
        for _ in range(3):
            await asyncio.sleep(0)
    assert clock.slept == []
