"""What Twilio would make of our documents, and of others."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony import twiml
from voicebot.telephony.twiml_reader import Course, StreamOrder, follow, read

pytestmark = pytest.mark.unit

STREAM = "wss://bot.example/media"


def test_reads_what_twiml_writes() -> None:
    course = read(twiml.answer(STREAM, "/action", {"token": "a&b"}, "Sorry"))
    assert course.stream == StreamOrder(STREAM, "/action", {"token": "a&b"})
    assert course.spoken == ()
    assert follow(course.rest) == Course(spoken=("Sorry",))
    assert read(twiml.reject()) == Course(reject_reason="busy")
    assert read(twiml.transfer("+15550100", fallback="x")) == Course(transfer_to="+15550100")
    assert read(twiml.transfer("sip:a@b.example")).transfer_to == "sip:a@b.example"
    assert read(twiml.hang_up()) == Course()
    assert read(twiml.say_and_hang_up("Bye")) == Course(spoken=("Bye",))


def test_verbs_after_the_end_are_not_reached() -> None:
    document = "<Response><Pause/><Play/><Say>a</Say><Hangup/><Say>b</Say></Response>"
    assert read(document) == Course(spoken=("a",), unsupported=("Play",))


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<Response>",
        "<html/>",
        b"\xff\xfe",
        "<Response>" + " " * 65536 + "</Response>",
        '<!DOCTYPE r [<!ENTITY a "b">]><Response><Say>&c;</Say></Response>',
    ],
)
def test_what_is_not_twiml_is_a_value_error_in_one_line(document: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read(document)


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: f"<Response>{text}"))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_nothing_else_is_raised(document: str | bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read(document), Course)
