"""Frames taken from the bytes: what the application gets is what uvicorn's own protocol gives."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from voicebot.server.gathering import Gathering
from voicebot.server.media_wire import EXTENSION, WAITING_MESSAGES, MediaProtocol

pytestmark = pytest.mark.unit

REQUEST = (
    b"GET /twilio/media HTTP/1.1\r\nHost: bot\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MAX_BYTES = 1000
TEXT, CONTINUATION, BINARY, CLOSE, PING = 1, 0, 2, 8, 9


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True) -> bytes:
    length = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | opcode])
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = b"\x11\x22\x33\x44"
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


LONG = b"x" * 700
STREAMS = {
    "texts": [frame(b"a"), frame(LONG), frame("é".encode())],
    "empty text": [frame(b""), frame(b"b")],
    "binary between": [frame(b"a"), frame(b"\x00\xff", BINARY), frame(b"b")],
    "ping between": [frame(b"a"), frame(b"hello?", PING), frame(b"b")],
    "fragments": [
        frame(b"a", fin=False),
        frame(b"b", CONTINUATION, fin=False),
        frame(b"ping", PING),
        frame(b"c", CONTINUATION),
        frame(b"d"),
    ],
    "text within fragments": [frame(b"a", fin=False), frame(b"b"), frame(b"c")],
    "continuation of nothing": [frame(b"a"), frame(b"b", CONTINUATION), frame(b"c")],
    "not utf-8": [frame(b"a"), frame(b"\xff\xfe"), frame(b"c")],
    "not masked": [frame(b"a"), frame(b"b", masked=False), frame(b"c")],
    "too long": [frame(b"a"), frame(b"x" * (MAX_BYTES + 1)), frame(b"c")],
    "far too long": [frame(b"a"), frame(b"x" * 70000), frame(b"c")],
    "reserved bits": [frame(b"a"), bytes([0xF1]) + frame(b"b")[1:], frame(b"c")],
    "unknown opcode": [frame(b"a"), frame(b"b", 3), frame(b"c")],
    "closed": [frame(b"a"), frame(struct.pack("!H", 1000), CLOSE), frame(b"c")],
    "never whole": [frame(b"a"), frame(LONG)[:300]],
}


class Pipe(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_gone = False
        self.pauses = self.resumes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_gone

    def close(self) -> None:
        self.is_gone = True

    def abort(self) -> None:
        self.is_gone = True

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.resumes += 1


class Talk:
    """A protocol whose application accepts and reads on `go`."""

    def __init__(self, kind: type[WebSocketsSansIOProtocol]) -> None:
        self.got: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {}
        self.go = asyncio.Event()
        self.go.set()
        config = Config(
            self._application,
            interface="asgi3",
            ws_max_size=MAX_BYTES,
            ws_per_message_deflate=False,
            proxy_headers=False,
            log_config=None,
        )
        config.load()
        self.pipe = Pipe()
        self.protocol = kind(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.pipe)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while True:
            await self.go.wait()
            event = await receive()
            self.got.append(event)
            if event["type"] == "websocket.disconnect":
                return

    async def open(self) -> None:
        self.protocol.data_received(REQUEST)
        await settle()

    async def feed(self, data: bytes, cuts: list[int]) -> None:
        """The bytes in pieces, as long as the connection is read."""
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if end > begin and not self.pipe.is_gone:
                self.protocol.data_received(data[begin:end])
                await settle()

    async def end(self) -> None:
        self.protocol.connection_lost(None)
        await settle()


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def heard(kind: type[WebSocketsSansIOProtocol], data: bytes, cuts: list[int]) -> Any:
    talk = Talk(kind)
    await talk.open()
    await talk.feed(data, cuts)
    await talk.end()
    return talk.got, talk.pipe.written, talk.pipe.is_gone


@pytest.mark.parametrize("name", STREAMS)
async def test_what_comes_is_what_uvicorn_makes_of_it_however_it_is_cut(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    data = b"".join(STREAMS[name])
    chance = random.Random(name)
    borders = [len(b"".join(STREAMS[name][:count])) for count in range(1, len(STREAMS[name]))]
    ways = [[], borders, sorted(chance.sample(range(1, len(data)), min(9, len(data) - 1)))]
    if len(data) < 300:
        ways.append(list(range(1, len(data))))  # byte by byte
    # Frame by frame: what comes in one piece with a bad frame is lost in uvicorn's own.
    theirs = await heard(WebSocketsSansIOProtocol, data, borders)
    assert theirs[0][-1]["type"] == "websocket.disconnect"
    for cuts in ways:
        assert await heard(MediaProtocol, data, cuts) == theirs


async def test_what_comes_before_the_handshake_is_answered_is_not_lost() -> None:
    """A peer that does not wait: also with half a frame on the request's heels."""
    whole = REQUEST + frame(LONG) + frame(b"b")
    for cut in (len(REQUEST) + 1, len(REQUEST) + 90, len(whole) - 2):
        got = []
        for kind in (WebSocketsSansIOProtocol, MediaProtocol):
            talk = Talk(kind)
            talk.protocol.data_received(whole[:cut])
            await settle()
            talk.protocol.data_received(whole[cut:])
            await settle()
            got.append([event.get("text") for event in talk.got])
        assert got == [[LONG.decode(), "b"]] * 2


