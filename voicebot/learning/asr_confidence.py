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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import platformdirs

from voicebot.asr import confidence, confidence_features
from voicebot.asr.recogniser import Recogniser
from voicebot.errors import ModelUnavailable, UserMistake
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
from voicebot.learning.asr_confidence_material import HALVES, PLAIN, Heard, material
from voicebot.learning.asr_transcripts import words_of

Tell = Callable[[str], None]

SEARCHES: Mapping[confidence.Search, int] = {"greedy": 1, "beam": 8, "expected": 8}
WEIGHTS: Mapping[confidence.Search, float] = {"greedy": 0.25, "beam": 0.25, "expected": 1.0}
"""Of speech that is not English: where something is expected a word believed is a slot filled."""
_BATCH = 8


def observe(ear: Recogniser, heard: Sequence[Heard], tell: Tell) -> list[tuple[Heard, Observed]]:
    """Everything recognised by every search that applies; what gave no word says nothing."""
    found = []
    order = sorted(heard, key=lambda one: len(one.samples))
    for at in range(0, len(order), _BATCH):
        if at % 200 == 0:
            tell(f"recognising: {at} of {len(order)}")
        batch = order[at : at + _BATCH]
        for search, nbest in SEARCHES.items():
            if search == "expected":
                chosen = [one for one in batch if one.expectation]
            else:
                chosen = [one for one in batch if not one.is_again]
            expected = [one.expectation for one in chosen] if search == "expected" else None
            evidence = ear.evidence(
                [one.samples for one in chosen], nbest=nbest, expectations=expected
            )
            for one, pieces in zip(chosen, evidence, strict=True):
                spoken = tuple(piece for piece in pieces if piece.sentences[0].words)
                if spoken:
                    found.append((one, _observed(one, search, spoken)))
    return found


def _observed(one: Heard, search: str, pieces: tuple[confidence_features.Piece, ...]) -> Observed:
    words = [word for piece in pieces for word in piece.sentences[0].words]
    if one.text is None:
        said = words_of(" ".join(words))
        is_all_right = all(word in said for word in one.slot_words)
        return Observed(one.kind, one.part, search, pieces, (), is_all_right)
    is_right, is_all_right = truth(words, one.text)
    return Observed(one.kind, one.part, search, pieces, is_right, is_all_right)


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
        answered[search] = crossed(seen, HALVES, plain, WEIGHTS[search])
        searches[search] = as_dict(fit(seen, WEIGHTS[search]))
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
