"""The port, the signals and the drain, in a process of its own where signals matter."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from shell_fakes import CountingMetrics, EchoCall, Twilio, key, settings, start
from starlette.applications import Starlette

from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.server.app import create_app
from voicebot.server.serving import bind, running_server, serve, url_of

pytestmark = pytest.mark.e2e

SERVER = """
import sys
from shell_fakes import CountingMetrics, EchoCall, settings
from voicebot.server.app import create_app
from voicebot.server.serving import serve

limits = settings(drain_timeout_s=float(sys.argv[1]))
app = create_app(limits, run_call=EchoCall(), metrics=CountingMetrics())
sys.exit(serve(app, limits))
"""


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserMistake) as mistake:
            bind("127.0.0.1", port)
    assert str(mistake.value) == (
        f"server.port: {port} on 127.0.0.1 is in use; stop what uses it, or "
        "set VOICEBOT_SERVER__PORT or --port to another"
    )


@pytest.mark.parametrize("host", ["no such host", "203.0.113.9"])
def test_an_address_that_is_not_ours_is_one_line(host: str) -> None:
    with pytest.raises(UserMistake, match=r"^server\.host: ") as mistake:
        bind(host, 0)
    assert "\n" not in str(mistake.value)


def test_the_real_port_is_reported() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert not url_of(bound).endswith(":0")


def test_what_fails_while_loading_reaches_the_caller_in_its_own_words() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ModelUnavailable("no weights; run voicebot doctor")
        yield

    app = create_app(settings(), run_call=EchoCall(), metrics=CountingMetrics(), lifespan=lifespan)
    with pytest.raises(ModelUnavailable, match="no weights"):
        serve(app, settings())


async def test_the_lifespan_surrounds_the_calls() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        steps.append("loaded")
        yield
        steps.append(f"unloaded after {app.state.calls.sockets} streams")

    async with running_server(
        settings(), run_call=EchoCall(), metrics=CountingMetrics(), lifespan=lifespan
    ) as url:
        assert steps == ["loaded"]
        async with Twilio(url) as twilio:
            parameters = await twilio.answered("CA1")
            stream = await twilio.open()
            await start(stream, "CA1", parameters)
    assert steps == ["loaded", "unloaded after 0 streams"]
    await stream.wait_closed()


@asynccontextmanager
async def process(drain_timeout_s: float) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVER,
        str(drain_timeout_s),
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        line = (await child.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:")
        yield child, line.split()[-1]
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child._transport.close()  # type: ignore[attr-defined]  # else Python 3.11 warns at exit


async def test_sigterm_without_calls_exits_with_0() -> None:
    async with process(60) as (child, _):
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_sigterm_takes_no_more_calls_and_lets_live_ones_finish() -> None:
    async with process(60) as (child, url), Twilio(url) as twilio:
        parameters = await twilio.answered("CA1")
        async with twilio.open() as stream:
            await start(stream, "CA1", parameters)
            child.send_signal(signal.SIGTERM)
            while (await twilio.http.get("/readyz")).status_code == 200:
                pass
            assert "<Reject" in (await twilio.post("/twilio/voice", "CA2")).text
            await stream.send(key("2"))
            await stream.wait_closed()
            assert stream.close_code == 1000
        # The decision is kept until Twilio has asked for it.
        assert await twilio.action("CA1") == "Dial,Say"
        assert await child.wait() == 0


async def test_the_drain_is_bounded_and_ended_calls_get_an_apology() -> None:
    async with process(0) as (child, url), Twilio(url) as twilio:
        parameters = await twilio.answered("CA1")
        async with twilio.open() as stream:
            await start(stream, "CA1", parameters)
            await stream.send("{}")
            await (await stream.ping())
            child.send_signal(signal.SIGTERM)
            await stream.wait_closed()
            assert stream.close_code == 1001
        assert await twilio.action("CA1") == "Say,Hangup"
        assert await child.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(second: signal.Signals) -> None:
    async with process(600) as (child, url), Twilio(url) as twilio:
        parameters = await twilio.answered("CA1")
        async with twilio.open() as stream:
            await start(stream, "CA1", parameters)
            child.send_signal(signal.SIGTERM)
            while (await twilio.http.get("/readyz")).status_code == 200:
                pass
            child.send_signal(second)
            assert await child.wait() == 128 + second
