"""What one front end may do: its streams, their positions and their limits. Pure; time is `now`.

Every message passes here before the engine sees it: `take` gives it back, or says how the stream
is closed, or None where there is nothing to do. Other streams are never concerned.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicebot.engine.wire import (
    Ask,
    Audio,
    Close,
    Closed,
    Expect,
    FromFrontEnd,
    Open,
    Reason,
    read_expectation,
)
from voicebot.events import SAMPLE_RATE_HZ, Expectation

AUDIO_AHEAD_SAMPLES = 34 * SAMPLE_RATE_HZ
"""A stream may send so much at once: all that is kept of a call after a loss, and a little."""
AUDIO_RATE = 1.25
"""Samples per sample of time after that."""
REQUESTS_AHEAD, REQUESTS_PER_S = 60.0, 20.0
"""Partials come every 400 ms, looks for the hot word as often, finals with the turns."""
STREAM_IDLE_S = 60.0
KEPT_EXPECTATIONS = 4
"""Requests that wait may still name an earlier one."""


@dataclass(slots=True)
class _Stream:
    end_at: int  # where its audio ends
    since: float
    audio: float = AUDIO_AHEAD_SAMPLES  # tokens left
    requests: float = REQUESTS_AHEAD
    expectations: dict[int, Expectation] = field(default_factory=dict)


class Session:
    """The streams of one connection."""

    def __init__(self, most: int) -> None:
        """`most`: streams at once."""
        self._most = most
        self._streams: dict[int, _Stream] = {}
        self.unknown = 0
        """Messages to streams that are not open: those on their way when one was closed."""

    def __len__(self) -> int:
        return len(self._streams)

    def take(self, message: FromFrontEnd, now: float) -> FromFrontEnd | Closed | None:
        """The message if it may proceed; `Closed` if it ends its stream."""
        if isinstance(message, Open):
            return self._open(message, now)
        if not isinstance(message, Audio | Ask | Expect | Close):
            return message
        stream = self._streams.get(message.stream)
        if stream is None:
            self.unknown += 1
            return None
        reason = self._refusal(stream, message, now)
        if reason is not None:
            self.drop(message.stream)
            return Closed(message.stream, reason)
        if isinstance(message, Close):
            self.drop(message.stream)
        return message

    def expectation(self, ask: Ask) -> Expectation | None:
        """What the dialogue waits for where that is asked."""
        return self._streams[ask.stream].expectations.get(ask.expectation)

    def drop(self, stream: int) -> None:
        """It is closed, or got no place. Idempotent."""
        self._streams.pop(stream, None)

    def idle(self, now: float) -> list[Closed]:
        """Streams that said nothing for too long, dropped."""
        silent = [n for n, stream in self._streams.items() if now - stream.since > STREAM_IDLE_S]
        for number in silent:
            self.drop(number)
        return [Closed(number, Reason.IDLE) for number in silent]

    def _open(self, message: Open, now: float) -> Open | Closed:
        if message.stream in self._streams:
            self.drop(message.stream)
            return Closed(message.stream, Reason.DUPLICATE)
        if len(self._streams) >= self._most:
            return Closed(message.stream, Reason.TOO_MANY)
        self._streams[message.stream] = _Stream(message.at, now)
        return message

    def _refusal(
        self, stream: _Stream, message: Audio | Ask | Expect | Close, now: float
    ) -> Reason | None:
        passed, stream.since = max(0.0, now - stream.since), now
        audio = stream.audio + passed * SAMPLE_RATE_HZ * AUDIO_RATE
        stream.audio = min(AUDIO_AHEAD_SAMPLES, audio)
        stream.requests = min(REQUESTS_AHEAD, stream.requests + passed * REQUESTS_PER_S)
        match message:
            case Audio():
                return self._audio_refusal(stream, message)
            case Ask():
                stream.requests -= 1
                if stream.requests < 0:
                    return Reason.TOO_FAST
                if message.expectation and message.expectation not in stream.expectations:
                    return Reason.BAD_EXPECTATION
                return Reason.MISSING_AUDIO if message.end_at > stream.end_at else None
            case Expect():
                return self._expect_refusal(stream, message)
            case Close():
                return None

    def _audio_refusal(self, stream: _Stream, message: Audio) -> Reason | None:
        if message.at != stream.end_at:
            return Reason.OUT_OF_ORDER
        stream.audio -= len(message.mulaw)
        if stream.audio < 0:
            return Reason.TOO_FAST
        stream.end_at += len(message.mulaw)
        return None

    def _expect_refusal(self, stream: _Stream, message: Expect) -> Reason | None:
        stream.requests -= 1
        if stream.requests < 0:
            return Reason.TOO_FAST
        expectation = read_expectation(message.body)
        if expectation is None or message.number == 0:
            return Reason.BAD_EXPECTATION
        kept = stream.expectations
        kept[message.number] = expectation
        while len(kept) > KEPT_EXPECTATIONS:
            del kept[next(iter(kept))]
        return None
