"""Twilio's messages in, events out; every defect a value."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony.media_stream import (
    MAX_PENDING_MARKS,
    Connected,
    DtmfReceived,
    Fault,
    MarkReturned,
    Media,
    MediaStream,
    Started,
    Stopped,
    StreamEvent,
)

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parents[1] / "golden" / "media_stream"
DEFECTS = sorted(path for path in GOLDEN.iterdir() if path.stem != "whole_call")
SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
CALL = "CA3fb5d3a0e4d34b7bb4d6b5f8a3c1d2e4"
BREAKS_THE_CALL = {"wrong_protocol", "bad_start", "wrong_media_format", "after_broken_handshake"}


def lines(name: str) -> list[str]:
    return (GOLDEN / f"{name}.jsonl").read_text().splitlines()


def started() -> MediaStream:
    stream = MediaStream()
    for line in lines("whole_call")[:2]:
        stream.receive(line)
    return stream


def media(sequence: int, payload: bytes) -> str:
    fields = {"track": "inbound", "chunk": "1", "timestamp": "0"}
    fields["payload"] = base64.b64encode(payload).decode()
    message = {"event": "media", "sequenceNumber": str(sequence), "streamSid": SID, "media": fields}
    return json.dumps(message)


def test_a_whole_call() -> None:
    stream = MediaStream()
    messages = lines("whole_call")
    events: list[StreamEvent] = stream.receive(messages[0]) + stream.receive(messages[1])
    name, _ = stream.mark("hello")
    for message in messages[2:]:
        events += stream.receive(message)
    parameters = {"token": "k3", "from": "+15550100"}
    assert events == [
        Connected(),
        Started(SID, CALL, "AC5ef87ed64b8d4b1b9d2f7c4c8b0a1e3d", parameters),
        Media(b"\xff" * 160, 0, 1),
        DtmfReceived("5"),
        MarkReturned(name, was_cleared=False),
        Media(b"\xff" * 160, 20, 2),
        Stopped(CALL),
    ]
    assert (stream.stream_sid, stream.call_sid) == (SID, CALL)
    assert stream.is_started
    assert stream.is_stopped
    assert not stream.is_broken
    assert stream.sequence_gaps == 0


@pytest.mark.parametrize("path", DEFECTS, ids=lambda path: path.name)
def test_each_golden_defect_is_named_and_survived(path: Path) -> None:
    """The last message of each file shows the defect that the file is named after."""
    expected = path.stem.partition("--")[0]
    stream = started() if path.suffix == ".bin" else MediaStream()
    messages: list[str | bytes] = (
        [path.read_bytes()] if path.suffix == ".bin" else [*path.read_text().splitlines()]
    )
    events: list[StreamEvent] = []
    for message in messages:
        events = stream.receive(message)
    assert [event.kind for event in events if isinstance(event, Fault)] == [expected]
    assert stream.is_broken == (expected in BREAKS_THE_CALL)
    if stream.is_started and not stream.is_stopped:
        assert stream.receive(media(99, b"\x00"))[-1] == Media(b"\x00", 0, 1)


def test_a_gap_is_counted_and_the_message_kept() -> None:
    stream = MediaStream()
    events = [event for line in lines("sequence_gap") for event in stream.receive(line)]
    assert stream.sequence_gaps == 2
    assert Fault("sequence_gap", "5 after 2") in events
    assert [event.chunk for event in events if isinstance(event, Media)] == [1, 4]


USUAL = (
    '{"event":"media","sequenceNumber":"%s","media":{"track":"inbound","chunk":"%s",'
    '"timestamp":"%s","payload":"%s"},"streamSid":"%s"}'
)


@pytest.mark.parametrize(
    "fields",
    [
        ("2", "1", "0", "/w==", SID),
        ("3", "1", "0", "/w==", SID),  # a gap
        ("1", "1", "0", "/w==", SID),  # repeated
        ("2", "1", "0", "/w==", "MZ0"),  # of another stream
        ("2", "1", "0", "/w=", SID),
        ("2", "1", "0", "/x==", SID),  # bits beyond the last byte
        ("2", "1", "0", "=/w=", SID),
        ("2", "1", "0", "", SID),
        ("2", "1", "0", "/w==\\n", SID),
        ("2", "1", "0", "A" * 12000, SID),  # more audio than a message may hold
        ("2", "1", "-1", "/w==", SID),
        ("2", "1.0", "0", "/w==", SID),
        ("2", "9" * 16, "0", "/w==", SID),
        ("02", "01", "00", "/w==", SID),
        ("\u0662", "1", "0", "/w==", SID),  # a digit, but not of ASCII
    ],
)
def test_media_written_as_usual_is_judged_as_any_other(fields: tuple[str, ...]) -> None:
    """The short way for Twilio's own spelling comes to what the examination of JSON does."""
    usual = USUAL % fields
    other = usual.replace("{", "{ ", 1)
    short, full = started(), started()
    following = USUAL % ("3", "2", "20", "/w==", SID)
    assert short.receive(usual) == full.receive(other)
    assert short.receive(following) == full.receive(following.replace("{", "{ ", 1))
    assert short.sequence_gaps == full.sequence_gaps


