"""Where a learned echo path explains what is heard, after a step of the delay. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.kalman import KalmanFilter
from voicebot.audio.kalman_model import PARTITIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    likenesses, shares = _likeness(learned, reference, slot, np.array(places))
    best = int(likenesses.argmax())
    likeness, share = float(likenesses[best]), float(shares[best])
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
    learned: KalmanFilter, reference: Reference, slot: int, places: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Were the reference read at each of these: (correlation coefficient of the predicted echo with
    the near end of late, share of the prediction that is in it)."""
    rows = np.full(len(places), slot)
    near, far = reference.heard(rows, STEP_BLOCKS, PARTITIONS, np.maximum(places, 0))
    echo = learned.predict(slot, far)
    product, energy = np.einsum("nt,nt->n", near, echo), np.einsum("nt,nt->n", echo, echo)
    scale = np.sqrt(energy * (near[0] @ near[0]))
    is_past = places >= 0  # the future is not known
    likeness = np.where(is_past, product / np.maximum(scale, 1e-9), 0.0)
    return likeness, np.where(is_past, product / np.maximum(energy, 1e-9), 0.0)
