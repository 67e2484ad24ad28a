"""What a telephone carries while nobody speaks: every sort a recogniser must stay silent on.

Made by formula, but for the kitchen's noise: machines and tones exactly as they sound, breath,
coughs, barks and doors as far as noise through resonances goes. Only some of these sorts are
trained on (`asr_channel.Telephone.nothing`, TRAINED); the rest are for measuring. 8 kHz float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning.asr_channel import Maker, Rng, Signal, Telephone, coloured
from voicebot.learning.near_end_corpus import hum, music

LOWEST_DBFS, HIGHEST_DBFS = -50.0, -14.0
_TONES = {
    "dial tone": ((350, 440), 1.0, 0.0),
    "ring-back": ((440, 480), 2.0, 4.0),
    "ring-back, Europe": ((425,), 1.0, 4.0),
    "busy": ((480, 620), 0.5, 0.5),
    "reorder": ((480, 620), 0.25, 0.25),
    "call waiting": ((440,), 0.3, 9.7),
}
"""Frequencies in Hz, seconds on and off (ITU-T E.180 and its supplement 2)."""


def silence(samples: int, rng: Rng) -> Signal:
    """Nothing, or the last bit of mu-law toggling."""
    return np.asarray(rng.choice([0.0, 1e-4]) * rng.standard_normal(samples), np.float32)


def noise(samples: int, rng: Rng) -> Signal:
    """White to brown, steady."""
    return coloured(samples, rng.uniform(0, 1.2), rng)


def gusts(samples: int, rng: Rng) -> Signal:
    """Wind or a fan: low noise that swells and falls."""
    return coloured(samples, 1.0, rng) * _swell(samples, rng, rng.uniform(0.3, 3)) ** 2


def tones(samples: int, rng: Rng) -> Signal:
    """What exchanges play: dialling, ringing, engaged."""
    names = list(_TONES)
    frequencies, on, off = _TONES[names[int(rng.integers(len(names)))]]
    time = np.arange(samples) / SAMPLE_RATE_HZ
    sound = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    is_on = (time + rng.uniform(0, on + off)) % (on + off) < on
    return np.asarray(sound * is_on, np.float32)


def information_tones(samples: int, rng: Rng) -> Signal:
    """The three rising tones before "the number you have dialled" (ITU-T E.180)."""
    time = np.arange(samples) / SAMPLE_RATE_HZ % rng.uniform(1.4, 3)
    steps = np.digitize(time, [0.33, 0.66, 0.99])
    frequency = np.array([950, 1400, 1800, 0])[steps]
    return np.asarray(np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ), np.float32)


def keys(samples: int, rng: Rng) -> Signal:
    """DTMF, 40 to 400 ms each."""
    return _events(samples, rng, (0.2, 1.0), _key)


def modem(samples: int, rng: Rng) -> Signal:
    """A fax's calling tone, or two frequencies at 300 bits a second."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    if rng.random() < 0.5:
        return np.asarray(np.sin(2 * np.pi * 1100 * time) * (time % 3.5 < 0.5), np.float32)
    bits = rng.integers(0, 2, samples // (SAMPLE_RATE_HZ // 300) + 1)
    frequency = np.where(np.repeat(bits, SAMPLE_RATE_HZ // 300)[:samples], 1270, 1070)
    frequency = np.resize(frequency, samples)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ), np.float32)


def breath(samples: int, rng: Rng) -> Signal:
    """In and out, noise through the shape of a mouth."""
    period = rng.uniform(1.2, 4)
    phase = np.arange(samples) / SAMPLE_RATE_HZ / period + rng.uniform()
    envelope = np.maximum(0, np.sin(2 * np.pi * phase)) ** rng.uniform(1, 3)
    return _through(rng.standard_normal(samples) * envelope, (500, 1500, 2500), (400,) * 3, rng)


def coughs(samples: int, rng: Rng) -> Signal:
    """Bursts of noise through a throat, one to three together, at times with some voice."""
    return _events(samples, rng, (0.8, 3.0), _cough)


def knocks(samples: int, rng: Rng) -> Signal:
    """A door slams, a handset is put down, knuckles on a table."""
    return _events(samples, rng, (0.15, 2.5), _knock)


def typing(samples: int, rng: Rng) -> Signal:
    """A keyboard."""
    return _events(samples, rng, (0.05, 0.4), _click)


def crackle(samples: int, rng: Rng) -> Signal:
    """A bad line: single samples, and bursts of static."""
    sound = rng.standard_normal(samples) * (rng.random(samples) < rng.uniform(0.0005, 0.02))
    bursts = _swell(samples, rng, 6) > rng.uniform(0.6, 0.95)
    return np.asarray(sound + 0.3 * rng.standard_normal(samples) * bursts, np.float32)


def mobile_buzz(samples: int, rng: Rng) -> Signal:
    """A GSM handset near a loudspeaker: 217 bursts a second, in groups."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    pulses = (time * 217 % 1 < 0.125) * 1.0
    return np.asarray(pulses * (time % rng.uniform(0.2, 1.5) < 0.15), np.float32)


def engine(samples: int, rng: Rng) -> Signal:
    """A car from inside: firing frequency with harmonics, rising and falling, and tyres."""
    speed = 30 + 60 * _swell(samples, rng, 0.4)
    phase = 2 * np.pi * np.cumsum(speed) / SAMPLE_RATE_HZ
    sound = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 30))
    return np.asarray(sound + coloured(samples, 0.8, rng) * rng.uniform(0.3, 2), np.float32)


def siren(samples: int, rng: Rng) -> Signal:
    """Two tones or a wail; a beeping alarm."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    rate, low, high = rng.uniform(0.3, 4), rng.uniform(400, 900), rng.uniform(900, 2500)
    wave = np.sin(2 * np.pi * rate * time)
    frequency = low + (high - low) * (0.5 + 0.5 * (np.sign(wave) if rng.random() < 0.5 else wave))
    return np.asarray(np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ), np.float32)


