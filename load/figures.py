"""What `python -m load frontend` reports: figures of one server, as JSON and as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from load.report import LATE_MS


@dataclass(frozen=True, slots=True)
class Figures:
    """One server's figures.

    `late_chunks` is None where the server does not count them; `ended_early` counts calls that
    the server ended; `bot_audible_share` is the share of the time in which a caller heard the
    bot; `valid` is False when the tester itself was late or calls ended early.
    """

    calls: int
    cpu_ms_per_call_second: float
    rss_mb_per_call: float
    setup_ms_per_call: float
    late_chunks: int | None
    seconds: float
    bot_audible_share: float
    ended_early: int
    send_lateness_ms_p99: float | None
    valid: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


_ROWS = (
    ("calls", "calls at once"),
    ("cpu_ms_per_call_second", "CPU ms per call and second"),
    ("rss_mb_per_call", "memory per call, MB"),
    ("setup_ms_per_call", "CPU ms to set a call up"),
    ("late_chunks", "late chunks"),
    ("bot_audible_share", "share of time the bot is heard"),
    ("ended_early", "calls ended early"),
    ("send_lateness_ms_p99", "tester's own lateness, p99 ms"),
)


def table(result: Mapping[str, Any]) -> str:
    """The result for people; a peer stands beside it."""
    columns = {"voicebot": result}
    if result.get("peer") is not None:
        columns["peer"] = result["peer"]
    lines = [f"{'':<32}" + "".join(f"{name:>12}" for name in columns)]
    for key, what in _ROWS:
        cells = (column[key] for column in columns.values())
        lines.append(f"{what:<32}" + "".join(f"{_cell(value):>12}" for value in cells))
    lines += [
        f"RUN INVALID ({name}): {_why(one)}" for name, one in columns.items() if not one["valid"]
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _why(figures: Mapping[str, Any]) -> str:
    if figures["ended_early"]:
        return "the server ended calls before the end of the run"
    return (
        f"the tester itself sent late (p99 above {LATE_MS:g} ms) or not at all; "
        "use fewer calls or a quieter machine"
    )
