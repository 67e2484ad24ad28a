"""How late our own voice comes back: a delay tracker for all calls at once. Pure.

Generalised cross-correlation with (partial) phase transform, Knapp and Carter 1976, in the band
where loudspeakers of telephones and speech both have energy, at 4 kHz. Every UPDATE_BLOCKS each
call's last WINDOW of the near end is correlated with all of the far end that it may hold. At each
lag the result is divided by its deviation in the neighbourhood, so that without echo it is
about normally distributed whatever the two voices do, and summed up leakily over about 1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.history import History
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

UNLOCKED = -1
"""Value of `DelayTracker.delay` while no delay is known."""
UPDATE_BLOCKS = 8
"""160 ms from one correlation to the next."""
DECIMATION = 2
BAND_HZ = (300.0, 1700.0)
WHITENING = 0.8
"""Exponent of the phase transform: 1 would let bins without any speech vote like the others."""
LEAK = 0.8
"""Share of the sum kept at an update; 0.8 per 160 ms forgets within about 0.7 s."""
LOCK_SCORE = 13.0
"""Deviations of the leaky sum from which on a peak is an echo at once; without echo 12 is the
most that was seen (LOG.md)."""
PERSIST_SCORE = 10.0
PERSIST_UPDATES = 3
"""A lower peak is an echo if it stays at its place for so many updates."""
_SAME_MS = 6.0  # peaks within this are the same path
_CLIP = 12.0  # what one update may add: one loud moment locks nothing
_ZONE = 1600  # lags over which the deviation is taken
_ZONE_FLOOR = 0.1  # of the power over all lags, where there is hardly any far end
_PEAK = 4  # lags (1 ms) whose power is taken together
_WINDOW_BLOCKS = 20  # 400 ms of near end
_SILENT_RMS = 1e-4  # -80 dBFS
_CHUNK_ROWS = 8  # rows computed at a time: their spectra stay in the cache

_BLOCK = CHUNK_SAMPLES // DECIMATION
_RATE_HZ = SAMPLE_RATE_HZ // DECIMATION
_FIR_TAPS = 49


def _decimator() -> NDArray[np.float32]:
    """float32[_FIR_TAPS - 1 + 160, 80]: low pass at 2 kHz (Hamming) and decimation as a matrix.

    What folds back above 1.7 kHz is outside BAND_HZ.
    """
    n = np.arange(_FIR_TAPS) - _FIR_TAPS // 2
    taps = np.sinc(n / DECIMATION) * np.hamming(_FIR_TAPS)
    taps /= taps.sum()
    matrix = np.zeros((_FIR_TAPS - 1 + CHUNK_SAMPLES, _BLOCK))
    for column in range(_BLOCK):
        matrix[DECIMATION * column : DECIMATION * column + _FIR_TAPS, column] = taps
    return matrix.astype(np.float32)


class _Decimated:
    """One of the two signals at 4 kHz."""

    def __init__(self, slots: int, blocks: int) -> None:
        self.history = History(slots, blocks, _BLOCK)
        self._context = np.zeros((slots, _FIR_TAPS - 1), np.float32)

    def clear(self, slots: Slots | int) -> None:
        self.history.clear(slots)
        self._context[slots] = 0.0

    def write(self, slots: Slots, counts: NDArray[np.int64], signal: Signal) -> None:
        joined = np.concatenate((self._context[slots], signal), axis=1)
        self._context[slots] = signal[:, -_FIR_TAPS + 1 :]
        self.history.write(slots, counts, joined @ _DECIMATOR)


_DECIMATOR = _decimator()


class DelayTracker:
    """Delay of the echo in each slot, int64[slots] `delay` in samples at 8 kHz, or UNLOCKED."""

    def __init__(self, slots: int, *, max_delay_ms: int = 1500) -> None:
        self._lags = max_delay_ms * _RATE_HZ // 1000
        self._window = _WINDOW_BLOCKS * _BLOCK
        far_blocks = -(-(self._lags + self._window) // _BLOCK)
        self._size = far_blocks * _BLOCK  # of the FFT: no lag of interest wraps around
        self._far = _Decimated(slots, far_blocks)
        self._near = _Decimated(slots, _WINDOW_BLOCKS)
        self._sums = np.zeros((slots, self._lags + 1), np.float16)
        self._counts = np.zeros(slots, np.int64)  # blocks seen since the call began
        self._peak = np.full(slots, -1, np.int64)  # lag of the last peak, at 4 kHz
        self._updates = np.zeros(slots, np.int64)  # in a row with the peak there
        self.delay = np.full(slots, UNLOCKED, np.int64)
        self.score = np.zeros(slots, np.float32)
        """float32[slots], deviations of the highest peak; 13 and more is an echo."""

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._far.history.nbytes + self._near.history.nbytes + self._sums.nbytes

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._far.clear(slot)
        self._near.clear(slot)
        self._sums[slot] = 0.0
        self._counts[slot] = slot  # staggers the updates of calls that begin together
        self._updates[slot] = 0
        self._peak[slot] = -1
        self.delay[slot] = UNLOCKED
        self.score[slot] = 0.0

    def wake(self, slots: Slots) -> None:
        """The far end becomes audible after a silence: what was heard before it counts little."""
        self._near.clear(slots)
        self._far.clear(slots)
        self._sums[slots] *= np.float16(LEAK**4)
        self._updates[slots] = 0

    def process(self, slots: Slots, near: Signal, far: Signal) -> Slots:
        """The next blocks, float32[n, 160] each; the slots whose delay was found or changed."""
        self._near.write(slots, self._counts[slots], near)
        self._far.write(slots, self._counts[slots], far)
        self._counts[slots] += 1
        due = slots[self._counts[slots] % UPDATE_BLOCKS == 0]
        changed = [
            self._update(due[start : start + _CHUNK_ROWS])
            for start in range(0, len(due), _CHUNK_ROWS)
        ]
        return np.concatenate(changed) if changed else due

    # ------------------------------------------------------------ correlation

    def _update(self, slots: Slots) -> Slots:
        ends = self._counts[slots] * _BLOCK
        near = self._near.history.read(slots, ends, self._window)
        far = self._far.history.read(slots, ends, self._size)
        self._sums[slots] *= np.float16(LEAK)
        is_heard = (_rms(near) > _SILENT_RMS) & (_rms(far) > _SILENT_RMS)
        if not is_heard.any():
            return slots[:0]
        slots = slots[is_heard]
        self._sums[slots] += self._deviations(self._correlate(near[is_heard], far[is_heard]))
        return self._judge(slots)

    def _correlate(self, near: Signal, far: Signal) -> Signal:
        """Partially whitened cross-correlation, float32[n, lags + 1], in any scale."""
        cross = np.fft.rfft(near, self._size)
        np.conjugate(cross, out=cross)
        cross *= np.fft.rfft(far, self._size)
        low, high = (round(hz / _RATE_HZ * self._size) for hz in BAND_HZ)
        cross[:, :low] = 0.0
        cross[:, high:] = 0.0
        band = cross[:, low:high]
        power = np.square(band.real) + np.square(band.imag)
        power += np.float32(1e-20)
        band *= power ** np.float32(-WHITENING / 2)
        # near[i] goes with far[offset + i - lag]
        offset = self._size - self._window
        correlation = np.asarray(np.fft.irfft(cross, self._size), np.float32)
        return correlation[:, offset - self._lags : offset + 1][:, ::-1]

    def _deviations(self, correlation: Signal) -> Signal:
        """Each lag in units of the deviation around it, clipped."""
        power = np.square(correlation)
        around = _moving_mean(power, _ZONE)
        np.maximum(around, _ZONE_FLOOR * power.mean(axis=1, keepdims=True), out=around)
        around += np.float32(1e-20)
        return np.clip(correlation / np.sqrt(around), -_CLIP, _CLIP)

    # ------------------------------------------------------------ decision

    def _judge(self, slots: Slots) -> Slots:
        power = _moving_mean(np.square(self._sums[slots], dtype=np.float32), _PEAK)
        peak = power.argmax(axis=1)
        score = np.sqrt(power[np.arange(len(slots)), peak])
        same = np.abs(peak - self._peak[slots]) <= _SAME_MS * _RATE_HZ / 1000
        self._updates[slots] = np.where(same, self._updates[slots] + 1, 1)
        self._peak[slots] = peak
        self.score[slots] = score
        persists = self._updates[slots] >= PERSIST_UPDATES
        is_echo = (score >= LOCK_SCORE) | ((score >= PERSIST_SCORE) & persists)
        found = peak * DECIMATION
        current = self.delay[slots]
        moved = np.abs(found - current) > _SAME_MS * SAMPLE_RATE_HZ / 1000
        changes = is_echo & ((current == UNLOCKED) | moved)
        changed: Slots = slots[changes]
        self.delay[changed] = found[changes]
        return changed


def _rms(signal: Signal) -> Signal:
    return np.asarray(np.sqrt(np.mean(np.square(signal), axis=1)))


def _moving_mean(values: Signal, width: int) -> Signal:
    """Mean over `width` values around each of float32[n, m]; zeros beyond the ends."""
    sums = np.cumsum(values, axis=1, dtype=np.float64)
    half = width // 2
    upper = np.minimum(np.arange(values.shape[1]) + width - half - 1, values.shape[1] - 1)
    lower = np.arange(values.shape[1]) - half - 1
    below = np.where(lower >= 0, sums[:, np.maximum(lower, 0)], 0.0)
    return np.asarray((sums[:, upper] - below) / width, np.float32)
