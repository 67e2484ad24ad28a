"""A caller who hums while the bot listens says nothing; whoever speaks is heard out."""

import pytest
from test_listener import SECOND, Room

from voicebot.events import (
    CallerTurn,
    Digit,
    DigitRule,
    NoInput,
    SlotSpec,
    SlotType,
    Timeouts,
    TurnEnded,
)

pytestmark = pytest.mark.unit


def asked(room: Room, **values: object) -> Room:
    room.expect(**values)
    room.silence(0.5)
    room.prompt_ends()
    return room


@pytest.mark.parametrize("says", ["", "Hmm.", "mm mm", "Thank you."])
def test_a_hum_counts_as_silence_after_a_while(says: str) -> None:
    room = asked(Room(says=says))
    room.speech(5.5)
    assert room.of(NoInput) == []
    room.speech(1.5)
    assert len(room.of(NoInput)) == 1
    assert room.of(CallerTurn) == room.of(TurnEnded) == []
    room.speech(10)
    room.silence(2)
    assert len(room.of(NoInput)) == 1, "nobody listens until the dialogue asks again"


def test_it_goes_on_over_the_next_question_and_is_silence_there_too() -> None:
    room = asked(Room(says=""))
    room.speech(7)
    asked_again = room.at
    room.expect(timeouts=Timeouts(noinput_ms=2000))
    room.prompt_ends()
    room.speech(7)
    first, second = room.of(NoInput)
    assert first.at < asked_again
    assert second.at - asked_again >= 5.5 * SECOND, "a sound, not silence"
    room.expect()
    room.prompt_ends()
    room.says = "yes"
    room.speech(1)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_whoever_begins_with_a_hum_and_then_speaks_is_heard_out() -> None:
    room = asked(Room(says=""))
    room.speech(4)
    room.says = "well I would like to order"
    room.speech(8)
    room.silence(2)
    assert room.of(NoInput) == []
    assert len(room.of(CallerTurn)) == 1


@pytest.mark.parametrize(
    ("of", "is_answer"), [(SlotType.YES_NO, True), (SlotType.TEXT, False), (None, True)]
)
def test_a_nod_that_answers_is_no_hum(of: SlotType | None, is_answer: bool) -> None:
    slots = () if of is None else (SlotSpec(name="it", type=of),)
    room = asked(Room(says="yes"), slots=slots, focus=None if of is None else "it")
    room.speech(8)  # the line goes on sounding after the word
    assert len(room.of(NoInput)) == (not is_answer)
    room.silence(2)
    answers = [turn.hypothesis.text for turn in room.of(CallerTurn)]
    assert answers == (["yes"] if is_answer else [])


@pytest.mark.parametrize(("answers", "hears_words"), [(False, True), (True, False)])
def test_where_nobody_recognises_nobody_knows(answers: bool, hears_words: bool) -> None:
    room = asked(Room(says="", answers=answers, hears_words=hears_words))
    room.speech(9)
    assert room.of(NoInput) == []


def test_keys_come_first() -> None:
    room = asked(Room(says=""), digits=DigitRule(max_keys=4, interdigit_ms=4000))
    room.speech(4)
    room.take(room.listener.key(Digit("1", room.at)))
    room.speech(3)
    assert room.of(NoInput) == []


def test_a_line_that_crackles_does_not_keep_a_silent_caller_waiting() -> None:
    room = asked(Room(says=""), timeouts=Timeouts(noinput_ms=6000))
    began = room.at
    for _ in range(8):
        room.speech(0.2)
        room.silence(2.5)
    assert len(room.of(NoInput)) == 1
    assert room.of(NoInput)[0].at - began <= 11 * SECOND


def test_after_a_cough_there_is_time_to_answer() -> None:
    room = asked(Room(says=""), timeouts=Timeouts(noinput_ms=3000))
    room.silence(1.5)
    room.speech(0.2)
    room.silence(2.8)  # 1.5 of it until the cough is known to be one
    assert room.of(NoInput) == []
    room.says = "yes"
    room.speech(0.6)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]
