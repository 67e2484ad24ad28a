"""Whatever is said: no exception, well-formed values, canonical phrases understood."""

import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlu_expectations import COFFEE, TODAY, TRANSFER, asking, heard, slots

from voicebot.events import Completeness, Expectation, SlotSpec, SlotType
from voicebot.nlu.grammar import expand, expand_leniently
from voicebot.nlu.interpreter import completeness, interpret_keys

pytestmark = pytest.mark.unit

EVERYTHING = Expectation(
    focus="amount",
    slots=(
        *(SlotSpec(kind.value, kind) for kind in SlotType if kind is not SlotType.CHOICE),
        *TRANSFER.slots[:2],
        SlotSpec("pin", SlotType.DIGITS, min_length=4, max_length=6),
    ),
    intents=TRANSFER.intents,
    universals=TRANSFER.universals,
)
WORDS = [
    "yes",
    "no",
    "not",
    "a",
    "hundred",
    "double",
    "oh",
    "seven",
    "twenty",
    "five",
    "$15.50",
    "1,250",
    "2:30",
    "pm",
    "3rd",
    "may",
    "12/31/2026",
    "next",
    "friday",
    "in",
    "three",
    "weeks",
    "ago",
    "the",
    "second",
    "one",
    "point",
    "and",
    "half",
    "million",
    "grand",
    "dollars",
    "cents",
    "A",
    "B",
    "as",
    "in",
    "boy",
    "press",
    "5",
    "savings",
    "to",
    "from",
    "checking",
    "operator",
    "99999999999999999999",
    "2026-02-30",
    "quarter",
    "past",
    "last",
    "number",
    "0",
    "000",
    "½",
    "²",
    "٣",
    "12:99",
    "24:00",
    "0/0",
    "nineteen",
    "zero",
]
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))


def is_valid(spec: SlotSpec, value: str) -> bool:
    match spec.type:
        case SlotType.CHOICE:
            return value in {choice.value for choice in spec.choices}
        case SlotType.YES_NO:
            return value in {"yes", "no"}
        case SlotType.DIGITS | SlotType.PHONE:
            long_enough = (spec.min_length or 1) <= len(value) <= (spec.max_length or 99)
            return bool(re.fullmatch(r"[0-9]+", value)) and long_enough
        case SlotType.NUMBER:
            return bool(re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII))
        case SlotType.AMOUNT:
            return bool(re.fullmatch(r"\d+\.\d\d", value, re.ASCII))
        case SlotType.DATE:
            return date.fromisoformat(value).isoformat() == value
        case SlotType.TIME:
            return bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value, re.ASCII))
        case SlotType.LETTERS:
            return bool(re.fullmatch(r"[A-Z]+", value))
        case SlotType.TEXT:
            return bool(value.strip())


def check(text: str, expectation: Expectation) -> None:
    found = heard(text, expectation)
    specs = {spec.name: spec for spec in expectation.slots}
    for reading in (found, *found.nbest):
        assert 0 <= reading.confidence <= 1
        names = [slot.name for slot in reading.slots]
        assert len(names) == len(set(names))
        for slot in reading.slots:
            assert is_valid(specs[slot.name], slot.value), (slot, text)
            assert 0 < slot.confidence <= 1
    for slot in found.denied:
        assert is_valid(specs[slot.name], slot.value), (slot, text)
    assert isinstance(completeness(text, expectation), Completeness)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS)
def test_any_text_gives_valid_values(text: str) -> None:
    check(text, EVERYTHING)


@pytest.mark.parametrize("kind", [kind for kind in SlotType if kind is not SlotType.CHOICE])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_any_answer_gives_valid_values(kind: SlotType, text: str) -> None:
    check(text, asking(kind))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(alphabet="0123456789*#ABCD", max_size=12))
def test_any_keys_give_valid_values(keys: str) -> None:
    for kind in SlotType:
        expectation = asking(kind)
        for slot in interpret_keys(keys, expectation).slots:
            assert is_valid(expectation.slots[0], slot.value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="ab [](){}|", max_size=30))
def test_any_pattern_expands_or_is_refused(pattern: str) -> None:
    for words in expand_leniently(pattern):
        assert all(words)


@pytest.mark.parametrize("expectation", [COFFEE, TRANSFER], ids=["coffee", "transfer"])
def test_every_phrase_of_every_choice_means_that_choice(expectation: Expectation) -> None:
    for spec in expectation.slots:
        asked = Expectation(focus=spec.name, slots=expectation.slots)
        for choice in spec.choices:
            for pattern in choice.phrases:
                for words in expand(pattern):
                    assert slots(" ".join(words), asked) == {spec.name: choice.value}


def test_interpretation_is_deterministic() -> None:
    text = "a troubleshot mocker with skin milk and a bow sugar"
    assert heard(text, COFFEE) == heard(text, COFFEE)
    assert date(2026, 11, 18) == TODAY
