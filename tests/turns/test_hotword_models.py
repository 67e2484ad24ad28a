"""openWakeWord models in files: the numbers of the original, many calls at once, clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_files
import pytest
from numpy.typing import NDArray

from voicebot.errors import ModelUnavailable
from voicebot.turns.hotword import STEP_SAMPLES, OpenWakeWord

pytestmark = pytest.mark.unit

STEPS = 40
WARM_STEPS = 26
"""After so many nothing in the history stems from before the call: 76 frames and 16 features."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "melspectrogram.onnx").write_bytes(onnx_files.melspectrogram())
    (tmp_path / "embedding_model.onnx").write_bytes(onnx_files.embedding())
    (tmp_path / "yes.onnx").write_bytes(onnx_files.word())
    (tmp_path / "timer.onnx").write_bytes(onnx_files.word(seed=3, frames=34, classes=3))
    return tmp_path


def load(files: Path, *words: str, slots: int = 1) -> OpenWakeWord:
    names = words or ("yes.onnx",)
    return OpenWakeWord(
        [files / name for name in names],
        files / "melspectrogram.onnx",
        files / "embedding_model.onnx",
        slots=slots,
    )


def noise(seed: int, steps: int = STEPS) -> NDArray[np.int16]:
    """int16[steps, STEP_SAMPLES]."""
    rng = np.random.default_rng(seed)
    return rng.integers(-8000, 8000, (steps, STEP_SAMPLES)).astype(np.int16)


def alone(files: Path, chunks: NDArray[np.int16], *words: str) -> NDArray[np.float32]:
    net = load(files, *words)
    slot = np.zeros(1, np.intp)
    return np.concatenate([net.probabilities(slot, chunk[None]) for chunk in chunks])


@pytest.mark.filterwarnings("ignore")  # the original's own dependencies
def test_gives_the_numbers_of_the_original_package(files: Path) -> None:
    original = pytest.importorskip("openwakeword.model").Model(
        wakeword_models=[str(files / "yes.onnx")],
        inference_framework="onnx",
        melspec_model_path=str(files / "melspectrogram.onnx"),
        embedding_model_path=str(files / "embedding_model.onnx"),
    )
    chunks = noise(1)
    theirs = np.array([original.predict(chunk)["yes"] for chunk in chunks])
    ours = alone(files, chunks)[:, 0]
    assert np.ptp(theirs[WARM_STEPS:]) > 0.1, "a model that always says the same proves nothing"
    np.testing.assert_allclose(ours[WARM_STEPS:], theirs[WARM_STEPS:], atol=1e-4)


def test_many_calls_at_once_are_each_as_if_alone(files: Path) -> None:
    words = ("yes.onnx", "timer.onnx")
    calls = {2: noise(2), 0: noise(3), 3: noise(4)}
    net = load(files, *words, slots=4)
    together = np.stack(
        [
            net.probabilities(np.array(list(calls)), np.stack([c[step] for c in calls.values()]))
            for step in range(STEPS)
        ],
        axis=1,
    )
    for row, chunks in zip(together, calls.values(), strict=True):
        np.testing.assert_allclose(row, alone(files, chunks, *words), atol=1e-5)


def test_a_word_net_with_several_classes_gives_a_column_each(files: Path) -> None:
    assert load(files, "yes.onnx", "timer.onnx").words == ("yes", "timer:0", "timer:1", "timer:2")


def test_reset_forgets_the_call(files: Path) -> None:
    net, slot = load(files), np.zeros(1, np.intp)
    first = [net.probabilities(slot, chunk[None]) for chunk in noise(5, 12)]
    net.reset(0)
    again = [net.probabilities(slot, chunk[None]) for chunk in noise(5, 12)]
    assert np.array_equal(first, again)


def test_says_nothing_in_the_first_steps_of_a_call(files: Path) -> None:
    found = alone(files, noise(6, 8))[:, 0]
    assert not found[:5].any()
    assert found[5:].all()


def test_a_net_exported_for_any_batch_runs_as_one(files: Path) -> None:
    (files / "any.onnx").write_bytes(onnx_files.word(batch="batch"))
    chunks = noise(7)
    np.testing.assert_allclose(alone(files, chunks, "any.onnx"), alone(files, chunks), atol=1e-6)


def test_no_call_ready_gives_no_rows(files: Path) -> None:
    net = load(files)
    empty = net.probabilities(np.zeros(0, np.intp), np.zeros((0, STEP_SAMPLES), np.int16))
    assert empty.shape == (0, 1)


def test_chunks_of_another_length_are_refused(files: Path) -> None:
    with pytest.raises(ValueError, match=r"int16\[1, 1280\]"):
        load(files).probabilities(np.zeros(1, np.intp), np.zeros((1, 160), np.int16))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("yes.onnx", None, r"yes\.onnx: no such model file; .*voicebot models pull NAME"),
        ("melspectrogram.onnx", None, r"no such model file; .*voicebot models pull features"),
        ("yes.onnx", b"", r"yes\.onnx: is no ONNX model"),
        ("yes.onnx", b"<html>not found</html>", r"yes\.onnx: is no ONNX model"),
        ("yes.onnx", onnx_files.word()[:-2000], r"yes\.onnx: is no ONNX model"),
        ("yes.onnx", onnx_files.word(size=64), r"not \[1, frames, 96\]"),
        ("yes.onnx", onnx_files.melspectrogram(), r"not \[1, frames, 96\]"),
        ("melspectrogram.onnx", onnx_files.melspectrogram(bands=40), "not 8 frames of 32 bands"),
        ("melspectrogram.onnx", onnx_files.word(), r"does not take float32 1x1760"),
        ("embedding_model.onnx", onnx_files.embedding(size=64), "not 96 numbers"),
        ("embedding_model.onnx", onnx_files.word(), r"does not take float32 1x76x32x1"),
    ],
)
def test_an_unfit_file_is_told_in_one_line(
    files: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is None:
        (files / name).unlink()
    else:
        (files / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=says) as told:
        load(files)
    assert "\n" not in str(told.value)


def test_no_word_named_is_told(files: Path) -> None:
    with pytest.raises(ModelUnavailable, match="at least one"):
        OpenWakeWord([], files / "melspectrogram.onnx", files / "embedding_model.onnx")
