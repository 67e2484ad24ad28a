"""What one media stream may cost. Pure; time is `now`."""

from __future__ import annotations

from dataclasses import dataclass

BURST_MESSAGES = 500
"""Tolerated at once: a network that stalled for ten seconds delivers as many chunks."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits of one media stream; seconds and messages."""

    messages_per_s: float = 200.0
    burst_messages: int = BURST_MESSAGES
    start_timeout_s: float = 5.0
    idle_timeout_s: float = 30.0
    max_call_s: float = 3600.0

    @property
    def max_dropped(self) -> int:
        """Dropped messages after which a stream is no telephone call: 100 s worth of the rate."""
        return int(100 * self.messages_per_s)


class TokenBucket:
    """`rate_per_s` sustained, `burst` at once; starts full."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._level = float(burst)
        self._at_s: float | None = None

    def take(self, now: float) -> bool:
        """True when one more fits."""
        if self._at_s is not None:
            gained = (now - self._at_s) * self._rate_per_s
            self._level = min(self._burst, self._level + max(0.0, gained))
        self._at_s = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def give_back(self) -> None:
        """What was taken last was not used."""
        self._level += 1.0
