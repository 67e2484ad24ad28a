"""What is spoken comes back: numbers, amounts, digits and dates in words, in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlu_expectations import asking, slots
from num2words import num2words

from voicebot.events import SlotType
from voicebot.nlu.text import cardinal_words
from voicebot.nlu.words import word_list

pytestmark = pytest.mark.unit
LANGUAGES = st.sampled_from(("en", "es"))
DIGITS = {
    "en": word_list("zero one two three four five six seven eight nine"),
    "es": word_list("cero uno dos tres cuatro cinco seis siete ocho nueve"),
}
MONTHS = {
    "en": word_list(
        "january february march april may june july august september october november december"
    ),
    "es": word_list(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
    ),
}
often = settings(max_examples=150, deadline=None, derandomize=True)


def understood(text: str, slot: SlotType, language: str, **limits: int) -> str | None:
    expectation = replace(asking(slot, **limits), language=language, universals=())
    return slots(text, expectation).get("slot")


def words(number: int, language: str, *, counts: bool = False) -> str:
    """As it is said, without hyphens; `counts`: before what it counts ("veintiún", "un")."""
    said = num2words(number, lang=language).replace("-", " ").replace(",", "")
    if language == "es" and counts and said.endswith("uno"):
        return "un" if said == "uno" else said.removesuffix("uno") + "un"
    return str(said)


@often
@given(st.integers(0, 10**6), LANGUAGES, st.booleans())
def test_numbers(number: int, language: str, is_short: bool) -> None:
    said = words(number, language)
    said = said.replace(" and ", " ") if is_short else said
    assert understood(said, SlotType.NUMBER, language) == str(number)


@often
@given(st.integers(0, 9999), st.integers(1, 99), LANGUAGES)
def test_amounts(whole: int, cents: int, language: str) -> None:
    major, link, minor = ("dollars", "and", "cents") if language == "en" else (
        "euros", "con", "céntimos",
    )  # fmt: skip
    said = [words(number, language, counts=True) for number in (whole, cents)]
    text = f"{said[0]} {major} {link} {said[1]} {minor}"
    assert understood(text, SlotType.AMOUNT, language) == f"{whole}.{cents:02d}"


@often
@given(st.text("0123456789", min_size=4, max_size=12), LANGUAGES)
def test_digits_one_by_one(digits: str, language: str) -> None:
    text = " ".join(DIGITS[language][int(digit)] for digit in digits)
    length = len(digits)
    limits = {"min_length": length, "max_length": length}
    assert understood(text, SlotType.DIGITS, language, **limits) == digits


@often
@given(st.lists(st.integers(0, 9), min_size=2, max_size=5), LANGUAGES)
def test_digits_doubled(digits: list[int], language: str) -> None:
    double = {"en": "double", "es": "doble"}[language]
    text = " ".join(f"{double} {DIGITS[language][digit]}" for digit in digits)
    expected = "".join(str(digit) * 2 for digit in digits)
    assert understood(text, SlotType.DIGITS, language) == expected


@often
@given(st.dates(date(2021, 1, 1), date(2030, 12, 31)), LANGUAGES, st.booleans())
def test_dates(day: date, language: str, is_ordinal: bool) -> None:
    month = MONTHS[language][day.month - 1]
    if language == "es":
        text = f"{words(day.day, 'es')} de {month} de {words(day.year, 'es')}"
    else:
        said = num2words(day.day, to="ordinal") if is_ordinal else words(day.day, "en")
        text = f"{month} {said} {num2words(day.year, to='year')}".replace("-", " ")
    assert understood(text, SlotType.DATE, language) == day.isoformat()


@often
@given(st.dates(date(1940, 1, 1), date(2009, 12, 31)))
def test_dates_of_birth_digit_by_digit(day: date) -> None:
    text = " ".join(word for digit in f"{day:%m%d%Y}" for word in cardinal_words(int(digit)))
    assert understood(text, SlotType.DATE, "en") == day.isoformat()
