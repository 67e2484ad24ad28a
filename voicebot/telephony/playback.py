"""Twilio's playback of our audio: its buffer, the marks in it, and what the caller hears.

Pure and in virtual time: `now_s` counts from the stream's start. Audio is played in the
order in which it came, at 8 kHz, without pacing by the sender; a mark returns when the audio
before it has ended, or at once when nothing is buffered; `clear` empties the buffer and
returns every pending mark. Source: twilio.md's references, Media Streams documentation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

RATE_HZ = 8000
MAX_BUFFERED_SAMPLES = 600 * RATE_HZ
"""Ten minutes; what exceeds them is discarded (31931)."""
UNDERRUN_S = 0.2
"""A gap below this inside the bot's speech is late audio, not a pause."""
_SILENCE = b"\xff"
_IDLE = b"\xff\x7f"
"""Both mu-law zeros: a bot that sends them is not heard."""


@dataclass(slots=True)
class Stretch:
    """The bot heard without a break, from its first sample that is not silence."""

    start_s: float
    end_s: float
    was_cleared: bool = False

    def is_over(self, now_s: float) -> bool:
        """Whether the break after it is longer than an underrun."""
        return self.was_cleared or now_s - self.end_s >= UNDERRUN_S


@dataclass(frozen=True, slots=True)
class Clearing:
    """A `clear` came at `at_s`; the last audible sample of the bot ended at `audible_until_s`."""

    at_s: float
    audible_until_s: float | None


class Playback:
    """One stream's playback. `heard` is mu-law from stream start, one byte per sample."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.stretches: list[Stretch] = []
        self.clearings: list[Clearing] = []
        self.discarded_samples = 0
        self.buffered_samples = 0
        self._queue: deque[bytes | str] = deque()  # audio, and marks between it
        self._offset = 0  # samples of the head that were played

    @property
    def audible_until_s(self) -> float | None:
        """End of the last bot audio heard so far; None before any."""
        return self.stretches[-1].end_s if self.stretches else None

    def is_bot_speaking(self, now_s: float) -> bool:
        """Whether bot audio is being heard, short underruns included."""
        return bool(self.stretches) and not self.stretches[-1].is_over(now_s)

    def put(self, mulaw: bytes, now_s: float) -> list[str]:
        """Buffers audio that arrived at `now_s`; returns the marks due until then."""
        returned = self.advance(now_s)
        room = MAX_BUFFERED_SAMPLES - self.buffered_samples
        self.discarded_samples += max(0, len(mulaw) - room)
        if mulaw := mulaw[:room]:
            self._queue.append(mulaw)
            self.buffered_samples += len(mulaw)
        return returned

    def put_mark(self, name: str, now_s: float) -> list[str]:
        """Places a mark behind what is buffered; returns the marks due, itself maybe."""
        returned = self.advance(now_s)
        if not self._queue:
            return [*returned, name]
        self._queue.append(name)
        return returned

    def clear(self, now_s: float) -> list[str]:
        """Empties the buffer; returns all pending marks."""
        returned = self.advance(now_s)
        if self.is_bot_speaking(now_s):
            self.stretches[-1].was_cleared = True
        self.clearings.append(Clearing(now_s, self.audible_until_s))
        returned += [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        self._offset = self.buffered_samples = 0
        return returned

    def advance(self, now_s: float) -> list[str]:
        """Plays until `now_s`; returns the names of the marks whose audio has ended."""
        due = int(now_s * RATE_HZ + 1e-6) - len(self.heard)
        returned: list[str] = []
        while self._queue:
            head = self._queue[0]
            if isinstance(head, str):
                self._queue.popleft()
                returned.append(head)
                continue
            if due <= 0:
                break
            due -= self._play(head, due)
        if due > 0:
            self.heard += _SILENCE * due
        return returned

    def _play(self, head: bytes, due: int) -> int:
        """Plays at most `due` samples of the queue's head; returns how many."""
        piece = head[self._offset : self._offset + due]
        self._offset += len(piece)
        if self._offset == len(head):
            self._queue.popleft()
            self._offset = 0
        self.buffered_samples -= len(piece)
        self._note(piece)
        self.heard += piece
        return len(piece)

    def _note(self, piece: bytes) -> None:
        start, end = len(self.heard), len(self.heard) + len(piece)
        if self.is_bot_speaking(start / RATE_HZ):
            self.stretches[-1].end_s = end / RATE_HZ
        elif speech := piece.lstrip(_IDLE):
            self.stretches.append(Stretch((end - len(speech)) / RATE_HZ, end / RATE_HZ))
