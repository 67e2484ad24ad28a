"""The recogniser's alternatives and the grammar choose a reading together."""

from __future__ import annotations

import pytest
from nlu_expectations import COFFEE, TODAY

from voicebot.events import Alternative, Hypothesis, Word
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit


def understood(*texts: tuple[str, float], confidence: float = 0.5) -> dict[str, str]:
    """Of the first text and its alternatives; the confidence is on a scale of its own."""
    nbest = tuple(Alternative(text, likelihood) for text, likelihood in texts)
    heard = Hypothesis(texts[0][0], confidence=confidence, nbest=nbest)
    return {slot.name: slot.value for slot in interpret(heard, COFFEE, today=TODAY).slots}


def test_a_value_in_so_many_words_is_not_overruled_by_a_longer_one() -> None:
    exact = ("Brew an americano with a lot of brown sugar.", 0.887)
    found = understood(exact, ("Brew an americano with lots of brown sugar.", 0.70))
    assert found["sugarAmount"] == "a lot of brown sugar"
    found = understood(("I'd like a latte.", 0.847), ("I'd like coffee.", 0.83))
    assert found == {"coffeeDrink": "latte"}


def test_the_same_words_and_more_may_say_better_what_is_meant() -> None:
    half = ("A cappuccino with a little bit of fresh sugar.", 0.76)
    found = understood(half, ("A cappuccino with a little bit of brown sugar.", 0.75))
    assert found["sugarAmount"] == "a little bit of brown sugar"


def test_a_text_that_broke_off_is_completed() -> None:
    short = ("Get me a twelve ounce latte.", 0.542)
    whole = ("Get me a twelve ounce latte with soy milk.", 0.541)
    found = understood(short, whole)
    assert found == {"size": "twelve ounce", "coffeeDrink": "latte", "milkAmount": "soy milk"}
    assert "milkAmount" not in understood(short, (whole[0], 0.40)), "that was not said"


def test_likelihoods_are_compared_with_each_other_not_with_the_confidence() -> None:
    texts = (("a small copy machine", 0.60), ("a small cappuccino", 0.55))
    for confidence in (0.05, 0.99):
        found = understood(*texts, confidence=confidence)
        assert found == {"size": "small", "coffeeDrink": "cappuccino"}


def test_what_fills_more_of_what_was_asked_may_change_a_value() -> None:
    twice = ("I'd like a latte with sugar and a bit of sugar.", 0.69)
    found = understood(twice, ("I'd like a latte with sugar and a bit of whole milk.", 0.62))
    assert found["milkAmount"] == "a bit of whole milk"
    assert found["sugarAmount"] == "sugar"


def test_a_value_taken_back_for_the_sake_of_another_needs_a_likely_text() -> None:
    first = ("Brew an iced mocha with some sweetener.", 0.62)
    assert understood(first, ("Brew an iced mocha with small sweetener.", 0.5)) == {
        "coffeeDrink": "iced mocha",
        "sugarAmount": "some sweetener",
    }


def test_values_are_as_sure_as_their_own_words() -> None:
    said = [
        ("A", 0.9),
        ("large", 0.3),
        ("latte", 0.8),
        ("with", 0.1),
        ("some", 1.0),
        ("milk.", 0.6),
    ]
    text = " ".join(word for word, _ in said)
    heard = Hypothesis(text, tuple(Word(*one) for one in said), confidence=0.25)
    sure = {slot.name: slot.confidence for slot in interpret(heard, COFFEE, today=TODAY).slots}
    assert sure == pytest.approx({"size": 0.3, "coffeeDrink": 0.8, "milkAmount": 0.8}, abs=1e-3)


def test_words_of_an_alternative_are_as_sure_as_where_the_first_text_has_them() -> None:
    first = "I want a latte with sky milk"
    words = tuple(Word(word, 0.9 if word == "latte" else 0.5) for word in first.split())
    nbest = (Alternative(first, 0.5), Alternative("I want a latte with skim milk", 0.4))
    heard = Hypothesis(first, words, 0.5, nbest)
    sure = {slot.name: slot.confidence for slot in interpret(heard, COFFEE, today=TODAY).slots}
    assert sure["coffeeDrink"] == pytest.approx(0.9)
