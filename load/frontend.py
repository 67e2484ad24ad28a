"""What a call costs the server while nobody recognises: `python -m load frontend`.

The server (`voicebot serve` with `asr.service=none`, or a peer's `bot.py`) runs as a child
process on loopback. Its CPU time is all that its threads used, from the kernel's clock of the
process; this process and what it simulates are not in it. In order:

1. WARM_UP_CALLS calls are not counted: they import and allocate what stays.
2. Set-up: SET_UP_CALLS calls, one after the other and nobody else up. A call is set up when
   the server's use of CPU has calmed down, so that what it does after its first media still
   counts; what the call costs in the next second is taken off for the time until then.
3. N calls are placed one by one; once all are up and SETTLE_S have passed, CPU and the server's
   late chunks are measured for `seconds`. Memory per call is what all but the first added.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from load.callers import Caller, Counts, Track
from load.figures import Figures
from load.report import LATE_MS, percentile
from load.subjects import Running, Subject

WARM_UP_CALLS = 2
SET_UP_CALLS = 6
CALL_S = 1.0
"""Length of a warm-up call, and of the second after a set-up that is taken off."""
CALM_SHARE = 0.25
"""Of one core: below it, for CALM_S, a call is set up."""
CALM_S = 0.1
LONGEST_SET_UP_S = 10.0
BETWEEN_S = 0.1
"""Least time between two calls being placed."""
SETTLE_S = 3.0
MB = 1e6

Show = Callable[[str], None]


def longest_s(calls: int, seconds: float) -> float:
    """How long the first of `calls` may be up; set-ups of 0.2 s and less."""
    return SETTLE_S * 2 + calls * 0.5 + seconds


class Measurement:
    """One server from its start to its end."""

    def __init__(
        self, subject: Subject, track: Track, calls: int, seconds: float, show: Show
    ) -> None:
        """`calls` at once, measured for `seconds`."""
        self._subject, self._track = subject, track
        self._calls, self._seconds = calls, seconds
        self._tell = show
        self._counts = Counts()
        self._placed = 0
        self._up: list[Caller] = []

    def _show(self, text: str) -> None:
        self._tell(f"{self._subject.name}: {text}")

    async def run(self) -> Figures:
        """Measures; ServerFailed when the server does not start or a call does not get through."""
        gc.collect()
        gc.freeze()  # a pause of the tester's collector would be a late chunk
        with TemporaryDirectory(prefix="voicebot-load-") as folder:
            self._show("starting the server")
            async with self._subject.started(Path(folder)) as server:
                try:
                    return await self._measure(server)
                finally:
                    for caller in self._up:
                        caller.hang_up()
                    gc.unfreeze()

    async def _measure(self, server: Running) -> Figures:
        for number in range(WARM_UP_CALLS):
            self._show(f"warm-up call {number + 1} of {WARM_UP_CALLS}")
            caller = await self._place(server)
            await asyncio.sleep(CALL_S)
            caller.hang_up()
            await asyncio.sleep(CALL_S)
        set_up_s = [await self._set_up(server, number) for number in range(SET_UP_CALLS)]
        first_rss = await self._place_all(server, pause_s=max(BETWEEN_S, 2 * max(set_up_s)))
        late_before = await server.late_chunks()
        self._counts.reset()
        cpu_s, seconds = await self._watch(server)
        rss = server.process.rss_bytes() - first_rss
        late = await server.late_chunks()
        counts = self._counts
        p99 = percentile(counts.lateness_ms, 99)
        ended = sum(not caller.is_up for caller in self._up)
        return Figures(
            calls=self._calls,
            cpu_ms_per_call_second=round(1000 * cpu_s / self._calls / seconds, 2),
            rss_mb_per_call=round(rss / max(1, self._calls - 1) / MB, 2),
            setup_ms_per_call=round(1000 * sum(set_up_s) / len(set_up_s), 1),
            late_chunks=None if late is None else late - (late_before or 0),
            seconds=round(seconds, 1),
            bot_audible_share=round(counts.hearing / max(counts.steps, 1), 2),
            ended_early=ended,
            send_lateness_ms_p99=None if p99 is None else round(p99, 1),
            valid=p99 is not None and p99 <= LATE_MS and ended == 0,
        )

    async def _place(self, server: Running) -> Caller:
        self._placed += 1
        # Callers start at different places of the track: they do not speak in chorus.
        offset = self._placed * 7919 % len(self._track)
        return await server.call(self._track, self._counts, offset)

    async def _place_all(self, server: Running, pause_s: float) -> int:
        """Places them; returns the memory with the first one up, without any if it is alone.

        What earlier calls left to be used again is used by that one.
        """
        await asyncio.sleep(CALL_S)
        rss = server.process.rss_bytes()
        for number in range(self._calls):
            self._show(f"placing call {number + 1} of {self._calls}")
            self._up.append(await self._place(server))
            if number == 0 and self._calls > 1:
                await asyncio.sleep(SETTLE_S)
                rss = server.process.rss_bytes()
            await asyncio.sleep(pause_s)
        await asyncio.sleep(SETTLE_S)
        return rss

    async def _set_up(self, server: Running, number: int) -> float:
        """CPU seconds of one call's set-up."""
        self._show(f"set-up call {number + 1} of {SET_UP_CALLS}")
        loop = asyncio.get_running_loop()
        cpu_s = server.process.cpu_s()
        caller = await self._place(server)
        opened_s = loop.time()
        before_s = server.process.cpu_s()
        while loop.time() - opened_s < LONGEST_SET_UP_S:
            looked_s = loop.time()
            await asyncio.sleep(CALM_S)
            now_s = server.process.cpu_s()
            if now_s - before_s < CALM_SHARE * (loop.time() - looked_s):
                break
            before_s = now_s
        talked_s = loop.time() - opened_s
        ready_s, began_s = server.process.cpu_s(), loop.time()
        await asyncio.sleep(CALL_S)
        rate = (server.process.cpu_s() - ready_s) / (loop.time() - began_s)
        caller.hang_up()
        await asyncio.sleep(CALL_S / 2)  # what its end costs belongs to no set-up
        return max(0.0, ready_s - cpu_s - rate * talked_s)

    async def _watch(self, server: Running) -> tuple[float, float]:
        """(CPU seconds of the server, seconds that passed)."""
        loop = asyncio.get_running_loop()
        cpu_s, began_s = server.process.cpu_s(), loop.time()
        while (left_s := began_s + self._seconds - loop.time()) > 0:
            self._show(f"{self._calls} calls, {self._seconds - left_s:.0f} of {self._seconds:g} s")
            await asyncio.sleep(min(1.0, left_s))
            server.process.cpu_s()  # a server that ended is noticed now
        return server.process.cpu_s() - cpu_s, loop.time() - began_s
