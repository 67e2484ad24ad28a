"""The journal's SQLite file: opening it safely, its tables, its statements. Blocking."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from voicebot.errors import SettingsError
from voicebot.store.private import private_file
from voicebot.store.records import CallEnd, CallStart, NoteRecord, ServiceRecord, TurnRecord

try:
    import fcntl
except ImportError:  # Windows: one process per journal, by the operator's word
    fcntl = None  # type: ignore[assignment]

LOST = "lost"
"""Outcome of calls that were live when their process died."""
_VERSION = 1
_CHECKED_BYTES = 64 << 20  # larger files are not read through at start
_TABLES = """
CREATE TABLE calls (
    call_sid TEXT PRIMARY KEY, stream_sid TEXT NOT NULL, from_ TEXT NOT NULL, "to" TEXT NOT NULL,
    dialplan TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, outcome TEXT,
    is_goal INTEGER, slots TEXT NOT NULL DEFAULT '{}', reason TEXT
);
CREATE INDEX calls_by_start ON calls (started_at);
CREATE TABLE turns (
    call_sid TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
    bot_text TEXT NOT NULL, bot_heard_text TEXT NOT NULL, was_barged_in INTEGER NOT NULL,
    caller_text TEXT NOT NULL, confidence REAL NOT NULL, nbest TEXT NOT NULL, intent TEXT,
    slots TEXT NOT NULL, "by" TEXT NOT NULL, speech_start_at INTEGER, speech_end_at INTEGER,
    turn_end_at INTEGER, end_reason TEXT NOT NULL, response_ms REAL, barge_in_ms REAL,
    recognition_ms REAL, PRIMARY KEY (call_sid, number)
);
CREATE TABLE services (
    call_sid TEXT NOT NULL, name TEXT NOT NULL, at INTEGER, duration_ms REAL, error TEXT
);
CREATE INDEX services_by_call ON services (call_sid);
"""
_LATER_TABLES = """
CREATE TABLE IF NOT EXISTS notes (
    call_sid TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_by_call ON notes (call_sid);
CREATE INDEX IF NOT EXISTS notes_by_kind ON notes (kind);
CREATE TABLE IF NOT EXISTS spoken_texts (
    call_sid TEXT NOT NULL, number INTEGER NOT NULL, spoken_text TEXT NOT NULL,
    PRIMARY KEY (call_sid, number)
)
"""
_START = """
INSERT INTO calls (call_sid, stream_sid, from_, "to", dialplan, started_at)
VALUES (:call_sid, :stream_sid, :from_, :to, :dialplan, :started_at)
ON CONFLICT (call_sid) DO UPDATE SET stream_sid = excluded.stream_sid,
    dialplan = excluded.dialplan, ended_at = NULL, outcome = NULL, is_goal = NULL, reason = NULL
"""
_TURN = """
INSERT OR REPLACE INTO turns VALUES (
    :call_sid, :number, :state, :bot_text, :bot_heard_text, :was_barged_in, :caller_text,
    :confidence, :nbest, :intent, :slots, :by, :speech_start_at, :speech_end_at, :turn_end_at,
    :end_reason, :response_ms, :barge_in_ms, :recognition_ms)
"""
# Beside the turns, as a column among them would stop older processes that share the journal.
_SPOKEN = "INSERT OR REPLACE INTO spoken_texts VALUES (:call_sid, :number, :spoken_text)"
_TURNS = """
SELECT turns.*, coalesce(spoken_text, '') AS spoken_text
FROM turns LEFT JOIN spoken_texts USING (call_sid, number) WHERE call_sid = ? ORDER BY number
"""
_SERVICE = "INSERT INTO services VALUES (:call_sid, :name, :at, :duration_ms, :error)"
_NOTE = "INSERT INTO notes VALUES (:call_sid, :kind, :at, :data)"
_END = """
UPDATE calls SET outcome = :outcome, is_goal = :is_goal, ended_at = :ended_at, slots = :slots,
    reason = :reason WHERE call_sid = :call_sid
"""


class JournalFile:
    """An open journal; used by one thread. SettingsError, in one line, where it cannot be.

    Several processes may share a file. Calls that no living process can end are marked LOST
    by the first that opens it alone: each holds a shared lock on `<file>.lock` while open.
    """

    def __init__(self, path: Path, *, lock_timeout_s: float) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None
        try:
            self._connection = sqlite3.connect(
                private_file(path), timeout=lock_timeout_s, isolation_level=None
            )
        except (OSError, sqlite3.Error) as error:
            raise _mistake(path, error) from None
        try:
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise _mistake(path, error) from None
        except SettingsError:
            self.close()
            raise

    def close(self) -> None:
        """Fold the write-ahead log in and let go."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    @contextlib.contextmanager
    def transaction(self) -> Any:
        """All or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise SettingsError(
                f"journal {self.path}: written by a later voicebot (format {version}); upgrade, or "
                "name another file in VOICEBOT_STORE__JOURNAL"
            )
        if self.path.stat().st_size <= _CHECKED_BYTES:
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError("it is damaged")
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With WAL this cannot corrupt; a power cut may cost the last transactions.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self.transaction():  # fails now rather than later where the file is read-only
            if version == 0:
                for statement in _TABLES.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
            for statement in _LATER_TABLES.split(";"):
                self._connection.execute(statement)
            if self._is_alone():
                self._connection.execute(
                    "UPDATE calls SET outcome = ?, is_goal = 0 WHERE outcome IS NULL", (LOST,)
                )
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _is_alone(self) -> bool:
        """No other living process has this journal open; takes the lock that says we do."""
        if fcntl is None:
            return True
        self._lock = open(f"{self.path}.lock", "ab")  # noqa: SIM115  # held until close
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    # ------------------------------------------------------------ statements

    def call_started(self, record: CallStart) -> None:
        """A row, or a known call that connects again."""
        self._connection.execute(_START, asdict(record))

    def turn(self, record: TurnRecord) -> None:
        """A row; the same number replaces it."""
        values = asdict(record)
        values["nbest"] = json.dumps(values["nbest"])
        values["slots"] = json.dumps(values["slots"])
        self._connection.execute(_TURN, values)
        self._connection.execute(_SPOKEN, values)

    def service(self, record: ServiceRecord) -> None:
        """A row."""
        self._connection.execute(_SERVICE, asdict(record))

    def note(self, record: NoteRecord) -> None:
        """A row."""
        values = asdict(record) | {"data": json.dumps(dict(record.data), default=str)}
        self._connection.execute(_NOTE, values)

    def notes(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """The latest notes of a kind first."""
        statement = "SELECT * FROM notes WHERE kind = ? ORDER BY rowid DESC LIMIT ?"
        return [_plain(row) for row in self._connection.execute(statement, (kind, limit))]

    def call_ended(self, record: CallEnd) -> None:
        """Completes the call's row."""
        values = asdict(record) | {"slots": json.dumps(dict(record.slots))}
        self._connection.execute(_END, values)

    def call(self, call_sid: str) -> dict[str, Any] | None:
        """The call with its `turns`, `services` and `notes`, JSON-able."""
        row = self._one("SELECT * FROM calls WHERE call_sid = ?", call_sid)
        if not row:
            return None
        turns = self._all(_TURNS, call_sid)
        services = self._all("SELECT * FROM services WHERE call_sid = ? ORDER BY rowid", call_sid)
        notes = self._all("SELECT * FROM notes WHERE call_sid = ? ORDER BY rowid", call_sid)
        for row_of_call in (*services, *notes):
            del row_of_call["call_sid"]
        for turn in turns:
            del turn["call_sid"]
        return row | {"turns": turns, "services": services, "notes": notes}

    def calls(self, limit: int) -> list[dict[str, Any]]:
        """The latest calls first, without their turns."""
        return self._all("SELECT * FROM calls ORDER BY started_at DESC, rowid DESC LIMIT ?", limit)

    def _all(self, statement: str, argument: object) -> list[dict[str, Any]]:
        return [_plain(row) for row in self._connection.execute(statement, (argument,))]

    def _one(self, statement: str, argument: object) -> dict[str, Any] | None:
        row = self._connection.execute(statement, (argument,)).fetchone()
        return None if row is None else _plain(row)


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row)
    for name in ("slots", "nbest", "data"):
        if name in values:
            values[name] = json.loads(values[name])
    for name in ("is_goal", "was_barged_in"):
        if values.get(name) is not None:
            values[name] = bool(values[name])
    return values


def _mistake(path: Path, error: Exception) -> SettingsError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, OSError):
        text = error.strerror or text
    remedy = "name another file in VOICEBOT_STORE__JOURNAL"
    if "locked" in text:
        remedy = "end the program that holds it, or " + remedy
    elif "not a database" in text or "damaged" in text or "malformed" in text:
        remedy = "move it away, or " + remedy
    return SettingsError(f"journal {path}: {text}; {remedy}")
