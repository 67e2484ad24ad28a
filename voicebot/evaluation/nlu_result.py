"""What the evaluation of intents came to: figures beside their marks, and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voicebot.errors import UserMistake

NOISE_MARK = 0.15
BINS = 10
WORST = 8
"""Confusions listed."""


@dataclass(frozen=True, slots=True)
class Draw:
    """An answer, how sure it was, and what was meant."""

    intent: str
    confidence: float
    meant: str

    @property
    def is_right(self) -> bool:
        """Whether the intent is the one that was meant."""
        return self.intent == self.meant


@dataclass(frozen=True, slots=True)
class Outside:
    """Confidences of sentences that mean an intent, and of ones that mean none."""

    inside: list[float]
    outside: list[float]

    @property
    def auroc(self) -> float:
        """Probability that a sentence of the first kind has the higher confidence; ties half."""
        both = np.concatenate([self.inside, self.outside])
        _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks = (ends - (counts - 1) / 2.0)[inverse][: len(self.inside)]
        n, m = len(self.inside), len(self.outside)
        return float((ranks.sum() - n * (n + 1) / 2.0) / (n * m))


@dataclass(frozen=True, slots=True)
class NluResult:
    """`noisy`: word error rate and accuracy by the rate asked for; `near`: Outside of intents left
    out of training, None where there are too few; `far`: Outside by source."""

    examples: int
    questions: int
    intents: int
    train_s: float
    ms_per_utterance: float
    answers: list[Draw]
    ten_shot: list[float]
    noisy: dict[float, tuple[float, float]]
    near: Outside | None
    far: dict[str, Outside]

    @property
    def accuracy(self) -> float:
        """Share of questions whose intent was found."""
        return float(np.mean([answer.is_right for answer in self.answers]))

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of confidence (Naeini et al., 2015)."""
        return sum(abs(right - sure) * share for sure, right, share in self.reliability())

    def reliability(self) -> list[tuple[float, float, float]]:
        """(mean confidence, share right, share of all answers) of each bin that has answers."""
        sure = np.array([answer.confidence for answer in self.answers])
        right = np.array([answer.is_right for answer in self.answers], float)
        bins = np.minimum((sure * BINS).astype(int), BINS - 1)
        filled = [bins == b for b in range(BINS) if (bins == b).any()]
        return [(float(sure[b].mean()), float(right[b].mean()), float(b.mean())) for b in filled]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: shares 0..1; `noise_loss` in shares too."""
        wer, noisy = self.noisy.get(NOISE_MARK, (float("nan"), float("nan")))
        far = {name: round(of.auroc, 4) for name, of in self.far.items()}
        near = self.near.auroc if self.near else None
        every = [*far.values(), *([near] if near is not None else [])]
        return {
            "accuracy": round(self.accuracy, 4),
            "accuracy_10_shot": round(float(np.mean(self.ten_shot)), 4),
            "ms_per_utterance": round(self.ms_per_utterance, 3),
            "train_s": round(self.train_s, 2),
            "accuracy_10_shot_std": round(float(np.std(self.ten_shot)), 4),
            "accuracy_10_shot_draws": [round(draw, 4) for draw in self.ten_shot],
            "accuracy_noisy": round(noisy, 4),
            "noise_wer": round(wer, 4),
            "noise_loss": round(self.accuracy - noisy, 4),
            "noise": {str(rate): [round(v, 4) for v in of] for rate, of in self.noisy.items()},
            "oos_auroc": round(float(np.mean(every)), 4),
            "oos_auroc_far": far,
            "oos_auroc_left_out_intents": None if near is None else round(near, 4),
            "calibration_error": round(self.calibration_error, 4),
            "examples": self.examples,
            "questions": self.questions,
            "intents": self.intents,
        }

    def table(self) -> str:
        """Figures beside their marks, and what is confused most."""
        of = self.as_dict()
        lines = [
            f"{self.examples} examples of {self.intents} intents, {self.questions} questions",
            _line("accuracy", 100 * of["accuracy"], "%", ">= 93"),
            _line("  10 examples per intent", 100 * of["accuracy_10_shot"], "%", ">= 85"),
            _line(
                f"  {100 * of['noise_wer']:.0f} % of words wrong: loss",
                100 * of["noise_loss"],
                "points",
                "<= 6",
            ),
            _line("an utterance, one core", of["ms_per_utterance"], "ms", "<= 5"),
            _line("training", of["train_s"], "s", "<= 60"),
            _line("calibration error", 100 * of["calibration_error"], "%", ""),
            _line("out of scope, AUROC: mean", of["oos_auroc"], "", ">= 0.93"),
        ]
        if self.near:
            lines.append(_line("  intents left out", self.near.auroc, "", ""))
        lines += [_line(f"  {name}", value, "", "") for name, value in of["oos_auroc_far"].items()]
        wrong = Counter((a.meant, a.intent) for a in self.answers if not a.is_right)
        lines.append("confused most:")
        lines += [f"  {n} x {a} taken for {b}" for (a, b), n in wrong.most_common(WORST)]
        return "\n".join(lines)

    def plot(self, path: Path) -> None:
        """Write a PNG; UserMistake where that is not possible."""
        figure = Figure(figsize=(15, 4.5), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        noise, reliable, scope = figure.subplots(1, 3)
        self._draw_noise(noise)
        self._draw_reliability(reliable)
        self._draw_scope(scope)
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            raise UserMistake(f"{path}: cannot be written ({error.strerror})") from None

    def _draw_noise(self, axes: Axes) -> None:
        points = [(0.0, self.accuracy), *self.noisy.values()]
        axes.plot(*zip(*((100 * x, 100 * y) for x, y in points), strict=True), "o-")
        axes.axhline(100 * float(np.mean(self.ten_shot)), ls=":", color="gray")
        axes.annotate(
            "10 examples per intent, no errors",
            (0, 100 * np.mean(self.ten_shot)),
            xytext=(0, 3),  # above the line, not on it
            textcoords="offset points",
        )
        axes.set(xlabel="words wrong, %", ylabel="intents right, %", title="Recognition errors")

    def _draw_reliability(self, axes: Axes) -> None:
        points = self.reliability()
        axes.plot([0, 1], [0, 1], ":", color="gray")
        sizes = [20 + 400 * share for *_, share in points]
        axes.scatter([p[0] for p in points], [p[1] for p in points], s=sizes)
        axes.set(xlabel="confidence", ylabel="share right", title="Confidence (size: how many)")

    def _draw_scope(self, axes: Axes) -> None:
        known = [answer.confidence for answer in self.answers]
        kinds: list[tuple[str, Sequence[float]]] = [("known intents", known)]
        kinds += [(Path(name).name, of.outside) for name, of in self.far.items()]
        if self.near:
            kinds.append(("intents left out", self.near.outside))
        for name, values in kinds:
            ordered: NDArray[np.float64] = np.sort(np.array(values, float))
            axes.plot(ordered, np.linspace(0, 100, len(ordered)), label=name)
        axes.set(xlabel="confidence below", ylabel="sentences, %", title="In and out of scope")
        axes.legend()


def _line(what: str, value: float, unit: str, mark: str) -> str:
    digits = 3 if unit in {"", "ms"} else 1
    return f"{what:<38}{value:>9.{digits}f} {unit:<7}{mark}".rstrip()
