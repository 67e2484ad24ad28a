"""What must not be guessed: values left open, said in part, or that a slot cannot hold."""

import pytest
from nlu_expectations import slots, value

from voicebot.events import Choice, Expectation, SlotSpec, SlotType

pytestmark = pytest.mark.unit

DEVICES = Expectation(
    focus="slot",
    slots=(
        SlotSpec(
            "slot", SlotType.CHOICE, (Choice("tv"), Choice("radio"), Choice("oven"), Choice("fan"))
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("a hundred and five", SlotType.DIGITS, "105"),
        ("a thousand two hundred", SlotType.DIGITS, "1200"),
        ("o as in oscar one", SlotType.DIGITS, None),
        ("two or three", SlotType.DIGITS, None),
        ("minus five", SlotType.NUMBER, "-5"),
        ("ten minus three", SlotType.NUMBER, None),
        ("two or three", SlotType.NUMBER, None),
        ("half a dozen", SlotType.NUMBER, "6"),
        ("minus five", SlotType.AMOUNT, None),
        ("fifty or sixty dollars", SlotType.AMOUNT, None),
        ("I don't mind", SlotType.YES_NO, None),
        ("it doesn't matter", SlotType.YES_NO, None),
        ("no yes", SlotType.YES_NO, None),
        ("yes no", SlotType.YES_NO, None),
        ("yes or no", SlotType.YES_NO, None),
        ("no problem", SlotType.YES_NO, "yes"),
        ("yes I mean no", SlotType.YES_NO, "no"),
        ("capital a dash b", SlotType.LETTERS, "AB"),
    ],
)
def test_english(text: str, slot: SlotType, meant: str | None) -> None:
    assert value(text, slot) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("anything but the radio", None),
        ("everything except the radio", None),
        ("nothing but the radio", "radio"),
        ("tv or radio", None),
        ("the tv or maybe the radio", None),
        ("the second to last", "oven"),
        ("the next to last one", "oven"),
        ("third to last", "radio"),
        ("the second one", "radio"),
    ],
)
def test_choices(text: str, meant: str | None) -> None:
    assert slots(text, DEVICES).get("slot") == meant


OPTIONAL_WORDS = (
    Choice("downtown", ("[the] (downtown|city center) [branch]",)),
    Choice("airport", ("[the] airport [branch]",)),
    Choice("adams", ("[doctor] adams",)),
    Choice("rivera", ("[doctor] rivera",)),
    Choice("coffee", ("[black|regular] coffee",)),
    Choice("iced coffee", ("(iced|cold) coffee",)),
    Choice("mocha", ("[caffe] mocha",)),
    Choice("iced mocha", ("(iced|cold) mocha",)),
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("doctor adams or doctor rivera", None),
        ("adams or doctor rivera", None),
        ("doctor adams or rivera", None),
        ("the airport branch or the downtown branch", None),
        ("airport branch or downtown", None),
        ("an iced coffee or an iced mocha", None),
        ("adams, rivera or downtown", None),
        ("doctor adams or doctor rivera, no, doctor adams", "adams"),
        ("doctor rivera or someone else", "rivera"),
        ("the downtown branch", "downtown"),
    ],
)
def test_choices_with_words_that_may_be_left_out(text: str, meant: str | None) -> None:
    slot = SlotSpec("slot", SlotType.CHOICE, OPTIONAL_WORDS)
    for focus in ("slot", None):
        assert slots(text, Expectation(focus=focus, slots=(slot,))).get("slot") == meant


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("en una hora", SlotType.TIME, None),
        ("a las dieciocho horas", SlotType.TIME, "18:00"),
        ("las siete o las ocho", SlotType.TIME, None),
        ("dos euros y medio", SlotType.AMOUNT, "2.50"),
        ("medio euro", SlotType.AMOUNT, "0.50"),
        ("menos cinco euros", SlotType.AMOUNT, None),
        ("al menos cinco", SlotType.NUMBER, "5"),
        ("por lo menos cincuenta euros", SlotType.AMOUNT, "50.00"),
        ("más o menos veinte", SlotType.NUMBER, "20"),
        ("menos cinco", SlotType.NUMBER, "-5"),
        ("una docena", SlotType.NUMBER, "12"),
        ("media docena", SlotType.NUMBER, "6"),
        ("un par", SlotType.NUMBER, "2"),
        ("dos o tres", SlotType.NUMBER, None),
        ("navidad", SlotType.DATE, "2026-12-25"),
        ("nochevieja", SlotType.DATE, "2026-12-31"),
        ("año nuevo", SlotType.DATE, "2027-01-01"),
        ("a fin de mes", SlotType.DATE, "2026-11-30"),
        ("el último viernes del mes", SlotType.DATE, "2026-11-27"),
        ("el viernes trece", SlotType.DATE, None),
        ("el lunes o el martes", SlotType.DATE, None),
        ("entre el lunes y el martes", SlotType.DATE, None),
        ("entre las siete y las ocho", SlotType.TIME, None),
        ("cincuenta y cinco", SlotType.NUMBER, "55"),
        ("eñe", SlotType.LETTERS, None),
        ("a eñe be", SlotType.LETTERS, None),
        ("a guion be", SlotType.LETTERS, "AB"),
        ("qué va", SlotType.YES_NO, "no"),
        ("no sí", SlotType.YES_NO, None),
        ("me da igual", SlotType.YES_NO, None),
    ],
)
def test_spanish(text: str, slot: SlotType, meant: str | None) -> None:
    question = Expectation(focus="slot", slots=(SlotSpec("slot", slot),), language="es")
    assert slots(text, question).get("slot") == meant
