"""Runs against a server that answers every turn; and the mistakes of a command line."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets

from load import recordings
from load.__main__ import main
from load.errors import LoadMistake
from load.replay import Replay, probe, webhook_of
from load.schedule import Schedule
from voicebot.audio import mulaw
from voicebot.config import load_settings
from voicebot.server.admission import AdmittedCall
from voicebot.server.directory import CallDecision
from voicebot.server.media_socket import MediaSocket
from voicebot.server.ports import RunCall, Uncounted
from voicebot.server.serving import running_server
from voicebot.telephony.media_stream import Media, MediaStream

TONE = mulaw.encode((8000 * np.sin(2 * np.pi * 440 * np.arange(1600) / 8000)).astype(np.int16))
QUIET_CHUNKS = 5


class OnlyMemory(Uncounted):
    """Counts nothing; /metrics has a sample all the same."""

    def exposition(self) -> tuple[bytes, str]:
        return b"process_resident_memory_bytes 1000\n", "text/plain"


async def answer_every_turn(
    socket: MediaSocket, stream: MediaStream, admitted: AdmittedCall
) -> CallDecision:
    """A greeting; then 0.2 s of tone after each stretch of speech and 100 ms of silence."""
    await socket.send(stream.media(TONE))
    quiet, spoke = 0, False
    while (message := await socket.receive()) is not None:
        for event in stream.receive(message):
            if isinstance(event, Media):
                is_silent = set(event.payload) <= {0xFF, 0x7F}
                quiet = quiet + 1 if is_silent else 0
                spoke = spoke or not is_silent
                if spoke and quiet == QUIET_CHUNKS:
                    spoke = False
                    await socket.send(stream.media(TONE))
        if stream.is_stopped:
            break
    return CallDecision()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        noise = np.random.default_rng(number).normal(size=2400) * 0.3
        sf.write(tmp_path / f"{number}.wav", np.clip(noise, -1, 1), 8000)
    return tmp_path


@asynccontextmanager
async def server(run_call: RunCall = answer_every_turn, **more: Any) -> AsyncIterator[str]:
    limits = {"port": 0, **more.pop("server", {})}
    settings = load_settings(_env_file=None, server=limits, **more)
    async with running_server(settings, run_call=run_call, metrics=OnlyMemory()) as url:
        yield url


# ---------------------------------------------------------------- mistakes


@pytest.mark.unit
@pytest.mark.parametrize(
    "url", ["http://bot.example", "https://203.0.113.9:8443", "http://127.0.0.1.evil.example"]
)
def test_only_this_machine_is_loaded_unless_allowed(url: str) -> None:
    with pytest.raises(LoadMistake, match="--allow-remote"):
        webhook_of(url, allow_remote=False)
    assert webhook_of(url, allow_remote=True) == f"{url}/twilio/voice"


@pytest.mark.unit
@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://["])
def test_a_target_that_is_no_url(url: str) -> None:
    with pytest.raises(LoadMistake, match="must be a URL"):
        webhook_of(url, allow_remote=True)


@pytest.mark.unit
def test_the_target_is_a_server_or_its_webhook() -> None:
    for url in ("http://127.0.0.1:80", "http://127.0.0.1:80/", "http://127.0.0.1:80/twilio/voice"):
        assert webhook_of(url, allow_remote=False) == "http://127.0.0.1:80/twilio/voice"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--to": "http://bot.example"}, "another machine"),
        ({"--recordings": "/no/such"}, "no such folder"),
        ({"--to": "http://127.0.0.1:9"}, "is the server up?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], message: str
) -> None:
    options = {
        "--to": "http://127.0.0.1:8080",
        "--calls": "1",
        "--recordings": str(folder),
        "--seconds": "1",
        **changed,
    }
    assert main(["replay", *(word for option in options.items() for word in option)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("load: ")
    assert error.count("\n") == 1


@pytest.mark.e2e
async def test_the_probe_finds_out_before_any_call() -> None:
    async with server(twilio={"auth_token": "secret"}) as url:
        await probe(f"{url}/twilio/voice", "secret", allow_remote=False)
        with pytest.raises(LoadMistake, match="refuses the signature"):
            await probe(f"{url}/twilio/voice", "other", allow_remote=False)
    async with server(server={"public_url": "https://bot.example"}) as url:
        with pytest.raises(LoadMistake, match=r"wss://bot\.example/twilio/media, another machine"):
            await probe(f"{url}/twilio/voice", None, allow_remote=False)
        with pytest.raises(LoadMistake, match="HTTP 404"):
            await probe(f"{url}/nothing", None, allow_remote=False)


@pytest.mark.e2e
async def test_the_probe_gives_its_place_back() -> None:
    async with server(server={"max_calls": 1}) as url:
        for _ in range(3):
            await probe(f"{url}/twilio/voice", None, allow_remote=False)


# ---------------------------------------------------------------- runs


@pytest.mark.e2e
async def test_concurrent_calls_are_answered_and_timed(folder: Path) -> None:
    pool = recordings.load(recordings.find(folder), size=3, seed=0)
    shown: list[str] = []
    async with server(twilio={"auth_token": "secret"}) as url:
        schedule = Schedule(lines=3, seconds=3.5, recordings=3, turns=1, barge_in=0.0)
        replay = Replay(f"{url}/twilio/voice", schedule, pool, "secret", shown.append)
        measured = await replay.run()
    summary = measured.summary()
    assert summary["failures"] == {}
    assert summary["completed"] >= 3, "each line's first call ends after its one turn"
    assert summary["calls"] == summary["completed"] + summary["cut"]
    assert summary["turns"] >= 3
    # The bot answers 100 ms after the last speech; the wire and 20 ms chunks add to that.
    assert len(measured.response_ms) >= 3
    assert min(measured.response_ms) >= 80
    assert len(measured.connect_ms) == summary["calls"]
    assert summary["sends"] > 3 * 50
    assert any("3 up" in line for line in shown)


@pytest.mark.e2e
async def test_busy_calls_are_failures_and_lines_go_on(folder: Path) -> None:
    pool = recordings.load(recordings.find(folder), size=3, seed=0)
    async with server(server={"max_calls": 1}) as url:
        schedule = Schedule(lines=2, seconds=1.5, recordings=3, turns=5)
        measured = await Replay(f"{url}/twilio/voice", schedule, pool).run()
    assert measured.failures["rejected"] >= 1
    assert measured.cut == 1


@pytest.mark.e2e
async def test_a_server_that_drops_its_calls_is_not_called_sound(folder: Path) -> None:
    async def drop(connection: ServerConnection) -> None:
        connection.transport.abort()

    pool = recordings.load(recordings.find(folder), size=3, seed=0)
    async with serve_sockets(drop, "127.0.0.1", 0) as sockets:
        port = sockets.sockets[0].getsockname()[1]
        document = f'<Response><Connect><Stream url="ws://127.0.0.1:{port}/"/></Connect></Response>'
        async with _webhook(document) as webhook_url:
            schedule = Schedule(lines=1, seconds=0.5, recordings=3)
            measured = await Replay(webhook_url, schedule, pool).run()
    assert measured.failures["lost"] == 1
    assert measured.completed == 0


@asynccontextmanager
async def _webhook(document: str) -> AsyncIterator[str]:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = document.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/twilio/voice"


@pytest.mark.e2e
async def test_ctrl_c_prints_what_was_measured(folder: Path) -> None:
    is_up = asyncio.Event()

    async def tell(
        socket: MediaSocket, stream: MediaStream, admitted: AdmittedCall
    ) -> CallDecision:
        is_up.set()
        return await answer_every_turn(socket, stream, admitted)

    async with server(tell) as url:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "load", "replay", "--to", url, "--calls", "2", "--json"),
            *("--recordings", str(folder), "--seconds", "600", "--barge-in", "0"),
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await is_up.wait()
            child.send_signal(signal.SIGINT)
            output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
            child._transport.close()  # type: ignore[attr-defined]  # else Python 3.11 warns
    summary = json.loads(output)
    assert child.returncode in {0, 3}
    assert summary["valid"] == (child.returncode == 0)
    assert summary["cut"] == summary["calls"] >= 1
    assert summary["server"]["process_resident_memory_bytes"] == 1000.0
