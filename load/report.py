"""What a run measured: collected call by call, summed up as JSON and as a table. Pure."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicebot.telephony.dialer import CallRecord

LATE_MS = 5.0
"""A chunk sent later than this is late; with more than one in a hundred the run is invalid."""
RESPONSE_POINTS = (50, 90, 95, 99)


def percentile(values: Sequence[float], point: float) -> float | None:
    """Linear between closest ranks, as numpy's default; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    rank = (len(ordered) - 1) * point / 100
    low, high = math.floor(rank), math.ceil(rank)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def percentiles(values: Sequence[float], points: Iterable[int]) -> dict[str, float | None]:
    """{"p50": ...}, rounded to a tenth; every point there, None without values."""
    found = {f"p{point}": percentile(values, point) for point in points}
    return {name: value and round(value, 1) for name, value in found.items()}


@dataclass(slots=True)
class Measured:
    """Everything measured so far.

    A call is completed when the server or the caller ended it in order, cut when it was up
    at the end of the run, failed otherwise. An unanswered turn was spoken in full and the
    call went on, but the bot said nothing more.
    """

    calls: int = 0
    completed: int = 0
    cut: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    unanswered: int = 0
    response_ms: array[float] = field(default_factory=lambda: array("d"))
    barge_in_ms: array[float] = field(default_factory=lambda: array("d"))
    connect_ms: array[float] = field(default_factory=lambda: array("d"))
    greeting_ms: array[float] = field(default_factory=lambda: array("d"))
    lateness_ms: array[float] = field(default_factory=lambda: array("d"))

    @property
    def failed(self) -> int:
        """Calls that failed, for whatever reason."""
        return sum(self.failures.values())

    def add(self, record: CallRecord, *, was_cut: bool) -> None:
        """Takes in a call's record and keeps only numbers of it."""
        self.calls += 1
        self.lateness_ms.extend(record.send_lateness_ms)
        if record.connect_ms is not None:
            self.connect_ms.append(record.connect_ms)
        if record.greeting_ms is not None:
            self.greeting_ms.append(record.greeting_ms)
        for turn in record.turns:
            self._add_turn(turn.response_ms, turn.barge_in_ms, turn.speech_end_s < record.seconds)
        failure = _failure(record, was_cut=was_cut)
        if failure is not None:
            self.failures[failure] += 1
        elif was_cut:
            self.cut += 1
        else:
            self.completed += 1

    def add_failure(self, reason: str) -> None:
        """A call that left no record."""
        self.calls += 1
        self.failures[reason] += 1

    def _add_turn(
        self, response_ms: float | None, barge_in_ms: float | None, was_spoken: bool
    ) -> None:
        self.turns += 1
        if response_ms is not None:
            self.response_ms.append(response_ms)
        elif was_spoken:
            self.unanswered += 1
        if barge_in_ms is not None:
            self.barge_in_ms.append(barge_in_ms)

    @property
    def late_sends(self) -> int:
        """Chunks that left more than LATE_MS after they were due."""
        return sum(1 for lateness in self.lateness_ms if lateness > LATE_MS)

    @property
    def is_valid(self) -> bool:
        """The tester kept its own schedule; a run without a single chunk proves nothing."""
        p99 = percentile(self.lateness_ms, 99)
        return p99 is not None and p99 <= LATE_MS

    def summary(self) -> dict[str, Any]:
        """JSON-able; times in milliseconds."""
        return {
            "valid": self.is_valid,
            "calls": self.calls,
            "completed": self.completed,
            "cut": self.cut,
            "failed": self.failed,
            "failures": dict(self.failures),
            "turns": self.turns,
            "unanswered": self.unanswered,
            "response_ms": percentiles(self.response_ms, RESPONSE_POINTS),
            "connect_ms": percentiles(self.connect_ms, RESPONSE_POINTS),
            "greeting_ms": percentiles(self.greeting_ms, RESPONSE_POINTS),
            "barge_in_ms": percentiles(self.barge_in_ms, RESPONSE_POINTS),
            "barge_ins": len(self.barge_in_ms),
            "sends": len(self.lateness_ms),
            "late_sends": self.late_sends,
            "send_lateness_ms": percentiles(self.lateness_ms, (50, 99)),
        }


def _failure(record: CallRecord, *, was_cut: bool) -> str | None:
    """Why a call counts as failed; None when it does not."""
    if record.end_reason not in {"server_closed", "hung_up", "max"}:
        return record.end_reason
    if record.errors:
        return f"error {record.errors[0].code}"
    if record.greeting_ms is None and not was_cut:
        return "silent bot"
    return None


def table(summary: Mapping[str, Any]) -> str:
    """The summary for people, one fact a line."""
    lines = [
        f"{'calls':<16}{summary['calls']:>8}   {summary['completed']} completed, "
        f"{summary['cut']} cut at the end, {summary['failed']} failed",
        f"{'turns':<16}{summary['turns']:>8}   {summary['unanswered']} unanswered, "
        f"{summary['barge_ins']} barge-ins",
    ]
    lines += [f"{'  ' + reason:<16}{count:>8}" for reason, count in summary["failures"].items()]
    lines.append(f"{'':<16}" + "".join(f"{'p' + str(point):>8}" for point in RESPONSE_POINTS))
    for name in ("response_ms", "greeting_ms", "connect_ms", "barge_in_ms", "send_lateness_ms"):
        lines.append(f"{name:<16}" + "".join(_cell(summary[name], p) for p in RESPONSE_POINTS))
    lines.append(f"{'late sends':<16}{summary['late_sends']:>8}   of {summary['sends']}")
    for name, value in (summary.get("server") or {}).items():
        lines.append(f"{name:<48}{value:>14,.6g}")
    if not summary["valid"]:
        lines.append(
            f"RUN INVALID: the tester itself sent late (p99 above {LATE_MS:g} ms) or not at all; "
            "use fewer calls or a quieter machine"
        )
    return "\n".join(lines)


def _cell(values: Mapping[str, float | None], point: int) -> str:
    value = values.get(f"p{point}")
    return f"{'-' if value is None else format(value, '.1f'):>8}"
