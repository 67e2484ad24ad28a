"""Values, yes and no, as callers say them in Spanish."""

import pytest
from nlu_expectations import TODAY

from voicebot.events import (
    Choice,
    Completeness,
    Expectation,
    Hypothesis,
    IntentSpec,
    Interpretation,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.interpreter import completeness, interpret

pytestmark = pytest.mark.unit


def heard(text: str, expectation: Expectation) -> Interpretation:
    return interpret(Hypothesis(text=text, confidence=0.9), expectation, today=TODAY)


def value(text: str, kind: SlotType) -> str | None:
    expectation = Expectation(focus="x", slots=(SlotSpec("x", kind),), language="es")
    return next((slot.value for slot in heard(text, expectation).slots), None)


CASES = {
    SlotType.NUMBER: {
        "cuarenta y dos": "42",
        "ciento cinco": "105",
        "mil doscientos": "1200",
        "dos mil trescientos cuarenta y cinco": "2345",
        "un millón quinientos mil": "1500000",
        "tres punto cinco": "3.5",
        "cien": "100",
        "2 mil": "2000",
        "veintiún mil": "21000",
        "1.250": "1250",
        "hola": None,
    },
    SlotType.AMOUNT: {
        "quince dólares con cincuenta centavos": "15.50",
        "quince con cinco": "15.05",
        "quince cincuenta": "15.50",
        "$15.50": "15.50",
        "1.250,75 euros": "1250.75",
        "cien pesos": "100.00",
        "un dólar": "1.00",
        "un millón de dólares": "1000000.00",
        "cincuenta centavos": "0.50",
    },
    SlotType.DATE: {
        "hoy": "2026-11-18",
        "mañana por la mañana": "2026-11-19",
        "pasado mañana": "2026-11-20",
        "el próximo viernes": "2026-11-20",
        "el viernes que viene": "2026-11-20",
        "el viernes pasado": "2026-11-13",
        "el tres de mayo": "2027-05-03",
        "el primero de enero de dos mil veintiocho": "2028-01-01",
        "15 de mayo del 2027": "2027-05-15",
        "dentro de tres días": "2026-11-21",
        "hace una semana": "2026-11-11",
        "la semana que viene": "2026-11-25",
        "3/5/2027": "2027-05-03",
        "el quince": "2026-12-15",
    },
    SlotType.TIME: {
        "a las tres y media": "15:30",
        "a las cuatro menos cuarto": "15:45",
        "a las nueve de la mañana": "09:00",
        "las tres y veinte de la tarde": "15:20",
        "a las ocho y cuarto de la noche": "20:15",
        "al mediodía": "12:00",
        "las doce de la noche": "00:00",
        "a la una y cuarto": "13:15",
        "las 10 en punto": "10:00",
        "15:30": "15:30",
    },
    SlotType.DIGITS: {
        "uno dos tres cuatro": "1234",
        "doble cero siete": "007",
        "veintidós cincuenta": "2250",
        "4 0 2 1": "4021",
    },
    SlotType.PHONE: {"más uno 555 010 0199": "15550100199"},
    SlotType.LETTERS: {
        "a be ce": "ABC",
        "be de burro a de ana ene de nada": "BAN",
        "doble u e be": "WEB",
        "hache equis": "HX",
        "ABC": "ABC",
    },
    SlotType.YES_NO: {
        "sí": "yes",
        "sí por favor": "yes",
        "claro que sí": "yes",
        "así es": "yes",
        "está bien": "yes",
        "no gracias": "no",
        "no es correcto": "no",
        "mejor no": "no",
        "en absoluto": "no",
    },
}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [(kind, text, found) for kind, cases in CASES.items() for text, found in cases.items()],
)
def test_values(kind: SlotType, text: str, expected: str | None) -> None:
    assert value(text, kind) == expected


