"""Whoever is on the other end of the media stream sends what Twilio never would.

One real server for all tests; beside every hostile stream a healthy caller orders coffee,
and the next one, and each of them must get it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from hostile import PLANS, Bot, Line, Neighbour, running_bot
from server.shell_fakes import CALLER, STREAM_SID, start
from websockets.exceptions import ConnectionClosed

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SECOND = b"\xff" * 8000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> AsyncIterator[Bot]:
    folder = tmp_path_factory.mktemp("hostile")
    async with running_bot(folder, weights, PLANS / "barista.yaml") as bot:
        yield bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def neighbour(server: Bot) -> AsyncIterator[Neighbour]:
    neighbour = Neighbour(server)
    yield neighbour
    await neighbour.finish()


@pytest_asyncio.fixture(loop_scope="module")
async def bot(server: Bot, neighbour: Neighbour) -> AsyncIterator[Bot]:
    neighbour.check()
    yield server
    neighbour.check()
    # Only the neighbour's call may still be in the engine.
    async with asyncio.timeout(5):
        while server.engine.calls > 1:
            await server.metric("voicebot_calls_live")


# ---------------------------------------------------------------- single messages


def raw(event: str, **fields: object) -> str:
    return json.dumps({"event": event, "streamSid": STREAM_SID, "sequenceNumber": "2", **fields})


def inner(**fields: object) -> dict[str, object]:
    return {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "//8=", **fields}


FAULTY: list[tuple[str, str, str | bytes]] = [
    ("cut json", "malformed_json", '{"event":"media","media":{"pay'),
    ("empty", "malformed_json", ""),
    ("nul", "malformed_json", "\x00"),
    ("deep nesting", "malformed_json", "[" * 20_000),
    ("huge number", "malformed_json", '{"event":"media","n":' + "9" * 60_000 + "}"),
    ("a list", "not_an_object", "[1,2]"),
    ("a number", "not_an_object", "1"),
    ("binary", "binary_frame", b"\xff" * 160),
    ("binary json", "binary_frame", b'{"event":"stop"}'),
    ("unknown event", "unknown_event", raw("dance")),
    ("half a surrogate", "unknown_event", '{"event":"\\ud800"}'),
    ("no event", "missing_event", "{}"),
    ("event is a list", "missing_event", '{"event":["media"]}'),
    ("wrong base64", "bad_base64", raw("media", media=inner(payload="!!!!"))),
    ("unpadded base64", "bad_base64", raw("media", media=inner(payload="//8"))),
    ("payload is a number", "bad_base64", raw("media", media=inner(payload=7))),
    ("payload is null", "bad_base64", raw("media", media=inner(payload=None))),
    ("empty payload", "empty_payload", raw("media", media=inner(payload=""))),
    ("huge payload", "huge_payload", raw("media", media=inner(payload="////" * 2667))),
    ("media is a list", "bad_media", raw("media", media=[1])),
    ("no timestamp", "bad_media", raw("media", media=inner(timestamp=None))),
    ("timestamp below zero", "bad_media", raw("media", media=inner(timestamp="-1"))),
    ("timestamp beyond reason", "bad_media", raw("media", media=inner(timestamp="9" * 400))),
    ("timestamp not a number", "bad_media", raw("media", media=inner(timestamp="NaN"))),
    ("timestamp is a float", "bad_media", raw("media", media=inner(timestamp=1e300))),
    ("outbound track", "wrong_track", raw("media", media=inner(track="outbound"))),
    ("missing streamSid", "missing_stream_sid", raw("media", streamSid=None, media=inner())),
    ("wrong streamSid", "wrong_stream_sid", raw("media", streamSid="MZ2", media=inner())),
    ("streamSid is a dict", "wrong_stream_sid", raw("media", streamSid={}, media=inner())),
    ("duplicate connected", "duplicate_connected", raw("connected", protocol="Call")),
    ("duplicate start", "duplicate_start", raw("start", start={"streamSid": "MZ2"})),
    ("mark never sent", "unknown_mark", raw("mark", mark={"name": "999"})),
    ("mark without name", "unknown_mark", raw("mark", mark=None)),
    ("key that is none", "bad_digit", raw("dtmf", dtmf={"digit": "x"})),
    ("two keys in one", "bad_digit", raw("dtmf", dtmf={"digit": "12"})),
    ("key of other script", "bad_digit", raw("dtmf", dtmf={"digit": "٣"})),
    ("no sequence number", "bad_sequence_number", raw("dtmf", sequenceNumber="x", dtmf={})),
]


@pytest.mark.parametrize(
    ("kind", "message"), [row[1:] for row in FAULTY], ids=[row[0] for row in FAULTY]
)
async def test_a_faulty_message_is_counted_and_the_call_goes_on(
    bot: Bot, kind: str, message: str | bytes
) -> None:
    before = await bot.faults(kind)
    async with bot.call() as line:
        await line.send(message)
        await line.greeted()
        await line.send(message)
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"
    assert record["turns"][0]["bot_text"].startswith("Welcome")
    assert (record["from_"], record["to"]) == (CALLER, "+15550199")
    assert await bot.faults(kind) == before + 2
    assert await bot.faults("call failed") == 0


async def test_a_second_start_changes_nothing(bot: Bot) -> None:
    async with bot.call() as line:
        await line.greeted()
        parameters = await bot.twilio.answered("CAother")
        await start(line.socket, "CAother", parameters)
        record = await line.hang_up()
    assert record["call_sid"] == line.call_sid
    assert await bot.journal("CAother") is None
    # The other call's token is still good.
    async with bot.call("CAother") as other:
        await other.greeted()
        assert (await other.hang_up())["outcome"] == "hung_up"


async def test_stopping_twice(bot: Bot) -> None:
    async with bot.call() as line:
        await line.greeted()
        stop = raw("stop", stop={"callSid": line.call_sid})
        with suppress(ConnectionClosed):  # the first one was enough
            await line.send(stop, stop)
        await line.socket.wait_closed()
    assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"


async def test_stop_before_anything_else(bot: Bot) -> None:
    async with bot.call() as line:
        record = await line.hang_up()
    assert record["outcome"] == "hung_up"


# ---------------------------------------------------------------- the socket


async def test_a_socket_lost_in_the_middle_of_a_prompt(bot: Bot) -> None:
    async with bot.call() as line:
        await line.greeted()
        line.socket.transport.abort()
        assert await bot.twilio.action(line.call_sid) == "Say,Hangup"
    assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_a_socket_closed_without_stop(bot: Bot, code: int) -> None:
    async with bot.call() as line:
        await line.greeted()
        await line.socket.close(code, "nothing to do with Twilio")
    assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"


async def test_a_frame_that_is_no_utf_8(bot: Bot) -> None:
    before = await bot.faults("not utf-8")
    async with bot.call() as line:
        await line.greeted()
        # A masked text frame of one byte, which begins no character.
        line.socket.transport.write(b"\x81\x81\x00\x00\x00\x00\xff")
        await line.socket.wait_closed()
        assert line.socket.close_code == 1007
    assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"
    assert await bot.faults("not utf-8") == before + 1


async def test_a_message_above_64_kib(bot: Bot) -> None:
    before = await bot.faults("message too large")
    async with bot.call() as line:
        await line.greeted()
        await line.audio("A" * 65536)
        await line.socket.wait_closed()
        assert line.socket.close_code == 1009
        assert await bot.twilio.action(line.call_sid) == "Say,Hangup"
    await bot.ended(line.call_sid)
    assert await bot.faults("message too large") == before + 1


async def test_500_messages_in_a_burst(bot: Bot) -> None:
    dropped = await bot.faults("message rate")
    async with bot.call() as line:
        for _ in range(490):
            await line.audio()
        await line.heard.wait()
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"
    assert await bot.faults("message rate") == dropped


async def test_50_calls_opened_and_dropped_at_once(bot: Bot) -> None:
    async def drop(number: int) -> Line | None:
        if number % 5 == 0:  # the webhook, and then nobody comes
            await bot.twilio.answered(f"CAghost{number}")
            return None
        if number % 5 == 1:  # a stream without a start message
            socket = await bot.twilio.open()
            socket.transport.abort()
            return None
        async with bot.call() as line:
            if number % 5 == 2:
                await line.greeted()
            elif number % 5 == 3:
                await line.event("stop", stop={"callSid": line.call_sid})
            line.socket.transport.abort()
            return line

    lines = await asyncio.gather(*(drop(number) for number in range(50)))
    for line in lines:
        if line is not None:
            assert (await bot.ended(line.call_sid))["outcome"] == "hung_up"
    for number in range(0, 50, 5):  # Twilio says that the caller is gone: the place is free
        await bot.twilio.post("/twilio/status", f"CAghost{number}", CallStatus="completed")


# ---------------------------------------------------------------- numbers and sizes


@pytest.mark.parametrize(
    "stamps",
    [
        ["20", "1000000000000", "40", "60"],
        ["1000000000000", "20", "40"],
        ["999999999999999"] * 3,
        ["5000", "0", "5000", "0"],
        [str(k * 10_000_000) for k in range(200)],
    ],
    ids=["forward", "backward", "far", "to and fro", "leaping"],
)
async def test_timestamps_that_jump(bot: Bot, stamps: list[str]) -> None:
    async with bot.call() as line:
        for stamp in stamps:
            await line.audio(timestamp=stamp)
        await line.greeted()
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"
    # No silence was made up that would count as the caller's.
    assert [turn["by"] for turn in record["turns"]] == [""]


async def test_sequence_numbers_that_jump(bot: Bot) -> None:
    before = [await bot.faults(kind) for kind in ("sequence_gap", "sequence_repeated")]
    async with bot.call() as line:
        await line.greeted()
        line.returns_marks = False
        for number in ("5000", "3", "3", "999999999999999", "0"):
            await line.event("media", sequenceNumber=number, media=inner())
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"
    assert await bot.faults("sequence_gap") > before[0] + 1
    assert await bot.faults("sequence_repeated") >= before[1] + 3


async def test_chunks_of_one_byte(bot: Bot) -> None:
    async with bot.call() as line:
        for _ in range(400):
            await line.audio(b"\xff")
        await line.heard.wait()
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"


async def test_audio_much_faster_than_time(bot: Bot) -> None:
    """480 s of audio at once: what is beyond a late network's burst is refused, not heard."""
    before = await bot.faults("audio_ahead")
    async with bot.call() as line:
        for _ in range(480):
            await line.audio(SECOND)
        await line.heard.wait()
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"
    assert await bot.faults("audio_ahead") >= before + 400


async def test_keys_without_sense(bot: Bot) -> None:
    async with bot.call() as line:
        await line.greeted()
        await line.keys("*#" * 20 + "ABCD" * 20 + "0123456789" * 20)
        record = await line.hang_up()
    assert record["reason"] == "caller_hung_up"


async def test_the_neighbours_got_their_coffee(server: Bot, neighbour: Neighbour) -> None:
    """The last of them while someone sends audio 200 times as fast as it can be spoken."""
    flood = asyncio.create_task(flooding(server))
    await neighbour.finish()
    flood.cancel()
    with suppress(asyncio.CancelledError):
        await flood
    assert {call["outcome"] for call in neighbour.ended} == {"ordered"}
    await server.idle()
    assert await server.faults("call failed") == 0
    assert await server.faults("call cancelled") == 0
    failures = (await server.twilio.http.get("/metrics")).text
    assert "voicebot_engine_failures_total{" not in failures


async def flooding(bot: Bot) -> None:
    while True:
        async with bot.call() as line:
            with suppress(ConnectionClosed):
                while True:
                    await line.audio(SECOND)
                    await asyncio.sleep(1 / 200)
