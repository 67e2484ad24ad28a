"""Partitioned-block frequency-domain Kalman filter for the echo paths of many calls at once. Pure.

Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free
telephones", Signal Processing 86 (2006); partitions after Kuech, Mabande and Enzner, "State-space
architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014. Overlap-save
with blocks of 160 samples, transforms of 320, diagonal state covariance; every partition's
gradient is constrained to 160 taps in every block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft  # on many rows of float32 several times faster than numpy's (LOG.md)

from voicebot.compiled import compiled
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]
    Spectrum = NDArray[np.complex64]
    Flags = NDArray[np.bool_]

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
_REHEARSAL_DOUBT = np.float32(1.5)
_OWN_BIN = 0.15
_OTHER_BINS = 3.0
_HALF = np.float32(CHUNK_SAMPLES / FFT)
_RAMP_STEPS = 64  # in a sample
_GROUP = 16  # slots computed at a time: their state stays in the cache


def _prior_shape(lead: int) -> NDArray[np.float32]:
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


_LEAKAGE = _leakage()


def _ramps() -> NDArray[np.complex64]:
    """complex64[_RAMP_STEPS, BINS]: delays of 0..0.5 and then -0.5..0 samples."""
    late = np.fft.fftfreq(_RAMP_STEPS)
    return np.exp(-2j * np.pi * np.outer(late, np.arange(BINS)) / FFT).astype(np.complex64)


_RAMPS = _ramps()


class KalmanFilter:
    """State of all slots: far-end spectra, echo path, its uncertainty, the near end's power."""

    def __init__(self, slots: int) -> None:
        """Nothing is known in any slot; `start` before the first `process`."""
        self._far = np.zeros((slots, PARTITIONS, BINS), np.complex64)  # ring by block
        self._head = np.zeros(slots, np.int64)  # index of the newest spectrum
        self._path = np.zeros((slots, PARTITIONS, BINS), np.complex64)
        self._doubt = np.zeros((slots, PARTITIONS, BINS), np.float32)  # state covariance
        self._near = np.zeros((slots, BINS), np.float32)
        self._age = np.zeros(slots, np.int64)  # blocks since `start`
        self._gradient = np.zeros((_GROUP, PARTITIONS, BINS), np.complex64)
        self._taps: NDArray[Any] = np.zeros((_GROUP, PARTITIONS, FFT), np.float32)

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        arrays = (self._far, self._path, self._doubt, self._near)
        return sum(array.nbytes for array in arrays)

    def start(self, slot: int, near: Signal, far: Signal, lead: int) -> Signal:
        """Begin anew with what was heard: near float32[n * 160] and far float32[(n + P) * 160].

        The far end begins P = PARTITIONS blocks before the near end, both end now. The echo path is
        expected as loud as the two allow, its direct part in partition `lead`, and the filter
        runs through what was heard at once. Returns the echo predicted on the way.
        """
        slots = np.array([slot])
        blocks = near.reshape(-1, CHUNK_SAMPLES)
        near_power = _power(_spectra(np.zeros_like(blocks), blocks)).mean(axis=0)
        recent = far[-len(near) - CHUNK_SAMPLES :].reshape(-1, CHUNK_SAMPLES)
        far_power = _power(_spectra(recent[:-1], recent[1:])).mean(axis=0)
        path_power = _smoothed(near_power) / (_smoothed(far_power) * _HALF + np.float32(1e-6))
        self._path[slot] = 0.0
        self._age[slot] = 0
        self._doubt[slot] = np.float32(PRIOR_SHARE) * path_power * _prior_shape(lead)
        self._near[slot] = np.maximum(PRIOR_NEAR_SHARE * near_power, NEAR_FLOOR)
        return self.replay(slots, near[None], far[None]).reshape(-1)

    def replay(self, slots: Slots, near: Signal, far: Signal) -> Signal:
        """Run through what was heard, float32[n, blocks * 160] and P blocks more of far end before
        it; the predicted echo. Leaves the filter ready for the next block."""
        before = far.shape[1] - near.shape[1]
        self.load(slots, far[:, :before])
        heard = far[:, before - CHUNK_SAMPLES :].reshape(len(slots), -1, CHUNK_SAMPLES)
        spectra = _spectra(heard[:, :-1], heard[:, 1:])
        echo = np.empty_like(near)
        learning = np.ones(len(slots), np.float32)
        for block in range(spectra.shape[1]):
            now = slice(block * CHUNK_SAMPLES, (block + 1) * CHUNK_SAMPLES)
            echo[:, now], _ = self._advance(slots, near[:, now], spectra[:, block], learning)
        return echo

    def predict(self, slot: int, far: Signal) -> Signal:
        """The echoes of float32[m, (n + P) * 160], without their first P blocks, by what is
        known: float32[m, n * 160]."""
        blocks = far.reshape(len(far), -1, CHUNK_SAMPLES)
        frames = _spectra(blocks[:, :-1], blocks[:, 1:])
        sums = np.empty((len(far), blocks.shape[1] - PARTITIONS, BINS), np.complex64)
        _convolve(frames, self._path[slot], sums)
        return _second_half(sums.reshape(-1, BINS)).reshape(len(far), -1)

    def scale(self, slot: int, factor: float) -> None:
        """The echo path has become louder or softer by a factor of amplitude."""
        self._path[slot] *= np.float32(factor)
        self._doubt[slot] *= np.float32(factor * factor)

    def doubt(self, slots: Slots, share: float) -> None:
        """The echo path may have changed by `share` of its power."""
        self._doubt[slots] += np.float32(share) * _power(self._path[slots])

    def rehearse(self, slots: Slots, near: Signal, far: Signal) -> None:
        """Hear once more what has been heard, as `replay` does.

        The diagonal model learns less from a block than is in it, and counts it as learnt.
        """
        self._doubt[slots] *= _REHEARSAL_DOUBT
        self.replay(slots, near, far)

    def load(self, slots: Slots, far: Signal) -> None:
        """The far end up to now, float32[n, PARTITIONS * 160], after a change of alignment."""
        blocks = far.reshape(len(slots), PARTITIONS, CHUNK_SAMPLES)
        before = np.concatenate((np.zeros_like(blocks[:, :1]), blocks[:, :-1]), axis=1)
        self._far[slots] = _spectra(before, blocks)
        self._head[slots] = PARTITIONS - 1

    def process(
        self,
        slots: Slots,
        near: Signal,
        far: Signal,
        adapts: Flags | None = None,
        late: Signal | None = None,
    ) -> tuple[Signal, Signal]:
        """One block each, near float32[n, 160] and far float32[n, 320], the block before included:
        (predicted echo float32[n, 160], power float32[n] of what of the echo may be left, by the
        filter's own uncertainty).

        Rows where `adapts` is False (bool[n]) predict only. The far end is delayed further by
        `late`, float32[n], -0.5..0.5 samples.
        """
        learning = np.ones(len(slots), np.float32) if adapts is None else adapts.astype(np.float32)
        spectra = np.asarray(fft.rfft(far), np.complex64)
        if late is not None:
            spectra *= _RAMPS.take(
                np.rint(late * _RAMP_STEPS).astype(np.intp) % _RAMP_STEPS, axis=0
            )
        return self._advance(slots, near, spectra, learning)

    def _advance(
        self, slots: Slots, near: Signal, spectra: Spectrum, learning: Signal
    ) -> tuple[Signal, Signal]:
        if len(slots) <= _GROUP:
            return self._step(slots, near, spectra, learning)
        groups = [slice(at, at + _GROUP) for at in range(0, len(slots), _GROUP)]
        done = [self._step(slots[g], near[g], spectra[g], learning[g]) for g in groups]
        echo, residual = zip(*done, strict=True)
        return np.concatenate(echo), np.concatenate(residual)

    def _step(
        self, slots: Slots, near: Signal, far: Spectrum, learning: Signal
    ) -> tuple[Signal, Signal]:
        rows = len(slots)
        sums = np.empty((rows, BINS), np.complex64)
        power = np.empty((rows, BINS), np.float32)
        far = np.ascontiguousarray(far)
        _predict(slots, far, self._head, self._far, self._path, self._doubt, sums, power)
        predicted = _second_half(sums)
        error = np.zeros((rows, FFT), np.float32)
        error[:, CHUNK_SAMPLES:] = near - predicted
        spectrum = np.asarray(fft.rfft(error))
        uncertain = power @ _LEAKAGE

        # The gradient K E, constrained to the first half in time.
        gradient, taps = self._gradient[:rows], self._taps[:rows]
        state = self._head, self._far, self._doubt, self._near, self._age
        _learn(slots, learning, spectrum, uncertain, *state, power, gradient)
        np.fft.irfft(gradient, FFT, out=taps)
        moved = np.asarray(fft.rfft(taps[..., :CHUNK_SAMPLES], FFT))  # zeros behind
        _move(slots, power, moved, self._head, self._far, self._path, self._doubt)
        return predicted, uncertain.sum(axis=1) * np.float32(2.0 / FFT / CHUNK_SAMPLES)


