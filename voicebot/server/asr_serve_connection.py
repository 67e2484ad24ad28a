"""One front end of a recogniser process: its messages to the engine, the engine's answers back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from voicebot.engine.engine import CallHandle, Engine, Recognised
from voicebot.engine.replica_load import ReplicaLoad
from voicebot.engine.runner import WINDOW, Result, VadResult
from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import (
    Answer,
    Ask,
    Audio,
    Close,
    Closed,
    Fault,
    FromFrontEnd,
    FromRecogniser,
    Load,
    Open,
    Opened,
    Ping,
    Reason,
    State,
    encode,
    from_front_end,
)
from voicebot.engine.wire_session import Session
from voicebot.errors import CapacityError, DeviceLost, Shortage
from voicebot.events import Expectation
from voicebot.monitoring.recogniser_metrics import ReplicaMetrics

log = structlog.get_logger(__name__)

SILENT_S = 5.0
"""A front end sends a heartbeat several times a second; one that says nothing for so long is
gone."""
MESSAGES_PER_S, MESSAGES_AHEAD = 400.0, 2000.0
"""A front end gathers what it has to say every few milliseconds."""
FRAMES_PER_S, FRAMES_PER_STREAM_S, FRAMES_AHEAD_S = 400.0, 60.0, 4.0
"""Of one front end, and of each of its calls: eight chunks of audio and a few requests a second,
several times over, so that what came late may come at once. Frames that come in one message count
one by one: each of them is work for the loop that all front ends share."""
MOST_ASKED = 16
"""Requests of a stream that wait or run: one of each kind does each."""
SHORT: dict[Shortage, str] = {
    "slots": "all places are taken",
    "time": "finals take too long",
    "failures": "every answer fails",
}
SHED_BYTES = 256 * 1024
"""Waiting to be sent: beyond, partials are dropped."""
SLOW_BYTES = 4 * 1024 * 1024
"""Beyond, the front end does not read any more."""


class FrontEnd:
    """The shell of one connection; what it may do is decided by wire_session."""

    def __init__(
        self,
        connection: ServerConnection,
        engine: Engine,
        load: ReplicaLoad,
        counts: ReplicaMetrics,
        count: Callable[[], None],
    ) -> None:
        """`count` is called whenever streams come or go."""
        self._connection = connection
        self._engine = engine
        self._load = load
        self._counts = counts
        self._count = count
        self._session = Session(load.capacity)
        self._streams: dict[int, _Stream] = {}
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._wake = asyncio.Event()
        self._why: str | None = None
        self._told = State.OPEN
        self._messages = MESSAGES_AHEAD  # tokens left
        self._frames = FRAMES_PER_S * FRAMES_AHEAD_S  # likewise
        self._since = self._now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> str:
        """Until the front end leaves, or must leave; why."""
        writing = asyncio.create_task(self._write())
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, reading):
                task.cancel()
            failures = await asyncio.gather(writing, reading, return_exceptions=True)
            for number in list(self._streams):
                self._leave(number)
        for failure in failures:
            if isinstance(failure, Exception) and not isinstance(failure, ConnectionClosed):
                log.error("connection failed", exc_info=failure)
                self._why = self._why or "internal error"
        if self._why is None:
            return "left"
        self._counts.fault(self._why)
        log.warning("front end refused", reason=self._why)
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(1):
                await self._connection.close(1008, self._why)
        return self._why

    # ------------------------------------------------------------ in

    async def _read(self) -> None:
        while self._why is None:
            try:
                async with asyncio.timeout(SILENT_S):
                    data = await self._connection.recv()
            except TimeoutError:
                self._why = "says nothing"
                return
            if isinstance(data, str):
                self._why = "text, not frames"
                return
            if not self._may_go_on():
                self._why = "too many messages"
                return
            for message in from_front_end(data):
                self._frames -= 1
                if self._frames < 0:
                    self._why = "too many frames"
                    return
                if isinstance(message, Fault):
                    self._why = "malformed frame"
                    log.warning("malformed frame", reason=message.reason)
                    return
                self._take(message)

    def _may_go_on(self) -> bool:
        now = self._now()
        passed, self._since = now - self._since, now
        self._messages = min(MESSAGES_AHEAD, self._messages + passed * MESSAGES_PER_S) - 1
        rate = FRAMES_PER_S + FRAMES_PER_STREAM_S * len(self._streams)
        self._frames = min(rate * FRAMES_AHEAD_S, self._frames + passed * rate)
        return self._messages >= 0

    def _take(self, message: FromFrontEnd) -> None:
        match self._session.take(message, self._now()):
            case Audio() as audio:
                self._engine.push(self._streams[audio.stream].handle, audio.at, audio.mulaw)
            case Ask() as ask:
                self._streams[ask.stream].ask(ask, self._session.expectation(ask))
            case Open() as opening:
                self._open(opening)
            case Close() as closing:
                self._leave(closing.stream)
            case Ping() as ping:
                self._send(self._report(ping.nonce))
            case Closed() as refused:
                self._end(refused)
            case _:
                pass

    def _open(self, opening: Open) -> None:
        self._load.live = self._engine.calls
        try:
            if self._load.is_draining:
                self._session.drop(opening.stream)
                self._end(Closed(opening.stream, Reason.DRAINING))
                return
            if (shortage := self._load.shortage(self._now())) is not None:
                raise CapacityError(SHORT[shortage], why=shortage)
            self._streams[opening.stream] = _Stream(self, opening.stream, opening.at, self._engine)
        except CapacityError as error:
            self.refuse(opening.stream, error)
            return
        self._count()
        self._send(Opened(opening.stream))

    def refuse(self, stream: int, error: CapacityError | DeviceLost) -> None:
        """The call has no place, or has lost it; the front end is told why."""
        self._session.drop(stream)
        why = "device" if isinstance(error, DeviceLost) else error.why
        self._counts.refused(why)
        reason = Reason.DEVICE_LOST if why == "device" else Reason.FULL
        self._end(Closed(stream, reason, str(error)))

    def _end(self, closed: Closed) -> None:
        self._counts.closed(closed.reason.name.lower())
        self._leave(closed.stream)
        self._send(closed)

    def _leave(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._engine.release(stream.handle)
            self._count()

    def look(self) -> None:
        """A second has passed."""
        for closed in self._session.idle(self._now()):
            self._end(closed)
        if self._load.state(self._now()) is not self._told:
            self.tell_load()

    # ------------------------------------------------------------ out

    def answer(self, stream: int, request: int, result: Recognised) -> None:
        """The engine's answer to a request."""
        kind = result.job.kind
        if kind is JobKind.FINAL:
            self._load.final(result.seconds, self._now())
        if kind is not JobKind.HOTWORD:  # that is no answer of the recogniser
            self._load.answered(result.hypothesis is None, self._now())
        if kind is JobKind.PARTIAL and self._out_bytes > SHED_BYTES:
            self._counts.shed()
            return
        self._send(Answer(stream, request, result.hypothesis))

    def tell_load(self) -> None:
        """Unasked: the state has changed."""
        self._send(self._report(0))

    def _report(self, nonce: int) -> Load:
        now = self._now()
        self._told = self._load.state(now)
        final_ms = min(round(self._load.final_p95_s(now) * 1000), 2**32 - 1)
        return Load(nonce, self._load.live, self._load.capacity, self._told, final_ms)

    def _send(self, message: FromRecogniser) -> None:
        frame = encode(message)
        self._out.append(frame)
        self._out_bytes += len(frame)
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._out_bytes > SLOW_BYTES:
                self._why = "does not read"
                return
            data = b"".join(self._out)
            self._out.clear()
            # What is being sent counts until it has left.
            sending = asyncio.ensure_future(self._connection.send(data))
            while not sending.done():
                await asyncio.wait({sending}, timeout=0.5)
                if self._out_bytes > SLOW_BYTES:
                    sending.cancel()
                    self._why = "does not read"
                    return
            await sending
            self._out_bytes -= len(data)


