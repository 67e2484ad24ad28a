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

from voicebot.audio import kalman_loops as loops
from voicebot.audio.kalman_model import (
    BINS,
    FFT,
    HALF,
    LEAKAGE,
    NEAR_FLOOR,
    PARTITIONS,
    PRIOR_NEAR_SHARE,
    PRIOR_SHARE,
    RAMP_STEPS,
    RAMPS,
    REHEARSAL_DOUBT,
    prior_shape,
    smoothed,
)
from voicebot.events import CHUNK_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Signal = NDArray[np.float32]
    Spectrum = NDArray[np.complex64]
    Flags = NDArray[np.bool_]

_GROUP = 16  # slots computed at a time: their state stays in the cache


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
        path_power = smoothed(near_power) / (smoothed(far_power) * HALF + np.float32(1e-6))
        self._path[slot] = 0.0
        self._age[slot] = 0
        self._doubt[slot] = np.float32(PRIOR_SHARE) * path_power * prior_shape(lead)
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
        loops.convolve(frames, self._path[slot], sums)
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
        self._doubt[slots] *= REHEARSAL_DOUBT
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
            spectra *= RAMPS.take(np.rint(late * RAMP_STEPS).astype(np.intp) % RAMP_STEPS, axis=0)
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
        loops.predict(slots, far, self._head, self._far, self._path, self._doubt, sums, power)
        predicted = _second_half(sums)
        error = np.zeros((rows, FFT), np.float32)
        error[:, CHUNK_SAMPLES:] = near - predicted
        spectrum = np.asarray(fft.rfft(error))
        uncertain = power @ LEAKAGE

        # The gradient K E, constrained to the first half in time.
        gradient, taps = self._gradient[:rows], self._taps[:rows]
        state = self._head, self._far, self._doubt, self._near, self._age
        loops.learn(slots, learning, spectrum, uncertain, *state, power, gradient)
        np.fft.irfft(gradient, FFT, out=taps)
        moved = np.asarray(fft.rfft(taps[..., :CHUNK_SAMPLES], FFT))  # zeros behind
        loops.move(slots, power, moved, self._head, self._far, self._path, self._doubt)
        return predicted, uncertain.sum(axis=1) * np.float32(2.0 / FFT / CHUNK_SAMPLES)


def _spectra(before: Signal, blocks: Signal) -> Spectrum:
    """Of pairs of blocks, complex64[..., BINS]."""
    return np.asarray(fft.rfft(np.concatenate((before, blocks), axis=-1)))


def _second_half(spectra: Spectrum) -> Signal:
    """The half of each block in which the convolution is not circular, float32[n, 160]."""
    return np.ascontiguousarray(np.fft.irfft(spectra, FFT)[:, CHUNK_SAMPLES:], np.float32)


def _power(spectra: Spectrum) -> NDArray[np.float32]:
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag))