@compiled("void(complex64[:,:,::1], complex64[:,::1], complex64[:,:,::1])")
def _convolve(frames: Spectrum, path: Spectrum, sums: Spectrum) -> None:
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
def _predict(
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
def _learn(
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
def _move(
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
                learnt = (x.real * x.real + x.imag * x.imag) * before * _HALF * inverse[row, k]
                w = path[slot, p, k] + moved[row, p, k]
                path[slot, p, k] = w
                left = before * max(np.float32(1.0) - learnt, np.float32(0.0)) * stays
                now = w.real * w.real + w.imag * w.imag
                doubt[slot, p, k] = left + now * (np.float32(1.0) - stays)


def _spectra(before: Signal, blocks: Signal) -> Spectrum:
    """Of pairs of blocks, complex64[..., BINS]."""
    return np.asarray(fft.rfft(np.concatenate((before, blocks), axis=-1)))


def _second_half(spectra: Spectrum) -> Signal:
    """The half of each block in which the convolution is not circular, float32[n, 160]."""
    return np.ascontiguousarray(np.fft.irfft(spectra, FFT)[:, CHUNK_SAMPLES:], np.float32)


def _power(spectra: Spectrum) -> NDArray[np.float32]:
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag))


def _smoothed(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over neighbouring bins of float32[BINS]."""
    padded = np.pad(power, _SMOOTH_BINS // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTH_BINS, 1 / _SMOOTH_BINS, np.float32), "valid")
