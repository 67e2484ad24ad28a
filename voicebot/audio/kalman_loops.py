"""Loops of the Kalman filter over the slots of a block, their partitions and bins. Pure.

Each advances the state of all slots, which its caller holds, for the rows `slots` of one block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.kalman_model import (
    BINS,
    HALF,
    MATURE_BLOCKS,
    NEAR_FLOOR,
    NEAR_LEAK,
    NEAR_SHARES,
    PARTITIONS,
    TRANSITION,
)
from voicebot.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]
    Spectrum = NDArray[np.complex64]


@compiled("void(complex64[:,:,::1], complex64[:,::1], complex64[:,:,::1])")
def convolve(frames: Spectrum, path: Spectrum, sums: Spectrum) -> None:
    """Of [m, n + P - 1, BINS] frames with a path of P partitions: [m, n, BINS]."""
    for row in range(sums.shape[0]):
        for block in range(sums.shape[1]):
            for k in range(BINS):
                sums[row, block, k] = 0.0
            for p in range(PARTITIONS):
                for k in range(BINS):
                    x = frames[row, block + PARTITIONS - 1 - p, k]
                    sums[row, block, k] += x * path[p, k]


@compiled(
    "void(int64[::1], complex64[:,::1], int64[::1], complex64[:,:,::1], complex64[:,:,::1],"
    "float32[:,:,::1], complex64[:,::1], float32[:,::1])"
)
def predict(
    slots: Slots,
    spectra: Spectrum,
    heads: NDArray[np.int64],
    far: Spectrum,
    path: Spectrum,
    doubt: Signal,
    echo: Spectrum,
    uncertain: Signal,
) -> None:
    """Take in a far-end block; the predicted echo's spectrum and the power of what of it is
    uncertain, both [n, BINS]."""
    for row in range(len(slots)):
        slot = slots[row]
        head = (heads[slot] + 1) % PARTITIONS
        heads[slot] = head
        for k in range(BINS):
            far[slot, head, k] = spectra[row, k]
            echo[row, k] = 0.0
            uncertain[row, k] = 0.0
        for p in range(PARTITIONS):
            block = (head - p) % PARTITIONS
            for k in range(BINS):
                x = far[slot, block, k]
                echo[row, k] += x * path[slot, p, k]
                power = x.real * x.real + x.imag * x.imag
                uncertain[row, k] += power * doubt[slot, p, k]


@compiled(
    "void(int64[::1], float32[::1], complex64[:,::1], float32[:,::1], int64[::1],"
    "complex64[:,:,::1], float32[:,:,::1], float32[:,::1], int64[::1], float32[:,::1],"
    "complex64[:,:,::1])"
)
def learn(
    slots: Slots,
    learning: Signal,
    error: Spectrum,
    uncertain: Signal,
    heads: NDArray[np.int64],
    far: Spectrum,
    doubt: Signal,
    near: Signal,
    ages: NDArray[np.int64],
    inverse: Signal,
    gradient: Spectrum,
) -> None:
    """The near end's power is learnt; `inverse` [n, BINS], and the gradient of the path, by age."""
    young, mature = np.float32(NEAR_SHARES[0]), np.float32(NEAR_SHARES[1])
    for row in range(len(slots)):
        slot = slots[row]
        ages[slot] += 1
        progress = min(np.float32(ages[slot]) / np.float32(MATURE_BLOCKS), np.float32(1.0))
        share = young + (mature - young) * progress
        step = learning[row] * np.float32(1 - NEAR_LEAK)
        for k in range(BINS):
            e = error[row, k]
            power = near[slot, k] + step * (e.real * e.real + e.imag * e.imag - near[slot, k])
            near[slot, k] = max(power, NEAR_FLOOR)
            inverse[row, k] = learning[row] / (uncertain[row, k] + share * near[slot, k])
        for p in range(PARTITIONS):
            block = (heads[slot] - p) % PARTITIONS
            for k in range(BINS):
                gain = doubt[slot, p, k] * inverse[row, k]
                x, e = far[slot, block, k], error[row, k]
                real = x.real * e.real + x.imag * e.imag
                imag = x.real * e.imag - x.imag * e.real
                gradient[row, p, k] = complex(gain * real, gain * imag)


@compiled(
    "void(int64[::1], float32[:,::1], complex64[:,:,::1], int64[::1], complex64[:,:,::1],"
    "complex64[:,:,::1], float32[:,:,::1])"
)
def move(
    slots: Slots,
    inverse: Signal,
    moved: Spectrum,
    heads: NDArray[np.int64],
    far: Spectrum,
    path: Spectrum,
    doubt: Signal,
) -> None:
    """The path moves; what is uncertain of it shrinks by what was learnt, and grows with time."""
    stays = np.float32(TRANSITION**2)
    for row in range(len(slots)):
        slot = slots[row]
        for p in range(PARTITIONS):
            block = (heads[slot] - p) % PARTITIONS
            for k in range(BINS):
                x, before = far[slot, block, k], doubt[slot, p, k]
                learnt = (x.real * x.real + x.imag * x.imag) * before * HALF * inverse[row, k]
                w = path[slot, p, k] + moved[row, p, k]
                path[slot, p, k] = w
                left = before * max(np.float32(1.0) - learnt, np.float32(0.0)) * stays
                now = w.real * w.real + w.imag * w.imag
                doubt[slot, p, k] = left + now * (np.float32(1.0) - stays)
