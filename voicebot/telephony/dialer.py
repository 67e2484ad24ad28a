"""Places simulated calls to a real server: the simulator's socket side, standing for Twilio.

Webhook and action are POSTed as Twilio does (signed when an auth token is given), the media
stream is opened where the TwiML says, and the caller's chunks are sent on a fixed schedule,
due = t0 + k * 20 ms. One call costs little enough for a hundred in one process.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter  # loop.time() counts whole milliseconds under uvloop
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from voicebot.errors import ServiceFailed, UserMistake, VoicebotError
from voicebot.telephony import signature, twiml_reader
from voicebot.telephony.call_events import CallEvent, Ended, EndReason
from voicebot.telephony.simulator import (
    ACCOUNT_SID,
    CHUNK_S,
    ScriptedCaller,
    SimulatedCall,
    StreamError,
    TurnRecord,
    tick,
)
from voicebot.telephony.twiml import check_stream_url, is_loopback
from voicebot.telephony.twiml_reader import Course, StreamOrder

FETCH_FAILED, HANDSHAKE_FAILED, STREAM_CLOSED, AUDIO_DROPPED = 11200, 31920, 31921, 31930
CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S = 5.0, 15.0
"""Twilio's own limits for a webhook; it tries to connect twice."""
MAX_UNREAD_BYTES = 256 * 1024
"""A server this far behind (some 15 s of messages) loses the caller's audio."""
_WRITE_LIMIT_BYTES = 2 * MAX_UNREAD_BYTES  # so that a send never waits: audio is dropped first
_MAX_BOT_MESSAGE_BYTES = 16 * 1024 * 1024
_LEAVE_TIMEOUT_S = 2.0
_PROPER_CLOSE_CODES = {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}

OnEvent = Callable[[CallEvent], None]


@dataclass(slots=True)
class CallRecord:
    """One call as Twilio and the caller saw it.

    Tracks are 8 kHz mu-law, aligned from stream start and equally long. `connect_ms`: from
    the webhook request to the open media stream; `greeting_ms`: from there to the first bot
    audio. `transfer_to` and `spoken` (said in Twilio's own voice) come from the TwiML around
    the stream. `errors` is what Twilio would have logged.
    """

    call_sid: str
    stream_sid: str = ""
    end_reason: EndReason = "no_stream"
    turns: list[TurnRecord] = field(default_factory=list)
    caller_track: bytes = b""
    bot_track: bytes = b""
    seconds: float = 0.0
    connect_ms: float | None = None
    greeting_ms: float | None = None
    send_lateness_ms: list[float] = field(default_factory=list)
    parameters: Mapping[str, str] = field(default_factory=dict)
    transfer_to: str | None = None
    spoken: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    errors: list[StreamError] = field(default_factory=list)
    close_code: int | None = None


async def place_call(
    webhook_url: str,
    *,
    caller: ScriptedCaller,
    auth_token: str | None = None,
    from_: str = "+15550100",
    to: str = "+15550199",
    max_s: float = 300.0,
    on_event: OnEvent | None = None,
    abrupt_after_s: float | None = None,
    status_url: str | None = None,
) -> CallRecord:
    """Calls the number behind `webhook_url` and returns what happened.

    `abrupt_after_s` breaks the connection that long into the stream. `caller.hang_up()` ends
    the call early with a record; cancelling this coroutine ends it as cleanly, without one.
    `status_url` is told the final status. Raises UserMistake when the URL cannot be reached
    or refuses the call, ServiceFailed when the server fails or answers no TwiML; what goes
    wrong once the call is answered is in the record's `errors`.
    """
    tell = on_event or (lambda event: None)
    if caller.now_s > 0:
        raise ValueError("a ScriptedCaller makes one call; create another")
    record = CallRecord(call_sid=f"CA{uuid4().hex}")
    async with _http_client(webhook_url) as http:
        line = _Line(http, auth_token, record, from_, to)
        began_s = perf_counter()
        course = await line.fetch(webhook_url, "ringing")
        record.spoken += course.spoken
        if (order := course.stream) is None:
            record.end_reason = "rejected" if course.reject_reason else "no_stream"
            record.transfer_to = course.transfer_to
        else:
            check_stream_url(order.url)
            record.stream_sid, record.parameters = f"MZ{uuid4().hex}", order.parameters
            talk = _Talk(record, caller, tell, max_s, abrupt_after_s)
            try:
                socket = await _open_stream(order.url, auth_token)
            except (OSError, WebSocketException) as error:
                record.end_reason = "refused"
                line.note(HANDSHAKE_FAILED, f"{order.url}: {_reason(error)}")
            else:
                record.connect_ms = (perf_counter() - began_s) * 1000
                line.enter("in-progress")
                await talk.run(socket)
            await line.go_on(course, order, webhook_url)
        await line.end(course, status_url)
    tell(Ended(record.seconds, record.end_reason))
    return record


