"""`python -m voicebot.learning.asr_language DIR`: fit what tells English from other languages.

    training recordings, the same backwards, synthetic speech -> the recogniser's encoder
      -> mean and spread of the frames -> a logistic model -> asr/models/language.json

Recorded speech in other languages is not at hand. Synthetic speech alone would teach that what is
recorded is English; so English is synthetic as well, and recordings played backwards are none.
Each language, and a part of all English, is judged by a model fitted to the others. Fit again
whenever the weights change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import platformdirs
from numpy.typing import NDArray

from voicebot.asr import language
from voicebot.asr.confidence import Logistic
from voicebot.asr.language import FOREIGN, statistics
from voicebot.asr.recogniser import Recogniser
from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.learning import asr_confidence_foreign as foreign
from voicebot.learning import asr_corpora, asr_phrases, asr_speech, asr_splits
from voicebot.learning.asr_channel import Signal, Telephone
from voicebot.learning.asr_confidence_fit import logistic
from voicebot.learning.asr_confidence_material import CHAIN
from voicebot.learning.asr_corpora import Item
from voicebot.learning.asr_trial import over_telephone

RECORDED = {
    "learners": 150, "phone sentences": 100, "phone keywords": 40, "phone names": 40,
    "digits": 30, "barista": 50,
}  # fmt: skip
SYNTHETIC = ("general", "requests", "digits", "letters", "names", "answers", "orders", "dates")
SPOKEN, BACKWARDS = 160, 60
RIDGE = 30.0
BATCH = 10
DIGITS = 5
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound as the recogniser gets it (16 kHz); `group`: its set, or its language."""

    samples: Signal
    group: str
    is_foreign: bool


def material(folder: Path, texts: Path | None, tokens: list[bytes]) -> Iterator[Heard]:
    """Every other one over a rough telephone, the others over a plain one."""
    splits = asr_splits.load()
    items = asr_corpora.part(asr_corpora.load(folder), splits, held_out=False)
    telephone = Telephone(CHAIN, [], [])
    yield from _recorded(items, telephone)
    for number, samples in enumerate(foreign.backwards(items, BACKWARDS, telephone)):
        yield Heard(samples, f"backwards {number % 5}", is_foreign=True)
    voices = asr_speech.voices(frozenset(splits.held_out["synthetic"]))
    known = asr_phrases.collect(texts, tokens)
    for number in range(SPOKEN):
        rng = np.random.default_rng((9, number))
        phrase = asr_speech.phrase(SYNTHETIC[number % len(SYNTHETIC)], rng, known)
        samples = asr_speech.speak(phrase.spoken, voices[int(rng.integers(len(voices)))], rng)
        number //= len(SYNTHETIC)
        yield Heard(_carried(samples, telephone, number), "synthetic", is_foreign=False)
    sentences = [
        (name, text, variant)
        for name, of_it in foreign.SENTENCES.items()
        for text in of_it
        for variant in foreign.VARIANTS
    ]
    for number, (name, text, variant) in enumerate(sentences):
        if asr_speech.is_there(name + variant):
            samples = asr_speech.speak(text, name + variant, np.random.default_rng((8, number)))
            yield Heard(_carried(samples, telephone, number), name, is_foreign=True)


def _recorded(items: Sequence[Item], telephone: Telephone) -> Iterator[Heard]:
    ordered = sorted(items, key=lambda item: crc32(item.key.encode()))
    for kind, count in RECORDED.items():
        chosen = [item for item in ordered if item.kind == kind and item.is_clear][:count]
        for number, item in enumerate(chosen):
            samples = asr_corpora.read(item)
            is_call = item.corpus == "phone_calls"
            yield Heard(_carried(samples, telephone, number, is_call), kind, is_foreign=False)


def _carried(samples: Signal, telephone: Telephone, number: int, is_call: bool = False) -> Signal:
    if number % 2 == 0:
        return over_telephone(samples)
    return foreign.carried(
        samples, telephone, np.random.default_rng((11, number)), was_telephone=is_call
    )


def features(ear: Recogniser, heard: Sequence[Heard]) -> NDArray[np.float64]:
    """float64[N, 2 * width], zeros for what is silent."""
    found = np.zeros((len(heard), 2 * ear.model.dims.width))
    order = sorted(range(len(heard)), key=lambda index: len(heard[index].samples))
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        for row, frames in zip(rows, ear.encode([heard[row].samples for row in rows]), strict=True):
            if len(frames):
                found[row] = statistics(frames)
    return found


def crossed(known: NDArray[np.float64], heard: Sequence[Heard]) -> dict[str, list[int]]:
    """Group -> [taken for foreign, of so many], each by a model fitted without its language, or
    without that part of English."""
    truth = np.array([one.is_foreign for one in heard])
    groups = np.array([one.group for one in heard])
    names = sorted(set(groups[truth]))
    part = np.random.default_rng(0).integers(0, len(names), len(heard))
    taken = np.zeros(len(heard), bool)
    for number, name in enumerate(names):
        here = np.where(truth, groups == name, part == number)
        taken[here] = fit(known[~here], truth[~here])(known[here]) > FOREIGN
    return {
        str(name): [int(taken[groups == name].sum()), int((groups == name).sum())]
        for name in sorted(set(groups))
    }


def fit(known: NDArray[np.float64], truth: NDArray[np.bool_]) -> Logistic:
    """English and the rest weigh the same."""
    share = truth.mean()
    return logistic(known, truth, np.where(truth, 0.5 / share, 0.5 / (1 - share)), RIDGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 after a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m voicebot.learning.asr_language")
    parser.add_argument("directory", type=Path, help="recordings: phone_calls, digits, ...")
    parser.add_argument("--texts", type=Path, help="folder of texts, as for training")
    parser.add_argument("--out", type=Path, default=language.FILE, help="default: the shipped")
    cache = Path(platformdirs.user_cache_dir("voicebot"))
    parser.add_argument("--cache", type=Path, default=cache, help="the recogniser's folder")
    options = parser.parse_args(arguments)
    try:
        ear = Recogniser(options.cache, threads=1)
        heard = list(material(options.directory, options.texts, list(ear.vocabulary.tokens)))
        known = features(ear, heard)
        measured = crossed(known, heard)
    except (UserMistake, ModelUnavailable) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    found = fit(known, np.array([one.is_foreign for one in heard]))
    content = {
        "mean": _rounded(found.mean),
        "scale": _rounded(found.scale),
        "weights": _rounded(found.weights),
        "bias": round(found.bias, DIGITS),
        "fitted_to": ear.checksum,
        "measured": measured,
    }
    options.out.write_text(json.dumps(content) + "\n", encoding="utf-8")
    for name, (taken, count) in measured.items():
        print(f"{name:<20}{taken:>4} of {count} taken for another language")
    return 0


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


if __name__ == "__main__":
    sys.exit(main())
