"""When the audio that was sent is heard, by marks and by the clock between them. Pure.

It tells what the caller has heard; the echo canceller's reference is `sent`, which no mark moves.
Positions count samples sent since the call began; times are samples of the inbound clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from voicebot.audio import mulaw
from voicebot.audio.sent import HISTORY_SAMPLES
from voicebot.events import SAMPLE_RATE_HZ

MAX_LAG_SAMPLES = SAMPLE_RATE_HZ
"""More than this between sending and hearing is a mark held up on its way back, not latency."""

LAG_MARKS = 8
"""The lag is the least of so many marks: on the way a mark may be held up, never hurried."""

JITTER_MARKS = 4
"""So many marks in a row must be late before audio moves, by the least of them."""

STEADY_SAMPLES = SAMPLE_RATE_HZ // 50
"""A mark within this of where it is expected moves nothing."""

STALL_SAMPLES = SAMPLE_RATE_HZ // 5
"""A mark later than this is no jitter: audio was held up as well and moves at once."""


@dataclass(slots=True)
class _Segment:
    """One message: `audio` begins at `position` and is heard from `at` on.

    `earliest_at` is when it would be heard without any delay on the way.
    """

    position: int
    audio: bytes
    earliest_at: int
    at: int

    @property
    def end(self) -> int:
        return self.position + len(self.audio)


class Placement:
    """Messages in the order sent, each with the time at which it is heard."""

    def __init__(self) -> None:
        """Nothing was sent."""
        self._segments: deque[_Segment] = deque()
        self._lags: deque[int] = deque(maxlen=LAG_MARKS)
        self._errors: deque[int] = deque(maxlen=JITTER_MARKS)  # of marks against `at`
        self.sent = 0
        """Samples sent."""

    @property
    def lag(self) -> int:
        """Samples from sending to hearing, and the mark's way back."""
        return min(self._lags, default=0)

    @property
    def ends_at(self) -> int:
        """When the last of what was sent has been heard."""
        if not self._segments:
            return 0
        last = self._segments[-1]
        return last.at + len(last.audio)

    def send(self, audio: bytes, now: int) -> None:
        """`audio` leaves now: heard after what was sent before, or as soon as it gets there."""
        earliest_at, at = now, now + self.lag
        if self._segments:
            last = self._segments[-1]
            earliest_at = max(earliest_at, last.earliest_at + len(last.audio))
            at = max(at, last.at + len(last.audio))
        self._segments.append(_Segment(self.sent, audio, earliest_at, at))
        self.sent += len(audio)
        while self._segments[0].at + len(self._segments[0].audio) < now - HISTORY_SAMPLES:
            self._segments.popleft()

    def position_at(self, at: int) -> int:
        """Samples heard at time `at`."""
        for segment in reversed(self._segments):
            if segment.at <= at:
                return min(segment.end, segment.position + at - segment.at)
        return self._segments[0].position if self._segments else self.sent

    def time_of(self, position: int) -> int:
        """When the sample before `position` has been heard; not for what is not yet sent."""
        segment = self._segment_before(position)
        return segment.at + position - segment.position if segment else 0

    def _segment_before(self, position: int) -> _Segment | None:
        found = (segment for segment in reversed(self._segments) if segment.position < position)
        return next(found, self._segments[0] if self._segments else None)

    def played(self, since: int, position: int, now: int) -> None:
        """A mark says that `position` was reached now; audio before `since` stays in place."""
        segment = self._segment_before(position)
        if segment is None:
            return
        into = position - segment.position
        self._lags.append(min(max(0, now - segment.earliest_at - into), MAX_LAG_SAMPLES))
        self._errors.append(now - segment.at - into)
        shift = self._shift()
        if shift:
            left = self._errors.pop() - shift
            self._errors.clear()  # they were measured against what no longer holds
            self._errors.append(left)
            self._move(since, shift)

    def _shift(self) -> int:
        """How far the last mark proves the placement wrong."""
        error = self._errors[-1]
        is_first = len(self._lags) == 1
        if abs(error) <= STEADY_SAMPLES and not is_first:
            return 0
        if error < 0 or error > STALL_SAMPLES or is_first:
            return error
        return min(self._errors) if len(self._errors) == JITTER_MARKS else 0

    def _move(self, since: int, shift: int) -> None:
        for segment in reversed(self._segments):
            if segment.end <= since:
                break
            latest_at = segment.earliest_at + MAX_LAG_SAMPLES
            segment.at = min(max(segment.at + shift, segment.earliest_at), latest_at)

    def cut(self, now: int) -> int:
        """What is not heard when a `clear` sent now gets there never will be; the position.

        It gets there, on the inbound clock, when a mark would have returned.
        """
        end = now + self.lag
        heard = self.position_at(end)
        while self._segments and self._segments[-1].at >= end:
            self._segments.pop()
        if self._segments:
            last = self._segments[-1]
            last.audio = last.audio[: end - last.at]
        return heard

    def audio(self, from_at: int, to_at: int) -> bytes:
        """mu-law heard in [from_at, to_at), silence where nothing plays."""
        heard = bytearray(mulaw.SILENCE * max(0, to_at - from_at))
        overlapping: list[_Segment] = []
        for segment in reversed(self._segments):
            if segment.at + len(segment.audio) <= from_at - MAX_LAG_SAMPLES:
                break
            overlapping.append(segment)
        for segment in reversed(overlapping):  # the placement of the later is known better
            start, end = max(segment.at, from_at), min(segment.at + len(segment.audio), to_at)
            if start < end:
                piece = segment.audio[start - segment.at : end - segment.at]
                heard[start - from_at : end - from_at] = piece
        return bytes(heard)
