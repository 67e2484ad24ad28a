"""Sounds that are no words: music on hold, a caller who hums, mains hum. Synthetic, by formula.

Signals are float32, mono, 8 kHz, full scale +-1, at about -20 dBFS; the same seed gives the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

VIBRATO_HZ, VIBRATO_DEPTH = 5.5, 0.006
"""Rate and relative depth of a singer's or a violin's vibrato."""
RMS = 0.1
CHORDS = ((0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2))  # I vi IV V, semitones above the key
NOTE_S, CHORD_S = 0.25, 2.0
_NOTE_DECAY_S = 0.35


def music(seconds: float, seed: int) -> Signal:
    """Music on hold: sustained chords with vibrato below, an arpeggio that is plucked above."""
    rng = np.random.default_rng(seed)
    length = int(seconds * SAMPLE_RATE_HZ)
    key_hz = 220.0 * 2 ** (int(rng.integers(-5, 6)) / 12)
    sound = np.zeros(length)
    for begin in range(0, length, int(CHORD_S * SAMPLE_RATE_HZ)):
        count = min(int(CHORD_S * SAMPLE_RATE_HZ), length - begin)
        chord = CHORDS[begin // int(CHORD_S * SAMPLE_RATE_HZ) % len(CHORDS)]
        swell = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / 800)
        for semitone in chord:
            hz = np.full(count, key_hz * 2 ** (semitone / 12))
            sound[begin : begin + count] += 0.5 * swell * _voiced(hz, rng, slope_db=9.0)
        for note in range(0, count, int(NOTE_S * SAMPLE_RATE_HZ)):
            left = min(length - begin - note, SAMPLE_RATE_HZ // 2)
            semitone = int(rng.choice(chord)) + 12 * int(rng.integers(1, 3))
            decay = np.exp(-np.arange(left) / (_NOTE_DECAY_S * SAMPLE_RATE_HZ))
            hz = np.full(left, key_hz * 2 ** (semitone / 12))
            at = begin + note
            sound[at : at + left] += decay * _voiced(hz, rng, slope_db=12.0)
    return _scaled(sound)


def humming(seconds: float, seed: int) -> Signal:
    """A caller who hums a tune, the mouth closed: notes of 0.3 to 0.8 s, little above 500 Hz."""
    rng = np.random.default_rng(seed)
    length = int(seconds * SAMPLE_RATE_HZ)
    base_hz = float(rng.choice([110.0, 130.0, 200.0, 230.0]))
    sound, at = np.zeros(length), 0
    while at < length:
        count = min(int(rng.uniform(0.3, 0.8) * SAMPLE_RATE_HZ), length - at)
        hz = np.full(count, base_hz * 2 ** (int(rng.choice([0, 2, 4, 5, 7, 9])) / 12))
        sound[at : at + count] = _swell(count) * _voiced(hz, rng, slope_db=15.0)
        at += count + int(rng.uniform(0.0, 0.1) * SAMPLE_RATE_HZ)
    return _scaled(sound)


def hummed_nod(hz: float, seed: int) -> Signal:
    """ "mm-hm": two hums, the second higher, with a breath between them; 0.45 s."""
    rng = np.random.default_rng(seed)
    first, pause, second = (int(s * SAMPLE_RATE_HZ) for s in (0.17, 0.06, 0.22))
    low = _swell(first) * _voiced(np.linspace(1.05, 0.95, first) * hz, rng, slope_db=13.0)
    high = _swell(second) * _voiced(np.linspace(1.1, 1.3, second) * hz, rng, slope_db=13.0)
    breath = 0.02 * rng.standard_normal(pause)
    return _scaled(np.concatenate((low, breath, high)))


def mains_hum(seconds: float) -> Signal:
    """50 Hz and its harmonics, odd ones stronger, as a bad earth gives."""
    at = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sound = np.zeros(len(at))
    for harmonic in range(1, 21):
        sound += (1.0 if harmonic % 2 else 0.3) / harmonic * np.sin(2 * np.pi * 50 * harmonic * at)
    return _scaled(sound)


def _voiced(
    hz: NDArray[np.float64], rng: np.random.Generator, *, slope_db: float
) -> NDArray[np.float64]:
    """Harmonics falling by `slope_db` an octave, with vibrato and a breath of noise."""
    at = np.arange(len(hz)) / SAMPLE_RATE_HZ
    vibrato = 1 + VIBRATO_DEPTH * np.sin(2 * np.pi * VIBRATO_HZ * at + rng.uniform(0, 6.28))
    phase = 2 * np.pi * np.cumsum(hz * vibrato) / SAMPLE_RATE_HZ
    highest = int(SAMPLE_RATE_HZ / 2 / float(hz.max())) if len(hz) else 0
    sound = np.zeros(len(hz))
    for harmonic in range(1, min(highest, 12) + 1):
        level = 10 ** (-slope_db / 20 * np.log2(harmonic))
        sound += level * np.sin(harmonic * phase + rng.uniform(0, 6.28))
    return sound + 0.003 * rng.standard_normal(len(hz))


def _swell(count: int) -> NDArray[np.float64]:
    """Notes begin and end within 40 ms."""
    edge = np.minimum(np.arange(count), np.arange(count)[::-1])
    return np.asarray(np.minimum(1.0, edge / (0.04 * SAMPLE_RATE_HZ)))


def _scaled(sound: NDArray[np.float64]) -> Signal:
    rms = float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0
    scaled = sound * (RMS / rms) if rms > 0 else sound
    return np.clip(scaled, -1.0, 1.0).astype(np.float32)
