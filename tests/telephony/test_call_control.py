"""Requests that the `twilio` package makes for us, and its failures as ours."""

from typing import Any

import pytest
from requests import ConnectionError as NoConnection
from twilio.http import HttpClient
from twilio.http.response import Response

from voicebot.errors import ServiceFailed
from voicebot.telephony.call_control import CallControl

pytestmark = pytest.mark.unit

ACCOUNT, CALL = "AC" + "1" * 32, "CA" + "2" * 32


class FakeHttp(HttpClient):
    """Answers every request with one reply and remembers what was asked."""

    def __init__(self, status: int, text: str, error: Exception | None = None) -> None:
        super().__init__(None, False, None)
        self.reply, self.error = Response(status, text), error
        self.requests: list[tuple[str, str, Any, Any]] = []

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        self.requests.append((method, url, kwargs.get("data"), kwargs.get("auth")))
        if self.error is not None:
            raise self.error
        return self.reply


OK = '{"sid": "' + CALL + '"}'


def control(http: FakeHttp) -> CallControl:
    return CallControl(ACCOUNT, "secret", http_client=http)


def test_hang_up_completes_the_call() -> None:
    http = FakeHttp(200, OK)
    control(http).hang_up(CALL)
    [(method, url, data, auth)] = http.requests
    assert method == "POST"
    assert url.endswith(f"/Accounts/{ACCOUNT}/Calls/{CALL}.json")
    assert data == {"Status": "completed"}
    assert auth == (ACCOUNT, "secret")


def test_redirect_by_twiml_or_by_url() -> None:
    http = FakeHttp(200, OK)
    control(http).redirect(CALL, twiml="<Response/>")
    control(http).redirect(CALL, url="https://bot.example/next")
    assert http.requests[0][2] == {"Twiml": "<Response/>"}
    assert http.requests[1][2] == {"Url": "https://bot.example/next", "Method": "POST"}
    for both_or_none in ({}, {"twiml": "<Response/>", "url": "https://bot.example/"}):
        with pytest.raises(ValueError, match="either"):
            control(http).redirect(CALL, **both_or_none)


def test_a_call_that_has_ended_is_no_failure() -> None:
    reply = '{"code": 21220, "message": "Call is not in-progress. Cannot redirect."}'
    control(FakeHttp(400, reply)).hang_up(CALL)


@pytest.mark.parametrize(
    ("status", "retryable"), [(401, False), (404, False), (429, True), (500, True)]
)
def test_refusals_are_one_line(status: int, retryable: bool) -> None:
    http = FakeHttp(status, '{"code": 20003, "message": "Authenticate\\nplease"}')
    with pytest.raises(ServiceFailed, match=f"HTTP {status}, .*Authenticate please") as failure:
        control(http).hang_up(CALL)
    assert failure.value.retryable is retryable
    assert "\n" not in str(failure.value)


def test_no_connection_may_be_retried() -> None:
    http = FakeHttp(0, "", NoConnection("name not\nknown"))
    with pytest.raises(ServiceFailed, match=r"cannot hang up .* name not known") as failure:
        control(http).hang_up(CALL)
    assert failure.value.retryable


@pytest.mark.parametrize("call_sid", ["", "CA123", f"{CALL}/../../Accounts", "MZ" + "2" * 32])
def test_what_is_no_call_sid_is_never_sent(call_sid: str) -> None:
    http = FakeHttp(200, OK)
    with pytest.raises(ServiceFailed, match="not a CallSid"):
        control(http).hang_up(call_sid)
    assert http.requests == []
