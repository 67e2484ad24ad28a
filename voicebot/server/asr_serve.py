"""A recogniser process: the engine behind a socket, for many front ends. See engine.wire.

One connection carries the streams of all calls of a front end. What a client does wrong ends its
stream or its connection, with a reason; the streams of others are not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import socket
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from voicebot.engine.engine import Engine
from voicebot.engine.replica_load import ReplicaLoad
from voicebot.engine.wire import MAX_MESSAGE_BYTES, PROTOCOL, State
from voicebot.monitoring.metrics import Metrics
from voicebot.monitoring.recogniser_metrics import ReplicaMetrics
from voicebot.server.asr_serve_connection import FrontEnd
from voicebot.server.asr_serve_device import AcceleratedEngine

log = structlog.get_logger(__name__)

MAX_FRONT_ENDS = 256
OPEN_TIMEOUT_S = 5.0
LOOK_S = 1.0
DEVICE_LOST = 75
"""Exit code (EX_TEMPFAIL of sysexits.h): who started the process may start it anew."""
TELL_S = 0.5
""""Closed" and "draining" leave within it."""
DRAIN_S = 10.0
"""Front ends move their calls elsewhere when they are told; that takes no longer."""


class Replica:
    """The engine, its load, and the front ends connected to it."""

    def __init__(self, engine: Engine, capacity: int, metrics: Metrics, token: str = "") -> None:
        """`token`: what front ends must show; "" where none is needed (loopback)."""
        self.engine = engine
        self.load = ReplicaLoad(capacity)
        self.metrics = metrics
        self.counts = ReplicaMetrics(metrics.registry)
        self.counts.capacity(capacity)
        self.lost = asyncio.Event()
        if isinstance(engine, AcceleratedEngine):
            self.lost = engine.lost
        self._token = token
        self._front_ends: set[FrontEnd] = set()
        self._was_failing = False

    @property
    def state(self) -> State:
        """Whether another stream is taken."""
        return self.load.state(asyncio.get_running_loop().time())

    def _is_failing(self) -> bool:
        return self.load.is_failing(asyncio.get_running_loop().time())

    def _tell_failing(self) -> None:
        """Once, when it begins and when it is over."""
        is_failing = self._is_failing()
        if is_failing and not self._was_failing:
            log.error("every answer fails: no more streams are taken")
        elif self._was_failing and not is_failing:
            log.warning("answers failed: streams are taken again, to see whether that is over")
        self._was_failing = is_failing

    def count(self) -> None:
        """Streams and connections as they are now."""
        self.load.live = self.engine.calls
        self.counts.now(len(self._front_ends), self.engine.calls)

    # ------------------------------------------------------------ HTTP

    def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the handshake: health, metrics, and who may come in."""
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return _text(HTTPStatus.OK, "alive")
        if path == "/readyz":
            state = self.state
            status = HTTPStatus.OK if state is State.OPEN else HTTPStatus.SERVICE_UNAVAILABLE
            return _text(status, "failing" if self._is_failing() else state.name.lower())
        if not self._may_enter(request):
            self.counts.fault("wrong token")
            log.warning("client refused", reason="wrong token")
            return _text(HTTPStatus.UNAUTHORIZED, "wrong token")
        if path == "/metrics":
            body, kind = self.metrics.exposition()
            headers = Headers([("Content-Type", kind), ("Content-Length", str(len(body)))])
            return Response(HTTPStatus.OK, "OK", headers, body)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in {name.strip() for name in offered.split(",")}:
            self.counts.fault("wrong protocol")
            return _text(HTTPStatus.BAD_REQUEST, f"speak {PROTOCOL}")
        if len(self._front_ends) >= MAX_FRONT_ENDS:
            self.counts.fault("too many front ends")
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        return None

    def _may_enter(self, request: Request) -> bool:
        shown = request.headers.get("Authorization", "")
        return not self._token or hmac.compare_digest(
            shown.encode(errors="replace"), f"Bearer {self._token}".encode()
        )

    # ------------------------------------------------------------ connections

    async def converse(self, connection: ServerConnection) -> None:
        """One front end, from its first message to its last."""
        front_end = FrontEnd(connection, self.engine, self.load, self.counts, self.count)
        self._front_ends.add(front_end)
        log.info("front end connected", front_ends=len(self._front_ends))
        try:
            why = await front_end.run()
        finally:
            self._front_ends.discard(front_end)
            self.count()
        log.info("front end left", why=why, front_ends=len(self._front_ends))

    async def look(self) -> None:
        """Streams that fell silent, and the load, again and again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._watch_device()
            for front_end in list(self._front_ends):
                front_end.look()
            if isinstance(self.engine, AcceleratedEngine):
                self.engine.look()
            self._tell_failing()
            self.count()

    async def _watch_device(self) -> None:
        """Until more is lost than time: front ends should go elsewhere at once."""
        if self.load.is_draining:
            await asyncio.Event().wait()
        await self.lost.wait()
        self.counts.device_lost()
        self.load.is_draining = True
        for front_end in list(self._front_ends):
            front_end.tell_load()

    async def drain(self) -> None:
        """Take no more streams, and wait a while for those that are live to move."""
        self.load.is_draining = True
        for front_end in list(self._front_ends):
            front_end.tell_load()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.engine.calls:  # noqa: ASYNC110  # counts change in many places
                    await asyncio.sleep(0.05)


def _text(status: HTTPStatus, text: str) -> Response:
    body = f"{text}\n".encode()
    headers = Headers([("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    headers["Connection"] = "close"
    return Response(status, status.phrase, headers, body)


@contextlib.asynccontextmanager
async def listening(replica: Replica, bound: socket.socket) -> AsyncIterator[Server]:
    """Takes connections on a bound socket."""
    replica.engine.start()
    looking = asyncio.create_task(replica.look())
    try:
        async with serve(
            replica.converse,
            sock=bound,
            process_request=replica.receive,
            subprotocols=[PROTOCOL],  # type: ignore[list-item]  # a NewType of str
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=16,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=None,  # heartbeats of our own tell the load, too
            close_timeout=1,
            server_header=None,
        ) as server:
            yield server
    finally:
        looking.cancel()
        await replica.engine.close()


async def serve_until_signalled(
    replica: Replica, bound: socket.socket, announce: Callable[[], None]
) -> int:
    """Until SIGTERM or SIGINT, then a drain; exit code 0, or 128 + n after a second signal n.

    DEVICE_LOST as soon as all front ends know that the device is lost.
    """
    first, second = asyncio.Event(), asyncio.Event()
    code = 0

    def arrived(number: int) -> None:
        nonlocal code
        if first.is_set():
            code = 128 + number
            second.set()
        first.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, arrived, number)
    async with listening(replica, bound):
        announce()
        lost = asyncio.create_task(replica.lost.wait())
        signalled = asyncio.create_task(first.wait())
        await asyncio.wait({lost, signalled}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        signalled.cancel()
        if replica.lost.is_set():
            await asyncio.sleep(TELL_S)
            return DEVICE_LOST
        log.info("draining", streams=replica.engine.calls)
        draining = asyncio.create_task(replica.drain())
        hurry = asyncio.create_task(second.wait())
        await asyncio.wait({draining, hurry}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        hurry.cancel()
    return code
