"""Hums of a batch are those that each is alone."""

import numpy as np
import pytest

from voicebot.audio.pcm import to_float
from voicebot.engine.hums import are_steady
from voicebot.turns.articulation import is_steady

pytestmark = pytest.mark.unit


def sounds(count: int) -> list[np.ndarray]:
    """Hums that glide and swell, noise, syllables, silence after a while; of all lengths."""
    rng, found = np.random.default_rng(0), []
    for index in range(count):
        length = int(rng.integers(100, 24000))
        at = np.arange(length) / 8000
        pitch = rng.uniform(90, 250) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(0.3, 2) * at))
        phase = 2 * np.pi * np.cumsum(pitch) / 8000
        sound = sum(
            np.sin(number * phase) * 10 ** (-number * rng.uniform(0.2, 1)) for number in range(1, 8)
        )
        sound = sound * 8000 * rng.uniform(0.05, 1)
        if index % 4 == 1:
            sound = rng.normal(0, 2000, length)
        if index % 4 == 2:
            sound = rng.normal(0, 2000, length) * np.repeat(rng.uniform(0.02, 1, 60), 400)[:length]
        if index % 4 == 3:
            sound[length // 2 :] *= 0.01
        found.append((sound + rng.normal(0, 5, length)).clip(-32768, 32767).astype(np.int16))
    tone = (3000 * np.sin(np.arange(8000) * 2 * np.pi * 1800 / 8000)).astype(np.int16)
    return [*found, tone, np.zeros(0, np.int16), np.zeros(4000, np.int16)]


def test_a_batch_tells_what_each_tells_alone():
    spans = sounds(160)
    least = [300.0 if index % 2 else 400.0 for index in range(len(spans))]
    expected = [is_steady(to_float(span), ms) for span, ms in zip(spans, least, strict=True)]
    assert are_steady(spans, least).tolist() == expected
    assert 20 < sum(expected) < 120


def test_of_nothing_nothing():
    assert are_steady([], []).tolist() == []
