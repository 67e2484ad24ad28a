"""Twilio's side of the wire: what it sends, what it takes, what it would log."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony.media_stream import (
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
from voicebot.telephony.simulator import (
    MAX_ERRORS,
    CallerTurn,
    ScriptedCaller,
    SimulatedCall,
    tick,
)

pytestmark = pytest.mark.unit

SID, CALL = "MZ" + "1" * 32, "CA" + "2" * 32
VOICE = b"\x10" * 160


def opened(**parameters: str) -> tuple[SimulatedCall, MediaStream]:
    call = SimulatedCall(call_sid=CALL, stream_sid=SID, parameters=parameters)
    stream = MediaStream()
    for message in call.opening():
        assert not any(isinstance(event, Fault) for event in stream.receive(message))
    return call, stream


def test_opens_as_twilio_does() -> None:
    call = SimulatedCall(call_sid=CALL, stream_sid=SID, parameters={"token": 'a"b'})
    stream = MediaStream()
    events = [event for message in call.opening() for event in stream.receive(message)]
    assert events == [Connected(), Started(SID, CALL, "AC" + "0" * 32, {"token": 'a"b'})]


def test_what_the_caller_does_reaches_our_side_without_fault() -> None:
    call, stream = opened()
    name, mark = stream.mark("end")
    chunks = [VOICE, b"\xff" * 160, bytes(range(160))]
    messages = [call.speak(chunk) for chunk in chunks] + [call.press("#")]
    messages += [*call.receive(mark, 0.1), call.stop()]
    events = [event for message in messages for event in stream.receive(message)]
    assert events == [
        *(Media(chunk, 20 * index, index + 1) for index, chunk in enumerate(chunks)),
        DtmfReceived("#"),
        MarkReturned(name, was_cleared=False),
        Stopped(CALL),
    ]
    assert call.caller_track == b"".join(chunks)
    assert call.errors == []


def test_media_is_valid_json_as_documented() -> None:
    call, _ = opened()
    call.speak(VOICE)
    assert json.loads(call.speak(VOICE)) == {
        "event": "media",
        "sequenceNumber": "3",
        "streamSid": SID,
        "media": {
            "track": "inbound",
            "chunk": "2",
            "timestamp": "20",
            "payload": base64.b64encode(VOICE).decode(),
        },
    }


def test_a_cleared_mark_is_known_as_such() -> None:
    call, stream = opened()
    assert call.receive(stream.media(VOICE * 50), 0.0) == []
    name, mark = stream.mark("end")
    assert call.receive(mark, 0.0) == []
    assert call.advance(0.5) == []
    [returned] = call.receive(stream.clear(), 0.5)
    assert stream.receive(returned) == [MarkReturned(name, was_cleared=True)]
    call.advance(1.0)
    assert call.bot_track == VOICE * 25 + b"\xff" * 4000


def test_both_tracks_share_one_clock() -> None:
    call, stream = opened()
    caller = ScriptedCaller([CallerTurn(VOICE * 5)], listen_gap_s=0.2)
    call.receive(stream.media(VOICE * 10), 0.0)
    while caller.now_s < 1.0:
        tick(call, caller)
    assert len(call.caller_track) == len(call.bot_track) == 8000
    assert call.bot_track.rstrip(b"\xff") == VOICE * 10
    assert call.caller_track.index(0x10) == round(caller.records[0].started_s * 8000)


def test_after_hanging_up_or_loss_nothing_arrives() -> None:
    for end in (lambda call: call.stop(), lambda call: call.lose(1.0)):
        call, stream = opened()
        end(call)
        assert call.is_over
        assert call.receive(stream.mark()[1], 1.1) == []
    assert [(error.code, error.at_s) for error in call.errors] == [(31903, 1.0)]


def test_hanging_up_ends_with_stop() -> None:
    call, stream = opened()
    caller = ScriptedCaller()
    assert not tick(call, caller).is_hang_up
    caller.hang_up()
    last = tick(call, caller)
    assert last.is_hang_up
    assert stream.receive(last.messages[-1]) == [Fault("sequence_gap", "3 after 1"), Stopped(CALL)]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "7",
        '"event"',
        "[" * 20000,
        '{"event": "clear"}',
        '{"event": "clear", "streamSid": "MZ0"}',
        '{"event": "stop", "streamSid": "THIS"}',
        '{"event": ["media"], "streamSid": "THIS"}',
        '{"event": "media", "streamSid": "THIS"}',
        '{"event": "media", "streamSid": "THIS", "media": []}',
        '{"event": "media", "streamSid": "THIS", "media": {"payload": "/w="}}',
        '{"event": "media", "streamSid": "THIS", "media": {"payload": 7}}',
        '{"event": "mark", "streamSid": "THIS", "mark": {"name": 7}}',
        '{"event": "mark", "streamSid": "THIS", "mark": {}}',
    ],
)
def test_what_twilio_refuses_is_error_31951(message: str) -> None:
    call, _ = opened()
    assert call.receive(message.replace("THIS", SID), 0.5) == []
    assert [(error.code, error.at_s) for error in call.errors] == [(31951, 0.5)]


def test_binary_frames_are_error_31950() -> None:
    call, stream = opened()
    assert call.receive(stream.clear().encode(), 0.5) == []
    assert [error.code for error in call.errors] == [31950]


def test_more_than_ten_minutes_are_error_31931() -> None:
    call, stream = opened()
    for _ in range(11):
        call.receive(stream.media(b"\x10" * 480_000), 0.0)
    assert [error.code for error in call.errors] == [31931]
    assert "480000" in call.errors[0].detail


def test_errors_are_bounded() -> None:
    call, _ = opened()
    for _ in range(MAX_ERRORS + 5):
        call.receive("", 0.0)
    assert len(call.errors) == MAX_ERRORS


def test_no_such_key() -> None:
    with pytest.raises(ValueError, match="no DTMF key"):
        opened()[0].press("12")


def test_a_conversation_through_both_sides_of_the_wire() -> None:
    """A bot on MediaStream and a scripted caller, 20 ms at a time, without a clock."""
    call, stream = opened()
    caller = ScriptedCaller(
        [CallerTurn(VOICE * 10, label="a"), CallerTurn(VOICE * 10, over_s=0.5, label="b")]
    )
    loud, sent, ended = 0, [stream.media(VOICE * 25), stream.mark("hello")[1]], False
    while not ended and caller.now_s < 20:
        for message in sent:
            for reply in call.receive(message, caller.now_s):
                stream.receive(reply)
        sent = []
        step = tick(call, caller)
        ended = step.is_hang_up
        events: list[StreamEvent] = [e for m in step.messages for e in stream.receive(m)]
        assert not any(isinstance(event, Fault) for event in events)
        for event in events:
            if isinstance(event, Media) and event.payload == VOICE:
                loud += 1
                if loud == 15:
                    sent.append(stream.clear())
                if loud in {10, 20}:
                    sent += [stream.media(VOICE * 50), stream.mark("answer")[1]]
    first, second = caller.records
    assert first.response_ms == pytest.approx(0, abs=40)
    assert second.barge_in_ms == pytest.approx(100, abs=40)
    assert second.was_over_prompt
    assert stream.pending_marks == ()
    assert ended
    assert call.errors == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
MESSAGES = st.fixed_dictionaries(
    {"event": st.sampled_from(["media", "mark", "clear"]) | JSON, "streamSid": st.just(SID) | JSON},
    optional={
        "media": JSON | st.fixed_dictionaries({"payload": JSON | st.just("/w==")}),
        "mark": JSON | st.fixed_dictionaries({"name": JSON | st.just("\ud800")}),
    },
)


@given(st.lists(st.binary() | st.text() | MESSAGES, max_size=6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_our_side_cannot_make_it_raise(messages: list[str | bytes | dict[str, Any]]) -> None:
    call, stream = opened()
    caller = ScriptedCaller()
    for message in messages:
        raw = json.dumps(message) if isinstance(message, dict) else message
        for reply in call.receive(raw, caller.now_s):
            stream.receive(reply)
        tick(call, caller)
    assert len(call.bot_track) == len(call.caller_track)
