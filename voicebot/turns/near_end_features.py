"""What tells the caller's voice from the bot's own echo, as numbers: a vector for each window.

Bands of what came in, of what the canceller left, of what it took away and of what the
loudspeaker played; how much usually leaks; and whether what is left looks like the reference of
another moment, as it does after a step of the delay. Pure; many calls at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from voicebot.compiled import compiled
from voicebot.turns.near_end_match import (
    BANDS,
    EARLIER_LAGS,
    FLOOR_DB,
    LAGS,
    LATER_LAGS,
    SentMatch,
    match,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BANDS", "EARLIER_LAGS", "FEATURES", "LATER_LAGS", "NearEndFeatures", "Windows"]

WINDOW_SAMPLES = 256
"""Samples in one window, Silero's: 32 ms at 8 kHz."""
FEATURES = 10 * BANDS + LAGS + EARLIER_LAGS + 13
"""Length of one window's feature vector; its parts are told in `NearEndFeatures.compute`."""

_EDGES_HZ = (
    # near the Bark scale (Zwicker 1961)
    *(90, 190, 280, 380, 480, 590, 710, 850, 1000),
    *(1170, 1370, 1600, 1850, 2150, 2500, 3000, 3700),
)
_POWER_FLOOR = np.float32(1e-9)
_LOUD_DB = np.float32(-60.0)  # a band of the reference above this can leave an audible echo
_REVERB_DB = np.float32(2.0)  # fall per window of the reference's tail: 60 dB in about 1 s
_LEAK_UP_DB, _LEAK_DOWN_DB = np.float32(0.28), np.float32(0.12)  # tracks the 70th percentile
_FLOOR_UP_DB, _FLOOR_DOWN = np.float32(0.05), np.float32(0.2)
_START_LEAK_DB = np.float32(-20.0)
_COHERENCE_LEAK = np.float32(0.75)  # of its sums: about 130 ms
_LONG_SETTLED_MS = np.float32(4000.0)
_LOUDEST = np.float32(8.0)  # what a canceller that is wrong may make of full scale
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


@dataclass(frozen=True, slots=True)
class Windows:
    """The next window of n calls, as the ears have it. Sound is float32[n, 256], full scale +-1."""

    near: NDArray[np.float32]
    """As received."""
    clean: NDArray[np.float32]
    """After the linear canceller."""
    far: NDArray[np.float32]
    """What was sent, where its echo is expected; zeros while the delay is not known."""
    sent: NDArray[np.float32]
    """What is sent meanwhile."""
    speech: NDArray[np.float32]
    """[n]: Silero on clean."""
    residual_db: NDArray[np.float32]
    """[n]: the canceller's estimate of the echo left, dBFS."""
    delay: NDArray[np.int64]
    """[n]: of the echo, samples; negative while it is not known."""
    is_locked: NDArray[np.bool_]
    """[n]: the filter has followed the echo for a while."""
    is_verified: NDArray[np.bool_]
    """[n]: and was seen to explain it since this prompt began."""
    settled_ms: NDArray[np.int32]
    """[n]: of echo since the lock or the last step of the delay."""


