"""Signatures agree with Twilio's own package."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from voicebot.telephony.signature import is_valid, sign

pytestmark = pytest.mark.unit

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMETERS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def test_the_example_of_twilios_documentation() -> None:
    """https://www.twilio.com/docs/usage/security, exploring the algorithm yourself."""
    assert sign(TOKEN, URL, PARAMETERS) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert is_valid(TOKEN, URL, PARAMETERS, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


@given(
    st.text(min_size=1),
    st.dictionaries(st.text(), st.text()),
    st.sampled_from([URL, "wss://bot.example/twilio/media", "https://bot.example:8443/voice"]),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_signs_as_twilios_package(token: str, parameters: dict[str, str], url: str) -> None:
    assert sign(token, url, parameters) == RequestValidator(token).compute_signature(
        url, parameters
    )


@pytest.mark.parametrize("scheme", ["https", "http", "wss", "ws"])
def test_the_standard_port_may_be_spelled_out_or_not(scheme: str) -> None:
    port = {"https": 443, "http": 80, "wss": 443, "ws": 80}[scheme]
    bare, full = f"{scheme}://bot.example/a?b=c", f"{scheme}://bot.example:{port}/a?b=c"
    assert is_valid(TOKEN, bare, None, sign(TOKEN, full))
    assert is_valid(TOKEN, full, None, sign(TOKEN, bare))
    assert not is_valid(TOKEN, bare, None, sign(TOKEN, f"{scheme}://bot.example:8443/a?b=c"))


def test_several_values_of_one_name_count_once_each_sorted() -> None:
    assert sign(TOKEN, URL, {"a": ["2", "1", "2"]}) == sign(TOKEN, URL + "a1a2")


@pytest.mark.parametrize(
    ("token", "url", "parameters", "signature"),
    [
        ("other", URL, PARAMETERS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TOKEN, URL + "x", PARAMETERS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TOKEN, URL, {**PARAMETERS, "Digits": "1235"}, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TOKEN, URL, PARAMETERS, None),
        (TOKEN, URL, PARAMETERS, ""),
        (TOKEN, URL, PARAMETERS, "é\ud800"),
        (TOKEN, "http://[broken", {"\ud800": "x"}, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TOKEN, "https://bot.example:port/", None, "x"),
    ],
)
def test_forged_signatures_are_refused(
    token: str, url: str, parameters: dict[str, str] | None, signature: str | None
) -> None:
    assert not is_valid(token, url, parameters, signature)
