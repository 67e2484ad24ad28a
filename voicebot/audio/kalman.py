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
        shape = (_GROUP, PARTITIONS, BINS)
        self._scratch: list[NDArray[Any]] = [np.zeros(shape, np.complex64) for _ in range(3)]
        self._power = np.zeros(shape, np.float32)
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
        echo = np.empty_like(near)
        for at in range(0, near.shape[1], CHUNK_SAMPLES):
            now = slice(at, at + CHUNK_SAMPLES)
            frames = far[:, before + at - CHUNK_SAMPLES : before + at + CHUNK_SAMPLES]
            echo[:, now], _ = self.process(slots, near[:, now], frames)
        return echo

    def predict(self, slot: int, far: Signal) -> Signal:
        """The echo of float32[(n + P) * 160], without its first P blocks, by what is known."""
        blocks = far.reshape(-1, CHUNK_SAMPLES)
        spectra = np.concatenate((np.zeros_like(blocks[:1]), blocks))
        frames = _spectra(spectra[:-1], spectra[1:])
        windows = np.lib.stride_tricks.sliding_window_view(frames, PARTITIONS, axis=0)[1:]
        sums = np.einsum("nkp,pk->nk", windows, self._path[slot, ::-1])
        return _second_half(sums).reshape(-1)

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
        echo = np.empty_like(near)
        residual = np.empty(len(slots), np.float32)
        learning = np.ones(len(slots), np.float32) if adapts is None else adapts.astype(np.float32)
        spectra = np.asarray(fft.rfft(far), np.complex64)
        if late is not None:
            spectra *= _RAMPS.take(
                np.rint(late * _RAMP_STEPS).astype(np.intp) % _RAMP_STEPS, axis=0
            )
        for start in range(0, len(slots), _GROUP):
            group = slice(start, start + _GROUP)
            echo[group], residual[group] = self._step(
                slots[group], near[group], spectra[group], learning[group, None]
            )
        return echo, residual

    def _step(
        self, slots: Slots, near: Signal, far: Spectrum, learning: Signal
    ) -> tuple[Signal, Signal]:
        rows = len(slots)
        spectra, work, path = (scratch[:rows] for scratch in self._scratch)
        power = self._power[:rows]
        self._advance(slots, far, spectra)
        np.take(self._path, slots, axis=0, out=path, mode="clip")
        predicted = _second_half(np.multiply(spectra, path, out=work).sum(axis=1))
        error = near - predicted
        error_spectrum = _spectra(np.zeros_like(error), error)

        doubt = self._doubt[slots]
        np.square(spectra.real, out=power)
        power += np.square(spectra.imag)
        power *= doubt
        uncertain = power.sum(axis=1) @ _LEAKAGE
        near_power = self._near[slots]
        near_power += learning * (1 - NEAR_LEAK) * (_power(error_spectrum) - near_power)
        np.maximum(near_power, NEAR_FLOOR, out=near_power)
        self._near[slots] = near_power
        inverse = learning / (uncertain + self._near_share(slots) * near_power)

        # The gradient K E, constrained to the first half in time.
        np.conjugate(spectra, out=spectra)
        spectra *= (error_spectrum * inverse)[:, None]
        spectra *= doubt
        taps = self._taps[:rows]
        np.fft.irfft(spectra, FFT, out=taps)
        path += fft.rfft(taps[..., :CHUNK_SAMPLES], FFT)  # zeros behind
        self._path[slots] = path

        power *= (-_HALF * inverse)[:, None]
        power += 1.0
        np.maximum(power, 0.0, out=power)
        doubt *= power
        doubt *= np.float32(TRANSITION**2)
        np.square(path.real, out=power)
        power += np.square(path.imag)
        power *= np.float32(1 - TRANSITION**2)
        doubt += power
        self._doubt[slots] = doubt
        return predicted, uncertain.sum(axis=1) * np.float32(2.0 / FFT / CHUNK_SAMPLES)

    def _near_share(self, slots: Slots) -> Signal:
        """By age, float32[n, 1]."""
        self._age[slots] += 1
        young, mature = NEAR_SHARES
        progress = np.minimum(self._age[slots, None] / np.float32(MATURE_BLOCKS), 1.0)
        return np.asarray(young + (mature - young) * progress, np.float32)

    def _advance(self, slots: Slots, far: Spectrum, spectra: Spectrum) -> None:
        """Take in a far-end block; put all by age in complex64[n, PARTITIONS, BINS]."""
        head = (self._head[slots] + 1) % PARTITIONS
        self._head[slots] = head
        self._far[slots, head] = far
        order = (head[:, None] - np.arange(PARTITIONS)) % PARTITIONS
        order += (slots * PARTITIONS)[:, None]
        self._far.reshape(-1, BINS).take(order, axis=0, out=spectra, mode="clip")


def _spectra(before: Signal, blocks: Signal) -> Spectrum:
    """Of pairs of blocks, complex64[..., BINS]."""
    return np.asarray(fft.rfft(np.concatenate((before, blocks), axis=-1)))


def _second_half(spectra: Spectrum) -> Signal:
    """The half of each block in which the convolution is not circular, float32[n, 160]."""
    return np.asarray(np.fft.irfft(spectra, FFT), np.float32)[:, CHUNK_SAMPLES:]


def _power(spectra: Spectrum) -> NDArray[np.float32]:
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag))


def _smoothed(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over neighbouring bins of float32[BINS]."""
    padded = np.pad(power, _SMOOTH_BINS // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTH_BINS, 1 / _SMOOTH_BINS, np.float32), "valid")
