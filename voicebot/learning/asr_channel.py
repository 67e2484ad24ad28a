"""The telephone chain: what happens to speech on its way to us, drawn anew for every item.

    room -> noise, hum, sidetone -> 300-3400 Hz -> level, clipping -> codec (sometimes twice)
         -> lost packets -> comfort noise -> mu-law

Everything keeps its place in time, so that the clean side of a pair supervises the telephone side
frame by frame. Signals are float32, mono, 8 kHz, full scale +-1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebot.audio.echo_path import active_rms
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from voicebot.learning.asr_codecs import Codec, available
from voicebot.learning.near_end_corpus import band_pass, hum, music

Signal = NDArray[np.float32]
Rng = np.random.Generator
Maker = Callable[[int, Rng], Signal]
"""So many samples of a sound, at any level."""

KITCHEN_FRAME = SAMPLE_RATE_HZ * 2048 // 16000
"""Frames of the public benchmark's mixing, 2048 samples at 16 kHz."""

OTHER_SOUNDS = 0.35
"""Share of calls without speech that hold one of the `sounds`."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Probabilities of each impairment. The defaults are what the shipped model was trained on."""

    room: float = 0.3
    noise: float = 0.5
    hum: float = 0.05
    sidetone: float = 0.08
    band: float = 0.8
    level: float = 0.9
    clipping: float = 0.06
    codec: float = 0.45
    """Something other than plain mu-law."""
    second_codec: float = 0.12
    loss: float = 0.15
    comfort_noise: float = 0.08


class Telephone:
    """Draws telephones. `noises` are recordings to mix in, `babble` other people's speech, `sounds`
    what else is heard while nobody speaks."""

    def __init__(
        self,
        chain: Chain,
        noises: Sequence[Signal],
        babble: Sequence[Signal],
        sounds: Sequence[Maker] = (),
    ) -> None:
        self._chain, self._noises, self._babble, self._sounds = chain, noises, babble, sounds
        self._codecs = available()
        others = {"alaw": 0.25, "gsm": 0.35, "amr": 0.3, "opus": 0.1}
        self._others = [name for name in others if name in self._codecs]
        weights = np.array([others[name] for name in self._others])
        self._weights = weights / weights.sum()

    def carry(self, speech: Signal, rng: Rng, *, was_telephone: bool = False) -> Signal:
        """`speech` as the far end of a call. `was_telephone`: it has been through one already,
        so room and band come seldom."""
        chain = self._chain
        seldom = 0.25 if was_telephone else 1.0
        heard = speech
        if rng.random() < chain.room * seldom:
            heard = in_room(heard, rng)
        if rng.random() < chain.noise * (0.7 if was_telephone else 1.0):
            heard = self.noisy(heard, rng)
        if rng.random() < chain.hum:
            heard = heard + _at(hum(len(heard), rng), active_rms(heard), rng.uniform(15, 35))
        if rng.random() < chain.sidetone:
            heard = _with_sidetone(heard, rng)
        if rng.random() < chain.band * seldom:
            heard = band_pass(heard, rng.uniform(100, 350), rng.uniform(3200, 3800))
        if rng.random() < chain.level:
            heard = levelled(heard, rng.uniform(-36, -12))
        if rng.random() < chain.clipping:
            heard = clipped(heard, rng.uniform(3, 15))
        return self.coded(heard, rng)

    def coded(self, heard: Signal, rng: Rng) -> Signal:
        """The network: codecs, losses, comfort noise; mu-law at its end."""
        chain = self._chain
        if rng.random() < chain.codec:
            heard = self._coder(rng)(heard, rng)
            if rng.random() < chain.second_codec:
                heard = self._coder(rng)(heard, rng)
        if rng.random() < chain.comfort_noise:
            heard = with_comfort_noise(heard, rng)
        if rng.random() < chain.loss:
            heard = with_losses(heard, rng)
        return self._codecs["mulaw"](heard, rng)

    def noisy(self, speech: Signal, rng: Rng) -> Signal:
        """With kitchen noise as the public benchmark mixes it, or white, coloured or babble."""
        how = rng.random()
        if self._noises and how < 0.45:
            noise = _stretch(self._noises[int(rng.integers(len(self._noises)))], len(speech), rng)
            return mixed_by_frames(speech, noise, rng.uniform(4, 28))
        if self._babble and how < 0.6:
            other = _stretch(self._babble[int(rng.integers(len(self._babble)))], len(speech), rng)
            return speech + _at(other, active_rms(speech), rng.uniform(12, 30))
        noise = coloured(len(speech), rng.uniform(0, 1.2), rng)
        return speech + _at(noise, active_rms(speech), rng.uniform(5, 35))

    def nothing(self, samples: int, rng: Rng) -> Signal:
        """A call in which nobody speaks: noise, hum, music, a key, clicks, quiet, other sounds."""
        other = bool(self._sounds) and rng.random() < OTHER_SOUNDS
        how = rng.random()
        level = 10 ** (rng.uniform(-55, -18) / 20)
        sound = np.zeros(samples, np.float32)
        if other:
            sound = self._sounds[int(rng.integers(len(self._sounds)))](samples, rng)
        elif self._noises and how < 0.35:
            sound = _stretch(self._noises[int(rng.integers(len(self._noises)))], samples, rng)
        elif how < 0.5:
            sound = coloured(samples, rng.uniform(0, 1.2), rng)
        elif how < 0.6:
            sound = hum(samples, rng)
        elif how < 0.75:
            sound = music(samples, rng)
        elif how < 0.85:
            sound = _keys(samples, rng)
        elif how < 0.95:
            sound = _clicks(samples, rng)
        sound = sound * np.float32(level / (float(np.sqrt(np.mean(sound**2))) + 1e-6))
        floor = coloured(samples, 0.5, rng) * np.float32(10 ** (rng.uniform(-75, -50) / 20))
        return self.coded(np.clip(sound + floor, -1, 1).astype(np.float32), rng)

    def _coder(self, rng: Rng) -> Codec:
        return self._codecs[self._others[int(rng.choice(len(self._others), p=self._weights))]]


