"""The life of a server process: starting, accepting, draining, stopped. Pure; time is `now`.

The first signal stops taking calls and lets live ones finish for up to `timeout_s`; then
they are ended. A second signal ends at once.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What the process is doing."""

    STARTING = "starting"  # models are loading
    ACCEPTING = "accepting"
    DRAINING = "draining"  # no new calls; live ones finish
    STOPPED = "stopped"


class Step(StrEnum):
    """What the shell has to do next while draining."""

    WAIT = "wait"
    END_CALLS = "end calls"  # the time is up: end what is live, then exit
    EXIT = "exit"  # nothing is live


class Drain:
    """Decides when to take calls, when to end them and when to exit."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline_s: float | None = None
        self.phase = Phase.STARTING

    @property
    def is_accepting(self) -> bool:
        """New calls are answered."""
        return self.phase is Phase.ACCEPTING

    def started(self) -> None:
        """Models are loaded. A signal that came before this wins."""
        if self.phase is Phase.STARTING:
            self.phase = Phase.ACCEPTING

    def signalled(self, now: float) -> None:
        """SIGTERM or SIGINT arrived; the second one means: at once."""
        if self.phase is Phase.DRAINING:
            self.phase = Phase.STOPPED
        elif self.phase is not Phase.STOPPED:
            self.phase = Phase.DRAINING
            self._deadline_s = now + self._timeout_s

    def stopped(self) -> None:
        """The server is going down by itself."""
        self.phase = Phase.STOPPED

    def step(self, *, busy: int, now: float) -> Step:
        """What to do now; `busy` counts live calls and decisions that Twilio has still to fetch."""
        if self.phase is Phase.STOPPED:
            return Step.END_CALLS if busy else Step.EXIT
        if self.phase is not Phase.DRAINING:
            return Step.WAIT
        if busy == 0:
            return Step.EXIT
        assert self._deadline_s is not None
        return Step.END_CALLS if now >= self._deadline_s else Step.WAIT
