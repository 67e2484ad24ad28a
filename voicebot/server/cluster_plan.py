"""How many replicas a cluster should run. Pure; time is `now`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BUSY_SHARE = 0.7
"""Of all places taken: another replica is started, which takes some seconds to load."""
IDLE_SHARE = 0.4
"""So few of the places taken that the others would have: one replica may go."""
IDLE_S = 120.0
"""Calls come and go: only who is not needed for so long is stopped."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a replica says of itself."""

    url: str
    live: int
    capacity: int
    is_full: bool = False


class Scaling:
    """Between `least` and `most` replicas, by their load."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, max(least, most)
        self._idle_since: float | None = None

    def wanted(self, running: int, known: Sequence[Health], now: float) -> int:
        """How many there should be; `running` counts those that still load, too."""
        if running < self._least:
            return self._least
        live = sum(replica.live for replica in known)
        capacity = sum(replica.capacity for replica in known)
        is_full = bool(known) and all(replica.is_full for replica in known)
        if is_full or live > BUSY_SHARE * capacity:
            self._idle_since = None
            # One at a time: what loads already will take calls, too.
            return min(self._most, running + 1) if len(known) == running else running
        others = capacity - max((replica.capacity for replica in known), default=0)
        if running <= self._least or live > IDLE_SHARE * others:
            self._idle_since = None
            return running
        self._idle_since = now if self._idle_since is None else self._idle_since
        if now - self._idle_since < IDLE_S:
            return running
        self._idle_since = None
        return running - 1
