"""How well weights do on what no training saw, over a plain telephone (8 kHz mu-law).

By set: phone sentences (callers who also appear in training apart), keywords, names, digits,
letters, learners, slot words of orders (in kitchen noise too), readings, synthetic sentences by
held-out voices, and calls in which nobody speaks. Mistakes are counted without case and
punctuation; `marks` looks at these alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from zlib import crc32

import numpy as np

from voicebot.audio.echo_path import through_mulaw
from voicebot.audio.resample import resample
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis
from voicebot.learning import asr_speech
from voicebot.learning.asr_channel import Chain, Telephone, mixed_by_frames
from voicebot.learning.asr_corpora import RATE_HZ, Item, read
from voicebot.learning.asr_phrases import Texts
from voicebot.learning.asr_transcripts import Signal, edits, words_of

BEAM = 8
_BATCH = 8
_SYNTHETIC = (("general", 60), ("requests", 40), ("letters", 60), ("digits", 40), ("orders", 40))
"""Synthetic sets, and how many phrases of each; "rehearsal" joins the first two."""
NOBODY = "nobody speaks"
_SNRS_DB = (6.0, 12.0, 18.0, 24.0)


class Ear(Protocol):
    """asr.recogniser.Recogniser, as far as it is used here."""

    def transcribe(self, batch: Sequence[Signal], *, nbest: int = 1) -> list[Hypothesis]:
        """One hypothesis per array of 16 kHz samples."""


@dataclass(frozen=True, slots=True)
class Question:
    """One held-out recording: what is heard and what should be written, or slot words of it."""

    kind: str
    heard: Signal
    text: str
    slot_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Errors in % of words, of so many; share of texts that begin with a capital and end with a
    mark, in %. Where nobody speaks: words per minute, of so many seconds."""

    errors: float
    words: int
    marks: float


def over_telephone(samples: Signal) -> Signal:
    """16 kHz -> 8 kHz mu-law -> 16 kHz."""
    narrow = through_mulaw(resample(samples, RATE_HZ, SAMPLE_RATE_HZ))
    return resample(narrow, SAMPLE_RATE_HZ, RATE_HZ)


def questions(
    items: Sequence[Item], trained: Sequence[Item], *, limit: int | None = None
) -> list[Question]:
    """Of held-out `items`, at most `limit` of each set (spread evenly); unclear ones not."""
    known = {item.caller for item in trained if item.caller}
    sets: dict[str, list[Item]] = {}
    for item in items:
        if item.is_clear:
            sets.setdefault(item.kind, []).append(item)
    return [_question(item, known) for of_one in sets.values() for item in _spread(of_one, limit)]


def _question(item: Item, known: set[str]) -> Question:
    kind = item.kind
    if kind == "phone sentences" and item.caller in known:
        kind = "phone sentences, known callers"
    slot_words = tuple(word for value in item.slots.values() for word in words_of(value))
    return Question(kind, over_telephone(read(item)), item.text or "", slot_words)


