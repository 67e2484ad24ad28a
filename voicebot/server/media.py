"""The media stream's endpoint: handshake, the call itself, and what is left to do after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog
from starlette.websockets import WebSocket

from voicebot.server.admission import Admission, AdmittedCall
from voicebot.server.directory import CallDecision, CallDirectory
from voicebot.server.limits import StreamLimits
from voicebot.server.media_socket import (
    GOING_AWAY,
    NORMAL,
    POLICY,
    PROTOCOL_ERROR,
    MediaSocket,
    SocketEnd,
)
from voicebot.server.media_wire import EXTENSION
from voicebot.server.ports import Metrics, RunCall
from voicebot.telephony.media_stream import Fault, MediaStream, Started

CALL_GRACE_S = 10.0
"""After its socket ended a call may so long write down what it has to; then it is cancelled."""
DECISION_WAIT_S = 3.0
"""Twilio may ask for the decision before the call has returned it; its own limit is 15 s."""

# Ends after which "hang up" would be a guess: the caller gets an apology instead.
_BROKEN = {SocketEnd.FAULT, SocketEnd.IDLE, SocketEnd.STALLED, SocketEnd.DRAINED}

log = structlog.get_logger(__name__)


async def handshake(
    socket: MediaSocket, stream: MediaStream, admission: Admission, metrics: Metrics
) -> AdmittedCall | None:
    """Read connected and start, redeem the stream token; None when the socket was closed."""
    while (message := await socket.receive()) is not None:
        for event in stream.receive(message):
            if isinstance(event, Fault):
                metrics.fault(event.kind)
            elif isinstance(event, Started):
                return await _redeem(socket, event, admission, metrics)
        if stream.is_broken:
            metrics.refused("stream", "broken handshake")
            socket.shut(SocketEnd.REFUSED, PROTOCOL_ERROR, "broken handshake")
    return None


async def _redeem(
    socket: MediaSocket, start: Started, admission: Admission, metrics: Metrics
) -> AdmittedCall | None:
    now = asyncio.get_running_loop().time()
    result = admission.redeem(start.parameters.get("token", ""), start.call_sid, now)
    if isinstance(result, AdmittedCall):
        socket.started()
        return result
    metrics.refused("stream", result.reason)
    log.warning("stream token refused", call_sid=start.call_sid, reason=result.reason)
    socket.shut(SocketEnd.REFUSED, POLICY, result.reason)
    return None


@dataclass(slots=True)
class _Live:
    socket: MediaSocket
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Calls:
    """All live calls of the process. One failing call leaves the others alone."""

    def __init__(
        self,
        *,
        run_call: RunCall,
        admission: Admission,
        directory: CallDirectory,
        metrics: Metrics,
        limits: StreamLimits,
        max_message_bytes: int,
    ) -> None:
        self._run_call = run_call
        self._admission = admission
        self._directory = directory
        self._metrics = metrics
        self._limits = limits
        self._max_message_bytes = max_message_bytes
        self._live: dict[str, _Live] = {}
        self._sockets: dict[MediaSocket, asyncio.Task[object] | None] = {}

    def busy(self, now: float) -> int:
        """What a drain waits for: reserved, live, and ended calls whose decision is awaited."""
        return self._admission.occupied(now) + self._directory.awaiting(now)

    @property
    def sockets(self) -> int:
        """Open media streams, those before their start message among them."""
        return len(self._sockets)

    async def serve(self, websocket: WebSocket) -> None:
        """One media stream, from accepting its WebSocket to closing it."""
        await websocket.accept()
        ended = asyncio.Event()
        socket = MediaSocket(
            websocket,
            self._limits,
            on_fault=self._metrics.fault,
            on_end=ended.set,
            wire=websocket.scope["extensions"].get(EXTENSION),
        )
        self._sockets[socket] = asyncio.current_task()
        try:
            stream = MediaStream(self._max_message_bytes)
            admitted = await handshake(socket, stream, self._admission, self._metrics)
            if admitted is not None:
                await self._serve_call(socket, ended, stream, admitted)
        finally:
            await socket.close(NORMAL)
            del self._sockets[socket]

    async def decision(self, call_sid: str) -> CallDecision | None:
        """What the call decided; waits for a call that is just ending. None: it broke."""
        live = self._live.get(call_sid)
        if live is not None:
            try:
                await asyncio.wait_for(live.done.wait(), DECISION_WAIT_S)
            except TimeoutError:
                # Twilio has left the stream and we did not notice.
                live.socket.shut(SocketEnd.PEER, GOING_AWAY, "left")
        return self._directory.collect(call_sid)

    def forget(self, call_sid: str) -> None:
        """Twilio says that the call is over."""
        self._directory.forget_wait(call_sid)
        if call_sid not in self._live:
            self._admission.release(call_sid)

    async def end_all(self, within_s: float) -> None:
        """Close every stream and wait for its call to finish."""
        for socket in list(self._sockets):
            socket.shut(SocketEnd.DRAINED, GOING_AWAY, "server is going down")
        if tasks := [task for task in self._sockets.values() if task is not None]:
            await asyncio.wait(tasks, timeout=within_s)

    async def _serve_call(
        self, socket: MediaSocket, ended: asyncio.Event, stream: MediaStream, admitted: AdmittedCall
    ) -> None:
        call_sid = admitted.call_sid
        live = self._live[call_sid] = _Live(socket)
        self._metrics.call_started()
        decision: CallDecision | None = None
        try:
            decision = await self._run(socket, ended, stream, admitted)
        finally:
            if _is_broken(socket, stream) and (decision is None or decision.transfer_to is None):
                decision = None
            now = asyncio.get_running_loop().time()
            self._directory.ended(call_sid, decision, now)
            if stream.is_stopped:
                self._directory.forget_wait(call_sid)
            self._admission.release(call_sid)
            del self._live[call_sid]
            live.done.set()
            how = "hung up" if stream.is_stopped else (socket.end or SocketEnd.CLOSED).value
            self._metrics.call_ended(how)

    async def _run(
        self, socket: MediaSocket, ended: asyncio.Event, stream: MediaStream, admitted: AdmittedCall
    ) -> CallDecision | None:
        call = asyncio.ensure_future(self._run_call(socket, stream, admitted))
        end = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({call, end}, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                await asyncio.wait({call}, timeout=CALL_GRACE_S)
        finally:
            end.cancel()
            if not call.done():
                call.cancel()
        return await self._result(call, admitted.call_sid)

    async def _result(
        self, call: asyncio.Future[CallDecision | None], call_sid: str
    ) -> CallDecision | None:
        await asyncio.wait({call}, timeout=CALL_GRACE_S)
        if not call.done() or call.cancelled():
            self._metrics.fault("call cancelled")
            log.error("call did not end by itself", call_sid=call_sid)
            return None
        if (error := call.exception()) is not None:
            self._metrics.fault("call failed")
            log.error("call failed", call_sid=call_sid, exc_info=error)
            return None
        return call.result()


def _is_broken(socket: MediaSocket, stream: MediaStream) -> bool:
    """The stream went away under the call, and not because the caller hung up."""
    if stream.is_stopped:
        return False
    return socket.end in _BROKEN or socket.end is SocketEnd.PEER
