"""Voices for the near-end detector: callers, the bot's prompts, and what is neither.

Callers are real people (phone_calls, barista, digits, read_sentences of the recordings' folder);
the bot speaks with espeak voices and with readers that never appear as callers. Everything leaves
as int16 at 8 kHz. Who is held out for evaluation is decided by the crc32 of the session or speaker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.files import read_audio
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.speech.telephone import to_telephone
from voicebot.speech.voices import EspeakVoice

Signal = NDArray[np.float32]

TRAINING_VOICES = (
    *("en-us+steph", "en-us+f2", "en-us+m3", "en-us+Alex", "en-us+linda", "en-us+klatt2"),
    *("en-gb-x-rp+m1", "en-gb-x-rp+f4", "en-us+Andrea", "en-us+ed", "en-us+belinda", "en-us+john"),
)
HELD_OUT_VOICES = ("en-us+f3", "en-us+m7", "en-gb-scotland+Annie", "en-us+steph3")
PROMPTS = (
    "Welcome to the coffee shop. What can I get you?",
    "You would like a large cappuccino with brown sugar. Is that right?",
    "Sorry, I did not understand. Please say your account number, one digit at a time.",
    "Your balance is one thousand two hundred and thirty four dollars and fifty six cents.",
    "For opening hours say hours. For directions say directions. For anything else say operator.",
    "Your next appointment is on Thursday, the twenty third of September, at half past nine.",
    "Please hold the line while I look that up for you. This will only take a moment.",
    "Shall I read the terms and conditions? They take about two minutes.",
    "Thank you for calling. Goodbye, and have a pleasant evening.",
    "The number you gave me was five five five, zero one seven, eight eight two six.",
    "I can tell you about cards, transfers, exchange rates, or a lost or stolen phone.",
    "Before we go on I need your date of birth. Say the day, the month and the year.",
)


@dataclass(frozen=True, slots=True)
class Voices:
    """One side of the split: utterances of callers and prompts of bots, float32 at 8 kHz."""

    callers: list[Signal]
    bots: list[Signal]
    noise: Signal


Side = Literal["training", "tuning", "held out"]


def side_of(name: str) -> Side:
    """Of a session or speaker, by crc32: every fifth is held out, which no training and no tuning
    may see; a fifth of the others is for the threshold, which strangers must set."""
    number = crc32(name.encode())
    if number % 5 == 0:
        return "held out"
    return "tuning" if number // 5 % 5 == 1 else "training"


def _is_bot(speaker: str) -> bool:
    """Every third reader lends the bot a human voice and is never a caller."""
    return (crc32(speaker.encode()) // 5) % 3 == 0


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    speaker: str
    is_bot: bool


def _phone_calls(folder: Path) -> Iterator[_File]:
    for path in sorted(folder.glob("phone_calls/*/*.wav")):
        yield _File(path, path.parent.name, False)


def _barista(folder: Path) -> Iterator[_File]:
    for path in sorted(folder.glob("barista/*.flac")):
        yield _File(path, path.stem, False)  # its speakers are not told


def _digits(folder: Path) -> Iterator[_File]:
    for path in sorted(folder.glob("digits/*.flac")):
        yield _File(path, path.stem.split("_")[1], False)


def _sentences(folder: Path) -> Iterator[_File]:
    index = folder / "read_sentences" / "transcripts.jsonl"
    for line in index.read_text().splitlines() if index.is_file() else ():
        row = json.loads(line)
        yield _File(index.parent / row["file"], row["speaker"], _is_bot(row["speaker"]))


def load(
    folder: Path,
    *,
    side: Side,
    rng: np.random.Generator,
    limit: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Voices:
    """Up to `limit` files of each collection on one side of the split, and espeak's prompts.

    What speaks and sounds for the bot while tuning is what it is while training.

    AudioFileError when the folder holds no callers.
    """
    callers: list[Signal] = []
    bots: list[Signal] = []
    for listing in (_phone_calls, _barista, _digits, _sentences):
        files = [file for file in listing(folder) if side_of(file.speaker) == side]
        for at in rng.permutation(len(files))[:limit]:
            file = files[int(at)]
            (bots if file.is_bot else callers).append(_telephone(file.path, rng))
    if not callers:
        raise AudioFileError(f"{folder}: holds no recordings of callers; see learning/near_end.py")
    tell(f"{len(callers)} utterances of callers, {len(bots)} of human bots")
    is_held_out = side == "held out"
    names = HELD_OUT_VOICES if is_held_out else TRAINING_VOICES
    spoken = espeak_prompts(names, rng, PROMPTS)
    return Voices(callers, bots + spoken, _noise(folder, is_held_out))


def _telephone(path: Path, rng: np.random.Generator) -> Signal:
    """A recording as a telephone would carry it: 8 kHz, about 250 to 3500 Hz when it had more."""
    samples, rate = read_audio(path)
    if rate == SAMPLE_RATE_HZ:
        return samples
    narrow = resample(samples, rate, SAMPLE_RATE_HZ)
    return band_pass(narrow, rng.uniform(100, 350), rng.uniform(3300, 3700))


def band_pass(samples: Signal, low_hz: float, high_hz: float) -> Signal:
    """Second-order slopes at both ends, without phase."""
    padded = len(samples) + SAMPLE_RATE_HZ // 10
    hz = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ)
    high_pass = (hz / low_hz) ** 2 / (1 + (hz / low_hz) ** 2)
    low_pass = 1 / (1 + (hz / high_hz) ** 16)
    spectrum = np.fft.rfft(samples, padded) * high_pass * low_pass
    return np.fft.irfft(spectrum, padded)[: len(samples)].astype(np.float32)


def espeak_prompts(
    voices: Sequence[str], rng: np.random.Generator, texts: Sequence[str]
) -> list[Signal]:
    """Every voice speaks a third of the texts, as the product would send them."""
    prompts = []
    for name in voices:
        voice = EspeakVoice(name, int(rng.integers(140, 200)))
        for text in rng.permutation(np.array(texts))[: max(1, len(texts) // 3)]:
            sent = to_telephone(str(text), voice.render(str(text)))
            prompts.append(to_float(mulaw.decode(sent.mulaw)))
    return prompts


def _noise(folder: Path, held_out: bool) -> Signal:
    """Kitchen noise: its first two thirds for training, the rest for evaluation."""
    path = folder / "noise" / "kitchen.flac"
    if not path.is_file():
        return np.random.default_rng(0).normal(0, 0.03, SAMPLE_RATE_HZ * 30).astype(np.float32)
    samples, rate = read_audio(path)
    narrow = resample(samples, rate, SAMPLE_RATE_HZ)
    cut = len(narrow) * 2 // 3
    return narrow[cut:] if held_out else narrow[:cut]


def music(samples: int, rng: np.random.Generator) -> Signal:
    """Chords of decaying harmonics with a beat: music on hold, as far as a net need know."""
    out = np.zeros(samples + SAMPLE_RATE_HZ, np.float32)
    beat = int(SAMPLE_RATE_HZ * rng.uniform(0.2, 0.6))
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for at in range(0, samples, beat):
        root = 110 * 2 ** (rng.integers(0, 24) / 12)
        for interval in (1.0, 1.26, 1.5)[: int(rng.integers(1, 4))]:
            for harmonic in range(1, int(rng.integers(3, 9))):
                if root * interval * harmonic < 3600:
                    tone = np.sin(2 * np.pi * root * interval * harmonic * time + rng.uniform(0, 6))
                    out[at : at + SAMPLE_RATE_HZ] += tone * np.exp(-time * 3) / harmonic
        if rng.random() < 0.5:
            hit = rng.standard_normal(800) * np.exp(-np.arange(800) / 150)
            out[at : at + 800] += hit.astype(np.float32)
    return out[:samples]


def hum(samples: int, rng: np.random.Generator) -> Signal:
    """Mains hum, or a caller who hums: one gliding tone with fixed formants, no syllables."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    if rng.random() < 0.5:
        base = float(rng.choice([50.0, 60.0]))
        tones = [np.sin(2 * np.pi * base * k * time) / k for k in range(1, 12)]
        return np.asarray(np.sum(tones, axis=0), np.float32)
    notes = np.arange(0, time[-1] + 1, 0.5)  # one every half second
    melody = rng.uniform(100, 260) * 2 ** (rng.integers(-4, 5, len(notes)) / 12)
    glide = np.interp(time, notes, melody)
    glide += 2 * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE_HZ
    tones = [np.sin(k * phase) * np.exp(-k / 3) for k in range(1, 10)]
    return np.asarray(np.sum(tones, axis=0), np.float32)
