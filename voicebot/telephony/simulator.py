"""Twilio's side of a media stream, pure and in virtual time.

`SimulatedCall` turns what the caller does into Twilio's messages, and our messages into what
the caller hears. `tick` joins it to a `ScriptedCaller` for 20 ms; the dialer gives it a
socket and a clock, a test gives it neither. `now_s` counts from stream start.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicebot.telephony.media_stream import DTMF_KEYS
from voicebot.telephony.playback import RATE_HZ, Playback
from voicebot.telephony.scripted_caller import (
    CHUNK_S,
    CHUNK_SAMPLES,
    SILENT_CHUNK,
    CallerTurn,
    ScriptedCaller,
    Step,
)
from voicebot.telephony.turn_timing import TurnRecord

__all__ = [
    "CHUNK_S",
    "CallerTurn",
    "ScriptedCaller",
    "SimulatedCall",
    "Step",
    "StreamError",
    "Tick",
    "TurnRecord",
    "tick",
]

ACCOUNT_SID = "AC" + "0" * 32
BINARY_FRAME, INVALID_MESSAGE, BUFFER_OVERFLOW = 31950, 31951, 31931
CONNECTION_LOST = 31903
MAX_ERRORS = 100
"""Errors kept of one call; a broken server can make thousands."""
_SILENT_PAYLOAD = b2a_base64(SILENT_CHUNK, newline=False).decode()


@dataclass(frozen=True, slots=True)
class StreamError:
    """What Twilio would write into its error log."""

    code: int
    detail: str
    at_s: float


class SimulatedCall:
    """One media stream as Twilio holds it. Its messages are text frames ready to send."""

    def __init__(
        self,
        *,
        call_sid: str,
        stream_sid: str,
        account_sid: str = ACCOUNT_SID,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """`parameters` are the TwiML's <Parameter> values."""
        self.call_sid = call_sid
        self.stream_sid = stream_sid
        self.account_sid = account_sid
        self.playback = Playback()
        self.caller_track = bytearray()
        self.errors: list[StreamError] = []
        self.is_over = False
        self._parameters = dict(parameters or {})
        self._sequence = 1
        self._sid_json = json.dumps(stream_sid)

    @property
    def bot_track(self) -> bytes:
        """What the caller heard, mu-law, from stream start."""
        return bytes(self.playback.heard)

    # ------------------------------------------------------------ to our server

    def opening(self) -> list[str]:
        """`connected` and `start`; sending them is time 0."""
        media_format = {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1}
        start = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "customParameters": self._parameters,
            "mediaFormat": media_format,
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        started = {"event": "start", "sequenceNumber": "1", "start": start}
        return [_compact(connected), _compact({**started, "streamSid": self.stream_sid})]

    def speak(self, chunk: bytes) -> str:
        """Media message with the caller's next chunk, usually 160 bytes of mu-law."""
        number = len(self.caller_track) // CHUNK_SAMPLES + 1
        at_ms = len(self.caller_track) * 1000 // RATE_HZ
        self.caller_track += chunk
        if chunk == SILENT_CHUNK:
            payload = _SILENT_PAYLOAD
        else:
            payload = b2a_base64(chunk, newline=False).decode()
        self._sequence += 1
        # Written out: at fifty messages a second and call, json.dumps is what load tests pay.
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{number}","timestamp":"{at_ms}","payload":"{payload}"}},'
            f'"streamSid":{self._sid_json}}}'
        )

    def press(self, key: str) -> str:
        """DTMF message of one key."""
        if key not in DTMF_KEYS:
            raise ValueError(f"{key!r} is no DTMF key")
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": key})

    def advance(self, now_s: float) -> list[str]:
        """Plays to the caller until `now_s`; mark messages whose audio has ended."""
        return self._marks(self.playback.advance(now_s))

    def stop(self) -> str:
        """Stop message: the caller hung up, or the call was redirected."""
        self.is_over = True
        ids = {"accountSid": self.account_sid, "callSid": self.call_sid}
        return self._message("stop", stop=ids)

    def lose(self, now_s: float) -> None:
        """The connection breaks: nothing more arrives on either side."""
        self.is_over = True
        self._error(CONNECTION_LOST, "connection lost", now_s)

    def _marks(self, names: list[str]) -> list[str]:
        return [self._message("mark", mark={"name": name}) for name in names]

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence)}
        return _compact({**head, "streamSid": self.stream_sid, **fields})

    # ------------------------------------------------------------ from our server

    def receive(self, message: str | bytes, now_s: float) -> list[str]:
        """Takes one message of our server's; returns the mark messages it makes due.

        What Twilio would refuse is noted in `errors` and ignored, never raised.
        """
        if self.is_over:
            return []
        if not isinstance(message, str):
            self._error(BINARY_FRAME, "binary frame", now_s)
            return []
        try:
            return self._marks(self._take(json.loads(message), now_s))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._error(INVALID_MESSAGE, f"{type(error).__name__}: {error}"[:120], now_s)
            return []

    def _take(self, message: Any, now_s: float) -> list[str]:
        event = message["event"]
        if message["streamSid"] != self.stream_sid:
            raise ValueError("streamSid is not this stream's")
        if event == "media":
            return self._take_media(message["media"]["payload"], now_s)
        if event == "mark":
            name = message["mark"]["name"]
            if not isinstance(name, str):
                raise TypeError("mark name is not text")
            return self.playback.put_mark(name, now_s)
        if event == "clear":
            return self.playback.clear(now_s)
        raise ValueError(f"unknown event {event!r}")

    def _take_media(self, payload: str, now_s: float) -> list[str]:
        try:
            mulaw = a2b_base64(payload, strict_mode=True)
        except Base64Error as error:
            raise ValueError(f"payload: {error}") from None
        before = self.playback.discarded_samples
        returned = self.playback.put(mulaw, now_s)
        if discarded := self.playback.discarded_samples - before:
            self._error(BUFFER_OVERFLOW, f"{discarded} samples discarded", now_s)
        return returned

    def _error(self, code: int, detail: str, now_s: float) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(StreamError(code, detail, now_s))


@dataclass(frozen=True, slots=True)
class Tick:
    """Messages of 20 ms in sending order; the last is `stop` when the caller hung up."""

    messages: list[str]
    is_hang_up: bool


def tick(call: SimulatedCall, caller: ScriptedCaller, now_s: float | None = None) -> Tick:
    """Advances both by one chunk, to `now_s` (the chunk's end unless a real clock ran on)."""
    end_s = caller.now_s + CHUNK_S
    messages = call.advance(end_s if now_s is None else now_s)
    step = caller.step(call.playback)
    if step.hangs_up:
        return Tick([*messages, call.stop()], is_hang_up=True)
    messages += [call.press(key) for key in step.keys]
    return Tick([*messages, call.speak(step.chunk)], is_hang_up=False)


def _compact(message: Mapping[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"))
