"""Whether English was spoken."""

import numpy as np
import pytest

from voicebot.asr import checkpoint, language
from voicebot.asr.confidence import Logistic
from voicebot.asr.moonshine import Dimensions

pytestmark = pytest.mark.unit
WIDTH = 4


def model(bias: float, weight: float = 0.0) -> Logistic:
    """Of the mean of the first channel."""
    weights = np.zeros(2 * WIDTH)
    weights[0] = weight
    return Logistic(np.zeros(2 * WIDTH), np.ones(2 * WIDTH), weights, bias)


def test_mean_and_spread_of_the_frames_decide() -> None:
    frames = np.arange(12, dtype=np.float32).reshape(3, WIDTH)
    found = language.statistics(frames)
    assert found[:WIDTH].tolist() == [4, 5, 6, 7]
    assert found[WIDTH:] == pytest.approx(np.sqrt(32 / 3))
    assert language.is_foreign(frames, model(-8, 4.0))
    assert not language.is_foreign(frames, model(-20, 4.0))
    assert not language.is_foreign(frames[:0], model(9))


def test_the_shipped_parameters_fit_the_shipped_network() -> None:
    shipped = language.shipped()
    assert shipped is not None
    assert len(shipped.weights) == len(shipped.mean) == 2 * Dimensions().width
    assert checkpoint.SHIPPED.parent == language.FILE.parent


@pytest.mark.parametrize("seconds", [3, 45])
def test_only_what_is_doubtful_is_given_up(recogniser, monkeypatch, seconds) -> None:
    """Whatever it sounds like; speech of more than one piece too."""
    rng = np.random.default_rng(0)
    hum = np.sin(np.arange(16000 * seconds) / 20) * (1 + np.sin(np.arange(16000 * seconds) / 2000))
    sound = (0.1 * hum + 0.02 * rng.standard_normal(len(hum))).astype(np.float32)
    before = recogniser.transcribe([sound], nbest=3)[0]
    wide = Logistic(*(np.zeros(2 * 288), np.ones(2 * 288), np.zeros(2 * 288)), 9.0)
    monkeypatch.setattr(recogniser, "_language", wide)
    monkeypatch.setattr(language, "DOUBTFUL", before.confidence)
    assert recogniser.transcribe([sound], nbest=3)[0].text == before.text
    monkeypatch.setattr(language, "DOUBTFUL", 1.1)
    assert recogniser.transcribe([sound], nbest=3)[0].text == ""
    assert recogniser.transcribe([sound])[0] == recogniser.transcribe([sound], nbest=1)[0]
