"""What a simulated caller hears, and the echo of it that his telephone sends back. Pure."""

from __future__ import annotations

from collections import deque

import numpy as np

from voicebot.audio import mulaw

CHUNK = 160
"""Samples in 20 ms at 8 kHz."""
ECHO_LOSS_DB = 10.0
ECHO_DELAY_CHUNKS = 15
"""300 ms, there and back: a mobile telephone on loudspeaker."""
PEAK = 20000
"""Loudest sample of a caller: with his echo he stays within 16 bits."""

_ECHO = np.round(
    mulaw.decode(bytes(range(256))).astype(np.float64) * 10 ** (-ECHO_LOSS_DB / 20)
).astype(np.int16)
"""Echo of each mu-law code."""


class Ear:
    """Plays what the bot sent, 20 ms a step, as Twilio does: marks return once it was heard."""

    def __init__(self) -> None:
        self.is_hearing = False  # in the last step
        self._queue = bytearray()
        self._marks: deque[tuple[int, str]] = deque()  # (samples played when it is due, name)
        self._queued = 0
        self._played = 0
        self._line: deque[bytes] = deque([b""] * ECHO_DELAY_CHUNKS)  # on its way back

    def put(self, audio: bytes) -> None:
        """Audio to play after what waits."""
        self._queue += audio
        self._queued += len(audio)

    def put_mark(self, name: str) -> None:
        """A mark behind what waits."""
        self._marks.append((self._queued, name))

    def clear(self) -> list[str]:
        """Drops what waits; returns the names of all marks."""
        names = [name for _, name in self._marks]
        self._queue.clear()
        self._marks.clear()
        self._queued = self._played
        return names

    def step(self) -> list[str]:
        """Hears 20 ms; returns the names of the marks that are due."""
        heard = bytes(self._queue[:CHUNK])
        del self._queue[:CHUNK]
        self._played += len(heard)
        self.is_hearing = bool(heard)
        self._line.append(heard)
        names = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return names

    def echo(self) -> bytes:
        """What comes back now: up to 160 codes of the bot's voice; take it once a step."""
        return self._line.popleft()


def with_echo(near: np.ndarray[tuple[int], np.dtype[np.int16]], heard: bytes) -> bytes:
    """mu-law of the caller's int16[160] (peak PEAK) with the echo of the codes in `heard`."""
    mixed = near.copy()
    mixed[: len(heard)] += _ECHO[np.frombuffer(heard, np.uint8)]
    return mulaw.encode(mixed)