@pytest.mark.parametrize("focus", ["d", "t", None])
@pytest.mark.parametrize(
    ("text", "day", "hour"),
    [
        ("viernes ocho de la mañana", "2026-11-20", "08:00"),
        ("el viernes ocho de la mañana", "2026-11-20", "08:00"),
        ("jueves tres de la tarde", "2026-11-19", "15:00"),
        ("viernes diez de la mañana", "2026-11-20", "10:00"),
        ("el lunes cinco de la tarde", "2026-11-23", "17:00"),
        ("martes dos", "2026-11-24", "14:00"),
        ("viernes cuatro de diciembre", "2026-12-04", None),
    ],
)
def test_a_small_number_behind_a_weekday_is_its_hour(
    text: str, day: str, hour: str | None, focus: str | None
) -> None:
    slots = (SlotSpec("d", SlotType.DATE), SlotSpec("t", SlotType.TIME))
    found = heard(text, Expectation(focus=focus, slots=slots, language="es"))
    values = {slot.name: slot.value for slot in found.slots}
    assert (values.get("d"), values.get("t")) == (day, hour)


@pytest.mark.parametrize(
    ("text", "day", "hour"),
    [
        ("lunes nueve a las nueve", "2026-11-23", "09:00"),
        ("el sábado ocho a las nueve", "2026-11-21", "09:00"),
        ("el viernes 4 de diciembre a las ocho", "2026-12-04", "08:00"),
        ("martes quince a las nueve", "2026-12-15", "09:00"),
    ],
)
def test_a_weekday_a_number_and_an_hour(text: str, day: str, hour: str) -> None:
    slots = (SlotSpec("d", SlotType.DATE), SlotSpec("t", SlotType.TIME))
    found = heard(text, Expectation(focus="t", slots=slots, language="es")).slots
    assert {slot.name: slot.value for slot in found} == {"d": day, "t": hour}


ACCOUNTS = Expectation(
    focus="account",
    slots=(
        SlotSpec(
            "account",
            SlotType.CHOICE,
            (Choice("savings", ("[la] cuenta de ahorro",)), Choice("checking", ("corriente",))),
        ),
        SlotSpec("amount", SlotType.AMOUNT),
    ),
    intents=(IntentSpec("transfer", ("[quiero] (transferir|enviar) {amount} a {account}",)),),
    universals=(
        IntentSpec("operator", ("[un] operador",), "0"),
        IntentSpec("language en", ("english", "in english"), "9"),
    ),
    language="es",
)


@pytest.mark.parametrize("text", ["la primera", "la primera opción", "opción uno"])
def test_choice_by_place(text: str) -> None:
    assert [slot.value for slot in heard(text, ACCOUNTS).slots] == ["savings"]


def test_an_intent_with_values() -> None:
    found = heard("quiero transferir doscientos cincuenta dólares a la cuenta de ahorro", ACCOUNTS)
    assert found.intent == "transfer"
    assert {slot.name: slot.value for slot in found.slots} == {
        "amount": "250.00",
        "account": "savings",
    }


@pytest.mark.parametrize(
    "text", ["no cincuenta sino quince dólares", "cincuenta, perdón, quince dólares"]
)
def test_corrections(text: str) -> None:
    found = heard(text, ACCOUNTS)
    assert [slot.value for slot in found.slots] == ["15.00"]
    assert [slot.value for slot in found.denied] == ["50.00"]


@pytest.mark.parametrize(
    ("text", "name"), [("operador", "operator"), ("in English", "language en")]
)
def test_universals(text: str, name: str) -> None:
    found = heard(text, ACCOUNTS)
    assert (found.intent, found.is_universal) == (name, True)


def test_how_far_a_value_has_come() -> None:
    expectation = Expectation(focus="x", slots=(SlotSpec("x", SlotType.AMOUNT),), language="es")
    assert completeness("quince dólares", expectation) is Completeness.COMPLETE
    assert completeness("quiero", expectation) is not Completeness.COMPLETE


@pytest.mark.parametrize(
    "text", ["", "y", "mil", "mil mil", "un", "con", "menos cuarto", "de", "9" * 50]
)
@pytest.mark.parametrize("kind", list(SlotType))
def test_nothing_raises(text: str, kind: SlotType) -> None:
    value(text, kind)