class _Stream:
    """A call of the front end, as the engine sees it: requests wait here for their audio."""

    def __init__(self, front_end: FrontEnd, number: int, at: int, engine: Engine) -> None:
        self._front_end = front_end
        self._number = number
        self._engine = engine
        self._written = self._begun_at = at
        self._waiting: dict[JobKind, tuple[Ask, Expectation | None]] = {}
        self._asked: dict[tuple[JobKind, int, int, int], int] = {}  # request by what is asked
        self.handle: CallHandle = engine.open_call(self)

    def ask(self, ask: Ask, expectation: Expectation | None) -> None:
        """A request; of each kind only the newest waits, as in the scheduler.

        Before the stream begins there is none of its audio, but perhaps still another call's.
        """
        begin = max(ask.start_at, self._begun_at)
        ask = replace(ask, start_at=begin, end_at=max(ask.end_at, begin))
        if ask.kind is JobKind.FINAL:  # it makes these pointless
            self._waiting.pop(JobKind.SPECULATIVE, None)
            self._waiting.pop(JobKind.PARTIAL, None)
        if ask.end_at <= self._written:
            self._submit(ask, expectation)
        else:
            self._waiting[ask.kind] = (ask, expectation)

    def on_heard(self, results: Sequence[Result]) -> None:
        """More audio is where the recogniser finds it."""
        for result in results:
            if isinstance(result, VadResult):
                self._written = max(self._written, result.at + WINDOW)
        if not self._waiting:
            return
        ready = [kind for kind, (ask, _) in self._waiting.items() if ask.end_at <= self._written]
        for kind in sorted(ready):
            self._submit(*self._waiting.pop(kind))

    def on_recognised(self, result: Recognised) -> None:
        """An answer."""
        job = result.job
        request = self._asked.pop((job.kind, job.utterance, job.start_at, job.end_at), None)
        if request is not None:
            self._front_end.answer(self._number, request, result)

    def on_refused(self, error: CapacityError | DeviceLost) -> None:
        """The engine let it in, but has no room for it."""
        self._front_end.refuse(self._number, error)

    def _submit(self, ask: Ask, expectation: Expectation | None) -> None:
        self._asked[ask.kind, ask.utterance, ask.start_at, ask.end_at] = ask.request
        if len(self._asked) > MOST_ASKED:  # the oldest was shed
            del self._asked[next(iter(self._asked))]
        self._engine.recognise(
            self.handle,
            ask.utterance,
            ask.kind,
            ask.start_at,
            ask.end_at,
            expectation=expectation,
        )
