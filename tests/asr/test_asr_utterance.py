import numpy as np
import pytest
import soxr

from voicebot.asr.utterance import (
    COMFORTABLE_SAMPLES,
    FRAME,
    WINDOW_SAMPLES,
    frame_levels,
    is_audible,
    noise_floor,
    prepare,
    set_in_quiet,
    split,
    spread,
)

pytestmark = pytest.mark.unit
RATE = 16000


def noise(seconds, rms, seed=0):
    return np.random.default_rng(seed).normal(0, rms, int(seconds * RATE)).astype(np.float32)


def syllables(seconds, rms=0.1, seed=0):
    """Noise that comes and goes four times a second, as speech does."""
    swell = np.sin(np.pi * 4 * np.arange(int(seconds * RATE)) / RATE) ** 4
    return (noise(seconds, rms, seed) * swell + noise(seconds, 0.001, seed + 1)).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(RATE, np.float32),
        noise(0.05, 0.1),
        noise(2, 10 ** (-60 / 20)),
        noise(2, 0.05),
        soxr.resample(noise(1, 0.05), 8000, RATE),
        np.sin(np.arange(RATE) * 0.2).astype(np.float32),
        np.eye(1, RATE, 8000, dtype=np.float32)[0],
        np.full(RATE, np.nan, np.float32),
        np.full(RATE, np.inf, np.float32),
        np.zeros((2, RATE), np.float32),
    ],
    ids=[
        "empty",
        "zeros",
        "50 ms",
        "faint",
        "white noise",
        "telephone noise",
        "tone",
        "click",
        "nan",
        "inf",
        "two channels",
    ],
)
def test_nothing_to_hear(samples):
    assert prepare(samples) == []


def test_speech_passes_unchanged():
    speech = syllables(3)
    [piece] = prepare(speech)
    assert np.array_equal(piece, np.clip(speech, -1, 1))


def test_faulty_samples_become_zero_and_the_input_stays_as_it_was():
    speech = syllables(3)
    speech[100], speech[200], speech[300] = np.nan, np.inf, 5.0
    before = speech.copy()
    [piece] = prepare(speech)
    assert (piece[100], piece[200], piece[300]) == (0.0, 0.0, 1.0)
    assert np.array_equal(speech, before, equal_nan=True)


def test_int16_like_lists_and_doubles_are_accepted():
    assert prepare(syllables(2).astype(np.float64))[0].dtype == np.float32


def test_long_audio_is_cut_where_it_is_quiet():
    speech = syllables(47)
    pause = slice(int(17.0 * RATE), int(17.6 * RATE))
    speech[pause] = noise(0.6, 1e-4)
    pieces = split(speech)
    assert np.array_equal(np.concatenate(pieces), speech)
    assert all(len(piece) <= WINDOW_SAMPLES for piece in pieces)
    assert pause.start < len(pieces[0]) < pause.stop


def test_a_short_answer_lies_in_the_middle_of_its_own_quiet():
    word = syllables(0.4)
    set_in = set_in_quiet(word)
    before = (COMFORTABLE_SAMPLES - len(word)) // 2
    assert len(set_in) == COMFORTABLE_SAMPLES
    assert np.array_equal(set_in[before : before + len(word)], word)
    assert np.std(set_in[:before]) == pytest.approx(noise_floor(word), rel=0.1)
    assert np.array_equal(set_in, set_in_quiet(word))


def test_digital_silence_around_a_short_answer_is_filled():
    quiet = np.zeros(RATE // 5, np.float32)
    set_in = set_in_quiet(np.concatenate([quiet, syllables(0.4), quiet]))
    assert np.count_nonzero(set_in == 0) == 0
    assert noise_floor(np.zeros(RATE, np.float32)) == 0.0


def test_a_quiet_caller_is_heard():
    assert is_audible(syllables(1, rms=0.02))


@pytest.mark.parametrize("count", [1, 2, 7, 75, 500])
def test_the_spread_of_levels_is_that_of_percentiles(count):
    levels = np.random.default_rng(count).uniform(0, 0.3, count).astype(np.float32)
    assert spread(levels) == pytest.approx(np.percentile(levels, [10, 95]), rel=1e-6)


def test_levels_are_root_mean_squares():
    samples = np.random.default_rng(3).normal(0, 0.1, 10 * FRAME + 5).astype(np.float32)
    whole = samples[: 10 * FRAME].reshape(10, FRAME).astype(np.float64)
    levels = frame_levels(samples)
    assert levels.dtype == np.float32
    assert levels == pytest.approx(np.sqrt((whole**2).mean(axis=1)), rel=1e-5)
