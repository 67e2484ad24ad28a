"""What the shell asks of the rest: the call itself, its counters, its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from voicebot.server.admission import AdmittedCall
from voicebot.server.directory import CallDecision
from voicebot.server.media_socket import MediaSocket
from voicebot.telephony.media_stream import MediaStream


class RunCall(Protocol):
    """One call, from the accepted start message to its decision.

    Returns when the call is over for the bot; the socket may be open still. `receive`
    gives None when the caller, or a limit, ended the stream. What it raises is logged and
    counted; the caller then hears the spoken fallback.
    """

    def __call__(
        self, socket: MediaSocket, stream: MediaStream, admitted: AdmittedCall, /
    ) -> Awaitable[CallDecision | None]: ...


class Metrics(Protocol):
    """What the shell counts; every argument comes from a small fixed set of words."""

    def webhook(self, name: str, answer: str) -> None:
        """A webhook (`voice`, `action`, `status`) was answered so."""

    def fault(self, kind: str) -> None:
        """A peer's fault, or a limit it reached."""

    def refused(self, where: str, reason: str) -> None:
        """A request or handshake was refused."""

    def call_started(self) -> None:
        """A media stream was admitted."""

    def call_ended(self, how: str) -> None:
        """Its call ended: why, in one word or two."""

    def exposition(self) -> tuple[bytes, str]:
        """Everything counted, as Prometheus reads it, and its content type."""


class Journal(Protocol):
    """Where calls are looked up."""

    async def call(self, call_sid: str) -> Mapping[str, object] | None:
        """What is known of a call, JSON-able; None when unknown."""


class Uncounted:
    """Metrics that count nothing, for servers inside other programs and tests."""

    def webhook(self, name: str, answer: str) -> None:
        """Not counted."""

    def fault(self, kind: str) -> None:
        """Not counted."""

    def refused(self, where: str, reason: str) -> None:
        """Not counted."""

    def call_started(self) -> None:
        """Not counted."""

    def call_ended(self, how: str) -> None:
        """Not counted."""

    def exposition(self) -> tuple[bytes, str]:
        """Nothing."""
        return b"", "text/plain; version=0.0.4"
