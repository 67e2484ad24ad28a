"""The recordings' folder as items to train on and to measure: where, who, what is said.

Layout as in the recordings' README: phone_calls, read_sentences, digits, alphanumeric, barista;
and the two public-domain readings that come with the moonshine-voice wheel. Targets without case
and punctuation of their own are styled later (`asr_transcripts`).
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning.asr_splits import Splits
from voicebot.learning.asr_transcripts import Signal, finished, spoken_text

RATE_HZ = 16000
LIBRIVOX = {
    # Beckett, Worstward Ho (one line); Dickens, A Tale of Two Cities, first paragraph.
    "beckett": "Ever tried, ever failed, no matter, try again, fail again, fail better.",
    "two_cities": (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was "
        "the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it "
        "was the season of Light, it was the season of Darkness, it was the spring of hope, it "
        "was the winter of despair, we had everything before us, we had nothing before us, we "
        "were all going direct to Heaven, we were all going direct the other way. In short, the "
        "period was so far like the present period that some of its noisiest authorities insisted "
        "on its being received, for good or for evil, in the superlative degree of comparison "
        "only."
    ),
}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Item:
    """One recording. `corpus` is the folder; `kind` the set it counts in; `group` whom it is
    split by. `text` is what is said, None where only `slots` are known (barista)."""

    path: Path
    corpus: str
    kind: str
    group: str
    text: str | None
    is_styled: bool = False  # case and punctuation are the transcriber's own
    is_clear: bool = True
    caller: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the recording wherever its folder lies."""
        return f"{self.corpus}/{self.path.parent.name}/{self.path.stem}"


def read(item: Item) -> Signal:
    """Samples at 16 kHz, float32. AudioFileError when the file is unreadable."""
    samples, rate = read_audio(item.path)
    return resample(samples, rate, RATE_HZ)


def load(folder: Path) -> list[Item]:
    """All recordings below `folder`. UserMistake when there are none."""
    items = [item for reader in _READERS for item in reader(folder)]
    if not items:
        raise UserMistake(
            f"{folder}: holds none of phone_calls, read_sentences, digits, alphanumeric, barista; "
            "name the folder of recordings under [data] recordings"
        )
    return [*items, *librivox()]


def part(items: list[Item], splits: Splits, *, held_out: bool) -> list[Item]:
    """One side of the split."""
    return [item for item in items if splits.is_held_out(item.corpus, item.group) is held_out]


def librivox() -> Iterator[Item]:
    """The readings in the installed moonshine-voice wheel, if any."""
    spec = importlib.util.find_spec("moonshine_voice")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for name, text in LIBRIVOX.items():
            path = Path(root) / "assets" / f"{name}.wav"
            if path.is_file():
                yield Item(path, "librivox", "librivox", name, text, is_styled=True)


def kitchen_file(folder: Path) -> Path:
    """Where the noise lies in a folder of recordings, if there."""
    return folder / "noise" / "kitchen.flac"


def kitchen(folder: Path, *, held_out: bool) -> list[Signal]:
    """Kitchen noise at 8 kHz, if there: its first two thirds to train with, the rest to measure."""
    path = kitchen_file(folder)
    if not path.is_file():
        return []
    samples, rate = read_audio(path)
    narrow = resample(samples, rate, SAMPLE_RATE_HZ)
    cut = len(narrow) * 2 // 3
    return [narrow[cut:] if held_out else narrow[:cut]]


def _rows(path: Path) -> Iterator[dict[str, object]]:
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            is_there = (path.parent / row["file"]).is_file()
        except (ValueError, KeyError, TypeError) as error:
            raise UserMistake(f"{path}:{number}: not a transcript line ({error})") from None
        if is_there and row.get("text") is not None:
            yield row


def _told(row: Mapping[str, object], key: str, otherwise: str) -> str:
    """What a line says; a key that is missing, or null, says nothing."""
    value = row.get(key)
    return otherwise if value is None else str(value)


def _phone_calls(folder: Path) -> Iterator[Item]:
    index = folder / "phone_calls" / "transcripts.jsonl"
    rows = list(_rows(index))
    callers = {row.get("session"): str(row["text"]) for row in rows if row.get("kind") == "name"}
    for row in rows:
        kind, plain = _told(row, "kind", "sentence"), str(row["text"])
        text, is_styled, is_clear = spoken_text(_told(row, "transcription", plain), plain)
        if kind == "name":
            text, is_styled = finished(_capitalised(text)), True
        yield Item(
            index.parent / str(row["file"]),
            "phone_calls",
            f"phone {kind}s",
            _told(row, "session", "?"),
            text,
            is_styled,
            is_clear and not row.get("unclear"),
            callers.get(row.get("session"), ""),
        )


def _capitalised(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def _read_sentences(folder: Path) -> Iterator[Item]:
    index = folder / "read_sentences" / "transcripts.jsonl"
    for row in _rows(index):
        path, speaker = index.parent / str(row["file"]), _told(row, "speaker", "?")
        yield Item(path, "read_sentences", "learners", speaker, str(row["text"]))


def _digits(folder: Path) -> Iterator[Item]:
    for path in sorted(folder.glob("digits/*.flac")):
        if match := re.fullmatch(r"(\d)_(\w+)_\d+", path.stem):
            text = DIGITS[int(match[1])].capitalize() + "."
            yield Item(path, "digits", "digits", match[2], text, is_styled=True)


def _alphanumeric(folder: Path) -> Iterator[Item]:
    for path in sorted(folder.glob("alphanumeric/*.flac")):
        word, _, rest = path.stem.partition("_")
        if not rest:
            continue
        speaker = rest.partition("_")[0]
        kind = "letters" if len(word) == 1 else "spoken digits"
        text = word.capitalize() + "."
        yield Item(path, "alphanumeric", kind, speaker, text, is_styled=True)


def _barista(folder: Path) -> Iterator[Item]:
    index = folder / "barista" / "labels.json"
    try:
        labels = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
        slots = {stem: label.get("slots", {}) for stem, label in sorted(labels.items())}
    except (ValueError, AttributeError) as error:
        raise UserMistake(f"{index}: not recordings with intent and slots ({error})") from None
    for stem, wanted in slots.items():
        path = index.parent / f"{stem}.flac"
        if path.is_file() and isinstance(wanted, dict):
            yield Item(path, "barista", "barista", stem, None, slots=wanted)


_READERS: tuple[Callable[[Path], Iterator[Item]], ...] = (
    _phone_calls,
    _read_sentences,
    _digits,
    _alphanumeric,
    _barista,
)
