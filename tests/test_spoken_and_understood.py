"""What is understood is recognised: the grammars of recognition read what understanding takes."""

from datetime import date

import pytest

from voicebot.asr.biasing import Biasing
from voicebot.asr.written import plain
from voicebot.events import Alternative, Expectation, Hypothesis, SlotSpec, SlotType, Word
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit
D6 = {"min_length": 6, "max_length": 6}
L3 = {"min_length": 3, "max_length": 3}
EXAMPLES = [
    (SlotType.DATE, {}, "Christmas", "2026-12-25"),
    (SlotType.DATE, {}, "New Year's Day", "2027-01-01"),
    (SlotType.DATE, {}, "thanksgiving", "2026-11-26"),
    (SlotType.DATE, {}, "the fourth of July", "2027-07-04"),
    (SlotType.DATE, {}, "Labor Day", "2027-09-06"),
    (SlotType.DATE, {}, "tomorrow morning", "2026-11-22"),
    (SlotType.DATE, {}, "this weekend", "2026-11-21"),
    (SlotType.DATE, {}, "a fortnight from now", "2026-12-05"),
    (SlotType.DATE, {}, "three days ago", "2026-11-18"),
    (SlotType.DATE, {}, "the day before yesterday", "2026-11-19"),
    (SlotType.DATE, {}, "my birthday is the third of May", "2027-05-03"),
    (SlotType.DATE, {}, "born July 4th 1976", "1976-07-04"),
    (SlotType.DATE, {}, "the last Friday of the month", "2026-11-27"),
    (SlotType.DATE, {}, "Friday week", "2026-12-04"),
    (SlotType.TIME, {}, "5pm", "17:00"),
    (SlotType.TIME, {}, "6:30am", "06:30"),
    (SlotType.TIME, {}, "quarter of six", "17:45"),
    (SlotType.TIME, {}, "ten minutes to five", "16:50"),
    (SlotType.TIME, {}, "half past two", "14:30"),
    (SlotType.TIME, {}, "five in the morning", "05:00"),
    (SlotType.TIME, {}, "eighteen hundred hours", "18:00"),
    (SlotType.AMOUNT, {}, "fifty quid", "50.00"),
    (SlotType.AMOUNT, {}, "a couple of hundred", "200.00"),
    (SlotType.AMOUNT, {}, "five k", "5000.00"),
    (SlotType.AMOUNT, {}, "$5k", "5000.00"),
    (SlotType.AMOUNT, {}, "a dozen dollars", "12.00"),
    (SlotType.AMOUNT, {}, "twenty five cents", "0.25"),
    (SlotType.AMOUNT, {}, "half a million", "500000.00"),
    (SlotType.NUMBER, {}, "two and a half", "2.5"),
    (SlotType.NUMBER, {}, "a dozen", "12"),
    (SlotType.NUMBER, {}, "half a dozen", "6"),
    (SlotType.NUMBER, {}, "a couple", "2"),
    (SlotType.NUMBER, {}, "three of us", "3"),
    (SlotType.DIGITS, D6, "one hundred twenty three four five six", "123456"),
    (SlotType.DIGITS, D6, "niner niner one two three four", "991234"),
    (SlotType.DIGITS, D6, "it ends in four five six seven eight nine", "456789"),
    (SlotType.DIGITS, D6, "one two three no sorry four five six seven eight nine", "456789"),
    (SlotType.DIGITS, D6, "one two dash three four dot five six", "123456"),
    (SlotType.DIGITS, D6, "double four, triple two, oh", "442220"),
    (SlotType.PHONE, {}, "plus one 415 555 0199", "14155550199"),
    (SlotType.PHONE, {}, "area code four one five five five five oh one nine nine", "4155550199"),
    (SlotType.LETTERS, L3, "T for Tommy A B", "TAB"),
    (SlotType.LETTERS, L3, "M for money N for nuts P for Peru", "MNP"),
    (SlotType.LETTERS, L3, "B as in bravo D as in delta T as in tree", "BDT"),
    (SlotType.LETTERS, L3, "x ray x ray x", "XXX"),
    (SlotType.LETTERS, L3, "alfa juliett whisky", "AJW"),
]


@pytest.fixture(scope="module")
def biasing() -> Biasing:
    signs = [bytes([sign]) for sign in range(32, 127)]
    return Biasing([b"<unk>", b"<s>", b"</s>", *signs, "▁".encode()])


@pytest.mark.parametrize(("kind", "lengths", "text", "value"), EXAMPLES)
def test_what_fills_a_slot_costs_nothing_to_recognise(
    biasing: Biasing, kind: SlotType, lengths: dict[str, int], text: str, value: str
) -> None:
    slot = SlotSpec("it", kind, **lengths)  # type: ignore[arg-type]
    expected = Expectation(focus="it", slots=(slot,))
    words = tuple(Word(word, 0.9) for word in text.split())
    heard = Hypothesis(text, words, 0.9, (Alternative(text, 0.9),), is_final=True)
    understood = interpret(heard, expected, today=date(2026, 11, 21))
    assert [one.value for one in understood.slots] == [value]
    automaton = biasing.automaton(expected)
    assert automaton is not None
    assert automaton.read(plain(text)) >= 0


@pytest.mark.parametrize("kind", [one for one in SlotType if one not in {SlotType.TEXT}])
def test_other_talk_pays_whatever_is_asked(biasing: Biasing, kind: SlotType) -> None:
    automaton = biasing.automaton(Expectation(focus="it", slots=(SlotSpec("it", kind),)))
    if automaton is not None:
        text = "I would like to speak with somebody about the weather in London"
        assert automaton.read(plain(text)) <= -3
