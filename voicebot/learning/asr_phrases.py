"""Texts for synthetic speech: what an IVR hears, and general sentences against forgetting.

A phrase is (what is spoken, what is written): a comma where the voice pauses, numbers in words as
they are said. Coffee orders come from the slot vocabulary of `dialplans/barista.yaml` as the
public benchmark words it; banking requests and general sentences from text collections where
there are any. Everything is drawn with the generator that is passed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from num2words import num2words

from voicebot.asr.vocabulary import SPACE
from voicebot.learning import asr_words as words
from voicebot.learning.asr_transcripts import finished, words_of

Rng = np.random.Generator


class Phrase(NamedTuple):
    """`spoken` is what the voice gets, `written` the target."""

    spoken: str
    written: str


@dataclass(frozen=True, slots=True)
class Texts:
    """Collections of sentences and words that phrases draw from."""

    requests: Sequence[str] = ()
    """Of bank customers and restaurant guests."""
    vocabulary: Sequence[str] = ()
    """Words of general sentences, frequent ones first."""


def collect(folder: Path | None, tokens: Sequence[bytes], *, held_out: bool = False) -> Texts:
    """Texts of `folder` (Banking77 and Restaurants-8k, if there) and words out of the recogniser's
    own tokens; of the sentences every fifth by crc32 is held out, of the words none."""
    requests = [text for text in _requests(folder) if (crc32(text.encode()) % 5 == 0) is held_out]
    return Texts(requests, _vocabulary(tokens, requests))


def _requests(folder: Path | None) -> list[str]:
    texts: list[str] = []
    if folder is not None and (path := folder / "banking77_train.csv").is_file():
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    if folder is not None and (path := folder / "restaurant8k_train.json").is_file():
        texts += [row["userInput"]["text"] for row in json.loads(path.read_text("utf-8"))]
    tidy = (" ".join(text.split()) for text in texts)
    return [
        finished(text)
        for text in dict.fromkeys(tidy)
        if 2 <= len(text.split()) <= 20 and not set(text) & set('0123456789@#:/$£€%&*()"')
    ]


def _vocabulary(tokens: Sequence[bytes], requests: Sequence[str]) -> list[str]:
    """Whole words among the tokens that also occur inflected, so that most are English words and
    not the beginnings of others; then what the requests add."""
    known = {
        token[len(SPACE) :].decode()
        for token in tokens
        if token.startswith(SPACE) and token[len(SPACE) :].isalpha()
    }
    found: dict[str, None] = {}
    for token in tokens:
        word = token[len(SPACE) :].decode("utf-8", "replace") if token.startswith(SPACE) else ""
        if len(word) > 2 and word.isascii() and word.isalpha() and word.islower():
            forms = [word + "s", word + "ed", word + "ing", word + "ly", word.rstrip("e") + "ing"]
            if any(form in known for form in forms):
                found.update(dict.fromkeys([word, *(form for form in forms if form in known)]))
    for text in requests:
        found.update(dict.fromkeys(word for word in words_of(text) if len(word) > 2))
    return list(found)


def digits(rng: Rng, _: Texts) -> Phrase:
    """A string of digits, in groups or not: account and telephone numbers, codes."""
    count = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16], p=_DIGIT_COUNTS))
    names = [_digit(rng) for _ in range(count)]
    if names == ["oh"]:
        names = ["zero"]  # alone it is the letter
    if count > 2 and rng.random() < 0.3:
        spot = int(rng.integers(0, count - 1))
        names[spot : spot + 2] = [f"double {names[spot]}"]
    text = _grouped(names, rng)
    if rng.random() < 0.25:
        text = _pick(words.DIGIT_CARRIERS, rng).replace("@", text)
    return _plain(text)


_DIGIT_COUNTS = np.array([6, 3, 3, 6, 3, 3, 3, 3, 2, 3, 1]) / 36


def _digit(rng: Rng) -> str:
    number = int(rng.integers(0, 10))
    return "oh" if number == 0 and rng.random() < 0.25 else num2words(number)


def _grouped(names: Sequence[str], rng: Rng) -> str:
    """Words parted by pauses at every one, every few, or never."""
    size = int(rng.choice([1, 2, 3, 4, 99], p=[0.25, 0.1, 0.25, 0.15, 0.25]))
    groups = [" ".join(names[at : at + size]) for at in range(0, len(names), size)]
    return ", ".join(groups)


def numbers(rng: Rng, _: Texts) -> Phrase:
    """Amounts and counts."""
    high = int(10 ** rng.uniform(0.8, 5))
    amount = int(rng.integers(1, high + 1))
    text = num2words(amount).replace("-", " ").replace(",", "")
    if rng.random() < 0.3:
        text = text.replace(" and ", " ")
    if rng.random() < 0.6:
        text += " dollar" if amount == 1 else f" {_pick(words.CURRENCIES, rng)}"
        if rng.random() < 0.4:
            text += f" and {num2words(int(rng.integers(2, 100))).replace('-', ' ')} cents"
    if rng.random() < 0.3:
        text = _pick(words.AMOUNT_CARRIERS, rng).replace("@", text)
    return _plain(text)


def dates(rng: Rng, _: Texts) -> Phrase:
    """Days, dates and times of day."""
    if rng.random() < 0.3:
        return _plain(_time(rng))
    day = num2words(int(rng.integers(1, 32)), to="ordinal").replace("-", " ")
    month = _pick(words.MONTHS, rng)
    forms = [f"{month} {day}", f"the {day} of {month}", f"{_pick(words.DAYS, rng)}, {month} {day}"]
    text = _pick(forms, rng)
    if rng.random() < 0.5:
        year = int(rng.integers(1930, 2032))
        text += ", " + num2words(year, to="year").replace("-", " ")
    if rng.random() < 0.2:
        text = _pick([*words.DAYS, "tomorrow", "today", "next week", "yesterday"], rng)
    if rng.random() < 0.25:
        text = _pick(words.DATE_CARRIERS, rng).replace("@", text)
    return _plain(text)


def _time(rng: Rng) -> str:
    hour = num2words(int(rng.integers(1, 13)))
    minute = num2words(int(rng.choice([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55])))
    part = _pick(["in the morning", "in the afternoon", "in the evening", "tonight"], rng)
    forms = [
        f"{hour} o'clock", f"at {hour}", f"half past {hour}", f"a quarter to {hour}",
        f"{hour} {minute.replace('-', ' ')}", f"at {hour} {part}", f"{hour} {minute} {part}",
    ]  # fmt: skip
    return _pick(forms, rng).replace("-", " ")


def letters(rng: Rng, texts: Texts) -> Phrase:
    """One letter, a spelled word or code, or letters by the spelling alphabet."""
    how = rng.random()
    if how < 0.4:
        return _spelled([_pick(_ALPHABET, rng)], rng)
    if how < 0.5:
        return _plain(
            ", ".join(_as_in(_pick(_ALPHABET, rng), rng) for _ in range(1 + how_many(rng)))
        )
    if how < 0.75:
        word = _pick([*words.LAST_NAMES, *words.FIRST_NAMES, *texts.vocabulary[:2000]], rng)
        return _spelled(list(word.upper())[:10], rng)
    mixed = [_pick(_ALPHABET, rng) for _ in range(int(rng.integers(2, 7)))]
    if rng.random() < 0.4:
        mixed += [num2words(int(rng.integers(0, 10))) for _ in range(int(rng.integers(1, 5)))]
    return _spelled(mixed, rng)


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def how_many(rng: Rng) -> int:
    """Few, seldom many."""
    return int(rng.integers(0, 4))


def _spelled(pieces: Sequence[str], rng: Rng) -> Phrase:
    """Letters apart, with or without pauses; espeak is told their names."""
    pause = ", " if rng.random() < 0.6 else " "
    named = [words.LETTER_NAMES.get(piece, piece) for piece in pieces]
    written = pause.join(pieces)
    return Phrase(pause.join(named) + ".", finished(written))


def _as_in(letter: str, rng: Rng) -> str:
    word = _pick(words.SPELLING[letter], rng)
    return _pick([f"{letter} as in {word}", f"{letter} for {word}", word], rng)


def names(rng: Rng, _: Texts) -> Phrase:
    """People."""
    first, last = _pick(words.FIRST_NAMES, rng), _pick(words.LAST_NAMES, rng)
    text = _pick([f"{first} {last}", f"{first} {last}", last, first], rng)
    if rng.random() < 0.5:
        text = _pick(words.NAME_CARRIERS, rng).replace("@", text)
    return Phrase(finished(text), finished(text))


def answers(rng: Rng, _: Texts) -> Phrase:
    """Yes, no, and what callers steer a dialogue with."""
    return _plain(_pick(words.ANSWERS, rng))


def orders(rng: Rng, _: Texts) -> Phrase:
    """A coffee order: slots present or not, in two orders, as recorded callers word them."""
    before = [_pick(words.SHOTS, rng), _pick(words.ROASTS, rng), _pick(words.SIZES, rng)]
    before = [slot for slot in before if rng.random() < 0.45]
    rng.shuffle(before)
    after = [slot for slot in (_milk(rng), _sugar(rng)) if rng.random() < 0.45]
    rng.shuffle(after)
    drink = " ".join([*before, _pick(words.DRINKS, rng)])
    article = "an" if drink[0] in "aei" else "a"
    text = _pick(words.ORDER_CARRIERS, rng).replace("@", f"{article} {drink}")
    if after:
        text += " with " + " and ".join(after)
    if rng.random() < 0.1:
        text += " please"
    is_question = text.startswith(("can ", "could ", "may "))
    return _plain(text + ("?" if is_question else ""))


def _milk(rng: Rng) -> str:
    return f"{_pick(words.AMOUNTS, rng)}{_pick(words.MILKS, rng)}"


def _sugar(rng: Rng) -> str:
    return f"{_pick(words.AMOUNTS, rng)}{_pick(words.SUGARS, rng)}"


def requests(rng: Rng, texts: Texts) -> Phrase:
    """What a bank's customers and a restaurant's guests ask."""
    return _plain(_pick(texts.requests or words.REQUESTS, rng))


def general(rng: Rng, texts: Texts) -> Phrase:
    """Any sentence: words of the whole vocabulary in plain frames."""
    vocabulary = texts.vocabulary or words.REQUESTS[0].split()
    text = _pick(words.FRAMES, rng)
    while "@" in text:
        text = text.replace("@", _pick(vocabulary, rng), 1)
    return _plain(text)


def _plain(text: str) -> Phrase:
    return Phrase(text, finished(text))


def _pick(choices: Sequence[str], rng: Rng) -> str:
    return choices[int(rng.integers(0, len(choices)))]


KINDS: dict[str, Callable[[Rng, Texts], Phrase]] = {
    "digits": digits,
    "numbers": numbers,
    "dates": dates,
    "letters": letters,
    "names": names,
    "answers": answers,
    "orders": orders,
    "requests": requests,
    "general": general,
}
