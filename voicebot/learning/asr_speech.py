"""Synthetic speech: espeak voices at many rates, pitches and vocal-tract lengths.

espeak-ng's formant voices sound like nobody, so they fill gaps (digits, letters, orders, words)
beside real callers and never replace them. They flutter on from one call to the next: the same
text sounds slightly different each time, whatever the seed. Strings of digits are also joined from
single digits of one real speaker.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.learning.asr_corpora import RATE_HZ
from voicebot.learning.asr_phrases import KINDS, Phrase, Rng, Texts
from voicebot.learning.asr_transcripts import finished
from voicebot.speech.voices import EspeakVoice

Signal = NDArray[np.float32]

LANGUAGES = (
    "en-us", "en-us", "en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan",
    "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
VARIANTS = (
    "f1", "f2", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m8", "klatt", "klatt2", "klatt3",
    "klatt4", "klatt5", "klatt6", "steph", "steph2", "Alex", "Andy", "Andrea", "belinda",
    "benjamin", "boris", "caleb", "ed", "Gene", "Gene2", "grandma", "iven", "iven2", "iven3",
    "john", "linda", "Lee", "marcelo", "max", "Michael", "Mike", "pablo", "paul", "pedro",
    "quincy", "rob", "robert", "shelby", "travis", "victor", "zac", "adam", "anika",
)  # fmt: skip

TRACT = 0.12
"""Most by which speech is made faster and higher, or slower and lower, by resampling."""
_QUIETEST = 0.01


def voices(held_out: frozenset[str]) -> list[str]:
    """Voices to train on, espeak's names; those not installed are left out."""
    names = (f"{language}+{variant}" for language in LANGUAGES for variant in VARIANTS)
    return [name for name in dict.fromkeys(names) if name not in held_out and is_there(name)]


@lru_cache(maxsize=1024)
def is_there(name: str) -> bool:
    """Whether espeak has that voice."""
    from voicebot.errors import ModelUnavailable

    try:
        EspeakVoice(name)
    except ModelUnavailable:
        return False
    return True


def speak(text: str, voice: str, rng: Rng) -> Signal:
    """`text` at a drawn rate and vocal-tract length, float32 at 16 kHz, peak about 0.5."""
    rendering = EspeakVoice(voice, int(rng.integers(110, 215))).render(text)
    tract = 1 + rng.uniform(-TRACT, TRACT)
    samples = resample(to_float(rendering.samples), round(rendering.rate_hz * tract), RATE_HZ)
    peak = float(np.abs(samples).max(initial=_QUIETEST))
    return trimmed(samples * np.float32(0.5 / peak))


def trimmed(samples: Signal, keep_s: float = 0.1) -> Signal:
    """Without the quiet at both ends, a little kept."""
    loud = np.flatnonzero(np.abs(samples) > _QUIETEST)
    if not loud.size:
        return samples
    margin = int(keep_s * RATE_HZ)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def phrase(kind: str, rng: Rng, texts: Texts) -> Phrase:
    """A text of that kind."""
    return KINDS[kind](rng, texts)


def joined_digits(digits: Sequence[tuple[Signal, str]], rng: Rng) -> tuple[Signal, str]:
    """Single digits of one speaker (samples at 16 kHz, "Seven.") as one string with pauses.

    Commas stand where the pauses are longer than 0.2 s.
    """
    level = rng.uniform(0.05, 0.15)
    pieces: list[Signal] = []
    text = ""
    usual = rng.uniform(0.02, 0.5)
    for number, (samples, word) in enumerate(digits):
        if number:
            pause = usual * rng.uniform(0.6, 1.4)
            pieces.append(np.zeros(int(pause * RATE_HZ), np.float32))
            text += ", " if pause > 0.2 else " "
        rms = float(np.sqrt(np.mean(samples**2))) + 1e-6
        pieces.append(trimmed(samples * np.float32(level / rms), 0.03))
        text += word.rstrip(".").lower()
    return np.concatenate(pieces), finished(text)
