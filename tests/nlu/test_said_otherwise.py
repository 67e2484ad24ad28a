"""Values as callers say them: words left out, hesitations, all of it twice, from one to another."""

from dataclasses import replace

import pytest
from nlu_expectations import UNIVERSALS, asking, heard, slots, value

from voicebot.events import CONFIRM_SLOT, Expectation, SlotSpec, SlotType

pytestmark = pytest.mark.unit
AMOUNT, DATE, DIGITS, LETTERS, NUMBER = (
    SlotType.AMOUNT, SlotType.DATE, SlotType.DIGITS, SlotType.LETTERS, SlotType.NUMBER,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("hundred dollars", AMOUNT, "100.00"),
        ("hundred and fifty dollars", AMOUNT, "150.00"),
        ("thousand two hundred", AMOUNT, "1200.00"),
        ("a few hundred dollars", AMOUNT, None),
        ("couple hundred", AMOUNT, "200.00"),
        ("two hundred uh and fifty dollars", AMOUNT, "250.00"),
        ("two hundred um fifty", AMOUNT, "250.00"),
        ("quarter of a million", AMOUNT, "250000.00"),
        ("three quarters of a million", AMOUNT, "750000.00"),
        ("point five dollars", AMOUNT, "0.50"),
        ("at this point five dollars", AMOUNT, "5.00"),
        ("three quarters", NUMBER, "0.75"),
        ("three quarters of an hour", NUMBER, "3"),
        ("a half", NUMBER, "0.5"),
        ("point five", NUMBER, "0.5"),
        ("three fives", DIGITS, "555"),
        ("five five five two zeros", DIGITS, "55500"),
        ("four nines", DIGITS, "9999"),
        ("two ninety nine six seven five oh one twenty two four", SlotType.PHONE, "29967501224"),
        ("capital b small o y", LETTERS, "BOY"),
        ("upper case b lower case o y", LETTERS, "BOY"),
        ("uh b um o er y", LETTERS, "BOY"),
        ("em ay ex", LETTERS, "MAX"),
    ],
)
def test_in_other_words(text: str, slot: SlotType, meant: str | None) -> None:
    assert value(text, slot) == meant


def test_who_says_the_digits_twice_said_them_once() -> None:
    six = asking(DIGITS, min_length=6, max_length=6)
    said = heard("one two three four five six one two three four five six", six)
    assert [slot.value for slot in said.slots] == ["123456"]
    other = heard("one two three four five six one two three four five seven", six)
    assert not other.slots
    number = "two one two five five five oh one two three"
    assert value(f"{number}, {number}", SlotType.PHONE) == "2125550123"


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("six to eight", NUMBER, None),
        ("from six to eight people", NUMBER, None),
        ("fifty to a hundred dollars", AMOUNT, None),
        ("change it from fifty to sixty dollars", AMOUNT, "60.00"),
        ("six until eight", SlotType.TIME, None),
        ("monday through friday", DATE, None),
        ("the sixth to the eighth", DATE, None),
        ("move it from monday to wednesday", DATE, "2026-11-25"),
        ("fifty or I think sixty dollars", AMOUNT, None),
        ("monday or if you have nothing then tuesday", DATE, None),
        ("fifty or rather sixty", AMOUNT, "60.00"),
        ("fifty or no sixty dollars", AMOUNT, "60.00"),
        ("fifty dollars or so", AMOUNT, "50.00"),
    ],
)
def test_from_one_to_another_and_one_or_another(
    text: str, slot: SlotType, meant: str | None
) -> None:
    assert value(text, slot) == meant


@pytest.mark.parametrize(
    ("text", "meant"),  # said on Wednesday, 18 November 2026
    [
        ("july fourth eighty four", "1984-07-04"),
        ("july four eighty four", "1984-07-04"),
        ("the third of march seventy", "1970-03-03"),
        ("july fourth nineteen oh one", "1901-07-04"),
        ("july fourth oh one", "2001-07-04"),
        ("july fourth one nine eight four", "1984-07-04"),
        ("3/3/52", "1952-03-03"),
        ("december fifth thirty people", "2026-12-05"),
        ("december fifth ten thirty", "2026-12-05"),
        ("seven four eighty four", "1984-07-04"),
        ("oh seven oh four nineteen eighty four", "1984-07-04"),
        ("zero seven zero four one nine eight four", "1984-07-04"),
        ("07041984", "1984-07-04"),
        ("twenty five twelve nineteen eighty", "1980-12-25"),
        ("12-25-2026", "2026-12-25"),
        ("twelve twenty five", "2026-12-25"),
        ("nine thirty", None),
        ("december thirty two thousand seven", "2007-12-30"),
        ("one twenty one nineteen seventy two", "1972-01-21"),
        ("the first one", None),
        ("the thirty first of november", None),
        ("february thirtieth", None),
        ("december uh first", "2026-12-01"),
        ("next week tuesday", "2026-11-24"),
        ("tuesday of next week", "2026-11-24"),
        ("a week on friday", "2026-11-27"),
        ("a week tuesday", "2026-12-01"),
        ("week from monday", "2026-11-30"),
        ("in two weeks on tuesday", None),
        ("two fridays from now", None),
        ("a year from now", "2027-11-18"),
        ("the day after thanksgiving", "2026-11-27"),
        ("the friday after thanksgiving", "2026-11-27"),
        ("two days before christmas", "2026-12-23"),
        ("wednesday before thanksgiving", "2026-11-25"),
        ("tomorrow or the day after", None),
        ("not tomorrow but the day after that", "2026-11-20"),
        ("the end of february", "2027-02-28"),
        ("easter monday", "2027-03-29"),
    ],
)
def test_dates(text: str, meant: str | None) -> None:
    assert value(text, DATE) == meant


