"""What the Kalman filter of the echo path assumes: sizes, priors, noise, how transforms leak. Pure.

See kalman.py; devices compute by the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTITIONS = 12
"""240 ms of echo path."""
FFT = 2 * CHUNK_SAMPLES
BINS = CHUNK_SAMPLES + 1
TRANSITION = 0.998
"""Share of the echo path that stays over a block of 20 ms; what is lost is process noise."""
NEAR_LEAK = 0.75
"""Smoothing of the near end's power per bin: about 80 ms."""
NEAR_FLOOR = np.float32(CHUNK_SAMPLES * 10 ** (-78 / 10))
"""Noise of the telephone's 8-bit code at low levels."""
PRIOR_SHARE = 0.4
"""How much of the power that near and far end have in a bin is taken for the echo path's."""
PRIOR_NEAR_SHARE = 0.2  # and how much of the near end's for the near end's own
PRIOR_DECAY_MS = 35.0
"""Decay of the power expected behind the direct path."""
_EARLY_POWER = (
    0.03  # expected in the partition before the direct path, and half as much before that
)
_SMOOTH_BINS = 15
NEAR_SHARES = (0.25, 0.7)
"""Share of the near end's power that counts: it is measured as the whole error, echo included, of
which there is most at first. From the first to the second over MATURE_BLOCKS."""
MATURE_BLOCKS = 100
REHEARSAL_DOUBT = np.float32(1.5)
_OWN_BIN = 0.15
_OTHER_BINS = 3.0
HALF = np.float32(CHUNK_SAMPLES / FFT)
RAMP_STEPS = 64  # in a sample


def prior_shape(lead: int) -> NDArray[np.float32]:
    """Expected share of each partition, float32[PARTITIONS, 1]; the direct path is in `lead`."""
    age = np.arange(PARTITIONS) - lead
    late = np.exp(-np.maximum(age, 0) * 20.0 / PRIOR_DECAY_MS)
    share = np.where(age >= 0, late, _EARLY_POWER * 2.0 ** (1.0 + np.minimum(age, 0)))
    return np.asarray(share / share.sum(), np.float32)[:, None]


def _leakage() -> NDArray[np.float32]:
    """float32[BINS, BINS]: from the power of the far end's uncertain echo to that of the error.

    The error is known for one half of a transform. Cutting the other half off puts 1/4 of the
    power where it belongs and 1 / (pi d)^2 into bins an odd distance d away. The usual diagonal
    model puts 1/2 where it belongs and nothing elsewhere; between the harmonics of a voice, where
    all there is has leaked, it adapts to what it should ignore. The far end's own transform
    leaks as well: the weights are those that converged best (LOG.md).
    """
    distance = np.arange(1, FFT)
    leak = np.where(distance % 2 == 1, 1 / (FFT * np.sin(np.pi * distance / FFT)) ** 2, 0.0)
    kernel = np.concatenate(([_OWN_BIN], _OTHER_BINS * leak))
    matrix = np.zeros((BINS, BINS))
    for source in range(FFT):  # the bins above BINS mirror those below
        row = min(source, FFT - source)
        matrix[row] += kernel[(np.arange(BINS) - source) % FFT]
    return matrix.astype(np.float32)


LEAKAGE = _leakage()


def _ramps() -> NDArray[np.complex64]:
    """complex64[RAMP_STEPS, BINS]: delays of 0..0.5 and then -0.5..0 samples."""
    late = np.fft.fftfreq(RAMP_STEPS)
    return np.exp(-2j * np.pi * np.outer(late, np.arange(BINS)) / FFT).astype(np.complex64)


RAMPS = _ramps()


def smoothed(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over neighbouring bins of float32[BINS]."""
    padded = np.pad(power, _SMOOTH_BINS // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTH_BINS, 1 / _SMOOTH_BINS, np.float32), "valid")
