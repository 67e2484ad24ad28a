"""uvicorn's WebSocket protocol with a short way for what Twilio sends fifty times a second.

A media message is one masked, unfragmented text frame in one TCP segment. Such frames are
taken from the bytes here; every other whole frame goes to websockets' own parser, which keeps
judging what is wrong with a peer. And reading is paused when messages pile up, where uvicorn
pauses and resumes it for each message, with a system call each time. With many calls audio waits
until it is heard (gathering.py). Measured: see load/LOG.md.

It relies on attributes of uvicorn's `WebSocketsSansIOProtocol` that are the same from 0.35 to
0.54: conn, queue, scope, transport, read_paused, writable, close_sent, handshake_initiated,
handshake_complete, handle_connect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request
from websockets.protocol import State

from voicebot.server.gathering import Gathering

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent
    from websockets.utils import apply_mask
else:
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # a platform without the compiled part
        from websockets.utils import apply_mask

WAITING_MESSAGES = 32
"""So many unread messages (0.6 s of audio) pause reading; uvicorn resumes once all are read."""

GATHERED_BYTES = 256
"""Of a message at least: 20 ms of audio are 216 as text, and some 120 around them; a key, a mark
and `stop` are shorter."""

EXTENSION = "voicebot.media"
"""Where the ASGI scope's extensions hold the connection's MediaProtocol."""

_FINAL_TEXT = 0x81
_MASKED = 0x80
_LENGTH = 0x7F
_LENGTH_16 = 126
_LENGTH_64 = 127
_LONG_HEAD = 8
"""Bytes before a masked frame of 126 to 65,535."""
_END_OF_REQUEST = b"\r\n\r\n"


class _Inbox:
    """What uvicorn uses of asyncio.Queue, for one reader."""

    def __init__(self) -> None:
        self._events: deque[ASGIReceiveEvent] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, event: ASGIReceiveEvent) -> None:
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        while not self._events:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._events.popleft()

    @property
    def is_awaited(self) -> bool:
        """Whether its reader has taken all and waits."""
        return self._reader is not None and not self._reader.done()

    def qsize(self) -> int:
        return len(self._events)

    def empty(self) -> bool:
        return not self._events


class MediaProtocol(WebSocketsSansIOProtocol):
    """Give it to uvicorn as `ws`; the application finds it in its scope."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.queue: _Inbox = _Inbox()  # type: ignore[assignment]  # as much of a queue as is used
        self._rest = bytearray()  # the beginning of a frame
        self.tap: Callable[[str, float], bool] | None = None
        """Sees a text first while the reader waits, and when it came by the loop's clock; True: it
        has taken it."""
        self.gathering: Gathering | None = None
        self._held: list[tuple[float, bytes]] = []  # and when it came
        self._came_s = 0.0  # what is being read
        self._is_ours = False  # the parser of websockets stands at the beginning of a frame

    def handle_connect(self, event: Request) -> None:
        """The request has come: the application will be started."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            extensions: Any = self.scope["extensions"]
            extensions[EXTENSION] = self

    def send_now(self, text: str) -> bool:
        """Whether the text was sent; otherwise the usual way knows what to do about it."""
        is_open = self.handshake_complete and not self.close_sent
        if not is_open or not self.writable.is_set() or self.transport.is_closing():
            return False
        try:
            self.conn.send_text(text.encode())
        except InvalidState:
            return False
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer, cut anywhere."""
        gathering = self.gathering
        if gathering is not None and gathering.is_on and self._may_wait(data):
            if not self._held:
                gathering.add(self)
            self._held.append((self.loop.time(), data))
            if len(self._held) < WAITING_MESSAGES:
                return
            data = b""
        self.read_held()
        if data:
            self._came_s = self.loop.time()
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone; what it said before counts."""
        self.read_held()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The peer says no more."""
        self.read_held()
        super().eof_received()

    def read_held(self) -> None:
        """Read what was held back to be read with the audio of others, whom no fault of this
        connection may harm: it ends, as the loop ends one that fails in `data_received`."""
        if not self._held:
            return
        held, self._held = self._held, []
        try:
            for self._came_s, data in held:
                self._read(data)
        except Exception as error:
            told = {"message": "a connection failed", "exception": error, "protocol": self}
            self.loop.call_exception_handler(told)
            self.transport.abort()

    def _may_wait(self, data: bytes) -> bool:
        """Whether these bytes look like a chunk of audio, and nothing else."""
        size = len(data)
        return (
            size >= GATHERED_BYTES
            and data[0] == _FINAL_TEXT
            and data[1] == _MASKED | _LENGTH_16
            and (data[2] << 8 | data[3]) + _LONG_HEAD == size
            and self.tap is not None
            and self._is_ours
            and not self._rest
        )

    def _read(self, data: bytes) -> None:
        if not self._is_ours:
            # The first bytes are uvicorn's copy of the request. What comes with or right after
            # it, before the handshake is answered, may end within a frame: not our business.
            is_first = not self.handshake_initiated
            super().data_received(data)
            is_whole = data.find(_END_OF_REQUEST) == len(data) - len(_END_OF_REQUEST)
            self._is_ours = is_first and self.handshake_initiated and is_whole
            return
        if self.conn.state is not State.OPEN:
            self._is_ours = False
            super().data_received(bytes(self._rest) + data)
            return
        if self._rest:
            self._rest += data
            del self._rest[: self._take_frames(self._rest)]
        elif (taken := self._take_frames(data)) < len(data):
            self._rest += data[taken:]

    def _take_frames(self, data: bytes | bytearray) -> int:
        """Handles the whole frames at the beginning of `data`; returns their length in bytes."""
        at = 0
        while len(data) - at >= 2:
            head, length = 2, data[at + 1] & _LENGTH
            is_short = data[at + 1] & _MASKED and length != _LENGTH_64
            if length == _LENGTH_16:
                head, length = 4, int.from_bytes(data[at + 2 : at + 4], "big")
            if not is_short or length > self.config.ws_max_size:
                return self._give_up(data, at)
            body = at + head + 4
            end = body + length
            if len(data) < end:
                break
            if not self._take_text(data, at, body, end):
                super().data_received(bytes(data[at:end]))
                if self.conn.state is not State.OPEN:
                    return self._give_up(data, end)
            at = end
        return at

    def _take_text(self, data: bytes | bytearray, at: int, body: int, end: int) -> bool:
        """Whether the frame is a whole text message, which is then delivered."""
        if data[at] != _FINAL_TEXT or self.conn.current_size is not None or self.close_sent:
            return False
        try:
            text = apply_mask(data[body:end], data[body - 4 : body]).decode()
        except UnicodeDecodeError:
            return False
        if self.tap is not None and self.queue.is_awaited and self.tap(text, self._came_s):
            return True
        self.queue.put_nowait({"type": "websocket.receive", "text": text})
        if not self.read_paused and self.queue.qsize() >= WAITING_MESSAGES:
            self.read_paused = True
            self.transport.pause_reading()
        return True

    def _give_up(self, data: bytes | bytearray, at: int) -> int:
        """From here on websockets' parser takes everything."""
        self._is_ours = False
        if at < len(data):
            super().data_received(bytes(data[at:]))
        return len(data)