def test_two_digits_are_a_year_only_where_a_date_is_asked_for() -> None:
    """ "Fifty on december fifth" may have an amount behind its day."""
    spec = asking(AMOUNT).slots[0]
    both = Expectation(focus="slot", slots=(spec, SlotSpec("when", DATE)))
    assert slots("december fifth thirty", both) == {"when": "2026-12-05", "slot": "30.00"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("twenty five", None),
        ("two at night", "02:00"),
        ("twelve at night", "00:00"),
        ("eleven at night", "23:00"),
        ("fourteen hundred", "14:00"),
        ("oh nine hundred hours", "09:00"),
        ("0930", "09:30"),
        ("9.30", "09:30"),
        ("seven uh thirty", "07:30"),
    ],
)
def test_times(text: str, meant: str | None) -> None:
    assert value(text, SlotType.TIME) == meant


@pytest.mark.parametrize(
    ("text", "at_a_field", "at_a_confirmation"),
    [
        ("I'm good thanks", "no", "yes"),
        ("no we're all set", "no", "no"),
        ("nothing else", "no", None),
        ("that'll be all thank you", "no", "yes"),
        ("yes that's all", "no", "yes"),
        ("I'm good with that", "yes", "yes"),
        ("that's the one", "yes", "yes"),
        ("no doubt", "yes", "yes"),
        ("no yeah", "yes", "yes"),
        ("yeah no", "no", "no"),
        ("I suppose", "yes", "yes"),
        ("I guess not", "no", "no"),
        ("probably not", "no", "no"),
        ("not bad", None, None),
        ("yes and no", None, None),
        ("I'd like that", "yes", "yes"),
        ("everything is wrong", "no", "no"),
        ("that's all wrong", "no", "no"),
        ("no that is all wrong", "no", "no"),
        ("nothing is right", "no", "no"),
        ("everything is fine", "yes", "yes"),
        ("everything is correct", "yes", "yes"),
        ("nothing wrong with that", "yes", "yes"),
        ("that can't be right", "no", "no"),
        ("it's not all right", "no", "no"),
        ("that's not at all right", "no", "no"),
        ("I'm not okay with that", "no", "no"),
        ("I didn't say yes", "no", "no"),
        ("okay but no", "no", "no"),
        ("of course it's wrong", "no", "no"),
        ("yes hang on no", "no", "no"),
        ("sure why not", "yes", "yes"),
        ("no that's fine", "no", "yes"),
        ("not everything", None, None),
        ("correct me if I'm wrong", None, None),
    ],
)
def test_yes_and_no(text: str, at_a_field: str | None, at_a_confirmation: str | None) -> None:
    """ "I'm good" declines what is offered; after "is that right?" it does not."""
    assert value(text, SlotType.YES_NO) == at_a_field
    confirming = Expectation(
        focus=CONFIRM_SLOT, slots=(SlotSpec(CONFIRM_SLOT, SlotType.YES_NO),), universals=UNIVERSALS
    )
    assert slots(text, confirming).get(CONFIRM_SLOT) == at_a_confirmation


@pytest.mark.parametrize(
    ("text", "slot", "meant"),
    [
        ("treinta y un euros", AMOUNT, "31.00"),
        ("treinta y una mil", NUMBER, "31000"),
        ("cuatrocientos un euros con nueve céntimos", AMOUNT, "401.09"),
        ("mil un euros", AMOUNT, "1001.00"),
        ("medio millón de euros", AMOUNT, "500000.00"),
        ("un millón y medio", NUMBER, "1500000"),
        ("doscientos eh cincuenta dólares", AMOUNT, "250.00"),
        ("tres ceros siete", DIGITS, "0007"),
        ("doble ele a ene o", LETTERS, "LLANO"),
        ("cuarto para las cuatro", SlotType.TIME, "15:45"),
        ("un cuarto para la una", SlotType.TIME, "12:45"),
        ("diez minutos para las cuatro", SlotType.TIME, "15:50"),
        ("el martes de la semana que viene", DATE, "2026-11-24"),
        ("cuatro de julio del ochenta y cuatro", DATE, "1984-07-04"),
        ("cuatro siete ochenta y cuatro", DATE, "1984-07-04"),
        ("el treinta y uno de noviembre", DATE, None),
        ("del lunes al miércoles", DATE, None),
        ("el sábado a las nueve", DATE, "2026-11-21"),
        ("seis o creo que siete", NUMBER, None),
        ("no hay problema", SlotType.YES_NO, "yes"),
        ("eso es todo gracias", SlotType.YES_NO, "no"),
        ("estoy bien gracias", SlotType.YES_NO, "no"),
        ("sí y no", SlotType.YES_NO, None),
        ("todo está mal", SlotType.YES_NO, "no"),
        ("todo está bien", SlotType.YES_NO, "yes"),
    ],
)
def test_spanish(text: str, slot: SlotType, meant: str | None) -> None:
    spanish = replace(asking(slot), language="es", universals=())
    assert slots(text, spanish).get("slot") == meant


def test_a_table_for_five_at_eight() -> None:
    people, hour = SlotSpec("personas", NUMBER), SlotSpec("hora", SlotType.TIME)
    table = Expectation(focus="personas", slots=(people, hour), language="es")
    said = slots("una mesa de cinco para las ocho", table)
    assert said == {"personas": "5", "hora": "08:00"}
