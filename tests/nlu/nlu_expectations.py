"""Expectations that the tests of this room share."""

from __future__ import annotations

from datetime import date

from voicebot.events import (
    Choice,
    Expectation,
    Hypothesis,
    IntentSpec,
    Interpretation,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.interpreter import interpret

TODAY = date(2026, 11, 18)  # a Wednesday

UNIVERSALS = (
    IntentSpec(
        "operator", ("(operator|agent)", "(speak|talk) to (a|an) (person|human|agent)"), "0"
    ),
    IntentSpec("help", ("help", "what can i say")),
    IntentSpec("repeat", ("repeat [that]", "say that again")),
    IntentSpec("goodbye", ("goodbye", "bye [bye]")),
)


def choices(*values: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, (value,)) for value in values)


def _amounts_of(*things: str) -> tuple[Choice, ...]:
    amounts = ("", "some ", "a bit of ", "a little bit of ", "a lot of ", "lots of ")
    return choices(*(amount + thing for thing in things for amount in amounts))


COFFEE = Expectation(
    state="order",
    slots=(
        SlotSpec(
            "coffeeDrink",
            SlotType.CHOICE,
            (
                *choices("coffee", "house coffee", "drip coffee", "iced coffee", "iced mocha"),
                *choices("mocha", "americano", "cappuccino", "latte", "espresso"),
            ),
        ),
        SlotSpec(
            "size",
            SlotType.CHOICE,
            (
                *choices("small", "medium", "large"),
                *(
                    Choice(f"{size} ounce", (f"{size} (ounce|ounces|oz)",))
                    for size in ("eight", "twelve", "sixteen", "twenty")
                ),
            ),
        ),
        SlotSpec("roast", SlotType.CHOICE, choices("light roast", "medium roast", "dark roast")),
        SlotSpec(
            "numberOfShots", SlotType.CHOICE, choices("single shot", "double shot", "triple shot")
        ),
        SlotSpec(
            "milkAmount",
            SlotType.CHOICE,
            _amounts_of("milk", "skim milk", "soy milk", "almond milk", "whole milk", "cream"),
        ),
        SlotSpec("sugarAmount", SlotType.CHOICE, _amounts_of("sugar", "brown sugar", "sweetener")),
    ),
    intents=(IntentSpec("orderDrink", ("(give|make|get|bring) me {coffeeDrink}",)),),
    universals=UNIVERSALS,
)

ACCOUNTS = tuple(
    Choice(value, (f"[my] {phrase} [account]",), key)
    for value, phrase, key in (
        ("checking", "(checking|current)", "1"),
        ("savings", "savings", "2"),
        ("credit_card", "credit card", "3"),
    )
)
TRANSFER = Expectation(
    state="transfer/from",
    focus="from",
    slots=(
        SlotSpec("from", SlotType.CHOICE, ACCOUNTS),
        SlotSpec("to", SlotType.CHOICE, ACCOUNTS),
        SlotSpec("amount", SlotType.AMOUNT),
        SlotSpec("when", SlotType.DATE),
    ),
    intents=(
        IntentSpec("transfer", ("(transfer|move|send) [some] [money]", "from {from} to {to}")),
        IntentSpec("balance", ("[check] [my] balance", "balance of {from}"), "5"),
    ),
    universals=UNIVERSALS,
)


def asking(slot: SlotType, **limits: int) -> Expectation:
    """A question for one slot, named "slot"."""
    return Expectation(
        focus="slot", slots=(SlotSpec("slot", slot, **limits),), universals=UNIVERSALS
    )  # type: ignore[arg-type]


def heard(text: str, expectation: Expectation, confidence: float = 0.9) -> Interpretation:
    hypothesis = Hypothesis(text, confidence=confidence, is_final=True)
    return interpret(hypothesis, expectation, today=TODAY)


def slots(text: str, expectation: Expectation) -> dict[str, str]:
    return {slot.name: slot.value for slot in heard(text, expectation).slots}


def value(text: str, slot: SlotType, **limits: int) -> str | None:
    return slots(text, asking(slot, **limits)).get("slot")
