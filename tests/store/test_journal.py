"""The journal: what is written is found again, also after a crash, and mistakes are one line."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from voicebot.errors import JournalClosed, SettingsError
from voicebot.events import Alternative, SlotValue
from voicebot.store.journal import Journal
from voicebot.store.records import CallEnd, CallStart, ServiceRecord, TurnRecord

pytestmark = pytest.mark.unit


def start(call_sid: str, minute: int = 0) -> CallStart:
    when = f"2026-11-21T10:{minute:02}:00+00:00"
    return CallStart(call_sid, "MZ1", "+15550100", "+15550199", "bank.yaml", when)


def end(call_sid: str) -> CallEnd:
    when = "2026-11-21T10:05:00+00:00"
    return CallEnd(call_sid, "done", True, when, {"account": "savings"}, "bot hung up")


TURN = TurnRecord(
    "CA1",
    1,
    state="balance.account",
    bot_text="Your balance is twelve dollars.",
    bot_heard_text="Your balance",
    was_barged_in=True,
    caller_text="Savings",
    spoken_text="savings",
    confidence=0.75,
    nbest=(Alternative("savings", 0.75), Alternative("shavings", 0.1)),
    intent="balance",
    slots=(SlotValue("account", "savings", "savings", 0.9),),
    by="speech",
    speech_start_at=8000,
    speech_end_at=16000,
    turn_end_at=18400,
    end_reason="completetimeout",
    response_ms=412.5,
    barge_in_ms=180.0,
    recognition_ms=90.5,
)


async def test_a_call_is_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.sqlite"
    async with Journal(path) as journal:
        await journal.call_started(start("CA1"))
        await journal.turn(TurnRecord("CA1", 0, bot_text="Welcome."))
        await journal.turn(TURN)
        await journal.service(ServiceRecord("CA1", "balance", 18400, 12.5, None))
        live = await journal.call("CA1")
        assert live is not None
        assert live["outcome"] is None
        await journal.call_ended(end("CA1"))
    async with Journal(path) as journal:
        call = await journal.call("CA1")
        assert await journal.call("CA2") is None
    assert call is not None
    assert (call["outcome"], call["is_goal"], call["reason"]) == ("done", True, "bot hung up")
    assert call["slots"] == {"account": "savings"}
    assert (call["from_"], call["to"], call["dialplan"]) == ("+15550100", "+15550199", "bank.yaml")
    assert [turn["number"] for turn in call["turns"]] == [0, 1]
    turn = call["turns"][1]
    assert turn["was_barged_in"] is True
    assert turn["nbest"][1] == {"text": "shavings", "confidence": 0.1}
    assert turn["slots"][0]["value"] == "savings"
    plain = {name: getattr(TURN, name) for name in TurnRecord.__slots__}
    for name in plain.keys() - {"call_sid", "nbest", "slots"}:
        assert turn[name] == plain[name], name
    assert call["services"] == [
        {"name": "balance", "at": 18400, "duration_ms": 12.5, "error": None}
    ]


async def test_a_journal_from_before_spoken_texts_opens(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    async with Journal(path) as journal:
        await journal.call_started(start("CA1"))
        await journal.turn(TURN)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE spoken_texts")
    async with Journal(path) as journal:
        await journal.turn(replace(TURN, number=2))
        await journal.turn(replace(TURN, number=2, spoken_text="saving"))
        call = await journal.call("CA1")
    assert call is not None
    assert [turn["spoken_text"] for turn in call["turns"]] == ["", "saving"]


async def test_calls_newest_first(tmp_path: Path) -> None:
    async with Journal(tmp_path / "j.sqlite") as journal:
        for minute in range(5):
            await journal.call_started(start(f"CA{minute}", minute))
        assert [call["call_sid"] for call in await journal.calls(3)] == ["CA4", "CA3", "CA2"]


async def test_a_call_that_connects_again_is_one_call(tmp_path: Path) -> None:
    async with Journal(tmp_path / "j.sqlite") as journal:
        await journal.call_started(start("CA1"))
        await journal.call_ended(end("CA1"))
        await journal.call_started(start("CA1", 3))
        (call,) = await journal.calls()
    assert call["outcome"] is None
    assert call["started_at"] == "2026-11-21T10:00:00+00:00"


CRASH = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_journal import Journal, TURN, start
async def main():
    async with Journal(Path({path!r})) as journal:
        await journal.call_started(start("CA1"))
        await journal.turn(TURN)
        assert await journal.call("CA1")
        os._exit(9)
asyncio.run(main())
"""


