"""One media stream's WebSocket, with its limits: rate, start, idle and total time.

The limits end a stream by closing it: whoever waits in `receive` then gets None. One timer
per socket looks at the clock when the next limit could be due; messages only write down
when they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from voicebot.server.gathering import Gathering
from voicebot.server.limits import StreamLimits, TokenBucket
from voicebot.server.media_wire import MediaProtocol

SEND_TIMEOUT_S = 10.0
"""A peer that takes nothing for so long is gone."""

# RFC 6455, section 7.4.1
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NOT_UTF8, POLICY, TOO_LARGE = 1000, 1001, 1002, 1007, 1008, 1009
_FAULTS_OF_THE_WIRE = {
    PROTOCOL_ERROR: "websocket protocol error",
    NOT_UTF8: "not utf-8",
    TOO_LARGE: "message too large",
}


class SocketEnd(StrEnum):
    """Why a media stream's socket ended; the first reason stands."""

    CLOSED = "closed"  # by the call
    PEER = "peer"  # by Twilio, or the connection was lost
    FAULT = "fault"  # a message that cannot be read, or far too many
    REFUSED = "refused"  # no acceptable start message
    IDLE = "idle"
    STALLED = "stalled"  # the peer reads nothing
    MAX_CALL = "max call"
    DRAINED = "drained"  # this server is going down


class MediaSocket:
    """Messages of an accepted WebSocket; the limits need a running event loop.

    `wire`: the connection below the WebSocket, where there is a short way to it.
    `on_fault(kind)` is told every refused message and every limit that was reached;
    `on_end()` once, when the socket has ended, whoever ended it.
    """

    def __init__(
        self,
        websocket: WebSocket,
        limits: StreamLimits,
        *,
        on_fault: Callable[[str], None],
        on_end: Callable[[], None] = lambda: None,
        wire: MediaProtocol | None = None,
    ) -> None:
        self._websocket = websocket
        # Past starlette's own examination of each message; it still opens and closes the socket.
        self._wire = wire
        self._receive = websocket.receive if wire is None else wire.receive
        self._limits = limits
        self._on_fault = on_fault
        self._on_end = on_end
        self._bucket = TokenBucket(limits.messages_per_s, limits.burst_messages)
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._last_s = self._loop.time()
        self._is_started = False
        self._closing: asyncio.Task[None] | None = None
        self.dropped = 0
        self.end: SocketEnd | None = None
        self._timer = self._loop.call_at(self._next_limit()[0], self._look_at_the_clock)

    async def receive(self) -> str | bytes | None:
        """The next message; None once the socket has ended. Excess messages are dropped."""
        while self.end is None:
            try:
                message: Any = await self._receive()
            except WebSocketDisconnected:
                self._ended(SocketEnd.PEER)
                break
            if message["type"] == "websocket.disconnect":
                self._disconnected(message.get("code", NORMAL))
                break
            self._last_s = self._loop.time()
            if self._bucket.take(self._last_s):
                return _payload(message)
            self._drop()
        return None

    def gather(self, gathering: Gathering) -> None:
        """From now on audio may wait, unread, for that of other calls."""
        if self._wire is not None:
            self._wire.gathering = gathering

    def tap(self, take: Callable[[str, float], bool] | None) -> None:
        """From now on each text comes to `take` while `receive` waits, straight from the wire and
        within the limits, with the time by the loop's clock when it came; what `take` refuses
        (False), and all else, `receive` returns.

        A socket without a short way knows none: then everything comes by `receive`.
        """
        if self._wire is not None:
            self._wire.tap = None if take is None else partial(self._tapped, take)

    def _tapped(self, take: Callable[[str, float], bool], text: str, came_s: float) -> bool:
        if self.end is not None or not self._bucket.take(came_s):
            return False
        if not take(text, came_s):
            self._bucket.give_back()  # `receive` takes it again
            return False
        self._last_s = came_s
        return True

    async def send(self, text: str) -> None:
        """Send a text message; does nothing once the socket has ended."""
        if self.end is not None:
            return
        if self._wire is not None and self._wire.send_now(text):
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self._on_fault("stalled")
            self._ended(SocketEnd.STALLED)
        except (WebSocketDisconnect, WebSocketDisconnected):
            self._ended(SocketEnd.PEER)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close from our side; Twilio then asks for `<Connect action>`."""
        self.shut(SocketEnd.CLOSED, code, reason)
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def shut(self, end: SocketEnd, code: int, reason: str) -> None:
        """Begin to close, without waiting for the peer to take it."""
        if self.end is None:
            self._closing = self._loop.create_task(self._send_close(code, reason))
            self._ended(end)

    def started(self) -> None:
        """The start message was accepted: from here the idle limit counts."""
        self._is_started = True
        self._last_s = self._loop.time()
        self._arm()

    async def _send_close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._websocket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect, WebSocketDisconnected):
            return  # it is gone already

    def _disconnected(self, code: int) -> None:
        if kind := _FAULTS_OF_THE_WIRE.get(code):
            self._on_fault(kind)
            self._ended(SocketEnd.FAULT)
        else:
            self._ended(SocketEnd.PEER)

    def _drop(self) -> None:
        self.dropped += 1
        self._on_fault("message rate")
        if self.dropped >= self._limits.max_dropped:
            self.shut(SocketEnd.FAULT, POLICY, "too many messages")

    def _ended(self, end: SocketEnd) -> None:
        if self.end is None:
            self.end = end
            self._timer.cancel()
            self.tap(None)
            self._on_end()

    def _next_limit(self) -> tuple[float, SocketEnd, str]:
        if not self._is_started:
            due = self._opened_s + self._limits.start_timeout_s
            return due, SocketEnd.REFUSED, "start timeout"
        idle = (self._last_s + self._limits.idle_timeout_s, SocketEnd.IDLE, "idle timeout")
        longest = (self._opened_s + self._limits.max_call_s, SocketEnd.MAX_CALL, "longest call")
        return min(idle, longest)

    def _arm(self) -> None:
        self._timer.cancel()
        if self.end is None:
            self._timer = self._loop.call_at(self._next_limit()[0], self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        due, end, reason = self._next_limit()
        if self._loop.time() < due:
            self._arm()
        else:
            self._on_fault(reason)
            self.shut(end, POLICY, reason)


def _payload(message: Any) -> str | bytes:
    text: str | None = message.get("text")
    if text is not None:
        return text
    binary: bytes = message["bytes"]
    return binary
