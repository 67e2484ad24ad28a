"""Values become the words that a person would say."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.events import Say, SlotType
from voicebot.speech.verbalise import join, verbalise

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("money", "12.50", "twelve dollars and fifty cents"),
        ("amount", "12.50", "twelve dollars and fifty cents"),
        ("money", "1", "one dollar"),
        ("money", "0.01", "one cent"),
        ("money", "0", "zero dollars"),
        ("money", "12.500", "twelve dollars and fifty cents"),
        ("money", "12.505", "twelve point five zero five dollars"),
        (
            "money",
            "1,234.5",
            "one thousand two hundred thirty-four dollars and fifty cents",
        ),
        ("money", "-3.00", "minus three dollars"),
        ("money", "€1.01", "one euro and one cent"),
        ("money", "GBP 2.02", "two pounds and two pence"),
        ("digits", "0042", "zero zero four two"),
        ("digits", "12345", "one two three, four five"),
        ("digits", "5550199", "five five five, zero one nine nine"),
        (
            "digits",
            "4111111111111111",
            "four one one one, one one one one, one one one one, one one one one",
        ),
        (
            "phone",
            "+12025550199",
            "plus one, two zero two, five five five, zero one nine nine",
        ),
        ("phone", "(202) 555-0199", "two zero two, five five five, zero one nine nine"),
        ("number", "42", "forty-two"),
        ("number", "-3.50", "minus three point five zero"),
        ("ordinal", "2", "second"),
        ("ordinal", "101st", "one hundred first"),
        ("date", "2026-11-21", "November twenty-first, twenty twenty-six"),
        ("date", "2001-02-03", "February third, two thousand one"),
        ("time", "14:30", "two thirty PM"),
        ("time", "09:05", "nine oh five AM"),
        ("time", "12:00", "noon"),
        ("time", "00:00", "midnight"),
        ("letters", "AB1", "A, B, one"),
        ("choice", "flat_white", "flat white"),
        ("yes_no", "yes", "yes"),
        ("text", "as  it is", "as it is"),
    ],
)
def test_values(kind: str, value: str, words: str) -> None:
    assert verbalise(Say(value, kind)) == words


@pytest.mark.parametrize("kind", [*SlotType, "money", "ordinal", "no such kind"])
@pytest.mark.parametrize("value", ["twelve?", "2026/02/30", "25:61", "١/٢", "- -", "$", ""])
def test_a_value_not_of_its_kind_is_spoken_as_text(kind: str, value: str) -> None:
    assert verbalise(Say(value, kind)) == value


def test_numbers_beyond_words_are_read_as_digits() -> None:
    assert verbalise(Say("9" * 40, "number")).count("nine") == 40
    assert verbalise(Say("9" * 40, "money")) == "9" * 40
    assert verbalise(Say("2026-02-30", "date")) == "2026-02-30"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from([*SlotType, "money", "ordinal"]))
def test_never_raises_and_never_speaks_control_characters(value: str, kind: str) -> None:
    words = verbalise(Say(value, kind))
    assert words == " ".join(words.split())
    assert not any(ord(sign) < 32 for sign in words)


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789", min_size=1, max_size=40))
def test_every_digit_is_spoken_and_no_group_is_long(digits: str) -> None:
    groups = verbalise(Say(digits, "digits")).split(", ")
    assert sum(len(group.split()) for group in groups) == len(digits)
    assert all(len(group.split()) <= 4 for group in groups)


def test_money_inside_plain_text() -> None:
    assert verbalise("It's $4.50, or $3. Ok?") == (
        "It's four dollars and fifty cents, or three dollars. Ok?"
    )
    assert verbalise("US$4 and $1.2.3") == "US$4 and $1.2.3"


def test_parts_are_joined_with_one_space() -> None:
    assert join(("Your balance is ", Say("1", "money"), ".", " More ?")) == (
        "Your balance is one dollar. More?"
    )
    assert join(()) == ""


def test_other_languages_leave_values_to_the_voice() -> None:
    assert verbalise(Say("12.50", "money"), "de-DE") == "12.50"
    assert verbalise(Say("12.50", "money"), "en-GB") == "twelve dollars and fifty cents"
