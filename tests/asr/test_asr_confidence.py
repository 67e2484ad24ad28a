import math

import pytest

from voicebot.asr.confidence import utterance_confidence, word_confidence
from voicebot.asr.decoder import Decoded

pytestmark = pytest.mark.unit


def test_a_word_is_as_sure_as_its_least_sure_token():
    assert word_confidence([math.log(0.9), math.log(0.4)]) == pytest.approx(0.4)


def test_an_utterance_is_the_geometric_mean_with_its_end():
    sure = Decoded((5,), (math.log(0.9),), math.log(0.4))
    assert utterance_confidence([sure]) == pytest.approx(math.sqrt(0.9 * 0.4))
    cut = Decoded((5,), (math.log(0.5),), None)
    assert utterance_confidence([sure, cut]) == pytest.approx((0.9 * 0.4 * 0.5) ** (1 / 3))


def test_nothing_said_is_no_confidence():
    assert utterance_confidence([]) == 0.0
    assert utterance_confidence([Decoded((), (), -0.1)]) == 0.0
