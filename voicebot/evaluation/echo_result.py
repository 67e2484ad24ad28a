"""What the echo matrix came to: figures of cells and of all together, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from voicebot.evaluation.echo_matrix import Cell
from voicebot.evaluation.echo_network import Network

ERLE_ERLS_DB = (10, 0)
LEVELS_DB = ((-inf, -15.0), (-15.0, 0.0), (0.0, inf))
"""Callers are as loud as they were recorded, on other telephones than that of the cell."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """One interruption: how late it was noticed (infinite: a miss), and by how much the caller's
    active level lay above that of the echo before it."""

    latency_ms: float
    over_echo_db: float


@dataclass(slots=True)
class CellResult:
    """What was counted in one cell."""

    cell: Cell
    bot_s: float = 0.0
    self_barge_ins: int = 0
    pauses: int = 0
    false_turns: int = 0
    echo_words: int = 0
    noticed: list[Noticed] = field(default_factory=list)
    spoiled: int = 0
    fidelity_db: list[float] = field(default_factory=list)

    @property
    def latencies_ms(self) -> list[float]:
        """Of the interruptions that were noticed."""
        return [of.latency_ms for of in self.noticed if of.latency_ms < inf]

    @property
    def misses(self) -> int:
        """Interruptions that were not."""
        return len(self.noticed) - len(self.latencies_ms)

    def at_level(self, low_db: float, high_db: float) -> CellResult:
        """Only the interruptions whose level over the echo lies in [low_db, high_db)."""
        chosen = [of for of in self.noticed if low_db <= of.over_echo_db < high_db]
        return CellResult(self.cell, noticed=chosen)

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
    """The matrix. `erle_db`: (ERL, delay) to decibel. `network`: calls over other networks, which
    count in no other figure."""

    cells: tuple[CellResult, ...]
    erle_db: dict[tuple[int, int], float]
    near_speakers: int
    is_held_out: bool
    network: tuple[CellResult, ...] = ()

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
            "double_talk_by_level": [
                {"over_echo_db": [low if low > -inf else None, high if high < inf else None]}
                | {k: v for k, v in figures(of).items() if k.startswith("double_talk")}
                for (low, high), of in self.by_level().items()
            ],
            "near_speakers": self.near_speakers,
            "near_speakers_held_out": self.is_held_out,
            "cells": [cell.as_dict() for cell in self.cells],
            "network": [asdict(of) | figures(cells) for of, cells in self.by_network().items()],
        }

    def by_network(self) -> dict[Network, list[CellResult]]:
        """The calls over each of the other networks."""
        networks = dict.fromkeys(r.cell.network for r in self.network)
        return {of: [r for r in self.network if r.cell.network == of] for of in networks}

    def by_level(self) -> dict[tuple[float, float], list[CellResult]]:
        """The interruptions, by the caller's level over the echo."""
        return {bounds: [r.at_level(*bounds) for r in self.cells] for bounds in LEVELS_DB}

    def table(self) -> str:
        """A line for each value of each dimension, and the total."""
        lines = [_HEAD]
        for name in ("erl_db", "delay_ms", "kind", "step_ms"):
            for value in dict.fromkeys(getattr(result.cell, name) for result in self.cells):
                chosen = [r for r in self.cells if getattr(r.cell, name) == value]
                lines.append(_line(_LABELS[name].format(value), figures(chosen)))
        for (low, high), of in self.by_level().items():
            lines.append(_line(_level(low, high), figures(of)))
        lines.append(_line("all", figures(self.cells)))
        lines.append("")
        if self.network:
            lines.append("Over other networks:")
            lines += [_line(of.name, figures(cells)) for of, cells in self.by_network().items()]
            lines.append("")
        lines.append("ERLE at 2 s, dB, by delay in ms:")
        for erl in ERLE_ERLS_DB:
            values = [f"{d}: {v:.0f}" for (e, d), v in sorted(self.erle_db.items()) if e == erl]
            lines.append(f"  ERL {erl}: " + ", ".join(values))
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
    "                          bot  self-barge-in  pauses   words  double talk, ms     miss  "
    "fidelity\n"
    "                          min        per min  per min per min    p50    p95          %  "
    "      dB"
)


def _level(low_db: float, high_db: float) -> str:
    if high_db == inf:
        return "caller louder"
    return f"< {high_db:.0f} dB" if low_db == -inf else f"{low_db:.0f} .. {high_db:.0f} dB"


def _line(label: str, of: dict[str, Any]) -> str:
    def shown(key: str, width: int, digits: int, factor: float = 1.0) -> str:
        value = of[key]
        return f"{'-' if value is None else format(value * factor, f'.{digits}f'):>{width}}"

    return (
        f"{label:<22}"
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
    all_ms = sorted(latencies) + [inf] * misses
    fidelity = [value for r in results for value in r.fidelity_db]

    def rate(name: str) -> float | None:
        count = sum(getattr(r, name) for r in results)
        return _rounded(count / minutes, 4) if minutes else None

    def quantile(share: float) -> float | None:
        if not tried:
            return None
        value = all_ms[min(tried - 1, int(share * tried))]
        return None if value == inf else round(value, 1)

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
