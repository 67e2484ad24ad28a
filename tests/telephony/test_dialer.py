"""The dialer against a small server of its own on loopback, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.server import ServerConnection, serve

from voicebot.errors import ServiceFailed, UserMistake
from voicebot.telephony import dialer, signature, twiml
from voicebot.telephony.call_events import (
    BotSpeaks,
    BotStops,
    CallerSpeaks,
    CallerStops,
    CallEvent,
    Cleared,
    Ended,
    KeySent,
)
from voicebot.telephony.dialer import CallRecord, place_call
from voicebot.telephony.media_stream import (
    DtmfReceived,
    MarkReturned,
    Media,
    MediaStream,
    Started,
    Stopped,
    StreamEvent,
)
from voicebot.telephony.simulator import CallerTurn, ScriptedCaller

pytestmark = pytest.mark.e2e

TOKEN = "secret"
VOICE = b"\x10\x90" * 80  # 20 ms of something loud
SPOKEN = CallerTurn(VOICE * 10 + b"\xff" * 800, label="hello")


@dataclass
class Bot:
    """Speaks 0.2 s at start and again after each turn; closes after `answers` of them."""

    answers: int = 1
    yields: bool = False
    document: Callable[[str], str] | None = None
    status: int = 200
    action: str = field(default_factory=twiml.hang_up)
    close_code: int = 1000
    greeting: bytes = VOICE * 10
    is_deaf: bool = False
    url: str = ""
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    signatures: list[bool] = field(default_factory=list)
    events: list[StreamEvent] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def webhook(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.forms.append((request.url.path, form))
        given = request.headers.get(signature.HEADER)
        url = f"{self.url}{request.url.path}"
        self.signatures.append(signature.is_valid(TOKEN, url, form, given))
        if request.url.path == "/action":
            return Response(self.action, media_type="text/xml")
        stream_url = self.url.replace("http", "ws") + "/media"
        make = self.document or (lambda url: twiml.answer(url, "/action", {"token": "t1"}, "Sorry"))
        return Response(make(stream_url), self.status, media_type="text/xml")

    async def media(self, socket: WebSocket) -> None:
        url = self.url.replace("http", "ws") + "/media"
        given = socket.headers.get("x-twilio-signature")
        self.signatures.append(signature.is_valid(TOKEN, url, None, given))
        if self.is_deaf:
            await socket.close(1008)
            return
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await self.converse(socket)
        self.ended.set()

    async def converse(self, socket: WebSocket) -> None:
        stream, spoken, quiet = MediaStream(), 0, 0
        while True:
            for event in stream.receive(await socket.receive_text()):
                self.events.append(event)
                if isinstance(event, Started):
                    await self.say(socket, stream, self.greeting)
                elif isinstance(event, Media):
                    is_loud = event.payload != b"\xff" * 160
                    spoken, quiet = spoken + is_loud, 0 if is_loud else quiet + 1
                    if spoken == 3 and is_loud and self.yields:
                        await socket.send_text(stream.clear())
                    if spoken and quiet == 5:
                        spoken, self.answers = 0, self.answers - 1
                        await self.say(socket, stream, VOICE * 10)
                elif isinstance(event, DtmfReceived):
                    await socket.send_text(stream.clear())
                elif isinstance(event, MarkReturned) and self.answers == 0:
                    await socket.close(self.close_code)
                    return

    async def say(self, socket: WebSocket, stream: MediaStream, mulaw: bytes) -> None:
        await socket.send_text(stream.media(mulaw))
        await socket.send_text(stream.mark("end")[1])


@contextlib.asynccontextmanager
async def serving(bot: Bot) -> AsyncIterator[str]:
    routes = [
        Route("/voice", bot.webhook, methods=["POST"]),
        Route("/action", bot.webhook, methods=["POST"]),
        Route("/status", bot.webhook, methods=["POST"]),
        WebSocketRoute("/media", bot.media),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, ws="websockets-sansio", log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.005)
    bot.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield f"{bot.url}/voice"
    finally:
        server.should_exit = True
        await task


def caller(*turns: CallerTurn, patience_s: float = 1.5) -> ScriptedCaller:
    return ScriptedCaller(turns, listen_gap_s=0.25, patience_s=patience_s)


async def call(bot: Bot, *turns: CallerTurn, **options: object) -> CallRecord:
    async with serving(bot) as url:
        return await place_call(url, caller=caller(*turns), **options)  # type: ignore[arg-type]


async def test_a_whole_call() -> None:
    bot, events = Bot(), list[CallEvent]()
    async with serving(bot) as url:
        record = await place_call(
            url,
            caller=caller(SPOKEN),
            auth_token=TOKEN,
            from_="+15550111",
            on_event=events.append,
            status_url=f"{bot.url}/status",
        )
    assert record.end_reason == "server_closed"
    assert record.statuses == ["ringing", "in-progress", "completed"]
    assert record.errors == []
    assert record.parameters == {"token": "t1"}
    assert record.close_code == 1000
    assert [type(event) for event in events] == [
        BotSpeaks, BotStops, CallerSpeaks, CallerStops, BotSpeaks, BotStops, Ended
    ]  # fmt: skip
    [turn] = record.turns
    assert turn.label == "hello"
    assert turn.speech_end_s - turn.speech_onset_s == pytest.approx(0.2)
    assert turn.response_ms is not None
    assert turn.response_ms >= 100  # the bot waits for five silent chunks
    assert events[4] == BotSpeaks(events[4].at_s, turn.response_ms, "hello")
    assert len(record.caller_track) == len(record.bot_track)
    onset = round(turn.speech_onset_s * 8000)
    assert record.caller_track[onset : onset + 1600] == VOICE * 10
    assert record.bot_track.strip(b"\xff").startswith(VOICE * 10)
    assert len(record.send_lateness_ms) == pytest.approx(record.seconds * 50, abs=1)
    assert record.connect_ms is not None
    assert record.greeting_ms is not None

    assert all(bot.signatures)
    assert [path for path, _ in bot.forms] == ["/voice", "/action", "/status"]
    assert bot.forms[0][1]["From"] == "+15550111"
    assert bot.forms[0][1]["CallStatus"] == "ringing"
    assert bot.forms[2][1]["CallStatus"] == "completed"
    assert {form["CallSid"] for _, form in bot.forms} == {record.call_sid}


async def test_the_caller_cuts_the_bot_short_by_voice() -> None:
    turn = CallerTurn(SPOKEN.audio, over_s=0.3, label="stop")
    events: list[CallEvent] = []
    bot = Bot(yields=True, greeting=VOICE * 150)
    record = await call(bot, turn, on_event=events.append)
    [timed] = record.turns
    assert timed.was_over_prompt
    assert timed.barge_in_ms is not None
    assert timed.barge_in_ms >= 20
    assert timed.response_ms is not None
    assert any(isinstance(event, Cleared) and event.barge_in_ms for event in events)
    assert timed.bot_prompt_before_s is not None
    start_s, end_s = timed.bot_prompt_before_s
    assert end_s - start_s < 2.5  # of 3 s; the wire's delay is the machine's
    assert next(event.was_cleared for event in bot.events if isinstance(event, MarkReturned))


async def test_keys_are_sent_and_cut_the_bot_short() -> None:
    bot = Bot(greeting=VOICE * 50, answers=9)
    events: list[CallEvent] = []
    record = await call(bot, CallerTurn(keys="4#", over_s=0.1), on_event=events.append, max_s=1.0)
    keys = [event.digit for event in bot.events if isinstance(event, DtmfReceived)]
    assert keys == ["4", "#"]
    assert [event.key for event in events if isinstance(event, KeySent)] == ["4", "#"]
    assert record.turns[0].barge_in_ms is not None
    assert record.end_reason == "max"
    assert bot.events[-1] == Stopped(record.call_sid)


async def test_a_bot_that_never_answers_ends_by_patience() -> None:
    bot = Bot(greeting=VOICE, answers=9)
    async with serving(bot) as url:
        record = await place_call(url, caller=caller(patience_s=0.3))
        await bot.ended.wait()
    assert record.end_reason == "hung_up"
    assert isinstance(bot.events[-1], Stopped)
    assert [path for path, _ in bot.forms] == ["/voice"]


async def test_a_cancelled_call_leaves_the_server_a_stop() -> None:
    bot = Bot(answers=9)
    async with serving(bot) as url:
        spoke = asyncio.Event()
        task = asyncio.create_task(
            place_call(url, caller=caller(), on_event=lambda event: spoke.set())
        )
        await spoke.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await bot.ended.wait()
    assert isinstance(bot.events[-1], Stopped)


async def test_hang_up_ends_early_with_a_record() -> None:
    bot, person = Bot(answers=9), caller()
    async with serving(bot) as url:
        record = await place_call(url, caller=person, on_event=lambda event: person.hang_up())
        await bot.ended.wait()
    assert record.end_reason == "hung_up"
    assert isinstance(bot.events[-1], Stopped)


async def test_an_abrupt_loss_sends_no_stop_and_asks_the_action() -> None:
    bot = Bot(answers=9)
    async with serving(bot) as url:
        record = await place_call(url, caller=caller(), abrupt_after_s=0.2)
        await bot.ended.wait()
    assert record.end_reason == "lost"
    assert [error.code for error in record.errors] == [31903]
    assert not any(isinstance(event, Stopped) for event in bot.events)
    assert [path for path, _ in bot.forms] == ["/voice", "/action"]


async def test_a_server_that_dies_loses_the_call() -> None:
    async def die(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async with serve(die, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        bot = Bot(document=lambda url: twiml.answer(f"ws://127.0.0.1:{port}/", None))
        record = await call(bot)
    assert record.end_reason == "lost"
    assert record.close_code == 1006
    assert [error.code for error in record.errors] == [31903]


async def test_a_server_that_reads_too_slowly_loses_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any unsent byte count is above this limit, as behind a server that never reads."""
    monkeypatch.setattr(dialer, "MAX_UNREAD_BYTES", -1)
    bot = Bot(answers=9)
    record = await call(bot, max_s=0.3)
    assert [error.code for error in record.errors] == [31930]
    assert not any(isinstance(event, Media) for event in bot.events)
    assert len(record.caller_track) >= 1600


