"""Recordings and synthetic speech that the hot-word head learns from, all at 8 kHz.

Real speech comes from a folder laid out as `audio/README.md` of the recordings describes:
`phone_calls` holds the word itself (with its times) and its nearest negatives, the other folders
only negatives. Every clip belongs to a group (a telephone session, a speaker, a file where the
speaker is unknown); groups whose CRC-32 divides by five are held out of all training.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicebot.audio.files import read_audio
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.speech import espeak

Samples = NDArray[np.float32]
HELD_OUT_SHARE = 5
OTHERS_PERCENT = 30
"""Of the recordings of learners and of lone digits: most of the hours, and they say least about a
word on the telephone."""
SYNTHETIC = "synthetic"

ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("klatt", "klatt2", "klatt3", "klatt4", "steph", "belinda", "linda", "grandma", "grandpa"),
    *("adam", "max", "Andy", "Annie", "Gene", "Jacky", "Lee", "Mike", "edward", "john", "paul"),
)
CARRIERS = (
    *("{}", "{}", "{}.", "{} please", "{}, please", "give me the {}", "get me an {}"),
    *("I want to talk to the {}", "can I speak to an {} please", "hello {}", "the {}"),
    *("no, {}", "{} {}", "I need a live {}", "please transfer me to the {} now", "uh {}"),
)
CONFUSABLES = {
    "operator": (
        *("operate", "opera", "offer her", "upper ladder", "cooperate", "aperture", "operation"),
        *("operating", "cooperation", "operetta", "the opera later", "opposite", "opportunity"),
        *("moderator", "generator", "narrator", "decorator", "separator", "elevator", "radiator"),
        *("calculator", "navigator", "conveyor", "voyager", "property", "proper order", "opens"),
        *("up or later", "hop on the radar", "shopper ate a", "open a door", "oh parade a"),
        *("operandi", "obligator", "prosecutor", "opt for later", "over later", "opal raider"),
        *("I would like to cooperate", "we operate at night", "she sang at the opera last night"),
        *("opening hours", "it was an operation", "my doctor operated", "copper trader", "popular"),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One recording: float32 at 8 kHz, and where the word lies in it ([start, end) in samples)."""

    samples: Samples
    words: tuple[tuple[int, int], ...]
    group: str
    source: str
    name: str

    @property
    def is_held_out(self) -> bool:
        """Whether nothing may learn from it."""
        return zlib.crc32(self.group.encode()) % HELD_OUT_SHARE == 0

    @property
    def is_call(self) -> bool:
        """Whether it comes from a telephone."""
        return self.source.startswith("phone_calls")


def recorded(directory: Path, word: str) -> Iterator[Clip]:
    """All recordings of the folder; clips where the word may be but is not timed are left out."""
    yield from _phone_calls(directory / "phone_calls", word)
    for path in sorted((directory / "barista").glob("*.flac")):
        yield _plain(path, "barista", path.stem)
    for row in _rows(directory / "read_sentences"):
        if word not in row["text"].split() and _is_taken(row["file"]):
            path = directory / "read_sentences" / row["file"]
            yield _plain(path, "read_sentences", row["speaker"])
    for folder in ("digits", "alphanumeric"):
        for path in sorted((directory / folder).glob("*.flac")):
            if folder != "digits" or _is_taken(path.name):
                yield _plain(path, folder, path.stem.split("_")[1])
    for path in sorted((directory / "noise").glob("*.flac")):
        yield _plain(path, "noise", "noise")


def _is_taken(name: str) -> bool:
    return zlib.crc32(name.encode()) % 100 < OTHERS_PERCENT


def texts(directory: Path, word: str) -> list[str]:
    """What people said in recordings that may be learnt from, the word's own clips aside."""
    rows = [(row, row["session"]) for row in _rows(directory / "phone_calls")]
    rows += [(row, row["speaker"]) for row in _rows(directory / "read_sentences")]
    return sorted(
        {
            row["text"]
            for row, group in rows
            if zlib.crc32(group.encode()) % HELD_OUT_SHARE
            and row["text"]
            and not _may_be(row["text"].split(), word)
        }
    )


