"""The ways of calls, read from a journal."""

from pathlib import Path

import pytest

from voicebot.errors import SettingsError
from voicebot.events import SlotValue
from voicebot.store.journal import Journal
from voicebot.store.records import CallEnd, CallStart, NoteRecord, TurnRecord
from voicebot.store.visits import LEFT, NOMATCH, read_ways

pytestmark = pytest.mark.unit


async def journal(path: Path) -> None:
    async with Journal(path) as opened:
        for sid, plan in (("CA1", "Bank"), ("CA2", "Bank"), ("CA3", "Cafe"), ("CA4", "Bank")):
            await opened.call_started(
                CallStart(sid, "MZ", "", "", plan, f"2026-11-20T10:0{sid[2]}")
            )
            await opened.turn(TurnRecord(sid, 0, bot_text="Hello."))
            await opened.turn(TurnRecord(sid, 1, state="main", by="speech"))
        slots = (SlotValue("account", "savings"),)
        await opened.turn(TurnRecord("CA1", 2, state="main", by="speech", intent="balance"))
        await opened.turn(TurnRecord("CA1", 3, state="balance/account", by="dtmf", slots=slots))
        await opened.turn(TurnRecord("CA1", 4, state="more", by="noinput"))
        await opened.call_ended(CallEnd("CA1", "served", True, "2026-11-20T10:05"))
        await opened.note(NoteRecord("CA2", LEFT, 0, {"state": "balance/account"}))
        await opened.note(NoteRecord("CA2", "task", 0, {"state": "elsewhere"}))
        await opened.call_ended(CallEnd("CA2", "hung_up", False, "2026-11-20T10:05"))
        await opened.call_ended(CallEnd("CA3", "served", True, "2026-11-20T10:05"))


async def test_ways_of_one_plans_calls_that_have_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await journal(path)
    first, second = read_ways(path, "Bank")
    assert (first.outcome, first.is_goal, first.left_at) == ("served", True, "")
    assert first.turns == [
        ("main", "speech", False, ""),
        ("main", "speech", True, "balance"),
        ("balance/account", "dtmf", True, ""),
        ("more", "noinput", False, ""),
    ]
    assert (second.outcome, second.left_at) == ("hung_up", "balance/account")
    # The call that still goes on is not touched: a reader marks nothing as lost.
    async with Journal(path) as opened:
        found = await opened.call("CA4")
    assert found is not None


async def test_what_the_dialogue_refused_is_a_nomatch_whatever_was_understood(
    tmp_path: Path,
) -> None:
    """And what it took is none, though it was neither intent nor slot ("not fifty"). In calls
    from before the dialogue told, a turn without both is taken for one."""
    path = tmp_path / "journal.sqlite"
    await journal(path)
    async with Journal(path) as opened:
        await opened.call_started(CallStart("CA5", "MZ", "", "", "Bank", "2026-11-20T10:05"))
        for number, intent in ((1, "balance"), (2, None)):
            await opened.turn(TurnRecord("CA5", number, state="main", by="speech", intent=intent))
        await opened.note(NoteRecord("CA5", NOMATCH, 0, {"why": "too unsure", "turn": 1}))
        await opened.call_ended(CallEnd("CA5", "served", True, "2026-11-20T10:06"))
    first, second, _, third = read_ways(path, "Bank")
    assert [is_of_use for _, _, is_of_use, _ in third.turns] == [False, True]
    assert [is_of_use for _, _, is_of_use, _ in first.turns] == [False, True, True, False]
    assert [is_of_use for _, _, is_of_use, _ in second.turns] == [False]


def test_what_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        read_ways(tmp_path / "gone.sqlite", "Bank")
    path = tmp_path / "text.sqlite"
    path.write_text("no journal at all")
    with pytest.raises(SettingsError, match="is it a journal of voicebot"):
        read_ways(path, "Bank")
