"""What the echo matrix came to: figures of cells and of all together, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from voicebot.evaluation.echo_matrix import Cell

ERLE_ERLS_DB = (10, 0)


@dataclass(slots=True)
class CellResult:
    """What was counted in one cell."""

    cell: Cell
    bot_s: float = 0.0
    self_barge_ins: int = 0
    pauses: int = 0
    false_turns: int = 0
    echo_words: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    misses: int = 0
    spoiled: int = 0
    fidelity_db: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "erl_db": self.cell.erl_db,
            "delay_ms": self.cell.delay_ms,
            "kind": self.cell.kind,
            "step_ms": self.cell.step_ms,
            **figures([self]),
        }


@dataclass(frozen=True, slots=True)
class EchoResult:
    """The matrix. `erle_db`: (ERL, delay) to decibel."""

    cells: tuple[CellResult, ...]
    erle_db: dict[tuple[int, int], float]
    near_speakers: int
    is_held_out: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON; rates per minute of bot speech, None where nothing was measured."""
        static = figures([c for c in self.cells if not c.cell.step_ms])
        stepped = figures([c for c in self.cells if c.cell.step_ms])
        every = figures(self.cells)
        return {
            **every,
            "self_barge_in_per_min": static["self_barge_in_per_min"],
            "self_barge_in_per_min_steps": stepped["self_barge_in_per_min"],
            "erle_db_at_2s": _rounded(min(self.erle_db.values(), default=None), 1),
            "erle_db_at_2s_by_delay": {
                str(erl): {
                    str(delay): round(value, 1)
                    for (of, delay), value in sorted(self.erle_db.items())
                    if of == erl
                }
                for erl in ERLE_ERLS_DB
            },
            "near_speakers": self.near_speakers,
            "near_speakers_held_out": self.is_held_out,
            "cells": [cell.as_dict() for cell in self.cells],
        }

    def table(self) -> str:
        """A line for each value of each dimension, and the total."""
        lines = [_HEAD]
        for name in ("erl_db", "delay_ms", "kind", "step_ms"):
            values = dict.fromkeys(getattr(result.cell, name) for result in self.cells)
            for value in values:
                chosen = [r for r in self.cells if getattr(r.cell, name) == value]
                lines.append(_line(_LABELS[name].format(value), figures(chosen)))
        lines.append(_line("all", figures(self.cells)))
        lines.append("")
        lines.append("ERLE at 2 s, dB, by delay in ms:")
        for erl in ERLE_ERLS_DB:
            of = [f"{d}: {v:.0f}" for (e, d), v in sorted(self.erle_db.items()) if e == erl]
            lines.append(f"  ERL {erl}: " + ", ".join(of))
        return "\n".join(lines)

    def plot(self, path: Path) -> None:
        """Write a PNG; UserMistake where that is not possible."""
        from voicebot.evaluation.echo_plot import draw

        draw(self, path)


_LABELS = {
    "erl_db": "ERL {} dB",
    "delay_ms": "delay {} ms",
    "kind": "{}",
    "step_ms": "step {:+} ms",
}
_HEAD = (
    "                  bot  self-barge-in  pauses   words  double talk, ms     miss  fidelity\n"
    "                  min        per min  per min per min    p50    p95          %        dB"
)


def _line(label: str, of: dict[str, Any]) -> str:
    def shown(key: str, width: int, digits: int, factor: float = 1.0) -> str:
        value = of[key]
        return f"{'-' if value is None else format(value * factor, f'.{digits}f'):>{width}}"

    return (
        f"{label:<14}"
        + shown("bot_minutes", 7, 1)
        + shown("self_barge_in_per_min", 15, 3)
        + shown("pauses_per_min", 9, 2)
        + shown("echo_words_per_min", 8, 2)
        + shown("double_talk_p50_ms", 7, 0)
        + shown("double_talk_p95_ms", 7, 0)
        + shown("double_talk_miss", 11, 1, 100)
        + shown("near_fidelity_db", 10, 1)
    )


def figures(results: Sequence[CellResult]) -> dict[str, Any]:
    """Of these cells together; None where nothing was measured."""
    minutes = sum(r.bot_s for r in results) / 60
    latencies = [value for r in results for value in r.latencies_ms]
    misses = sum(r.misses for r in results)
    tried = len(latencies) + misses
    # A miss is a latency beyond all others.
    all_ms = sorted(latencies) + [float("inf")] * misses
    fidelity = [value for r in results for value in r.fidelity_db]

    def rate(name: str) -> float | None:
        count = sum(getattr(r, name) for r in results)
        return _rounded(count / minutes, 4) if minutes else None

    def quantile(share: float) -> float | None:
        if not tried:
            return None
        value = all_ms[min(tried - 1, int(share * tried))]
        return None if value == float("inf") else round(value, 1)

    return {
        "bot_minutes": round(minutes, 3),
        "self_barge_in_per_min": rate("self_barge_ins"),
        "pauses_per_min": rate("pauses"),
        "false_turns_per_min": rate("false_turns"),
        "echo_words_per_min": rate("echo_words"),
        "double_talk_p50_ms": quantile(0.5),
        "double_talk_p95_ms": quantile(0.95),
        "double_talk_miss": _rounded(misses / tried, 4) if tried else None,
        "double_talk_tried": tried,
        "double_talk_spoiled": sum(r.spoiled for r in results),
        "near_fidelity_db": _rounded(float(np.median(fidelity)), 1) if fidelity else None,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
