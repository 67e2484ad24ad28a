"""Recordings with their words, for measuring recognition: any folder laid out like shared/audio.

    phone_calls/transcripts.jsonl       names, keywords, sentences; phone, gender, dialect, session
    read_sentences/transcripts.jsonl    sentences read out, by speaker
    digits/DIGIT_SPEAKER_TAKE.flac      isolated digits
    alphanumeric/WORD_SPEAKER_...flac   isolated letters and digits
    barista/labels.json                 orders of which only the slots' words are known

Any of them may be missing. Files that are cut off or no audio are named, counted and left out.
What training saw is known by its sound (asr_origin): others count their sessions from 00000 too.
Recordings marked `unclear`, or whose transcript breaks off inside of a word ("op-"), are counted
and left out: nobody can say what would be right.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from os.path import isfile  # False for a name too long to be one, where Path.is_file raises
from pathlib import Path
from typing import Any

from voicebot.errors import UserMistake
from voicebot.evaluation.asr_origin import examine
from voicebot.evaluation.asr_score import normalised
from voicebot.evaluation.turns_files import read_labels, read_rows

TRAINED = Path(__file__).parent / "asr_trained.json"
"""Sessions, speakers and files that the shipped weights were trained on; callers as crc32 of the
name that they gave."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SUFFIXES = (".flac", ".wav", ".opus", ".ogg", ".mp3")
SHORT = ("phone_keywords", "phone_names", "digits", "spoken_digits", "letters")
"""Sets in which an utterance is right or wrong as a whole."""
_CUT = re.compile(r"(?:^|\s)-+\w|\w-+(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of `set_name`, by `group` (session or speaker).

    `text` is what was said; of orders only `slot_words` are known. `traits` are what figures are
    broken down by. `is_known`: the shipped weights were trained on it.
    """

    path: Path
    set_name: str
    group: str
    text: str
    traits: Mapping[str, str] = field(default_factory=dict)
    slot_words: tuple[str, ...] = ()
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Recordings:
    """`left_out`: set -> how many were unclear, broke off or could not be read; `problems` says of
    each of the last in one line what is wrong with it."""

    items: tuple[Item, ...]
    left_out: dict[str, int]
    problems: tuple[str, ...] = ()

    def of(self, set_name: str) -> list[Item]:
        """Those of one set."""
        return [item for item in self.items if item.set_name == set_name]


def load(directory: Path, *, held_out: bool = False, limit: int | None = None) -> Recordings:
    """All of `directory`, or what no training saw, at most `limit` of a set (spread evenly).

    UserMistake when none of the folders is there, or a transcript is none.
    """
    left_out: dict[str, int] = {}
    items: list[Item] = []
    problems: list[str] = []
    for corpus, reader in _READERS.items():
        for item, problem in _examined(corpus, list(reader(directory))):
            if held_out and item.is_known:
                continue
            if problem:
                problems.append(problem)
            elif item.text or item.slot_words:
                items.append(item)
                continue
            left_out[item.set_name] = left_out.get(item.set_name, 0) + 1
    if not items and problems:
        raise UserMistake(f"eval asr: no recording of {directory} can be read; {problems[0]}")
    if not items:
        raise UserMistake(
            f"eval asr: {directory} holds no recordings of phone_calls, read_sentences, digits, "
            "alphanumeric or barista" + (" that no training saw" if held_out else "")
        )
    return Recordings(tuple(_limited(items, limit)), left_out, tuple(problems))


def _examined(corpus: str, items: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    """Each with `is_known` and what is wrong with its file. Where one recording of a session or
    speaker that training saw is here, all of that name are theirs."""
    examined = [examine(item.path) for item in items]
    seen = [
        one.origin is not None and is_trained(one.origin.corpus, one.origin.group)
        for one in examined
    ]
    known = {item.group for item, is_seen in zip(items, seen, strict=True) if is_seen}
    for item, one, is_seen in zip(items, examined, seen, strict=True):
        if is_seen or (item.group in known and is_trained(corpus, item.group)):
            traits = {key: value for key, value in item.traits.items() if key != "caller"}
            yield replace(item, traits=traits, is_known=True), one.problem
        else:
            yield item, one.problem


def _limited(items: Sequence[Item], limit: int | None) -> Iterator[Item]:
    taken: dict[str, int] = {}
    ordered = (
        items if limit is None else sorted(items, key=lambda i: zlib.crc32(i.path.name.encode()))
    )
    for item in ordered:
        taken[item.set_name] = taken.get(item.set_name, 0) + 1
        if limit is None or taken[item.set_name] <= limit:
            yield item


@cache
def trained_groups() -> Mapping[str, frozenset[str]]:
    """Folder -> sessions, speakers or files that training saw; "callers" -> crc32 of names."""
    content = json.loads(TRAINED.read_text(encoding="utf-8"))
    return {name: frozenset(groups) for name, groups in content.items()}


def is_trained(corpus: str, group: str) -> bool:
    """Whether training saw that session, speaker or file of our collection of that name."""
    return group in trained_groups().get(corpus, frozenset())


def was_heard(path: Path) -> bool:
    """Whether a recording is one that training saw, whatever it is called."""
    origin = examine(path).origin
    return origin is not None and is_trained(origin.corpus, origin.group)


def _rows(index: Path) -> list[dict[str, Any]]:
    rows = read_rows(index) if index.is_file() else []
    return [row for row in rows if isfile(index.parent / row["file"])]


def _told(row: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    """What a line says; null is nothing. UserMistake for what is no text."""
    value = row.get(key)
    if isinstance(value, list | dict):
        raise UserMistake(f"{row['file']}: its {key} is {json.dumps(value)[:40]}; give a text")
    return otherwise if value is None else str(value)


def _clear(row: Mapping[str, Any]) -> str:
    """The text, "" where it is not certain."""
    text = _told(row, "text").strip()
    return "" if row.get("unclear") or _CUT.search(text) else text


def _phone_calls(directory: Path) -> Iterator[Item]:
    index = directory / "phone_calls" / "transcripts.jsonl"
    rows = _rows(index)
    said = [
        (_told(row, "session"), _told(row, "text")) for row in rows if row.get("kind") == "name"
    ]
    names = {session: name for session, name in said if session and name}
    for row in rows:
        session = _told(row, "session", "?")
        traits: dict[str, str] = {}
        for key in ("phone", "gender", "dialect"):
            if value := _told(row, key):
                traits[key] = value
        if row.get("session") is not None and (name := names.get(session)):
            met = f"{zlib.crc32(name.encode()):08x}" in trained_groups()["callers"]
            traits["caller"] = "heard in training" if met else "new"
        kind = f"phone_{_told(row, 'kind', 'sentence')}s"
        yield Item(index.parent / row["file"], kind, session, _clear(row), traits)


def _read_sentences(directory: Path) -> Iterator[Item]:
    index = directory / "read_sentences" / "transcripts.jsonl"
    for row in _rows(index):
        speaker = _told(row, "speaker", "?")
        traits = {"gender": gender} if (gender := _told(row, "gender")) else {}
        if isinstance(age := row.get("age"), int | float):
            traits["age"] = "child" if age < 16 else "adult"
        yield Item(index.parent / row["file"], "read_sentences", speaker, _clear(row), traits)


def _named(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    for path in sorted(folder.glob("*_*")):
        if path.suffix.lower() in SUFFIXES:
            yield path, path.stem.split("_")


def _digits(directory: Path) -> Iterator[Item]:
    for path, (digit, speaker, *_) in _named(directory / "digits"):
        if digit in map(str, range(10)):
            yield Item(path, "digits", speaker, DIGITS[int(digit)], {"speaker": speaker})


def _alphanumeric(directory: Path) -> Iterator[Item]:
    for path, (word, speaker, *_) in _named(directory / "alphanumeric"):
        kind = "letters" if len(word) == 1 and word.isalpha() else "spoken_digits"
        text = DIGITS[int(word)] if word in map(str, range(10)) else word.lower()
        yield Item(path, kind, speaker, text)


def _barista(directory: Path) -> Iterator[Item]:
    index = directory / "barista" / "labels.json"
    for stem, label in sorted(read_labels(index).items()) if index.is_file() else []:
        paths = [index.parent / f"{stem}{suffix}" for suffix in ("", *SUFFIXES)]
        path = next((path for path in paths if isfile(path)), None)
        slots = label.get("slots")
        if path is not None and isinstance(slots, dict):
            words = tuple(word for value in slots.values() for word in normalised(str(value)))
            yield Item(path, "barista", path.stem, "", {}, words)


_READERS: Mapping[str, Callable[[Path], Iterator[Item]]] = {
    "phone_calls": _phone_calls,
    "read_sentences": _read_sentences,
    "digits": _digits,
    "alphanumeric": _alphanumeric,
    "barista": _barista,
}
