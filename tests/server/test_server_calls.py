"""Whole calls over real sockets: webhook, media stream, action."""

import asyncio
import json
from contextlib import suppress

import pytest
from shell_fakes import CALLER, CountingMetrics, EchoCall, Twilio, key, media, settings, start, stop
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicebot.server.serving import running_server

pytestmark = pytest.mark.e2e


async def test_a_call_is_answered_heard_and_hung_up() -> None:
    metrics, echo = CountingMetrics(), EchoCall()
    async with (
        running_server(settings(), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        assert parameters["caller"] == CALLER
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(media(1))
            echoed = json.loads(await socket.recv())
            assert echoed["event"] == "media"
            await socket.send(stop("CA1", 3))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert await twilio.action("CA1") == "Hangup"
    assert echo.admitted[0].parameters == {"caller": CALLER, "called": "+15550199"}
    assert metrics.counts["ended", "hung up"] == 1


@pytest.mark.parametrize(
    ("digit", "verbs"), [("1", "Hangup"), ("2", "Dial,Say"), ("3", "Say,Hangup")]
)
async def test_the_action_webhook_carries_out_what_the_call_decided(digit: str, verbs: str) -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(key(digit))
            await socket.wait_closed()
        assert await twilio.action("CA1") == verbs
    assert metrics.counts["fault", "call failed"] == (digit == "3")


async def test_a_failing_call_leaves_the_others_alone() -> None:
    echo = EchoCall()
    async with (
        running_server(settings(), run_call=echo, metrics=CountingMetrics()) as url,
        Twilio(url) as twilio,
    ):
        good, bad = await twilio.answered("CA1"), await twilio.answered("CA2")
        async with twilio.open() as good_socket, twilio.open() as bad_socket:
            await start(good_socket, "CA1", good)
            await start(bad_socket, "CA2", bad)
            await bad_socket.send(key("3"))
            await bad_socket.wait_closed()
            await good_socket.send(media(1))
            assert json.loads(await good_socket.recv())["event"] == "media"


async def test_a_stream_lost_before_a_decision_ends_in_an_apology() -> None:
    async with (
        running_server(settings(), run_call=EchoCall(), metrics=CountingMetrics()) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(media(1))
            await socket.recv()
            socket.transport.abort()
        assert await twilio.action("CA1") == "Say,Hangup"
        assert await twilio.action("CAunknown") == "Say,Hangup"


async def test_full_is_busy_until_a_call_ends() -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(max_calls=1), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        assert "<Reject" in (await twilio.post("/twilio/voice", "CA2")).text
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(media(1))
            await socket.recv()
            assert "<Reject" in (await twilio.post("/twilio/voice", "CA2")).text
            await socket.send(key("1", 3))
            await socket.wait_closed()
        assert await twilio.action("CA1") == "Hangup"
        await twilio.answered("CA2")
        # The caller gave up before the stream was opened: the place is free at once.
        await twilio.post("/twilio/status", "CA2", CallStatus="completed")
        await twilio.answered("CA3")
    assert metrics.counts["webhook", "voice", "full"] == 2


async def test_an_unsafe_public_address_is_answered_with_an_apology() -> None:
    metrics = CountingMetrics()
    unsafe = settings(public_url="http://bank.example", max_calls=1)
    async with (
        running_server(unsafe, run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        for call_sid in ("CA1", "CA2"):
            assert "<Say>" in (await twilio.post("/twilio/voice", call_sid)).text
    assert metrics.counts["webhook", "voice", "impossible"] == 2


# ---------------------------------------------------------------- refused handshakes


async def refused(twilio: Twilio, call_sid: str, parameters: dict[str, str]) -> str:
    """The reason with which the server closes a stream that starts so."""
    async with twilio.open() as socket:
        await start(socket, call_sid, parameters)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    return closed.value.rcvd.reason


async def test_a_token_is_good_once_for_its_call_and_for_a_limited_time() -> None:
    metrics, echo = CountingMetrics(), EchoCall()
    async with (
        running_server(settings(token_ttl_s=0.05), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        assert await refused(twilio, "CA1", {}) == "no reservation"
        parameters = await twilio.answered("CA1")
        await asyncio.sleep(0.06)  # the token's life, on the server's real clock
        assert await refused(twilio, "CA1", parameters) == "expired token"
    async with (
        running_server(settings(), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        first, second = await twilio.answered("CA1"), await twilio.answered("CA2")
        assert await refused(twilio, "CA2", first) == "wrong token"
        assert await refused(twilio, "CA3", first) == "no reservation"
        assert await refused(twilio, "CA1", {}) == "wrong token"
        async with twilio.open() as socket:
            await start(socket, "CA2", second)
            await socket.send(key("1"))
            await socket.wait_closed()
        assert await refused(twilio, "CA2", second) == "reused token"
    assert len(echo.admitted) == 1


@pytest.mark.parametrize(
    "message",
    [
        '{"event":"start","start":{}}',
        '{"event":"start","start":{"streamSid":"MZ1"}}',
        '{"event":"connected","protocol":"Fax"}',
    ],
)
async def test_a_broken_handshake_is_closed(message: str) -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
        twilio.open() as socket,
    ):
        await socket.send(message)
        await socket.wait_closed()
        assert socket.close_code == 1002
    assert metrics.counts["refused", "stream", "broken handshake"] == 1


async def test_noise_before_the_start_message_is_survived() -> None:
    metrics, echo = CountingMetrics(), EchoCall()
    async with (
        running_server(settings(), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            for noise in ("{", b"\x00", "[]", '{"event":"dance"}', media(1)):
                await socket.send(noise)
            await start(socket, "CA1", parameters)
            await socket.send(media(1))
            assert json.loads(await socket.recv())["event"] == "media"
    for kind in ("malformed_json", "binary_frame", "unknown_event", "media_before_start"):
        assert metrics.counts["fault", kind] == 1


@pytest.mark.parametrize("forged", [None, "", "bm90IHR3aWxpbw=="])
async def test_a_handshake_without_twilios_signature_is_refused(forged: str | None) -> None:
    metrics = CountingMetrics()
    signed = settings(twilio={"auth_token": "secret"})
    async with (
        running_server(signed, run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        opening = twilio.open()
        if forged is not None:
            opening.additional_headers["x-twilio-signature"] = forged
        with pytest.raises(InvalidStatus) as refusal:
            await opening
        assert refusal.value.response.status_code == 403
        assert (await twilio.post("/twilio/voice", "CA1")).status_code == 403
    assert sum(metrics.counts["refused", "stream", f"{w} signature"] for w in ("no", "bad")) == 1


async def test_signed_requests_and_handshakes_are_accepted() -> None:
    echo = EchoCall()
    signed = settings(twilio={"auth_token": "secret"})
    async with (
        running_server(signed, run_call=echo, metrics=CountingMetrics()) as url,
        Twilio(url, "secret") as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(key("2"))
            await socket.wait_closed()
        assert await twilio.action("CA1") == "Dial,Say"


# ---------------------------------------------------------------- limits


async def test_a_burst_of_500_messages_is_taken() -> None:
    metrics, echo = CountingMetrics(), EchoCall()
    async with (
        running_server(settings(), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open(max_queue=None) as socket:
            await start(socket, "CA1", parameters)
            for number in range(1, 499):
                await socket.send(media(number))
            for _ in range(1, 499):
                await socket.recv()
    assert echo.media == 498
    assert metrics.counts["fault", "message rate"] == 0


async def test_excess_messages_are_dropped_and_the_call_lives_on() -> None:
    metrics, echo = CountingMetrics(), EchoCall()
    async with (
        running_server(settings(max_messages_per_s=50), run_call=echo, metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open(max_queue=None) as socket:
            await start(socket, "CA1", parameters)
            for number in range(1, 2001):
                await socket.send(media(number))
            # A key that fits later is heard again.
            while metrics.counts["ended", "closed"] == 0:
                await socket.send(key("1", 2002))
                await asyncio.sleep(0)
        assert await twilio.action("CA1") == "Hangup"
    assert metrics.counts["fault", "message rate"] > 1000
    assert echo.media >= 498


async def test_an_absurd_flood_ends_the_call() -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(max_messages_per_s=5), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open(max_queue=None) as socket:
            await start(socket, "CA1", parameters)
            with suppress(ConnectionClosed):
                for number in range(1, 100_000):
                    await socket.send(media(number))
        assert await twilio.action("CA1") == "Say,Hangup"
    assert metrics.counts["ended", "fault"] == 1


async def test_a_message_above_the_limit_ends_the_call_with_1009() -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(media(1, "A" * 65536))
            await socket.wait_closed()
            assert socket.close_code == 1009
        assert await twilio.action("CA1") == "Say,Hangup"
    assert metrics.counts["fault", "message too large"] == 1


@pytest.mark.parametrize(
    ("limit", "is_started", "fault"),
    [
        ("start_timeout_s", False, "start timeout"),
        ("idle_timeout_s", True, "idle timeout"),
        ("max_call_s", True, "longest call"),
    ],
)
async def test_time_limits_close_the_stream(limit: str, is_started: bool, fault: str) -> None:
    metrics = CountingMetrics()
    async with (
        running_server(settings(**{limit: 0.05}), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            if is_started:
                await start(socket, "CA1", parameters)
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1008, fault)
    assert metrics.counts["fault", fault] == 1


async def test_a_call_that_does_not_end_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.server.media.CALL_GRACE_S", 0.01)
    monkeypatch.setattr("voicebot.server.media.DECISION_WAIT_S", 0.01)
    metrics = CountingMetrics()
    async with (
        running_server(settings(max_calls=1), run_call=EchoCall(), metrics=metrics) as url,
        Twilio(url) as twilio,
    ):
        parameters = await twilio.answered("CA1")
        async with twilio.open() as socket:
            await start(socket, "CA1", parameters)
            await socket.send(key("4"))
        while not metrics.counts["ended", "peer"]:
            assert await twilio.action("CA1") == "Say,Hangup"
        await twilio.answered("CA2")
    assert metrics.counts["fault", "call cancelled"] == 1
