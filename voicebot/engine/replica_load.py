"""How full a recogniser process is: streams, and how long callers wait for finals. Pure.

Partials fill whatever time finals leave and are shed first, so a busy recogniser is no full one:
only finals that come late are told from a machine that has enough.
"""

from __future__ import annotations

from collections import deque

from voicebot.engine.wire import State
from voicebot.errors import Shortage

WINDOW_S = 10.0
LATE_S = 0.5
"""Finals later than this at p95 close the door for new streams."""
ENOUGH = 20
"""Finals in the window before they are judged."""
MOST = 2000
FAILING = 8
"""So many answers in a row that fail, of whatever streams: no other stream will do better."""
FAILING_S = 30.0
"""Then the door opens a crack, as nobody who is out can tell whether that has passed."""


class ReplicaLoad:
    """Admission of one process."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: streams at once."""
        self.capacity = capacity
        self.live = 0
        self.is_draining = False
        self._failures = 0  # since the last answer that was none
        self._failed_at = float("-inf")
        self._finals: deque[tuple[float, float]] = deque(maxlen=MOST)

    def final(self, seconds: float, now: float) -> None:
        """A final took so long from request to result."""
        self._finals.append((now, seconds))

    def answered(self, is_failed: bool, now: float) -> None:
        """Whether a request was answered, or failed."""
        self._failures = self._failures + 1 if is_failed else 0
        self._failed_at = now if is_failed else self._failed_at

    def is_failing(self, now: float) -> bool:
        """Whether all answers fail: the model or its device is not what it should be."""
        return self._failures >= FAILING and now - self._failed_at < FAILING_S

    def final_p95_s(self, now: float) -> float:
        """Of the last WINDOW_S; 0 where there are too few to tell."""
        while self._finals and now - self._finals[0][0] > WINDOW_S:
            self._finals.popleft()
        if len(self._finals) < ENOUGH:
            return 0.0
        waits = sorted(seconds for _, seconds in self._finals)
        return waits[len(waits) * 95 // 100]

    def state(self, now: float) -> State:
        """Whether another stream is taken; those that are live stay in any case."""
        if self.is_draining:
            return State.DRAINING
        return State.OPEN if self.shortage(now) is None else State.FULL

    def shortage(self, now: float) -> Shortage | None:
        """Why no other stream is taken."""
        if self.is_failing(now):
            return "failures"
        if self.live >= self.capacity:
            return "slots"
        return "time" if self.final_p95_s(now) > LATE_S else None
