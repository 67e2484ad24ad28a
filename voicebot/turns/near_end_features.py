"""What tells the caller's voice from the bot's own echo, as numbers: a vector for each window.

Bands of what came in, of what the canceller left, of what it took away and of what the
loudspeaker played; how much usually leaks; and whether what is left looks like the reference of
another moment, as it does after a step of the delay. Pure; many calls at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from voicebot.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_SAMPLES = 256
"""Samples in one window, Silero's: 32 ms at 8 kHz."""
BANDS = 16
LATER_LAGS, EARLIER_LAGS = 9, 6
"""Windows by which the echo may come later (0 to 256 ms) or earlier (32 to 192 ms) than the delay
that the canceller believes: steps of the delay between prompts are no larger."""
FEATURES = 8 * BANDS + LATER_LAGS + EARLIER_LAGS + 11
"""Length of one window's feature vector; its parts are told in `NearEndFeatures.compute`."""

_EDGES_HZ = (
    # near the Bark scale (Zwicker 1961)
    *(90, 190, 280, 380, 480, 590, 710, 850, 1000),
    *(1170, 1370, 1600, 1850, 2150, 2500, 3000, 3700),
)
_FLOOR_DB = np.float32(-90.0)  # below mu-law's smallest step; keeps log finite for silence
_POWER_FLOOR = np.float32(1e-9)
_LOUD_DB = np.float32(-60.0)  # a band of the reference above this can leave an audible echo
_REVERB_DB = np.float32(2.0)  # fall per window of the reference's tail: 60 dB in about 1 s
_LEAK_UP_DB, _LEAK_DOWN_DB = np.float32(0.28), np.float32(0.12)  # tracks the 70th percentile
_FLOOR_UP_DB, _FLOOR_DOWN = np.float32(0.05), np.float32(0.2)
_START_LEAK_DB = np.float32(-20.0)
_MEAN_LEAK = np.float32(0.05)  # of the slow mean of each band, 0.6 s of sound
_MATCH_LEAK = np.float32(0.8)  # of the sums behind the match: about 160 ms
_RANGE_DB = np.float32(20.0)
_SOUND_DB = np.float32(-70.0)  # a band below this holds nothing that a mean should follow
_SILENT_DB = np.float32(-55.0)  # of the whole reference
_PAUSE = 8  # windows without reference after which it begins anew
_OLD = 64


_TAPER = np.sin(np.pi * (np.arange(WINDOW_SAMPLES) + 0.5) / WINDOW_SAMPLES).astype(np.float32)
_WINDOW_GAIN = 4.0 / (float(np.sum(_TAPER**2)) * WINDOW_SAMPLES)  # 0 dB: a full-scale sine


