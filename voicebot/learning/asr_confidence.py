"""`python -m voicebot.learning.asr_confidence DIR`: fit the recogniser's confidence to its weights.

    recordings, synthetic speech, sounds without speech -> recogniser -> features and truth
      -> logistic models, by search -> models/confidence.json, a section for the model card, a plot

The recogniser is surer of recordings that it was trained on than it may be. So the models are
fitted to what it never saw: sessions and speakers held out, parted in two halves by session or
speaker. What is reported of either half comes from models fitted to the other; the models written
are fitted to both. Fit again whenever the weights change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import platformdirs

from voicebot.asr import confidence
from voicebot.asr.recogniser import Recogniser
from voicebot.audio.resample import resample
from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.events import SAMPLE_RATE_HZ, Choice, Expectation, SlotSpec, SlotType
from voicebot.learning import asr_corpora, asr_nonspeech, asr_phrases, asr_speech, asr_splits
from voicebot.learning.asr_channel import Chain, Signal, Telephone
from voicebot.learning.asr_confidence_fit import (
    Answered,
    Observed,
    as_dict,
    by_set,
    crossed,
    fit,
    reliability,
    truth,
)
from voicebot.learning.asr_corpora import RATE_HZ, Item
from voicebot.learning.asr_transcripts import words_of
from voicebot.learning.asr_trial import over_telephone

Tell = Callable[[str], None]

HALVES = ("half 0", "half 1")
PLAIN, ROUGH = "plain", "rough"
CHAIN = Chain(room=0.4, noise=0.7, codec=0.6, loss=0.25, clipping=0.12)
"""Rougher than in training: mistakes are what a confidence is fitted to."""
SEARCHES: Mapping[confidence.Search, int] = {"greedy": 1, "beam": 8, "expected": 8}
FOREIGN = ("de", "fr-fr", "es", "it", "pl", "tr", "sv", "cmn")
_SYNTHETIC = ("digits", "letters", "names", "answers", "orders", "requests", "general", "numbers")
_SENTENCES = (
    "Guten Tag, ich möchte meinen Kontostand wissen und etwas überweisen.",
    "Bonjour, je voudrais parler à quelqu'un du service clientèle, s'il vous plaît.",
    "Buenos días, necesito cambiar la fecha de mi cita para el jueves.",
    "Buongiorno, vorrei un caffè macchiato e un cornetto, grazie.",
    "Dzień dobry, chciałbym zapytać o moje zamówienie.",
    "Merhaba, siparişimi iptal etmek istiyorum.",
    "Hej, jag skulle vilja boka ett bord för fyra personer.",
    "你好,我想查询我的账户余额。",
)
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio to recognise (16 kHz) and what is said in it. `text` None: `slot_words` alone are
    known."""

    kind: str
    part: str
    condition: str
    samples: Signal
    text: str | None
    slot_words: tuple[str, ...] = ()
    expectation: Expectation | None = None


def observe(ear: Recogniser, heard: Sequence[Heard], tell: Tell) -> list[tuple[Heard, Observed]]:
    """Everything recognised by every search that applies; what gave no word says nothing."""
    found = []
    order = sorted(heard, key=lambda one: len(one.samples))
    for at in range(0, len(order), _BATCH):
        if at % 200 == 0:
            tell(f"recognising: {at} of {len(order)}")
        batch = order[at : at + _BATCH]
        for search, nbest in SEARCHES.items():
            chosen = [one for one in batch if search != "expected" or one.expectation]
            expected = [one.expectation for one in chosen] if search == "expected" else None
            evidence = ear.evidence(
                [one.samples for one in chosen], nbest=nbest, expectations=expected
            )
            for one, pieces in zip(chosen, evidence, strict=True):
                spoken = tuple(piece for piece in pieces if piece.sentences[0].words)
                if spoken:
                    found.append((one, _observed(one, search, spoken)))
    return found


