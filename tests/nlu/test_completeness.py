from dataclasses import replace

import pytest
from nlu_expectations import COFFEE, TRANSFER, asking, choices

from voicebot.events import Completeness, Expectation, SlotSpec, SlotType
from voicebot.nlu.interpreter import completeness

pytestmark = pytest.mark.unit

PIN = asking(SlotType.DIGITS, min_length=4, max_length=4)
ROAST = Expectation(
    focus="roast",
    slots=(SlotSpec("roast", SlotType.CHOICE, choices("light", "dark", "dark roast special")),),
)


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("yes", asking(SlotType.YES_NO)),
        ("No, thanks.", asking(SlotType.YES_NO)),
        ("No.", asking(SlotType.YES_NO)),
        ("that's right", asking(SlotType.YES_NO)),
        ("light please", ROAST),
        ("dark roast special", ROAST),
        ("1 2 3 4", PIN),
        ("fifteen dollars", asking(SlotType.AMOUNT)),
        ("$15.50", asking(SlotType.AMOUNT)),
        ("tomorrow", asking(SlotType.DATE)),
        ("two thirty pm", asking(SlotType.TIME)),
        ("five five five oh one oh oh one double nine", asking(SlotType.PHONE)),
        ("operator", TRANSFER),
        ("Move $20 from checking to savings tomorrow", TRANSFER),
    ],
)
def test_complete(text: str, expectation: Expectation) -> None:
    assert completeness(text, expectation) is Completeness.COMPLETE


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("1 2 3", PIN),
        ("double", PIN),
        ("fifty", asking(SlotType.AMOUNT)),
        ("two", asking(SlotType.TIME)),
        ("the third", asking(SlotType.DATE)),
        ("555 010", asking(SlotType.PHONE)),
        ("A B", asking(SlotType.LETTERS)),
        ("my name is", asking(SlotType.TEXT)),
        ("dark roast", ROAST),
        ("a small latte", COFFEE),
        ("a small latte with", COFFEE),
        ("savings", TRANSFER),
        ("yes and", asking(SlotType.YES_NO)),
        ("No, I", asking(SlotType.YES_NO)),
        ("Not", asking(SlotType.YES_NO)),
    ],
)
def test_extendable(text: str, expectation: Expectation) -> None:
    assert completeness(text, expectation) is Completeness.EXTENDABLE


@pytest.mark.parametrize("text", ["", "   ", "…", "well the thing was", "日本"])
def test_none(text: str) -> None:
    assert completeness(text, replace(ROAST, slots=ROAST.slots)) is Completeness.NONE
