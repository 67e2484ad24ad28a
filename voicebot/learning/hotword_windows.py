"""Windows to learn from: cut around the word or away from it, and worn as telephones wear them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float, to_int16
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning.hotword_corpus import SYNTHETIC, Clip, Samples, background
from voicebot.turns.hotword_head import WINDOW_SAMPLES

MARGIN = SAMPLE_RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Cut:
    """A window of a clip that ends at sample `end`; `stop`: the voice breaks off there."""

    clip: Clip
    end: int
    is_word: bool
    stop: int | None = None


def positives(clip: Clip, count: int, rng: np.random.Generator) -> list[Cut]:
    """Windows that hold the whole word, anywhere in them."""
    cuts = []
    for start, end in clip.words:
        latest = max(start + WINDOW_SAMPLES - MARGIN, end + 2 * MARGIN)
        ends = rng.integers(end + MARGIN, latest, count)
        cuts += [Cut(clip, int(at), True) for at in ends]
    return cuts


def half_said(clip: Clip, count: int, rng: np.random.Generator) -> list[Cut]:
    """Windows that end in the word, and ones in which the voice breaks off in it."""
    cuts = []
    for start, end in clip.words:
        for index in range(count):
            stop = start + int((end - start) * rng.uniform(0.2, 0.6))
            after = int(rng.uniform(0.1, 0.9) * SAMPLE_RATE_HZ) if index % 2 else 0
            cuts.append(Cut(clip, stop + after, False, stop))
    return cuts


def negatives(clip: Clip, hop: int, rng: np.random.Generator) -> list[Cut]:
    """Windows about every `hop` samples in which the word neither is nor begins."""
    first = int(rng.integers(WINDOW_SAMPLES // 4, WINDOW_SAMPLES))
    ends = np.arange(first, len(clip.samples) + WINDOW_SAMPLES // 3, hop)
    ends += rng.integers(-hop // 4, hop // 4 + 1, len(ends))
    clear = [
        all(at <= start or at - WINDOW_SAMPLES >= end for start, end in clip.words) for at in ends
    ]
    return [Cut(clip, int(at), False) for at, is_clear in zip(ends, clear, strict=True) if is_clear]


def render(cut: Cut, voices: Sequence[Clip], noises: Sequence[Clip], seed: int) -> Samples:
    """float32[WINDOW_SAMPLES] at 8 kHz, worn at random; `seed` 0 leaves it as it is."""
    rng = np.random.default_rng(seed or zlib_seed(cut))
    if not seed:
        return _coded(_taken(cut, WINDOW_SAMPLES, rng), False)
    speed = float(rng.uniform(0.88, 1.12)) if rng.random() < 0.5 else 1.0
    window = _taken(cut, round(WINDOW_SAMPLES * speed), rng)
    if speed != 1.0:
        window = soxr.resample(window, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
        window = np.pad(window, (max(0, WINDOW_SAMPLES - len(window)), 0))[-WINDOW_SAMPLES:]
    if cut.clip.source == SYNTHETIC or rng.random() < 0.25:
        window = _filtered(window, rng)
    level = max(float(np.sqrt(np.mean(window**2))), 1e-5)
    wanted = 10 ** (float(rng.uniform(-38, -14)) / 20)
    if cut.clip.source == SYNTHETIC or rng.random() < 0.6:
        window, level = window * (wanted / level), wanted
    if rng.random() < 0.5:
        window = window + _noise(noises, rng) * level * 10 ** (-float(rng.uniform(8, 32)) / 20)
    if rng.random() < 0.2:
        # What an echo canceller leaves of the prompt.
        window = window + _voice(voices, rng) * level * 10 ** (-float(rng.uniform(12, 30)) / 20)
    return _coded(window.astype(np.float32), rng.random() < 0.2)


def zlib_seed(cut: Cut) -> int:
    """A seed of the cut's own, for the noise beyond the ends of its clip."""
    return cut.end * 7919 + len(cut.clip.samples)


def _taken(cut: Cut, length: int, rng: np.random.Generator) -> Samples:
    """[end - length, end) of the clip; beyond its ends noise as quiet as its own background."""
    samples = cut.clip.samples[: cut.stop]
    if cut.clip.source == SYNTHETIC:
        floor = 10 ** (float(rng.uniform(-75, -50)) / 20)
    else:
        floor = background(cut.clip.samples)
    window = rng.normal(0, floor, length).astype(np.float32)
    begin = cut.end - length
    low, high = max(begin, 0), min(cut.end, len(samples))
    if high > low:
        piece = samples[low:high].copy()
        fade = min(80, len(piece))
        if high == len(samples):
            piece[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        window[low - begin : high - begin] = piece
    return window


def _filtered(window: Samples, rng: np.random.Generator) -> Samples:
    """A telephone's band, its edges and slope at random."""
    spectrum = np.fft.rfft(window)
    hz = np.fft.rfftfreq(len(window), 1 / SAMPLE_RATE_HZ)
    low, high = rng.uniform(60, 350), rng.uniform(2900, 3900)
    gain = 1 / np.sqrt(1 + (low / np.maximum(hz, 1)) ** 6) / np.sqrt(1 + (hz / high) ** 12)
    slope = float(rng.uniform(-0.3, 0.3))
    gain = gain * (np.maximum(hz, 100) / 1000) ** slope
    filtered: Samples = np.asarray(np.fft.irfft(spectrum * gain, len(window)), np.float32)
    return filtered


def _noise(noises: Sequence[Clip], rng: np.random.Generator) -> Samples:
    """Unit RMS: white, pink, or a stretch of recorded noise."""
    kind = rng.integers(3) if noises else rng.integers(2)
    if kind == 2:
        return _stretch(noises[int(rng.integers(len(noises)))].samples, rng)
    white = rng.normal(0, 1, WINDOW_SAMPLES)
    if kind == 1:
        spectrum = np.fft.rfft(white)
        spectrum /= np.sqrt(np.arange(1, len(spectrum) + 1))
        white = np.fft.irfft(spectrum, WINDOW_SAMPLES)
    return np.asarray(white / np.sqrt(np.mean(white**2)), np.float32)


def _voice(voices: Sequence[Clip], rng: np.random.Generator) -> Samples:
    return _stretch(voices[int(rng.integers(len(voices)))].samples, rng)


def _stretch(samples: Samples, rng: np.random.Generator) -> Samples:
    samples = np.resize(samples, max(len(samples), WINDOW_SAMPLES + 1))
    begin = int(rng.integers(len(samples) - WINDOW_SAMPLES))
    stretch = samples[begin : begin + WINDOW_SAMPLES]
    return np.asarray(stretch / max(float(np.sqrt(np.mean(stretch**2))), 1e-5), np.float32)


def _coded(window: Samples, is_gsm: bool) -> Samples:
    coded: NDArray[np.int16] = to_int16(window)
    if is_gsm:
        file = io.BytesIO()
        sf.write(file, coded, SAMPLE_RATE_HZ, format="WAV", subtype="GSM610")
        file.seek(0)
        coded = sf.read(file, dtype="int16")[0][: len(window)]
    return to_float(mulaw.decode(mulaw.encode(coded)))
