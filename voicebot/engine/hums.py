"""Which of many stretches of sound are hums, looked at together: turns.articulation for batches.

The transforms of all frames are one call, which holds no lock; alone, most of the time went into
calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from voicebot.audio.pcm import FULL_SCALE, to_float
from voicebot.engine.rings import Samples
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.turns import articulation as one

Floats = NDArray[np.float32]
_TOGETHER = 2048
"""Frames of one call: what it works on stays in the core's cache."""
_TAPER = (one._TAPER / FULL_SCALE).astype(np.float32)
_SUMS = np.column_stack([one._BANDS, one._IS_HEARD, one._IS_HIGH]).astype(np.float32)
_BAND_COUNT = one._BANDS.shape[1]


def are_steady(spans: Sequence[Samples], min_ms: Sequence[float]) -> NDArray[np.bool_]:
    """articulation.is_steady of each, int16 at 8 kHz."""
    found = np.zeros(len(spans), bool)
    counts = [max(0, (len(span) - one._FRAME) // one._HOP + 1) for span in spans]
    group: list[int] = []
    size = 0
    for index in sorted(range(len(spans)), key=counts.__getitem__):
        if not counts[index]:
            continue
        if group and size + counts[index] > _TOGETHER:
            found[group] = _alike([spans[i] for i in group], [min_ms[i] for i in group])
            group, size = [], 0
        group.append(index)
        size += counts[index]
    if group:
        found[group] = _alike([spans[i] for i in group], [min_ms[i] for i in group])
    for index in np.flatnonzero(~found).tolist():
        found[index] = one.keeps_its_level(to_float(spans[index]))
    return found


def _alike(spans: Sequence[Samples], min_ms: Sequence[float]) -> NDArray[np.bool_]:
    """Of spans of about the same length."""
    rows = np.zeros((len(spans), max(map(len, spans))), np.int16)
    for row, span in zip(rows, spans, strict=True):
        row[: len(span)] = span
    frames = np.lib.stride_tricks.sliding_window_view(rows, one._FRAME, axis=1)[:, :: one._HOP]
    counts = np.array([(len(span) - one._FRAME) // one._HOP + 1 for span in spans])
    is_there = np.arange(frames.shape[1]) < counts[:, None]
    spectrum = scipy.fft.rfft(frames * _TAPER)  # numpy's takes four times as long in float32
    sums = (np.square(spectrum.real) + np.square(spectrum.imag)) @ _SUMS
    total = sums[..., _BAND_COUNT] + np.float32(1e-9)
    level_db = 10 * np.log10(total)
    bound = _percentile(level_db, is_there)[:, None] - one._RANGE_DB
    is_loud = is_there & (level_db > bound)
    loud = is_loud.sum(1)
    order = np.argsort(~is_loud, axis=1, kind="stable")  # the loud frames first, as they came
    is_first = np.arange(frames.shape[1]) < loud[:, None]
    shares = np.take_along_axis(sums / total[..., None], order[..., None], axis=1)
    shape = 10 * np.log10(shares[..., :_BAND_COUNT] + np.float32(one._FLOOR))
    change = np.abs(shape[:, one._STEP :] - shape[:, : -one._STEP]).mean(2)
    compared = np.maximum(loud - one._STEP, 0)
    changes = (change * is_first[:, one._STEP :]).sum(1) / np.maximum(compared, 1)
    high_db = 10 * np.log10(_percentile(shares[..., -1], is_first) + 1e-9)
    is_long = loud * one._HOP * 1000 / SAMPLE_RATE_HZ >= np.asarray(min_ms)
    found: NDArray[np.bool_] = (
        is_long & (compared > 0) & (changes < one.CHANGE_DB) & (high_db < one.HIGH_DB)
    )
    return found


def _percentile(values: Floats, counts: NDArray[np.bool_]) -> Floats:
    """The 90th, of those that count in each row."""
    ordered = np.sort(np.where(counts, values, np.float32(np.inf)), axis=1)
    place = 0.9 * np.maximum(counts.sum(1) - 1, 0)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts.sum(1) - 1, 0))
    row = np.arange(len(values))
    low, high = ordered[row, below], ordered[row, above]
    found: Floats = low + (high - low) * (place - below).astype(np.float32)
    return found
