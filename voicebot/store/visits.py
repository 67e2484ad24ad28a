"""What ways calls took through their plan, read from a journal without touching it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from voicebot.errors import SettingsError

LEFT = "left"
"""Kind of the note that says where the dialogue waited when the caller hung up."""


@dataclass(slots=True)
class Way:
    """One call: its turns as (state, by, whether anything was understood, intent), in order.

    `left_at` is where the dialogue waited at the end; "" where the journal does not say.
    """

    outcome: str = ""
    is_goal: bool = False
    started_at: str = ""
    turns: list[tuple[str, str, bool, str]] = field(default_factory=list)
    left_at: str = ""


def read_ways(path: Path, dialplan: str) -> list[Way]:
    """Every call of a plan that has ended; SettingsError in one line for what is no journal."""
    if not path.is_file():
        raise SettingsError(f"journal {path}: there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            return _ways(opened, dialplan)
    except sqlite3.Error as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"journal {path}: {reason}; is it a journal of voicebot?") from None


def _ways(opened: sqlite3.Connection, dialplan: str) -> list[Way]:
    found = {
        sid: Way(outcome, bool(goal), started)
        for sid, outcome, goal, started in opened.execute(
            "SELECT call_sid, outcome, is_goal, started_at FROM calls "
            "WHERE dialplan = ? AND outcome IS NOT NULL ORDER BY started_at",
            (dialplan,),
        )
    }
    rows = opened.execute(
        'SELECT call_sid, state, "by", intent, slots FROM turns WHERE number > 0 '
        "ORDER BY call_sid, number"
    )
    for sid, state, by, intent, slots in rows:
        if sid in found:
            is_understood = by != "noinput" and (intent is not None or slots not in {"", "[]"})
            found[sid].turns.append((state, by, is_understood, intent or ""))
    has_notes = opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes'").fetchone()
    if has_notes:
        for sid, data in opened.execute("SELECT call_sid, data FROM notes WHERE kind = ?", (LEFT,)):
            if sid in found:
                found[sid].left_at = str(json.loads(data).get("state", ""))
    return list(found.values())
