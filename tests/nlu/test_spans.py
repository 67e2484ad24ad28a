"""Values marked in example sentences are found in others."""

import pytest

from voicebot.errors import UserMistake
from voicebot.nlu.spans import MarkedSentence, Span, SpanTagger, fit_spans

pytestmark = pytest.mark.unit

NAMES = ("Anna Bell", "Tom Archer", "Lucy Hart", "Ravi Patel", "Jon Snow", "Eva Lund")
FRAMES = ("my name is {}", "it is under {} please", "a table for {n} under {}", "{}")


def marked(frame: str, name: str, number: int) -> MarkedSentence:
    text = frame.replace("{n}", str(number)).replace("{}", name)
    first = name.split()[0]
    start = text.index(name)
    spans = [
        Span(start, start + len(first), "first_name"),
        Span(start + len(first) + 1, start + len(name), "last_name"),
    ]
    if "{n}" in frame:
        at = text.index(str(number))
        spans.append(Span(at, at + len(str(number)), "people"))
    asked = ("first_name", "last_name") if frame == "{}" else ()
    return MarkedSentence(text, tuple(sorted(spans)), asked)


EXAMPLES = [
    *(marked(f, name, n) for n, name in enumerate(NAMES, 2) for f in FRAMES),
    *(MarkedSentence(text) for text in ("yes please", "is there parking", "that is correct")),
    *(MarkedSentence(str(n), (Span(0, 1, "people"),), ("people",)) for n in range(2, 8)),
]


@pytest.fixture(scope="module")
def tagger() -> SpanTagger:
    return fit_spans(EXAMPLES)


def found(tagger: SpanTagger, text: str, *asked: str) -> dict[str, str]:
    return {s.slot: text[s.start : s.end] for s in tagger.tag(text, asked)}


def test_new_values_are_found_by_what_stands_around_them(tagger: SpanTagger) -> None:
    text = "a table for 9 under Gerda Quist"
    assert found(tagger, text) == {"people": "9", "first_name": "Gerda", "last_name": "Quist"}


def test_the_question_tells_what_a_bare_answer_is(tagger: SpanTagger) -> None:
    assert found(tagger, "9", "people") == {"people": "9"}
    assert found(tagger, "Mia Holm", "first_name", "last_name") == {
        "first_name": "Mia",
        "last_name": "Holm",
    }


@pytest.mark.parametrize("text", ["", " ", "yes please", "???", "🙂", "is there parking"])
def test_where_nothing_is_nothing_is_found(tagger: SpanTagger, text: str) -> None:
    assert tagger.tag(text) == ()


def test_spans_lie_in_the_text_whatever_it_is(tagger: SpanTagger) -> None:
    for text in ("Müller, Straße 7\n", "a" * 5000, "7 " * 500, "'''", "name: Ünal Öz"):
        for span in tagger.tag(text, ("people", "no such slot")):
            assert 0 <= span.start < span.end <= len(text)


def test_nothing_marked_nothing_learned() -> None:
    with pytest.raises(UserMistake, match="no example marks"):
        fit_spans([MarkedSentence("hello")])


def test_names_are_found_without_their_capitals(tagger: SpanTagger) -> None:
    text = "a table for 9 under gerda quist"
    assert found(tagger, text) == {"people": "9", "first_name": "gerda", "last_name": "quist"}
