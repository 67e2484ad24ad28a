"""What tells the caller's voice from the bot's own echo, as numbers: a vector for each window.

Bands of what came in, of what the canceller left, of what it took away and of what the
loudspeaker played; how much usually leaks; and whether what is left looks like the reference of
another moment, as it does after a step of the delay. Pure; many calls at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

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


def _band_matrix() -> NDArray[np.float32]:
    """float32[129, BANDS]: sums the power of a windowed spectrum's bins, 0 dB = full-scale sine."""
    hz = np.arange(WINDOW_SAMPLES // 2 + 1) * 8000 / WINDOW_SAMPLES
    edges = np.asarray(_EDGES_HZ)
    inside = (hz[:, None] >= edges[:-1]) & (hz[:, None] < edges[1:])
    return np.asarray(inside * _WINDOW_GAIN, dtype=np.float32)


_TAPER = np.sin(np.pi * (np.arange(WINDOW_SAMPLES) + 0.5) / WINDOW_SAMPLES).astype(np.float32)
_WINDOW_GAIN = 4.0 / (float(np.sum(_TAPER**2)) * WINDOW_SAMPLES)


def _decibel(power: NDArray[np.float32]) -> NDArray[np.float32]:
    decibel: NDArray[np.float32] = 10 * np.log10(power + _POWER_FLOOR)
    return decibel


class NearEndFeatures:
    """What tells the caller from the echo, for many calls at once; a slot each."""

    def __init__(self, slots: int) -> None:
        self._bands = _band_matrix()
        self._tail = np.empty((slots, BANDS), np.float32)  # decaying peak of the reference, dBFS
        self._leak = np.empty((slots, BANDS), np.float32)  # echo left, relative to the tail, dB
        self._floor = np.empty((slots, BANDS), np.float32)  # the line's own noise, dBFS
        self._peak = np.empty(slots, np.float32)  # decaying peak of what came in, dBFS
        self._age = np.empty((slots, 2), np.float32)  # windows of the reference: on, silent
        self._match = _Match(slots)
        self.reset(slice(None))

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self._tail[slot] = _FLOOR_DB
        self._leak[slot] = _START_LEAK_DB
        self._floor[slot] = _FLOOR_DB
        self._peak[slot] = _FLOOR_DB
        self._age[slot] = 0.0
        self._match.reset(slot)

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
        spectra = fft.rfft(np.concatenate((near, clean, far)) * _TAPER, axis=1)
        near_s, clean_s, far_s = spectra[:n], spectra[n : 2 * n], spectra[2 * n :]
        echo_s = near_s - clean_s
        power = np.concatenate((near_s, clean_s, echo_s, far_s))
        power = np.square(power.real) + np.square(power.imag)
        cross = near_s.real * echo_s.real + near_s.imag * echo_s.imag
        bands = np.concatenate((power, cross)).astype(np.float32) @ self._bands
        near_p, _, echo_p, _, cross_p = bands.reshape(5, n, BANDS)
        correlation = cross_p / np.sqrt(near_p * echo_p + _POWER_FLOOR**2)
        levels = _decibel(bands[: 4 * n])
        near_db, clean_db, echo_db, far_db = levels.reshape(4, n, BANDS)
        tail = self._advance_tail(slots, far_db)
        expected = self._advance_leak(slots, clean_db, tail)
        floor = self._advance_floor(slots, clean_db)
        totals = _decibel(bands[: 4 * n].sum(axis=1)).reshape(4, n)
        match = self._match.advance(slots, clean_db, far_db)
        scalars = self._scalars(slots, totals, speech, residual_db, is_locked)
        columns = (near_db, clean_db, echo_db, far_db, tail)
        features = np.concatenate(
            (*columns, clean_db - expected, clean_db - floor, correlation, match, scalars), axis=1
        )
        sound: NDArray[np.float32] = np.nan_to_num(
            features, nan=0.0, posinf=0.0, neginf=float(_FLOOR_DB)
        )
        return sound

    def _advance_tail(
        self, slots: NDArray[np.intp], far_db: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        tail: NDArray[np.float32] = np.maximum(far_db, self._tail[slots] - _REVERB_DB)
        self._tail[slots] = tail
        return tail

    def _advance_leak(
        self, slots: NDArray[np.intp], clean_db: NDArray[np.float32], tail: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The echo to be expected in clean, dBFS; a slow percentile, so that talk passes it by."""
        leak = self._leak[slots]
        expected: NDArray[np.float32] = tail + leak
        step = np.where(clean_db > expected, _LEAK_UP_DB, -_LEAK_DOWN_DB)
        self._leak[slots] = np.clip(leak + np.where(tail > _LOUD_DB, step, 0), -60, 20)
        return expected

    def _advance_floor(
        self, slots: NDArray[np.intp], clean_db: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """A slow minimum: falls fast, rises 1.6 dB a second."""
        floor = self._floor[slots]
        gap = clean_db - floor
        risen: NDArray[np.float32] = floor + np.where(
            gap < 0, _FLOOR_DOWN * gap, np.minimum(gap, _FLOOR_UP_DB)
        )
        self._floor[slots] = risen
        return risen

    def _advance_age(
        self, slots: NDArray[np.intp], far_db: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32[n, 2]: windows since the reference began after a pause, and of silence."""
        on, silent = self._age[slots].T
        is_silent = far_db < _SILENT_DB
        silent = np.where(is_silent, np.minimum(silent + 1, _OLD), 0)
        on = np.where(silent >= _PAUSE, 0, np.minimum(on + ((on > 0) | ~is_silent), _OLD))
        age = np.stack((on, silent), axis=1).astype(np.float32)
        self._age[slots] = age
        return age

    def _scalars(
        self,
        slots: NDArray[np.intp],
        totals: NDArray[np.float32],
        speech: NDArray[np.float32],
        residual_db: NDArray[np.float32],
        is_locked: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        near_db, clean_db, _, far_db = totals
        likely = np.clip(speech, 1e-3, 1 - 1e-3)
        residual = np.clip(residual_db, _FLOOR_DB, 0)
        peak = self._peak[slots]
        self._peak[slots] = np.maximum(near_db, peak - np.float32(0.25))
        columns = [speech, np.log(likely / (1 - likely)), residual, clean_db - residual]
        columns += [is_locked, near_db, clean_db, far_db, near_db - peak]
        columns += list(self._advance_age(slots, far_db).T)
        return np.stack(columns, axis=1).astype(np.float32)


class _Match:
    """Correlation of clean with far over all bands and the last 160 ms, at each lag.

    Both as deviation in dB from the band's slow mean. At an earlier lag it is the clean of some
    windows ago that is compared with far now, for the reference is not known ahead.
    """

    def __init__(self, slots: int) -> None:
        self._mean = np.zeros((2, slots, BANDS), np.float32)
        self._far = np.zeros((slots, LATER_LAGS, BANDS), np.float32)  # newest first
        self._clean = np.zeros((slots, EARLIER_LAGS + 1, BANDS), np.float32)
        self._sums = np.zeros((3, slots, LATER_LAGS + EARLIER_LAGS), np.float32)

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self._mean[0, slot], self._mean[1, slot] = np.float32(-50.0), np.float32(-40.0)
        self._far[slot] = self._clean[slot] = 0.0
        self._sums[:, slot] = 0.0

    def advance(
        self, slots: NDArray[np.intp], clean_db: NDArray[np.float32], far_db: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32[n, LATER_LAGS + EARLIER_LAGS] of the next window."""
        levels = np.stack((clean_db, far_db))
        mean = self._mean[:, slots]
        clean, far = np.clip(np.maximum(levels, _SOUND_DB) - mean, -_RANGE_DB, _RANGE_DB)
        leak = np.where(levels > _SOUND_DB, _MEAN_LEAK, 0)
        self._mean[:, slots] = mean + leak * (levels - mean)
        self._far[slots, 1:] = self._far[slots, :-1]
        self._clean[slots, 1:] = self._clean[slots, :-1]
        self._far[slots, 0], self._clean[slots, 0] = far, clean
        fars, cleans = self._far[slots], self._clean[slots]
        energy = np.sum(fars * fars, axis=2), np.sum(cleans * cleans, axis=2)
        later, earlier = (len(slots), LATER_LAGS), (len(slots), EARLIER_LAGS)
        now = (
            np.hstack(((fars @ clean[:, :, None])[:, :, 0], (cleans @ far[:, :, None])[:, 1:, 0])),
            np.hstack((np.broadcast_to(energy[1][:, :1], later), energy[1][:, 1:])),
            np.hstack((energy[0], np.broadcast_to(energy[0][:, :1], earlier))),
        )
        sums = _MATCH_LEAK * self._sums[:, slots] + np.stack(now)
        self._sums[:, slots] = sums
        matched: NDArray[np.float32] = sums[0] / np.sqrt(sums[1] * sums[2] + 1)
        return matched
