import pytest

from voicebot.nlu.text import MAX_TOKENS, cardinal_words, tokenize

pytestmark = pytest.mark.unit


def spoken(text: str) -> str:
    return " ".join(word for token in tokenize(text) for word in token.words)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("12-ounce, Double-Shot!", "twelve ounce double shot"),
        ("$15.50", "fifteen point five zero dollars"),
        ("1,250", "one thousand two hundred fifty"),
        ("May 3rd and the 21st", "may third and the twenty first"),
        ("2:30 p.m.", "two thirty pm"),
        ("0042", "zero zero four two"),
        ("Café crème, I’d like", "cafe creme i'd like"),
        ("U.S.", "u s"),
        ("", ""),
        ("…?!", ""),
    ],
)
def test_recogniser_text_becomes_spoken_words(written: str, words: str) -> None:
    assert spoken(written) == words


def test_pauses_and_the_written_form_are_kept() -> None:
    first, second = tokenize("No, SAVINGS")
    assert first.breaks_after
    assert not second.breaks_after
    assert second.raw == "SAVINGS"


def test_endless_text_is_cut() -> None:
    assert len(tokenize("word " * 10_000)) == MAX_TOKENS
    assert tokenize("9" * 10_000)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (42, "forty two"), (105, "one hundred five"),
     (999_999, "nine hundred ninety nine thousand nine hundred ninety nine")],
)  # fmt: skip
def test_cardinal_words(number: int, words: str) -> None:
    assert " ".join(cardinal_words(number)) == words
