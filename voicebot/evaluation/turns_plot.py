"""A picture of the evaluation of turns: how soon, how right, and what disturbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voicebot.errors import UserMistake
from voicebot.evaluation.turns_floor import Outcome
from voicebot.evaluation.turns_result import QUIET, TurnsResult, kept
from voicebot.evaluation.turns_table import MARKS

_BLUE, _RED, _GREY, _GREEN = "#2b6cb0", "#c53030", "#718096", "#2f855a"


def draw(result: TurnsResult, path: Path) -> None:
    """Write the PNG; UserMistake when it cannot be written."""
    figure = Figure(figsize=(14, 8.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    _onsets(axes[0, 0], result)
    _yields(axes[0, 1], result)
    _floor(axes[0, 2], result)
    _digits(axes[1, 0], result)
    _responses(axes[1, 1], result)
    _disturbances(axes[1, 2], result)
    of = result.as_dict()
    figure.suptitle(
        f"Turns: yield rate {_percent(of['yield_rate'])} of {of['yield_tried']}, backchannel "
        f"selectivity {_percent(of['backchannel_selectivity'])} of {of['backchannel_tried']}"
    )
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserMistake(f"{path}: cannot be written ({error.strerror}); choose another") from None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _curve(axes: Axes, values: Sequence[float], tried: int, colour: str, label: str) -> None:
    """Share of those tried that took no longer."""
    if tried:
        share = 100 * np.arange(1, len(values) + 1) / tried
        axes.step(sorted(values), share, where="post", color=colour, label=f"{label} ({tried})")


def _finish(axes: Axes, title: str, until_ms: float) -> None:
    axes.set_xlim(0, until_ms)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    axes.set_xlabel("ms")
    axes.set_ylabel("%")
    axes.set_title(title)


def _marks(axes: Axes, *keys: tuple[str, float]) -> None:
    marks = [(mark, share) for key, share in keys if (mark := MARKS[key][2]) is not None]
    axes.plot(*zip(*marks, strict=True), marker="x", color=_RED, linestyle="none", label="mark")


def _onsets(axes: Axes, result: TurnsResult) -> None:
    for is_soft, colour, label in ((False, _BLUE, "as recorded"), (True, _GREY, "-46 dBFS")):
        of = [o.latency_ms for o in result.onsets if o.is_soft is is_soft]
        _curve(axes, [ms for ms in of if ms is not None], len(of), colour, label)
    _marks(axes, ("onset_p50_ms", 50))
    _finish(axes, "onset to speech started, line quiet", 500)


def _yields(axes: Axes, result: TurnsResult) -> None:
    for is_echo, colour, label in ((False, _BLUE, "handset"), (True, _GREY, "speakerphone")):
        of = [o for o in result.takers if o.trial.is_speakerphone is is_echo]
        _curve(axes, [o.yield_ms for o in of if o.yield_ms is not None], len(of), colour, label)
    _marks(axes, ("yield_mean_ms", 50), ("yield_p95_ms", 95))
    _finish(axes, "onset over a prompt to its last sample heard", 1500)


def _floor(axes: Axes, result: TurnsResult) -> None:
    """What was done right, by what was said."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in result.floor:
        if not outcome.is_spoiled:
            groups.setdefault(outcome.trial.clip.kind, []).append(outcome)
    names = sorted(groups, key=lambda name: (name in (*QUIET, "burst"), name))
    for at, name in enumerate(names):
        of = groups[name]
        is_quiet = name in (*QUIET, "burst")
        right = sum(kept(o) if is_quiet else o.took_floor for o in of)
        axes.barh(at, 100 * right / len(of), color=_GREEN if is_quiet else _BLUE)
        axes.text(2, at, f"{right} of {len(of)}", va="center", color="white")
    axes.set_yticks(
        range(len(names)), [f"{n}: {'go on' if n in (*QUIET, 'burst') else 'yield'}" for n in names]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% right")
    axes.set_title("over prompts")


def _digits(axes: Axes, result: TurnsResult) -> None:
    for is_known, colour, label in ((True, _BLUE, "length known"), (False, _GREY, "not known")):
        of = [o for o in result.digits if o.reading.is_known_length is is_known]
        known = [o.latency_ms for o in of if o.latency_ms is not None]
        _curve(axes, known, len(of), colour, label)
    _marks(axes, ("digits_p50_ms", 50))
    _finish(axes, "last digit to end of turn", 2500)


def _responses(axes: Axes, result: TurnsResult) -> None:
    for kind, colour in (("keyword", _BLUE), ("answer", _GREEN), ("order", _GREY)):
        of = [o.ms for o in result.responses if o.clip.kind == kind]
        _curve(axes, [ms for ms in of if ms is not None], len(of), colour, kind)
    _marks(axes, ("response_p50_ms", 50), ("response_p95_ms", 95))
    _finish(axes, "end of speech to the dialogue's turn", 2500)


def _disturbances(axes: Axes, result: TurnsResult) -> None:
    rows = [row for row in result.rows if row.bot_s and not row.is_speech]
    at = np.arange(len(rows))
    minutes = [row.bot_s / 60 for row in rows]
    pauses = [row.pauses / of for row, of in zip(rows, minutes, strict=True)]
    taken = [row.barge_ins / of for row, of in zip(rows, minutes, strict=True)]
    axes.barh(at, pauses, color=_GREY, label="pauses")
    axes.barh(at, taken, height=0.5, color=_RED, label="floor taken")
    axes.set_yticks(at, [f"{row.name}{' (stuck)' if row.stuck else ''}" for row in rows])
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize="small")
    axes.set_xlabel("per minute of prompts")
    axes.set_title("for nothing")
