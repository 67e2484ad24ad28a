"""What happens on a simulated call, for printing it live. Times count from stream start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndReason = Literal[
    "server_closed",  # our server closed the media stream
    "hung_up",  # the caller did
    "lost",  # the connection broke
    "rejected",  # <Reject>, before the call was answered
    "no_stream",  # the TwiML opened no media stream
    "refused",  # the WebSocket handshake failed
    "max",  # the call lasted max_s
]


@dataclass(frozen=True, slots=True)
class BotSpeaks:
    """The caller begins to hear the bot; `response_ms` when this answers a turn."""

    at_s: float
    response_ms: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class BotStops:
    """The bot has fallen silent, or was cut by a clear."""

    at_s: float
    was_cleared: bool = False


@dataclass(frozen=True, slots=True)
class Cleared:
    """Our server sent `clear`; `barge_in_ms` when it yields to a turn."""

    at_s: float
    barge_in_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CallerSpeaks:
    """First sample of a turn's speech."""

    at_s: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class CallerStops:
    """Last sample of a turn's speech."""

    at_s: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class KeySent:
    """The caller pressed a key."""

    at_s: float
    key: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over."""

    at_s: float
    reason: EndReason


CallEvent = BotSpeaks | BotStops | Cleared | CallerSpeaks | CallerStops | KeySent | Ended
