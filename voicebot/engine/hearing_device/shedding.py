"""Which calls the CPU hears while the device is lost: as many as its steps have time for.

The others go on by keys. Whoever has been in his call longest is heard; who hangs up makes room for
one of the others. Nothing but arrays and numbers: time is `now`, in seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.rings import Rows

TICK_S = 0.020
"""Audio of a call comes every 20 ms."""
UTILISATION = 0.45
"""Share of a tick that steps take on average: one in a hundred takes 2.2 times as long."""
WEIGHT = 0.05
"""Of the newest step in the mean: a review sees some twenty."""
FEW = 16
"""Blocks of a step that tell what a call costs; in smaller batches it is mostly the step's own."""
MOST = 4.0
"""Times what a call costs by the mean: a step that took longer stood still for another reason."""
GONE_S = 1.0
"""A slot without audio for so long has no call that costs anything."""
REVIEW_S = 0.5
MORE, LESS = 1.1, 0.8
"""Calls over what there is time for, so that some lose their hearing; and so many that some have
it again. What is in between changes nothing: a call that is told to use keys should not be
told otherwise every second."""


class Reviewed(NamedTuple):
    """Slots whose calls are not heard any more, and those that are heard again."""

    lost: list[int]
    regained: list[int]


NOTHING = Reviewed([], [])


class Shedding:
    """One of each process, asked in the thread that hears; `places` from any."""

    def __init__(self, slots: int, call_s: float, *, tick_s: float = TICK_S) -> None:
        """`call_s`: what a block of one call costs on the CPU, as it was measured beforehand."""
        self._slots, self._tick_s = slots, tick_s
        self._call_s, self._other_s = call_s, 0.0
        self._began = np.zeros(slots, np.int64)  # smaller: longer in the call
        self._count = 0
        self._heard_at = np.full(slots, -np.inf)
        self._reviewed_at = -np.inf
        self.is_active = False
        """Whether the CPU hears in place of the device."""
        self.is_deaf = np.zeros(slots, np.bool_)
        """Of each slot: whether its call goes on by keys."""

    @property
    def places(self) -> int:
        """Calls that the CPU can hear at once, one at the least."""
        rest = UTILISATION * self._tick_s - self._other_s
        return min(self._slots, max(1, int(rest / max(self._call_s, 1e-9))))

    def opened(self, slot: int, now: float) -> bool:
        """A new call; whether it is heard."""
        self._count += 1
        self._began[slot] = self._count
        self.is_deaf[slot] = False
        self._heard_at[slot] = -np.inf
        is_full = self.is_active and len(self._carried(now)) >= self.places
        self.is_deaf[slot] = is_full
        self._heard_at[slot] = now
        return not is_full

    def came(self, slots: Rows, now: float) -> None:
        """Audio of these calls."""
        self._heard_at[slots] = now

    def measured(self, blocks: int, seconds: float, other_s: float) -> None:
        """A step of the CPU over so many blocks took so long, and what was done beside it."""
        self._other_s += WEIGHT * (min(other_s, self._tick_s) - self._other_s)
        if blocks >= min(FEW, self.places):
            call_s = min(seconds / blocks, MOST * self._call_s)
            self._call_s += WEIGHT * (call_s - self._call_s)

    # ------------------------------------------------------------ who is heard

    def begin(self, now: float, *, stood_s: float = 0.0) -> Reviewed:
        """The device is lost: as many as there is time for stay as they are. `stood_s`: how long
        nobody's audio was looked at until then."""
        self._heard_at += stood_s
        self.is_active = True
        return self._shed(now, self.places)

    def end(self) -> Reviewed:
        """The device is back: everybody is heard again."""
        self.is_active = False
        regained = np.flatnonzero(self.is_deaf).tolist()  # silent ones, too
        self.is_deaf[:] = False
        return Reviewed([], regained)

    def review(self, now: float) -> Reviewed:
        """Now and then: who must go on by keys, or need not any more."""
        if not self.is_active or now - self._reviewed_at < REVIEW_S:
            return NOTHING
        self._reviewed_at = now
        carried, places = len(self._carried(now)), self.places
        if carried > MORE * places:
            return self._shed(now, places)
        enough = min(places, max(1, int(LESS * places)))
        if carried < enough:
            deaf = self._deaf(now)
            first = deaf[np.argsort(self._began[deaf])][: enough - carried]
            self.is_deaf[first] = False
            return Reviewed([], first.tolist())
        return NOTHING

    def deaf_calls(self, now: float) -> int:
        """How many calls go on by keys."""
        return len(self._deaf(now))

    def _shed(self, now: float, places: int) -> Reviewed:
        carried = self._carried(now)
        newest = carried[np.argsort(self._began[carried])][places:]
        self.is_deaf[newest] = True
        self._reviewed_at = now
        return Reviewed(newest.tolist(), [])

    def _live(self, now: float) -> NDArray[np.bool_]:
        live: NDArray[np.bool_] = now - self._heard_at <= GONE_S
        return live

    def _carried(self, now: float) -> Rows:
        return np.flatnonzero(self._live(now) & ~self.is_deaf)

    def _deaf(self, now: float) -> Rows:
        return np.flatnonzero(self._live(now) & self.is_deaf)
