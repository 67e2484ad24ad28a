"""The head: what it computes, what it refuses, and the shipped weights."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from voicebot.asr import utterance
from voicebot.asr.moonshine import FRAME_SAMPLES as ENCODER_FRAME_SAMPLES
from voicebot.asr.moonshine import Dimensions
from voicebot.errors import ModelUnavailable
from voicebot.turns import end_of_turn
from voicebot.turns.end_of_turn import (
    FRAME_SAMPLES,
    FRAMES,
    SPANS,
    WHOLE_SAMPLES,
    EndOfTurn,
    Weights,
    load_weights,
    spoken_frames,
    trained_on,
)

pytestmark = pytest.mark.unit

DIM = Dimensions().width


def last_frame_decides() -> Weights:
    """One net of one channel: the first feature of the last two frames, nothing else."""
    hidden = np.zeros((1, len(SPANS), 2), np.float32)
    hidden[0, 0] = (1, -1)
    project = np.zeros((1, 3, 1), np.float32)
    project[0, 0, 0] = 1
    return Weights(
        norm_gain=np.ones((1, 3), np.float32),
        norm_bias=np.zeros((1, 3), np.float32),
        project=project,
        project_bias=np.zeros((1, 1), np.float32),
        hidden=hidden,
        hidden_bias=np.zeros((1, 2), np.float32),
        out=np.array([[4.0, -4.0]], np.float32),
        out_bias=np.zeros(1, np.float32),
        calibration=np.array([1.0, 0.0], np.float32),
    )


def test_it_computes_what_its_weights_say() -> None:
    frames = np.array([[9, 0, 0], [-1, 0, 1], [1, 0, -1], [1, 0, -1]], np.float32)
    z = 4 * np.tanh(1 / np.sqrt(2 / 3 + 1e-5))
    head = EndOfTurn(last_frame_decides())
    assert head.probabilities([frames], [99999]) == [pytest.approx(1 / (1 + np.exp(-z)))]
    assert head.probabilities([frames[:2]], [99999])[0] == pytest.approx(
        1 / (1 + np.exp(-2 * (np.tanh(1.41418) - np.tanh(1.22474)))), abs=1e-3
    )


def test_each_of_a_batch_for_itself() -> None:
    rng = np.random.default_rng(0)
    batch = [rng.normal(0, 1, (size, DIM)).astype(np.float32) for size in (1, 40, 700)]
    head = EndOfTurn()
    lengths = [40000, 40000, 280000]
    together = head.probabilities(batch, lengths)
    assert together == [
        head.probabilities([frames], [length])[0]
        for frames, length in zip(batch, lengths, strict=True)
    ]
    assert all(p is not None and 0 <= p <= 1 for p in together)


def test_only_the_last_frames_count() -> None:
    frames = np.random.default_rng(1).normal(0, 1, (FRAMES + 50, DIM)).astype(np.float32)
    head = EndOfTurn()
    assert head.probabilities([frames], [10**6]) == head.probabilities([frames[50:]], [10**6])


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, DIM), np.float32),
        np.full((20, DIM), np.nan, np.float32),
        np.zeros((20, 7), np.float32),
    ],
)
def test_nothing_to_judge_is_no_probability(frames: np.ndarray) -> None:
    assert EndOfTurn().probabilities([frames], [40000]) == [None]
    assert EndOfTurn().probabilities([], []) == []


def test_it_knows_how_the_recogniser_pads() -> None:
    assert WHOLE_SAMPLES == utterance.COMFORTABLE_SAMPLES
    assert FRAME_SAMPLES == ENCODER_FRAME_SAMPLES


def test_added_quiet_is_left_out() -> None:
    """Ones where `set_in_quiet` puts the caller."""
    samples = 12000
    heard = utterance.set_in_quiet(np.ones(samples, np.float32))
    count = len(heard) // FRAME_SAMPLES
    level = heard[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES).mean(axis=1, keepdims=True)
    kept = spoken_frames(level, samples)
    assert len(kept) == pytest.approx(samples / FRAME_SAMPLES, abs=2)
    assert (kept[1:-1] == 1).all()
    assert len(spoken_frames(level, WHOLE_SAMPLES)) == count
    assert len(spoken_frames(level[:3], 1600)) == 0, "fewer frames than were promised"


def test_the_shipped_weights() -> None:
    weights = load_weights()
    assert weights.dim == DIM
    assert end_of_turn.MODEL_PATH.stat().st_size < 1_000_000
    assert end_of_turn.MODEL_PATH.with_suffix(".md").is_file(), "a model card beside it"
    assert len(trained_on()) > 100


@pytest.mark.parametrize("content", [None, b"", b"not an archive", "other arrays", "shapes"])
def test_a_file_that_is_no_model_is_told_in_one_line(
    tmp_path: Path, content: bytes | str | None
) -> None:
    path = tmp_path / "end_of_turn.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other arrays":
        save_file({"other": np.zeros(3)}, path)
    elif content == "shapes":
        arrays = load_file(end_of_turn.MODEL_PATH)
        save_file({**arrays, "hidden": np.ascontiguousarray(arrays["hidden"][:, 1:])}, path)
    with pytest.raises(ModelUnavailable) as error:
        load_weights(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