async def test_calls_left_open_by_a_crash_are_lost_and_their_turns_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    code = CRASH.format(tests=str(Path(__file__).parent), path=str(path))
    root = Path(__file__).parents[2]
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], cwd=root)
    assert done.returncode == 9
    async with Journal(path) as journal:
        call = await journal.call("CA1")
    assert call is not None
    assert call["outcome"] == "lost"
    assert call["is_goal"] is False
    assert call["turns"][0]["caller_text"] == "Savings"


async def test_calls_of_a_living_neighbour_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    async with Journal(path) as first:
        await first.call_started(start("CA1"))
        assert await first.call("CA1")
        async with Journal(path) as second:
            call = await second.call("CA1")
            assert call is not None
            assert call["outcome"] is None
            await second.call_started(start("CA2"))
            assert len(await second.calls()) == 2
        await first.call_ended(end("CA1"))
        assert len(await first.calls()) == 2
    async with Journal(path) as third:
        calls = {call["call_sid"]: call["outcome"] for call in await third.calls()}
    assert calls == {"CA1": "done", "CA2": "lost"}


async def test_full_queue_makes_writers_wait_and_drops_nothing(tmp_path: Path) -> None:
    gate = threading.Event()
    async with Journal(tmp_path / "j.sqlite", capacity=4) as journal:
        await journal._write(lambda file: gate.wait(10))
        writers = [
            asyncio.create_task(journal.call_started(start(f"CA{n}", n % 60))) for n in range(50)
        ]
        for _ in range(10):
            await asyncio.sleep(0)
        assert sum(task.done() for task in writers) <= 3
        gate.set()
        await asyncio.gather(*writers)
        assert len(await journal.calls(100)) == 50


async def test_a_write_that_fails_fails_alone(tmp_path: Path) -> None:
    gate = threading.Event()
    async with Journal(tmp_path / "j.sqlite") as journal:
        await journal._write(lambda file: gate.wait(10))
        await journal.call_started(start("CA1"))
        await journal.turn(TurnRecord("CA1", 0, intent=object()))  # type: ignore[arg-type]
        await journal.call_ended(end("CA1"))
        gate.set()
        call = await journal.call("CA1")
        assert call is not None
        assert call["outcome"] == "done"
        assert call["turns"] == []
        assert journal.failed_writes == 1


async def test_leaving_writes_what_is_queued(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"

    async def fail() -> Journal:
        async with Journal(path) as journal:
            opened.append(journal)
            for number in range(600):
                await journal.turn(TurnRecord("CA1", number))
            raise ValueError("call failed")

    opened: list[Journal] = []
    with pytest.raises(ValueError, match="call failed"):
        await fail()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (600,)
    connection.close()
    with pytest.raises(JournalClosed):
        await opened[0].turn(TURN)


async def mistake(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        async with Journal(path, lock_timeout_s=0.05):
            pass
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert "VOICEBOT_STORE__JOURNAL" in message
    return message


async def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"this is a letter to my bank" * 100)
    assert "not a database" in await mistake(path)
    assert path.read_bytes().startswith(b"this is a letter")


async def test_a_database_cut_in_half(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    async with Journal(path) as journal:
        for number in range(400):
            await journal.turn(TurnRecord("CA1", number, bot_text="word " * 20))
    os.truncate(path, path.stat().st_size // 2)
    assert "damaged" in (text := await mistake(path)) or "malformed" in text


async def test_held_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "end the program that holds it" in await mistake(path)
    other.close()


async def test_folders_and_files_in_the_way(tmp_path: Path) -> None:
    await mistake(tmp_path)
    (tmp_path / "file").write_text("")
    await mistake(tmp_path / "file" / "j.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes read-only files")
async def test_read_only(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    async with Journal(path):
        pass
    path.chmod(0o400)
    assert "readonly" in await mistake(path)


async def test_written_by_a_later_version(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "later voicebot" in await mistake(path)
