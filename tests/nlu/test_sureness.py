"""What an answer is worth within a sentence about something else."""

from datetime import date

import pytest

from voicebot.events import (
    CONFIRM_SLOT,
    Alternative,
    Choice,
    Expectation,
    Hypothesis,
    SlotSpec,
    SlotType,
    Word,
)
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit
CONFIRM = SlotSpec(CONFIRM_SLOT, SlotType.YES_NO)
LETTERS = SlotSpec("code", SlotType.LETTERS)


def confidences(slot: SlotSpec, text: str, whole: float = 0.9) -> dict[str, float]:
    words = tuple(Word(word, 0.95) for word in text.split())
    heard = Hypothesis(text, words, whole, (Alternative(text, whole),), is_final=True)
    expected = Expectation(slots=(slot,), focus=slot.name)
    found = interpret(heard, expected, today=date(2026, 1, 1))
    return {value.value: value.confidence for value in found.slots}


@pytest.mark.parametrize(
    ("slot", "text"),
    [
        (LETTERS, "Mary had a little lamb, its fleece was white."),
        (LETTERS, "I plan on working for somebody who pays me."),
        (LETTERS, "I have no idea where we're going from here."),
        (LETTERS, "If you want a good product, you ought to buy it."),
        (LETTERS, "What am I going to say?"),
        (CONFIRM, "Hi, Joe, I'm gonna conference in, uh, Becky and Dave right now."),
        (CONFIRM, "You know, I have this cool new service and I'm gonna show it right away."),
        (CONFIRM, "We went to the big house near the river and there was no milk."),
    ],
)
def test_a_sentence_about_something_else_is_no_answer(slot: SlotSpec, text: str) -> None:
    assert all(sure < 0.3 for sure in confidences(slot, text).values())


@pytest.mark.parametrize(
    ("slot", "text", "value"),
    [
        (CONFIRM, "yes please I'd like that", "yes"),
        (CONFIRM, "no I said five", "no"),
        (CONFIRM, "no, I don't want to move it to the savings account, I want checking", "no"),
        (CONFIRM, "um yes that is the account I wanted to use for the transfer", "yes"),
        (LETTERS, "it's B as in boy", "B"),
        (LETTERS, "um I think it is A", "A"),
        (LETTERS, "the letter I please", "I"),
        (LETTERS, "A", "A"),
        (LETTERS, "okay, my last name is Smith, that's spelled S M I T H", "SMITH"),
    ],
)
def test_an_answer_may_have_words_beside_it(slot: SlotSpec, text: str, value: str) -> None:
    assert confidences(slot, text)[value] >= 0.85


def test_where_most_is_not_understood_a_value_is_no_surer_than_the_whole() -> None:
    menu = SlotSpec("department", SlotType.CHOICE, (Choice("sales", ("sales",)),))
    text = "good evening everybody waits behind green gardens for sales tomorrow"
    assert confidences(menu, text, 0.1)["sales"] <= 0.1
    assert confidences(menu, "I need sales", 0.1)["sales"] >= 0.9