@pytest.mark.parametrize("size", [1, 159, 161, 8000])
def test_payloads_of_any_length_are_audio(size: int) -> None:
    assert started().receive(media(2, b"\x7f" * size)) == [Media(b"\x7f" * size, 0, 1)]


def test_the_size_limit_counts_bytes_not_characters() -> None:
    stream = MediaStream(max_message_bytes=100)
    assert stream.receive(json.dumps({"event": "x" * 60})) == [Fault("unknown_event", "x" * 60)]
    wide = json.dumps({"event": "é" * 60}, ensure_ascii=False)
    assert stream.receive(wide) == [Fault("oversized_message", "133 bytes")]


def test_half_a_surrogate_does_not_travel_further() -> None:
    stream = MediaStream()
    start = json.loads(lines("whole_call")[1])
    start["start"]["customParameters"] = {"from\ud800": "x\udfff", "list": [1]}
    events = stream.receive(json.dumps(start))
    assert events[0] == Fault("start_before_connected")
    assert isinstance(events[1], Started)
    assert events[1].parameters == {"from?": "x?"}


def test_marks_are_unique_and_clear_marks_those_pending() -> None:
    stream = started()
    first, message = stream.mark("word")
    second, _ = stream.mark("word")
    assert first != second
    assert json.loads(message) == {"event": "mark", "streamSid": SID, "mark": {"name": first}}
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": SID}
    third, _ = stream.mark()
    assert stream.pending_marks == (first, second, third)

    def returned(name: str, sequence: int) -> list[StreamEvent]:
        message = {"event": "mark", "streamSid": SID, "sequenceNumber": str(sequence)}
        return stream.receive(json.dumps({**message, "mark": {"name": name}}))

    assert returned(first, 2) == [MarkReturned(first, was_cleared=True)]
    assert returned(third, 3) == [MarkReturned(third, was_cleared=False)]
    assert returned(second, 4) == [MarkReturned(second, was_cleared=True)]
    assert returned(second, 5) == [Fault("unknown_mark", second)]
    assert stream.pending_marks == ()


def test_marks_that_never_return_cost_bounded_memory() -> None:
    stream = started()
    names = [stream.mark()[0] for _ in range(MAX_PENDING_MARKS + 10)]
    assert stream.pending_marks == tuple(names[10:])


def test_media_out_carries_raw_mulaw() -> None:
    payload = bytes(range(256))
    message = json.loads(started().media(payload))
    assert message["event"] == "media"
    assert message["streamSid"] == SID
    assert base64.b64decode(message["media"]["payload"]) == payload
    with pytest.raises(ValueError, match="needs audio"):
        started().media(b"")


def test_nothing_is_sent_before_start() -> None:
    stream = MediaStream()
    for send in (lambda: stream.media(b"\xff"), stream.mark, stream.clear):
        with pytest.raises(RuntimeError, match="before Twilio's start"):
            send()


# ---------------------------------------------------------------- fuzzing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = {
    "protocol": st.just("Call") | JSON,
    "sequenceNumber": st.integers(-1, 9).map(str) | JSON,
    "streamSid": st.just(SID) | JSON,
    "start": JSON
    | st.fixed_dictionaries(
        {"streamSid": st.just(SID) | JSON, "callSid": st.just(CALL) | JSON},
        optional={
            "customParameters": JSON,
            "accountSid": JSON,
            "mediaFormat": JSON
            | st.just({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}),
        },
    ),
    "media": JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "track": st.just("inbound") | JSON,
            "chunk": st.just("1") | JSON,
            "timestamp": st.just("20") | JSON,
            "payload": st.sampled_from(["/w==", "", "/", "====", "é", "\ud800"]) | JSON,
        },
    ),
    "mark": JSON | st.fixed_dictionaries({"name": st.just("1") | JSON}),
    "dtmf": JSON | st.fixed_dictionaries({"digit": st.sampled_from("09#*Ad") | JSON}),
    "stop": JSON | st.fixed_dictionaries({"callSid": st.just(CALL) | JSON}),
}
EVENTS = st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop"])
MESSAGES = st.fixed_dictionaries({"event": EVENTS | JSON}, optional=FIELDS)


@given(st.lists(st.text() | st.binary() | JSON.map(json.dumps), max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_noise_never_raises(messages: list[str | bytes]) -> None:
    stream = started()
    for message in messages:
        for event in stream.receive(message):
            assert isinstance(event, Fault)
    assert stream.receive(media(2, b"\x01")) == [Media(b"\x01", 0, 1)]


@given(st.booleans(), st.lists(MESSAGES, max_size=6))
@settings(max_examples=250, deadline=None, derandomize=True)
def test_almost_right_messages_never_raise(begun: bool, messages: list[dict[str, Any]]) -> None:
    stream = started() if begun else MediaStream()
    if begun:
        stream.mark()
    for message in messages:
        for event in stream.receive(json.dumps(message)):
            if isinstance(event, Media):
                assert stream.is_started
                assert event.payload
            if isinstance(event, Fault):
                assert len(event.detail) < 200
                assert event.detail.isprintable()
