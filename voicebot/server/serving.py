"""Serving the application: the port, the signals, the drain, and a server for tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from starlette.applications import Starlette

from voicebot.config import Settings
from voicebot.errors import UserMistake
from voicebot.server.app import Lifespan, create_app
from voicebot.server.directory import ACTION_WAIT_S
from voicebot.server.drain import Drain, Phase, Step
from voicebot.server.media import Calls
from voicebot.server.media_wire import MediaProtocol
from voicebot.server.ports import Journal, Metrics, RunCall, Uncounted

DRAIN_LOOK_S = 0.05
END_GRACE_S = 5.0
"""How long ended calls may take to write down what they have to."""
HURRIED_END_S = 0.5
"""The same after a second signal."""
CONNECTIONS_GRACE_S = 3
SECOND_SIGNAL_EXIT = 128


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket; UserMistake in one line when the port or address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UserMistake(
            f"server.host: {host!r} is no address of this machine ({error.strerror}); "
            "set VOICEBOT_SERVER__HOST"
        ) from None
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise UserMistake(_why_not_bound(host, port, error)) from None
    return bound


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    mend = "set VOICEBOT_SERVER__PORT or --port to another"
    if error.errno == errno.EADDRINUSE:
        return f"server.port: {port} on {host} is in use; stop what uses it, or {mend}"
    if error.errno == errno.EACCES:
        return f"server.port: {port} on {host} needs privileges; {mend}"
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"server.host: {host} is no address of this machine ({error.strerror}); "
            "set VOICEBOT_SERVER__HOST or --host to one, 0.0.0.0 for all"
        )
    return f"server.host: cannot listen on {host}:{port} ({error.strerror}); {mend}"


def url_of(bound: socket.socket) -> str:
    """The local URL of a bound socket, with its real port."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: Starlette,
    settings: Settings,
    *,
    announce: Callable[[str], None] | None = None,
) -> int:
    """Serve until a signal and a drain; returns the exit code.

    0 after a drain; 128 + n when a second signal n ended it at once. `announce(url)` is
    called once calls are taken. Raises UserMistake when the port cannot be had, and what
    the application's lifespan raises while it loads.
    """
    bound = bind(settings.server.host, settings.server.port)
    with contextlib.closing(bound), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve_until_signalled(app, settings, bound, announce or _print))


def _print(url: str) -> None:
    print(f"listening on {url}", flush=True)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@contextlib.asynccontextmanager
async def running_server(
    settings: Settings,
    *,
    run_call: RunCall,
    metrics: Metrics | None = None,
    journal: Journal | None = None,
    lifespan: Lifespan | None = None,
    places: Callable[[], int | None] = lambda: None,
) -> AsyncIterator[str]:
    """A server in this event loop, on the settings' port; yields its base URL once ready."""
    app = create_app(
        settings,
        run_call=run_call,
        metrics=metrics or Uncounted(),
        journal=journal,
        lifespan=lifespan,
        places=places,
    )
    bound = bind(settings.server.host, settings.server.port)
    with contextlib.closing(bound):
        async with _listening(app, settings, bound):
            yield url_of(bound)


@contextlib.asynccontextmanager
async def _listening(
    app: Starlette, settings: Settings, bound: socket.socket
) -> AsyncIterator[uvicorn.Server]:
    """Listens first, then loads: health answers meanwhile, calls hear busy."""
    server = _Server(_uvicorn_config(app, settings))
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    listening = asyncio.create_task(server.is_listening.wait())
    try:
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        async with app.router.lifespan_context(app):
            yield server
    finally:
        listening.cancel()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals begin a drain here; uvicorn's own handlers would close every socket."""
        yield


def _uvicorn_config(app: Starlette, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",  # run by ourselves, so that its errors are ours to report
        ws=MediaProtocol,  # what a call costs most is being told of 50 messages a second
        ws_max_size=settings.server.max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # 50 messages a second tell enough; silence has its own limit
        proxy_headers=False,  # they can be forged
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=CONNECTIONS_GRACE_S,
    )


async def _serve_until_signalled(
    app: Starlette, settings: Settings, bound: socket.socket, announce: Callable[[str], None]
) -> int:
    signals = _Signals(app.state.drain)
    with signals.handled():
        life = asyncio.create_task(_live(app, settings, bound, announce, signals))
        stop = asyncio.create_task(signals.first.wait())
        await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not life.done() and not signals.is_up:
            life.cancel()  # still loading
        with contextlib.suppress(asyncio.CancelledError):
            await life
    return signals.exit_code


async def _live(
    app: Starlette,
    settings: Settings,
    bound: socket.socket,
    announce: Callable[[str], None],
    signals: _Signals,
) -> None:
    async with _listening(app, settings, bound) as server:
        signals.is_up = True
        announce(url_of(bound))
        await signals.first.wait()
        await _drain(app.state.drain, app.state.calls, signals)
        server.force_exit = signals.second.is_set()


async def _drain(drain: Drain, calls: Calls, signals: _Signals) -> None:
    """Wait for live calls, end them when their time is up, let Twilio fetch their decisions."""
    now = asyncio.get_running_loop().time
    while (step := drain.step(busy=calls.busy(now()), now=now())) is Step.WAIT:
        await signals.second_within(DRAIN_LOOK_S)
    if step is Step.EXIT:
        return
    ending = asyncio.create_task(calls.end_all(END_GRACE_S))
    hurry = asyncio.create_task(signals.second.wait())
    await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({ending}, timeout=HURRIED_END_S)
    hurry.cancel()
    ending.cancel()
    until = now() + ACTION_WAIT_S
    while not signals.second.is_set() and calls.busy(now()) and now() < until:
        await signals.second_within(DRAIN_LOOK_S)


class _Signals:
    """SIGTERM and SIGINT become steps of the drain."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.is_up = False
        self.exit_code = 0

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._arrived, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _arrived(self, number: signal.Signals) -> None:
        self._drain.signalled(asyncio.get_running_loop().time())
        if self._drain.phase is Phase.STOPPED:
            self.exit_code = SECOND_SIGNAL_EXIT + number
            self.second.set()
        self.first.set()

    async def second_within(self, seconds: float) -> None:
        """Wait so long, less when the second signal comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.second.wait(), seconds)
