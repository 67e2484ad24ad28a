import numpy as np
import pytest

from voicebot.audio.pcm import to_float, to_int16

pytestmark = pytest.mark.unit


def test_every_sample_survives_the_round_trip() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    floats = to_float(samples)
    assert floats.dtype == np.float32
    assert (floats.min(), floats.max()) == (-1.0, 32767 / 32768)
    assert np.array_equal(to_int16(floats), samples)


def test_full_scale_is_clipped_and_shape_kept() -> None:
    loud = np.array([[1.0, -1.0], [7.5, -7.5]], np.float32)
    assert to_int16(loud).tolist() == [[32767, -32768], [32767, -32768]]


def test_rounds_to_the_nearest() -> None:
    assert to_int16(np.array([0.6, -0.6, 0.4], np.float32) / 32768).tolist() == [1, -1, 0]
