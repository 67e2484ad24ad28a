"""What is learnt from, the nets in torch against numpy, and that they learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from voicebot.errors import UserMistake
from voicebot.learning import end_of_turn_corpus as corpus
from voicebot.learning.end_of_turn_corpus import Mixture, Pause, Recording, make_clips
from voicebot.learning.end_of_turn_training import (
    FOLDS,
    Examples,
    area_under_roc,
    arrange,
    calibrate,
    fit,
    fold_of,
    logits,
    save,
    to_weights,
)
from voicebot.turns.end_of_turn import FRAMES, EndOfTurn, load_weights, trained_on

pytestmark = pytest.mark.unit

DIM = 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Ends have something in the last two frames that pauses have not."""
    rng = np.random.default_rng(0)
    count = 300
    is_end = rng.integers(0, 2, count).astype(np.float32)
    sizes = rng.integers(3, FRAMES + 30, count)
    raw = [rng.normal(0, 1, (size, DIM)).astype(np.float32) for size in sizes]
    for frames, ended in zip(raw, is_end, strict=True):
        frames[-2:, 0] += 5 * ended
    frames, lengths = arrange(((f, 99999) for f in raw), count, DIM)
    ones = np.ones(count, np.float32)
    return Examples(frames, lengths, is_end, ones, np.arange(count) % FOLDS)


def test_nets_learn_and_numpy_computes_what_torch_does(examples: Examples, tmp_path: Path) -> None:
    nets = [fit(examples, fold, epochs=8) for fold in range(2)]
    unseen = np.flatnonzero(examples.fold == 0)
    assert area_under_roc(logits(nets[0], examples, unseen), examples.is_end[unseen]) > 0.9
    path = tmp_path / "new" / "model.safetensors"
    save(to_weights(nets, (1.0, 0.0)), ["b", "a", "b"], path)
    assert trained_on(path) == {"a", "b"}
    head = EndOfTurn(load_weights(path))
    rows = np.arange(20)
    votes = np.mean([logits(net, examples, rows) for net in nets], axis=0)
    for row, vote in zip(rows, votes, strict=True):
        frames = examples.frames[row, FRAMES - examples.lengths[row] :].astype(np.float32)
        (found,) = head.probabilities([frames], [99999])
        assert found == pytest.approx(1 / (1 + np.exp(-vote)), abs=0.01)


def test_fits_are_seeded(examples: Examples) -> None:
    rows = np.arange(10)
    one, again = (logits(fit(examples, 1, epochs=1), examples, rows) for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_calibration_finds_what_log_odds_mean() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0.5, 1.5, 20000)
    is_end = (rng.random(20000) < 1 / (1 + np.exp(-true))).astype(np.float32)
    told = ((true - 1) / 0.5).astype(np.float32)
    slope, offset = calibrate(told, is_end, np.ones_like(is_end))
    assert (slope, offset) == (pytest.approx(0.5, abs=0.03), pytest.approx(1.0, abs=0.06))


def test_area_under_roc() -> None:
    ends = np.array([1, 0, 1, 0], np.float32)
    assert area_under_roc(np.array([3, 1, 2, 0], np.float32), ends) == 1
    assert area_under_roc(np.array([1, 1, 1, 1], np.float32), ends) == 0.5
    assert np.isnan(area_under_roc(np.array([1.0], np.float32), np.ones(1, np.float32)))


def test_folds_divide_those_who_are_not_held_out() -> None:
    names = [f"{number:05d}" for number in range(300)]
    learnt = [n for n in names if not Recording("", "", n, np.zeros(0, np.float32)).is_held_out]
    assert {fold_of(name) for name in learnt} == set(range(FOLDS))
    assert len(learnt) == pytest.approx(240, abs=30)


# ---------------------------------------------------------------- clips


def recording(kind: str = "sentence") -> Recording:
    """0.5 s of noise, 2 s of a loud tone, 1 s of noise."""
    rng = np.random.default_rng(2)
    samples = rng.normal(0, 0.001, 28000).astype(np.float32)
    samples[4000:20000] += 0.3 * np.sin(np.arange(16000) * 0.3).astype(np.float32)
    return Recording("phone_calls", kind, "00001", samples)


END = Pause(0, 1600, 20000, 21024, 28000, True)


def test_clips_of_an_end() -> None:
    whole, fallen, one, other, cut = make_clips([recording()], [END], Mixture(copies=2, cuts=1))
    assert [clip.is_end for clip in (whole, fallen, one, other, cut)] == [True] * 4 + [False]
    np.testing.assert_array_equal(whole.samples, recording().samples[1600:21024])
    np.testing.assert_array_equal(fallen.samples, whole.samples[:-768], "one window of quiet")
    assert one.samples.shape != other.samples.shape
    assert cut.weight == 0.5
    assert 0.3 * 8000 < len(cut.samples) < len(whole.samples)


def test_what_is_cut_off_ends_in_the_noise_of_the_line() -> None:
    cut = make_clips([recording()], [END], Mixture(copies=0))[2].samples
    assert np.abs(cut[-500:]).max() < 0.01
    assert np.abs(cut[-2000:-1500]).max() > 0.1


def test_a_pause_gives_no_end() -> None:
    pause = Pause(0, 1600, 20000, 21024, 22000, False)
    clips = make_clips([recording()], [pause], Mixture(copies=3))
    assert len(clips) == 5, "nothing is cut off before a pause"
    assert not any(clip.is_end for clip in clips)


def test_the_same_seed_gives_the_same_clips() -> None:
    one, again = (make_clips([recording()], [END], Mixture(seed=5)) for _ in range(2))
    for clip, other in zip(one, again, strict=True):
        np.testing.assert_array_equal(clip.samples, other.samples)


def test_names_count_less_and_keywords_are_not_cut_off() -> None:
    clips = {
        kind: make_clips([recording(kind)], [END], Mixture(copies=0, cuts=3))
        for kind in ("sentence", "name", "keyword")
    }
    assert {kind: len(of_kind) for kind, of_kind in clips.items()} == {
        "sentence": 5,
        "name": 5,
        "keyword": 2,
    }
    assert [of_kind[0].weight for of_kind in clips.values()] == [1.0, 0.5, 0.5]


def test_readers_count_less() -> None:
    reader = Recording("read_sentences", "read", "0001", recording().samples)
    clips = make_clips([reader], [END], Mixture(read_share=1.0))
    assert clips[0].weight == Mixture().read_weight
    assert make_clips([reader], [END], Mixture(read_share=0.0)) == []


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="holds neither"):
        corpus.read(tmp_path)