async def test_reading_is_paused_only_when_messages_pile_up() -> None:
    talk = Talk(MediaProtocol)
    await talk.open()
    for _ in range(100):
        await talk.feed(frame(b"a"), [])
    assert (talk.pipe.pauses, len(talk.got)) == (0, 100)
    talk.go.clear()
    await talk.feed(frame(b"a") * (WAITING_MESSAGES + 5), [])
    assert (talk.pipe.pauses, talk.pipe.resumes) == (1, 0)
    talk.go.set()
    await settle()
    await asyncio.sleep(0)
    assert talk.pipe.resumes == 1
    assert len(talk.got) >= 100 + WAITING_MESSAGES


async def test_the_application_sends_the_short_way_while_it_is_open() -> None:
    talk = Talk(MediaProtocol)
    await talk.open()
    wire = talk.scope["extensions"][EXTENSION]
    assert wire is talk.protocol
    talk.pipe.written = b""
    assert wire.send_now("hi")
    assert talk.pipe.written == b"\x81\x02hi"
    wire.pause_writing()
    assert not wire.send_now("the peer does not read: wait for it the usual way")
    wire.resume_writing()
    await talk.feed(frame(struct.pack("!H", 1000), CLOSE), [])
    assert not wire.send_now("closed")
    await talk.end()


async def test_a_tap_sees_texts_first_but_only_while_the_reader_has_taken_all() -> None:
    """What it refuses goes the usual way, and nothing overtakes that."""
    talk = Talk(MediaProtocol)
    await talk.open()
    tapped: list[str] = []

    def take(text: str, came_s: float) -> bool:
        tapped.append(text)
        return text != "c"

    talk.protocol.tap = take  # type: ignore[attr-defined]
    await talk.feed(frame(b"a"), [])
    assert (tapped, talk.got) == (["a"], [])
    await talk.feed(frame(b"b") + frame(b"c") + frame(b"d") + frame(b"\x00", BINARY), [])
    assert tapped == ["a", "b", "c"], "d came while c was on its way"
    assert [event.get("text") for event in talk.got] == ["c", "d", None]
    await talk.feed(frame(b"e"), [])
    assert tapped[3:] == ["e"]


async def test_a_message_of_127_bytes_is_no_reason_to_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its length, written in 16 bits, is the code for one in 64: a mark may have it."""
    talk = Talk(MediaProtocol)
    await talk.open()
    parsed: list[bytes] = []
    monkeypatch.setattr(talk.protocol.conn, "receive_data", parsed.append)  # type: ignore[attr-defined]
    for size in (125, 126, 127, 128, 300):
        await talk.feed(frame(b"m" * size), [])
    assert [len(event["text"]) for event in talk.got] == [125, 126, 127, 128, 300]
    assert parsed == [], "every later message goes through the slow parser"


async def gathered() -> tuple[Talk, Gathering, list[str]]:
    """A call whose audio is gathered, and what its tap took."""
    talk = Talk(MediaProtocol)
    await talk.open()
    tapped: list[str] = []

    def take(text: str, came_s: float) -> bool:
        tapped.append(text[0])
        return True

    gathering = Gathering()
    protocol: MediaProtocol = talk.protocol  # type: ignore[assignment]
    protocol.tap, protocol.gathering = take, gathering
    gathering.begin()
    return talk, gathering, tapped


async def test_audio_waits_for_the_tick_and_nothing_overtakes_it() -> None:
    talk, gathering, tapped = await gathered()
    await talk.feed(frame(b"a" * 300), [])
    assert tapped == []
    gathering.tick()
    assert tapped == ["a"]
    await talk.feed(frame(b"b" * 300), [])
    await talk.feed(frame(b"key"), [])
    assert tapped == ["a", "b", "k"], "what is short waits for nothing"
    await talk.feed(frame(b"c" * 300), [])
    whole = frame(b"d" * 300)
    await talk.feed(whole, [7])
    assert tapped == ["a", "b", "k", "c", "d"], "a message in pieces is read when it is whole"
    await talk.feed(frame(b"e" * 300) + frame(b"key"), [])
    assert "".join(tapped[5:]) == "ek"
    gathering.tick()
    assert len(tapped) == 7


async def test_what_is_held_is_bounded_and_read_before_the_end() -> None:
    talk, gathering, tapped = await gathered()
    for _ in range(WAITING_MESSAGES + 1):
        await talk.feed(frame(b"a" * 300), [])
    assert len(tapped) == WAITING_MESSAGES
    talk.protocol.eof_received()
    assert len(tapped) == WAITING_MESSAGES + 1
    gathering.end()
    await talk.feed(frame(b"b" * 300), [])
    assert tapped[-1] == "b", "nobody would read it later"


async def test_a_connection_that_fails_when_it_is_read_ends_and_harms_no_other() -> None:
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context))

    def breaks(text: str, came_s: float) -> bool:
        raise RuntimeError("what nobody expects")

    stepped: list[bool] = []
    gathering = Gathering(step=lambda: stepped.append(True))
    gathering.begin()
    other: list[str] = []
    for take in (breaks, lambda text, came_s: bool(other.append(text[0]) or True)):
        talk = Talk(MediaProtocol)
        await talk.open()
        protocol: MediaProtocol = talk.protocol  # type: ignore[assignment]
        protocol.tap, protocol.gathering = take, gathering
        await talk.feed(frame(b"a" * 300), [])
        if take is breaks:
            broken = talk
    gathering.tick()
    assert (other, stepped) == (["a"], [True])
    assert broken.pipe.is_gone
    assert not talk.pipe.is_gone
    assert [type(context["exception"]) for context in told] == [RuntimeError]


async def test_what_came_before_the_connection_was_lost_is_read() -> None:
    talk, _, tapped = await gathered()
    await talk.feed(frame(b"a" * 300), [])
    talk.protocol.connection_lost(None)
    assert tapped == ["a"]
