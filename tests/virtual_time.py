"""An event loop whose clock jumps to the next timer: a minute's call is tested in a second.

Only for code whose work happens on the loop: threads run in real time meanwhile.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_S = 5.0
"""Real seconds without any event or timer after which a test counts as hung."""


class _Selector(selectors.DefaultSelector):
    """Never waits for a timer; tells the loop how far to jump."""

    jump: Any = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            ready = super().select(PATIENCE_S)
            if not ready:
                raise RuntimeError("everything waits and no timer is set: the test hangs")
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` stands still while anything runs and jumps when everything waits."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.jump = self._jump
        self._virtual_s = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual_s

    def _jump(self, seconds: float) -> None:
        self._virtual_s += seconds


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
