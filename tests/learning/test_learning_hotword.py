"""Training of the hot-word head: what windows hold, what is held out, what counts as heard."""

from __future__ import annotations

import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from voicebot.asr.recogniser import Recogniser
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.learning import hotword
from voicebot.learning import hotword_trial as trial
from voicebot.learning.hotword_corpus import SYNTHETIC, Clip, recorded, spoken
from voicebot.learning.hotword_training import ALL, FOLDS, NONE, Examples, fit, logits, save
from voicebot.learning.hotword_trial import Spot
from voicebot.learning.hotword_windows import half_said, negatives, positives, render
from voicebot.turns.hotword_head import FEATURE_SIZE, WINDOW_SAMPLES, HotWordHead

pytestmark = pytest.mark.unit

SHARED = Path(__file__).parents[2].parent / "shared" / "audio"
WORD = (20000, 25000)


def clip(
    *, words: tuple[tuple[int, int], ...] = (WORD,), seconds: int = 6, group: str = "caller"
) -> Clip:
    """A tone where the word is, faint noise elsewhere."""
    samples = np.random.default_rng(1).normal(0, 1e-3, seconds * 8000).astype(np.float32)
    for start, end in words:
        samples[start:end] += 0.3 * np.sin(np.arange(end - start) * 0.5).astype(np.float32)
    return Clip(samples, words, group, "phone_calls/sentence", "x.wav")


def loud(window: np.ndarray) -> int:
    """Samples of the tone that the window holds, about."""
    levels = np.abs(window[: len(window) // 40 * 40]).reshape(-1, 40).max(axis=1)
    return 40 * int((levels > 0.15).sum())


# ---------------------------------------------------------------- windows


def test_positive_windows_hold_the_whole_word() -> None:
    cuts = positives(clip(), 50, np.random.default_rng(0))
    assert all(cut.is_word for cut in cuts)
    assert all(abs(loud(render(cut, [], [], 0)) - 5000) <= 80 for cut in cuts)
    assert np.ptp([cut.end for cut in cuts]) > 5000, "anywhere in the window"


def test_negative_windows_hold_nothing_of_it() -> None:
    cuts = negatives(clip(), 1000, np.random.default_rng(0))
    assert len(cuts) > 20
    assert not any(cut.is_word for cut in cuts)
    assert all(loud(render(cut, [], [], 0)) == 0 for cut in cuts)


def test_half_said_windows_break_off_in_the_word() -> None:
    cuts = half_said(clip(), 40, np.random.default_rng(0))
    assert not any(cut.is_word for cut in cuts)
    lengths = [loud(render(cut, [], [], 0)) for cut in cuts]
    assert min(lengths) > 800
    assert max(lengths) <= 3080
    assert any(cut.end > (cut.stop or 0) + 800 for cut in cuts), "some with silence after it"


def test_worn_windows_are_telephone_audio_and_repeat_by_seed() -> None:
    (cut,) = positives(clip(), 1, np.random.default_rng(0))
    voices = [clip(words=())]
    worn = [render(cut, voices, voices, seed) for seed in range(1, 40)]
    for window in worn:
        assert window.shape == (WINDOW_SAMPLES,)
        assert window.dtype == np.float32
        assert np.isfinite(window).all()
        assert np.abs(window).max() <= 1
    assert not np.array_equal(worn[0], worn[1])
    assert np.array_equal(worn[0], render(cut, voices, voices, 1))


def test_synthetic_speech_says_where_the_word_is() -> None:
    made = list(spoken("operator", ["good morning"], (4, 3, 1), np.random.default_rng(0)))
    assert [bool(item.words) for item in made] == [True] * 4 + [False] * 4
    assert {item.source for item in made} == {SYNTHETIC}
    for item in made[:4]:
        start, end = item.words[0]
        assert 0.25 * 8000 < end - start < 1.2 * 8000, item.name
        level = np.sqrt(np.mean(item.samples[start:end] ** 2))
        assert level > 0.01, "the span is where sound is"


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match=r"transcripts\.jsonl: cannot be read"):
        list(recorded(tmp_path, "operator"))


@pytest.mark.recordings
def test_the_split_is_by_session_and_leaves_doubtful_clips_out() -> None:
    if not SHARED.is_dir():
        pytest.skip("no recordings")
    folder = SHARED / "phone_calls"
    clips = list(islice(recorded(SHARED, "wildfire"), 60))
    for item in clips:
        session = item.name.split("/")[0]
        assert item.group == session
        assert item.is_held_out == (zlib.crc32(session.encode()) % 5 == 0)
        assert (folder / item.name).is_file()
    assert {bool(item.words) for item in clips} == {True, False}


# ---------------------------------------------------------------- trial


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        (20000, False),
        (22000, None),
        (24999, None),
        (25000, True),
        (32800, True),
        (32801, None),
        (37799, None),
        (37800, False),
    ],
)
def test_labels_follow_the_word_through_the_window(at: int, holds: bool | None) -> None:
    assert trial.label(clip(), at) is holds


def judged(found: dict[int, float], threshold: float = 0.5) -> trial.Result:
    places = [Spot(0, at) for at in found]
    return trial.judge([clip()], places, np.array(list(found.values()), np.float32), threshold)


def test_the_word_heard_in_time_is_no_miss() -> None:
    result = judged({19000: 0.1, 26600: 0.9, 28000: 0.9})
    assert (result.words, result.missed, result.false_alarms) == (1, 0, 0)
    assert result.delay_ms == pytest.approx(200)