class _Line:
    """The HTTP side of one call."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        auth_token: str | None,
        record: CallRecord,
        from_: str,
        to: str,
    ) -> None:
        self._http = http
        self._auth_token = auth_token
        self._record = record
        self._form = {
            "AccountSid": ACCOUNT_SID,
            "ApiVersion": "2010-04-01",
            "CallSid": record.call_sid,
            "Called": to,
            "Caller": from_,
            "Direction": "inbound",
            "From": from_,
            "To": to,
        }

    def enter(self, status: str) -> None:
        """The call's status changes."""
        if status not in self._record.statuses:
            self._record.statuses.append(status)

    def note(self, code: int, detail: str) -> None:
        """Writes into Twilio's error log."""
        self._record.errors.append(StreamError(code, detail, self._record.seconds))

    async def fetch(self, url: str, status: str, **extra: str) -> Course:
        """POSTs to `url` and reads the TwiML; raises UserMistake or ServiceFailed."""
        self.enter(status)
        reply = await self._post(url, {**self._form, "CallStatus": status, **extra})
        if reply.status_code != 200:
            raise _refusal(url, reply.status_code)
        try:
            return twiml_reader.read(reply.content)
        except ValueError as error:
            raise ServiceFailed(f"{url} answered no TwiML: {error}") from None

    async def go_on(self, course: Course, order: StreamOrder, webhook_url: str) -> None:
        """What Twilio does when the stream has ended: ask the action, else the next verbs."""
        if self._record.end_reason in {"hung_up", "max"}:
            return
        after = twiml_reader.follow(course.rest)
        if order.action_url is not None:
            url = urljoin(webhook_url, order.action_url)
            try:
                after = await self.fetch(url, "in-progress", StreamSid=self._record.stream_sid)
            except VoicebotError as error:
                self.note(FETCH_FAILED, str(error))
        self._record.spoken += after.spoken
        self._record.transfer_to = after.transfer_to
        if after.stream is not None or after.unsupported:
            verbs = "Connect" if after.stream is not None else ", ".join(after.unsupported)
            self.note(FETCH_FAILED, f"the simulator does not follow {verbs} after a stream")

    async def end(self, course: Course, status_url: str | None) -> None:
        """Final status, told to `status_url`."""
        self.enter("busy" if course.reject_reason == "busy" else "completed")
        if status_url is None:
            return
        form = {**self._form, "CallStatus": self._record.statuses[-1]}
        try:
            await self._post(status_url, {**form, "CallDuration": str(int(self._record.seconds))})
        except VoicebotError as error:
            self.note(FETCH_FAILED, str(error))

    async def _post(self, url: str, form: Mapping[str, str]) -> httpx.Response:
        headers = {}
        if self._auth_token is not None:
            headers[signature.HEADER] = signature.sign(self._auth_token, url, form)
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                    return await self._http.post(url, data=dict(form), headers=headers)
                return await self._http.post(url, data=dict(form), headers=headers)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise UserMistake(f"{url!r} is not an http(s) URL: {error}") from None
        except httpx.ConnectError as error:
            raise UserMistake(f"nothing answers at {url} ({error}); is the server up?") from None
        except (TimeoutError, httpx.TimeoutException):
            raise ServiceFailed(f"{url} gave no answer in {TOTAL_TIMEOUT_S:g} s") from None
        except httpx.HTTPError as error:
            raise ServiceFailed(f"{url}: {error or type(error).__name__}") from None


