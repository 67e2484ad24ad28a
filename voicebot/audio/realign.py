"""Where a learned echo path explains what is heard, after a step of the delay. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.kalman import PARTITIONS, KalmanFilter

if TYPE_CHECKING:
    from voicebot.audio.reference import Reference

STEP_BLOCKS = 10
"""The last 200 ms judge a step of the delay: what is older may lie before it."""
STEP_SHARE = 0.5
"""Of the predicted echo, to be found in the near end."""
STEP_LIKENESS = 0.35
"""Correlation coefficient of the two; independent noise of this band and length has some 0.05."""
SEARCH = range(-6, 7)
"""Samples around a delay that the tracker gives: its resolution is two, its peaks are wide."""
_STEP_DOUBT = 0.05  # of the path's power: the place is known to a sample, the room stayed
_MAX_SCALE = 4.0


def realign(
    learned: KalmanFilter, reference: Reference, slot: int, places: Sequence[int]
) -> int | None:
    """Move the reference to the best of `places` (samples late) and refine the path there.

    The first is where it is now: that one is kept without any change. None where the path
    explains nothing at any of them.
    """
    found = [_likeness(learned, reference, slot, place) for place in places]
    best = max(range(len(found)), key=lambda index: found[index][0])
    likeness, share = found[best]
    if likeness < STEP_LIKENESS or share < STEP_SHARE:
        return None
    if best:
        reference.place(slot, places[best])
        learned.scale(slot, min(share, _MAX_SCALE))
        rows = np.array([slot])
        learned.doubt(rows, _STEP_DOUBT)
        learned.replay(rows, *reference.heard(rows, STEP_BLOCKS, PARTITIONS, reference.shift[rows]))
    return places[best]


def _likeness(
    learned: KalmanFilter, reference: Reference, slot: int, place: int
) -> tuple[float, float]:
    """Were the reference read there: (correlation coefficient of the predicted echo with the near
    end of late, share of the prediction that is in it)."""
    if place < 0:
        return 0.0, 0.0
    heard, far = reference.heard(np.array([slot]), STEP_BLOCKS, PARTITIONS, np.array([place]))
    near, echo = heard[0], learned.predict(slot, far[0])
    product, energy = float(near @ echo), float(echo @ echo)
    scale = (energy * float(near @ near)) ** 0.5
    return product / max(scale, 1e-9), product / max(energy, 1e-9)