class NearEndFeatures:
    """What tells the caller from the echo, for many calls at once; a slot each."""

    def __init__(self, slots: int) -> None:
        self._tail = np.empty((slots, BANDS), np.float32)  # decaying peak of the reference, dBFS
        self._leak = np.empty((slots, BANDS), np.float32)  # echo left, relative to the tail, dB
        self._floor = np.empty((slots, BANDS), np.float32)  # the line's own noise, dBFS
        self._peak = np.empty(slots, np.float32)  # decaying peak of what came in, dBFS
        self._age = np.empty((slots, 2), np.float32)  # windows of the reference: on, silent
        self._common = np.empty((slots, 3, BANDS), np.float32)  # leaky: cross, clean, echo
        self._match = SentMatch(slots)
        self.reset(slice(None))

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self._tail[slot] = FLOOR_DB
        self._leak[slot] = _START_LEAK_DB
        self._floor[slot] = FLOOR_DB
        self._peak[slot] = FLOOR_DB
        self._age[slot] = 0.0
        self._common[slot] = 0.0
        self._match.reset(slot)

    def compute(self, slots: NDArray[np.intp], windows: Windows) -> NDArray[np.float32]:
        """float32[n, FEATURES] of the next window of `slots` (intp[n], distinct).

        Per band, dBFS: near, clean, near - clean (the echo as estimated), far; the reverberating
        tail of far; clean above the echo to be expected (tail + leak); clean above the line's
        noise; the correlation of near with the estimated echo (-1..1); that of clean with it, over
        the last 130 ms; clean above the loudest that an echo sooner than expected may be of. Then
        how well clean matches what was sent, by lag (-1..1), and its level by the earlier lags.
        Then scalars: speech and its logit, residual_db, clean above it, lock, level of near, clean
        and far, near above its peak, windows since far began and since it fell silent, whether
        the filter is verified, and for how long it has followed.
        """
        n = len(slots)
        sound = np.concatenate((windows.near, windows.clean, windows.far, windows.sent))
        _taper(sound)
        spectra = np.asarray(fft.rfft(sound, axis=1, overwrite_x=True))
        features = np.empty((n, FEATURES), np.float32)
        slots = np.ascontiguousarray(slots, np.int64)
        scalars = np.empty((n, 5), np.float32)
        scalars[:, 0], scalars[:, 1] = windows.speech, windows.residual_db
        scalars[:, 2], scalars[:, 3] = windows.is_locked, windows.is_verified
        scalars[:, 4] = np.minimum(windows.settled_ms, _LONG_SETTLED_MS) / 1000
        state = self._tail, self._leak, self._floor, self._peak, self._age, self._common
        kept = self._match
        sent = np.ascontiguousarray(windows.delay, np.int64), kept.next, kept.mean, kept.sent
        _describe(slots, spectra, scalars, *state, *sent, kept.sums, features)
        return features


@compiled("void(float32[:,::1])")
def _taper(sound: NDArray[np.float32]) -> None:
    """In place; what is damaged must not stick."""
    for row in range(len(sound)):
        for at in range(WINDOW_SAMPLES):
            sample = sound[row, at]
            if np.isnan(sample):
                sample = np.float32(0)
            sound[row, at] = min(max(sample, -_LOUDEST), _LOUDEST) * _TAPER[at]


@compiled("float32(float32)")
def _decibel(power: np.float32) -> np.float32:
    return np.float32(np.float32(10) * np.log10(power + _POWER_FLOOR))


@compiled(
    "void(complex64[::1], complex64[::1], complex64[::1], complex64[::1], float32[:,::1])",
)
def _sum_bands(
    near: NDArray[np.complex64],
    clean: NDArray[np.complex64],
    far: NDArray[np.complex64],
    sent: NDArray[np.complex64],
    bands: NDArray[np.float32],
) -> None:
    """Power in each band of near, clean, near - clean (the echo), far and what is sent, and what
    near and the echo have in common."""
    for band in range(BANDS):
        sums = np.zeros(6, np.float32)
        for k in range(_BINS[band], _BINS[band + 1]):
            x, y, z, s = near[k], clean[k], far[k], sent[k]
            real, imag = x.real - y.real, x.imag - y.imag
            sums[0] += x.real * x.real + x.imag * x.imag
            sums[1] += y.real * y.real + y.imag * y.imag
            sums[2] += real * real + imag * imag
            sums[3] += z.real * z.real + z.imag * z.imag
            sums[4] += s.real * s.real + s.imag * s.imag
            sums[5] += x.real * real + x.imag * imag
        for part in range(6):
            bands[part, band] = sums[part] * np.float32(_WINDOW_GAIN)


