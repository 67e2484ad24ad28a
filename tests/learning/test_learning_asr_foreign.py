"""Speech that is not English among what the confidence is fitted to."""

import math

import numpy as np
import pytest

from voicebot.asr.confidence_features import Piece, Sentence, Sound
from voicebot.asr.decoder import Decoded
from voicebot.learning import asr_confidence_foreign
from voicebot.learning.asr_channel import Chain, Telephone
from voicebot.learning.asr_confidence_fit import Observed, answers, fit

pytestmark = pytest.mark.unit


def test_it_is_spoken_and_carried_by_telephones() -> None:
    found = list(asr_confidence_foreign.spoken(3, Telephone(Chain(), [], [])))
    for samples in found:
        assert samples.dtype == np.float32
        assert 16_000 < len(samples) < 16_000 * 15
        assert np.abs(samples).max() > 0.01


def observed(kind: str, probability: float, is_right: bool) -> Observed:
    decoded = Decoded((1,), (math.log(probability),), math.log(0.9))
    piece = Piece([Sentence(("word",), ((0,),), decoded)], Sound(1.0, -20.0, 30.0))
    return Observed(kind, "sounds", "beam", (piece,), (is_right,), is_right)


def test_what_it_weighs_decides_how_readily_words_are_doubted() -> None:
    rng = np.random.default_rng(1)
    seen = [observed("words", float(rng.uniform(0.3, 0.9)), True) for _ in range(60)]
    seen += [observed("words", float(rng.uniform(0.1, 0.5)), False) for _ in range(40)]
    seen += [observed("foreign", float(rng.uniform(0.3, 0.9)), False) for _ in range(60)]
    one = observed("words", 0.7, True)
    said = [answers(one, fit(seen, weight))[0][0] for weight in (0.0, 0.25, 1.0)]
    assert said[0] > said[1] > said[2]
