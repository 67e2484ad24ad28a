"""The audio of many calls gathered, and read at once just before it is heard.

A chunk that is read alone costs four times what it costs among others: caches are cold
(load/LOG.md). It would wait for the next step of hearing anyway; so it waits unread. What is no
audio is read when it comes, after what came before it on its connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

TICK_S = 0.020
"""Between two readings: a chunk of each call, and the engine's step (BUSY_TICK_S there)."""


class Held(Protocol):
    """Who holds something back (media_wire.MediaProtocol)."""

    def read_held(self) -> None:
        """Read it now."""


class Gathering:
    """Of all connections of a process. Belongs to the event loop."""

    def __init__(
        self,
        pace: Callable[[bool], object] = lambda is_paced: None,
        step: Callable[[], object] = lambda: None,
    ) -> None:
        """`pace`: from now on `step` alone makes the engine hear, or it does by itself again."""
        self._pace, self._step = pace, step
        self._holding: list[Held] = []
        self.is_on = False
        """Whether `tick` comes, so that audio may be held."""

    def add(self, held: Held) -> None:
        """This one holds something, since it was read last."""
        self._holding.append(held)

    def begin(self) -> None:
        """There are calls enough; `tick` will come every TICK_S."""
        if not self.is_on:
            self.is_on = True
            self._pace(True)

    def tick(self) -> None:
        """Read what was held, then hear it."""
        holding, self._holding = self._holding, []
        for held in holding:
            held.read_held()
        self._step()

    def end(self) -> None:
        """No more ticks."""
        if self.is_on:
            self.is_on = False
            self.tick()
            self._pace(False)