@compiled("UniTuple(float32, 4)(float32[:,::1], float32[:,::1], float32[::1])")
def _levels(
    bands: NDArray[np.float32], level: NDArray[np.float32], out: NDArray[np.float32]
) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Levels of the first five in dB, of four into `out` too; those of all their bands together."""
    totals = np.zeros(4, np.float32)
    for band in range(BANDS):
        for part in range(4):
            totals[part] += bands[part, band]
            level[part, band] = _decibel(bands[part, band])
            out[part * BANDS + band] = level[part, band]
        level[4, band] = _decibel(bands[4, band])
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


@compiled("void(float32[:,::1], float32[:,::1], float32[::1])")
def _correlate(
    bands: NDArray[np.float32], sums: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Near with the estimated echo; clean with it, over the last 130 ms: what a filter that is
    wrong leaves."""
    least = _POWER_FLOOR * _POWER_FLOOR
    for band in range(BANDS):
        near, clean, echo, cross = bands[0, band], bands[1, band], bands[2, band], bands[5, band]
        out[7 * BANDS + band] = cross / np.sqrt(near * echo + least)
        sums[0, band] = _COHERENCE_LEAK * sums[0, band] + (cross - echo)
        sums[1, band] = _COHERENCE_LEAK * sums[1, band] + clean
        sums[2, band] = _COHERENCE_LEAK * sums[2, band] + echo
        out[8 * BANDS + band] = sums[0, band] / np.sqrt(sums[1, band] * sums[2, band] + least)


@compiled(
    "void(int64[::1], complex64[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    "float32[:,::1], float32[::1], float32[:,::1], float32[:,:,::1], int64[::1], int64[::1],"
    "float32[:,:,::1], float32[:,:,::1], float32[:,:,::1], float32[:,::1])"
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
    commons: NDArray[np.float32],
    delays: NDArray[np.int64],
    places: NDArray[np.int64],
    means: NDArray[np.float32],
    sents: NDArray[np.float32],
    sums: NDArray[np.float32],
    features: NDArray[np.float32],
) -> None:
    """See NearEndFeatures.compute: `features` from `spectra` of near, clean, far and what is sent,
    [4 n, 129], and `scalars`, [n, 5]: speech, residual_db, is_locked, is_verified, settled s."""
    n = len(slots)
    bands = np.empty((6, BANDS), np.float32)
    level = np.empty((5, BANDS), np.float32)
    for row in range(n):
        slot = slots[row]
        out = features[row]
        near, clean, far, sent = (
            spectra[row],
            spectra[n + row],
            spectra[2 * n + row],
            spectra[3 * n + row],
        )
        _sum_bands(near, clean, far, sent, bands)
        totals = _levels(bands, level, out)
        _expect(level, tails[slot], leaks[slot], floors[slot], out)
        _correlate(bands, commons[slot], out)
        at = places[slot] % len(sents[slot])
        places[slot] = at + 1
        above, matched = out[9 * BANDS : 10 * BANDS], out[10 * BANDS : 10 * BANDS + LAGS]
        last = out[10 * BANDS + LAGS + EARLIER_LAGS :]
        ahead = out[10 * BANDS + LAGS : 10 * BANDS + LAGS + EARLIER_LAGS]
        now = means[slot], sents[slot], sums[slot]
        match(level[1], level[4], delays[row], at, *now, matched, ahead, above)
        speech, residual = scalars[row, 0], scalars[row, 1]
        likely = min(max(speech, np.float32(1e-3)), np.float32(1 - 1e-3))
        if np.isnan(residual):
            residual = np.float32(0)
        residual = min(max(residual, FLOOR_DB), np.float32(0))
        last[0], last[1] = speech, np.log(likely / (np.float32(1) - likely))
        last[2], last[3], last[4] = residual, totals[1] - residual, scalars[row, 2]
        last[5], last[6], last[7] = totals[0], totals[1], totals[3]
        last[8] = totals[0] - peaks[slot]
        peaks[slot] = max(totals[0], peaks[slot] - np.float32(0.25))
        _grow(totals[3], ages[slot])
        last[9], last[10] = ages[slot, 0], ages[slot, 1]
        last[11], last[12] = scalars[row, 3], scalars[row, 4]
        for index in range(FEATURES):
            value = out[index]
            if not np.isfinite(value):
                out[index] = FLOOR_DB if value < 0 else np.float32(0)
