"""Rests of the event loop: what many callers send within a few milliseconds is handled at once.

Callers send fifty messages a second each, one by one. Being woken for each costs more than what is
done with it, and cold caches make that dearer still: with 20 calls a rest saves a third of the
loop's CPU time (load/LOG.md). Until it ends nothing happens on the loop, so that what a call waits
for there comes half of it later on average. What has begun is finished first: from task to task
a key goes through the loop many times, and each would cost a rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REST_S = 0.005
"""From one look at the sockets to the next, work included."""
ROUNDS = 32
"""Of the loop before each rest: what was begun is done by then. One without work takes 0.7 us."""
RESTING_CALLS = 10
"""With fewer calls there is CPU time in plenty, and nothing to gather."""
LOOK_S = 0.25
"""How often to look whether there are so many."""


@contextmanager
def rests(
    calls: Callable[[], int],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """While entered, the running event loop rests whenever `calls()` are RESTING_CALLS or more."""
    loop = asyncio.get_running_loop()
    handle: asyncio.Handle | None = None
    woke_s, rounds = clock(), 0

    def rest() -> None:
        nonlocal handle, woke_s, rounds
        if calls() < RESTING_CALLS:
            handle = loop.call_later(LOOK_S, rest)
            return
        rounds += 1
        if rounds >= ROUNDS:
            left_s = REST_S - (clock() - woke_s)
            if left_s > 0:
                sleep(left_s)
            woke_s, rounds = clock(), 0
        handle = loop.call_soon(rest)  # after one look at the sockets

    rest()
    try:
        yield
    finally:
        if handle is not None:
            handle.cancel()
