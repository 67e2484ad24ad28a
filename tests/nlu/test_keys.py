import pytest
from nlu_expectations import TRANSFER, asking

from voicebot.events import DigitRule, Expectation, IntentSpec, SlotType
from voicebot.nlu.interpreter import interpret_keys

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("keys", "slot", "value"),
    [
        ("0042", SlotType.DIGITS, "0042"),
        ("1", SlotType.YES_NO, "yes"),
        ("2", SlotType.YES_NO, "no"),
        ("50", SlotType.AMOUNT, "50.00"),
        ("15*50", SlotType.AMOUNT, "15.50"),
        ("007", SlotType.NUMBER, "7"),
        ("12242026", SlotType.DATE, "2026-12-24"),
        ("1430", SlotType.TIME, "14:30"),
        ("5550100199", SlotType.PHONE, "5550100199"),
    ],
)
def test_keys_spell_values(keys: str, slot: SlotType, value: str) -> None:
    found = interpret_keys(keys, asking(slot))
    assert [(s.name, s.value) for s in found.slots] == [("slot", value)]
    assert found.by == "dtmf"
    assert found.confidence == 1.0


@pytest.mark.parametrize(
    ("keys", "slot"),
    [("3", SlotType.YES_NO), ("*", SlotType.AMOUNT), ("1*5", SlotType.AMOUNT),
     ("", SlotType.DIGITS),
     ("13312026", SlotType.DATE), ("2560", SlotType.TIME), ("12", SlotType.PHONE),
     ("A1", SlotType.DIGITS), ("12", SlotType.TEXT)],
)  # fmt: skip
def test_keys_that_spell_nothing(keys: str, slot: SlotType) -> None:
    assert interpret_keys(keys, asking(slot)).is_nomatch


def test_keys_choose() -> None:
    assert interpret_keys("2", TRANSFER).slots[0].value == "savings"
    assert interpret_keys("5", TRANSFER).intent == "balance"
    operator = interpret_keys("0", TRANSFER)
    assert operator.intent == "operator"
    assert operator.is_universal


def test_a_value_beats_a_universal_unless_it_is_too_short() -> None:
    assert interpret_keys("0", asking(SlotType.DIGITS)).slots[0].value == "0"
    assert interpret_keys("0", asking(SlotType.DIGITS, min_length=4)).is_universal


def test_the_terminator_is_dropped() -> None:
    expectation = Expectation(
        focus="slot", slots=asking(SlotType.DIGITS).slots, digits=DigitRule(max_keys=5)
    )
    assert interpret_keys("0042#", expectation).slots[0].value == "0042"
    hash_key = Expectation(intents=(IntentSpec("again", (), "#"),), digits=DigitRule())
    assert interpret_keys("#", hash_key).intent == "again"
