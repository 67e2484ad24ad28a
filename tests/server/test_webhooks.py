"""Malformed, forged and unexpected requests; health, metrics and calls."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from shell_fakes import CountingMetrics, EchoCall, Twilio, settings
from starlette.applications import Starlette

from voicebot.errors import JournalClosed
from voicebot.server.app import create_app
from voicebot.server.directory import CallDecision
from voicebot.telephony.signature import sign

pytestmark = pytest.mark.unit

FORM = {"content-type": "application/x-www-form-urlencoded"}
TWILIO = {"auth_token": "secret"}
PUBLIC = "https://bot.example"


class OneCall:
    async def call(self, call_sid: str) -> Mapping[str, object] | None:
        if call_sid == "CA9":
            raise JournalClosed("the journal is not open")
        return {"call_sid": call_sid} if call_sid == "CA1" else None


def app(metrics: CountingMetrics | None = None, **more: Any) -> Starlette:
    application = create_app(
        settings(**more),
        run_call=EchoCall(),
        metrics=metrics or CountingMetrics(),
        journal=OneCall(),
    )
    application.state.drain.started()
    return application


def client(
    application: Starlette, base: str = "http://127.0.0.1:8080", peer: str = "127.0.0.1"
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application, client=(peer, 50000))
    return httpx.AsyncClient(transport=transport, base_url=base)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"CallSid=CA1", {"content-type": "application/json"}, 415),
        (b"CallSid=CA1", {}, 415),
        (b"", FORM, 400),
        (b"CallSid=", FORM, 400),
        (b"CallSid=CA1%0a", FORM, 400),
        (b"CallSid=../../etc/passwd", FORM, 400),
        (b"CallSid=CA" + b"1" * 65, FORM, 400),
        (b"CallSid=CA1&CallSid=CA2", FORM, 400),
        (b"CallSid=CA1&From=%ff%fe", FORM, 400),
        (b"CallSid=CA1&From=\xff", FORM, 400),
        (b"CallSid=CA1&From=" + b"1" * 300, FORM, 400),
        (b"CallSid=CA1" + b"&a=1" * 300, FORM, 400),
        (b"CallSid=CA1&a=" + b"1" * 65536, FORM, 413),
    ],
)
@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/action", "/twilio/status"])
async def test_malformed_webhooks_are_refused(
    path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with client(app()) as http:
        response = await http.post(path, content=body, headers=headers)
    assert response.status_code == status
    assert response.text.count("\n") == 1


async def test_a_body_without_length_is_limited_too() -> None:
    async def endless() -> Any:
        while True:
            yield b"a=" + b"1" * 8192

    async with client(app()) as http:
        response = await http.post("/twilio/voice", content=endless(), headers=FORM)
    assert response.status_code == 413


async def test_the_answer_uses_the_public_url_and_never_proxy_headers() -> None:
    forged = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
    async with client(app(public_url=PUBLIC + "/")) as http:
        text = (await http.post("/twilio/voice", data={"CallSid": "CA1"}, headers=forged)).text
    assert 'url="wss://bot.example/twilio/media"' in text
    assert 'action="https://bot.example/twilio/action"' in text
    assert "evil" not in text


async def test_get_webhooks_work() -> None:
    async with client(app()) as http:
        response = await http.get("/twilio/voice", params={"CallSid": "CA1", "From": "+1555"})
    assert "<Stream" in response.text
    assert 'name="caller" value="+1555"' in response.text


async def test_a_host_header_that_is_no_host_is_refused() -> None:
    async with client(app()) as http:
        response = await http.post(
            "/twilio/voice", data={"CallSid": "CA1"}, headers={"host": 'x"><Dial>1</Dial>'}
        )
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/action", "/twilio/status"])
async def test_signatures_are_checked(path: str, method: str) -> None:
    fields = {"CallSid": "CA1", "CallStatus": "completed"}
    signed = app(public_url=PUBLIC, twilio=TWILIO)
    query = str(httpx.QueryParams(fields))
    url = PUBLIC + path + (f"?{query}" if method == "GET" else "")
    posted = fields if method == "POST" else None

    async def ask(header: str | None, data: dict[str, str]) -> int:
        headers = {} if header is None else {"X-Twilio-Signature": header}
        async with client(signed) as http:
            if method == "GET":
                return (await http.get(path, params=data, headers=headers)).status_code
            return (await http.post(path, data=data, headers=headers)).status_code

    right = sign("secret", url, posted)
    assert await ask(right, fields) in {200, 204}
    assert await ask(None, fields) == 403
    assert await ask("", fields) == 403
    assert await ask(sign("other", url, posted), fields) == 403
    assert await ask(sign("secret", url.replace("https", "http"), posted), fields) == 403
    assert await ask(right, {**fields, "From": "+15550166"}) == 403


async def test_an_undialable_transfer_is_an_apology() -> None:
    application = app()
    application.state.calls._directory.ended("CA1", CallDecision("not a number"), now=0.0)
    async with client(application) as http:
        text = (await http.post("/twilio/action", data={"CallSid": "CA1"})).text
    assert "<Say>" in text
    assert "<Hangup" in text


async def test_status_callbacks_are_counted_and_unknown_ones_refused() -> None:
    metrics = CountingMetrics()
    async with client(app(metrics)) as http:
        for status, code in (("ringing", 204), ("completed", 204), ("dancing", 400), ("", 400)):
            data = {"CallSid": "CA1", "CallStatus": status}
            assert (await http.post("/twilio/status", data=data)).status_code == code
    assert metrics.counts["webhook", "status", "completed"] == 1
    assert not any("dancing" in words for words in metrics.counts)


async def test_ready_only_while_accepting() -> None:
    application = create_app(settings(), run_call=EchoCall(), metrics=CountingMetrics())
    drain = application.state.drain
    async with client(application) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        starting = await http.post("/twilio/voice", data={"CallSid": "CA1"})
        assert "<Reject" in starting.text
        drain.started()
        assert (await http.get("/readyz")).json() == {"phase": "accepting"}
        drain.signalled(asyncio.get_running_loop().time())
        response = await http.get("/readyz")
        assert (response.status_code, response.json()) == (503, {"phase": "draining"})
        draining = await http.post("/twilio/voice", data={"CallSid": "CA1"})
        assert "<Reject" in draining.text
        assert (await http.get("/healthz")).status_code == 200


async def test_metrics_need_the_token_only_when_one_is_set() -> None:
    async with client(app()) as http:
        assert (await http.get("/metrics")).text == "voicebot_calls 1\n"
    async with client(app(api_token="t0ken")) as http:
        assert (await http.get("/metrics")).status_code == 401
        for header in ("Bearer wrong", "Bearer", "Basic t0ken", "Bearer t0ken2"):
            response = await http.get("/metrics", headers={"authorization": header})
            assert response.status_code == 401
        right = {"authorization": "Bearer t0ken"}
        assert (await http.get("/metrics", headers=right)).status_code == 200


async def test_calls_are_read_with_the_token() -> None:
    async with client(app(api_token="t0ken"), peer="203.0.113.9") as http:
        right = {"authorization": "Bearer t0ken"}
        assert (await http.get("/calls/CA1", headers=right)).json() == {"call_sid": "CA1"}
        assert (await http.get("/calls/CA2", headers=right)).status_code == 404
        assert (await http.get("/calls/CA9", headers=right)).status_code == 503
        assert (await http.get("/calls/xx", headers=right)).status_code == 404
        assert (await http.get("/calls/CA1")).status_code == 401


async def test_without_a_token_calls_are_read_from_this_machine_in_development_only() -> None:
    async with client(app()) as http:
        assert (await http.get("/calls/CA1")).status_code == 200
        tunnelled = {"x-forwarded-for": "203.0.113.9"}
        assert (await http.get("/calls/CA1", headers=tunnelled)).status_code == 403
        rebound = {"host": "evil.example"}
        assert (await http.get("/calls/CA1", headers=rebound)).status_code == 403
    async with client(app(), peer="203.0.113.9") as http:
        assert (await http.get("/calls/CA1")).status_code == 403
    production = app(environment="production", public_url=PUBLIC, twilio=TWILIO)
    async with client(production) as http:
        assert (await http.get("/calls/CA1")).status_code == 403


async def test_the_client_helper_signs_as_the_server_checks() -> None:
    """Guards the e2e helper: a broken one would make every signed test vacuous."""
    twilio = Twilio("http://127.0.0.1:8080", "secret")
    await twilio.http.aclose()
    twilio.http = client(app(twilio=TWILIO))
    assert (await twilio.post("/twilio/voice", "CA1")).status_code == 200
    twilio.auth_token = "other"
    assert (await twilio.post("/twilio/voice", "CA1")).status_code == 403
    await twilio.http.aclose()


async def test_a_warm_hand_over_tells_who_answers_what_it_is_about() -> None:
    application = app()
    decision = CallDecision("+15550100", summary="A lost card <debit>.")
    application.state.calls._directory.ended("CA1", decision, now=0.0)
    async with client(application) as http:
        text = (await http.post("/twilio/action", data={"CallSid": "CA1"})).text
        assert '<Number url="http://127.0.0.1:8080/twilio/whisper">+15550100</Number>' in text
        child = {"CallSid": "CA2", "ParentCallSid": "CA1"}
        told = (await http.post("/twilio/whisper", data=child)).text
        assert "<Say>A lost card &lt;debit&gt;.</Say>" in told
        other = (await http.post("/twilio/whisper", data={"CallSid": "CA9"})).text
        assert "lost card" not in other


async def test_a_queue_says_the_callers_place_and_plays_music() -> None:
    application = app()
    decision = CallDecision(
        queue="sales",
        hold_prompt="You are number {position}.",
        hold_music="https://x.example/a.mp3",
    )
    application.state.calls._directory.ended("CA1", decision, now=0.0)
    async with client(application) as http:
        text = (await http.post("/twilio/action", data={"CallSid": "CA1"})).text
        assert '<Enqueue waitUrl="http://127.0.0.1:8080/twilio/hold">sales</Enqueue>' in text
        waits = {"CallSid": "CA1", "QueuePosition": "3"}
        heard = (await http.post("/twilio/hold", data=waits)).text
        assert "<Say>You are number 3.</Say><Play>https://x.example/a.mp3</Play>" in heard
        odd = (await http.post("/twilio/hold", data={**waits, "QueuePosition": "<b>"})).text
        assert "<Say>" not in odd
        unknown = (await http.post("/twilio/hold", data={"CallSid": "CA9"})).text
        assert '<Pause length="20" />' in unknown
