"""Twilio and a caller's telephone, in virtual time: what is played, what the microphone hears."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import EchoPath, EchoStream
from voicebot.audio.pcm import to_float, to_int16
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from voicebot.telephony.playback import Playback

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORK_MS = 60
"""From us to Twilio, and the same back."""
MARK_STEP = 20
"""Samples to which the time of a returning mark is known, 2.5 ms."""


class Telephone:
    """Twilio and the caller's telephone: plays what is sent, sends what the microphone hears."""

    def __init__(
        self,
        caller: NDArray[np.float32],
        *,
        noise: NDArray[np.float32] | None = None,
        path: EchoPath | None = None,
        voice: NDArray[np.float32] | None = None,
        round_trip: int = 2 * NETWORK_MS * SAMPLE_RATE_HZ // 1000,
        mark_jitter_ms: float = 0.0,
        marks_late_ms: float = 0.0,
        marks_lost: float = 0.0,
        media_jitter_ms: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`caller`, `noise`: float32[samples], the whole call. `voice`: speech of the bot by
        which the echo's level is set; needed with `path`. `mark_jitter_ms`: how late marks
        return, beyond the network's least and `marks_late_ms` (mean; exponentially distributed,
        `seed`); `marks_lost`: share that does not. `media_jitter_ms`: how late what is sent
        arrives beyond the least (mean likewise); nothing overtakes what was sent before."""
        self._caller = caller if noise is None else caller + noise
        self._stream = None
        if path is not None:
            if voice is None:
                raise ValueError("an echo path needs the bot's voice to set its level by")
            self._stream = EchoStream(path, len(caller), voice)
        self._playback = Playback()
        self._way: deque[tuple[int, str, bytes | str]] = deque()  # (arrives at, what, content)
        self._round_trip = round_trip
        self._returning: list[tuple[int, str, bool]] = []
        self._jitter, self._media_jitter, self._marks_late = (
            ms * SAMPLE_RATE_HZ / 1000 for ms in (mark_jitter_ms, media_jitter_ms, marks_late_ms)
        )
        self._marks_lost = marks_lost
        self._rng = np.random.default_rng(seed)
        self._media_rng = np.random.default_rng(seed + 1)
        self.sent = bytearray()
        """mu-law that left the telephone since the call began."""
        self.echo = np.zeros(len(caller), np.float32)
        """The part of it that was echo."""

    @property
    def heard(self) -> bytes:
        """mu-law of the bot that the caller heard since the call began."""
        return bytes(self._playback.heard)

    def heard_in(self, begin: int, end: int) -> bytes:
        """A part of it."""
        return bytes(self._playback.heard[begin:end])

    @property
    def bot_seconds(self) -> float:
        """How long the bot was heard, gaps below 0.2 s included."""
        return sum(stretch.end_s - stretch.start_s for stretch in self._playback.stretches)

    def is_bot_heard(self, begin: int, end: int) -> bool:
        """Whether the bot was heard without a break from `begin` to `end`."""
        begin_s, end_s = begin / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ
        stretches = self._playback.stretches
        return any(s.start_s <= begin_s and s.end_s >= end_s for s in stretches)

    def bot_began(self) -> int | None:
        """The sample at which the bot was first heard."""
        stretches = self._playback.stretches
        return round(stretches[0].start_s * SAMPLE_RATE_HZ) if stretches else None

    def send(self, what: str, content: bytes | str, now: int) -> None:
        """`what`: "media", "mark" or "clear"."""
        arrives = now + self._round_trip
        if self._media_jitter:
            arrives += int(self._media_rng.exponential(self._media_jitter))
            arrives = max(arrives, self._way[-1][0] if self._way else 0)
        self._way.append((arrives, what, content))

    def step(self, at: int) -> tuple[bytes, list[tuple[int, str, bool]]]:
        """The 20 ms from `at` on: what comes from the caller; (when, mark, was cleared)."""
        end = at + CHUNK_SAMPLES
        while self._way and self._way[0][0] < end:
            self._deliver(*self._way.popleft())
        self._play(end)
        near = self._caller[at:end].copy()
        if self._stream is not None:
            heard = to_float(mulaw.decode(self.heard_in(at, end)))
            self.echo[at:end] = self._stream.process(heard)
            near += self.echo[at:end]
        payload = mulaw.encode(to_int16(near))
        self.sent += payload
        due = sorted(mark for mark in self._returning if mark[0] <= end)
        self._returning = [mark for mark in self._returning if mark[0] > end]
        return payload, due

    def _play(self, until: int) -> None:
        """In small steps, since marks return when the audio before them has ended."""
        while (played := len(self._playback.heard)) < until:
            step = min(until, played + MARK_STEP)
            self._return(self._playback.advance(step / SAMPLE_RATE_HZ), step)

    def _return(self, names: Sequence[str], at: int, *, was_cleared: bool = False) -> None:
        late = int(self._rng.exponential(self._jitter)) if self._jitter else 0
        late += int(self._marks_late)
        self._returning += [
            (at + late, name, was_cleared)
            for name in names
            if not self._marks_lost or self._rng.random() >= self._marks_lost
        ]

    def _deliver(self, at: int, what: str, content: bytes | str) -> None:
        now_s = at / SAMPLE_RATE_HZ
        self._play(at)
        if what == "clear":
            self._return(self._playback.clear(now_s), at, was_cleared=True)
        elif isinstance(content, str):
            self._return(self._playback.put_mark(content, now_s), at)
        else:
            if self._stream is not None:
                coded = self._stream.receive(to_float(mulaw.decode(content)))
                content = mulaw.encode(to_int16(coded))
            self._return(self._playback.put(content, now_s), at)
