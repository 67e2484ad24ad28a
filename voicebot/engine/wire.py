"""What front ends and recogniser processes say to each other. Bytes in, messages out; no socket.

A WebSocket message (binary, subprotocol PROTOCOL) holds one or more frames, so that the chunks of
many calls travel together. All integers are big-endian, positions are samples at 8 kHz on the
call's inbound clock:

    frame      u32 length of the body, u8 type, body
    from the front end
      0x01 open       u32 stream, u64 at         its audio begins at that position
      0x02 audio      u32 stream, u64 at, mu-law one byte a sample, gapless from `open` on
      0x03 expect     u32 stream, u32 number, JSON of an events.Expectation
      0x04 ask        u32 stream, u32 request, u32 utterance, u8 kind (scheduler.JobKind), u32
                      number of the expectation (0: none), u64 start_at, u64 end_at: within what
                      was sent; a newer partial replaces one that waits
      0x05 close      u32 stream
      0x06 ping       u32 nonce                  a heartbeat; answered by `load`
    from the recogniser
      0x81 opened     u32 stream
      0x82 closed     u32 stream, u8 reason, UTF-8 of one line that says why: refused, or ended
      0x83 answer     u32 stream, u32 request, JSON of an events.Hypothesis; empty when it failed
      0x84 load       u32 nonce, u32 live, u32 capacity, u8 state, u32 final p95 in ms

A peer's fault is a value (`Fault`), never an exception.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire_messages import (
    MAX_AT,
    MAX_AUDIO_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_SPAN_SAMPLES,
    MAX_WHY_BYTES,
    PROTOCOL,
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
)
from voicebot.events import Expectation, Hypothesis

__all__ = [
    "MAX_AT",
    "MAX_AUDIO_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_SPAN_SAMPLES",
    "MAX_WHY_BYTES",
    "PROTOCOL",
    "Answer",
    "Ask",
    "Audio",
    "Close",
    "Closed",
    "Expect",
    "Fault",
    "FromFrontEnd",
    "FromRecogniser",
    "Load",
    "Open",
    "Opened",
    "Ping",
    "Reason",
    "State",
    "encode",
    "from_front_end",
    "from_recogniser",
    "read_expectation",
    "write_expectation",
]

_HEAD = struct.Struct("!IB")
_OPEN = struct.Struct("!IQ")
_EXPECT = struct.Struct("!II")
_ASK = struct.Struct("!IIIBIQQ")
_STREAM = struct.Struct("!I")
_CLOSED = struct.Struct("!IB")
_ANSWER = struct.Struct("!II")
_LOAD = struct.Struct("!IIIBI")

_EXPECTATION = TypeAdapter(Expectation)
_HYPOTHESIS = TypeAdapter(Hypothesis)


# ---------------------------------------------------------------- out


def encode(message: FromFrontEnd | FromRecogniser) -> bytes:
    """One frame."""
    kind, body = _body(message)
    return _HEAD.pack(len(body), kind) + body


def _body(message: FromFrontEnd | FromRecogniser) -> tuple[int, bytes]:
    match message:
        case Audio():
            return 0x02, _OPEN.pack(message.stream, message.at) + message.mulaw
        case Ask():
            return 0x04, _ASK.pack(
                message.stream,
                message.request,
                message.utterance,
                message.kind,
                message.expectation,
                message.start_at,
                message.end_at,
            )
        case Answer():
            heard = message.hypothesis
            body = b"" if heard is None else _HYPOTHESIS.dump_json(heard, exclude_defaults=True)
            return 0x83, _ANSWER.pack(message.stream, message.request) + body
        case Open():
            return 0x01, _OPEN.pack(message.stream, message.at)
        case Expect():
            return 0x03, _EXPECT.pack(message.stream, message.number) + message.body
        case Close():
            return 0x05, _STREAM.pack(message.stream)
        case Ping():
            return 0x06, _STREAM.pack(message.nonce)
        case Opened():
            return 0x81, _STREAM.pack(message.stream)
        case Closed():
            why = message.why.encode()[:MAX_WHY_BYTES]
            return 0x82, _CLOSED.pack(message.stream, message.reason) + why
        case Load():
            return 0x84, _LOAD.pack(
                message.nonce, message.live, message.capacity, message.state, message.final_ms
            )


def write_expectation(expectation: Expectation) -> bytes:
    """The JSON of `Expect`, without what has its default."""
    return _EXPECTATION.dump_json(expectation, exclude_defaults=True)


# ---------------------------------------------------------------- in


def from_front_end(data: bytes) -> list[FromFrontEnd | Fault]:
    """The frames of a message; a fault is the last of them."""
    read: list[FromFrontEnd | Fault] = []
    for kind, body in _frames(data):
        read.append(_front_end(kind, body))
        if isinstance(read[-1], Fault):
            break
    return read


def from_recogniser(data: bytes) -> list[FromRecogniser | Fault]:
    """The same, of what a recogniser says."""
    read: list[FromRecogniser | Fault] = []
    for kind, body in _frames(data):
        read.append(_recogniser(kind, body))
        if isinstance(read[-1], Fault):
            break
    return read


@lru_cache(maxsize=128)
def read_expectation(body: bytes) -> Expectation | None:
    """None where it is none. Calls in the same state of a plan share one object."""
    try:
        return _EXPECTATION.validate_json(body)
    except ValidationError:
        return None


def _frames(data: bytes) -> Iterable[tuple[int, bytes]]:
    """(type, body); type -1 for what is no whole frame."""
    at = 0
    if not data:
        yield -1, b"empty message"
    while at < len(data):
        if len(data) - at < _HEAD.size:
            yield -1, b"half a frame"
            return
        length, kind = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if length > len(data) - at:
            yield -1, b"half a frame"
            return
        yield kind, data[at : at + length]
        at += length


def _front_end(kind: int, body: bytes) -> FromFrontEnd | Fault:
    try:
        match kind:
            case 0x02:
                stream, at = _OPEN.unpack_from(body)
                audio = body[_OPEN.size :]
                if not 0 < len(audio) <= MAX_AUDIO_BYTES or at > MAX_AT:
                    return Fault("audio of no or too great a length, or nowhere")
                return Audio(stream, at, audio)
            case 0x04:
                return _asked(*_ASK.unpack(body))
            case 0x01:
                stream, at = _OPEN.unpack(body)
                return Open(stream, at) if at <= MAX_AT else Fault("a stream that begins nowhere")
            case 0x03:
                stream, number = _EXPECT.unpack_from(body)
                return Expect(stream, number, body[_EXPECT.size :])
            case 0x05:
                return Close(*_STREAM.unpack(body))
            case 0x06:
                return Ping(*_STREAM.unpack(body))
    except struct.error:
        return Fault("a frame of the wrong length")
    return _no_frame(kind, body)


def _asked(
    stream: int,
    request: int,
    utterance: int,
    kind: int,
    expectation: int,
    start_at: int,
    end_at: int,
) -> Ask | Fault:
    if kind not in set(JobKind):
        return Fault("a request of no known kind")
    if not 0 <= end_at - start_at <= MAX_SPAN_SAMPLES or end_at > MAX_AT:
        return Fault("a request for no audio, or too much")
    return Ask(stream, request, utterance, JobKind(kind), expectation, start_at, end_at)


def _recogniser(kind: int, body: bytes) -> FromRecogniser | Fault:
    try:
        match kind:
            case 0x83:
                stream, request = _ANSWER.unpack_from(body)
                text = body[_ANSWER.size :]
                heard = _HYPOTHESIS.validate_json(text) if text else None
                return Answer(stream, request, heard)
            case 0x81:
                return Opened(*_STREAM.unpack(body))
            case 0x82:
                stream, reason = _CLOSED.unpack_from(body)
                return Closed(stream, Reason(reason), _one_line(body[_CLOSED.size :]))
            case 0x84:
                nonce, live, capacity, state, final_ms = _LOAD.unpack(body)
                return Load(nonce, live, capacity, State(state), final_ms)
    except (struct.error, ValueError):  # pydantic's ValidationError is a ValueError
        return Fault("a frame that does not say what its type promises")
    return _no_frame(kind, body)


def _one_line(raw: bytes) -> str:
    """What a peer says of a reason, fit for a log."""
    text = raw[:MAX_WHY_BYTES].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())


def _no_frame(kind: int, body: bytes) -> Fault:
    return Fault(body.decode() if kind == -1 else f"frame type {kind:#04x}")
