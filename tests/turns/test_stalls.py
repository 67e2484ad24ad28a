"""What the listener does while audio is late, or lost."""

from __future__ import annotations

import pytest
from test_listener import SECOND, Room

from voicebot.events import (
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    CallerTurn,
    Digit,
    DigitRule,
    KeysEntered,
    NoInput,
    Timeouts,
    TurnEnded,
)
from voicebot.turns.listener import LOST_SAMPLES
from voicebot.turns.vad import WINDOW_SAMPLES

pytestmark = pytest.mark.unit


def test_prompts_that_end_while_audio_is_held_up_end_when_it_has_been_heard() -> None:
    room = Room()
    room.expect(timeouts=Timeouts(noinput_ms=3000))
    room.silence(1)
    room.take(room.listener.prompt_ended(3 * SECOND))
    room.silence(4.5)
    assert room.of(NoInput) == []
    room.silence(1)
    assert len(room.of(NoInput)) == 1


def test_what_was_said_over_them_may_have_taken_the_floor() -> None:
    for mode, answers in ((BargeInMode.SPEECH, ["yes"]), (BargeInMode.DTMF, [])):
        room = Room()
        room.expect(barge_in=mode)
        room.silence(1)
        room.take(room.listener.prompt_ended(5 * SECOND))
        room.speech(0.8)
        room.silence(2)
        assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == answers


def test_what_a_prompt_that_is_heard_out_was_interrupted_with_is_left_out_of_the_answer() -> None:
    room = Room(answers=False)
    room.is_audible, room.of_prompt = True, BargeInMode.NONE
    room.expect()
    room.silence(0.5)
    room.speech(1.5)
    room.of_prompt = None  # none is left
    over = room.at
    room.prompt_ends()
    room.speech(1)
    room.silence(0.5)
    assert room.requests
    assert all(request.start_at >= over - 0.4 * SECOND for request in room.requests)


def test_a_candidate_is_let_go_while_nothing_comes_and_is_one_again_afterwards() -> None:
    room = Room(answers=False)
    room.is_audible = True
    room.expect()
    room.silence(0.5)
    room.speech(0.3)
    assert len(room.of(BargeInCandidate)) == 1
    room.take(room.listener.overdue(room.at + SECOND))
    assert len(room.of(BargeInRejected)) == 1
    room.speech(0.3)
    assert len(room.of(BargeInCandidate)) == 2
    room.speech(0.7)
    assert len(room.of(BargeIn)) == 1


def test_keys_end_a_turn_without_audio_and_nothing_else_is_decided() -> None:
    room = Room(answers=False)
    room.expect(digits=DigitRule(max_keys=4, terminator=None), timeouts=Timeouts(noinput_ms=1000))
    room.silence(0.1)
    room.prompt_ends()
    room.speech(1)
    room.silence(0.3)
    late = room.at + 3 * SECOND
    room.take(room.listener.overdue(late))
    assert room.of(TurnEnded) == room.of(NoInput) == []
    room.take(room.listener.key(Digit("1", late)))
    room.take(room.listener.key(Digit("2", late + SECOND)))
    room.take(room.listener.overdue(late + 2 * SECOND))
    assert room.of(KeysEntered) == []
    room.take(room.listener.overdue(late + 3 * SECOND))
    assert [entered.keys for entered in room.of(KeysEntered)] == ["12"]


def test_when_audio_is_lost_the_caller_counts_as_silent() -> None:
    room = Room()
    room.is_audible = True
    room.expect(barge_in=BargeInMode.DTMF, timeouts=Timeouts(noinput_ms=3000))
    room.silence(0.5)
    room.speech(0.5)
    ended_at = room.at + 2 * SECOND
    room.take(room.listener.prompt_ended(ended_at))
    lost_at = room.at + LOST_SAMPLES
    room.take(room.listener.overdue(lost_at))
    assert room.of(NoInput) == []
    room.take(room.listener.overdue(lost_at + 1))  # what was begun over the prompt is no answer
    room.take(room.listener.overdue(ended_at + 4 * SECOND))
    assert len(room.of(NoInput)) == 1


