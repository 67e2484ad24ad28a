import os
import stat
from pathlib import Path

import pytest

from voicebot.store.private import private_file
from voicebot.store.recordings import StereoRecording
from voicebot.store.timeline import Timeline

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(os.name == "nt", reason="POSIX permissions"),
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_callers_said_is_for_nobody_else(tmp_path: Path) -> None:
    with StereoRecording(tmp_path / "call" / "recording.wav") as recording:
        recording.write("caller", 0, b"\xff" * 160)
    with Timeline(tmp_path / "call" / "timeline.jsonl") as timeline:
        timeline.append(0, "call_ended")
    assert mode(tmp_path / "call") == 0o700
    assert mode(tmp_path / "call" / "recording.wav") == 0o600
    assert mode(tmp_path / "call" / "timeline.jsonl") == 0o600


def test_permissions_that_exist_stay(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch(mode=0o640)
    path.chmod(0o640)
    assert mode(private_file(path)) == 0o640