def in_room(signal: Signal, rng: Rng) -> Signal:
    """Reverberation behind the direct path: decaying Gaussian noise (Polack 1988), a telephone
    near the mouth (direct to reverberant 0 to 18 dB)."""
    length = int(rng.uniform(0.08, 0.5) * SAMPLE_RATE_HZ)
    decay = np.exp(-np.log(1000) * np.arange(length) / length)
    response = rng.standard_normal(length) * decay
    response *= 10 ** (-rng.uniform(0, 18) / 20) / np.sqrt(np.sum(response[1:] ** 2))
    response[0] = 1.0
    size = len(signal) + length
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(signal)], np.float32)


def mixed_by_frames(speech: Signal, noise: Signal, snr_db: float) -> Signal:
    """The public speech-to-intent benchmark's mixing: by the loudest frame of either, then
    divided by twice the peak."""
    scale = np.sqrt(_loudest(speech) / (_loudest(noise) * 10 ** (snr_db / 10) + 1e-12))
    both = speech + noise * np.float32(scale)
    return np.asarray(both / (2 * np.abs(both).max(initial=1e-4)), np.float32)


def _loudest(signal: Signal) -> float:
    frames = signal[: len(signal) // KITCHEN_FRAME * KITCHEN_FRAME].reshape(-1, KITCHEN_FRAME)
    return float(np.mean(frames**2, axis=1).max(initial=1e-9))


def coloured(samples: int, slope: float, rng: Rng) -> Signal:
    """Noise whose amplitude falls with frequency to the power `slope`, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1 + samples * 50 / SAMPLE_RATE_HZ) ** slope
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / (np.sqrt(np.mean(noise**2)) + 1e-9), np.float32)


def levelled(signal: Signal, dbfs: float) -> Signal:
    """At an active speech level of `dbfs`; what exceeds full scale is clipped."""
    scaled = signal * np.float32(10 ** (dbfs / 20) / max(active_rms(signal), 1e-5))
    return np.asarray(np.clip(scaled, -1, 1), np.float32)


def masked(signal: Signal, rng: Rng) -> Signal:
    """Without up to two bands of at most 600 Hz and two moments of at most 0.2 s, a tenth of the
    whole each: what is said must be heard in more than one place (SpecAugment, Park et al. 2019,
    arXiv:1904.08779, on the waveform)."""
    spectrum = np.fft.rfft(signal)
    per_hz = 2 * len(spectrum) / SAMPLE_RATE_HZ
    for _ in range(int(rng.integers(0, 3))):
        low, width = rng.uniform(0, 3400), rng.uniform(0, 600)
        spectrum[int(low * per_hz) : int((low + width) * per_hz)] = 0
    left = np.asarray(np.fft.irfft(spectrum, len(signal)), np.float32)
    for _ in range(int(rng.integers(0, 3))):
        length = int(rng.uniform(0, min(0.2 * SAMPLE_RATE_HZ, len(signal) / 10)))
        at = int(rng.integers(0, len(signal) - length + 1))
        left[at : at + length] = 0
    return left


def clipped(signal: Signal, drive_db: float) -> Signal:
    """Cut at so far below its peak."""
    ceiling = np.float32(np.abs(signal).max(initial=1e-4) * 10 ** (-drive_db / 20))
    return np.asarray(np.clip(signal, -ceiling, ceiling), np.float32)


def with_losses(signal: Signal, rng: Rng) -> Signal:
    """Bursts of one to three packets of 20 ms lost; the gap is silent, noisy, or hidden by
    repeating the last packet more and more quietly (after G.711 appendix I)."""
    packets = signal[: len(signal) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    heard = packets.copy()
    hiding = rng.integers(3)
    rate = rng.uniform(0.003, 0.03)
    for at in np.flatnonzero(rng.random(len(packets)) < rate):
        burst = min(int(rng.integers(1, 4)), len(packets) - int(at))
        for offset in range(burst):
            if hiding == 0:
                heard[at + offset] = 0.0
            elif hiding == 1 and at:
                heard[at + offset] = packets[at - 1] * np.float32(0.8 * 0.5**offset)
            else:
                heard[at + offset] = 0.001 * rng.standard_normal(CHUNK_SAMPLES)
    return np.concatenate([heard.reshape(-1), signal[heard.size :]])


def with_comfort_noise(signal: Signal, rng: Rng) -> Signal:
    """Packets 30 dB and more below the loudest replaced by steady noise, as a network with
    silence suppression plays them."""
    packets = signal[: len(signal) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    power = np.mean(packets**2, axis=1)
    quiet = power < power.max(initial=0.0) * 10 ** (-rng.uniform(30, 45) / 10)
    level = 10 ** (rng.uniform(-70, -50) / 20)
    heard = packets.copy()
    heard[quiet] = rng.standard_normal((int(quiet.sum()), CHUNK_SAMPLES)) * level
    return np.concatenate([heard.reshape(-1), signal[heard.size :]])


def _with_sidetone(signal: Signal, rng: Rng) -> Signal:
    """The caller's own voice once more, a little later and lower."""
    delay = int(rng.uniform(0.005, 0.06) * SAMPLE_RATE_HZ)
    echo = np.pad(signal, (delay, 0))[: len(signal)]
    return signal + echo * np.float32(10 ** (-rng.uniform(12, 30) / 20))


def _at(noise: Signal, speech_rms: float, snr_db: float) -> Signal:
    """Noise so far below the speech."""
    rms = float(np.sqrt(np.mean(noise**2))) + 1e-9
    scale = max(speech_rms, 1e-4) / rms * 10 ** (-snr_db / 20)
    return np.asarray(noise * np.float32(scale), np.float32)


def _stretch(recording: Signal, samples: int, rng: Rng) -> Signal:
    """A random stretch, repeated where the recording is shorter."""
    at = int(rng.integers(0, max(1, len(recording) - samples)))
    part = recording[at : at + samples]
    return np.resize(part, samples).astype(np.float32)


def _keys(samples: int, rng: Rng) -> Signal:
    """DTMF digits."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    sound = np.zeros(samples)
    for begin in np.arange(rng.uniform(0.1, 0.4), samples / SAMPLE_RATE_HZ, rng.uniform(0.2, 0.8)):
        low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
        on = (time >= begin) & (time < begin + 0.1)
        sound += on * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time))
    return np.asarray(sound, np.float32)


def _clicks(samples: int, rng: Rng) -> Signal:
    """A few short bursts: handling noise, a door, a cough without a voice."""
    sound = np.zeros(samples, np.float32)
    for at in rng.integers(0, max(1, samples - 1), int(rng.integers(1, 6))):
        length = min(int(rng.uniform(0.003, 0.15) * SAMPLE_RATE_HZ), samples - int(at))
        fade = np.exp(-np.arange(length) / (length / 4 + 1))
        sound[at : at + length] += (rng.standard_normal(length) * fade).astype(np.float32)
    return sound
