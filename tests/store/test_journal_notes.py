"""Notes of calls: tasks for people, messages, corrections."""

from pathlib import Path

import pytest

from voicebot.store.journal import CallStart, Journal, NoteRecord

pytestmark = pytest.mark.unit


async def test_notes_are_kept_with_their_call_and_found_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    async with Journal(path) as journal:
        await journal.call_started(CallStart("CA1", "MZ1", "+1", "+2", "bank", "2026-11-21"))
        await journal.note(NoteRecord("CA1", "task", 800, {"task": "callback", "number": "555"}))
        await journal.note(NoteRecord("CA1", "correction", 900, {"slot": "day", "odd": object}))
        await journal.note(NoteRecord("CA2", "task", None, {"task": "ship"}))
    async with Journal(path) as journal:  # another process, later
        call = await journal.call("CA1")
        assert call is not None
        assert call["notes"][0] == {
            "kind": "task",
            "at": 800,
            "data": {"task": "callback", "number": "555"},
        }
        assert [note["kind"] for note in call["notes"]] == ["task", "correction"]
        assert [note["data"]["task"] for note in await journal.notes("task")] == [
            "ship",
            "callback",
        ]
        assert await journal.notes("message") == []