def _spread(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    if limit is None or len(items) <= limit:
        return items
    ordered = sorted(items, key=lambda item: crc32(item.key.encode()))
    return ordered[:limit]


def synthetic(texts: Texts, voices: Sequence[str], *, limit: int | None = None) -> list[Question]:
    """Synthetic sentences by `voices`, always the same."""
    rng = np.random.default_rng(4)
    found = []
    for kind, count in _SYNTHETIC:
        for number in range(count if limit is None else min(limit, count)):
            phrase = asr_speech.phrase(kind, rng, texts)
            samples = asr_speech.speak(phrase.spoken, voices[number % len(voices)], rng)
            samples = np.pad(samples, RATE_HZ // 4)
            name = "rehearsal" if kind in {"general", "requests"} else f"synthetic {kind}"
            found.append(Question(name, over_telephone(samples), phrase.written))
    return found


def in_noise(items: Sequence[Item], noise: Signal, *, limit: int | None = None) -> list[Question]:
    """Orders in `noise` (8 kHz, the part that no training heard), as the public benchmark mixes
    it, at 6, 12, 18 and 24 dB in turn."""
    rng = np.random.default_rng(5)
    found = []
    orders = [item for item in items if item.kind == "barista"]
    for number, item in enumerate(_spread(orders, limit)):
        question = _question(item, set())
        narrow = resample(read(item), RATE_HZ, SAMPLE_RATE_HZ)
        at = int(rng.integers(0, max(1, len(noise) - len(narrow))))
        stretch = np.resize(noise[at : at + len(narrow)], len(narrow)).astype(np.float32)
        mixed = through_mulaw(mixed_by_frames(narrow, stretch, _SNRS_DB[number % len(_SNRS_DB)]))
        heard = resample(mixed, SAMPLE_RATE_HZ, RATE_HZ)
        found.append(replace(question, kind="barista in noise", heard=heard))
    return found


def nobody(noise: Sequence[Signal], *, limit: int | None = None) -> list[Question]:
    """Calls of four seconds without speech: noise, music, hum, keys, clicks, quiet."""
    rng = np.random.default_rng(6)
    telephone = Telephone(Chain(), noise, [])
    count = 60 if limit is None else min(60, limit)
    sounds = [telephone.nothing(4 * SAMPLE_RATE_HZ, rng) for _ in range(count)]
    return [Question(NOBODY, resample(sound, SAMPLE_RATE_HZ, RATE_HZ), "") for sound in sounds]


def ask(ear: Ear, asked: Sequence[Question], *, nbest: int = 1) -> dict[str, Score]:
    """Scores by set; `nbest` 1 decodes greedily, more with a beam."""
    order = sorted(range(len(asked)), key=lambda i: len(asked[i].heard))
    texts = [""] * len(asked)
    for at in range(0, len(order), _BATCH):
        chosen = order[at : at + _BATCH]
        heard = ear.transcribe([asked[i].heard for i in chosen], nbest=nbest)
        for i, hypothesis in zip(chosen, heard, strict=True):
            texts[i] = hypothesis.text
    sets: dict[str, list[tuple[Question, str]]] = {}
    for question, text in zip(asked, texts, strict=True):
        sets.setdefault(question.kind, []).append((question, text))
    return {kind: score(answered) for kind, answered in sets.items()}


def score(answered: Sequence[tuple[Question, str]]) -> Score:
    """Of one set: (question, what was written)."""
    wrong = count = tidy = 0
    for question, text in answered:
        words = words_of(text)
        if question.slot_words:
            wrong += sum(word not in words for word in question.slot_words)
            count += len(question.slot_words)
        else:
            wanted = words_of(question.text)
            wrong += edits(wanted, words)
            count += len(wanted)
        tidy += text[:1].isupper() and text[-1:] in ".?!"
    if answered and answered[0][0].kind == NOBODY:
        seconds = sum(len(question.heard) for question, _ in answered) / RATE_HZ
        return Score(60 * wrong / seconds, round(seconds), 100.0)
    return Score(100 * wrong / max(1, count), count, 100 * tidy / max(1, len(answered)))


def table(columns: Mapping[str, Mapping[str, Score]]) -> str:
    """Markdown: a row for each set, a column of errors in % for each of the weights, and the
    share of tidy texts (capital, final mark) of the last."""
    names = list(columns)
    kinds = dict.fromkeys(kind for scores in columns.values() for kind in scores)
    lines = [
        "| set | words | " + " | ".join(names) + " | tidy |",
        "|---|---|" + "---|" * (len(names) + 1),
    ]
    for kind in kinds:
        scores = [columns[name].get(kind) for name in names]
        known = [one for one in scores if one is not None]
        cells = ["-" if one is None else f"{one.errors:.1f}" for one in scores]
        tidy = f"{known[-1].marks:.0f}"
        lines.append(f"| {kind} | {known[-1].words} | " + " | ".join(cells) + f" | {tidy} |")
    return "\n".join(lines)
