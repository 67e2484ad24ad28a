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


@dataclass(frozen=True, slots=True)
class Failed:
    """A replica's process did not start, or has ended.

    `is_mistake`: of whoever asked for it; another try would end the same.
    """

    why: str
    is_mistake: bool = False


class Backoff:
    """When to start another replica after some have failed to."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first, self._most = first_s, most_s
        self._wait = first_s
        self._until = float("-inf")

    def may_start(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self._until

    def failed(self, now: float) -> float:
        """Another one did; seconds until the next, twice as long each time."""
        wait = self._wait
        self._until = now + wait
        self._wait = min(2 * wait, self._most)
        return wait

    def succeeded(self) -> None:
        """One runs: what was wrong has passed."""
        self._wait = self._first


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
