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
NOMATCH = "nomatch"
"""Kind of the note that says that a turn was of no use to the dialogue; `turn` is its number."""


@dataclass(slots=True)
class Way:
    """One call: its turns as (state, by, whether it was of any use, intent), in order.

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
        'SELECT call_sid, number, state, "by", intent, slots FROM turns WHERE number > 0 '
        "ORDER BY call_sid, number"
    )
    has_notes = opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes'").fetchone()
    refused, since = _refused(opened) if has_notes else (set(), "")
    for sid, number, state, by, intent, slots in rows:
        if sid not in found:
            continue
        is_told = bool(since) and found[sid].started_at >= since
        is_empty = intent is None and slots in {"", "[]"}
        is_nomatch = (sid, number) in refused if is_told else is_empty
        is_of_use = by != "noinput" and not is_nomatch
        found[sid].turns.append((state, by, is_of_use, intent or ""))
    if has_notes:
        for sid, data in opened.execute("SELECT call_sid, data FROM notes WHERE kind = ?", (LEFT,)):
            if sid in found:
                found[sid].left_at = str(json.loads(data).get("state", ""))
    return list(found.values())


def _refused(opened: sqlite3.Connection) -> tuple[set[tuple[str, int]], str]:
    """Turns that the dialogue had no use for, and when the first call began that told of some.

    Calls before it are from a time when the journal did not say so: there, a turn without intent
    and slots is taken for one.
    """
    rows = opened.execute("SELECT call_sid, data FROM notes WHERE kind = ?", (NOMATCH,)).fetchall()
    refused = {(sid, int(json.loads(data).get("turn", -1))) for sid, data in rows}
    since = opened.execute(
        "SELECT min(started_at) FROM calls WHERE call_sid IN "
        "(SELECT call_sid FROM notes WHERE kind = ?)",
        (NOMATCH,),
    ).fetchone()[0]
    return refused, since or ""