def _observed(one: Heard, search: str, pieces: tuple[confidence.Piece, ...]) -> Observed:
    words = [word for piece in pieces for word in piece.sentences[0].words]
    if one.text is None:
        said = words_of(" ".join(words))
        is_all_right = all(word in said for word in one.slot_words)
        return Observed(one.kind, one.part, search, pieces, (), is_all_right)
    is_right, is_all_right = truth(words, one.text)
    return Observed(one.kind, one.part, search, pieces, is_right, is_all_right)


# ---------------------------------------------------------------- what is heard


def material(folder: Path, limit: int, texts: Path | None, tokens: list[bytes]) -> list[Heard]:
    """At most `limit` recordings of each set and half, as they come and over rough telephones;
    synthetic speech, foreign speech, sounds."""
    splits = asr_splits.load()
    items = asr_corpora.part(asr_corpora.load(folder), splits, held_out=True)
    noises = asr_corpora.kitchen(folder, held_out=True)
    telephone = Telephone(CHAIN, noises, [])
    heard = [*_recorded(items, limit, telephone)]
    voices = sorted(splits.held_out["synthetic"])
    unseen = asr_phrases.collect(texts, tokens, held_out=True)
    heard += _synthetic(unseen, voices, limit // 3, telephone)
    return [*heard, *_foreign(limit // 2, telephone), *_sounds(limit // 6, telephone, noises)]


def _recorded(items: Sequence[Item], limit: int, telephone: Telephone) -> Iterator[Heard]:
    sets: dict[tuple[str, str], list[Item]] = {}
    for item in sorted(items, key=lambda item: crc32(item.key.encode())):
        if item.is_clear and (item.text or item.slots):
            sets.setdefault((item.kind, half_of(item.group)), []).append(item)
    expected = _expectations(items)
    for (kind, part), chosen in sets.items():
        for number, item in enumerate(chosen[:limit]):
            samples = asr_corpora.read(item)
            slot_words = tuple(word for value in item.slots.values() for word in words_of(value))
            said = (item.text, slot_words, expected.get(kind))
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


def _expectations(items: Sequence[Item]) -> dict[str, Expectation]:
    """What a dialogue would wait for, of the sets where that is plain."""
    keywords = sorted(
        {" ".join(words_of(item.text or "")) for item in items if item.kind == "phone keywords"}
    )
    choices = tuple(Choice(word, (word,)) for word in keywords if word.count(" ") < 2)
    digit = SlotSpec("digit", SlotType.DIGITS, min_length=1, max_length=1)
    letter = SlotSpec("letter", SlotType.LETTERS, min_length=1, max_length=1)
    slots = {
        "digits": digit,
        "spoken digits": digit,
        "letters": letter,
        "phone keywords": SlotSpec("keyword", SlotType.CHOICE, choices),
    }
    return {kind: Expectation("fit", slot.name, (slot,)) for kind, slot in slots.items()}


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


def _foreign(count: int, telephone: Telephone) -> Iterator[Heard]:
    """Speech in other languages: every English word in it is invented."""
    for number in range(count):
        rng = np.random.default_rng((8, number))
        which = number % len(FOREIGN)
        text = _SENTENCES[which]
        if asr_speech.is_there(FOREIGN[which]):
            samples = asr_speech.speak(text, FOREIGN[which], rng)
            heard = _wide(telephone.carry(resample(samples, RATE_HZ, SAMPLE_RATE_HZ), rng))
            yield Heard("foreign", "sounds", ROUGH, heard, "")


def _sounds(count: int, telephone: Telephone, noises: Sequence[Signal]) -> Iterator[Heard]:
    for number, sort in enumerate([*asr_nonspeech.MAKERS, *(["kitchen"] if noises else [])]):
        for seed in range(count):
            rng = np.random.default_rng((9, number, seed))
            samples = int(rng.uniform(0.6, 5) * SAMPLE_RATE_HZ)
            sound = asr_nonspeech.draw(sort, samples, rng, telephone, noises)
            yield Heard("sounds", "sounds", ROUGH, _wide(sound), "")


def _wide(narrow: Signal) -> Signal:
    return resample(narrow, SAMPLE_RATE_HZ, RATE_HZ)


# ---------------------------------------------------------------- what comes of it


def run(
    ear: Recogniser, heard: Sequence[Heard], tell: Tell
) -> tuple[dict[str, object], dict[str, list[Answered]]]:
    """(parameters with their figures, by search what was answered across the halves)."""
    observed = observe(ear, heard, tell)
    searches: dict[str, object] = {}
    measured: dict[str, object] = {}
    answered: dict[str, list[Answered]] = {}
    for search in SEARCHES:
        of_search = [(one, seen) for one, seen in observed if seen.search == search]
        seen = [one for _, one in of_search]
        if not seen:
            raise UserMistake("too few recordings: digits, letters and keywords are needed")
        plain = [one for source, one in of_search if source.condition == PLAIN]
        answered[search] = crossed(seen, HALVES, plain)
        searches[search] = as_dict(fit(seen))
        measured[search] = {
            kind: {name: _rounded(value) for name, value in asdict(of_set).items()}
            for kind, of_set in by_set(answered[search]).items()
        }
    return {"searches": searches, "measured": measured}, answered


def _rounded(value: float) -> float | None:
    return None if value != value else round(value, 4)


def card(measured: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """The section for the model card, in Markdown."""
    lines = [
        "## Confidence",
        "",
        "Chance of a word, and of all words of an utterance, to be right (`asr/confidence.py`). "
        "Held-out sessions and speakers over plain mu-law in two halves, each judged by models "
        "fitted to the other half.",
    ]
    for search, sets in measured.items():
        lines += [
            "",
            f"| {search} | words | right | said | Brier | utterances | right | said | Brier |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for kind, of in sets.items():
            cells = [
                *(of["words"], of["word_right"], of["word_said"], of["word_brier"]),
                *(of["utterances"], of["right"], of["said"], of["brier"]),
            ]
            shown = (_cell(value) for value in cells)
            lines.append(f"| {kind} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def plot(answered: Mapping[str, Sequence[Answered]], path: Path) -> None:
    """Reliability of words and utterances, a panel for each search."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(answered), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (search, of_search) in enumerate(answered.items(), 1):
        axes = figure.add_subplot(1, len(answered), place)
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        known = [one for one in of_search if len(one.words)]
        words = np.concatenate([one.words for one in known])
        right = np.concatenate([one.is_right for one in known])
        whole = np.array([one.whole for one in of_search])
        all_right = np.array([one.is_all_right for one in of_search])
        for name, said, truths in (("words", words, right), ("utterances", whole, all_right)):
            points = reliability(said, truths)
            brier = float(np.mean((said - truths) ** 2))
            axes.plot(
                *zip(*[point[:2] for point in points], strict=True),
                marker="o",
                label=f"{name}, Brier {brier:.3f}",
            )
        axes.set(title=search, xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left")
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 after a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m voicebot.learning.asr_confidence",
        description="Fit the recogniser's confidence to its weights and measure it.",
    )
    parser.add_argument("directory", type=Path, help="recordings: phone_calls, digits, ...")
    parser.add_argument("--checkpoint", type=Path, help="weights; default: the shipped ones")
    parser.add_argument("--texts", type=Path, help="folder of texts, as for training")
    parser.add_argument("--limit", type=int, default=60, help="recordings of each set and half")
    parser.add_argument("--out", type=Path, default=confidence.FILE, help="default: the shipped")
    parser.add_argument("--card", type=Path, help="write the model card's section there")
    parser.add_argument("--plot", type=Path, help="write a picture of the reliability there")
    cache = Path(platformdirs.user_cache_dir("voicebot"))
    parser.add_argument("--cache", type=Path, default=cache, help="the recogniser's folder")
    options = parser.parse_args(arguments)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        ear = Recogniser(options.cache, threads=1, model=options.checkpoint)
        tokens = list(ear.vocabulary.tokens)
        heard = material(options.directory, options.limit, options.texts, tokens)
        found, answered = run(ear, heard, tell)
    except (UserMistake, ModelUnavailable) as mistake:
        tell(str(mistake))
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    section = card(found["measured"])  # type: ignore[arg-type]
    print(section)
    if options.card:
        options.card.write_text(section, encoding="utf-8")
    if options.plot:
        plot(answered, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