def barks(samples: int, rng: Rng) -> Signal:
    """A dog: short falling tones with formants."""
    return _events(samples, rng, (0.3, 1.5), _bark)


def cries(samples: int, rng: Rng) -> Signal:
    """A baby: long wavering tones of 350 to 600 Hz."""
    return _events(samples, rng, (1.2, 2.2), _cry)


def whistle(samples: int, rng: Rng) -> Signal:
    """A melody whistled, or played on one string."""
    notes = 500 * 2 ** (rng.integers(0, 16, samples) / 12)
    length = int(rng.uniform(0.15, 0.6) * SAMPLE_RATE_HZ)
    frequency = np.repeat(notes[: samples // length + 1], length)[:samples]
    phase = 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ
    fade = np.exp(-(np.arange(samples) % length) / SAMPLE_RATE_HZ * rng.uniform(0, 6))
    return np.asarray(fade * sum(np.sin(k * phase) / k**2 for k in (1, 2, 3)), np.float32)


def applause(samples: int, rng: Rng) -> Signal:
    """Many hands."""
    claps = (rng.random(samples) < rng.uniform(0.002, 0.02)) * rng.uniform(0.2, 1, samples)
    return _through(claps * rng.standard_normal(samples), (1200,), (900,), rng)


MAKERS: Mapping[str, Maker] = {
    "silence": silence, "noise": noise, "gusts": gusts, "hum": hum, "music": music,
    "exchange tones": tones, "information tones": information_tones, "keys": keys,
    "modem": modem, "breath": breath, "coughs": coughs, "knocks": knocks, "typing": typing,
    "crackle": crackle, "mobile buzz": mobile_buzz, "engine": engine, "siren": siren,
    "barks": barks, "cries": cries, "whistle": whistle, "applause": applause,
}  # fmt: skip
TRAINED = (siren, barks, mobile_buzz)
"""Sorts that a recogniser answers with words unless it learned not to; beside those of
`Telephone.nothing`, the only ones of MAKERS that training hears."""


def draw(
    sort: str, samples: int, rng: Rng, telephone: Telephone, noises: Sequence[Signal] = ()
) -> Signal:
    """One stretch of that sort as it arrives, coded, over a quiet line; "kitchen" takes a stretch
    of `noises`."""
    if sort == "kitchen":
        recording = noises[int(rng.integers(len(noises)))]
        at = int(rng.integers(0, max(1, len(recording) - samples)))
        sound = np.resize(recording[at : at + samples], samples).astype(np.float32)
    else:
        sound = MAKERS[sort](samples, rng)
    if sort != "silence":
        level = 10 ** (rng.uniform(LOWEST_DBFS, HIGHEST_DBFS) / 20)
        sound = sound * np.float32(level / (np.sqrt(np.mean(sound**2)) + 1e-6))
    line = coloured(samples, 0.5, rng) * np.float32(10 ** (rng.uniform(-75, -50) / 20))
    return telephone.coded(np.clip(sound + line, -1, 1).astype(np.float32), rng)


# ---------------------------------------------------------------- parts


def _swell(samples: int, rng: Rng, rate_hz: float) -> Signal:
    """0..1, wandering so many times a second."""
    points = rng.uniform(0, 1, int(samples / SAMPLE_RATE_HZ * rate_hz) + 3)
    place = np.arange(samples) / SAMPLE_RATE_HZ * rate_hz
    return np.asarray(np.interp(place, np.arange(len(points)), points), np.float32)


def _events(
    samples: int, rng: Rng, gap_s: tuple[float, float], make: Callable[[Rng], Signal]
) -> Signal:
    """One event after another."""
    sound, at = np.zeros(samples, np.float32), int(rng.uniform(0, 0.3) * SAMPLE_RATE_HZ)
    while at < samples:
        event = make(rng)[: samples - at]
        sound[at : at + len(event)] += event * np.float32(rng.uniform(0.4, 1))
        at += len(event) + int(rng.uniform(*gap_s) * SAMPLE_RATE_HZ)
    return sound


def _key(rng: Rng) -> Signal:
    time = np.arange(int(rng.uniform(0.04, 0.4) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477, 1633])
    return np.asarray(np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time), np.float32)


def _cough(rng: Rng) -> Signal:
    parts: list[Signal] = []
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.uniform(0.15, 0.4) * SAMPLE_RATE_HZ)
        time = np.arange(size) / SAMPLE_RATE_HZ
        source = rng.standard_normal(size) + rng.choice([0, 3]) * _pulses(size, 150 - 150 * time)
        source *= np.exp(-time * rng.uniform(8, 20)) * np.minimum(1, time / 0.008)
        parts += [
            _through(source, (700, 1300, 2600), (300, 300, 400), rng),
            np.zeros(600, np.float32),
        ]
    return np.concatenate(parts)


