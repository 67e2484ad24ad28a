"""Which recordings are spoken."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from load import recordings
from load.errors import LoadMistake

pytestmark = pytest.mark.unit


def write(path: Path, seconds: float = 0.3, level: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).normal(size=int(8000 * seconds)) * level
    sf.write(path, np.clip(noise, -1, 1), 8000)


def test_audio_is_found_at_every_depth_and_other_files_are_not(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "deep" / "er" / "b.FLAC")
    (tmp_path / "README.md").write_text("no audio")
    assert [path.name for path in recordings.find(tmp_path)] == ["a.wav", "b.FLAC"]


def test_unusable_files_are_skipped_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "good.wav")
    write(tmp_path / "silent.wav", level=0.0)
    write(tmp_path / "long.wav", seconds=20.5)
    (tmp_path / "corrupt.wav").write_bytes(b"RIFF????WAVE")
    (tmp_path / "empty.wav").touch()
    pool = recordings.load(recordings.find(tmp_path), size=10, seed=0)
    assert [turn.label for turn in pool.turns] == ["good.wav"]
    assert [turn.over_s for turn in pool.interruptions] == [recordings.OVER_S]
    assert pool.skipped == 4


def test_the_choice_is_seeded_and_bounded(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"{number}.wav")
    paths = recordings.find(tmp_path)
    labels = [
        [turn.label for turn in recordings.load(paths, size=3, seed=seed).turns]
        for seed in (1, 1, 2)
    ]
    assert labels[0] == labels[1] != labels[2]
    assert len(labels[0]) == 3


def test_nothing_to_speak_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LoadMistake, match="no such folder"):
        recordings.find(tmp_path / "absent")
    with pytest.raises(LoadMistake, match="no audio file"):
        recordings.find(tmp_path)
    (tmp_path / "corrupt.wav").write_bytes(b"RIFF????WAVE")
    with pytest.raises(LoadMistake, match=r"none of 1 files can be spoken; last: .*corrupt\.wav"):
        recordings.load(recordings.find(tmp_path), size=3, seed=0)
