"""The documents Twilio is given, and what it would refuse."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.errors import UserMistake
from voicebot.telephony import twiml

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parents[1] / "golden" / "twiml"
STREAM, ACTION = "wss://bot.example/twilio/media", "https://bot.example/twilio/action"

DOCUMENTS = {
    "answer": twiml.answer(
        STREAM, ACTION, {"token": "abc", "from": "+15550100"}, "Sorry & goodbye <now>."
    ),
    "reject_busy": twiml.reject(),
    "transfer_to_number": twiml.transfer(
        "+1 (555) 010-0199", caller_id="+15550100", fallback="Nobody is free."
    ),
    "transfer_to_sip": twiml.transfer("sip:agent@example.com;transport=tls", action_url=ACTION),
    "hang_up": twiml.hang_up(),
    "say_and_hang_up": twiml.say_and_hang_up("Grüße"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_the_golden_ones(name: str) -> None:
    assert DOCUMENTS[name] == (GOLDEN / f"{name}.xml").read_text().rstrip("\n")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://bot.example/media", "not a wss"),
        ("wss:///media", "not a wss"),
        ("wss://[::1/media", "not a wss"),
        ("wss://bot.example/media?token=1", "31920"),
        ("ws://bot.example/media", "not encrypted"),
    ],
)
def test_stream_urls_twilio_refuses(url: str, problem: str) -> None:
    with pytest.raises(UserMistake, match=problem):
        twiml.answer(url, ACTION)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_loopback_needs_no_encryption(host: str) -> None:
    assert f'url="ws://{host}/media"' in twiml.answer(f"ws://{host}/media", None)


def test_parameters_stay_below_500_characters() -> None:
    assert 'name="a"' in twiml.answer(STREAM, ACTION, {"a": "x" * 498})
    with pytest.raises(UserMistake, match="have 500 characters"):
        twiml.answer(STREAM, ACTION, {"a": "x" * 499})


def test_documents_stay_below_64_kilobytes() -> None:
    assert len(twiml.say_and_hang_up("é" * 32_000).encode()) <= twiml.MAX_BYTES
    with pytest.raises(UserMistake, match="shorten"):
        twiml.say_and_hang_up("é" * 33_000)


@pytest.mark.parametrize("destination", ["", "agent", "+1555010019912345", "tel:+1555", "+"])
def test_destinations_twilio_cannot_dial(destination: str) -> None:
    with pytest.raises(UserMistake, match="transfer destination"):
        twiml.transfer(destination)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text_gives_well_formed_xml(value: str, fallback: str) -> None:
    document = twiml.answer(STREAM, ACTION, {"from": value}, fallback)
    root = ElementTree.fromstring(document.encode())
    stream = root.find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == STREAM
