"""What the recogniser's confidence is fitted to: recordings held out, synthetic speech, sounds.

All with what a dialogue might be waiting for, which often is something else than what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from voicebot.audio.resample import resample
from voicebot.events import SAMPLE_RATE_HZ, Choice, Expectation, SlotSpec, SlotType
from voicebot.learning import (
    asr_confidence_foreign,
    asr_corpora,
    asr_nonspeech,
    asr_phrases,
    asr_speech,
    asr_splits,
)
from voicebot.learning.asr_channel import Chain, Signal, Telephone
from voicebot.learning.asr_corpora import RATE_HZ, Item
from voicebot.learning.asr_transcripts import words_of
from voicebot.learning.asr_trial import over_telephone

HALVES = ("half 0", "half 1")
PLAIN, ROUGH = "plain", "rough"
CHAIN = Chain(room=0.4, noise=0.7, codec=0.6, loss=0.25, clipping=0.12)
"""Rougher than in training: mistakes are what a confidence is fitted to."""
_SYNTHETIC = (
    "digits", "letters", "names", "answers", "orders", "requests", "general", "numbers", "dates",
)  # fmt: skip
_OPEN = (SlotType.AMOUNT, SlotType.DATE, SlotType.TIME, SlotType.NUMBER, SlotType.PHONE)
DEPARTMENTS = ("sales", "[technical] support", "billing", "my account", "opening hours")
EACH = 3
"""Questions to which the same invented words are heard as an answer."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio to recognise (16 kHz) and what is said in it. `text` None: `slot_words` alone are
    known. `is_again`: the same audio as before, with another expectation."""

    kind: str
    part: str
    condition: str
    samples: Signal
    text: str | None
    slot_words: tuple[str, ...] = ()
    expectation: Expectation | None = None
    is_again: bool = False


def material(folder: Path, limit: int, texts: Path | None, tokens: list[bytes]) -> list[Heard]:
    """At most `limit` recordings of each set and half, as they come and over rough telephones;
    synthetic speech, sounds; foreign speech and what was trained on played backwards, in which
    every English word is invented, whatever was asked."""
    splits = asr_splits.load()
    everything = asr_corpora.load(folder)
    items = asr_corpora.part(everything, splits, held_out=True)
    trained = asr_corpora.part(everything, splits, held_out=False)
    noises = asr_corpora.kitchen(folder, held_out=True)
    telephone = Telephone(CHAIN, noises, [])
    waiting = _waiting(items)
    heard = [*_recorded(items, limit, telephone, waiting)]
    voices = sorted(splits.held_out["synthetic"])
    unseen = asr_phrases.collect(texts, tokens, held_out=True)
    for one in (
        *_synthetic(unseen, voices, limit // 3, telephone),
        *_sounds(limit // 6, telephone, noises),
    ):
        heard.append(replace(one, expectation=waiting.of(one.kind, len(heard))))
    unintelligible = {
        "foreign": asr_confidence_foreign.spoken(2 * limit, telephone),
        "backwards": asr_confidence_foreign.backwards(trained, 2 * limit, telephone),
    }
    for kind, sounds in unintelligible.items():
        for number, samples in enumerate(sounds):
            one = Heard(kind, "sounds", ROUGH, samples, "")
            for again, asked in enumerate(waiting.some(number * EACH)):
                heard.append(replace(one, expectation=asked, is_again=again > 0))
    return heard


def _recorded(
    items: Sequence[Item], limit: int, telephone: Telephone, waiting: _Waiting
) -> Iterator[Heard]:
    sets: dict[tuple[str, str], list[Item]] = {}
    for item in sorted(items, key=lambda item: crc32(item.key.encode())):
        if item.is_clear and (item.text or item.slots):
            sets.setdefault((item.kind, half_of(item.group)), []).append(item)
    for (kind, part), chosen in sets.items():
        for number, item in enumerate(chosen[:limit]):
            samples = asr_corpora.read(item)
            slot_words = tuple(word for value in item.slots.values() for word in words_of(value))
            said = (item.text, slot_words, waiting.of(kind, number // 2))
            yield Heard(kind, part, PLAIN, over_telephone(samples), *said)
            if number % 2 == 0:
                rng = np.random.default_rng(crc32(item.key.encode()))
                was_telephone = item.corpus == "phone_calls"
                narrow = resample(samples, RATE_HZ, SAMPLE_RATE_HZ)
                rough = telephone.carry(narrow, rng, was_telephone=was_telephone)
                yield Heard(kind, part, ROUGH, _wide(rough), *said)


def half_of(group: str) -> str:
    """Which half a session or speaker belongs to."""
    return HALVES[crc32(f"half {group}".encode()) % 2]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What dialogues wait for: of the sets where that is plain, and what fits nothing."""

    fitting: Mapping[str, Expectation]
    others: Sequence[Expectation]

    def of(self, kind: str, number: int) -> Expectation | None:
        """For the recording of a set with that number: every other one that fits nothing is
        heard as an answer to some question all the same."""
        if kind in self.fitting:
            return self.fitting[kind]
        return self.others[number // 2 % len(self.others)] if number % 2 else None

    def some(self, number: int) -> Iterator[Expectation]:
        """EACH of the others, from that number on."""
        return (self.others[(number + each) % len(self.others)] for each in range(EACH))


def _waiting(items: Sequence[Item]) -> _Waiting:
    keywords = sorted(
        {" ".join(words_of(item.text or "")) for item in items if item.kind == "phone keywords"}
    )
    keywords = [word for word in keywords if word.count(" ") < 2] or ["operator"]
    digit = _one(SlotSpec("digit", SlotType.DIGITS, min_length=1, max_length=1))
    digits = _one(SlotSpec("number", SlotType.DIGITS))
    letter = _one(SlotSpec("letter", SlotType.LETTERS, min_length=1, max_length=1))
    letters = _one(SlotSpec("name", SlotType.LETTERS))
    menu = _one(SlotSpec("keyword", SlotType.CHOICE, _choices(keywords)))
    departments = _one(SlotSpec("department", SlotType.CHOICE, _choices(DEPARTMENTS)))
    fitting = {
        "digits": digit,
        "spoken digits": digit,
        "letters": letter,
        "phone keywords": menu,
        "synthetic digits": digits,
        "synthetic letters": letters,
    }
    orders = _orders(items)
    if orders.slots:
        fitting |= {"barista": orders, "synthetic orders": orders}
    yes_no = _one(SlotSpec("is_right", SlotType.YES_NO))
    of_type = {kind: _one(SlotSpec("it", kind)) for kind in SlotType}
    fitting |= {
        "synthetic answers": yes_no,
        "synthetic numbers": of_type[SlotType.AMOUNT],
        "synthetic dates": of_type[SlotType.DATE],
    }
    others = [digits, menu, yes_no, letters, orders, digit, letter, departments, yes_no]
    others += [of_type[kind] for kind in _OPEN]
    return _Waiting(fitting, others)


def _one(slot: SlotSpec) -> Expectation:
    return Expectation("fit", slot.name, (slot,))


def _choices(values: Iterable[str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, (value,)) for value in values)


def _orders(items: Sequence[Item]) -> Expectation:
    """A form of all the slots and values that orders name."""
    values: dict[str, set[str]] = {}
    for item in items:
        for name, value in item.slots.items():
            values.setdefault(name, set()).add(value)
    slots = (
        SlotSpec(name, SlotType.CHOICE, _choices(sorted(of_it)))
        for name, of_it in sorted(values.items())
    )
    return Expectation("fit", None, tuple(slots))


def _synthetic(
    texts: asr_phrases.Texts, voices: Sequence[str], count: int, telephone: Telephone
) -> Iterator[Heard]:
    for kind in _SYNTHETIC:
        for number in range(count):
            rng = np.random.default_rng((7, crc32(kind.encode()), number))
            phrase = asr_speech.phrase(kind, rng, texts)
            samples = asr_speech.speak(phrase.spoken, voices[number % len(voices)], rng)
            heard = _wide(telephone.carry(resample(samples, RATE_HZ, SAMPLE_RATE_HZ), rng))
            yield Heard(f"synthetic {kind}", "synthetic", ROUGH, heard, phrase.written)


def _sounds(count: int, telephone: Telephone, noises: Sequence[Signal]) -> Iterator[Heard]:
    for number, sort in enumerate([*asr_nonspeech.MAKERS, *(["kitchen"] if noises else [])]):
        for seed in range(count):
            rng = np.random.default_rng((9, number, seed))
            samples = int(rng.uniform(0.6, 5) * SAMPLE_RATE_HZ)
            sound = asr_nonspeech.draw(sort, samples, rng, telephone, noises)
            yield Heard("sounds", "sounds", ROUGH, _wide(sound), "")


def _wide(narrow: Signal) -> Signal:
    return resample(narrow, SAMPLE_RATE_HZ, RATE_HZ)