class _Talk:
    """The media stream of one call: a task that receives, and the paced sender.

    Only the sender writes, so that sequence numbers leave in order.
    """

    def __init__(
        self,
        record: CallRecord,
        caller: ScriptedCaller,
        tell: OnEvent,
        max_s: float,
        abrupt_after_s: float | None,
    ) -> None:
        self._record = record
        self._caller = caller
        self._tell = tell
        self._max_s = max_s
        self._abrupt_after_s = float("inf") if abrupt_after_s is None else abrupt_after_s
        self._call = SimulatedCall(
            call_sid=record.call_sid, stream_sid=record.stream_sid, parameters=record.parameters
        )
        self._due_marks: list[str] = []
        self._is_dropping = False
        self._t0_s = 0.0

    async def run(self, socket: ClientConnection) -> None:
        """From `start` to the end of the stream, whoever ends it; fills in the record."""
        receiver = asyncio.create_task(self._receive(socket))
        reason: EndReason | None = None
        try:
            self._t0_s = perf_counter()
            for message in self._call.opening():
                await socket.send(message)
            reason = await self._pace(socket, receiver)
        except ConnectionClosed:
            reason = None
        finally:
            # Also on cancellation: the server must see a proper end of the call.
            await self._leave(socket)
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
            self._finish(socket, reason)

    async def _pace(
        self, socket: ClientConnection, receiver: asyncio.Task[None]
    ) -> EndReason | None:
        """Sends every 20 ms until someone ends the stream; None when the server did."""
        while not receiver.done():
            due_s = self._t0_s + self._caller.now_s + CHUNK_S
            await asyncio.sleep(max(0.0, due_s - perf_counter()))
            elapsed_s = perf_counter() - self._t0_s
            if elapsed_s >= self._abrupt_after_s:
                self._call.lose(elapsed_s)
                socket.transport.abort()
                return "lost"
            if elapsed_s >= self._max_s:
                return "max"
            if await self._tick(socket, elapsed_s):
                return "hung_up"
            self._record.send_lateness_ms.append((perf_counter() - due_s) * 1000)
        return None

    async def _tick(self, socket: ClientConnection, elapsed_s: float) -> bool:
        """Sends what 20 ms bring; true when the caller hung up."""
        marks, self._due_marks = self._due_marks, []
        step = tick(self._call, self._caller, elapsed_s)
        messages = step.messages
        if not step.is_hang_up:
            messages = self._keep_pace(socket, messages, elapsed_s)
        for message in [*marks, *messages]:
            await socket.send(message)
        for event in self._caller.take_events():
            self._tell(event)
        return step.is_hang_up

    def _keep_pace(
        self, socket: ClientConnection, messages: list[str], elapsed_s: float
    ) -> list[str]:
        """Twilio does not wait for a server that reads too slowly: it drops the audio."""
        is_behind = socket.transport.get_write_buffer_size() > MAX_UNREAD_BYTES
        if is_behind and not self._is_dropping:
            detail = "the server reads too slowly: audio dropped"
            self._call.errors.append(StreamError(AUDIO_DROPPED, detail, elapsed_s))
        self._is_dropping = is_behind
        return messages[:-1] if is_behind else messages

    async def _receive(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                self._due_marks += self._call.receive(message, perf_counter() - self._t0_s)

    async def _leave(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                if not self._call.is_over:
                    await socket.send(self._call.stop())
                await socket.close()

    def _finish(self, socket: ClientConnection, reason: EndReason | None) -> None:
        call, record = self._call, self._record
        record.seconds = self._caller.now_s
        record.close_code = socket.close_code
        if reason is None and socket.close_code == CloseCode.ABNORMAL_CLOSURE:
            call.lose(record.seconds)
            reason = "lost"
        elif reason is None and socket.close_code not in _PROPER_CLOSE_CODES:
            detail = f"the server closed the stream with code {socket.close_code}"
            call.errors.append(StreamError(STREAM_CLOSED, detail, record.seconds))
        record.end_reason = reason or "server_closed"
        call.advance(record.seconds)
        self._caller.finish(call.playback)
        for event in self._caller.take_events():
            self._tell(event)
        samples = max(len(call.caller_track), len(call.bot_track))
        record.caller_track = bytes(call.caller_track).ljust(samples, b"\xff")
        record.bot_track = call.bot_track.ljust(samples, b"\xff")
        record.turns = list(self._caller.records)
        record.errors += call.errors
        if call.playback.stretches:
            record.greeting_ms = call.playback.stretches[0].start_s * 1000


# ---------------------------------------------------------------- connections


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all calls: reading the certificates takes longer than a call's set-up."""
    return ssl.create_default_context()


def _http_client(url: str) -> httpx.AsyncClient:
    timeout = httpx.Timeout(TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    headers = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
    # A proxy from the environment must not see calls to this machine.
    return httpx.AsyncClient(
        timeout=timeout, headers=headers, verify=_tls(), trust_env=not is_loopback(url)
    )


async def _open_stream(url: str, auth_token: str | None) -> ClientConnection:
    headers = {}
    if auth_token is not None:
        headers[signature.HEADER.lower()] = signature.sign(auth_token, url)
    return await connect(
        url,
        additional_headers=headers,
        user_agent_header="Twilio.TmeWs/1.0",
        ssl=_tls() if urlsplit(url).scheme == "wss" else None,
        proxy=None if is_loopback(url) else True,
        compression=None,
        open_timeout=CONNECT_TIMEOUT_S,
        close_timeout=_LEAVE_TIMEOUT_S,
        ping_interval=None,
        max_size=_MAX_BOT_MESSAGE_BYTES,
        write_limit=_WRITE_LIMIT_BYTES,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    return (str(error) or type(error).__name__).splitlines()[0]


def _refusal(url: str, status: int) -> VoicebotError:
    if status in {401, 403}:
        return UserMistake(f"{url} refused the signature ({status}); give the server's auth token")
    if status in {404, 405}:
        return UserMistake(f"{url} is no webhook ({status}); voicebot's is at /twilio/voice")
    return ServiceFailed(f"{url} answered HTTP {status} instead of TwiML")
