import pytest
from nlu_expectations import TRANSFER, choices, heard, slots, value

from voicebot.events import Choice, Expectation, SlotSpec, SlotType
from voicebot.nlu.numbers import cardinal, ordinal
from voicebot.nlu.text import tokenize
from voicebot.patterns import is_luhn

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("forty two", "42"),
        ("a hundred and five", "105"),
        ("twelve hundred", "1200"),
        ("two thousand three hundred and forty five", "2345"),
        ("1.5 million", "1500000"),
        ("three point one four", "3.14"),
        ("two and a half", "2.5"),
        ("nineteen", "19"),
        ("7", "7"),
        ("half a million", "500000"),
        ("a couple of thousand", "2000"),
        ("a couple", "2"),
        ("two dozen", "24"),
        ("half a dozen", "6"),
        ("2 hundred", "200"),
    ],
)
def test_numbers(text: str, number: str) -> None:
    assert value(text, SlotType.NUMBER) == number


@pytest.mark.parametrize(
    ("text", "end"), [("twenty and", 1), ("five hundred and", 2), ("two three", 1), ("and", None)]
)
def test_a_cardinal_takes_only_its_own_words(text: str, end: int | None) -> None:
    found = cardinal(tokenize(text), 0)
    assert (found[1] if found else None) == end


@pytest.mark.parametrize(
    ("text", "expected"),
    [("third", 3), ("3rd", 3), ("twenty first", 21), ("twentieth", 20), ("three", None)],
)
def test_ordinals(text: str, expected: int | None) -> None:
    found = ordinal(tokenize(text), 0)
    assert (found[0] if found else None) == expected


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("double oh seven one", "0071"),
        ("twenty-two fifty", "2250"),
        ("triple five one", "5551"),
        ("1-2-3-4", "1234"),
        ("my PIN is 4 0 2 1, thanks", "4021"),
        ("four thousand twenty one", "4021"),
        ("for to one 2", "4212"),
        ("22:50", "2250"),
        ("$4021", "4021"),
        ("1, 2, 3", None),
        ("one two three four five", None),
        ("hello", None),
    ],
)
def test_digits_of_a_fixed_length(text: str, digits: str | None) -> None:
    assert value(text, SlotType.DIGITS, min_length=4, max_length=4) == digits


def test_the_length_decides_between_readings() -> None:
    assert value("twenty two", SlotType.DIGITS, max_length=2) == "22"
    assert value("twenty two", SlotType.DIGITS, min_length=3) == "202"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("fifteen dollars and fifty cents", "15.50"),
        ("$15.50", "15.50"),
        ("$1,250.75", "1250.75"),
        ("two grand", "2000.00"),
        ("a hundred and five", "105.00"),
        ("fifteen fifty", "15.50"),
        ("ten oh five", "10.05"),
        ("fifty cents", "0.50"),
        ("75¢", "0.75"),
        ("a dollar fifty", "1.50"),
        ("three dollars and a quarter", "3.25"),
        ("$2 million", "2000000.00"),
        ("twelve hundred bucks", "1200.00"),
        ("$15 and 50 cents", "15.50"),
        ("twenty dollars, fifty", "20.00"),
        ("dollars", None),
        ("half a dollar", "0.50"),
        ("one hundred fifty five and ten cents", "155.10"),
    ],
)
def test_amounts(text: str, amount: str | None) -> None:
    assert value(text, SlotType.AMOUNT) == amount


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("555 010 0199", "5550100199"),
        ("five five five, oh one double nine", "5550199"),
        ("+1 (555) 010-0199", "15550100199"),
        ("call me at five five five one two three four five six seven", "5551234567"),
        ("one two", None),
        ("one eight hundred five five five zero one double nine", "18005550199"),
        ("202-555-0199 extension 12", "2025550199"),
    ],
)
def test_phone_numbers(text: str, number: str | None) -> None:
    assert value(text, SlotType.PHONE) == number


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A B C", "ABC"),
        ("A. B. C.", "ABC"),
        ("ABC", "ABC"),
        ("B as in boy, A, D as in dog", "BAD"),
        ("P as in boy", "B"),
        ("bee see dee", "BCD"),
        ("alpha bravo charlie", "ABC"),
        ("double u e b", "WEB"),
        ("double l a", "LLA"),
        ("s for sugar m", "SM"),
        ("x-ray yankee zulu", "XYZ"),
        ("capital s m i t h", "SMITH"),
        ("hello there", None),
    ],
)
def test_spelled_letters(text: str, letters: str | None) -> None:
    assert value(text, SlotType.LETTERS) == letters


