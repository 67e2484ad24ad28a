"""The figures of the evaluation of recognition: dictionary, table and picture of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicebot.evaluation.asr_corpus import Item
from voicebot.evaluation.asr_foreign import Foreign
from voicebot.evaluation.asr_latency import Load
from voicebot.evaluation.asr_score import bootstrap, brier, normalised
from voicebot.events import Hypothesis

BINS = 10
SURE = Sequence[tuple[float, bool]]


@dataclass(slots=True)
class Heard:
    """One recording: what was recognised without help, and `helped` by an expectation.

    `errors` of `words`; `is_right` of each recognised word. Of orders they count slot words.
    """

    item: Item
    free: Hypothesis
    errors: int
    words: int
    is_right: tuple[bool, ...]
    helped: Hypothesis | None = None
    is_understood: bool = False
    is_helped_text_right: bool = False

    def sure_of_words(self) -> list[tuple[float, bool]]:
        """(confidence, truth) of each recognised word that counts."""
        if len(self.is_right) != len(self.free.words):
            return []
        pairs = zip(self.free.words, self.is_right, strict=True)
        return [(word.confidence, right) for word, right in pairs if normalised(word.text)]


@dataclass(frozen=True, slots=True)
class AsrResult:
    """See voicebot.evaluation.asr for what the figures mean."""

    heard: Sequence[Heard]
    left_out: Mapping[str, int]
    audio_s: float
    cpu_s: float
    load: Load | None
    invented: Mapping[str, tuple[float, list[str]]]
    held_out_only: bool
    foreign: Foreign | None = None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        sets = {name: _figures(of) for name, of in self.by_set().items()}
        briers = [of["brier_utterances"] for of in sets.values()]
        known = [value for value in briers if value is not None]
        minutes = sum(minutes for minutes, _ in self.invented.values())
        count = sum(_word_count(texts) for _, texts in self.invented.values())
        return {
            "sets": sets,
            "left_out": dict(self.left_out),
            "brier_words": _brier(self.sure_of_words()),
            "brier_utterances": round(float(np.mean(known)), 4) if known else None,
            "reliability": {
                "words": reliability(self.sure_of_words()),
                "utterances": reliability(self.sure_of_utterances()),
            },
            "rtf": _ratio(self.cpu_s, self.audio_s),
            "decode_cpu_ms_per_s": round(1000 * self.cpu_s / max(self.audio_s, 1e-9), 1),
            "cpu_ms_per_s": round(self.load.cpu_ms_per_s, 1) if self.load else None,
            "latency": _latency(self.load) if self.load else None,
            "hallucinated_words_per_minute": _ratio(count, minutes),
            "hallucinated": {
                kind: _ratio(_word_count(texts), of) for kind, (of, texts) in self.invented.items()
            },
            "hallucinated_texts": {k: texts for k, (_, texts) in self.invented.items() if texts},
            "another_language": self.foreign.as_dict() if self.foreign else None,
            "held_out_only": self.held_out_only,
        }

    def table(self) -> str:
        """To read."""
        from voicebot.evaluation.asr_table import table

        return table(self.as_dict())

    def plot(self, path: Path) -> None:
        """As PNG."""
        from voicebot.evaluation.asr_plot import draw

        draw(self.as_dict(), self.load, path)

    def by_set(self) -> dict[str, list[Heard]]:
        """In the order of the recordings."""
        found: dict[str, list[Heard]] = {}
        for one in self.heard:
            found.setdefault(one.item.set_name, []).append(one)
        return found

    def sure_of_words(self) -> list[tuple[float, bool]]:
        """(confidence, truth) of every word recognised without help."""
        return [pair for one in self.heard for pair in one.sure_of_words()]

    def sure_of_utterances(self) -> list[tuple[float, bool]]:
        """The same of utterances; orders, of which not all words are known, are none."""
        return _of_utterances(self.heard)


def reliability(sure: SURE) -> list[list[float]]:
    """[mean confidence, share right, how many] of each tenth of the scale that occurs."""
    if not sure:
        return []
    values, truth = (np.array(column, float) for column in zip(*sure, strict=True))
    place = np.minimum((values * BINS).astype(int), BINS - 1)
    return [
        [round(float(values[place == n].mean()), 4), round(float(truth[place == n].mean()), 4),
         int(np.count_nonzero(place == n))]
        for n in range(BINS)
        if (place == n).any()
    ]  # fmt: skip


def _figures(heard: Sequence[Heard]) -> dict[str, Any]:
    unseen = [one for one in heard if not one.item.is_known]
    known = [one for one in heard if one.item.is_known]
    helped = [one for one in heard if one.helped is not None]
    are_orders = all(one.item.slot_words for one in heard)
    words = [pair for one in heard for pair in one.sure_of_words()]
    return {
        "recordings": len(heard),
        "groups": len({one.item.group for one in heard}),
        "words": sum(one.words for one in heard),
        "known": len(known),
        "wer": _wer(heard),
        "wer_ci95": _interval(heard, lambda one: one.errors, lambda one: one.words),
        "wer_unseen": _wer(unseen),
        "wer_known": _wer(known),
        "accuracy": None if are_orders else _share(heard),
        "accuracy_ci95": None if are_orders else _interval(heard, _is_right, lambda _: 1),
        "grammar_accuracy": _ratio(sum(one.is_understood for one in helped), len(helped)),
        "grammar_text_accuracy": _ratio(
            sum(one.is_helped_text_right for one in helped), len(helped)
        ),
        "tidy": _ratio(sum(_is_tidy(one.free.text) for one in heard), len(heard)),
        "brier_words": _brier(words),
        "brier_utterances": _brier(_of_utterances(heard)),
        "grammar_brier": _brier(
            [(one.helped.confidence, one.is_understood) for one in helped if one.helped]
        ),
        "by": _by(heard),
    }


def _by(heard: Sequence[Heard]) -> dict[str, dict[str, dict[str, Any]]]:
    groups: dict[str, dict[str, list[Heard]]] = {}
    for one in heard:
        for trait, value in one.item.traits.items():
            groups.setdefault(trait, {}).setdefault(value, []).append(one)
    return {
        trait: {
            value: {
                "recordings": len(of),
                "words": sum(one.words for one in of),
                "wer": _wer(of),
                "accuracy": _share(of),
            }
            for value, of in sorted(values.items())
        }
        for trait, values in groups.items()
    }


def _latency(load: Load) -> dict[str, Any]:
    found: dict[str, Any] = {
        "calls": load.calls,
        "talking": round(load.talking, 1),
        "utterances": len(load.timings),
        "cut": sum(timing.is_cut for timing in load.timings),
        "missed": sum(t.turn_ms is None and not t.is_cut for t in load.timings),
    }
    for name in ("partial", "final", "turn"):
        values = [getattr(timing, f"{name}_ms") for timing in load.timings]
        known = [value for value in values if value is not None]
        for part in (50, 95):
            value = round(float(np.percentile(known, part)), 1) if known else None
            found[f"{name}_p{part}_ms"] = value
    return found


def _of_utterances(heard: Sequence[Heard]) -> list[tuple[float, bool]]:
    of = [one for one in heard if not one.item.slot_words]
    return [(one.free.confidence, one.errors == 0) for one in of]


def _is_right(one: Heard) -> float:
    return float(one.errors == 0)


def _is_tidy(text: str) -> bool:
    return text[:1].isupper() and text[-1:] in {".", "?", "!"}


def _wer(heard: Sequence[Heard]) -> float | None:
    return _ratio(sum(one.errors for one in heard), sum(one.words for one in heard))


def _share(heard: Sequence[Heard]) -> float | None:
    return _ratio(sum(map(_is_right, heard)), len(heard))


def _interval(
    heard: Sequence[Heard], part: Callable[[Heard], float], whole: Callable[[Heard], float]
) -> list[float]:
    parts, wholes = [part(one) for one in heard], [whole(one) for one in heard]
    return [round(edge, 4) for edge in bootstrap(parts, wholes, [one.item.group for one in heard])]


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _brier(sure: SURE) -> float | None:
    value = brier([confidence for confidence, _ in sure], [right for _, right in sure])
    return None if value is None else round(value, 4)


def _word_count(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)
