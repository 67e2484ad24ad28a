"""Whether a stretch of sound is articulated at all: speech is, a hum is not. Pure.

Whoever speaks changes the shape of the spectrum from one sound to the next; a hum changes its pitch
and its loudness at most, and has little above 1.5 kHz. Bands of a third of an octave and more do
not see the harmonics move. The hum of mains, a tone of the line or the noise of a fan may be as
bright as speech and keep their level as no voice does: where such a sound goes on, and nothing was
louder before, nobody spoke, though the bot's echo may be under it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANGE_DB = 2.5
"""Mean change of a band's share within 64 ms. Telephone sentences and keywords have 3.1 to 10,
digits 2 ("four", all vowel) to 8, hums and "mm-hm" 0.6 to 2.8 (99 % below 2.2; LOG.md)."""
HIGH_DB = -20.0
"""Share of what lies above HIGH_HZ in the frames that have most of it: hums have less."""
HIGH_HZ = 1500.0
TAIL_FRAMES, TAIL_SMOOTH, TAIL_HOP = 20, 7, 64
"""The last 240 ms, 160 of them begins of frames whose power is averaged over so many, every 8 ms:
a frame is as long as two periods of mains, and the pulses of a rectifier beat with it."""
TAIL_RANGE_DB, TAIL_BELOW_DB, TAIL_CHANGE = 2.0, 4.0, 0.04
"""Between the loudest and the weakest frame of the tail; from its middle to the loud frames of all
of it, the 95th percentile; share of the power that moves to other bands within 64 ms. Of 714
stretches of callers on quiet lines none ends so, of 705 over a hum 12 dB weaker two."""
SILENT_DB = -15.0
"""Power of a tapered frame; a tone of -56 dBFS has as much."""
_EDGES_HZ = (200, 400, 630, 920, 1270, 1720, 2320, 3150, 3700)
_FRAME, _HOP = 256, 128
_STEP = 4  # frames, 64 ms
_RANGE_DB = 15.0  # below the loud frames: what is softer is a pause
_FLOOR = 1e-4  # of a frame's power: -40 dB, the telephone's code
_TAPER = np.hanning(_FRAME)
_HZ = np.arange(_FRAME // 2 + 1) * SAMPLE_RATE_HZ / _FRAME
_IS_HEARD, _IS_HIGH = _HZ >= 100.0, _HZ >= HIGH_HZ
_BANDS = np.stack(
    [(low <= _HZ) & (high > _HZ) for low, high in pairwise(_EDGES_HZ)],
    axis=1,
).astype(np.float64)


def is_steady(samples: NDArray[np.float32], min_ms: float) -> bool:
    """Whether float32 samples at 8 kHz hold at least `min_ms` of sound, and no articulation, or end
    in a sound that keeps its level and is as loud as all before."""
    if len(samples) < _FRAME:
        return False
    return keeps_its_level(samples) or _is_hum(samples, min_ms)


def keeps_its_level(samples: NDArray[np.float32]) -> bool:
    """Whether float32 samples at 8 kHz end in a sound that goes on and on, the loudest of all."""
    if len(samples) < _FRAME + (TAIL_FRAMES + TAIL_SMOOTH) * TAIL_HOP:
        return False
    begin = (len(samples) - _FRAME) % TAIL_HOP  # the last frame ends with the samples
    frames = np.lib.stride_tricks.sliding_window_view(samples[begin:], _FRAME)[::TAIL_HOP] * _TAPER
    power = np.square(np.abs(np.fft.rfft(frames)))
    power = np.lib.stride_tricks.sliding_window_view(power, TAIL_SMOOTH, axis=0).mean(axis=-1)
    total = power[:, _IS_HEARD].sum(axis=1) + 1e-9
    level_db = 10 * np.log10(total)
    tail_db = level_db[-TAIL_FRAMES:]
    if not np.ptp(tail_db) < TAIL_RANGE_DB or tail_db.max() < SILENT_DB:
        return False
    shares = (power @ _BANDS / total[:, None])[-TAIL_FRAMES:]
    apart = _STEP * _HOP // TAIL_HOP
    change = np.abs(shares[apart:] - shares[:-apart]).sum(axis=1).mean() / 2
    is_loud = np.median(tail_db) > np.percentile(level_db, 95) - TAIL_BELOW_DB
    return bool(is_loud and change < TAIL_CHANGE)


def _is_hum(samples: NDArray[np.float32], min_ms: float) -> bool:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP] * _TAPER
    power = np.square(np.abs(np.fft.rfft(frames)))
    total = power[:, _IS_HEARD].sum(axis=1) + 1e-9
    level_db = 10 * np.log10(total)
    is_loud = level_db > np.percentile(level_db, 90) - _RANGE_DB
    if is_loud.sum() * _HOP * 1000 / SAMPLE_RATE_HZ < min_ms:
        return False
    bands = power[is_loud] @ _BANDS + _FLOOR * total[is_loud, None]
    shape = 10 * np.log10(bands / total[is_loud, None])
    if len(shape) <= _STEP or np.abs(shape[_STEP:] - shape[:-_STEP]).mean() >= CHANGE_DB:
        return False
    high = power[is_loud][:, _IS_HIGH].sum(axis=1) / total[is_loud]
    return bool(10 * np.log10(np.percentile(high, 90) + 1e-9) < HIGH_DB)
