"""Values as callers say them: words left out, hesitations, all of it twice, from one to another."""

import pytest
from nlu_expectations import asking, heard, value

from voicebot.events import SlotType

pytestmark = pytest.mark.unit
AMOUNT, DATE, DIGITS, LETTERS, NUMBER = (
    SlotType.AMOUNT, SlotType.DATE, SlotType.DIGITS, SlotType.LETTERS, SlotType.NUMBER,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("hundred dollars", AMOUNT, "100.00"),
        ("hundred and fifty dollars", AMOUNT, "150.00"),
        ("thousand two hundred", AMOUNT, "1200.00"),
        ("a few hundred dollars", AMOUNT, None),
        ("couple hundred", AMOUNT, "200.00"),
        ("two hundred uh and fifty dollars", AMOUNT, "250.00"),
        ("two hundred um fifty", AMOUNT, "250.00"),
        ("quarter of a million", AMOUNT, "250000.00"),
        ("three quarters of a million", AMOUNT, "750000.00"),
        ("point five dollars", AMOUNT, "0.50"),
        ("at this point five dollars", AMOUNT, "5.00"),
        ("three quarters", NUMBER, "0.75"),
        ("three quarters of an hour", NUMBER, "3"),
        ("a half", NUMBER, "0.5"),
        ("point five", NUMBER, "0.5"),
        ("three fives", DIGITS, "555"),
        ("five five five two zeros", DIGITS, "55500"),
        ("four nines", DIGITS, "9999"),
        ("capital b small o y", LETTERS, "BOY"),
        ("upper case b lower case o y", LETTERS, "BOY"),
        ("uh b um o er y", LETTERS, "BOY"),
        ("em ay ex", LETTERS, "MAX"),
    ],
)
def test_in_other_words(text: str, slot: SlotType, meant: str | None) -> None:
    assert value(text, slot) == meant


def test_who_says_the_digits_twice_said_them_once() -> None:
    six = asking(DIGITS, min_length=6, max_length=6)
    said = heard("one two three four five six one two three four five six", six)
    assert [slot.value for slot in said.slots] == ["123456"]
    other = heard("one two three four five six one two three four five seven", six)
    assert not other.slots
    number = "two one two five five five oh one two three"
    assert value(f"{number}, {number}", SlotType.PHONE) == "2125550123"


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("six to eight", NUMBER, None),
        ("from six to eight people", NUMBER, None),
        ("fifty to a hundred dollars", AMOUNT, None),
        ("change it from fifty to sixty dollars", AMOUNT, "60.00"),
        ("six until eight", SlotType.TIME, None),
        ("monday through friday", DATE, None),
        ("the sixth to the eighth", DATE, None),
        ("move it from monday to wednesday", DATE, "2026-11-25"),
        ("fifty or I think sixty dollars", AMOUNT, None),
        ("monday or if you have nothing then tuesday", DATE, None),
        ("fifty or rather sixty", AMOUNT, "60.00"),
        ("fifty or no sixty dollars", AMOUNT, "60.00"),
        ("fifty dollars or so", AMOUNT, "50.00"),
    ],
)
def test_from_one_to_another_and_one_or_another(
    text: str, slot: SlotType, meant: str | None
) -> None:
    assert value(text, slot) == meant
