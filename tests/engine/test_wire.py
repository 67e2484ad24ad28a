"""Bytes between front ends and recogniser processes."""

from __future__ import annotations

import random

import pytest

from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import (
    Answer,
    Ask,
    Audio,
    Close,
    Closed,
    Expect,
    Fault,
    FromFrontEnd,
    FromRecogniser,
    Load,
    Open,
    Opened,
    Ping,
    Reason,
    State,
    encode,
    from_front_end,
    from_recogniser,
    read_expectation,
    write_expectation,
)
from voicebot.events import (
    Alternative,
    BargeInMode,
    Choice,
    DigitRule,
    Expectation,
    Hypothesis,
    IntentSpec,
    SlotSpec,
    SlotType,
    Timeouts,
    Word,
)

pytestmark = pytest.mark.unit

GOLDEN_FRONT_END: list[tuple[FromFrontEnd, str]] = [
    (Open(1, 160), "0000000c01 00000001 00000000000000a0"),
    (Audio(1, 160, b"\xff\x7f"), "0000000e02 00000001 00000000000000a0 ff7f"),
    (Expect(1, 2, b"{}"), "0000000a03 00000001 00000002 7b7d"),
    (
        Ask(1, 3, 4, JobKind.SPECULATIVE, 2, 160, 8000),
        "0000002104 00000001 00000003 00000004 01 00000002 00000000000000a0 0000000000001f40",
    ),
    (Close(1), "0000000405 00000001"),
    (Ping(7), "0000000406 00000007"),
]
GOLDEN_RECOGNISER: list[tuple[FromRecogniser, str]] = [
    (Opened(1), "0000000481 00000001"),
    (Closed(1, Reason.FULL), "0000000582 00000001 01"),
    (Closed(1, Reason.DEVICE_LOST, "gone"), "0000000982 00000001 0a 676f6e65"),
    (Answer(1, 3, None), "0000000883 00000001 00000003"),
    (Answer(1, 3, Hypothesis("a")), "0000001483 00000001 00000003 7b2274657874223a2261227d"),
    (Load(7, 2, 64, State.OPEN, 480), "0000001184 00000007 00000002 00000040 00 000001e0"),
]


@pytest.mark.parametrize(("message", "frame"), GOLDEN_FRONT_END)
def test_golden_frames_of_front_ends(message: FromFrontEnd, frame: str) -> None:
    assert encode(message) == bytes.fromhex(frame)
    assert from_front_end(bytes.fromhex(frame)) == [message]


@pytest.mark.parametrize(("message", "frame"), GOLDEN_RECOGNISER)
def test_golden_frames_of_recognisers(message: FromRecogniser, frame: str) -> None:
    assert encode(message) == bytes.fromhex(frame)
    assert from_recogniser(bytes.fromhex(frame)) == [message]


def test_frames_of_many_calls_travel_together_until_the_first_fault() -> None:
    messages = [message for message, _ in GOLDEN_FRONT_END]
    data = b"".join(map(encode, messages))
    assert from_front_end(data) == messages
    assert from_front_end(data[:-1]) == [*messages[:-1], Fault("half a frame")]
    assert from_front_end(b"\0\0\0\0\x00" + data) == [Fault("frame type 0x00")]
    assert from_front_end(b"") == [Fault("empty message")]


def test_a_hypothesis_arrives_whole() -> None:
    heard = Hypothesis(
        "café please",
        (Word("café", 0.5, 10, 20), Word("please", 0.25)),
        0.5,
        (Alternative("café please", 0.5), Alternative("", 0.125)),
        160,
        8000,
        True,
        1,
        0.75,
        0.0625,
    )
    assert from_recogniser(encode(Answer(1, 2, heard))) == [Answer(1, 2, heard)]


def test_an_expectation_arrives_whole_and_is_shared() -> None:
    waits = Expectation(
        "card/number",
        "card",
        (SlotSpec("card", SlotType.CHOICE, (Choice("debit", ("debit [card]",), "1"),), 1, 9),),
        (IntentSpec("block", ("block [my] card",), "2", ("please block it",)),),
        (IntentSpec("operator", dtmf="0"),),
        DigitRule(4, 4, None),
        BargeInMode.HOTWORD,
        Timeouts(noinput_ms=1),
        ("one two",),
        "es",
    )
    body = write_expectation(waits)
    assert read_expectation(body) == waits
    assert read_expectation(bytes(body)) is read_expectation(body)
    assert read_expectation(write_expectation(Expectation())) == Expectation()
    for wrong in (b"", b"null", b"[]", b'{"slots":7}', b'{"barge_in":"maybe"}', b"\xff", body[:-1]):
        assert read_expectation(wrong) is None


@pytest.mark.parametrize(
    "frame",
    [
        "0000000582 00000001 63",  # a reason nobody knows
        "0000000a83 00000001 00000003 7b7d",  # a hypothesis without text
        "0000000983 00000001 00000003 7b",  # half of one
        "0000001184 00000007 00000002 00000040 09 000001e0",  # a state nobody knows
        "0000000381 000001",
        "0000000401 00000001",
    ],
)
def test_misshapen_frames_of_recognisers(frame: str) -> None:
    (fault,) = from_recogniser(bytes.fromhex(frame))
    assert isinstance(fault, Fault)


def test_whatever_arrives_is_a_value() -> None:
    chance = random.Random(1)
    whole = b"".join(encode(message) for message, _ in GOLDEN_FRONT_END)
    whole += b"".join(encode(message) for message, _ in GOLDEN_RECOGNISER)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[chance.randrange(len(data)) :])
        for read in (from_front_end(cut), from_recogniser(cut)):
            assert read
            assert not any(isinstance(message, Fault) for message in read[:-1])
