"""The hot word where another service recognises: among its words."""

import pytest
from test_listener import Room

from voicebot.events import BargeIn, BargeInMode, CallerTurn, Hypothesis
from voicebot.turns.hotword_words import says_hot_word

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "language", "is_said"),
    [
        ("Operator!", "en", True),
        ("give me the operator, please", "en-GB", True),
        ("operators are standing by", "en", False),
        ("la operadora", "es-MX", True),
        ("operator", "es", False),
        ("operator", "de", True),
        ("", "en", False),
    ],
)
def test_it_is_a_word_of_its_own(text: str, language: str, is_said: bool) -> None:
    assert says_hot_word(text, language) is is_said


def transcribe(room: Room, text: str, *, is_final: bool = True) -> None:
    room.take(room.listener.transcribed(Hypothesis(text, is_final=is_final), room.at))


def prompted(*, spells: bool) -> Room:
    room = Room(answers=False, spells_hot_word=spells)
    room.expect(barge_in=BargeInMode.HOTWORD)
    room.is_audible = True
    room.silence(1)
    return room


@pytest.mark.parametrize("is_final", [True, False])
@pytest.mark.parametrize("spells", [True, False])
def test_it_interrupts_and_is_the_answer(is_final: bool, spells: bool) -> None:
    room = prompted(spells=spells)
    room.speech(0.8)
    if not is_final:
        transcribe(room, "get me an operator", is_final=False)
    room.silence(0.3)
    transcribe(room, "get me an operator")
    room.silence(2)
    assert [barge_in.kind for barge_in in room.of(BargeIn)] == ["hotword"] * spells
    answers = [turn.hypothesis.text for turn in room.of(CallerTurn)]
    assert answers == ["get me an operator"] * spells


def test_other_words_interrupt_nothing_and_are_no_part_of_the_answer() -> None:
    room = prompted(spells=True)
    room.speech(0.8)
    transcribe(room, "I was saying", is_final=False)
    room.silence(0.5)
    assert room.of(BargeIn) == []
    room.prompt_ends()  # before the final
    transcribe(room, "I was saying nothing")
    room.silence(0.5)
    room.speech(0.6)
    room.silence(0.3)
    transcribe(room, "yes")
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]