def test_what_is_heard_elsewhere_is_a_false_alarm_and_the_word_is_missed() -> None:
    result = judged({15000: 0.9, 44000: 0.9})
    assert (result.missed, result.false_alarms) == (1, 2)
    assert result.false_alarms_per_hour == pytest.approx(2 * 3600 / 6)


def test_below_the_threshold_all_is_missed() -> None:
    assert judged({26600: 0.9}, threshold=0.95).missed == 1


def test_windows_of_a_stream_end_where_they_say() -> None:
    stream = trial.stream(clip())
    assert len(stream) == 6 * 8000 + 2 * trial.AROUND
    assert abs(loud(trial.window(stream, WORD[1])) - 5000) <= 80
    assert loud(trial.window(stream, WORD[0])) == 0
    assert trial.window(stream, -4000).shape == (WINDOW_SAMPLES,)


def test_recordings_are_looked_at_while_someone_speaks() -> None:
    said = next(spoken("operator", [], (1, 0, 0), np.random.default_rng(3)))
    silence = Clip(np.zeros(16000, np.float32), (), "g", "s", "n")
    found = trial.spots([silence, said])
    assert {spot.clip for spot in found} == {1}
    assert len(found) >= 2
    assert max(spot.at for spot in found) > said.words[0][1]


# ---------------------------------------------------------------- nets


def planted(count: int = 500, seed: int = 0) -> Examples:
    """A pattern of five frames in a few channels, somewhere in half of the windows."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(0, 1, (count, 24, FEATURE_SIZE)).astype(np.float16)
    lengths = rng.integers(12, 25, count)
    is_word = np.arange(count) % 2 == 0
    for index in np.flatnonzero(is_word):
        at = int(rng.integers(lengths[index] - 5))
        frames[index, at : at + 5, :8] += np.float16(3)
    folds = np.arange(count) // 2 % FOLDS
    for index, length in enumerate(lengths):
        frames[index, length:] = 0
    return Examples(frames, lengths, is_word, folds)


def test_a_net_learns_and_the_shipped_arithmetic_repeats_it(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    examples = planted()
    net = fit(examples, fold=0, seed=1, epochs=30)
    unknown = np.flatnonzero(examples.folds == 0)
    found = logits(net, examples, unknown)
    assert np.mean((found > 0) == examples.is_word[unknown]) > 0.95
    save(tmp_path / "word.safetensors", [net], 0.7, {"seed": 1})
    head = HotWordHead.load(path=tmp_path / "word.safetensors")
    assert head.threshold == 0.7
    for index, logit in zip(unknown[:20], found, strict=False):
        frames = examples.frames[index, : examples.lengths[index]].astype(np.float32)
        assert head.probability(frames) == pytest.approx(1 / (1 + np.exp(-logit)), abs=0.02)


def test_nothing_is_learnt_from_the_fold_left_out_or_from_what_is_held_out() -> None:
    torch.set_num_threads(1)
    examples = planted(160)
    folds = np.where(np.arange(160) < 40, NONE, np.where(np.arange(160) < 80, 1, ALL))
    spoilt = examples.frames.copy()
    spoilt[:80] = 0
    one = fit(Examples(examples.frames, examples.lengths, examples.is_word, folds), 1, seed=2)
    other = fit(Examples(spoilt, examples.lengths, examples.is_word, folds), 1, seed=2)
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_threshold_is_the_lowest_that_keeps_to_the_rate() -> None:
    an_hour = np.broadcast_to(np.float32(0), 3600 * 8000)
    clips = [Clip(an_hour, (), "b", "phone_calls/sentence", "x.wav")]
    probabilities = np.array([0.301, 0.601, 0.901], np.float32)
    spots = [Spot(0, at) for at in (10**6, 2 * 10**6, 3 * 10**6)]
    assert not clips[0].is_held_out
    assert hotword.choose(clips, spots, probabilities, 2.0) == pytest.approx(0.305)
    assert hotword.choose(clips, spots, probabilities, 0.5) == pytest.approx(0.905)


def test_nobody_says_the_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hotword.main([str(tmp_path / "nowhere")]) == 2
    assert "transcripts.jsonl: cannot be read" in capsys.readouterr().err


# ---------------------------------------------------------------- the shipped head


@pytest.mark.recordings
def test_the_shipped_head_hears_callers_it_does_not_know(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Held-out sessions, one utterance of each keyword: all but one "operator", nothing else."""
    if not SHARED.is_dir():
        pytest.skip("no recordings")
    recogniser = Recogniser(tmp_path_factory.getbasetemp() / "recogniser", threads=1)
    found = (item for item in recorded(SHARED, "operator") if item.is_held_out)
    clips = [item for item in islice(found, 60) if item.source == "phone_calls/keyword"]
    head = HotWordHead.load()
    places = trial.spots(clips)
    heard = []
    for spot in places:
        window = trial.window(trial.stream(clips[spot.clip]), spot.at)
        (frames,) = recogniser.encode([resample(window, 8000, 16000)])
        heard.append(head.probability(frames))
    result = trial.judge(clips, places, np.array(heard, np.float32), head.threshold)
    assert result.words >= 4
    assert len(clips) >= 20
    assert result.missed <= 1
    assert result.false_alarms == 0
