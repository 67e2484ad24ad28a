"""How late our own voice comes back: a delay tracker for all calls at once. Pure.

Generalised cross-correlation with (partial) phase transform, Knapp and Carter 1976, in the band
where loudspeakers of telephones and speech both have energy, at 4 kHz. Every UPDATE_BLOCKS each
call's last WINDOW of the near end is correlated with all of the far end that it may hold. At each
lag the result is divided by its deviation in the neighbourhood, so that without echo it is
about normally distributed whatever the two voices do, and summed up leakily over about 1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft

from voicebot.audio.history import History
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]

MAX_DELAY_MS = 2000
"""From sending to the echo: 1500 ms of the caller's telephone, and 500 of the round trip to it, for
what was sent is not placed later than it was sent (audio.sent)."""
UNLOCKED = -1
"""Value of `DelayTracker.delay` while no delay is known."""
UPDATE_BLOCKS = 8
"""160 ms from one correlation to the next."""
HURRIED_BLOCKS = 4
"""80 ms for calls that have lost their echo."""
RELAXED_BLOCKS = 16
"""320 ms for calls whose echo is where it was."""
DECIMATION = 2
BAND_HZ = (300.0, 1700.0)
WHITENING = 0.75
"""Exponent of the phase transform: 1 would let bins without any speech vote like the others."""
LEAK = 0.8
"""Share of the sum kept at an update; 0.8 per 160 ms forgets within about 0.7 s."""
LOCK_SCORE = 11.0
"""Deviations of the leaky sum from which on a peak may be an echo at once. A caller who talks
over a bot without echo gets there four times a minute (LOG.md): a filter has to confirm it."""
PERSIST_SCORE = 9.0
PERSIST_UPDATES = 2
"""A lower peak may be an echo if it stays at its place for so many updates."""
_SAME_MS = 6.0  # peaks within this are the same path
_CLIP = 16.0  # what one update may add
_ZONE_BLOCKS = 20  # of lags (400 ms) over which the deviation is taken
_ZONE_FLOOR = 0.1  # of the power over all lags, where there is hardly any far end
_PEAK = 4  # lags (1 ms) whose power is taken together
_WINDOW_BLOCKS = 20  # 400 ms of near end
_SILENT_POWER = 1e-8  # -80 dBFS
_SUM_STEP = 1 / 256  # the leaky sums are kept as int16 in these steps
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
    """Likely delay of the echo in each slot, int64[slots] `delay` in samples at 8 kHz, or UNLOCKED.

    It is a candidate: whoever takes it checks that it explains what is heard, and tells by `move`
    where it does not.
    """

    def __init__(self, slots: int, *, max_delay_ms: int = MAX_DELAY_MS) -> None:
        lag_blocks = max_delay_ms * _RATE_HZ // 1000 // _BLOCK + 1
        far_blocks = lag_blocks + _WINDOW_BLOCKS  # no lag of interest wraps around
        self._size = far_blocks * _BLOCK
        self._far = _Decimated(slots, far_blocks)
        self._near = _Decimated(slots, _WINDOW_BLOCKS)
        self._sums = np.zeros((slots, lag_blocks * _BLOCK), np.int16)
        self._counts = np.arange(slots)  # blocks seen since the call began, staggered
        self._peak = np.full(slots, -1, np.int64)  # lag of the last peak, at 4 kHz
        self._updates = np.zeros(slots, np.int64)  # in a row with the peak there
        self._near_ring = np.zeros((_CHUNK_ROWS, far_blocks, _BLOCK), np.float32)
        self._correlation: NDArray[Any] = np.zeros((_CHUNK_ROWS, self._size), np.float32)
        self._zone = _band_matrix(lag_blocks, _ZONE_BLOCKS)
        self.delay = np.full(slots, UNLOCKED, np.int64)
        self.score = np.zeros(slots, np.float32)
        """float32[slots], deviations of the highest peak."""
        self.guess = np.zeros(slots, np.int64)
        """int64[slots], the likeliest delay (samples) by the last correlation alone."""

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._far.history.nbytes + self._near.history.nbytes + self._sums.nbytes

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self._far.clear(slot)
        self._near.clear(slot)
        self._sums[slot] = 0
        self._counts[slot] = slot  # staggers the updates of calls that begin together
        self._updates[slot] = 0
        self._peak[slot] = -1
        self.delay[slot] = UNLOCKED
        self.score[slot] = 0.0

    def wake(self, slots: Slots) -> None:
        """The far end becomes audible after a silence: what was heard before it counts little."""
        self._near.clear(slots)
        self._far.clear(slots)
        self._sums[slots] = self._sums[slots] * np.float32(LEAK**4)
        self._updates[slots] = 0

    def move(self, slot: int, delay: int) -> None:
        """The delay is known better than by correlation; UNLOCKED: it is not what was thought."""
        self.delay[slot] = delay
        if delay != UNLOCKED:
            self._sums[slot] = 0  # what speaks for another delay is void
        self._updates[slot] = 0

    def process(
        self, slots: Slots, near: Signal, far: Signal, every: NDArray[np.int64] | None = None
    ) -> tuple[Slots, Slots]:
        """The next blocks, float32[n, 160] each: (slots correlated now, slots whose delay was found
        or changed). `every`: blocks from one correlation to the next, int64[n], UPDATE_BLOCKS by
        default.
        """
        self._near.write(slots, self._counts[slots], near)
        self._far.write(slots, self._counts[slots], far)
        self._counts[slots] += 1
        is_due = self._counts[slots] % (UPDATE_BLOCKS if every is None else every) == 0
        due = slots[is_due]
        changed = [
            self._update(due[start : start + _CHUNK_ROWS])
            for start in range(0, len(due), _CHUNK_ROWS)
        ]
        return due, np.concatenate(changed) if changed else due

    # ------------------------------------------------------------ correlation

    def _update(self, slots: Slots) -> Slots:
        near = self._near.history.ring(slots)
        far = self._far.history.ring(slots)
        is_heard = (_power(near) > _SILENT_POWER) & (_power(far) > _SILENT_POWER)
        deviations = np.zeros((len(slots), self._sums.shape[1]), np.float32)
        if is_heard.all():
            deviations = self._deviations(self._correlate(slots, near, far))
        elif is_heard.any():
            correlation = self._correlate(slots[is_heard], near[is_heard], far[is_heard])
            deviations[is_heard] = self._deviations(correlation)
        self.guess[slots] = np.abs(deviations).argmax(axis=1) * DECIMATION
        is_regular = self._counts[slots] % UPDATE_BLOCKS == 0
        return self._add(slots[is_regular], deviations[is_regular])

    def _add(self, slots: Slots, deviations: Signal) -> Slots:
        """To the leaky sums; the slots whose delay that changes."""
        sums = self._sums[slots].astype(np.float32)
        sums *= np.float32(LEAK * _SUM_STEP)
        sums += np.clip(deviations, -_CLIP, _CLIP)
        self._sums[slots] = sums * np.float32(1 / _SUM_STEP)
        return self._judge(slots, sums)

    def _correlate(self, slots: Slots, near: Signal, far: Signal) -> Signal:
        """Partially whitened cross-correlation, float32[n, lags], in any scale.

        Both rings are left as they are: the near end's blocks go where the far end's of the same
        time are, and a correlation that is circular does not mind where time begins.
        """
        rows = len(slots)
        newest = self._counts[slots, None] - 1
        blocks = newest - (newest - np.arange(_WINDOW_BLOCKS)) % _WINDOW_BLOCKS  # of each in ring
        padded = self._near_ring[:rows]
        padded[:] = 0.0
        padded[np.arange(rows)[:, None], blocks % self._far.history.blocks] = near
        cross = fft.rfft(padded.reshape(rows, self._size))
        far_spectra = fft.rfft(far.reshape(rows, self._size))
        low, high = (round(hz / _RATE_HZ * self._size) for hz in BAND_HZ)
        cross[:, :low] = 0.0
        cross[:, high:] = 0.0
        band = cross[:, low:high]
        band *= np.conjugate(far_spectra[:, low:high])
        band *= _whitening(np.square(band.real) + np.square(band.imag))
        correlation: Signal = self._correlation[:rows]
        np.fft.irfft(cross, self._size, out=self._correlation[:rows])
        return correlation[:, : self._sums.shape[1]]

    def _deviations(self, correlation: Signal) -> Signal:
        """Each lag in units of the deviation around it."""
        blocks = correlation.reshape(len(correlation), -1, _BLOCK)
        power = np.einsum("nbt,nbt->nb", blocks, blocks) / np.float32(_BLOCK)
        around = power @ self._zone
        np.maximum(around, _ZONE_FLOOR * power.mean(axis=1, keepdims=True), out=around)
        deviations = blocks * (1.0 / np.sqrt(around + np.float32(1e-20)))[:, :, None]
        return np.asarray(deviations, np.float32).reshape(correlation.shape)

    # ------------------------------------------------------------ decision

    def _judge(self, slots: Slots, sums: Signal) -> Slots:
        power = np.square(sums)
        power = power[:, :-3] + power[:, 1:-2] + power[:, 2:-1] + power[:, 3:]
        first = power.argmax(axis=1)
        score = np.sqrt(power[np.arange(len(slots)), first] / _PEAK)
        peak = first + _PEAK // 2
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


def _band_matrix(size: int, width: int) -> NDArray[np.float32]:
    """float32[size, size] whose columns average about `width` neighbours."""
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    near = (distance <= width // 2).astype(np.float32)
    return np.asarray(near / near.sum(axis=0), np.float32)


def _whitening(power: Signal) -> Signal:
    """power ** -3/8, the inverse of magnitude ** WHITENING, by square roots."""
    root = np.sqrt(power + np.float32(1e-20))
    root *= np.sqrt(root)
    return np.asarray(1.0 / np.sqrt(root))


def _power(blocks: Signal) -> Signal:
    return np.asarray(np.mean(np.square(blocks), axis=(1, 2)))
