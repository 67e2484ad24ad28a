import json
import math

import numpy as np
import pytest

from voicebot.asr.confidence import (
    FILE,
    Judgement,
    is_foreign,
    is_invented,
    judge,
    mean_probability,
    read,
    searched,
    shipped,
    unexpected,
)
from voicebot.asr.confidence_features import (
    UTTERANCE_FEATURES,
    WORD_FEATURES,
    Piece,
    Sentence,
    Sound,
    texts_share,
    word_shares,
)
from voicebot.asr.decoder import Decoded
from voicebot.learning.asr_confidence_fit import Observed, as_dict, crossed, figures, fit, truth
from voicebot.learning.asr_confidence_material import half_of

pytestmark = pytest.mark.unit
SOUND = Sound(1.0, -20.0, 30.0)


def sentence(text, probability=0.9, end=0.9, **more):
    words = tuple(text.split())
    log_probs = (math.log(probability),) * len(words)
    decoded = Decoded(tuple(range(len(words))), log_probs, math.log(end), **more)
    return Sentence(words, tuple((at,) for at in range(len(words))), decoded)


def piece(*sentences):
    return Piece(sentences, SOUND)


def test_the_shipped_models_know_every_kind_of_search():
    assert set(shipped()) == {"greedy", "beam", "expected"}


@pytest.mark.parametrize("others", [(), ("hello word",)], ids=["greedy", "beam"])
def test_probable_words_are_surer_than_improbable_ones(others):
    rivals = [sentence(text, 0.15) for text in others]
    sure = judge([piece(sentence("hello world", 0.99, 0.99), *rivals)])
    unsure = judge([piece(sentence("hello world", 0.2, 0.2), *rivals)])
    assert sure.utterance > 0.8
    assert unsure.utterance < sure.utterance - 0.3
    assert all(0 <= low < high <= 1 for low, high in zip(unsure.words, sure.words, strict=True))


def test_beams_that_disagree_make_a_word_unsure():
    first = sentence("my boat is red", 0.8)
    agreed = judge([piece(first, sentence("my boat is red.", 0.79))])
    disputed = judge([piece(first, sentence("my coat is red", 0.79))])
    assert disputed.words[1] < agreed.words[1]
    assert disputed.utterance < agreed.utterance


def test_shares_of_beams():
    same = [sentence("a b", 0.5), sentence("A b.", 0.5), sentence("a c", 0.5), sentence("a", 0.25)]
    assert word_shares(same[:3]) == pytest.approx([1.0, 2 / 3])
    assert texts_share(same[:3]) == pytest.approx(2 / 3)
    assert word_shares([sentence("a b")]) == [1.0, 1.0]


def test_the_search_is_known_by_what_it_left():
    assert searched([piece(sentence("a"))]) == "greedy"
    assert searched([piece(sentence("a"), sentence("b"))]) == "beam"
    assert searched([piece(sentence("a", free_margin=-1.0), sentence("b"))]) == "expected"


def test_nothing_said_is_no_confidence():
    assert judge([]) == Judgement((), 0.0)
    assert judge([piece(sentence(""))]) == Judgement((), 0.0)
    assert len(judge([piece(sentence("")), piece(sentence("yes"))]).words) == 1
    assert mean_probability([]) == 0.0
    assert mean_probability([Decoded((), (), -0.1)]) == 0.0


def test_readings_are_compared_by_the_geometric_mean_with_the_end():
    sure = Decoded((5,), (math.log(0.9),), math.log(0.4))
    assert mean_probability([sure]) == pytest.approx(math.sqrt(0.9 * 0.4))
    cut = Decoded((5,), (math.log(0.5),), None)
    assert mean_probability([sure, cut]) == pytest.approx((0.9 * 0.4 * 0.5) ** (1 / 3))


def test_extreme_probabilities_stay_finite():
    certain = Sentence(("a",), ((0,),), Decoded((1,), (0.0,), 0.0))
    hopeless = Sentence(("a",), ((0,),), Decoded((1,), (-1e4,), None))
    for said in (judge([piece(certain)]), judge([Piece([hopeless], Sound(0.0, -80.0, 0.0))])):
        assert 0 <= said.utterance <= 1
        assert np.isfinite(said.words).all()


def test_only_what_is_wholly_unlikely_counts_as_invented():
    assert is_invented(Judgement((0.1, 0.05), 0.01))
    assert not is_invented(Judgement((0.1, 0.5), 0.01))
    assert not is_invented(Judgement((0.1,), 0.2))


def test_many_words_none_of_them_sure_are_of_another_language():
    unsure = Judgement((0.25,) * 8, 0.1)
    assert is_foreign(unsure, "beam")
    assert not is_foreign(Judgement((0.25,) * 4, 0.1), "beam")  # a name, or a learner
    assert not is_foreign(Judgement((0.25,) * 7 + (0.9,), 0.1), "beam")
    assert not is_foreign(Judgement((0.25,) * 8, 0.6), "beam")
    assert not is_foreign(unsure, "expected")  # letters, where digits are expected
    assert is_foreign(Judgement((0.01, 0.02), 0.1), "expected")
    assert not is_foreign(Judgement((0.01,) * 8, 0.01), "greedy")  # somebody speaks


