"""A recogniser process and clients that do what they should not, over real sockets.

Beside each of them a good client is recognised, before and after.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.request import Request, urlopen

import pytest
from server.replicas import TOKEN, Client, client, eventually, make_replica, running, said
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import (
    MAX_MESSAGE_BYTES,
    PROTOCOL,
    Answer,
    Ask,
    Audio,
    Close,
    Closed,
    Expect,
    FromFrontEnd,
    Load,
    Open,
    Opened,
    Ping,
    Reason,
    State,
    encode,
    write_expectation,
)
from voicebot.events import Expectation
from voicebot.server import asr_serve, asr_serve_connection
from voicebot.server.asr_serve import Replica

pytestmark = pytest.mark.e2e

ECHO = said(5, 6, 7)


@pytest.fixture
def replica() -> Replica:
    return make_replica()


@pytest.fixture
async def url(replica: Replica) -> AsyncIterator[str]:
    """Where it listens; a good client is with it all the time."""
    async with running(replica) as address, client(address) as good:
        await good.opened(1)
        await recognised(good, 1, 1)
        yield address
        await recognised(good, 1, 2, at=len(ECHO))


async def recognised(good: Client, stream: int, request: int, at: int = 0) -> None:
    await good.ask(stream, ECHO, request, at)
    answer = await good.until(Answer)
    assert isinstance(answer, Answer)
    assert (answer.stream, answer.request) == (stream, request)
    assert answer.hypothesis is not None
    assert answer.hypothesis.text == "5 6 7"


def faults(replica: Replica, why: str) -> float:
    name = "voicebot_replica_faults_total"
    return replica.metrics.registry.get_sample_value(name, {"why": why}) or 0.0


# ---------------------------------------------------------------- what it is for


async def test_many_streams_of_one_connection(url: str) -> None:
    async with client(url) as front_end:
        for stream in (7, 8):
            await front_end.opened(stream, at=1000 * stream)
        words = {7: (1, 2), 8: (3, 4)}
        for stream, pair in words.items():
            await front_end.ask(stream, said(*pair), stream, at=1000 * stream)
        heard = {}
        while len(heard) < 2:
            answer = await front_end.until(Answer)
            assert isinstance(answer, Answer)
            assert answer.hypothesis is not None
            heard[answer.stream] = answer.hypothesis
        assert {stream: heard[stream].text for stream in heard} == {7: "1 2", 8: "3 4"}
        assert heard[8].start_at == 8000


async def test_no_words_of_the_call_before_in_its_place() -> None:
    """A request that begins before its stream, and no audio: what lies there is another's."""
    async with running(make_replica(capacity=1)) as url:
        async with client(url) as one:
            await one.opened(1)
            await recognised(one, 1, 1)
            await one.say(Close(1))
        async with client(url) as other:
            await other.opened(2, at=len(ECHO))
            await other.say(Ask(2, 1, 1, JobKind.FINAL, 0, 0, len(ECHO)))
            answer = await other.until(Answer)
            assert isinstance(answer, Answer)
            assert answer.hypothesis is not None
            assert answer.hypothesis.text == ""


async def test_expectations_and_all_kinds_of_requests(url: str, replica: Replica) -> None:
    waits = Expectation(state="card/number", hints=("one two",))
    async with client(url) as front_end:
        await front_end.opened(1)
        await front_end.say(
            Expect(1, 9, write_expectation(waits)),
            Audio(1, 0, ECHO),
            Ask(1, 1, 1, JobKind.SPECULATIVE, 9, 0, 1600),
        )
        answer = await front_end.until(Answer)
        assert isinstance(answer, Answer)
        assert replica.engine._runner._recogniser.expectations == [waits]  # type: ignore[union-attr]
        await front_end.say(Ask(1, 2, 1, JobKind.HOTWORD, 0, 0, 1600))
        answer = await front_end.until(Answer)
        assert isinstance(answer, Answer)
        assert answer.request == 2


async def test_full_refuses_new_streams_and_keeps_live_ones(url: str, replica: Replica) -> None:
    async with client(url) as front_end:
        for stream in (1, 2, 3):  # and one of the good client
            await front_end.opened(stream)
        await front_end.say(Open(4, 0))
        assert await front_end.until(Closed) == Closed(4, Reason.FULL, "all places are taken")
        refused = "voicebot_replica_refused_total"
        assert replica.metrics.registry.get_sample_value(refused, {"why": "slots"}) == 1
        await front_end.say(Ping(77))
        assert await front_end.until(Load) == Load(77, 4, 4, State.FULL, 0)
        await recognised(front_end, 1, 5)
        await front_end.say(Close(2))
        await front_end.opened(5)


async def test_draining_tells_front_ends(url: str, replica: Replica) -> None:
    async with client(url) as front_end:
        replica.load.is_draining = True
        await front_end.say(Open(1, 0), Ping(1))
        assert await front_end.until(Closed) == Closed(1, Reason.DRAINING)


