"""What reaches the network: finite samples, audible, neither too short nor too long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.moonshine import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

MIN_SAMPLES = SAMPLE_RATE_HZ // 10
"""Shorter than any word."""
WINDOW_SAMPLES = 20 * SAMPLE_RATE_HZ
"""Longest piece given to the network; attention's cost grows with the square."""
CUT_FROM = 14 * SAMPLE_RATE_HZ
"""A longer utterance is cut at its quietest point from here to the window's end."""
COMFORTABLE_SAMPLES = SAMPLE_RATE_HZ * 3 // 2
"""Shorter ones are set in quiet: alone, half of the spoken digits come out wrong (LOG.md)."""
SILENCE = 10 ** (-50 / 20)
"""Loudest 20 ms (RMS) of audio in which nobody speaks: -50 dBFS. The quietest of 750 recordings
reaches -38, the quietest telephone call -34."""
MIN_LOUD_FRAMES = 3
"""A click is shorter."""
STEADY_DB = 4.0
"""Levels of steady noise or a tone spread (10th to 95th percentile) by less: 1.5 dB measured; the
steadiest of 667 isolated digits spread by 7.6 dB, telephone calls by 20 or more."""
FRAME = SAMPLE_RATE_HZ // 50
_DIGITAL_ZERO = 1e-4
_MAX_FLOOR = 0.005


def prepare(samples: Samples) -> list[Samples]:
    """Pieces to recognise, in order; none when there is nothing to hear."""
    return [set_in_quiet(piece) for _, piece in audible(samples)]


def starts(samples: Samples) -> list[int]:
    """Where in the samples each piece of `prepare` begins: before them, if it is set in quiet."""
    return [at - max(0, COMFORTABLE_SAMPLES - len(piece)) // 2 for at, piece in audible(samples)]


def audible(samples: Samples) -> list[tuple[int, Samples]]:
    """(first sample, samples) of each piece with something to hear."""
    clean = np.asarray(samples, np.float32)
    if clean.ndim != 1 or len(clean) < MIN_SAMPLES:
        return []
    if not np.isfinite(clean).all():
        clean = np.nan_to_num(clean, nan=0.0, posinf=0.0, neginf=0.0)
    pieces = split(np.clip(clean, -1.0, 1.0))
    begins = np.cumsum([0, *(len(piece) for piece in pieces)]).tolist()
    return [(at, piece) for at, piece in zip(begins, pieces, strict=False) if is_audible(piece)]


def is_audible(samples: Samples) -> bool:
    """Whether this may be speech: loud enough for long enough, and not steady."""
    if len(samples) < MIN_SAMPLES:
        return False
    levels = frame_levels(samples)
    if np.count_nonzero(levels >= SILENCE) < MIN_LOUD_FRAMES:
        return False
    low, high = spread(levels[levels > _DIGITAL_ZERO])
    return high > low * 10 ** (STEADY_DB / 20)


def split(samples: Samples) -> list[Samples]:
    """Pieces of at most WINDOW_SAMPLES, cut where it is quietest."""
    pieces = []
    while len(samples) > WINDOW_SAMPLES:
        levels = frame_levels(samples[CUT_FROM:WINDOW_SAMPLES])
        smooth = np.convolve(levels**2, np.ones(10), mode="same")  # over 200 ms
        cut = CUT_FROM + FRAME * int(smooth[5:-5].argmin() + 5)
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples]


def set_in_quiet(samples: Samples) -> Samples:
    """A short utterance in the middle of noise as quiet as its own background."""
    missing = COMFORTABLE_SAMPLES - len(samples)
    if missing <= 0:
        return samples
    quiet = noise_floor(samples) * _NOISE
    before = missing // 2
    inside = quiet[before : before + len(samples)]
    zero = np.repeat(frame_levels(samples) < _DIGITAL_ZERO, FRAME)[: len(samples)]
    zero = np.pad(zero, (0, len(samples) - len(zero)))
    quiet[before : before + len(samples)] = np.where(zero, inside, samples)
    return quiet


def noise_floor(samples: Samples) -> float:
    """RMS of the quietest tenth of 20 ms frames, digital silence aside."""
    levels = frame_levels(samples)
    levels = levels[levels > _DIGITAL_ZERO]
    return min(_MAX_FLOOR, spread(levels)[0]) if len(levels) else 0.0


def frame_levels(samples: Samples) -> Samples:
    """RMS of each whole 20 ms frame."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.einsum("ij,ij->i", frames, frames) / np.float32(FRAME)
    return np.asarray(np.sqrt(power), np.float32)


def spread(levels: Samples) -> tuple[float, float]:
    """10th and 95th percentile of levels [n > 0], as numpy has them but without its ceremony: what
    is asked for every partial of thousands of calls costs a fifth of it."""
    ordered = np.sort(levels)
    found = []
    for share in (0.1, 0.95):
        below, part = divmod(share * (len(ordered) - 1), 1.0)
        low = float(ordered[int(below)])
        high = float(ordered[min(int(below) + 1, len(ordered) - 1)])
        found.append(low + (high - low) * part)
    return found[0], found[1]


_NOISE = np.random.default_rng(1).normal(0.0, 1.0, COMFORTABLE_SAMPLES).astype(np.float32)
"""White, beyond the telephone's band too: band-limited noise did worse. Always the same, so that
a recorded call replays to the same words."""
