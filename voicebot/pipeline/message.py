"""A message that a caller leaves: from the tone to silence, a key, the limit, or the hang-up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from voicebot.errors import VoicebotError
from voicebot.events import SAMPLE_RATE_HZ, MessageTaken, TakeMessage

Keep = Callable[[str, bytes], Awaitable[str]]
"""Stores a message, `(id, mu-law)`; where it is. VoicebotError: it could not."""
EndedBy = Literal["silence", "key", "max", "hangup"]
SPEECH = 0.5
"""VAD probability from which a window counts as speech."""
TAIL_SAMPLES = SAMPLE_RATE_HZ // 2
"""Kept after the last speech: soft endings lie under the threshold."""


class MessageRecorder:
    """Fed with audio, the VAD's windows and keys; `ended_by` says when the message is over.

    Silence counts as far as the VAD has heard. Positions are on the inbound clock.
    """

    def __init__(self, take: TakeMessage, at: int) -> None:
        self._take = take
        self._start = at
        self._audio = bytearray()
        self._spoke_until = at
        self._heard_until = at
        self._is_ended = False

    def audio(self, at: int, mulaw: bytes) -> None:
        """The caller's audio from `at` on; what came before the start is left out."""
        skip = max(0, self._start - at)
        self._audio += mulaw[skip:]

    def heard(self, until: int, probability: float) -> None:
        """The VAD's judgement of the window that ends at `until`."""
        self._heard_until = max(self._heard_until, until)
        if probability >= SPEECH and until > self._start:
            self._spoke_until = max(self._spoke_until, until)

    def sooner(self, by: int) -> None:
        """If it has not begun yet, it begins `by` samples earlier in the audio: the sender had
        paused, and that much never was on its way."""
        if self._heard_until == self._start:
            self._start -= by
            self._spoke_until = self._heard_until = self._start

    def key(self, key: str) -> None:
        """A key, which may be the terminator."""
        self._is_ended = self._is_ended or key == self._take.terminator

    @property
    def ended_by(self) -> EndedBy | None:
        """Why the message is over; None while it goes on."""
        if self._is_ended:
            return "key"
        if len(self._audio) >= _samples(self._take.max_ms):
            return "max"
        if self._heard_until - self._spoke_until >= _samples(self._take.silence_ms):
            return "silence"
        return None

    async def taken(self, ended_by: EndedBy, keep: Keep | None) -> MessageTaken:
        """The message, stored by `keep` up to shortly after its last word; nothing said: none."""
        spoken = self._spoke_until - self._start
        seconds = min(spoken, len(self._audio)) / SAMPLE_RATE_HZ
        if spoken <= 0:
            return MessageTaken(self._take.id, 0.0, "", ended_by)
        if keep is None:
            return MessageTaken(self._take.id, seconds, "", ended_by, "messages are not kept here")
        try:
            file = await keep(self._take.id, bytes(self._audio[: spoken + TAIL_SAMPLES]))
        except VoicebotError as error:
            return MessageTaken(self._take.id, seconds, "", ended_by, str(error))
        return MessageTaken(self._take.id, seconds, file, ended_by)


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
