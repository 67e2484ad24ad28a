"""The caller's side of a virtual call: recordings laid on the noise of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.evaluation.turns_corpus import Clip

    Signal = NDArray[np.float32]

QUIET_DBFS = -62.0
"""A quiet line: mu-law's own noise at the level of a pause."""
FADE = SAMPLE_RATE_HZ // 20
_BANDS = 257


def seconds(value: float) -> int:
    """In samples."""
    return round(value * SAMPLE_RATE_HZ)


def whole_chunks(samples: int) -> int:
    """The next multiple of CHUNK_SAMPLES."""
    return -(-samples // CHUNK_SAMPLES) * CHUNK_SAMPLES


def line_noise(samples: int, stretch: Signal | None, rng: np.random.Generator) -> Signal:
    """Noise of that length with the spectrum and level of `stretch`, on a quiet line's noise."""
    noise = rng.standard_normal(samples).astype(np.float32)
    quiet = noise * np.float32(10 ** (QUIET_DBFS / 20))
    if stretch is None or len(stretch) < 2 * _BANDS:
        return quiet
    frames = np.lib.stride_tricks.sliding_window_view(stretch, 2 * _BANDS - 2)[::_BANDS]
    window = np.hanning(frames.shape[1])
    power = np.mean(np.abs(np.fft.rfft(frames * window, axis=1)) ** 2, axis=0) / np.sum(window**2)
    size = 1 << (samples - 1).bit_length()
    shape = np.interp(np.linspace(0, 1, size // 2 + 1), np.linspace(0, 1, _BANDS), np.sqrt(power))
    white = np.fft.rfft(rng.standard_normal(size))
    return np.asarray(quiet + np.fft.irfft(white * shape, size)[:samples], np.float32)


def faded(samples: Signal) -> Signal:
    """Without a click at either end: 5 ms."""
    count = min(len(samples) // 4, SAMPLE_RATE_HZ // 200)
    ramp = np.ones(len(samples), np.float32)
    ramp[:count] = np.linspace(0, 1, count, dtype=np.float32)
    ramp[len(samples) - count :] = np.linspace(1, 0, count, dtype=np.float32)
    return samples * ramp


def add(track: Signal, begin: int, samples: Signal, fade_in: int = 0, fade_out: int = 0) -> None:
    """Lay `samples` on the track from `begin` on, as far as the track reaches."""
    ramp = np.ones(len(samples), np.float32)
    ramp[:fade_in] = np.linspace(0, 1, fade_in, dtype=np.float32)
    if fade_out:
        ramp[len(samples) - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)
    skipped = max(0, -begin)
    end = min(len(track), begin + len(samples))
    track[begin + skipped : end] += (samples * ramp)[skipped : end - begin]


def say(track: Signal, onset: int, clip: Clip) -> None:
    """The clip's speech begins at `onset`. Its own noise comes and goes within 50 ms, outside of
    its speech."""
    fades = min(FADE, clip.onset), min(FADE, len(clip.samples) - clip.end)
    add(track, onset - clip.onset, clip.samples, *fades)
