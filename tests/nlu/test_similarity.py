import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicebot.nlu.phonetics import SUBSTITUTION, WEIGHT, sounds_of
from voicebot.nlu.similarity import Heard, Hit, Lexicon

pytestmark = pytest.mark.unit


def hits(words: str, text: str) -> list[Hit]:
    heard = text.split()
    return Lexicon(words.split()).hits(Heard(heard, range(len(heard))))


def best_cost(word: str, text: str) -> float | None:
    """Cost per weight of the closest place."""
    found = [hit.cost for hit in hits(word, text)]
    return min(found) / Lexicon([word]).weight[word] if found else None


@pytest.mark.parametrize(
    ("one", "other"),
    [("know", "no"), ("ate", "eight"), ("write", "right"), ("whole", "hole"), ("night", "knight"),
     ("sea", "see")],
)  # fmt: skip
def test_homophones_sound_the_same(one: str, other: str) -> None:
    assert sounds_of(one) == sounds_of(other)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=8))
@example("hajj")
@example("xy")
@example("qy")
def test_whatever_is_spelled_gives_sounds_that_have_a_weight(word: str) -> None:
    assert set(sounds_of(word)) <= set(WEIGHT)


def test_every_sound_has_weight_and_symmetric_costs() -> None:
    for a, row in SUBSTITUTION.items():
        assert WEIGHT[a] > 0
        assert row[a] == 0
        for b, cost in row.items():
            assert cost == SUBSTITUTION[b][a]


@pytest.mark.parametrize(
    ("word", "text"),
    [("mocha", "mocker"), ("skim", "skin"), ("drip", "strip"), ("espresso", "expresso"),
     ("iced", "ice"), ("roast", "rose"), ("americano", "of maricano"), ("triple", "trickle"),
     ("shot", "troubleshot"), ("ounce", "nounce"), ("savings", "saving")],
)  # fmt: skip
def test_mishearings_are_close(word: str, text: str) -> None:
    cost = best_cost(word, text)
    assert cost is not None
    assert cost < 0.35


@pytest.mark.parametrize(
    ("word", "text"),
    [("mocha", "weather"), ("skim", "table"), ("espresso", "account"), ("large", "number"),
     ("operator", "tomorrow"), ("savings", "friday")],
)  # fmt: skip
def test_unrelated_words_are_not_heard(word: str, text: str) -> None:
    assert best_cost(word, text) is None


def test_the_same_spelling_costs_nothing_and_a_homophone_little() -> None:
    assert best_cost("no", "no") == 0
    homophone = best_cost("no", "know")
    assert homophone is not None
    assert 0 < homophone < 0.05


def test_a_stop_word_is_not_easily_stolen() -> None:
    plain = best_cost("mike", "mick")
    stolen = best_cost("mike", "make")
    assert plain is not None
    assert stolen is None or stolen > plain


def test_expected_words_of_any_script_do_no_harm() -> None:
    assert Lexicon(["Ελλάδα", "日本", ""]).hits(Heard(["日本", "x"], [0, 1])) == [
        Hit("日本", 0, 0, 0.0)
    ]
