""" "The same day", "that one", "make it two": values that callers only point at."""

from dataclasses import replace

import pytest
from nlu_expectations import TODAY, TRANSFER

from voicebot.events import (
    Choice,
    Expectation,
    Hypothesis,
    IntentSpec,
    SlotSpec,
    SlotType,
    SlotValue,
)
from voicebot.nlu.coreference import resolve
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit

SLOTS = (
    SlotSpec("day", SlotType.DATE),
    SlotSpec("return_day", SlotType.DATE),
    SlotSpec("at", SlotType.TIME),
    SlotSpec("people", SlotType.NUMBER),
    SlotSpec("account", SlotType.CHOICE, (Choice("checking"), Choice("savings"))),
    SlotSpec("phone", SlotType.PHONE, (), 10, 10),
)
DAY = SlotValue("day", "2026-11-20")
AT = SlotValue("at", "14:30")
PEOPLE = SlotValue("people", "4")
ACCOUNT = SlotValue("account", "checking")


def pointed(text: str, focus: str | None, *recent: SlotValue) -> dict[str, str]:
    waiting = Expectation(focus=focus, slots=SLOTS)
    return {v.name: v.value for v in resolve(text, waiting, recent, today=TODAY)}


@pytest.mark.parametrize(
    ("text", "focus", "recent", "meant"),
    [
        ("the same day", "return_day", (DAY, AT), {"return_day": "2026-11-20"}),
        ("on the same day please", "return_day", (DAY, AT), {"return_day": "2026-11-20"}),
        ("that day again", "return_day", (DAY,), {"return_day": "2026-11-20"}),
        ("at the same time", "at", (AT, PEOPLE), {"at": "14:30"}),
        ("that one", "account", (ACCOUNT, DAY), {"account": "checking"}),
        ("yes that one please", "account", (ACCOUNT,), {"account": "checking"}),
        ("the same account", "account", (ACCOUNT,), {"account": "checking"}),
        ("same again", "people", (PEOPLE, DAY), {"people": "4"}),
        ("the other one", "account", (ACCOUNT,), {"account": "savings"}),
        ("make it two", None, (DAY, PEOPLE), {"people": "2"}),
        ("no make that six please", "phone", (PEOPLE,), {"people": "6"}),
        ("make it half past three", None, (AT, PEOPLE), {"at": "15:30"}),
        ("change it to savings", None, (ACCOUNT,), {"account": "savings"}),
        ("tomorrow instead", None, (DAY, ACCOUNT), {"day": "2026-11-19"}),
    ],
)
def test_what_is_pointed_at_is_found(
    text: str, focus: str | None, recent: tuple[SlotValue, ...], meant: dict[str, str]
) -> None:
    assert pointed(text, focus, *recent) == meant


@pytest.mark.parametrize(
    ("text", "focus", "recent"),
    [
        ("that one", "account", ()),  # nothing was said before
        ("that one", "account", (DAY,)),  # a day is no account
        ("the same phone", "phone", (PEOPLE,)),
        ("the same day", None, (AT,)),
        ("the other one", "day", (DAY,)),
        ("I said that it was fine", "account", (ACCOUNT,)),
        ("make it snappy", None, (PEOPLE,)),
        ("", "account", (ACCOUNT,)),
        ("?", "account", (ACCOUNT,)),
    ],
)
def test_nothing_is_made_up(text: str, focus: str | None, recent: tuple[SlotValue, ...]) -> None:
    assert pointed(text, focus, *recent) == {}


def test_a_value_only_pointed_at_is_less_sure() -> None:
    (value,) = resolve("that one", Expectation(focus="day", slots=SLOTS), (DAY,), today=TODAY)
    assert value.confidence < 0.9
    assert value.text == "that one"


MENU = Expectation(
    slots=SLOTS,
    intents=(
        IntentSpec("cancel", ("cancel [{day}]",)),
        IntentSpec("balance", ("balance of {account}", "balance")),
        IntentSpec("book", ("book [for {people}] [on {day}]",)),
    ),
)
BANK = Expectation(
    slots=(*TRANSFER.slots, SlotSpec("account", SlotType.CHOICE, TRANSFER.slots[0].choices)),
    intents=(
        IntentSpec("transfer", ("transfer {amount} from {from} to {to}", "transfer")),
        IntentSpec("balance", ("balance of {account}", "balance")),
    ),
)
FROM, TO = SlotValue("from", "checking"), SlotValue("to", "savings")
AMOUNT = SlotValue("amount", "50.00")


def taken(text: str, waiting: Expectation, *recent: SlotValue) -> tuple[str | None, dict[str, str]]:
    found = interpret(Hypothesis(text, confidence=0.95), waiting, today=TODAY, recent=recent)
    return found.intent, {slot.name: slot.value for slot in found.slots}


@pytest.mark.parametrize(
    ("text", "recent", "meant"),
    [
        ("cancel the same day", (PEOPLE, DAY, AT), ("cancel", {"day": "2026-11-20"})),
        ("cancel that one", (PEOPLE, DAY, AT), ("cancel", {"day": "2026-11-20"})),
        ("book for the same number of people", (PEOPLE, DAY), ("book", {"people": "4"})),
        ("balance of that account", (ACCOUNT, DAY), ("balance", {"account": "checking"})),
        ("balance of the other account", (ACCOUNT,), ("balance", {"account": "savings"})),
    ],
)
def test_pointers_count_beside_what_was_understood(
    text: str, recent: tuple[SlotValue, ...], meant: tuple[str, dict[str, str]]
) -> None:
    assert taken(text, MENU, *recent) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            "transfer the same amount from checking to savings",
            {"amount": "50.00", "from": "checking", "to": "savings"},
        ),
        (
            "transfer 20 dollars from that account to checking",
            {"amount": "20.00", "from": "savings", "to": "checking"},
        ),
        ("transfer 20 dollars to savings", {"amount": "20.00", "to": "savings"}),
    ],
)
def test_pointers_fill_only_slots_that_no_words_filled(text: str, meant: dict[str, str]) -> None:
    assert taken(text, BANK, AMOUNT, FROM, TO) == ("transfer", meant)


def test_a_pointer_that_may_mean_several_values_is_unsure() -> None:
    said = Hypothesis("balance of the same account", confidence=0.95)
    found = interpret(said, BANK, today=TODAY, recent=(AMOUNT, FROM, TO))
    assert found.intent == "balance"
    (value,) = found.slots
    assert (value.name, value.value) == ("account", "savings")
    assert value.confidence < 0.4  # the default bound below which callers are asked


@pytest.mark.parametrize("text", ["cancel this time", "cancel that", "cancel that thing of mine"])
def test_nothing_else_is_a_pointer(text: str) -> None:
    assert taken(text, MENU, AT, PEOPLE) == ("cancel", {})


def test_a_day_of_the_same_breath_goes_before_older_ones() -> None:
    said = Hypothesis("book for two on friday and cancel the same day", confidence=0.95)
    found = interpret(said, MENU, today=TODAY, recent=(DAY,))
    assert [slot.value for slot in found.slots if slot.name == "day"] == ["2026-11-20"]
    later = Hypothesis("book for two on monday and cancel the same day", confidence=0.95)
    found = interpret(later, MENU, today=TODAY, recent=(DAY,))
    assert [slot.value for one in found.also for slot in one.slots] == ["2026-11-23"]


@pytest.mark.parametrize("text", ["make it five people", "five people", "5 people please"])
def test_a_number_with_its_noun_is_no_answer_to_another_question(text: str) -> None:
    assert taken(text, replace(MENU, focus="at"), PEOPLE, DAY)[1] == {"people": "5"}
