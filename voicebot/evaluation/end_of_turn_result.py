"""What the evaluation of ended turns came to: curves of cutoffs against latency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voicebot.errors import UserMistake

LATENCIES_MS, CUTOFFS = (300, 600), 0.05
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """float64[P, 2]: mean latency in ms and share of turns cut off, for each scale."""

    points: Points

    def cutoffs_at(self, latency_ms: float) -> float:
        """The least share cut off by then; nan where nothing is as quick."""
        quick = self.points[self.points[:, 0] <= latency_ms]
        return float(quick[:, 1].min()) if len(quick) else math.nan

    def latency_at(self, share: float) -> float:
        """The least mean latency with no more cut off."""
        safe = self.points[self.points[:, 1] <= share]
        return float(safe[:, 0].min()) if len(safe) else math.nan


@dataclass(frozen=True, slots=True)
class EndOfTurnResult:
    """Curves by kind of recording and judge; `shipped`: the product's own setting by kind."""

    turns: dict[str, int]
    paused: dict[str, int]  # turns with a pause of 200 ms or more
    curves: dict[str, dict[str, Curve]]
    shipped: dict[str, dict[str, float]]
    is_held_out: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON; None where nothing could be measured.

        The marks are those of the product's judge on sentences, the recordings with pauses.
        """
        own = self.curves.get("sentence", {}).get("own", Curve(np.zeros((0, 2))))
        found: dict[str, Any] = {
            "false_cutoffs_300": _rounded(own.cutoffs_at(300)),
            "false_cutoffs_600": _rounded(own.cutoffs_at(600)),
            "latency_5pct_ms": _rounded(own.latency_at(CUTOFFS)),
            "is_held_out": self.is_held_out,
        }
        for kind, curves in self.curves.items():
            found[kind] = {
                "turns": self.turns[kind],
                "turns_with_pause": self.paused[kind],
                "shipped": {name: _rounded(value) for name, value in self.shipped[kind].items()},
                **{judge.replace(" ", "_"): _figures(curve) for judge, curve in curves.items()},
            }
        return found

    def table(self) -> str:
        """A line for each kind and judge, and the product's setting."""
        lines = ["                        cut off at 300 ms  at 600 ms  ms at 5 % cut off"]
        for kind, curves in self.curves.items():
            lines.append(f"{kind}s: {self.turns[kind]}, {self.paused[kind]} with a pause")
            for judge, curve in curves.items():
                at_300, at_600 = (_percent(curve.cutoffs_at(ms)) for ms in LATENCIES_MS)
                at_5 = curve.latency_at(CUTOFFS)
                lines.append(f"  {judge:<20}{at_300:>19}{at_600:>11}{_whole(at_5):>18}")
            of = self.shipped[kind]
            lines.append(
                f"  as shipped: {_percent(of['cutoffs'])} cut off; latency mean "
                f"{of['mean_ms']:.0f}, p50 {of['p50_ms']:.0f}, p95 {of['p95_ms']:.0f} ms"
            )
        return "\n".join(lines)

    def plot(self, path: Path) -> None:
        """Write a PNG; UserMistake where that is not possible."""
        draw(self, path)


def _figures(curve: Curve) -> dict[str, float | None]:
    at_300, at_600 = (_rounded(curve.cutoffs_at(ms)) for ms in LATENCIES_MS)
    return {
        "cutoffs_at_300_ms": at_300,
        "cutoffs_at_600_ms": at_600,
        "latency_ms_at_5_percent": _rounded(curve.latency_at(CUTOFFS)),
    }


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def _whole(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"


def draw(result: EndOfTurnResult, path: Path) -> None:
    """The trade between cutting off and waiting, one line for each judge."""
    figure = Figure(figsize=(6.5 * len(result.curves), 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, curves) in zip(
        figure.subplots(1, len(result.curves), squeeze=False)[0], result.curves.items(), strict=True
    ):
        for judge, curve in curves.items():
            axes.plot(curve.points[:, 0], 100 * curve.points[:, 1], label=judge)
        of = result.shipped[kind]
        axes.plot(of["mean_ms"], 100 * of["cutoffs"], "ko", label="as shipped")
        axes.set_title(f"{result.turns[kind]} {kind}s")
        axes.set_ylim(
            bottom=0, top=None if any(c.points[:, 1].any() for c in curves.values()) else 1
        )
        axes.set_xlabel("mean latency, ms")
        axes.set_ylabel("turns cut off, %")
        axes.legend()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserMistake(f"{path}: cannot be written ({error.strerror}); choose another") from None
