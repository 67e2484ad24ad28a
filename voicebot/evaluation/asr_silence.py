"""Sounds in which nobody speaks: every word recognised in them is invented. Synthetic, by formula.

Kitchen noise is a recording where the folder has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError
from voicebot.evaluation.turns_noise import mains_hum, music
from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

PIECE_S = 5.0
LEVELS_DBFS = (-45.0, -35.0, -25.0)
PIECES, QUICK_PIECES = 12, 3
"""Of each kind."""
COLOURS = {"white noise": 0.0, "pink noise": 0.5, "brown noise": 1.0}
KEY_HZ = ((697, 770, 852, 941), (1209, 1336, 1477))


def sounds(directory: Path, *, quick: bool = False) -> dict[str, list[Signal]]:
    """Kind -> pieces of PIECE_S at 8 kHz, at three levels; the same on every run."""
    count = QUICK_PIECES if quick else PIECES
    samples = int(PIECE_S * SAMPLE_RATE_HZ)
    found: dict[str, list[Signal]] = {"silence": [np.zeros(samples, np.float32)]}
    for name, slope in COLOURS.items():
        found[name] = [_levelled(_coloured(samples, slope, n), n) for n in range(count)]
    found["music"] = [_levelled(music(PIECE_S, n), n) for n in range(count)]
    found["mains hum"] = [_levelled(mains_hum(PIECE_S), n) for n in range(len(LEVELS_DBFS))]
    found["keys"] = [_levelled(_keys(samples, n), n) for n in range(count)]
    found["line tones"] = [_levelled(tone, n) for n, tone in enumerate(_line_tones(samples))]
    found["clicks"] = [_clicks(samples, n) for n in range(count)]
    if kitchen := list(_kitchen(directory, samples, count)):
        found["kitchen"] = kitchen
    return found


def _levelled(signal: Signal, number: int) -> Signal:
    rms = float(np.sqrt(np.mean(np.square(signal)))) or 1.0
    gain = 10 ** (LEVELS_DBFS[number % len(LEVELS_DBFS)] / 20) / rms
    return np.asarray(np.clip(signal * np.float32(gain), -1.0, 1.0), np.float32)


def _coloured(samples: int, slope: float, seed: int) -> Signal:
    """Noise whose amplitude falls as frequency to the power `slope`, swelling over seconds."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 50.0)
    noise = np.fft.irfft(spectrum / hz**slope, samples)
    at = np.arange(samples) / SAMPLE_RATE_HZ
    swell = 1.0 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 2.0) * at)
    return np.asarray(noise * swell, np.float32)


def _keys(samples: int, seed: int) -> Signal:
    """Keys pressed one after the other (DTMF), 80 to 250 ms each."""
    rng = np.random.default_rng(seed)
    sound, at = np.zeros(samples, np.float32), SAMPLE_RATE_HZ // 4
    while at < samples - SAMPLE_RATE_HZ // 2:
        count = int(rng.uniform(0.08, 0.25) * SAMPLE_RATE_HZ)
        time = np.arange(count) / SAMPLE_RATE_HZ
        for row in KEY_HZ:
            sound[at : at + count] += np.sin(2 * np.pi * int(rng.choice(row)) * time)
        at += count + int(rng.uniform(0.08, 0.6) * SAMPLE_RATE_HZ)
    return sound + _coloured(samples, 0.0, seed) * np.float32(0.01)


def _line_tones(samples: int) -> Iterator[Signal]:
    """Dial tone, ringing and busy tone of North America and Europe, modem answer tone."""
    at = np.arange(samples) / SAMPLE_RATE_HZ
    for tones, on_s, off_s in (
        ((350, 440), 1.0, 0.0), ((440, 480), 2.0, 1.0), ((480, 620), 0.5, 0.5),
        ((425,), 1.0, 1.0), ((425,), 0.48, 0.48), ((2100,), 1.0, 0.0),
    ):  # fmt: skip
        sound = sum(np.sin(2 * np.pi * hz * at) for hz in tones)
        is_on = at % (on_s + off_s) < on_s
        yield np.asarray(sound * is_on, np.float32)


def _clicks(samples: int, seed: int) -> Signal:
    """Clicks and knocks of 2 to 60 ms on a quiet line."""
    rng = np.random.default_rng(seed)
    sound = (0.001 * rng.standard_normal(samples)).astype(np.float32)
    for at in rng.integers(0, samples - 800, size=8):
        count = int(rng.uniform(0.002, 0.06) * SAMPLE_RATE_HZ)
        burst = rng.standard_normal(count) * np.exp(-np.arange(count) / (0.3 * count))
        sound[at : at + count] += np.float32(rng.uniform(0.02, 0.3)) * burst.astype(np.float32)
    return sound


def _kitchen(directory: Path, samples: int, count: int) -> Iterator[Signal]:
    """Of the recording's last third, which no training heard; levels as recorded."""
    path = directory / "noise" / "kitchen.flac"
    try:
        recorded, rate = read_audio(path)
    except AudioFileError:
        return
    narrow = resample(recorded, rate, SAMPLE_RATE_HZ)
    last = narrow[2 * len(narrow) // 3 :]
    for begin in range(0, len(last) - samples + 1, samples):
        if begin // samples < count:
            yield last[begin : begin + samples]
