"""`voicebot eval slots`: how well values are found in sentences (Restaurants-8k's format).

A value counts as found when slot, first and last character are those of the mark, exactly.
`f1` is micro-averaged: 2 * found / (marked + claimed) over all values of all sentences, those
without any included. The slots that the question asked for are known, as in a dialogue.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicebot.errors import UserMistake
from voicebot.evaluation.nlu_files import read_spans
from voicebot.nlu.spans import MarkedSentence, Span, SpanTagger, fit_spans

QUICK_EXAMPLES = 2000
SHOWN = 8
"""Sentences whose mistakes are listed."""


@dataclass(frozen=True, slots=True)
class Count:
    """Values marked, claimed by the tagger, and both."""

    marked: int
    claimed: int
    found: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 when there was nothing to find or claim."""
        total = self.marked + self.claimed
        return 2.0 * self.found / total if total else 1.0


@dataclass(frozen=True, slots=True)
class SlotsResult:
    """`slots`: by slot; `mistakes`: lines to read."""

    examples: int
    questions: int
    train_s: float
    ms_per_utterance: float
    slots: dict[str, Count]
    uncased: Count
    is_whole: float
    mistakes: list[str]

    @property
    def total(self) -> Count:
        """All slots together."""
        of = self.slots.values()
        return Count(*(sum(getattr(c, n) for c in of) for n in ("marked", "claimed", "found")))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        total = self.total
        return {
            "f1": round(total.f1, 4),
            "precision": round(total.found / max(1, total.claimed), 4),
            "recall": round(total.found / max(1, total.marked), 4),
            "f1_macro": round(float(np.mean([c.f1 for c in self.slots.values()])), 4),
            "f1_of": {slot: round(count.f1, 4) for slot, count in self.slots.items()},
            "f1_uncased": round(self.uncased.f1, 4),
            "sentences_right": round(self.is_whole, 4),
            "ms_per_utterance": round(self.ms_per_utterance, 3),
            "train_s": round(self.train_s, 2),
            "examples": self.examples,
            "questions": self.questions,
        }

    def table(self) -> str:
        """By slot, and some mistakes."""
        lines = [
            f"{self.examples} examples, {self.questions} sentences; trained in "
            f"{self.train_s:.1f} s, {self.ms_per_utterance:.2f} ms a sentence",
            f"{'slot':<16}{'marked':>8}{'precision':>11}{'recall':>9}{'F1':>8}",
        ]
        for slot, c in [*self.slots.items(), ("all", self.total), ("all, uncased", self.uncased)]:
            precision, recall = c.found / max(1, c.claimed), c.found / max(1, c.marked)
            shares = f"{100 * precision:>9.1f} %{100 * recall:>7.1f} %{c.f1:>8.3f}"
            lines.append(f"{slot:<16}{c.marked:>8}{shares}")
        lines.append("mark: F1 of all >= 0.930")
        return "\n".join([*lines, "mistakes:", *(f"  {line}" for line in self.mistakes)])

    def plot(self, path: Path) -> None:
        """Write a PNG; UserMistake where that is not possible."""
        figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        counts = {**self.slots, "all": self.total, "all, uncased": self.uncased}
        bars = axes.barh(list(counts), [count.f1 for count in counts.values()])
        axes.bar_label(bars, fmt="%.3f")
        axes.axvline(0.93, ls=":", color="gray")
        axes.set(xlim=(0.5, 1.04), xlabel="F1 of values, exactly as marked")
        axes.invert_yaxis()
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise UserMistake(f"{path}: cannot be written ({error.strerror})") from None


def run(
    *,
    train: Path,
    test: Path,
    quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> SlotsResult:
    """Train on one file, test on the other; `quick`: with part of the training file."""
    examples, questions = read_spans(train), read_spans(test)
    if quick:
        examples = examples[:: max(1, len(examples) // QUICK_EXAMPLES)]
    tell(f"training on {len(examples)} sentences")
    began = time.perf_counter()
    tagger = fit_spans(examples, tell=lambda n: None if n % 20 else tell(f"training, pass {n}"))
    train_s = time.perf_counter() - began
    tell(f"reading {len(questions)} sentences")
    began = time.process_time()
    claims = [set(tagger.tag(question.text, question.asked)) for question in questions]
    spent = time.process_time() - began
    right = [claim == set(q.spans) for claim, q in zip(claims, questions, strict=True)]
    return SlotsResult(
        examples=len(examples),
        questions=len(questions),
        train_s=train_s,
        ms_per_utterance=1000.0 * spent / max(1, len(questions)),
        slots=_by_slot(questions, claims),
        uncased=_uncased(tagger, questions),
        is_whole=float(np.mean(right)),
        mistakes=[
            _mistake(q, claim)
            for q, claim, ok in zip(questions, claims, right, strict=True)
            if not ok
        ][:SHOWN],
    )


def _by_slot(questions: Sequence[MarkedSentence], claims: Sequence[set[Span]]) -> dict[str, Count]:
    marked, claimed, found = Counter[str](), Counter[str](), Counter[str]()
    for question, claim in zip(questions, claims, strict=True):
        marked.update(span.slot for span in question.spans)
        claimed.update(span.slot for span in claim)
        found.update(span.slot for span in claim & set(question.spans))
    slots = sorted({*marked, *claimed})
    return {slot: Count(marked[slot], claimed[slot], found[slot]) for slot in slots}


def _uncased(tagger: SpanTagger, questions: Sequence[MarkedSentence]) -> Count:
    """The same in small letters throughout: what a recogniser without capitals would give."""
    lowered = [MarkedSentence(q.text.lower(), q.spans, q.asked) for q in questions]
    lowered = [q for q, was in zip(lowered, questions, strict=True) if len(q.text) == len(was.text)]
    claims = [set(tagger.tag(q.text, q.asked)) for q in lowered]
    counts = _by_slot(lowered, claims).values()
    return Count(*(sum(getattr(c, n) for c in counts) for n in ("marked", "claimed", "found")))


def _mistake(question: MarkedSentence, claim: set[Span]) -> str:
    def named(spans: set[Span]) -> str:
        parts = [f"{s.slot}={question.text[s.start : s.end]!r}" for s in sorted(spans)]
        return ", ".join(parts) or "nothing"

    marked = set(question.spans)
    return f"{question.text!r}: {named(marked - claim)} expected, {named(claim - marked)} found"