def test_what_nobody_expects_comes_forward_where_the_expected_is_invented():
    expected = sentence("two one", 0.01, 0.01, bias=9.0, free_margin=-12.0)
    free = sentence("operator", 0.7, 0.8, free_margin=0.0)
    assert is_invented(judge([piece(expected, free)]))
    found = unexpected([piece(expected, free)])
    assert [one.words for one in found[0].sentences] == [("operator",), ("two", "one")]
    hopeless = sentence("hm", 1e-4, 1e-4, free_margin=0.0)
    assert unexpected([piece(expected, hopeless)]) is None  # by any measure invented
    assert unexpected([piece(sentence("yes", 0.98, 0.98, free_margin=0.0), free)]) is None
    assert unexpected([piece(sentence("hm", 1e-4, 1e-4), sentence("he", 1e-4))]) is None
    assert unexpected([]) is None


def test_sound_of_digital_silence_and_of_a_word():
    assert Sound.of(np.zeros(0, np.float32)).seconds == 0
    quiet = np.zeros(16000, np.float32)
    word = quiet.copy()
    word[4000:8000] = 0.1
    assert Sound.of(word).seconds == pytest.approx(0.25, abs=0.05)
    assert Sound.of(word).snr_db > 40


@pytest.mark.parametrize(
    ("heard", "reference", "right", "whole"),
    [
        ("Hello, World.", "hello world", (True, True), True),
        ("hello um word", "hello world", (True, True, False), False),
        ("think engine", "thinkengine", (True, True), True),
        ("yes", "", (False,), False),
        ("one two", "one two three", (True, True), False),
        ("the cat sat", "cat sat", (False, True, True), False),
        ("5", "five", (True,), True),
    ],
)
def test_which_words_were_said(heard, reference, right, whole):
    assert truth(heard.split(), reference) == (right, whole)


def observations(count, part, seed):
    """Right with the probability that the tokens have."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        probability = float(rng.uniform(0.05, 0.99))
        is_right = bool(rng.random() < probability)
        pieces = (piece(sentence("word", probability, 0.9)),)
        yield Observed("words", part, "greedy", pieces, (is_right,), is_right)


def test_a_fit_recovers_the_chances_and_holds_on_what_it_did_not_see(tmp_path):
    seen = [*observations(400, "half 0", 1), *observations(400, "half 1", 2)]
    answered = crossed(seen, ("half 0", "half 1"), seen)
    of_all = figures(answered)
    assert of_all.word_said == pytest.approx(of_all.word_right, abs=0.05)
    assert of_all.word_brier < 0.19  # 0.25 for saying the mean; 1/6 is the best there is
    calibration = fit(seen)
    searches = {search: as_dict(calibration) for search in ("greedy", "beam", "expected")}
    path = tmp_path / "confidence.json"
    path.write_text(json.dumps({"searches": searches}))
    again = read(path)["greedy"]
    one = [piece(sentence("word", 0.7))]
    assert judge(one, again).utterance == pytest.approx(judge(one, calibration).utterance, abs=1e-3)
    assert judge(one, again).words[0] == pytest.approx(0.7, abs=0.1)


def test_parameters_for_other_features_are_refused(tmp_path):
    content = json.loads(FILE.read_text())
    content["searches"]["beam"]["word"]["features"][0] = "phase of the moon"
    path = tmp_path / "confidence.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="asr_confidence"):
        read(path)


def test_features_are_as_many_as_their_names():
    one = next(observations(1, "half 0", 1))
    assert one.features().shape == (1, len(WORD_FEATURES))
    for calibration in shipped().values():
        assert len(calibration.utterance.weights) == len(UTTERANCE_FEATURES)


def test_a_group_belongs_to_one_half():
    halves = {half_of(f"{number:05}") for number in range(50)}
    assert halves == {"half 0", "half 1"}
    assert half_of("00026") == half_of("00026")


def test_a_long_loop_that_is_sure_of_itself_is_no_answer():
    loop = sentence("that's it " * 12, 0.99, 0.99, free_margin=20.0)
    free = sentence("Ola buenos tardes quixia revel souls", 0.15, 0.1, free_margin=0.0)
    judged = judge([piece(loop, free)])
    assert judged.utterance < 0.3
    assert is_invented(judged) or max(judged.words) < 0.5


def test_a_grammar_makes_no_answer_of_what_nobody_said():
    expected = sentence("yes", 0.97, 0.97, free_margin=-1.0)
    heard = sentence("yes", 0.97, 0.97, free_margin=0.0)
    nothing = sentence("quixia revel souls", 0.02, 0.02, free_margin=0.0)
    assert judge([piece(heard)]).utterance > 0.8
    judged = judge([piece(expected, nothing)])
    assert is_invented(judged)
    assert unexpected([piece(expected, nothing)]) is None


def test_what_comes_forward_is_the_free_reading_however_probable_a_loop_is():
    loop = sentence("no no no no no no no no", 0.05, 0.01, free_margin=-9.0)
    better = sentence("oh no oh no oh no", 0.5, 0.5, free_margin=-3.0, bias=-30.0)
    free = sentence("operator", 0.45, 0.6, free_margin=0.0)
    assert is_invented(judge([piece(loop, better, free)]))
    found = unexpected([piece(loop, better, free)])
    assert found is not None
    assert found[0].sentences[0].words == ("operator",)


def test_one_word_that_may_be_right_does_not_save_a_long_invention():
    assert is_invented(Judgement((0.3, *[0.05] * 20), 0.01))
    assert not is_invented(Judgement((0.9, 0.05, 0.05), 0.01))
