"""The engine of a server whose calls are recognised by other processes (`recogniser.url`).

It hears as ever: echo, voice activity and keys stay here. What the caller said is streamed to a
replica in chunks, and requests go there. The ring of heard audio that the engine keeps anyway is
what makes a loss harmless: on another replica the stream begins where the oldest unanswered
request begins, and is asked again. Where no replica can be had, the local engine answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from voicebot.audio import mulaw
from voicebot.engine.engine import CallHandle, CallSink, Engine, EngineObserver, Recognised
from voicebot.engine.runner import Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.engine.wire import MAX_SPAN_SAMPLES
from voicebot.events import Hypothesis
from voicebot.monitoring.recogniser_metrics import FrontEndMetrics
from voicebot.server.asr_serve_call import RemoteCall
from voicebot.server.asr_serve_link import Link, LinkedCall

log = structlog.get_logger(__name__)

LOOK_S = 0.1
FIRST_CONNECTION_S = 5.0


class RemoteEngine(Engine):
    """An Engine that asks replicas first."""

    def __init__(
        self,
        runner: Runner,
        *,
        slots: int,
        urls: Sequence[str],
        token: str,
        counts: FrontEndMetrics,
        has_local: bool,
        has_own_hot_word: bool = False,
        observer: EngineObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`has_local`: `runner` has a recogniser to fall back to; else keys only.

        `has_own_hot_word`: the hot word is looked for here, by models of this server's own.
        """
        super().__init__(runner, slots=slots, observer=observer, clock=clock)
        self._urls, self._token = tuple(urls), token
        self.counts = counts
        self._fallback = "local" if has_local else "keys"
        self._has_own_hot_word = has_own_hot_word
        self._links: list[Link] = []
        self._calls: dict[int, RemoteCall] = {}
        self._looking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._first = asyncio.Event()

    def start(self) -> None:
        """Also connect."""
        super().start()
        self._links = [Link(url, self._token, self) for url in self._urls]
        self._looking = asyncio.create_task(self._look())

    async def connect(self) -> bool:
        """Wait a while for the first replica; whether there is one."""
        try:
            async with asyncio.timeout(FIRST_CONNECTION_S):
                await self._first.wait()
        except TimeoutError:
            log.error("no recogniser can be reached", fallback=self._fallback)
        return self._first.is_set()

    async def close(self) -> None:
        """Also disconnect."""
        if self._looking is not None:
            self._looking.cancel()
        self._calls.clear()
        await asyncio.gather(*(link.close() for link in self._links))
        await super().close()

    def set_urls(self, urls: Sequence[str]) -> None:
        """Replicas came or went: those that are not named any more lose their calls to others."""
        gone = [link for link in self._links if link.url not in urls]
        known = {link.url for link in self._links}
        self._links = [link for link in self._links if link.url in urls]
        self._links += [Link(url, self._token, self) for url in urls if url not in known]
        for link in gone:
            link.give_up("not named any more")
            closing = asyncio.create_task(link.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    # ------------------------------------------------------------ calls

    def open_call(self, sink: CallSink) -> CallHandle:
        """Also look for a replica."""
        call = RemoteCall(self, sink)
        handle = super().open_call(call)
        call.handle = handle
        self._calls[handle.slot] = call
        self.place(call)
        return handle

    def release(self, handle: CallHandle) -> None:
        """Also there."""
        call = self._calls.get(handle.slot)
        if call is not None and call.handle is handle:
            del self._calls[handle.slot]
            call.leave()
        super().release(handle)

    def _ask(self, handle: CallHandle, job: Job) -> None:
        """Of a replica, if there is one."""
        call = self._calls.get(handle.slot)
        if call is None or call.handle is not handle:
            return
        if job.kind is JobKind.HOTWORD and self._has_own_hot_word:
            super()._ask(handle, job)
        else:
            call.ask(replace(job, start_at=max(job.start_at, job.end_at - MAX_SPAN_SAMPLES)))

    def audio(self, call: RemoteCall, start: int, end: int) -> bytes:
        """mu-law of what the caller said there, as far as it is known (and still kept)."""
        return mulaw.encode(self._runner.span(call.slot, start, end))

    def now(self) -> float:
        """Seconds on the engine's clock."""
        return self._clock()

    # ------------------------------------------------------------ replicas

    def place(self, call: RemoteCall) -> None:
        """Give the call to the replica with the most room, if any takes it."""
        now = asyncio.get_running_loop().time()
        free = [link for link in self._links if link.takes_calls(now)]
        if free:
            call.join(min(free, key=lambda link: link.fullness))

    def connected(self, link: Link) -> None:
        """A replica can be used: calls that had none take it."""
        self._first.set()
        self._count()
        for call in list(self._calls.values()):
            if call.link is None:
                self.place(call)

    def lost(self, link: Link, calls: Sequence[LinkedCall], why: str) -> None:
        """Its calls go on elsewhere, from where they were."""
        self.counts.lost(why)
        self._count()
        log.warning("recogniser lost", url=link.url, why=why, calls=len(calls))
        for call in calls:
            call.bereaved()

    def draining(self, link: Link) -> None:
        """Its calls move while it still answers."""
        for call in list(self._calls.values()):
            if call.link is link and not call.has_pending:
                call.move()

    def _count(self) -> None:
        there = sum(link.is_connected for link in self._links)
        self.counts.connected(there)
        self.counts.fallen(there == 0)

    def deliver(self, result: Recognised) -> None:
        """To the call, if it is still there."""
        self._deliver_recognised([result])

    def fall_back(self, job: Job) -> None:
        """The local engine answers; without a recogniser that nothing was understood."""
        self.counts.fell_back(self._fallback)
        super()._ask(self._calls[job.slot].handle, job)

    def _run(self, batch: list[Job]) -> list[Hypothesis | None]:
        """What falls back; without a recogniser nobody knows what was said."""
        found = super()._run(batch)
        if self._fallback == "local":
            return found
        return [
            replace(heard, is_unheard=True)
            if heard is not None and job.kind is not JobKind.HOTWORD
            else heard
            for job, heard in zip(batch, found, strict=True)
        ]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for call in list(self._calls.values()):
                try:
                    call.look()
                except Exception:
                    log.exception("a call could not be looked after")
