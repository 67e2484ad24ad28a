"""Values and prompts in Spanish."""

import pytest

from voicebot.events import Say, SlotType
from voicebot.speech.prompts import Prompts
from voicebot.speech.verbalise import join, verbalise
from voicebot.speech.voices import EspeakVoice, voice_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("15.50", "amount", "quince dólares con cincuenta centavos"),
        ("1.00", "money", "un dólar"),
        ("21", "money", "veintiún dólares"),
        ("0.01", "money", "un centavo"),
        ("1000000", "money", "un millón de dólares"),
        ("-31 EUR", "money", "menos treinta y un euros"),
        ("£21", "money", "veintiuna libras"),
        ("12.345", "money", "doce punto tres cuatro cinco dólares"),
        ("0042", "digits", "cero cero cuatro dos"),
        ("+15550100", "phone", "más uno, cinco cinco cinco, cero uno cero cero"),
        ("1250", "number", "mil doscientos cincuenta"),
        ("-2.5", "number", "menos dos punto cinco"),
        ("2", "ordinal", "segundo"),
        ("2026-05-01", "date", "primero de mayo de dos mil veintiséis"),
        ("2026-11-21", "date", "veintiuno de noviembre de dos mil veintiséis"),
        ("15:30", "time", "tres y media de la tarde"),
        ("13:15", "time", "una y cuarto de la tarde"),
        ("09:05", "time", "nueve y cinco de la mañana"),
        ("21:00", "time", "nueve de la noche"),
        ("12:00", "time", "doce del mediodía"),
        ("AÑB2", "letters", "a, eñe, be, dos"),
        ("yes", "yes_no", "sí"),
        ("cuenta_de_ahorro", "choice", "cuenta de ahorro"),
    ],
)
def test_values(value: str, kind: str, words: str) -> None:
    assert verbalise(Say(value, kind), "es-MX") == words


@pytest.mark.parametrize("kind", [*SlotType, "money", "ordinal"])
@pytest.mark.parametrize("value", ["", "xyz", "٣", "2026-02-30", "9" * 40])
def test_what_is_not_of_its_kind_is_read_somehow(value: str, kind: str) -> None:
    assert isinstance(verbalise(Say(value, str(kind)), "es"), str)


def test_a_whole_prompt() -> None:
    parts = ("Su saldo es de", Say("15.50", "money"), ". Quedan $2.")
    assert (
        join(parts, "es")
        == "Su saldo es de quince dólares con cincuenta centavos. Quedan dos dólares."
    )


def test_a_voice_for_each_language() -> None:
    assert voice_in("en-us+steph", "es") == "es-419+steph"
    assert voice_in("en-gb", "en-US") == "en-gb"
    assert voice_in("en-us+f3", "fr") == "fr+f3"
    own, other = EspeakVoice(), EspeakVoice(voice_in("en-us+steph", "es"))
    prompts = Prompts(own, others={"es": other})
    parts = ("Once.",)
    english, spanish = prompts.render(parts), prompts.render(parts, "es")
    assert english.text == spanish.text == "Once."
    assert english.mulaw != spanish.mulaw
    assert prompts.is_ready(parts, "es")
    assert prompts.render(parts, "es") is spanish
    assert prompts.text((Say("1", "number"),), "es") == "uno"
    assert prompts.render((Say("1", "number"),)).text == "one"
