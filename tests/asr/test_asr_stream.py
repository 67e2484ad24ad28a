import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.asr.stream import LocalAgreement
from voicebot.events import Alternative, Hypothesis, Word

pytestmark = pytest.mark.unit


def heard(text: str, confidence: float = 0.9, **fields: object) -> Hypothesis:
    words = tuple(Word(word, confidence) for word in text.split())
    return Hypothesis(text, words, confidence, **fields)  # type: ignore[arg-type]


def test_words_become_stable_when_two_partials_agree_on_more_than_their_last():
    stream = LocalAgreement()
    assert stream.apply(heard("I would")).stable_words == 0
    assert stream.apply(heard("I would like")).stable_words == 1
    assert stream.apply(heard("I would like two")).stable_words == 2
    assert stream.stable == ("I", "would")


def test_doubtful_words_do_not_become_stable():
    stream = LocalAgreement()
    for confidence in (0.9, 0.3, 0.9):
        assert stream.apply(heard("a large latte", confidence)).stable_words == 0
    assert stream.apply(heard("a large latte")).stable_words == 2


def test_a_word_that_is_still_spelled_in_two_ways_is_not_stable():
    stream = LocalAgreement()
    stream.apply(heard("Yes. I"))
    assert stream.apply(heard("Yes, please do")).stable_words == 0
    assert stream.apply(heard("Yes, please do it")).stable_words == 2


def test_a_partial_that_contradicts_is_made_to_keep_the_promise():
    stream = LocalAgreement()
    stream.apply(heard("a large latte and"))
    stream.apply(heard("a large latte and"))
    contradicting = stream.apply(heard("the large latte and tea"))
    assert contradicting.text == "a large latte and tea"
    assert contradicting.stable_words == 3
    shorter = stream.apply(heard("a"))
    assert (shorter.text, shorter.stable_words) == ("a large latte", 3)
    assert stream.apply(Hypothesis("")).text == "a large latte"


def test_the_final_keeps_the_promise_and_its_own_reading_as_an_alternative():
    stream = LocalAgreement()
    for _ in range(2):
        stream.apply(heard("transfer too hundred"))
    own = heard("Transfer to a hundred dollars.", 0.8)
    own = Hypothesis(own.text, own.words, 0.8, (Alternative(own.text, 0.8),), is_final=True)
    final = stream.settle(own)
    assert final.text == "transfer too a hundred dollars."
    assert final.stable_words == len(final.words) == 5
    assert [other.text for other in final.nbest] == [final.text, own.text]
    assert final.is_final


def test_a_final_that_agrees_is_left_as_it_is():
    stream = LocalAgreement()
    for _ in range(2):
        stream.apply(heard("a large latte"))
    assert stream.settle(heard("a large tea")) == heard("a large tea", stable_words=3)


def test_where_nothing_is_stable_nothing_is_touched():
    stream = LocalAgreement()
    assert stream.settle(Hypothesis("")) == Hypothesis("")
    no_words = Hypothesis("from elsewhere", confidence=0.5)
    assert stream.settle(no_words) == no_words


def test_an_empty_final_is_what_was_promised():
    stream = LocalAgreement()
    for _ in range(2):
        stream.apply(heard("account balance please", 0.7))
    final = stream.settle(Hypothesis("", is_final=True))
    assert final.text == "account balance"
    assert final.nbest[0].text == final.text
    assert final.confidence == 0.7


def test_words_keep_later_times_where_only_the_spelling_is_held():
    stream = LocalAgreement()
    for _ in range(2):
        stream.apply(heard("Yes. please"))
    timed = Hypothesis("Yes, please", (Word("Yes,", 0.8, 10, 20), Word("please", 0.8, 20, 40)))
    assert stream.settle(timed).words == (Word("Yes.", 0.8, 10, 20), Word("please", 0.8, 20, 40))


def timed(text: str) -> Hypothesis:
    words = tuple(Word(word, 0.8, 100 * at, 100 * at + 80) for at, word in enumerate(text.split()))
    return Hypothesis(text, words, 0.8, is_final=True)


@pytest.mark.parametrize(
    ("promised", "final", "times"),
    [
        # One of three differs: the others keep theirs, and it has that of what stands there.
        ("a large latte", "a large lotto please", [(0, 80), (100, 180), (200, 280), (300, 380)]),
        # One too many: it shares the time of the word before.
        ("a very large", "a large tea", [(0, 50), (50, 100), (100, 180), (200, 280)]),
        # One too few: what comes in its place is the first and last of the words there.
        (
            "a tenfold big latte",
            "a ten fold big latte",
            [(0, 80), (100, 280), (300, 380), (400, 480)],
        ),
        # A word more in the final: it is not promised, and has no part in what is.
        (
            "a large latte please",
            "a large oat latte please",
            [(0, 80), (100, 180), (300, 380), (400, 480)],
        ),
        ("oh a", "a b", [(0, 40), (40, 80), (100, 180)]),
    ],
)
def test_each_word_of_a_spliced_final_has_its_time(promised, final, times):
    stream = LocalAgreement(hold_back=0)
    for _ in range(2):
        stream.apply(heard(promised))
    settled = stream.settle(timed(final))
    assert settled.text.startswith(promised)
    assert [(word.start_at, word.end_at) for word in settled.words] == times


def test_reset_forgets():
    stream = LocalAgreement()
    stream.apply(heard("one two"))
    stream.apply(heard("one two"))
    stream.reset()
    assert stream.stable == ()
    assert stream.apply(heard("one two")).stable_words == 0


def test_three_may_have_to_agree():
    stream = LocalAgreement(agree=3)
    assert [stream.apply(heard("one two")).stable_words for _ in range(3)] == [0, 0, 1]


words = st.builds(
    Word,
    st.sampled_from(["a", "A", "a.", "b", "c", "--"]),
    st.sampled_from([0.2, 0.5, 0.9]),
)
hypotheses = st.lists(words, max_size=6).map(
    lambda said: Hypothesis(" ".join(word.text for word in said), tuple(said), 0.5)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(hypotheses, max_size=8), hypotheses, st.integers(1, 3), st.integers(0, 2))
def test_a_stable_word_never_changes_in_a_later_partial_or_the_final(partials, last, agree, hold):
    stream = LocalAgreement(agree, hold_back=hold)
    promised: list[str] = []
    for partial in partials:
        shown = stream.apply(partial)
        texts = [word.text for word in shown.words]
        assert shown.text == " ".join(texts)
        assert shown.stable_words >= len(promised)
        assert texts[: len(promised)] == promised
        promised = texts[: shown.stable_words]
        assert len(promised) == shown.stable_words
    final = stream.settle(last)
    assert [word.text for word in final.words][: len(promised)] == promised
    assert final.stable_words == len(final.words)


@settings(max_examples=400, deadline=None)
@given(hypotheses, hypotheses)
def test_a_spliced_final_has_all_times_in_order(promise, last):
    stream = LocalAgreement(hold_back=0, least_confidence=0)
    for _ in range(2):
        stream.apply(promise)
    final = stream.settle(timed(last.text))
    times = [(word.start_at, word.end_at) for word in final.words]
    if last.words:
        assert all(begin < end for begin, end in times)
        assert times == sorted(times)
        assert times[-1][1] <= 100 * len(last.words)