def _may_be(tokens: Sequence[str], word: str) -> bool:
    """Whether a transcriber wrote the word as it was said: "-perator", "theoperator", "opera-"."""
    return any(
        token.endswith(word[-5:]) or word in token or ("-" in token and token[:3] == word[:3])
        for token in tokens
    )


def _phone_calls(folder: Path, word: str) -> Iterator[Clip]:
    rows = _rows(folder)
    said = Counter(row["text"] for row in rows if row["kind"] == "keyword")
    others = {text for text, count in said.items() if count > 0.05 * said.total()} - {word}
    for row in rows:
        tokens = row["text"].split()
        # The times are those of the one keyword that a sentence was recorded for.
        is_timed = tokens.count(word) == 1 and not others & set(tokens)
        if is_timed and row["keyword_end_s"] is not None:
            span = (row["keyword_start_s"], row["keyword_end_s"])
            words = [(int(span[0] * SAMPLE_RATE_HZ), int(span[1] * SAMPLE_RATE_HZ))]
        elif _may_be(tokens, word) or row["unclear"]:
            continue
        else:
            words = []
        samples = _at_8_khz(folder / row["file"])
        yield Clip(samples, tuple(words), row["session"], f"phone_calls/{row['kind']}", row["file"])


def _plain(path: Path, source: str, group: str) -> Clip:
    return Clip(_at_8_khz(path), (), group, source, path.name)


def _at_8_khz(path: Path) -> Samples:
    samples, rate = read_audio(path)
    return resample(samples, rate, SAMPLE_RATE_HZ)


def _rows(folder: Path) -> list[dict[str, Any]]:
    path = folder / "transcripts.jsonl"
    try:
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except OSError as error:
        raise UserMistake(
            f"{path}: cannot be read ({error.strerror}); give the folder that holds the recordings"
        ) from None
    except ValueError as error:
        raise UserMistake(f"{path}: is not JSON lines ({error}); fetch it again") from None


def background(samples: Samples) -> float:
    """RMS of the quietest tenth of 20 ms frames."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    levels = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(1)
    return min(float(np.percentile(levels, 10)), 0.01)


# ---------------------------------------------------------------- synthetic


def spoken(
    word: str, sentences: Sequence[str], counts: tuple[int, int, int], rng: np.random.Generator
) -> Iterator[Clip]:
    """espeak saying the word, words like it, and other sentences, in many voices.

    `counts`: how many clips of each of the three.
    """
    for index in range(counts[0]):
        yield _say(CARRIERS[index % len(CARRIERS)].format(*[word] * 2), word, rng)
    if confusable := CONFUSABLES.get(word, ()):
        for index in range(counts[1]):
            yield _say(confusable[index % len(confusable)], word, rng)
    for index in rng.permutation(len(sentences))[: counts[2]]:
        yield _say(sentences[int(index)], word, rng)


def _say(text: str, word: str, rng: np.random.Generator) -> Clip:
    engine = espeak.engine()
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    spoken = engine.synthesise(text, voice, int(rng.integers(120, 230)))
    samples = resample(to_float(spoken.samples), engine.rate_hz, SAMPLE_RATE_HZ)
    to_8_khz: Callable[[int], int] = lambda at: at * SAMPLE_RATE_HZ // engine.rate_hz  # noqa: E731
    words = []
    for place, (character, start) in enumerate(spoken.starts):
        if text[character:].startswith(word):
            later = [at for _, at in spoken.starts[place + 1 :]] + list(spoken.clause_ends)
            end = min((at for at in later if at > start), default=len(spoken.samples))
            words.append((to_8_khz(start), _last_loud(samples, to_8_khz(start), to_8_khz(end))))
    return Clip(samples, tuple(words), f"{SYNTHETIC} {voice}", SYNTHETIC, text)


def _last_loud(samples: Samples, start: int, end: int) -> int:
    """Where sound ends in [start, end): espeak counts the pause after a word to it."""
    span = np.abs(samples[start:end])
    loud = np.flatnonzero(span > 0.02 * max(span.max(initial=0.0), 1e-6))
    return start + int(loud[-1]) + 1 if len(loud) else end
