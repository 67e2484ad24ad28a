import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.asr.casing import cased
from voicebot.asr.itn import written
from voicebot.asr.profanity import masked
from voicebot.asr.record_text import RecordText

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("two hundred and fifty dollars", "$250"),
        ("Two hundred dollars and fifty cents, please.", "$200.50, please."),
        ("transfer two million dollars", "transfer $2,000,000"),
        ("one dollar", "$1"),
        ("a hundred euros", "€100"),
        ("half a million euros", "half a 1000000 euros"),
        ("twenty percent", "20%"),
        ("my number is five five five, oh one nine nine.", "my number is 555-0199."),
        ("four one five five five five oh one double nine", "415-555-0199"),
        ("four one five twenty two ten", "4152210"),
        ("the pin is double four seven", "the pin is 447"),
        ("It's 5 5 5 0 1 9 9", "It's 555-0199"),
        ("the twenty first of march two thousand and five", "March 21, 2005"),
        ("on may the fourth", "on May 4"),
        ("the third of may twenty twenty six", "May 3, 2026"),
        ("december twenty fifth", "December 25"),
        ("it was nineteen ninety nine", "it was 1999"),
        ("half past three", "3:30"),
        ("a quarter to one", "12:45"),
        ("three thirty p m", "3:30 PM"),
        ("eight a.m. tomorrow", "8 AM tomorrow"),
        ("at ten fifteen", "at 10:15"),
        ("at seven o'clock", "at 7:00"),
        ("my name is s m i t h", "my name is SMITH"),
        ("A, B, C.", "ABC."),
        ("i b m", "IBM"),
    ],
)
def test_english_as_it_is_written(spoken, expected):
    assert written(spoken) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I want one coffee and two sugars",
        "no one",
        "the first one",
        "may I ask a question",
        "I have a U.S. account",
        "oh yes",
        "zero",
        "$250 already",
    ],
)
def test_what_is_no_number_stays(text):
    assert written(text) == text


def test_languages():
    assert written("doscientos cincuenta dólares", "es-ES") == "250 $"
    assert written("doble tres cuatro", "es") == "334"
    assert written("zweihundert Euro", "de") == "zweihundert Euro"


def test_capitals():
    text = "i'd like it on monday. thanks, i think. i.e. now"
    assert cased(text) == "I'd like it on Monday. Thanks, I think. I.e. now"
    assert cased("you may march with iPhones") == "You may march with iPhones"
    assert cased("$250 for Veton") == "$250 for Veton"
    assert cased("¿es lunes?", "es") == "¿Es lunes?"


def test_profanity_is_masked_by_whole_words():
    assert masked("this fucking thing is shit") == "this f****** thing is s***"
    for harmless in ("Scunthorpe", "Dick Cockburn", "Matsushita", "a classic assessment"):
        assert masked(harmless) == harmless
    assert masked("hijo de puta", "es") == "h*** d* p***"
    assert masked("fuck", "de") == "fuck"


def test_the_record_s_text_by_settings():
    said = "fuck, i said two hundred dollars"
    assert RecordText("spoken")(said) == said
    assert RecordText()(said) == "Fuck, I said $200"
    assert RecordText(profanity="mask")(said) == "F***, I said $200"
    assert RecordText()("") == ""


WORDS = tuple(
    "one two oh double twenty hundred million and half past quarter to a p m dollars cents of "  # noqa: SIM905
    "may first point o'clock 5 . , $5 at percent --".split()
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=20))
def test_any_words_can_be_written(text):
    for profanity in ("keep", "mask"):
        for language in ("en", "es", ""):
            assert isinstance(RecordText("written", profanity)(text, language), str)