_BINS = np.searchsorted(np.arange(WINDOW_SAMPLES // 2 + 1) * 8000 / WINDOW_SAMPLES, _EDGES_HZ)
"""Of a windowed spectrum, where each band begins; and where the last ends."""


def _band_matrix() -> NDArray[np.float32]:
    """float32[129, BANDS]: sums the power of a windowed spectrum's bins as one product, for whom
    that is cheaper than a loop (a device)."""
    bins = np.arange(WINDOW_SAMPLES // 2 + 1)[:, None]
    inside = (bins >= _BINS[:-1]) & (bins < _BINS[1:])
    return np.asarray(inside * _WINDOW_GAIN, dtype=np.float32)


class NearEndFeatures:
    """What tells the caller from the echo, for many calls at once; a slot each."""

    def __init__(self, slots: int) -> None:
        self._tail = np.empty((slots, BANDS), np.float32)  # decaying peak of the reference, dBFS
        self._leak = np.empty((slots, BANDS), np.float32)  # echo left, relative to the tail, dB
        self._floor = np.empty((slots, BANDS), np.float32)  # the line's own noise, dBFS
        self._peak = np.empty(slots, np.float32)  # decaying peak of what came in, dBFS
        self._age = np.empty((slots, 2), np.float32)  # windows of the reference: on, silent
        self._mean = np.empty((slots, 2, BANDS), np.float32)  # of clean and far, dBFS
        self._far = np.empty((slots, LATER_LAGS, BANDS), np.float32)  # newest first
        self._clean = np.empty((slots, EARLIER_LAGS + 1, BANDS), np.float32)
        self._sums = np.empty((slots, 3, LATER_LAGS + EARLIER_LAGS), np.float32)
        self.reset(slice(None))

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self._tail[slot] = _FLOOR_DB
        self._leak[slot] = _START_LEAK_DB
        self._floor[slot] = _FLOOR_DB
        self._peak[slot] = _FLOOR_DB
        self._age[slot] = 0.0
        self._mean[slot, 0], self._mean[slot, 1] = np.float32(-50.0), np.float32(-40.0)
        self._far[slot] = self._clean[slot] = 0.0
        self._sums[slot] = 0.0

    def compute(
        self,
        slots: NDArray[np.intp],
        near: NDArray[np.float32],
        clean: NDArray[np.float32],
        far: NDArray[np.float32],
        speech: NDArray[np.float32],
        residual_db: NDArray[np.float32],
        is_locked: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """float32[n, FEATURES] of the next window; arguments as `NearEndDetector.probabilities`.

        Per band, dBFS: near, clean, near - clean (the echo as estimated), far; the reverberating
        tail of far; clean above the echo to be expected (tail + leak); clean above the line's
        noise; the correlation of near with the estimated echo (-1..1). Then how well clean matches
        far when moved by each lag (-1..1). Then scalars: speech and its logit, residual_db, clean
        above it, lock, level of near, clean and far, near above its peak, windows since far began
        and since it fell silent.
        """
        n = len(slots)
        spectra = np.asarray(fft.rfft(np.concatenate((near, clean, far)) * _TAPER, axis=1))
        features = np.empty((n, FEATURES), np.float32)
        state = self._tail, self._leak, self._floor, self._peak, self._age
        match = self._mean, self._far, self._clean, self._sums
        slots = np.ascontiguousarray(slots, np.int64)
        scalars = np.empty((n, 3), np.float32)
        scalars[:, 0], scalars[:, 1], scalars[:, 2] = speech, residual_db, is_locked
        _describe(slots, spectra, scalars, *state, *match, features)
        return features


@compiled("float32(float32)")
def _decibel(power: np.float32) -> np.float32:
    return np.float32(np.float32(10) * np.log10(power + _POWER_FLOOR))


@compiled(
    "void(complex64[::1], complex64[::1], complex64[::1], float32[:,::1])",
)
def _sum_bands(
    near: NDArray[np.complex64],
    clean: NDArray[np.complex64],
    far: NDArray[np.complex64],
    bands: NDArray[np.float32],
) -> None:
    """Power in each band of near, clean, near - clean (the echo) and far, and what near and the
    echo have in common."""
    for band in range(BANDS):
        sums = np.zeros(5, np.float32)
        for k in range(_BINS[band], _BINS[band + 1]):
            x, y, z = near[k], clean[k], far[k]
            real, imag = x.real - y.real, x.imag - y.imag
            sums[0] += x.real * x.real + x.imag * x.imag
            sums[1] += y.real * y.real + y.imag * y.imag
            sums[2] += real * real + imag * imag
            sums[3] += z.real * z.real + z.imag * z.imag
            sums[4] += x.real * real + x.imag * imag
        for part in range(5):
            bands[part, band] = sums[part] * np.float32(_WINDOW_GAIN)


@compiled("UniTuple(float32, 4)(float32[:,::1], float32[:,::1], float32[::1])")
def _levels(
    bands: NDArray[np.float32], level: NDArray[np.float32], out: NDArray[np.float32]
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Levels of the first four in dB, into `out` too; those of all bands together."""
    totals = np.zeros(4, np.float32)
    for part in range(4):
        for band in range(BANDS):
            totals[part] += bands[part, band]
            level[part, band] = _decibel(bands[part, band])
            out[part * BANDS + band] = level[part, band]
    return (_decibel(totals[0]), _decibel(totals[1]), _decibel(totals[2]), _decibel(totals[3]))


@compiled("void(float32[:,::1], float32[::1], float32[::1], float32[::1], float32[::1])")
def _expect(
    level: NDArray[np.float32],
    tail: NDArray[np.float32],
    leak: NDArray[np.float32],
    floor: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """The reference's tail; clean above the echo to be expected, and above the line's noise.

    How much leaks is a slow percentile, so that talk passes it by; the noise a slow minimum,
    which falls fast and rises by 1.6 dB a second.
    """
    for band in range(BANDS):
        clean = level[1, band]
        tail[band] = max(level[3, band], tail[band] - _REVERB_DB)
        expected = tail[band] + leak[band]
        if tail[band] > _LOUD_DB:
            leak[band] += _LEAK_UP_DB if clean > expected else -_LEAK_DOWN_DB
        leak[band] = min(max(leak[band], np.float32(-60)), np.float32(20))
        gap = clean - floor[band]
        floor[band] += _FLOOR_DOWN * gap if gap < 0 else min(gap, _FLOOR_UP_DB)
        out[4 * BANDS + band] = tail[band]
        out[5 * BANDS + band] = clean - expected
        out[6 * BANDS + band] = clean - floor[band]


@compiled("void(float32, float32[::1])")
def _grow(far_db: np.float32, age: NDArray[np.float32]) -> None:
    """Windows since the reference began after a pause, and of silence."""
    is_silent = far_db < _SILENT_DB
    age[1] = min(age[1] + 1, _OLD) if is_silent else 0
    if age[1] >= _PAUSE:
        age[0] = 0
    elif age[0] > 0 or not is_silent:
        age[0] = min(age[0] + 1, _OLD)


@compiled(
    "void(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    "float32[::1])"
)
def _match(
    level: NDArray[np.float32],
    mean: NDArray[np.float32],
    fars: NDArray[np.float32],
    cleans: NDArray[np.float32],
    sums: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Correlation of clean with far over all bands and the last 160 ms, at each lag.

    Both as deviation in dB from the band's slow mean. At an earlier lag it is the clean of some
    windows ago that is compared with far now, for the reference is not known ahead.
    """
    fars[1:] = fars[:-1].copy()
    cleans[1:] = cleans[:-1].copy()
    for band in range(BANDS):
        for into, part, of in ((cleans, 1, 0), (fars, 3, 1)):
            db = level[part, band]
            deviation = max(db, _SOUND_DB) - mean[of, band]
            into[0, band] = min(max(deviation, -_RANGE_DB), _RANGE_DB)
            if db > _SOUND_DB:
                mean[of, band] += _MEAN_LEAK * (db - mean[of, band])
    for lag in range(LATER_LAGS + EARLIER_LAGS):
        later, earlier = (lag, 0) if lag < LATER_LAGS else (0, lag - LATER_LAGS + 1)
        product = of_clean = of_far = np.float32(0)
        for band in range(BANDS):
            clean, far = cleans[earlier, band], fars[later, band]
            product += clean * far
            of_clean += clean * clean
            of_far += far * far
        sums[0, lag] = _MATCH_LEAK * sums[0, lag] + product
        sums[1, lag] = _MATCH_LEAK * sums[1, lag] + of_clean
        sums[2, lag] = _MATCH_LEAK * sums[2, lag] + of_far
        out[lag] = sums[0, lag] / np.sqrt(sums[1, lag] * sums[2, lag] + np.float32(1))


@compiled(
    "void(int64[::1], complex64[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    "float32[:,::1], float32[::1], float32[:,::1], float32[:,:,::1], float32[:,:,::1],"
    "float32[:,:,::1], float32[:,:,::1], float32[:,::1])"
)
def _describe(
    slots: NDArray[np.int64],
    spectra: NDArray[np.complex64],
    scalars: NDArray[np.float32],
    tails: NDArray[np.float32],
    leaks: NDArray[np.float32],
    floors: NDArray[np.float32],
    peaks: NDArray[np.float32],
    ages: NDArray[np.float32],
    means: NDArray[np.float32],
    fars: NDArray[np.float32],
    cleans: NDArray[np.float32],
    sums: NDArray[np.float32],
    features: NDArray[np.float32],
) -> None:
    """See NearEndFeatures.compute: `features` from `spectra` of near, clean and far, [3 n, 129],
    and `scalars`, [n, 3]: speech, residual_db, is_locked."""
    n = len(slots)
    bands = np.empty((5, BANDS), np.float32)
    level = np.empty((4, BANDS), np.float32)
    for row in range(n):
        slot = slots[row]
        out = features[row]
        _sum_bands(spectra[row], spectra[n + row], spectra[2 * n + row], bands)
        totals = _levels(bands, level, out)
        _expect(level, tails[slot], leaks[slot], floors[slot], out)
        for band in range(BANDS):
            scale = np.sqrt(bands[0, band] * bands[2, band] + _POWER_FLOOR * _POWER_FLOOR)
            out[7 * BANDS + band] = bands[4, band] / scale
        _match(level, means[slot], fars[slot], cleans[slot], sums[slot], out[8 * BANDS :])
        last = out[8 * BANDS + LATER_LAGS + EARLIER_LAGS :]
        speech, residual, locked = scalars[row, 0], scalars[row, 1], scalars[row, 2]
        likely = min(max(speech, np.float32(1e-3)), np.float32(1 - 1e-3))
        residual = min(max(residual, _FLOOR_DB), np.float32(0))
        last[0], last[1] = speech, np.log(likely / (np.float32(1) - likely))
        last[2], last[3], last[4] = residual, totals[1] - residual, locked
        last[5], last[6], last[7] = totals[0], totals[1], totals[3]
        last[8] = totals[0] - peaks[slot]
        peaks[slot] = max(totals[0], peaks[slot] - np.float32(0.25))
        _grow(totals[3], ages[slot])
        last[9], last[10] = ages[slot, 0], ages[slot, 1]
        for index in range(FEATURES):
            value = out[index]
            if not np.isfinite(value):
                out[index] = _FLOOR_DB if value < 0 else np.float32(0)
