"""A picture of the evaluation of recognition: errors, by phone, confidence, latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicebot.errors import UserMistake

if TYPE_CHECKING:
    from voicebot.evaluation.asr_latency import Load

_BLUE, _RED, _GREY, _GREEN = "#2b6cb0", "#c53030", "#718096", "#2f855a"


def draw(of: Mapping[str, Any], load: Load | None, path: Path) -> None:
    """Write the PNG; UserMistake when it cannot be written."""
    figure = Figure(figsize=(13, 8.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _errors(axes[0, 0], of["sets"])
    _traits(axes[0, 1], of["sets"])
    _reliability(axes[1, 0], of)
    _latency(axes[1, 1], load)
    part = "recordings that no training saw" if of["held_out_only"] else "all recordings"
    figure.suptitle(f"Recognition of 8 kHz mu-law, {part}")
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserMistake(f"{path}: cannot be written ({error.strerror})") from None


def _errors(axes: Axes, sets: Mapping[str, Any]) -> None:
    rows = [(name, figures) for name, figures in sets.items() if figures["wer"] is not None]
    rates = np.array([100 * figures["wer"] for _, figures in rows])
    edges = np.array([[100 * edge for edge in figures["wer_ci95"]] for _, figures in rows])
    places = np.arange(len(rows))
    spread = np.abs(edges.T - rates) if len(rows) else None
    axes.barh(places, rates, xerr=spread, color=_BLUE, error_kw={"ecolor": _GREY, "capsize": 3})
    for place, (_, figures) in zip(places, rows, strict=True):
        if figures["grammar_accuracy"] is not None:
            wrong = 100 * (1 - figures["grammar_accuracy"])
            axes.plot(wrong, place, "D", color=_GREEN, ms=6)
    axes.plot([], [], "D", color=_GREEN, label="not understood, with grammar")
    axes.set_yticks(places, [f"{name} ({figures['words']})" for name, figures in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("words wrong, %; 95 % of bootstraps")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize="small")


def _traits(axes: Axes, sets: Mapping[str, Any]) -> None:
    rows = [
        (f"{name.removeprefix('phone_')}: {value}", 100 * part["wer"], trait)
        for name in ("phone_sentences", "read_sentences", "phone_keywords")
        for trait, values in sets.get(name, {"by": {}})["by"].items()
        for value, part in values.items()
        if part["wer"] is not None
    ]
    if not rows:
        axes.set_axis_off()
        return
    axes.barh(np.arange(len(rows)), [rate for _, rate, _ in rows], color=_GREY)
    axes.set_yticks(np.arange(len(rows)), [name for name, *_ in rows], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("words wrong, %, by phone, gender, dialect, caller, age")
    axes.grid(axis="x", alpha=0.3)


def _reliability(axes: Axes, of: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, lw=1)
    for kind, colour in (("words", _BLUE), ("utterances", _RED)):
        points: Sequence[Sequence[float]] = of["reliability"][kind]
        if points:
            sure, right, count = zip(*points, strict=True)
            score = of[f"brier_{kind}"]
            axes.plot(sure, right, "-", color=colour, lw=1)
            sizes = 15 + 200 * np.sqrt(np.array(count) / sum(count))
            label = f"{kind}, Brier {score:.3f}"
            axes.scatter(sure, right, s=sizes, color=colour, alpha=0.7, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share right")
    axes.grid(alpha=0.3)
    if any(of["reliability"].values()):  # none where the words are not known
        axes.legend(loc="upper left", fontsize="small")


def _latency(axes: Axes, load: Load | None) -> None:
    if load is None:
        axes.set_axis_off()
        return
    for name, label, colour in (
        ("partial_ms", "first words after the onset", _BLUE),
        ("final_ms", "words of the final after the end of speech", _RED),
        ("turn_ms", "turn handed over", _GREEN),
    ):
        values = sorted(v for t in load.timings if (v := getattr(t, name)) is not None)
        if values:
            share = 100 * np.arange(1, len(values) + 1) / len(values)
            axes.step(values, share, where="post", color=colour, label=f"{label} ({len(values)})")
    axes.set_xlim(0, 2000)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"ms, {load.talking:.0f} callers talking at once")
    axes.set_ylabel("%")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
