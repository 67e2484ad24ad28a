"""Events in, turns out."""

import asyncio
from pathlib import Path

import pytest

from voicebot.asr.record_text import RecordText
from voicebot.events import (
    Alternative,
    BargeIn,
    CallerTurn,
    Disconnect,
    Expectation,
    Hypothesis,
    Interpretation,
    KeysEntered,
    Listen,
    NoInput,
    Note,
    Play,
    PromptHeard,
    PromptStarted,
    SlotValue,
    TurnEnded,
    TurnEndReason,
)
from voicebot.monitoring.metrics import Metrics
from voicebot.server.call_observer import CallObserver, Keeping
from voicebot.server.call_record import CallRecord, Turn
from voicebot.store.journal import Journal
from voicebot.store.records import CallStart
from voicebot.store.visits import read_ways

pytestmark = pytest.mark.unit


def record() -> CallRecord:
    return CallRecord(lambda parts, language="": "".join(str(part) for part in parts))


def turns_of(events: list[object]) -> list[Turn]:
    made = record()
    done = [turn for event in events if (turn := made.observe(event)) is not None]
    return [*done, made.close()]


def spoke(text: str, start: int, end: int, at: int) -> CallerTurn:
    ended = TurnEnded(at, TurnEndReason.COMPLETE, start, end)
    return CallerTurn(ended, Hypothesis(text, confidence=0.8))


GREETING = [
    Play(("Hello.",)),
    Listen(Expectation(state="main")),
    PromptStarted(0),
]


def test_a_turn_is_what_the_caller_said_and_what_the_bot_answered() -> None:
    greeting, turn = turns_of(
        [
            *GREETING,
            PromptHeard(4000, "Hello.", was_cut=False),
            spoke("yes", 8000, 12000, 14400),
            Interpretation(None, (SlotValue("ok", "yes"),), 0.8),
            Play(("Fine.",)),
            Play(("Bye.",)),
            PromptStarted(14480),
            PromptHeard(20000, "Fine.", was_cut=False),
            PromptHeard(24000, "Bye.", was_cut=False),
        ]
    )
    assert (greeting.number, greeting.bot_text, greeting.heard) == (0, "Hello.", ["Hello."])
    assert greeting.response_ms is None
    assert (turn.number, turn.state, turn.by, turn.caller_text) == (1, "main", "speech", "yes")
    assert (turn.bot_text, turn.heard) == ("Fine. Bye.", ["Fine.", "Bye."])
    assert turn.slots == (SlotValue("ok", "yes"),)
    assert turn.response_ms == (14480 - 12000) / 8
    assert turn.barge_in_ms is None


def test_an_interruption_belongs_to_both_turns() -> None:
    greeting, turn = turns_of(
        [
            *GREETING,
            BargeIn(3000, "speech"),
            PromptHeard(4600, "Hel", was_cut=True),
            spoke("stop", 3000, 6000, 8000),
        ]
    )
    assert greeting.was_cut
    assert greeting.heard == ["Hel"]
    assert turn.barge_in_ms == (4600 - 3000) / 8
    assert not turn.was_cut


def test_keys_and_silence_are_turns_too() -> None:
    _, keys, silence = turns_of([*GREETING, KeysEntered("42", 9000), NoInput(90000)])
    assert (keys.by, keys.caller_text, keys.confidence) == ("dtmf", "42", 1.0)
    assert (silence.by, silence.caller_text, silence.number) == ("noinput", "", 2)


def test_the_answer_to_keys_is_timed_from_the_last_key() -> None:
    _, keys = turns_of([*GREETING, KeysEntered("1", 8000), Play(("One.",)), PromptStarted(8240)])
    assert keys.response_ms == 30.0


def test_a_call_that_ends_at_once_has_one_empty_turn() -> None:
    (only,) = turns_of([])
    assert only == Turn(0)


def test_the_record_shows_what_was_said_as_it_is_written():
    written = CallRecord(lambda parts, language="": "", RecordText())
    said = Hypothesis(
        "two dollars", confidence=0.9, nbest=(Alternative("ten dollars", 0.4),), is_final=True
    )
    ended = TurnEnded(4000, TurnEndReason.COMPLETE, 1000, 3000)
    written.observe(CallerTurn(ended, said))
    turn = written.close()
    assert turn.caller_text == "$2"
    assert turn.spoken_text == "two dollars"
    assert turn.nbest == (Alternative("$10", 0.4),)


def test_the_record_is_in_the_language_that_the_dialogue_listens_in():
    record = CallRecord(lambda parts, language="": "", RecordText(profanity="mask"))
    record.observe(Listen(Expectation(state="main", language="es")))
    said = Hypothesis("mierda, doscientos euros y one", confidence=0.9, is_final=True)
    record.observe(CallerTurn(TurnEnded(4000, TurnEndReason.COMPLETE, 1000, 3000), said))
    turn = record.close()
    assert turn.caller_text == "M*****, 200 € y one"
    assert turn.spoken_text == "m*****, doscientos euros y one"


async def test_a_nomatch_is_kept_with_its_turn(tmp_path: Path) -> None:
    """What the machine refused counts as such, though an intent was understood."""
    start = CallStart("CA1", "MZ", "", "", "Bank", "2026-11-20T10:00:00+00:00")
    async with Journal(tmp_path / "journal.sqlite") as journal:
        observer = CallObserver(Keeping(journal, Metrics()), start, lambda parts, language: "")
        writing = asyncio.create_task(observer.run())
        observer.observe(KeysEntered("1", 0))
        observer.observe(Interpretation("balance", confidence=0.9))
        observer.observe(KeysEntered("2", 0))
        observer.observe(Interpretation("transfer", confidence=0.1))
        observer.observe(Note("nomatch", {"state": "main", "why": "too unsure"}))
        observer.decided(Disconnect("served"), left="")
        observer.close()
        await writing
    (way,) = read_ways(tmp_path / "journal.sqlite", "Bank")
    assert way.turns == [("", "dtmf", True, "balance"), ("", "dtmf", False, "transfer")]