def test_what_was_held_up_over_the_prompts_and_came_after_it_was_given_up_is_no_answer() -> None:
    room = Room()
    room.expect(barge_in=BargeInMode.DTMF, timeouts=Timeouts(noinput_ms=3000))
    room.silence(0.5)
    ended_at = room.at + 2 * SECOND
    room.take(room.listener.prompt_ended(ended_at))
    room.take(room.listener.overdue(room.at + LOST_SAMPLES + 1))
    room.speech(1.5)  # all of it over the prompts
    room.silence(1.5)
    assert room.of(CallerTurn) == room.of(TurnEnded) == []


def test_an_answer_whose_audio_is_lost_ends_with_what_was_heard_of_it() -> None:
    room = Room()
    room.expect()
    room.prompt_ends()
    room.speech(1)
    heard_until = room.at
    room.take(room.listener.overdue(heard_until + LOST_SAMPLES))
    assert room.of(TurnEnded) == []
    for late in range(1, SECOND, WINDOW_SAMPLES):
        room.take(room.listener.overdue(heard_until + LOST_SAMPLES + late))
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == "yes"
    assert turn.ended.speech_end_at == heard_until
    assert room.of(NoInput) == []


def test_whoever_still_speaks_when_audio_comes_again_is_heard() -> None:
    room = Room()
    room.expect()
    room.prompt_ends()
    room.speech(1)
    room.at += 2 * LOST_SAMPLES
    for _ in range(2):  # the turn that was lost is over, the next question asked
        room.take(room.listener.overdue(room.at))
    room.expect()
    room.prompt_ends()
    room.speech(1)
    room.silence(1)
    first, second = room.of(CallerTurn)
    assert second.ended.speech_start_at >= first.ended.at


@pytest.mark.parametrize("mode", list(BargeInMode))
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_was_said_to_a_sender_that_slept_is_an_answer_when_that_is_known(
    mode: BargeInMode, goes_on: bool
) -> None:
    room = Room()
    room.expect(barge_in=mode)
    room.silence(1)
    room.take(room.listener.prompt_ended(room.at + 3 * SECOND))
    room.silence(0.1)
    room.speech(0.5)
    room.silence(0.0 if goes_on else 0.3)
    room.take(room.listener.sooner(3 * SECOND))
    room.speech(0.3 if goes_on else 0.0)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_after_a_sleep_in_which_the_prompts_were_given_up_the_caller_is_heard_at_once() -> None:
    room = Room()
    room.expect(timeouts=Timeouts(noinput_ms=8000))
    room.silence(0.5)
    began = room.at
    room.take(room.listener.prompt_ended(began + 10 * SECOND))
    for late in range(0, 12 * SECOND, SECOND):
        room.take(room.listener.overdue(began + late))
    room.silence(0.5)
    room.take(room.listener.sooner(12 * SECOND))
    room.silence(1)
    assert room.of(NoInput) == []
    room.speech(0.5)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]
    room.expect(timeouts=Timeouts(noinput_ms=2000))
    room.prompt_ends()
    room.silence(1.8)
    assert room.of(NoInput) == []
    room.silence(0.5)
    assert len(room.of(NoInput)) == 1


def test_what_was_said_over_a_prompt_that_ended_while_the_sender_slept_is_no_answer() -> None:
    room = Room()
    room.is_audible, room.of_prompt = True, BargeInMode.NONE
    room.expect(barge_in=BargeInMode.NONE)
    room.speech(0.5)
    room.silence(0.3)
    room.take(room.listener.prompt_ended(room.at + SECOND))
    room.is_audible = False
    room.silence(0.75)
    room.take(room.listener.sooner(3 * SECOND))
    room.silence(2)
    assert room.of(CallerTurn) == []