async def test_health_and_metrics_on_the_same_port(url: str) -> None:
    http = url.replace("ws://", "http://")

    def get(path: str, token: str) -> str:
        request = Request(f"{http}{path}", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=5) as answer:
            return str(answer.read().decode())

    assert await asyncio.to_thread(get, "/healthz", "") == "alive\n"
    assert await asyncio.to_thread(get, "/readyz", "") == "open\n"
    text = await asyncio.to_thread(get, "/metrics", TOKEN)
    assert re.search(r"^voicebot_replica_streams 1\.0$", text, re.MULTILINE)
    with pytest.raises(OSError, match="401"):
        await asyncio.to_thread(get, "/metrics", "guessed")


# ---------------------------------------------------------------- who may not come in


@pytest.mark.parametrize("token", ["", "guessed", TOKEN + "x", "é"])
async def test_wrong_token(url: str, token: str, replica: Replica) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with client(url, token.encode().decode("latin-1")):
            pass
    assert refused.value.response.status_code == 401
    assert faults(replica, "wrong token") == 1


async def test_wrong_protocol(url: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
            pass
    assert refused.value.response.status_code == 400


# ---------------------------------------------------------------- what ends a connection


GARBAGE: list[tuple[str, bytes | str, str]] = [
    ("text", "hello", "text, not frames"),
    ("nothing", b"", "malformed frame"),
    ("noise", bytes(range(256)), "malformed frame"),
    ("half a head", encode(Open(2, 0))[:3], "malformed frame"),
    ("half a frame", encode(Open(2, 0))[:-1], "malformed frame"),
    ("half a frame after a whole one", encode(Ping(1)) + encode(Open(2, 0))[:9], "malformed frame"),
    ("too long a frame", b"\0\0\0\x0d\x01" + bytes(13), "malformed frame"),
    ("unknown type", b"\0\0\0\0\x7f", "malformed frame"),
    ("what recognisers say", encode(Opened(1)), "malformed frame"),
    ("no audio", encode(Audio(1, 0, b"")), "malformed frame"),
    ("a minute of audio in one frame", encode(Audio(1, 0, bytes(480_000))), "malformed frame"),
    ("a position beyond all", encode(Open(1, 2**60)), "malformed frame"),
    ("a request backwards", encode(Ask(1, 1, 1, JobKind.FINAL, 0, 10, 5)), "malformed frame"),
    ("a request for an hour", encode(Ask(1, 1, 1, JobKind.FINAL, 0, 0, 8000 * 3600)),
     "malformed frame"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "why"), [case[1:] for case in GARBAGE], ids=[c[0] for c in GARBAGE]
)
async def test_garbage_ends_the_connection_with_a_reason(
    url: str, replica: Replica, data: bytes | str, why: str
) -> None:
    async with client(url) as front_end:
        await front_end.opened(9)
        await front_end.socket.send(data)
        with pytest.raises(ConnectionClosed) as closed:
            await front_end.to_the_end()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, why)
    assert faults(replica, why) == 1
    await calls(replica, 1)


async def calls(replica: Replica, count: int) -> None:
    """Wait until that many streams are in the engine."""
    await eventually(lambda: replica.engine.calls == count)


