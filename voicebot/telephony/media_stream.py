"""Twilio Media Streams as a sans-I/O state machine: text frames in, events out.

Nothing here raises on what the peer sends: a defect becomes a `Fault`. The message that
shows it is refused and the call goes on; only a broken handshake (`is_broken`) ends it.
Message formats: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DTMF_KEYS = frozenset("0123456789*#ABCD")
MAX_PENDING_MARKS = 4096
"""Beyond this the oldest mark is forgotten: a peer that returns none must not cost memory."""
_MAX_DETAIL_CHARS = 120
_MAX_LABEL_CHARS = 64
_USUAL_MEDIA = re.compile(
    r'\{"event":"media","sequenceNumber":"(\d{1,15})","media":\{"track":"inbound",'
    r'"chunk":"(\d{1,15})","timestamp":"(\d{1,15})","payload":"([A-Za-z0-9+/]+={0,2})"\},'
    r'"streamSid":"(\w{1,64})"\}',
    re.ASCII,
)
"""A media message to the letter as Twilio writes it: fifty a second and call."""


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Connected:
    """First message of a connection; there is no stream yet."""


@dataclass(frozen=True, slots=True)
class Started:
    """The media stream is open; `parameters` are the TwiML's <Parameter> values."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class Media(NamedTuple):
    """8 kHz mu-law audio of the caller, usually 160 bytes; `timestamp_ms` from stream start."""

    payload: bytes
    timestamp_ms: int
    chunk: int


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key, 0-9 * # A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class MarkReturned:
    """The audio before the mark has been heard, unless `was_cleared`."""

    name: str
    was_cleared: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """Twilio ended the media stream, as it does when the caller hangs up."""

    call_sid: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The peer broke the protocol. `kind` is a fixed word to count by, `detail` one line."""

    kind: str
    detail: str = ""


StreamEvent = Connected | Started | Media | DtmfReceived | MarkReturned | Stopped | Fault


class MediaStream:
    """One WebSocket connection of Twilio's, from its first message to its last.

    `receive` takes each message as it arrives; `media`, `mark` and `clear` build ours.
    `sequence_gaps` counts messages that Twilio numbered and we never saw.
    """

    def __init__(self, max_message_bytes: int = 65536, max_payload_bytes: int = 8000) -> None:
        """Messages above `max_message_bytes` and audio above `max_payload_bytes` are refused."""
        self.stream_sid = ""
        self.call_sid = ""
        self.is_connected = False
        self.is_started = False
        self.is_stopped = False
        self.is_broken = False
        self.sequence_gaps = 0
        self._max_message_bytes = max_message_bytes
        self._max_payload_bytes = max_payload_bytes
        self._last_sequence: int | None = None
        self._marks: dict[str, bool] = {}  # name -> was cleared
        self._marks_made = 0
        self._handlers: dict[str, Callable[[dict[str, Any]], list[StreamEvent]]] = {
            "connected": self._on_connected,
            "start": self._on_start,
            "media": self._on_media,
            "dtmf": self._on_dtmf,
            "mark": self._on_mark,
            "stop": self._on_stop,
        }

    @property
    def pending_marks(self) -> tuple[str, ...]:
        """Names of the marks that have not come back, oldest first."""
        return tuple(self._marks)

    # ------------------------------------------------------------ in

    def receive(self, message: str | bytes) -> list[StreamEvent]:
        """What this WebSocket message means. Never raises."""
        usual = self.usual_media(message)
        if usual is not None:
            return [usual]
        parsed = self._parse(message)
        if isinstance(parsed, Fault):
            return [parsed]
        event = parsed.get("event")
        if not isinstance(event, str):
            return [Fault("missing_event", _short(event))]
        handler = self._handlers.get(event)
        if handler is None:
            return [Fault("unknown_event", _short(event))]
        if self.is_broken:
            return [Fault("after_broken_handshake", event)]
        if event in {"connected", "start"}:
            return handler(parsed)
        refusal = self._refusal(event, parsed)
        if refusal is not None:
            return [refusal]
        return [*self._check_sequence(parsed), *handler(parsed)]

    def usual_media(self, message: str | bytes) -> Media | None:
        """The next chunk of audio where nothing at all is unusual about it.

        None: nothing was done; everything else, and every fault, is for `receive`, which comes to
        the same result for what is taken here.
        """
        if not isinstance(message, str) or not self.is_started or self.is_stopped:
            return None
        match = _USUAL_MEDIA.fullmatch(message)
        if match is None or self.is_broken or len(message) > self._max_message_bytes:
            return None
        number, chunk, timestamp_ms, encoded, sid = match.groups()
        sequence = int(number)
        if sid != self.stream_sid or self._last_sequence != sequence - 1:
            return None
        try:
            payload = a2b_base64(encoded, strict_mode=True)
        except Base64Error:
            return None
        if not 0 < len(payload) <= self._max_payload_bytes:
            return None
        self._last_sequence = sequence
        return Media(payload, int(timestamp_ms), int(chunk))

    def _parse(self, message: str | bytes) -> dict[str, Any] | Fault:
        if not isinstance(message, str):
            return Fault("binary_frame", f"{len(message)} bytes")
        size = len(message)
        if not message.isascii():
            size = len(message.encode("utf-8", "surrogatepass"))
        if size > self._max_message_bytes:
            return Fault("oversized_message", f"{size} bytes")
        try:
            parsed = json.loads(message)
        except (ValueError, RecursionError) as error:
            return Fault("malformed_json", _short(str(error)))
        if not isinstance(parsed, dict):
            return Fault("not_an_object", type(parsed).__name__)
        return parsed

    def _refusal(self, event: str, message: dict[str, Any]) -> Fault | None:
        """Why a message that belongs to a running stream cannot be accepted."""
        if not self.is_started:
            return Fault(f"{event}_before_start")
        if self.is_stopped:
            return Fault("duplicate_stop" if event == "stop" else "message_after_stop", event)
        sid = message.get("streamSid")
        if sid == self.stream_sid:
            return None
        return Fault("missing_stream_sid" if sid is None else "wrong_stream_sid", event)

    def _check_sequence(self, message: dict[str, Any]) -> list[StreamEvent]:
        """Notes what is missing or repeated; the message itself stays good."""
        number = _number(message.get("sequenceNumber"))
        if number is None:
            return [Fault("bad_sequence_number", _short(message.get("sequenceNumber")))]
        last, self._last_sequence = self._last_sequence, number
        if last is None or number == last + 1:
            return []
        if number <= last:
            return [Fault("sequence_repeated", f"{number} after {last}")]
        self.sequence_gaps += number - last - 1
        return [Fault("sequence_gap", f"{number} after {last}")]

    def _on_connected(self, message: dict[str, Any]) -> list[StreamEvent]:
        if self.is_connected or self.is_started:
            return [Fault("duplicate_connected")]
        if message.get("protocol", "Call") != "Call":
            return [self._broken("wrong_protocol", _short(message.get("protocol")))]
        self.is_connected = True
        return [Connected()]

    def _on_start(self, message: dict[str, Any]) -> list[StreamEvent]:
        if self.is_started:
            return [Fault("duplicate_start")]
        start = message.get("start")
        if not isinstance(start, dict):
            return [self._broken("bad_start", "no start object")]
        stream_sid, call_sid = start.get("streamSid"), start.get("callSid")
        if not _is_sid(stream_sid) or message.get("streamSid", stream_sid) != stream_sid:
            return [self._broken("bad_start", "streamSid missing or contradictory")]
        if not _is_sid(call_sid):
            return [self._broken("bad_start", "callSid missing")]
        if not _is_our_format(start.get("mediaFormat")):
            return [self._broken("wrong_media_format", _short(start.get("mediaFormat")))]
        early = [] if self.is_connected else [Fault("start_before_connected")]
        self.is_connected = self.is_started = True
        self.stream_sid, self.call_sid = str(stream_sid), str(call_sid)
        self._last_sequence = _number(message.get("sequenceNumber"))
        account_sid = start.get("accountSid")
        return [
            *early,
            Started(
                self.stream_sid,
                self.call_sid,
                _text(account_sid) if isinstance(account_sid, str) else "",
                _strings(start.get("customParameters")),
            ),
        ]

    def _on_media(self, message: dict[str, Any]) -> list[StreamEvent]:
        media = message.get("media")
        if not isinstance(media, dict):
            return [Fault("bad_media", "no media object")]
        if media.get("track", "inbound") != "inbound":
            return [Fault("wrong_track", _short(media.get("track")))]
        timestamp_ms, chunk = _number(media.get("timestamp")), _number(media.get("chunk"))
        if timestamp_ms is None or chunk is None:
            return [Fault("bad_media", "timestamp or chunk is not a number")]
        try:
            payload = a2b_base64(media.get("payload", ""), strict_mode=True)
        except (Base64Error, ValueError, TypeError) as error:
            return [Fault("bad_base64", _short(str(error)))]
        if not payload:
            return [Fault("empty_payload")]
        if len(payload) > self._max_payload_bytes:
            return [Fault("huge_payload", f"{len(payload)} bytes")]
        return [Media(payload, timestamp_ms, chunk)]

    def _on_dtmf(self, message: dict[str, Any]) -> list[StreamEvent]:
        digit = _inner(message, "dtmf", "digit")
        if not isinstance(digit, str) or digit.upper() not in DTMF_KEYS:
            return [Fault("bad_digit", _short(digit))]
        return [DtmfReceived(digit.upper())]

    def _on_mark(self, message: dict[str, Any]) -> list[StreamEvent]:
        name = _inner(message, "mark", "name")
        if not isinstance(name, str) or name not in self._marks:
            return [Fault("unknown_mark", _short(name))]
        return [MarkReturned(name, self._marks.pop(name))]

    def _on_stop(self, message: dict[str, Any]) -> list[StreamEvent]:
        self.is_stopped = True
        call_sid = _inner(message, "stop", "callSid")
        contradiction = call_sid is not None and call_sid != self.call_sid
        faults = [Fault("wrong_call_sid", _short(call_sid))] if contradiction else []
        return [*faults, Stopped(self.call_sid)]

    def _broken(self, kind: str, detail: str) -> Fault:
        self.is_broken = True
        return Fault(kind, detail)

    # ------------------------------------------------------------ out

    def media(self, mulaw: bytes) -> str:
        """Message that queues 8 kHz mu-law audio (no header, any length above 0) at Twilio."""
        self._assert_started()
        if not mulaw:
            raise ValueError("a media message needs audio")
        payload = b2a_base64(mulaw, newline=False).decode()
        sid = json.dumps(self.stream_sid)
        return f'{{"event":"media","streamSid":{sid},"media":{{"payload":"{payload}"}}}}'

    def mark(self, label: str = "") -> tuple[str, str]:
        """(unique name, message) of a mark that returns when the audio before it has ended."""
        self._assert_started()
        self._marks_made += 1
        name = f"{self._marks_made}:{label[:_MAX_LABEL_CHARS]}" if label else str(self._marks_made)
        if len(self._marks) >= MAX_PENDING_MARKS:
            del self._marks[next(iter(self._marks))]
        self._marks[name] = False
        return name, self._message("mark", mark={"name": name})

    def clear(self) -> str:
        """Message that empties Twilio's buffer. Every pending mark will return as cleared."""
        self._assert_started()
        self._marks = dict.fromkeys(self._marks, True)
        return self._message("clear")

    def _message(self, event: str, **fields: object) -> str:
        message = {"event": event, "streamSid": self.stream_sid, **fields}
        return json.dumps(message, separators=(",", ":"))

    def _assert_started(self) -> None:
        if not self.is_started:
            raise RuntimeError("nothing can be sent before Twilio's start message")


# ---------------------------------------------------------------- fields


def _number(value: object) -> int | None:
    """A whole number >= 0; Twilio sends numbers as strings."""
    if isinstance(value, str) and len(value) <= 15 and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return value
    return None


def _is_sid(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii()


def _is_our_format(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("encoding") == "audio/x-mulaw"
        and _number(value.get("sampleRate")) == 8000
        and _number(value.get("channels", 1)) == 1
    )


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {_text(key): _text(text) for key, text in value.items() if isinstance(text, str)}


def _text(value: str) -> str:
    """Valid Unicode: JSON can carry half a surrogate pair, which no file or database takes."""
    return value.encode("utf-8", "replace").decode()


def _inner(message: dict[str, Any], outer: str, name: str) -> object:
    value = message.get(outer)
    return value.get(name) if isinstance(value, dict) else None


def _short(value: object) -> str:
    """One bounded line, also of what is not text or not valid Unicode."""
    text = ascii(value)[1:-1] if isinstance(value, str) else ascii(value)
    return text if len(text) <= _MAX_DETAIL_CHARS else text[:_MAX_DETAIL_CHARS] + "..."
