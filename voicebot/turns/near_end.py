"""Does the caller speak in this window, or is it the bot's own voice coming back?

Voice activity alone cannot tell: what an echo canceller leaves of a loudspeaker that saturates is
speech too, only not the caller's. `NearEndFeatures` puts numbers on what tells them apart (bands
of what came in, what the canceller left, what it took away, and what the loudspeaker played),
`NearEndDetector` runs a small recurrent net over them: dense, GRU, one probability. It was
trained by `python -m voicebot.learning.near_end`; models/near_end.md is its model card.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from voicebot.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

WINDOW_SAMPLES = 256
"""Samples in one window, Silero's: 32 ms at 8 kHz."""
BANDS = 16
FEATURES = 8 * BANDS + 9
"""Length of one window's feature vector; its parts are told in `NearEndFeatures.compute`."""
MODEL_PATH = Path(__file__).parent / "models" / "near_end.npz"

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
        self.reset(slice(None))

    def reset(self, slot: int | slice) -> None:
        """Forget the call in `slot`."""
        self._tail[slot] = _FLOOR_DB
        self._leak[slot] = _START_LEAK_DB
        self._floor[slot] = _FLOOR_DB
        self._peak[slot] = _FLOOR_DB

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
        noise; the correlation of near with the estimated echo (-1..1). Then scalars: speech and its
        logit, residual_db, clean above it, lock, level of near, clean and far, near above its peak.
        """
        n = len(slots)
        spectra = np.fft.rfft(np.concatenate((near, clean, far)) * _TAPER, axis=1)
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
        scalars = self._scalars(slots, totals, speech, residual_db, is_locked)
        columns = (near_db, clean_db, echo_db, far_db, tail)
        features = np.concatenate(
            (*columns, clean_db - expected, clean_db - floor, correlation, scalars), axis=1
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
        return np.stack(columns, axis=1).astype(np.float32)


class NearEndDetector:
    """Probability that the caller speaks although the bot's echo may be heard; a slot per call.

    Not thread-safe: one engine thread uses it. Windows in which no echo is possible need not be
    shown; the state waits.
    """

    def __init__(self, slots: int, model: Path = MODEL_PATH) -> None:
        """ModelUnavailable when the weights are missing or damaged."""
        self._features = NearEndFeatures(slots)
        self._net = NearEndNet(load_weights(model), slots)

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._features.reset(slot)
        self._net.reset(slot)

    def probabilities(
        self,
        slots: NDArray[np.intp],
        near: NDArray[np.float32],
        clean: NDArray[np.float32],
        far: NDArray[np.float32],
        speech: NDArray[np.float32],
        residual_db: NDArray[np.float32],
        is_locked: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """float32[n] in 0..1 for the next window of each call in `slots` (intp[n], distinct).

        `near`, `clean`, `far`: float32[n, 256], full scale +-1: as received, after the linear
        canceller, and the aligned reference (zeros when unlocked). `speech`: Silero on clean.
        `residual_db`: the canceller's estimate of the echo left, dBFS.
        """
        if len(slots) == 0:
            return np.zeros(0, dtype=np.float32)
        features = self._features.compute(slots, near, clean, far, speech, residual_db, is_locked)
        return self._net.advance(slots, features)


class NearEndNet:
    """Normalisation, dense (ReLU), GRU (Cho 2014, PyTorch's gate order r, z, n), logistic."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], slots: int) -> None:
        self._w = {name: np.ascontiguousarray(value) for name, value in weights.items()}
        self._units = len(self._w["recurrent_bias"]) // 3
        self._state = np.zeros((slots, self._units), np.float32)

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._state[slot] = 0.0

    def advance(
        self, slots: NDArray[np.intp], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32[n] probabilities of one more window, from float32[n, FEATURES]."""
        w, units, state = self._w, self._units, self._state[slots]
        inputs = np.clip((features - w["mean"]) * w["scale"], -5, 5)
        dense = np.maximum(inputs @ w["dense"] + w["dense_bias"], 0)
        gates = dense @ w["input"] + w["input_bias"]
        recurrent = state @ w["recurrent"] + w["recurrent_bias"]
        both = _logistic(gates[:, : 2 * units] + recurrent[:, : 2 * units])
        reset, update = both[:, :units], both[:, units:]
        candidate = np.tanh(gates[:, 2 * units :] + reset * recurrent[:, 2 * units :])
        state = candidate + update * (state - candidate)
        self._state[slots] = state
        logit = state @ w["output"] + dense @ w["skip"] + w["output_bias"]
        return _logistic(logit * w["sharpness"] + w["shift"])


def _logistic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def load_weights(path: Path = MODEL_PATH) -> dict[str, NDArray[np.float32]]:
    """The arrays of a .npz file (no pickle). ModelUnavailable when it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            weights = {name: arrays[name].astype(np.float32) for name in arrays.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise ModelUnavailable(
            f"near-end detector: {path} cannot be read ({error}); reinstall voicebot or train it:"
            " python -m voicebot.learning.near_end DIR"
        ) from None
    if weights.get("mean", np.zeros(0)).shape != (FEATURES,):
        raise ModelUnavailable(
            f"near-end detector: {path} was trained for other features; train it again:"
            " python -m voicebot.learning.near_end DIR"
        )
    return weights
