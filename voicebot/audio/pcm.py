"""int16 and float32 samples into each other; full scale is 32768 = 1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE = 32768.0


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 of any shape to float32 within -1..1; exact."""
    return samples.astype(np.float32) * np.float32(1.0 / FULL_SCALE)


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """float32 of any shape, rounded; what exceeds full scale is clipped."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.asarray(np.clip(scaled, -32768, 32767), dtype=np.int16)
