"""Tries to have a lost device again: beside the calls, and less and less often."""

from __future__ import annotations

import threading
from collections.abc import Callable

from voicebot.engine.hearing_device.machine import Machine

FIRST_S, MOST_S = 10.0, 600.0
"""Between two tries, and after so long on the device the first of them again. After an error of
its own CUDA computes no more in this process, and each try ends at once; a device that was short
of memory, or hung, or was taken by another program for a while, comes back."""
Start = Callable[[Callable[[], None]], None]


def in_a_thread(work: Callable[[], None]) -> None:
    """To record a device's stages takes seconds: calls are heard on the CPU meanwhile."""
    threading.Thread(target=work, name="voicebot-device", daemon=True).start()


class Revival:
    """Asked from the thread that hears."""

    def __init__(self, make: Callable[[], Machine], *, start: Start = in_a_thread) -> None:
        """`make` takes the device's memory and records its stages, or raises."""
        self._make, self._start = make, start
        self._wait_s = FIRST_S
        self._next_at: float | None = None  # None: the device is there, or a try is under way
        self._back_at = float("-inf")
        self._made: list[Machine | None] = []

    def lost(self, now: float) -> None:
        """From now on it is tried."""
        if now - self._back_at > MOST_S:
            self._wait_s = FIRST_S
        self._next_at = now + self._wait_s

    def look(self, now: float) -> Machine | None:
        """The device, once a try has had it. At most one try is under way."""
        if self._made:
            made = self._made.pop()
            if made is not None:
                self._back_at = now
                return made
            self._next_at = now + self._wait_s
        if self._next_at is not None and now >= self._next_at:
            self._next_at = None
            self._wait_s = min(2 * self._wait_s, MOST_S)
            self._start(self._try)
        return None

    def _try(self) -> None:
        try:
            self._made.append(self._make())
        except Exception:  # whatever it is: it was told when the device was lost
            self._made.append(None)