async def test_oversized(url: str) -> None:
    async with client(url) as front_end:
        await front_end.socket.send(bytes(MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await front_end.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_a_client_that_says_nothing_is_closed(
    url: str, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(url) as good:
        await good.opened(1)
        monkeypatch.setattr(asr_serve_connection, "SILENT_S", 0.01)
        async with client(url) as silent:
            with pytest.raises(ConnectionClosed) as closed:
                await silent.hear()
        monkeypatch.undo()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "says nothing"
    assert faults(replica, "says nothing") == 1


@pytest.mark.parametrize(
    "said_before",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost:",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        + f"Sec-WebSocket-Protocol: {PROTOCOL}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        + b"\x82\xfe\x01",  # half of a WebSocket frame's head
    ],
    ids=["nothing", "half a request", "TLS", "half a WebSocket frame"],
)
async def test_half_a_handshake_or_frame_and_then_nothing(
    said_before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asr_serve, "OPEN_TIMEOUT_S", 0.3)
    monkeypatch.setattr(asr_serve_connection, "SILENT_S", 0.3)
    replica = make_replica()
    async with running(replica) as address:
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said_before)
        async with client(address) as good:
            await good.opened(1)
            await recognised(good, 1, 1)
        async with asyncio.timeout(5):
            while await reader.read(1024):
                pass  # a refusal, perhaps; then the end
        writer.close()


async def test_a_client_that_dies_gives_its_places_back(url: str, replica: Replica) -> None:
    async with client(url) as front_end:
        for stream in (1, 2):
            await front_end.opened(stream)
        assert replica.engine.calls == 3
        front_end.socket.transport.abort()
    await calls(replica, 1)


async def test_a_client_that_does_not_read_is_let_go(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asr_serve_connection, "SLOW_BYTES", 100)
    monkeypatch.setattr(asr_serve_connection, "MESSAGES_AHEAD", 1e9)

    monkeypatch.setattr(asr_serve_connection, "FRAMES_PER_S", 1e6)  # it asks as fast as it can

    class Deaf:
        """Asks on and on; what it is sent never leaves."""

        closed = ""

        async def recv(self) -> bytes:
            await asyncio.sleep(0)
            return encode(Ping(1))

        async def send(self, data: bytes) -> None:
            await asyncio.Event().wait()

        async def close(self, code: int, reason: str) -> None:
            self.closed = reason

    deaf = Deaf()
    async with asyncio.timeout(5):
        await replica.converse(deaf)  # type: ignore[arg-type]
    assert deaf.closed == "does not read"
    assert faults(replica, "does not read") == 1


async def test_a_flood_of_messages_ends_the_connection(
    url: str, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asr_serve_connection, "MESSAGES_AHEAD", 50.0)
    monkeypatch.setattr(asr_serve_connection, "MESSAGES_PER_S", 1.0)
    async with client(url) as front_end:

        async def flood() -> None:
            while True:
                await front_end.say(Ping(1))
                await asyncio.sleep(0)  # both ends live in this loop

        with pytest.raises(ConnectionClosed):
            await flood()
    # What it sent meanwhile may have kept it from hearing why.
    assert faults(replica, "too many messages") == 1


async def test_a_flood_of_frames_in_few_messages_ends_the_connection(
    url: str, replica: Replica
) -> None:
    async with client(url) as front_end:
        await front_end.say(*[Ping(1)] * 5000)
        with pytest.raises(ConnectionClosed):
            await front_end.until(Opened)
    assert faults(replica, "too many frames") == 1


# ---------------------------------------------------------------- what ends a stream


SECOND = bytes(8000)
BAD_STREAMS: list[tuple[str, list[FromFrontEnd], Reason]] = [
    ("opened twice", [Open(2, 0)], Reason.DUPLICATE),
    ("a gap", [Audio(2, 800, SECOND)], Reason.OUT_OF_ORDER),
    ("twice the same", [Audio(2, 0, SECOND), Audio(2, 0, SECOND)], Reason.OUT_OF_ORDER),
    (
        "a minute in no time",
        [Audio(2, second * 8000, SECOND) for second in range(60)],
        Reason.TOO_FAST,
    ),
    (
        "a hundred requests in no time",
        [Audio(2, 0, SECOND)] + [Ask(2, n, 1, JobKind.PARTIAL, 0, 0, 8000) for n in range(100)],
        Reason.TOO_FAST,
    ),
    ("audio never sent", [Ask(2, 1, 1, JobKind.FINAL, 0, 0, 8000)], Reason.MISSING_AUDIO),
    (
        "an expectation never told",
        [Audio(2, 0, SECOND), Ask(2, 1, 1, JobKind.FINAL, 3, 0, 8000)],
        Reason.BAD_EXPECTATION,
    ),
    ("an expectation of garbage", [Expect(2, 1, b'{"slots": 7}')], Reason.BAD_EXPECTATION),
    ("an expectation cut off", [Expect(2, 1, b'{"slots":')], Reason.BAD_EXPECTATION),
    ("an expectation too deep", [Expect(2, 1, b"[" * 50_000)], Reason.BAD_EXPECTATION),
]


@pytest.mark.parametrize(
    ("messages", "reason"), [case[1:] for case in BAD_STREAMS], ids=[c[0] for c in BAD_STREAMS]
)
async def test_a_fault_ends_only_its_stream(
    url: str, replica: Replica, messages: list[FromFrontEnd], reason: Reason
) -> None:
    async with client(url) as front_end:
        await front_end.opened(1)
        await front_end.opened(2)
        await front_end.say(*messages)
        assert await front_end.until(Closed) == Closed(2, reason)
        await front_end.say(Audio(2, 0, SECOND))  # on its way when that was told
        await recognised(front_end, 1, 1)
        assert replica.engine.calls == 2


async def test_a_stream_that_fell_silent_gives_its_place_back(url: str, replica: Replica) -> None:
    async with client(url) as front_end:
        await front_end.opened(1)
        (mine,) = [f for f in replica._front_ends if 1 in f._streams and len(f._streams) == 1
                   and f._session._streams[1].end_at == 0]  # fmt: skip
        mine._session._streams[1].since -= 61
        mine.look()
        assert await front_end.until(Closed) == Closed(1, Reason.IDLE)
        assert replica.engine.calls == 1
