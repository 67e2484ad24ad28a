"""The detector of the caller in the bot's echo: shapes, slots, state, damaged input and files."""

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
)

pytestmark = pytest.mark.unit

Window = tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.bool_],
]


def windows(rows: int, seed: int, level: float = 0.1) -> Window:
    """near, clean, far, speech, residual_db, is_locked of `rows` calls."""
    rng = np.random.default_rng(seed)
    near, clean, far = (level * rng.standard_normal((3, rows, WINDOW_SAMPLES))).astype(np.float32)
    residual = rng.uniform(-60, -20, rows).astype(np.float32)
    return near, clean, far, rng.random(rows, np.float32), residual, rng.random(rows) < 0.5


def rows_of(window: Window, rows: NDArray[np.intp]) -> Window:
    near, clean, far, speech, residual, locked = window
    return near[rows], clean[rows], far[rows], speech[rows], residual[rows], locked[rows]


def test_a_probability_for_each_call() -> None:
    detector = NearEndDetector(8)
    found = detector.probabilities(np.array([5, 1, 3]), *windows(3, 1))
    assert found.shape == (3,)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_no_calls_no_probabilities() -> None:
    found = NearEndDetector(2).probabilities(np.zeros(0, np.intp), *windows(0, 1))
    assert found.shape == (0,)


def test_calls_do_not_hear_each_other() -> None:
    """A call gives the same whether it is alone or with others, in whatever order."""
    together, alone = NearEndDetector(4), NearEndDetector(4)
    for at in range(20):
        window = windows(3, at)
        found = together.probabilities(np.array([2, 0, 3]), *window)
        single = alone.probabilities(np.array([1]), *rows_of(window, np.array([1])))
        np.testing.assert_allclose(found[1], single[0], rtol=1e-4, atol=1e-6)


def test_reset_forgets_the_call() -> None:
    detector, slots = NearEndDetector(2), np.array([0, 1])
    first = [detector.probabilities(slots, *windows(2, at)) for at in range(5)]
    detector.reset(0)
    again = [detector.probabilities(slots, *windows(2, at)) for at in range(5)]
    np.testing.assert_array_equal([p[0] for p in first], [p[0] for p in again])
    assert not np.array_equal([p[1] for p in first], [p[1] for p in again])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e20])
def test_a_damaged_window_does_not_stick(poison: float) -> None:
    """Whatever a filter upstream produces, later windows are judged again."""
    detector, slots = NearEndDetector(1), np.array([0])
    near, clean, far, speech, residual, locked = windows(1, 0)
    with np.errstate(all="ignore"):
        detector.probabilities(
            slots, near, clean * np.float32(poison), far, speech, residual, locked
        )
    detector.probabilities(slots, near, clean, far, speech, np.array([poison], "f4"), locked)
    for at in range(300):
        found = detector.probabilities(slots, *windows(1, at, level=1e-4))
    fresh = NearEndDetector(1)
    for at in range(300):
        expected = fresh.probabilities(slots, *windows(1, at, level=1e-4))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_silence_is_nobody() -> None:
    detector, slots = NearEndDetector(1), np.array([0])
    still = np.zeros((1, WINDOW_SAMPLES), np.float32)
    nobody = np.zeros(1, np.float32)
    for is_locked in (False, True):
        for _ in range(60):
            found = detector.probabilities(
                slots, still, still, still, nobody, nobody - np.inf, np.array([is_locked])
            )
            assert found[0] < 0.25


def test_levels_are_in_dbfs() -> None:
    """A full-scale sine is 0 dB in its band, half of it 6 dB less."""
    features = NearEndFeatures(2)
    time = np.arange(WINDOW_SAMPLES) / 8000
    sine = np.sin(2 * np.pi * 650 * time).astype(np.float32)
    near = np.stack([sine, 0.5 * sine])
    far = np.zeros_like(near)
    found = features.compute(
        np.array([0, 1]), near, near, far, np.zeros(2, "f4"), np.zeros(2, "f4"), np.ones(2, bool)
    )
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
        found = features.compute(
            slots, far, far, far, np.ones(1, "f4"), np.zeros(1, "f4"), np.ones(1, bool)
        )
        excess = float(found[0, 5 * BANDS : 6 * BANDS].mean())
        first, last = (excess if at == 0 else first), excess
    assert first > 15
    assert abs(last) < 6


@pytest.mark.parametrize("lag", [0, 3, 8, -1, -4])
def test_an_echo_is_found_where_the_delay_moved_to(lag: int) -> None:
    """Clean that repeats far some windows late or early matches it best at that lag."""
    features, slots = NearEndFeatures(1), np.array([0])
    rng = np.random.default_rng(9)
    hz = rng.uniform(150, 3500, (200, 4))  # four tones of another pitch and level every window
    level = 10 ** rng.uniform(-2.5, -0.7, (200, 4, 1))
    tones = level * np.sin(2 * np.pi * hz[:, :, None] * np.arange(WINDOW_SAMPLES) / 8000)
    voice = tones.sum(axis=1).astype(np.float32)
    for at in range(20, 190):
        far, clean = voice[at : at + 1], 0.1 * voice[at - lag : at - lag + 1]
        found = features.compute(
            slots, clean, clean, far, np.ones(1, "f4"), np.zeros(1, "f4"), np.ones(1, bool)
        )
    match = found[0, 8 * BANDS : 8 * BANDS + LATER_LAGS + EARLIER_LAGS]
    assert int(np.argmax(match)) == (lag if lag >= 0 else LATER_LAGS - 1 - lag)
    assert match.max() > 0.8


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
