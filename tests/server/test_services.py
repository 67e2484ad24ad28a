"""Call-outs: functions beside the plan, webhooks, and what goes wrong with them."""

import asyncio
import gzip
import json
import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from voicebot.errors import PlanError, ServiceFailed
from voicebot.server.services import Services

pytestmark = pytest.mark.unit

BACKEND = """
import asyncio, threading
from dataclasses import dataclass

@dataclass
class Account:
    number: str

released = threading.Event()

def balance(account): return {"balance": "12.50", "account": Account(account).number}
async def book(account): await asyncio.sleep(0); return {"booked": account}
def whose(call_sid): return {"call": call_sid}
def where(): return {"thread": threading.current_thread() is threading.main_thread()}
def fails(): raise KeyError("no such account\\nsecond line")
def exits(): raise SystemExit(3)
def wrong(): return [1]
def keys(): return {1: 2}
def never(): released.wait(); return {}
async def sleeps(): await asyncio.Event().wait()
number = 7

class Odd:
    def __str__(self): raise RuntimeError("no words for it")

def odd(): return {"a": Odd()}
def huge(): return {"a": 10**5000}
def nested(): return {"a": {(1, 2): object, 3: b"x"}}
async def gives_up(): asyncio.current_task().cancel(); await asyncio.sleep(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backend.py").write_text(BACKEND)
    return tmp_path


def python(function: str, **more: object) -> dict[str, dict[str, object]]:
    return {"it": {"python": f"backend:{function}", **more}}


async def test_functions_get_their_arguments_by_name(folder: Path) -> None:
    services = Services({**python("balance"), "book": {"python": "backend:book"}}, folder)
    assert await services.call("it", {"account": "7"}) == {"balance": "12.50", "account": "7"}
    assert await services.call("book", {"account": "7"}) == {"booked": "7"}
    assert await services.call("book", {"account": "8"}) == {"booked": "8"}
    await services.aclose()


async def test_a_function_may_ask_for_the_call_sid(folder: Path) -> None:
    assert await Services(python("whose"), folder).call("it", {}, call_sid="CA1") == {"call": "CA1"}


async def test_functions_run_off_the_event_loop(folder: Path) -> None:
    assert await Services(python("where"), folder).call("it", {}) == {"thread": False}


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("fails", {}, "KeyError: 'no such account"),
        ("exits", {}, "SystemExit: 3"),
        ("wrong", {}, "replied with list, not a mapping"),
        ("keys", {}, "replied with dict, not a mapping"),
        ("balance", {"acount": "7"}, "TypeError: balance() got an unexpected"),
    ],
)
async def test_a_failing_function_is_one_line(
    folder: Path, function: str, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(ServiceFailed) as failed:
        await Services(python(function), folder).call("it", arguments)
    assert str(failed.value).startswith(f"service it: {message}")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("function", ["never", "sleeps"])
async def test_a_function_that_does_not_return_in_time(folder: Path, function: str) -> None:
    services = Services(python(function, timeout_s=0.02), folder)
    with pytest.raises(ServiceFailed, match=r"service it: no reply in 0\.02 s"):
        await services.call("it", {})
    await services.aclose()


@pytest.mark.parametrize("function", ["odd", "huge"])
async def test_a_reply_that_is_no_json_is_one_line(folder: Path, function: str) -> None:
    with pytest.raises(ServiceFailed, match=r"replied with what is no JSON \(\w+Error: "):
        await Services(python(function), folder).call("it", {})


async def test_what_json_does_not_know_is_text(folder: Path) -> None:
    found = await Services(python("nested"), folder).call("it", {})
    assert found == {"a": {"(1, 2)": "<class 'object'>", "3": "b'x'"}}


async def test_a_function_that_cancels_itself_cancels_no_call(folder: Path) -> None:
    services = Services(python("gives_up"), folder)
    with pytest.raises(ServiceFailed, match="cancelled itself"):
        await services.call("it", {})
    await services.aclose()


async def test_wrong_arguments_use_no_function_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.server.services.MAX_THREADS", 2)
    services = Services(python("book"), folder)
    for _ in range(3):
        with pytest.raises(ServiceFailed, match="unexpected keyword argument"):
            await services.call("it", {"number": "7"})
    assert await services.call("it", {"account": "7"}) == {"booked": "7"}
    await services.aclose()


def test_a_module_that_ends_itself_is_one_line(folder: Path) -> None:
    (folder / "script.py").write_text("import sys\ndef f(): return {}\nsys.exit(0)\n")
    with pytest.raises(PlanError, match=r"services.it.python: .*script.py fails: SystemExit: 0"):
        Services({"it": {"python": "script:f"}}, folder)


async def test_a_module_imports_what_stands_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    (folder / "its_tables.py").write_text("def look(): return {'found': 7}\n")
    (folder / "front.py").write_text("from its_tables import look\n")
    assert await Services({"it": {"python": "front:look"}}, folder).call("it", {}) == {"found": 7}


async def test_functions_that_never_return_are_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.server.services.MAX_THREADS", 2)
    services = Services(python("never", timeout_s=0.01), folder)
    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(ServiceFailed, match="no reply"):
            await services.call("it", {})
    with pytest.raises(ServiceFailed, match="2 call-outs have not come back"):
        await services.call("it", {})
    assert threading.active_count() <= before + 2


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "give either python: module:function or webhook: URL"),
        ({"python": "backend:balance", "webhook": "http://x"}, "give either"),
        ({"pyton": "backend:balance"}, "unknown key 'pyton'; known: backoff_s, headers, python"),
        ({"python": "backend"}, "'backend' must be module:function"),
        ({"python": "../backend:balance"}, "must be module:function"),
        ({"python": "absent:balance"}, "absent.py does not exist"),
        ({"python": "backend:balanse"}, "has no function 'balanse'"),
        ({"python": "backend:number"}, "has no function 'number'"),
        ({"python": "broken:f"}, "broken.py fails: SyntaxError"),
        ({"webhook": "ftp://x/y"}, "must be an http:// or https:// URL"),
        ({"webhook": "http://[", "timeout_s": 1}, "must be an http:// or https:// URL"),
        ({"webhook": "http://x", "timeout_s": 0}, "0 must be a number above 0"),
        ({"webhook": "http://x", "timeout_s": True}, "True must be a number above 0"),
    ],
)
def test_a_mistake_in_a_definition_is_one_line_at_start(
    folder: Path, definition: dict[str, object], message: str
) -> None:
    (folder / "broken.py").write_text("def f(:\n")
    with pytest.raises(PlanError) as mistake:
        Services({"it": definition}, folder)
    assert str(mistake.value).startswith("services.it")
    assert message in str(mistake.value)
    assert "\n" not in str(mistake.value)


async def test_an_unknown_service(folder: Path) -> None:
    with pytest.raises(ServiceFailed, match="defines no such service"):
        await Services({}, folder).call("it", {})


# ---------------------------------------------------------------- webhooks

Answer = Callable[[httpx.Request], httpx.Response]


def webhook(answer: Answer) -> Services:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Services({"it": {"webhook": "https://crm.example/bot"}}, Path(), http=http)


def unread(content: bytes) -> httpx.Response:
    """A compressed reply as it comes over the wire."""

    async def parts() -> AsyncIterator[bytes]:
        yield content

    return httpx.Response(200, headers={"content-encoding": "gzip"}, content=parts())


def packed(content: bytes) -> httpx.Response:
    return unread(gzip.compress(content))


async def test_a_reply_may_be_compressed_or_say_nothing() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return packed(b'{"ok": 1}') if len(asked) == 1 else httpx.Response(204)

    services = webhook(answer)
    assert await services.call("it", {}) == {"ok": 1}
    assert await services.call("it", {}) == {}
    assert asked == ["identity", "identity"]


async def test_a_webhook_gets_name_call_and_arguments() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ok": True})

    services = webhook(answer)
    assert await services.call("it", {"a": "1"}, call_sid="CA1") == {"ok": True}
    await services.aclose()
    assert json.loads(seen[0].content) == {
        "service": "it",
        "call_sid": "CA1",
        "arguments": {"a": "1"},
    }


async def test_a_failed_connection_is_tried_once_more_with_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={})

    assert await webhook(answer).call("it", {}) == {}
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda _: httpx.Response(500), "answered with status 500"),
        (lambda _: httpx.Response(302, headers={"location": "/x"}), "answered with status 302"),
        (lambda _: httpx.Response(200, text="<html>"), "replied with no JSON"),
        (lambda _: httpx.Response(200, text="[" * 60_000), "replied with no JSON"),
        (lambda _: httpx.Response(200, json=[1]), "replied with list"),
        (lambda _: httpx.Response(200, content=b" " * 65536), "replied with 65536 bytes or more"),
        (lambda _: packed(b" " * 30_000_000), "replied with 65536 bytes or more"),
        (lambda _: unread(b"no gzip"), "replied with broken gzip"),
    ],
)
async def test_a_bad_webhook_is_one_line(answer: Answer, message: str) -> None:
    with pytest.raises(ServiceFailed, match=message):
        await webhook(answer).call("it", {})


async def test_a_webhook_that_cannot_be_reached_twice() -> None:
    calls: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        raise httpx.ConnectError("refused")

    with pytest.raises(ServiceFailed, match="service it: ConnectError: refused"):
        await webhook(answer).call("it", {})
    assert len(calls) == 2


def patient(answer: Answer, **more: object) -> Services:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    definition = {"webhook": "https://crm.example/bot", "backoff_s": 0.0, **more}
    return Services({"it": definition}, Path(), http=http)


async def test_a_busy_webhook_is_asked_again_with_the_same_key_as_often_as_the_plan_says() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        return httpx.Response(503 if len(keys) < 4 else 200, json={"ok": True})

    services = patient(answer, retries=3)
    assert await services.call("it", {}, call_sid="CA1", call_id="service-1") == {"ok": True}
    assert len(keys) == 4
    assert len(set(keys)) == 1
    # Another process that goes on with the call says the same key; another call-out does not.
    await patient(answer).call("it", {}, call_sid="CA1", call_id="service-1")
    await patient(answer).call("it", {}, call_sid="CA1", call_id="service-2")
    assert keys[4] == keys[0] != keys[5]


@pytest.mark.parametrize(
    ("retries", "status", "attempts"), [(0, 503, 1), (2, 429, 3), (2, 500, 1), (2, 404, 1)]
)
async def test_attempts_are_counted(retries: int, status: int, attempts: int) -> None:
    seen: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(status)
        return httpx.Response(status)

    with pytest.raises(ServiceFailed, match=f"answered with status {status}"):
        await patient(answer, retries=retries).call("it", {})
    assert len(seen) == attempts


async def test_a_busy_webhook_is_asked_again_when_it_says() -> None:
    slept: list[float] = []
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["idempotency-key"])
        return httpx.Response(429 if len(seen) < 2 else 200, headers={"retry-after": "2"}, json={})

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voicebot.server.services.asyncio.sleep", sleep)
        assert await patient(answer, timeout_s=4.0).call("it", {}) == {}
    assert slept == [2.0]


@pytest.mark.parametrize("after", ["5", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_one_that_wants_to_be_asked_too_late_is_not_waited_for(after: str) -> None:
    seen: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        seen.append(1)
        return httpx.Response(503, headers={"retry-after": after})

    with pytest.raises(ServiceFailed, match="answered with status 503"):
        await patient(answer, timeout_s=4.0).call("it", {})
    assert len(seen) == 1


@pytest.mark.parametrize("after", ["soon", "-1", "1e9", "Fri, 31 Dec 1999 23:59:59 GMT", "x" * 99])
async def test_an_odd_time_to_ask_again_is_none(after: str) -> None:
    seen: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        seen.append(1)
        return httpx.Response(503, headers={"retry-after": after})

    with pytest.raises(ServiceFailed):
        await patient(answer, timeout_s=4.0).call("it", {})
    assert len(seen) == 2


async def test_all_attempts_share_the_timeout() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    services = patient(answer, retries=5, backoff_s=30.0, timeout_s=0.5)
    with pytest.raises(ServiceFailed, match="answered with status 503"):  # and is not waited for
        await services.call("it", {})


async def test_headers_get_secrets_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "s3cret")
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    headers = {"Authorization": "Bearer env:CRM_TOKEN", "X-Line": "bank"}
    services = patient(answer, headers=headers)
    monkeypatch.delenv("CRM_TOKEN")  # read at the start
    with pytest.raises(ServiceFailed) as failed:
        await services.call("it", {})
    assert seen[0].headers["authorization"] == "Bearer s3cret"
    assert seen[0].headers["x-line"] == "bank"
    assert "idempotency-key" in seen[0].headers
    assert "s3cret" not in f"{failed.value} {services._services!r}"


@pytest.mark.parametrize(
    ("value", "told"), [(None, "is not set"), ("", "is not set"), ("a\nb", "must be plain text")]
)
def test_a_secret_that_cannot_be_sent_is_told_without_it(
    value: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("CRM_TOKEN", value)
    with pytest.raises(PlanError, match=rf"services\.it\.headers\.Authorization: .*{told}"):
        patient(lambda _: httpx.Response(200), headers={"Authorization": "env:CRM_TOKEN"})


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """No HTTP: a peer that says back what it was sent."""
    writer.write(await reader.readuntil(b"\r\n\r\n"))
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("before", ["", " ", "\t", "\n", "\u00a0", "é", "\x7f", "a\r\n"])
@pytest.mark.parametrize("after", ["", "  ", "\n", "\r\n", "\u2028", "ñ", "\x01", "\\", "'\""])
async def test_a_secret_never_appears_in_what_is_recorded(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CRM_TOKEN", f"{before}tok-S3CRET{after}")
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    definition = {
        "webhook": f"http://127.0.0.1:{port}/",
        "headers": {"Authorization": "Bearer env:CRM_TOKEN", "X-Key": " env:CRM_TOKEN "},
        "backoff_s": 0.0,
    }

    async def ask() -> None:
        services = Services({"it": definition}, Path())
        try:
            await services.call("it", {})
        finally:
            await services.aclose()

    with pytest.raises((PlanError, ServiceFailed)) as failed:
        await ask()
    server.close()
    await server.wait_closed()
    told = "".join(traceback.format_exception(failed.value))
    assert "S3CRET" not in f"{failed.value} {told}"
    ours = [record for record in caplog.records if record.name.startswith("voicebot")]
    assert "S3CRET" not in "".join(map(str, ours))


@pytest.mark.parametrize("value", ["s3cret\n", "  s3cret", "s3cret \r\n"])
async def test_space_around_a_secret_is_not_sent(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", value)
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    headers = {"Authorization": "Bearer env:CRM_TOKEN"}
    assert await patient(answer, headers=headers).call("it", {}) == {}
    assert seen == ["Bearer s3cret"]


@pytest.mark.parametrize("headers", [{"X Key": "a"}, {"": "a"}, {"X-Key": "a\nb"}, {"X-Key": "é"}])
def test_a_header_that_cannot_be_sent_is_told_at_start(headers: dict[str, str]) -> None:
    with pytest.raises(PlanError, match=r"services\.it\.headers"):
        patient(lambda _: httpx.Response(200), headers=headers)
