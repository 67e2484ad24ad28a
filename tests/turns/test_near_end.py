"""The detector of the caller in the bot's echo: shapes, slots, state, damaged input and files."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.errors import ModelUnavailable
from voicebot.turns.near_end import MODEL_PATH, NearEndDetector, load_weights
from voicebot.turns.near_end_features import (
    BANDS,
    EARLIER_LAGS,
    FEATURES,
    LATER_LAGS,
    WINDOW_SAMPLES,
    NearEndFeatures,
    Windows,
)

pytestmark = pytest.mark.unit

Sound = NDArray[np.float32]
MATCH = slice(10 * BANDS, 10 * BANDS + LATER_LAGS + EARLIER_LAGS)
ROWS = tuple(field.name for field in fields(Windows))


def windows(rows: int, seed: int, level: float = 0.1) -> Windows:
    """Of `rows` calls, noise."""
    rng = np.random.default_rng(seed)
    sound = (level * rng.standard_normal((4, rows, WINDOW_SAMPLES))).astype(np.float32)
    return Windows(
        *sound,
        speech=rng.random(rows, np.float32),
        residual_db=rng.uniform(-60, -20, rows).astype(np.float32),
        delay=rng.integers(-1, 9000, rows),
        is_locked=rng.random(rows) < 0.5,
        is_verified=rng.random(rows) < 0.5,
        settled_ms=rng.integers(0, 9000, rows).astype(np.int32),
    )


def heard(near: Sound, clean: Sound, sent: Sound, delay: int = 0, speech: float = 1.0) -> Windows:
    """The same in all calls but for the sound; what is sent is heard `delay` windows later."""
    rows = len(near)
    return Windows(
        near=near,
        clean=clean,
        far=sent if delay == 0 else np.zeros_like(sent),
        sent=sent,
        speech=np.full(rows, speech, np.float32),
        residual_db=np.zeros(rows, np.float32),
        delay=np.full(rows, delay * WINDOW_SAMPLES),
        is_locked=np.ones(rows, np.bool_),
        is_verified=np.ones(rows, np.bool_),
        settled_ms=np.full(rows, 1000, np.int32),
    )


def rows_of(window: Windows, rows: NDArray[np.intp]) -> Windows:
    return Windows(**{name: getattr(window, name)[rows] for name in ROWS})


def test_a_probability_for_each_call() -> None:
    detector = NearEndDetector(8)
    found = detector.probabilities(np.array([5, 1, 3]), windows(3, 1))
    assert found.shape == (3,)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_no_calls_no_probabilities() -> None:
    found = NearEndDetector(2).probabilities(np.zeros(0, np.intp), windows(0, 1))
    assert found.shape == (0,)


def test_calls_do_not_hear_each_other() -> None:
    """A call gives the same whether it is alone or with others, in whatever order."""
    together, alone = NearEndDetector(4), NearEndDetector(4)
    for at in range(20):
        window = windows(3, at)
        found = together.probabilities(np.array([2, 0, 3]), window)
        single = alone.probabilities(np.array([1]), rows_of(window, np.array([1])))
        np.testing.assert_allclose(found[1], single[0], rtol=1e-4, atol=1e-6)


def test_reset_forgets_the_call() -> None:
    detector, slots = NearEndDetector(2), np.array([0, 1])
    first = [detector.probabilities(slots, windows(2, at)) for at in range(5)]
    detector.reset(0)
    again = [detector.probabilities(slots, windows(2, at)) for at in range(5)]
    np.testing.assert_array_equal([p[0] for p in first], [p[0] for p in again])
    assert not np.array_equal([p[1] for p in first], [p[1] for p in again])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e20])
def test_a_damaged_window_does_not_stick(poison: float) -> None:
    """Whatever a filter upstream produces, later windows are judged again."""
    detector, slots = NearEndDetector(1), np.array([0])
    whole = windows(1, 0)
    with np.errstate(all="ignore"):
        spoilt = replace(whole, clean=whole.clean * np.float32(poison))
        detector.probabilities(slots, spoilt)
        spoilt = replace(whole, sent=whole.sent * np.float32(poison))
        detector.probabilities(slots, spoilt)
    detector.probabilities(slots, replace(whole, residual_db=np.array([poison], "f4")))
    for at in range(300):
        found = detector.probabilities(slots, windows(1, at, level=1e-4))
    fresh = NearEndDetector(1)
    for at in range(300):
        expected = fresh.probabilities(slots, windows(1, at, level=1e-4))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_silence_is_nobody() -> None:
    detector, slots = NearEndDetector(1), np.array([0])
    still = np.zeros((1, WINDOW_SAMPLES), np.float32)
    for is_locked in (False, True):
        window = heard(still, still, still, speech=0.0)
        window = replace(
            window, residual_db=np.full(1, -np.inf, "f4"), is_locked=np.array([is_locked])
        )
        for _ in range(60):
            assert detector.probabilities(slots, window)[0] < 0.25


def test_levels_are_in_dbfs() -> None:
    """A full-scale sine is 0 dB in its band, half of it 6 dB less."""
    features = NearEndFeatures(2)
    time = np.arange(WINDOW_SAMPLES) / 8000
    sine = np.sin(2 * np.pi * 650 * time).astype(np.float32)
    near = np.stack([sine, 0.5 * sine])
    far = np.zeros_like(near)
    found = features.compute(np.array([0, 1]), heard(near, near, far, speech=0.0))
    band = 5  # 590 to 710 Hz
    assert found.shape == (2, FEATURES)
    np.testing.assert_allclose(found[:, band], [0.0, -6.02], atol=0.1)
    np.testing.assert_allclose(found[:, 3 * BANDS + band], -90.0, atol=0.1)


def test_the_echo_to_be_expected_follows_what_leaks() -> None:
    """What stays of the reference for long counts as echo: clean above it goes to zero."""
    features, slots = NearEndFeatures(1), np.array([0])
    rng = np.random.default_rng(3)
    first = last = 0.0
    for at in range(400):
        far = (0.1 * rng.standard_normal((1, WINDOW_SAMPLES))).astype(np.float32)
        found = features.compute(slots, heard(far, far, far))
        excess = float(found[0, 5 * BANDS : 6 * BANDS].mean())
        first, last = (excess if at == 0 else first), excess
    assert first > 15
    assert abs(last) < 6


def voice(count: int) -> Sound:
    """`count` windows, each of four tones of another pitch and level."""
    rng = np.random.default_rng(9)
    hz = rng.uniform(150, 3500, (count, 4))
    level = 10 ** rng.uniform(-2.5, -0.7, (count, 4, 1))
    tones = level * np.sin(2 * np.pi * hz[:, :, None] * np.arange(WINDOW_SAMPLES) / 8000)
    return np.asarray(tones.sum(axis=1), np.float32)


def match_after(shown: int, delay: int, lag: int) -> NDArray[np.float32]:
    """By lag, `shown` windows after an echo began that comes `lag` windows later than `delay`."""
    features, spoken = NearEndFeatures(1), voice(200)
    for at in range(delay + lag + shown):
        back = at - delay - lag
        clean = 0.1 * spoken[back : back + 1] if back >= 0 else np.zeros((1, WINDOW_SAMPLES), "f4")
        found = features.compute(np.array([0]), heard(clean, clean, spoken[at : at + 1], delay))
    return np.asarray(found[0, MATCH], np.float32)


@pytest.mark.parametrize("lag", [0, 3, 8, -1, -4])
def test_an_echo_is_found_where_the_delay_moved_to(lag: int) -> None:
    """Clean that repeats what was sent some windows late or early matches it best at that lag."""
    match = match_after(150, 20, lag)
    assert int(np.argmax(match)) == (lag if lag >= 0 else LATER_LAGS - 1 - lag)
    assert match.max() > 0.8


def test_an_echo_that_comes_sooner_is_known_before_it_was_expected() -> None:
    """What it is an echo of was sent by then, though it is not due yet."""
    match = match_after(3, 20, -6)
    assert int(np.argmax(match)) == LATER_LAGS + 5
    assert match.max() > 0.6


def test_nothing_matches_before_it_was_sent_or_while_no_delay_is_known() -> None:
    features, slots, spoken = NearEndFeatures(1), np.array([0]), voice(60)
    for at in range(60):
        now = spoken[at : at + 1]
        unknown = replace(heard(now, now, now), delay=np.full(1, -1))
        assert not features.compute(slots, unknown)[0, MATCH].any()
    for at in range(60):
        now = spoken[at : at + 1]
        found = features.compute(slots, heard(now, now, now, delay=2))[0, MATCH]
    assert found[LATER_LAGS : LATER_LAGS + 2].any()
    assert not found[LATER_LAGS + 2 :].any()


def test_weights_that_are_missing_or_damaged_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"near-end detector: .*python -m"):
        NearEndDetector(1, tmp_path / "none.npz")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(MODEL_PATH.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match=r"damaged\.npz cannot be read"):
        load_weights(damaged)
    other = tmp_path / "other.npz"
    np.savez(other, mean=np.zeros(3, np.float32))
    with pytest.raises(ModelUnavailable, match="trained for other features"):
        load_weights(other)


def test_the_model_is_small_and_its_card_is_there() -> None:
    assert MODEL_PATH.stat().st_size < 200_000
    card = MODEL_PATH.with_suffix(".md").read_text()
    assert "CC BY-SA 4.0" in card
    assert "python -m voicebot.learning.near_end" in card
