"""Calls in Spanish, and calls that change over: the caller's words to a machine."""

from pathlib import Path

import pytest
from conversation import plan_of
from spoken_line import Line

from voicebot.events import Disconnect, Note, Play, Transfer

pytestmark = pytest.mark.unit

CLINIC = """\
language: es
welcome: Clínica San Juan.
universals: {operator: {transfer: "+15550100"}}
forms:
  main:
    phrases: ["[quiero|quisiera] [pedir|hacer] una cita", "cita para {day}"]
    prompt: ¿En qué puedo ayudarle?
    fields:
      day: {type: date, prompt: "¿Qué día?"}
      at: {type: time, prompt: "¿A qué hora?"}
      who: {choices: {niño: {phrases: [mi hijo, mi hija, un niño]}, adulto: {phrases: [para mí]}},
        prompt: "¿Para quién es?"}
      phone: {type: phone, prompt: "¿Su teléfono?"}
    review: "Cita el {{ day }}, a las {{ at }}. ¿Es correcto?"
    filled: {say: "Hecho, {{ phone }}.", disconnect: {outcome: booked, goal: true}}
"""


def test_a_whole_call(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, CLINIC))
    assert line.said == ["Clínica San Juan.", "¿En qué puedo ayudarle?"]
    assert line("quisiera una cita para el próximo viernes a las tres y media") == [
        "¿Para quién es?"
    ]
    assert line("es para mi hija") == ["¿Su teléfono?"]
    assert line("cinco cinco cinco cero uno doble nueve") == [
        "Cita el veintisiete de noviembre de dos mil veintiséis, a las tres y media de la tarde. "
        "¿Es correcto?"
    ]
    assert line("no, a las cuatro menos cuarto")[0].endswith(
        "a las tres y cuarenta y cinco de la tarde. ¿Es correcto?"
    )
    assert line("sí, por favor")[0] == "Hecho, cinco cinco cinco, cero uno nueve nueve."
    assert line.actions[-1] == Disconnect("booked", is_goal=True)


def test_what_the_plan_need_not_say_is_spanish(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, CLINIC))
    assert line("bla bla bla")[0] == "Perdone, no le he entendido."
    assert line.is_silent()[0] == "Perdone, no le he oído."
    assert line("ayuda")[0].startswith("Responda a la pregunta")
    assert line("cómo dice")[-1] == "¿En qué puedo ayudarle?"
    assert line("adiós") == ["Adiós."]


def test_a_doubtful_value_is_asked_about(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, CLINIC.replace("    review:", "    help:")))
    line("una cita")
    assert line("mañana", sure=0.3)[0].endswith("¿Es correcto?")
    assert line("claro que sí") == ["¿A qué hora?"]


def test_the_operator(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, CLINIC))
    assert line("quiero hablar con una persona") == ["Le comunico con alguien que puede ayudarle."]
    assert isinstance(line.actions[-1], Transfer)


BOTH = """\
language: en
languages:
  en: {phrases: [English, in English]}
  es: {phrases: [español, en español]}
forms:
  main:
    fields:
      amount: {type: amount, prompt: {en: "How much?", es: "¿Cuánto?"}}
      more: {type: yes_no, prompt: {en: "Anything else?", es: "¿Algo más?"}}
    filled:
      - {say: {en: "{{ amount | money }}, {{ more }}.", es: "{{ amount | money }}, {{ more }}."},
        disconnect: done}
"""


@pytest.mark.parametrize("wish", ["en español por favor", "español", "espanol"])
def test_a_caller_who_changes_over(tmp_path: Path, wish: str) -> None:
    line = Line(plan_of(tmp_path, BOTH))
    assert line(wish) == ["¿Cuánto?"]
    assert Note("language", {"to": "es"}) in line.record
    assert line("quince dólares con cincuenta") == ["¿Algo más?"]
    assert line("sí") == ["quince dólares con cincuenta centavos, sí."]
    assert [action.language for action in line.actions if isinstance(action, Play)] == ["es"]


def test_and_back_in_the_middle(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, BOTH))
    line("español")
    line("veinte dólares")
    assert line("in English") == ["Anything else?"]
    assert line("no") == ["twenty dollars, no."]


def test_amounts_are_spoken_in_the_plans_currency(tmp_path: Path) -> None:
    text = """\
language: es
currency: EUR
forms:
  main:
    fields: {paid: {type: amount, confirm: always, prompt: "¿Cuánto?"}}
    filled: {say: "{{ paid | money }}, {{ paid }}, {{ paid | number }}.", disconnect: done}
"""
    line = Line(plan_of(tmp_path, text))
    assert line("veinticinco euros con cincuenta") == [
        "veinticinco euros con cincuenta céntimos. ¿Es correcto?"
    ]
    euros = "veinticinco euros con cincuenta céntimos"
    assert line("sí") == [f"{euros}, {euros}, veinticinco punto cinco cero."]
    assert line.machine.slots == {"paid": "25.50"}
