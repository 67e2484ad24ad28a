"""Rests of the event loop: what many callers send within a few milliseconds is handled at once.

Callers send fifty messages a second each, one by one. Being woken for each costs more than what is
done with it, and cold caches make that dearer still: with 20 calls a rest saves a third of the
loop's CPU time (load/LOG.md). Until it ends nothing happens on the loop, so that what a call waits
for there comes half of it later on average. What has begun is finished first: from task to task
a key goes through the loop many times, and each would cost a rest. Audio waits until it is
heard: of the rests that begin a tick, hearing has the processor's caches and Python for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voicebot.server.gathering import TICK_S, Gathering

REST_S = 0.005
"""From one look at the sockets to the next, work included."""
ROUNDS = 32
"""Of the loop before each rest at most: what was begun is done by then."""
IDLE_ROUNDS, IDLE_S = 2, 4e-6
"""After so many in a row that were so short nothing is under way. One without work takes 1 us (90
in 100 of them 1.2), one that wakes a task 5 and more."""
RESTING_CALLS = 10
"""With fewer calls there is CPU time in plenty, and nothing to gather."""
LOOK_S = 0.25
"""How often to look whether there are so many."""


@contextmanager
def rests(
    calls: Callable[[], int],
    gathering: Gathering | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """While entered, the running event loop rests whenever `calls()` are RESTING_CALLS or more.

    `gathering`, if any, ticks meanwhile.
    """
    gathered = gathering or Gathering()
    loop = asyncio.get_running_loop()
    handle: asyncio.Handle | None = None
    rounds = idle = 0
    looked_s = rest_due_s = tick_due_s = clock()

    def rest() -> None:
        nonlocal handle, rounds, idle, looked_s, rest_due_s, tick_due_s
        if calls() < RESTING_CALLS:
            gathered.end()
            handle = loop.call_later(LOOK_S, rest)
            return
        gathered.begin()
        now_s = clock()
        rounds, idle = rounds + 1, idle + 1 if now_s - looked_s < IDLE_S else 0
        is_late = now_s >= tick_due_s + REST_S  # rounds are long: audio does not wait for so many
        if rounds >= ROUNDS or idle >= IDLE_ROUNDS or is_late:
            if now_s >= tick_due_s - REST_S / 2:
                gathered.tick()
                tick_due_s = _next(tick_due_s, TICK_S, now_s)
                now_s = clock()
            rest_due_s = _next(rest_due_s, REST_S, now_s)
            if rest_due_s > now_s:
                sleep(rest_due_s - now_s)
            rounds = idle = 0
            now_s = clock()
        looked_s = now_s
        handle = loop.call_soon(rest)  # after one look at the sockets

    rest()
    try:
        yield
    finally:
        if handle is not None:
            handle.cancel()
        gathered.end()


def _next(due_s: float, every_s: float, now_s: float) -> float:
    """On a grid of `every_s`, which begins anew where the time is past."""
    return due_s + every_s if now_s < due_s + every_s else now_s
