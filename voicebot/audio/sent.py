"""What was sent, on a clock that nothing but the sending moves: the echo canceller's far end. Pure.

Twilio plays back to back what it gets. Whatever the way there and the echo's way back take, they
take the same for all of a prompt: placed where it would be heard without any delay, audio lies
before its echo by a time that does not change. A mark says later, and less surely, when something
was heard; audio moved by marks lies now before its echo, now behind it, torn at each move. The
same holds for what a `clear` cuts, which is on its way as long as the audio.
"""

from __future__ import annotations

from collections import deque

from voicebot.audio import mulaw
from voicebot.events import SAMPLE_RATE_HZ

HISTORY_SAMPLES = 10 * SAMPLE_RATE_HZ
"""How far back the reference reaches: more than any echo is late."""


class SentAudio:
    """Messages in the order sent, each where it is heard if nothing delays it.

    Times are samples of the inbound clock.
    """

    def __init__(self) -> None:
        """Nothing was sent."""
        self._messages: deque[tuple[int, bytes]] = deque()  # (begins at, mu-law)
        self.ends_at = 0
        """Where the last of it ends."""

    def send(self, audio: bytes, now: int) -> None:
        """`audio` leaves now, and follows what was sent before."""
        begins_at = max(now, self.ends_at)
        self._messages.append((begins_at, audio))
        self.ends_at = begins_at + len(audio)
        while _end(self._messages[0]) < now - HISTORY_SAMPLES:
            self._messages.popleft()

    def queued(self, now: int) -> int:
        """Samples that Twilio holds when what leaves now gets there."""
        return max(0, self.ends_at - now)

    def cut(self, now: int) -> None:
        """A `clear` leaves now."""
        while self._messages and self._messages[-1][0] >= now:
            self._messages.pop()
        if self._messages:
            begins_at, audio = self._messages[-1]
            self._messages[-1] = begins_at, audio[: now - begins_at]
        self.ends_at = min(self.ends_at, now)

    def between(self, from_at: int, to_at: int) -> bytes:
        """mu-law in [from_at, to_at), silence where nothing was sent."""
        for begins_at, sent in reversed(self._messages):
            if begins_at <= from_at:
                if to_at - begins_at <= len(sent):
                    return sent[from_at - begins_at : to_at - begins_at]  # nearly always
                break
        audio = bytearray(mulaw.SILENCE * max(0, to_at - from_at))
        for message in reversed(self._messages):
            begins_at, ends_at = message[0], _end(message)
            if ends_at <= from_at:
                break
            start, end = max(begins_at, from_at), min(ends_at, to_at)
            if start < end:
                part = message[1][start - begins_at : end - begins_at]
                audio[start - from_at : end - from_at] = part
        return bytes(audio)


def _end(message: tuple[int, bytes]) -> int:
    return message[0] + len(message[1])
