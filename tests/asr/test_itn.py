import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.asr import itn_numbers
from voicebot.asr.casing import cased
from voicebot.asr.itn import written
from voicebot.asr.profanity import masked
from voicebot.asr.record_text import RecordText
from voicebot.asr.written import figure as spoken_figure

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("two hundred and fifty dollars", "$250"),
        ("Two hundred dollars and fifty cents, please.", "$200.50, please."),
        ("transfer two million dollars", "transfer $2,000,000"),
        ("one dollar", "$1"),
        ("a hundred euros", "€100"),
        ("half a million euros", "half a million euros"),
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
    ("spoken", "expected"),
    [
        ("one point two million dollars", "$1.2 million"),
        ("two point five million pounds", "£2.5 million"),
        ("one and a half million dollars", "$1.5 million"),
        ("at ten oh five am", "at 10:05 AM"),
        ("room twenty five oh one", "room 2501"),
        ("one eight hundred five five five one two one two", "1-800-555-1212"),
        ("I live at one twenty three main street", "I live at 123 main street"),
        ("at five fifty five oak avenue", "at 555 oak avenue"),
        ("two thirds of my salary", "two thirds of my salary"),
        ("ten pounds fifty", "£10.50"),
        ("ten pounds fifty people came", "£10 50 people came"),
        ("two to three people", "two to three people"),
        ("two to four people", "2 to 4 people"),
        ("from two to four pm", "from 2 to 4 PM"),
        ("one hundred one hundred", "100 100"),
        ("between one hundred and two hundred dollars", "between 100 and $200"),
        ("two thousand five million", "2000 5,000,000"),
        ("trillion billion million", "trillion billion million"),
        ("zero point zero five percent", "0.05%"),
        ("five dollars five cents", "$5.05"),
        ("june fifth nineteen oh five", "June 5, 1905"),
        ("the second may be wrong", "the second may be wrong"),
        ("thirty second delay", "thirty second delay"),
        ("my pin is one two three, oh wait", "my pin is 123, oh wait"),
        ("at eight p. m. please", "at 8 PM please"),
        ("ten pounds of flour", "10 pounds of flour"),
        ("one two three four five six seven eight nine ten", "1 2 3 4 5 6 7 8 9 10"),
        # What can be read in two ways stays.
        ("nineteen ninety nine dollars", "nineteen ninety nine dollars"),
        ("two fifty dollars", "two fifty dollars"),
        ("one or two hundred dollars", "one or two hundred dollars"),
        ("a quarter of a million euros", "a quarter of a million euros"),
    ],
)
def test_no_amount_time_or_number_is_another_than_what_was_said(spoken, expected):
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
    for parts in ("uno coma dos millones de dólares", "medio millón de euros"):
        assert written(parts, "es") == parts
    assert written("ciento uno dos tres", "es") == "101 2 3"
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
    assert masked("you mother fucker, mother!") == "you m***** f*****, mother!"
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


ONES = {"zero": "0", "oh": "0"} | {word: str(one) for word, one in itn_numbers.ONES.items()}
TEENS = dict(zip(("ten", "eleven", "twelve", "nineteen"), (10, 11, 12, 19), strict=True))
TENS = {"twenty": 2, "thirty": 3, "fifty": 5, "ninety": 9}
AROUND = ("and", "to", "at", "dollars", "am", "room", "street", "percent", "june", "I", "half", ",")


def figures_of(text: str) -> str:
    """The figures of a text with its number words read one by one, tens joined with their unit."""
    found, open_tens = "", ""
    for word in re.findall(r"\w+|[^\w\s]", text.lower()):
        unit = ONES.get(word, "")
        if open_tens and not (unit and unit != "0"):
            found += "0"
        found += unit or str(TEENS.get(word, TENS.get(word, "")))
        found += "".join(filter(str.isdecimal, word))
        open_tens = word if word in TENS else ""
    return found + ("0" if open_tens else "")


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from((*ONES, *TEENS, *TENS, *AROUND)), max_size=10).map(" ".join))
def test_no_figure_is_invented_or_lost(text):
    text = text.replace(" ,", ",")
    assert figures_of(written(text)) == figures_of(text)


def said(number: int) -> str:
    """A number below 10**12 in words."""
    for scale, word in ((10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if number >= scale:
            rest = f" {said(number % scale)}" if number % scale else ""
            return f"{said(number // scale)} {word}{rest}"
    if number >= 100:
        rest = f" and {said(number % 100)}" if number % 100 else ""
        return f"{said(number // 100)} hundred{rest}"
    return spoken_figure(number).replace("_", " ")


@settings(max_examples=100, deadline=None)
@given(
    st.integers(4, 10**12 - 1) | st.integers(4, 3000),
    st.sampled_from(("I have {} people", "transfer {} dollars now", "it is {} percent.")),
)
def test_every_number_is_written_as_it_is(number, sentence):
    heard = written(sentence.format(said(number)))
    found = re.search(r"\d[\d,]*", heard)
    assert found is not None
    assert int(found[0].replace(",", "")) == number
    assert len(re.findall(r"\d[\d,]*", heard)) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 59), st.sampled_from(("am", "p m", "p.m.")))
def test_every_time_is_written_as_it_is(hour, minute, half):
    minutes = f"oh {said(minute)}" if minute < 10 else said(minute)
    told = written(f"see you at {said(hour)} {minutes} {half} then")
    assert told == f"see you at {hour}:{minute:02d} {half[0].upper()}M then"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 99_999), st.integers(1, 99), st.booleans())
def test_every_price_is_written_as_it_is(dollars, cents, has_and):
    link = " and" if has_and else ""
    price = f"{said(dollars)} dollars{link} {said(cents)} cents"
    assert written(f"send {price} please") == f"send ${dollars:,}.{cents:02d} please"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=20))
def test_any_words_can_be_written(text):
    for profanity in ("keep", "mask"):
        for language in ("en", "es", ""):
            assert isinstance(RecordText("written", profanity)(text, language), str)