def _knock(rng: Rng) -> Signal:
    size = int(rng.uniform(0.05, 0.5) * SAMPLE_RATE_HZ)
    time = np.arange(size) / SAMPLE_RATE_HZ
    fade = np.exp(-time * rng.uniform(15, 80))
    thud = np.sin(2 * np.pi * rng.uniform(60, 400) * time)
    return np.asarray(fade * (thud + 0.5 * rng.standard_normal(size)), np.float32)


def _click(rng: Rng) -> Signal:
    size = int(rng.uniform(0.004, 0.03) * SAMPLE_RATE_HZ)
    return np.asarray(rng.standard_normal(size) * np.exp(-np.arange(size) / 40), np.float32)


def _bark(rng: Rng) -> Signal:
    size = int(rng.uniform(0.12, 0.3) * SAMPLE_RATE_HZ)
    time = np.arange(size) / SAMPLE_RATE_HZ
    pitch = rng.uniform(300, 700) * (1 + 0.6 * np.sin(np.pi * time / time[-1]))
    source = _pulses(size, pitch) + 0.3 * rng.standard_normal(size)
    return _through(source * np.sin(np.pi * time / time[-1]), (900, 1800), (300, 400), rng)


def _cry(rng: Rng) -> Signal:
    size = int(rng.uniform(0.6, 1.5) * SAMPLE_RATE_HZ)
    time = np.arange(size) / SAMPLE_RATE_HZ
    pitch = rng.uniform(350, 600) * (1 + 0.15 * np.sin(np.pi * time / time[-1]))
    pitch += 15 * np.sin(2 * np.pi * 6 * time)
    envelope = np.sqrt(np.abs(np.sin(np.pi * time / time[-1])))
    return _through(_pulses(size, pitch) * envelope, (1100, 2800), (300, 500), rng)


def _pulses(size: int, pitch: NDArray[np.floating[Any]]) -> Signal:
    """A voice's source, whose pitch glides."""
    phase = np.cumsum(np.maximum(pitch, 1)) / SAMPLE_RATE_HZ
    return np.asarray(np.diff(np.floor(phase), prepend=0.0), np.float32)[:size] * 5


def _through(
    source: NDArray[np.floating[Any]], formants: Sequence[float], widths: Sequence[float], rng: Rng
) -> Signal:
    """Resonances, each a little elsewhere every time, in the frequency domain."""
    spectrum = np.fft.rfft(source)
    frequency = np.fft.rfftfreq(len(source), 1 / SAMPLE_RATE_HZ)
    gain = np.full(len(frequency), 0.03)
    for centre, width in zip(formants, widths, strict=True):
        gain += 1 / (1 + ((frequency - centre * rng.uniform(0.8, 1.2)) / width) ** 2)
    return np.asarray(np.fft.irfft(spectrum * gain, len(source)), np.float32)