async def test_a_caller_makes_one_call() -> None:
    person = caller(patience_s=0.1)
    async with serving(Bot(answers=9, greeting=VOICE)) as url:
        await place_call(url, caller=person)
        with pytest.raises(ValueError, match="one call"):
            await place_call(url, caller=person)


async def test_a_transfer_is_reported() -> None:
    record = await call(Bot(answers=0, action=twiml.transfer("+15550123")))
    assert record.transfer_to == "+15550123"


async def test_without_an_action_the_next_verbs_run() -> None:
    bot = Bot(answers=0, document=lambda url: twiml.answer(url, None, fallback="Goodbye"))
    assert (await call(bot)).spoken == ["Goodbye"]


async def test_a_failed_action_is_noted_and_the_fallback_spoken() -> None:
    record = await call(Bot(answers=0, action="not TwiML", close_code=1011))
    assert [error.code for error in record.errors] == [31921, 11200]
    assert record.spoken == ["Sorry"]


async def test_a_refused_handshake_is_noted_and_the_action_asked() -> None:
    bot = Bot(is_deaf=True)
    record = await call(bot)
    assert record.end_reason == "refused"
    assert [error.code for error in record.errors] == [31920]
    assert "HTTP 403" in record.errors[0].detail
    assert bot.forms[-1][0] == "/action"


