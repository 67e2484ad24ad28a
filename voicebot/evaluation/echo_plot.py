"""A picture of the echo matrix: where the bot interrupts itself, and how it hears the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicebot.errors import UserMistake
from voicebot.evaluation.echo_result import ERLE_ERLS_DB, CellResult, EchoResult, figures

MARK_ERLE_DB, MARK_P50_MS, MARK_P95_MS = 20.0, 140.0, 300.0
_BLUE, _RED, _GREY = "#2b6cb0", "#c53030", "#718096"
Group = Sequence[CellResult]


def draw(result: EchoResult, path: Path) -> None:
    """Write the PNG; UserMistake when it cannot be written."""
    rows = 3 if result.network else 2
    figure = Figure(figsize=(13, 4.25 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, 3)
    axes = np.array([[figure.add_subplot(grid[row, at]) for at in range(3)] for row in range(2)])
    _heat(axes[0, 0], result, "false yields per minute of bot speech", _rate("self_barge_ins"))
    _heat(axes[0, 1], result, "pauses per minute of bot speech", _rate("pauses"))
    _heat(axes[0, 2], result, "double talk missed, %", _missed)
    _latencies(axes[1, 0], result)
    _erle(axes[1, 1], result)
    _by_kind(axes[1, 2], result)
    if result.network:
        _by_network(figure.add_subplot(grid[2, :]), result)
    of = result.as_dict()
    figure.suptitle(
        f"Echo matrix: {len(result.cells)} cells, {of['bot_minutes']:.0f} minutes of bot speech, "
        f"{of['double_talk_tried']} interruptions by {result.near_speakers} callers"
    )
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserMistake(f"{path}: cannot be written ({error.strerror}); choose another") from None


def _rate(name: str) -> Callable[[Group], float]:
    def of(group: Group) -> float:
        seconds = sum(r.bot_s for r in group)
        return 60 * sum(getattr(r, name) for r in group) / seconds if seconds else np.nan

    return of


def _missed(group: Group) -> float:
    misses = sum(r.misses for r in group)
    tried = misses + sum(len(r.latencies_ms) for r in group)
    return 100 * misses / tried if tried else np.nan


def _heat(axes: Axes, result: EchoResult, title: str, value: Callable[[Group], float]) -> None:
    """ERL by delay."""
    erls = sorted({r.cell.erl_db for r in result.cells}, reverse=True)
    delays = sorted({r.cell.delay_ms for r in result.cells})
    values = np.array(
        [
            [
                value([r for r in result.cells if (r.cell.erl_db, r.cell.delay_ms) == (erl, delay)])
                for delay in delays
            ]
            for erl in erls
        ]
    )
    top = max(1.0, float(np.nanmax(values, initial=0.0)))
    axes.imshow(values, cmap="Reds", vmin=0, vmax=top, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        of = values[row, column]
        axes.text(
            column,
            row,
            "-" if np.isnan(of) else f"{of:.2f}",
            ha="center",
            va="center",
            color="white" if of > 0.6 * top else "black",
        )
    axes.set_xticks(range(len(delays)), [str(delay) for delay in delays])
    axes.set_yticks(range(len(erls)), [str(erl) for erl in erls])
    axes.set_xlabel("delay, ms")
    axes.set_ylabel("ERL, dB")
    axes.set_title(title)


def _latencies(axes: Axes, result: EchoResult) -> None:
    latencies = sorted(value for r in result.cells for value in r.latencies_ms)
    tried = len(latencies) + sum(r.misses for r in result.cells)
    if tried:
        axes.step(latencies, 100 * np.arange(1, len(latencies) + 1) / tried, color=_BLUE)
    for mark, share in ((MARK_P50_MS, 50), (MARK_P95_MS, 95)):
        axes.plot([mark], [share], marker="x", color=_RED, linestyle="none")
        axes.annotate(
            f"p{share} <= {mark:.0f}", (mark, share), (6, -12), textcoords="offset points"
        )
    axes.set_xlim(0, 1000)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.set_xlabel("caller's onset to candidate, ms")
    axes.set_ylabel("% of interruptions")
    axes.set_title("double talk")


def _erle(axes: Axes, result: EchoResult) -> None:
    for erl, colour in zip(ERLE_ERLS_DB, (_BLUE, _GREY), strict=True):
        of = sorted((delay, value) for (e, delay), value in result.erle_db.items() if e == erl)
        if of:
            axes.plot(*zip(*of, strict=True), marker="o", color=colour, label=f"ERL {erl} dB")
    axes.axhline(MARK_ERLE_DB, color=_RED, linestyle="--", linewidth=1)
    axes.set_ylim(bottom=min(0.0, *result.erle_db.values(), 0.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    axes.set_xlabel("delay, ms")
    axes.set_ylabel("dB")
    axes.set_title("ERLE 2 s after the bot began")


def _by_kind(axes: Axes, result: EchoResult) -> None:
    """What the kind of telephone and the steps do to p95 of double talk and to pauses."""
    groups: list[tuple[str, Group]] = []
    for kind in dict.fromkeys(r.cell.kind for r in result.cells):
        groups.append((kind, [r for r in result.cells if r.cell.kind == kind]))
    for step in dict.fromkeys(r.cell.step_ms for r in result.cells):
        groups.append((f"step {step:+}", [r for r in result.cells if r.cell.step_ms == step]))
    names = [name for name, _ in groups]
    of = [figures(group) for _, group in groups]
    at = np.arange(len(names))
    for offset, key, colour in (
        (-0.2, "double_talk_p50_ms", _GREY),
        (0.2, "double_talk_p95_ms", _BLUE),
    ):
        values = [1000.0 if f[key] is None else f[key] for f in of]
        axes.barh(at + offset, values, 0.4, color=colour, label=key.split("_")[2])
    axes.axvline(MARK_P95_MS, color=_RED, linestyle="--", linewidth=1)
    axes.set_yticks(at, names)
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    axes.set_xlim(0, 1350)  # room for the legend
    axes.set_xlabel("onset to candidate, ms (1000: missed)")
    axes.set_title("by telephone and by step of the delay")


def _by_network(axes: Axes, result: EchoResult) -> None:
    """What other networks do to pauses, false yields and double talk."""
    networks = result.by_network()
    of = [figures(cells) for cells in networks.values()]
    at = np.arange(len(of))
    for offset, key, label, colour in (
        (-0.2, "pauses_per_min", "pauses", _GREY),
        (0.2, "self_barge_in_per_min", "false yields", _RED),
    ):
        axes.bar(at + offset, [f[key] or 0.0 for f in of], 0.4, color=colour, label=label)
    misses = [f["double_talk_miss"] for f in of]
    names = [
        f"{network.name}\n({'-' if miss is None else f'{100 * miss:.0f} %'} missed)"
        for network, miss in zip(networks, misses, strict=True)
    ]
    axes.set_xticks(at, names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_ylim(bottom=0.0, top=max(1.0, *(f["pauses_per_min"] or 0.0 for f in of)) * 1.25)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper right")
    axes.set_ylabel("per minute of bot speech")
    axes.set_title("over other networks (and callers missed in double talk)")
