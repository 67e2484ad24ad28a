import numpy as np
import pytest

from voicebot.audio.resample import Upsampler2, resample

pytestmark = pytest.mark.unit

DELAY = 2 * Upsampler2.DELAY_SAMPLES


def sine(hz: float, rate: int, length: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(length) / rate).astype(np.float32)


def by_chunks(up: Upsampler2, slot: int, samples: np.ndarray, size: int) -> np.ndarray:
    pieces = [samples[None, i : i + size] for i in range(0, len(samples), size)]
    return np.concatenate([up.process(np.array([slot]), piece)[0] for piece in pieces])


@pytest.mark.parametrize(
    ("hz", "error_db"), [(100, -60), (1000, -60), (3000, -60), (3400, -55), (3600, -50)]
)
def test_telephone_band_passes_and_images_vanish(hz: float, error_db: float) -> None:
    doubled = by_chunks(Upsampler2(1), 0, sine(hz, 8000, 8000), 160)
    expected = np.concatenate((np.zeros(DELAY), sine(hz, 16000, 16000)))[:16000]
    error = (doubled - expected)[400:]
    assert 10 * np.log10((error**2).mean() / (expected[400:] ** 2).mean()) < error_db


def test_original_samples_pass_unchanged() -> None:
    noise = np.random.default_rng(1).standard_normal(960).astype(np.float32)
    doubled = by_chunks(Upsampler2(1), 0, noise, 160)
    assert np.array_equal(doubled[DELAY::2], noise[: len(doubled[DELAY::2])])


@pytest.mark.parametrize("size", [1, 7, 160, 256, 960])
def test_chunk_length_does_not_matter(size: int) -> None:
    noise = np.random.default_rng(2).standard_normal(960).astype(np.float32)
    whole = by_chunks(Upsampler2(1), 0, noise, 960)
    assert np.allclose(by_chunks(Upsampler2(1), 0, noise, size), whole, atol=1e-6)


def test_calls_do_not_hear_each_other() -> None:
    rng = np.random.default_rng(3)
    calls = rng.standard_normal((4, 640)).astype(np.float32)
    together, slots = Upsampler2(8), np.array([6, 1, 3, 0])
    for start in range(0, 640, 160):
        batch = together.process(slots, calls[:, start : start + 160])
    for row in range(4):
        alone = by_chunks(Upsampler2(1), 0, calls[row], 160)[-320:]
        assert np.allclose(batch[row], alone, atol=1e-6)


def test_reset_forgets_only_its_slot() -> None:
    noise = np.random.default_rng(4).standard_normal((2, 160)).astype(np.float32)
    up, slots = Upsampler2(2), np.array([0, 1])
    up.process(slots, noise)
    up.reset(0)
    after = up.process(slots, np.zeros((2, 160), np.float32))
    assert not after[0].any()
    assert after[1].any()


def test_resample_keeps_length_and_pitch() -> None:
    out = resample(sine(440, 44100, 44100), 44100, 8000)
    assert out.dtype == np.float32
    assert len(out) == 8000
    assert np.abs(out - sine(440, 8000, 8000))[100:-100].max() < 1e-3


def test_resample_removes_what_would_alias() -> None:
    out = resample(sine(5000, 16000, 16000), 16000, 8000)
    assert np.abs(out[100:-100]).max() < 1e-3


def test_resample_edges() -> None:
    assert len(resample(np.zeros(0, np.float32), 16000, 8000)) == 0
    same = sine(440, 8000, 100)
    assert np.array_equal(resample(same, 8000, 8000), same)
    with pytest.raises(ValueError, match="positive"):
        resample(same, 0, 8000)