COLOURS = Expectation(
    focus="colour",
    slots=(SlotSpec("colour", SlotType.CHOICE, choices("red", "green", "blue", "grey")),),
)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("the second one", "green"),
        ("the first", "red"),
        ("second", "green"),
        ("option three", "blue"),
        ("number 4 please", "grey"),
        ("the last one", "grey"),
        ("the fifth one", None),
        ("one second please", None),
    ],
)
def test_choice_by_place(text: str, colour: str | None) -> None:
    assert slots(text, COLOURS).get("colour") == colour


def test_choice_by_its_key_said_aloud() -> None:
    keyed = Expectation(
        focus="x",
        slots=(
            SlotSpec(
                "x",
                SlotType.CHOICE,
                (Choice("red", ("red",), "3"), Choice("blue", ("blue",), "1")),
            ),
        ),
    )
    assert slots("press three", keyed) == {"x": "red"}
    assert slots("1", keyed) == {"x": "blue"}


def test_an_idle_one_fills_nothing() -> None:
    assert "amount" not in slots("that one", TRANSFER)
    assert heard("one moment please", TRANSFER).is_nomatch


@pytest.mark.parametrize(
    ("text", "amount", "denied"),
    [
        ("not fifty fifteen dollars", "15.00", "50.00"),
        ("not fifty fifteen", "15.00", "50.00"),
        ("not two hundred three hundred", "300.00", "200.00"),
        ("not fifteen fifty, sixteen fifty", "16.50", "15.50"),
        ("not fifty but fifteen dollars", "15.00", "50.00"),
    ],
)
def test_an_amount_in_place_of_another(text: str, amount: str, denied: str) -> None:
    found = heard(text, Expectation(focus="x", slots=(SlotSpec("x", SlotType.AMOUNT),)))
    assert [slot.value for slot in found.slots] == [amount]
    assert [slot.value for slot in found.denied] == [denied]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nine oh two one oh", "90210"),
        ("ninety two ten", "90210"),
        ("ninety thousand two hundred ten", "90210"),
        ("zip code nine zero two one zero", "90210"),
        ("oh two one three nine", "02139"),
        ("02139-4301", None),
    ],
)
def test_zip_codes(text: str, code: str | None) -> None:
    assert value(text, SlotType.DIGITS, min_length=5, max_length=5) == code


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("4111111111111111", True),
        ("4111111111111112", False),
        ("79927398713", True),
        ("378282246310005", True),
        ("0", False),
        ("", False),
        ("41x1", False),
    ],
)
def test_luhn(digits: str, expected: bool) -> None:
    assert is_luhn(digits) is expected


def test_the_check_digit_decides_between_readings() -> None:
    card = SlotSpec("card", SlotType.DIGITS, (), 3, 5, "luhn")
    spoken = Expectation(focus="card", slots=(card,))
    # "sixty one five" is 615 or, with the right check digit, 6015.
    assert (is_luhn("615"), is_luhn("6015")) == (False, True)
    assert slots("sixty one five", spoken) == {"card": "6015"}


NAMES = Expectation(
    focus="who",
    slots=(
        SlotSpec(
            "who",
            SlotType.CHOICE,
            tuple(
                Choice(name)
                for name in ("John Smith", "Maria Garcia", "Wei Chen", "Dr. Siobhan O'Neill")
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("john smith", "John Smith"),
        ("smith john", "John Smith"),
        ("mister smith", "John Smith"),
        ("it's maria", "Maria Garcia"),
        ("way chen", "Wei Chen"),
        ("doctor o'neill", "Dr. Siobhan O'Neill"),
        ("the third one", "Wei Chen"),
        ("nobody", None),
    ],
)
def test_names_from_a_list(text: str, who: str | None) -> None:
    assert slots(text, NAMES).get("who") == who


def test_a_part_that_two_names_share_means_neither() -> None:
    two = Expectation(
        focus="who",
        slots=(SlotSpec("who", SlotType.CHOICE, (Choice("Ann Lee"), Choice("Bob Lee"))),),
    )
    assert slots("lee", two) == {}
    assert slots("bob", two) == {"who": "Bob Lee"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "yes",
            "yes|yup|uh-huh|sure thing|why not|that's right|you bet|correct|yes please|of course|"
            "I guess so|mm-hmm|okay|affirmative|please do|sounds good|yes it is|by all means|"
            "that would be great|go for it|roger that|fine by me|perfect|absolutely",
        ),
        (
            "no",
            "no|nope|nah|not really|no way|I don't think so|absolutely not|no thank you|"
            "of course not|negative|I'd rather not|that's not right|wrong|no it isn't|never mind|"
            "I'm afraid not|forget it|yes I mean no|not now|uh-uh",
        ),
        (None, "maybe|I don't know|not sure|I'm not sure|it depends|no idea|perhaps"),
    ],
)
def test_yes_no_and_neither(answer: str | None, said: str) -> None:
    assert {text: value(text, SlotType.YES_NO) for text in said.split("|")} == dict.fromkeys(
        said.split("|"), answer
    )
