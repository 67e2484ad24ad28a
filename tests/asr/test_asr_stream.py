import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.asr.stream import LocalAgreement
from voicebot.events import Hypothesis, Word

pytestmark = pytest.mark.unit


def partial(text: str) -> Hypothesis:
    return Hypothesis(text, tuple(Word(word, 0.9) for word in text.split()))


def test_words_become_stable_when_two_partials_agree():
    stream = LocalAgreement()
    assert stream.update(["I", "would"]) == ()
    assert stream.update(["I", "would", "like"]) == ("I", "would")
    assert stream.update(["I", "wood", "like", "two"]) == ("I", "would")
    assert stream.update(["I", "would", "like", "two", "coffees"]) == ("I", "would")
    everything = stream.update(["I", "would", "like", "two", "coffees", "please"])
    assert everything == ("I", "would", "like", "two", "coffees")


def test_case_and_punctuation_do_not_unsettle():
    stream = LocalAgreement()
    stream.update(["Yes."])
    assert stream.update(["Yes,", "please."]) == ("Yes,",)


def test_apply_counts_the_partial_s_own_words():
    stream = LocalAgreement()
    assert stream.apply(partial("a large")).stable_words == 0
    assert stream.apply(partial("a large latte")).stable_words == 2
    contradicting = stream.apply(partial("the large latte"))
    assert contradicting.stable_words == 0
    assert contradicting.text == "the large latte"
    assert stream.stable == ("a", "large")


def test_reset_forgets():
    stream = LocalAgreement()
    stream.update(["one"])
    stream.update(["one"])
    stream.reset()
    assert stream.stable == ()
    assert stream.update(["one"]) == ()


def test_three_may_have_to_agree():
    stream = LocalAgreement(agree=3)
    assert [stream.update(["one"]) for _ in range(3)] == [(), (), ("one",)]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=8))
def test_the_stable_prefix_never_shrinks_or_changes(partials):
    stream = LocalAgreement()
    before: tuple[str, ...] = ()
    for words in partials:
        after = stream.update(words)
        assert after[: len(before)] == before
        before = after
