"""Several choices where one was asked for, and values that hold an "and" themselves."""

from dataclasses import replace

import pytest
from nlu_expectations import ACCOUNTS, TRANSFER, heard, slots

from voicebot.events import Expectation, IntentSpec, SlotSpec, SlotType

pytestmark = pytest.mark.unit
BALANCE = Expectation(
    state="balance/account",
    focus="account",
    slots=(SlotSpec("account", SlotType.CHOICE, ACCOUNTS),),
    intents=(
        IntentSpec("balance", ("[my] balance", "{account} balance")),
        IntentSpec("hours", ("opening hours",)),
    ),
)
CARDS = replace(
    BALANCE, slots=(SlotSpec("account", SlotType.CHOICE, ACCOUNTS[:2]),)
)  # fmt: skip


def wishes(text: str, expectation: Expectation) -> list[tuple[str | None, str]]:
    """The first value, and the intent and value of each further wish."""
    said = heard(text, expectation)
    values = [(None, slot.value) for slot in said.slots]
    return [*values, *((one.intent, one.slots[0].value) for one in said.also)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("checking and savings", ["checking", "savings"]),
        ("both checking and then savings", ["checking", "savings"]),
        ("checking, savings and my credit card", ["checking", "savings", "credit_card"]),
        ("all of them", ["checking", "savings", "credit_card"]),
        ("savings", ["savings"]),
        ("savings and that's it", ["savings"]),
        ("checking and no savings", ["checking"]),
        ("both", []),
    ],
)
def test_of_several_the_others_are_further_wishes(text: str, values: list[str]) -> None:
    assert wishes(text, BALANCE) == [
        ("balance" if i else None, value) for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("text", ["both", "both of them please", "both accounts"])
def test_both_of_two(text: str) -> None:
    assert wishes(text, CARDS) == [(None, "checking"), ("balance", "savings")]


def test_what_two_slots_may_take_is_asked_again() -> None:
    """ "From which account?" "Checking and savings" fills neither slot by guess."""
    assert heard("checking and savings", TRANSFER).is_nomatch


@pytest.mark.parametrize(
    "text",
    [
        "transfer two hundred and fifty dollars from checking to savings",
        "transfer two hundred uh and fifty dollars from checking to savings",
        "transfer one thousand and twenty dollars and fifty cents to savings",
    ],
)
def test_an_amount_is_not_cut_at_its_and(text: str) -> None:
    said = heard(text, TRANSFER)
    assert not said.also
    assert slots(text, TRANSFER)["amount"] in {"250.00", "1020.50"}