async def test_a_busy_server_rejects() -> None:
    record = await call(Bot(document=lambda url: twiml.reject("busy")))
    assert record.end_reason == "rejected"
    assert record.statuses == ["ringing", "busy"]


async def test_twiml_without_a_stream() -> None:
    record = await call(Bot(document=lambda url: twiml.say_and_hang_up("Closed")))
    assert record.end_reason == "no_stream"
    assert record.spoken == ["Closed"]


@pytest.mark.parametrize(
    ("bot", "kind", "message"),
    [
        (Bot(status=403), UserMistake, "auth token"),
        (Bot(status=404), UserMistake, "/twilio/voice"),
        (Bot(status=500), ServiceFailed, "HTTP 500"),
        (Bot(document=lambda url: "<html>"), ServiceFailed, "no TwiML: not XML"),
        (Bot(document=lambda url: "<html/>"), ServiceFailed, "<Response> expected"),
        (Bot(document=lambda url: f"<Response>{'x' * 70000}"), ServiceFailed, "65536"),
        (
            Bot(
                document=lambda url: (
                    '<Response><Connect><Stream url="ws://example.com/"/></Connect></Response>'
                )
            ),
            UserMistake,
            "wss:// only",
        ),
    ],
)
async def test_webhook_errors_are_one_line(bot: Bot, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as error:
        await call(bot)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1/voice", "nothing answers at"),
        ("127.0.0.1/voice", "not an http"),
        ("ftp://127.0.0.1/voice", "not an http"),
        ("http:///voice", "not an http"),
    ],
)
async def test_a_url_where_nobody_listens(url: str, message: str) -> None:
    with pytest.raises(UserMistake, match=message) as error:
        await place_call(url, caller=caller())
    assert "\n" not in str(error.value)


async def test_ten_calls_in_one_process() -> None:
    bots = [Bot() for _ in range(10)]
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(bots[0]))
        records = await asyncio.gather(
            *(place_call(url, caller=caller(patience_s=0.3)) for _ in bots)
        )
    assert {record.end_reason for record in records} == {"hung_up"}
    assert len({record.call_sid for record in records}) == 10
