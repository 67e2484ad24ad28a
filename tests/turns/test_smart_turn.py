"""The features against Pipecat's own, and the net on what it should tell apart."""

import numpy as np
import pytest
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

from voicebot.errors import ModelUnavailable
from voicebot.turns import smart_turn
from voicebot.turns.smart_turn import WINDOW_SAMPLES, SmartTurn, log_mel

pytestmark = pytest.mark.unit


def sounds(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(WINDOW_SAMPLES) / 16000
    tone = np.sin(2 * np.pi * 180 * time) * (time > 5) * (time < 7.8)
    return (0.2 * tone + random.normal(0, 0.01, WINDOW_SAMPLES)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> SmartTurn:
    return SmartTurn()


def test_features_are_those_of_the_wheel() -> None:
    rows = np.stack([sounds(0), sounds(1), np.zeros(WINDOW_SAMPLES, np.float32)])
    ours = log_mel(rows)
    assert ours.shape == (3, 80, 800)
    for row, features in zip(rows, ours, strict=True):
        np.testing.assert_allclose(features, compute_whisper_log_mel_features(row), atol=1e-4)


def test_a_batch_gives_what_each_gives_alone(net: SmartTurn) -> None:
    batch = [sounds(0)[-40000:], sounds(1)]
    together = net.probabilities(batch)
    alone = [net.probabilities([one])[0] for one in batch]
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-3)
    assert ((together >= 0) & (together <= 1)).all()


def test_only_the_last_eight_seconds_count(net: SmartTurn) -> None:
    longer = np.concatenate((sounds(3), sounds(1)))
    np.testing.assert_array_equal(net.probabilities([longer]), net.probabilities([sounds(1)]))


def test_telephone_rate(net: SmartTurn) -> None:
    slow = sounds(0)[::2]  # everything in it lies below 4 kHz, but for noise
    assert net.probabilities([slow], 8000)[0] == pytest.approx(
        net.probabilities([sounds(0)])[0], abs=0.2
    )
    with pytest.raises(ValueError, match="11025"):
        net.probabilities([slow], 11025)


def test_bad_audio_is_no_exception(net: SmartTurn) -> None:
    broken = np.full(16000, np.nan, np.float32)
    found = net.probabilities([np.zeros(0, np.float32), broken, np.ones(99, np.float32)], 8000)
    assert np.isfinite(found).all()
    assert len(net.probabilities([])) == 0


def test_without_the_wheel_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smart_turn, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'pipecat-ai"):
        SmartTurn()
