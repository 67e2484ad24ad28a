"""A value said again in one breath: the last one counts, whatever was written between them."""

import pytest
from nlu_expectations import TRANSFER, heard, slots, value

from voicebot.events import Choice, Expectation, SlotSpec, SlotType

pytestmark = pytest.mark.unit

DEVICES = Expectation(
    focus="slot",
    slots=(SlotSpec("slot", SlotType.CHOICE, (Choice("tv"), Choice("radio"), Choice("washer"))),),
)


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("fifty no fifteen", SlotType.AMOUNT, "15.00"),
        ("fifty dollars no sixty dollars", SlotType.AMOUNT, "60.00"),
        ("fifty dollars, no sixty dollars", SlotType.AMOUNT, "60.00"),
        ("Monday no Tuesday", SlotType.DATE, "2026-11-24"),
        ("on Monday no on Tuesday", SlotType.DATE, "2026-11-24"),
        ("two no three", SlotType.NUMBER, "3"),
        ("seven no eight", SlotType.TIME, "08:00"),
        ("two no three no four", SlotType.NUMBER, "4"),
        ("one two three four no one two three five", SlotType.DIGITS, "1235"),
        ("not fifty fifteen", SlotType.AMOUNT, "15.00"),
    ],
)
def test_what_follows_no_corrects_without_a_comma(text: str, slot: SlotType, meant: str) -> None:
    assert value(text, slot) == meant


@pytest.mark.parametrize(("text", "meant"), [("radio no tv", "tv"), ("tv no the washer", "washer")])
def test_a_choice_is_corrected_without_a_comma(text: str, meant: str) -> None:
    assert slots(text, DEVICES) == {"slot": meant}


@pytest.mark.parametrize(
    ("text", "slot"),
    [("no monday no tuesday", SlotType.DATE), ("five six no seven", SlotType.DIGITS)],
)
def test_what_is_wanted_then_is_not_guessed(text: str, slot: SlotType) -> None:
    assert value(text, slot) is None


def test_no_before_the_only_value_denies_it() -> None:
    found = heard("no savings, checking", TRANSFER)
    assert {s.name: s.value for s in found.slots} == {"from": "checking"}
    assert [s.value for s in found.denied] == ["savings"]


def test_no_between_values_of_two_slots_corrects_neither() -> None:
    assert slots("fifty dollars no savings", TRANSFER) == {"amount": "50.00"}


def test_a_correction_in_spanish_needs_no_comma() -> None:
    question = Expectation(focus="slot", slots=(SlotSpec("slot", SlotType.NUMBER),), language="es")
    assert slots("cincuenta no quince", question) == {"slot": "15"}


REVIEW = Expectation(
    focus="right",
    slots=(
        SlotSpec("right", SlotType.YES_NO),
        SlotSpec(
            "milk",
            SlotType.CHOICE,
            (Choice("milk", ("[some] milk",)), Choice("soy milk", ("soy [milk]",))),
        ),
        SlotSpec("sugar", SlotType.CHOICE, (Choice("sugar"),)),
        SlotSpec("amount", SlotType.AMOUNT),
    ),
)


@pytest.mark.parametrize(
    ("text", "filled", "denied"),
    [
        ("no milk", {}, {"milk": "milk"}),
        ("no milk please", {}, {"milk": "milk"}),
        ("no soy milk", {}, {"milk": "soy milk"}),
        ("no sugar", {}, {"sugar": "sugar"}),
        ("no milk no sugar", {}, {"milk": "milk", "sugar": "sugar"}),
        ("no, milk", {"milk": "milk"}, {}),
        ("no um milk", {"milk": "milk"}, {}),
        ("milk no soy milk", {"milk": "soy milk"}, {"milk": "milk"}),
        ("no sixty", {"amount": "60.00"}, {}),  # no order is without an amount
    ],
)
def test_no_before_a_choice_denies_it_at_a_review_too(
    text: str, filled: dict[str, str], denied: dict[str, str]
) -> None:
    found = heard(text, REVIEW)
    assert {slot.name: slot.value for slot in found.slots} == {"right": "no", **filled}
    assert {slot.name: slot.value for slot in found.denied} == denied
