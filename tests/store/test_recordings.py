"""Stereo recordings: placed by sample, playable at any moment."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from structlog.testing import capture_logs

from voicebot.audio import mulaw
from voicebot.errors import SettingsError
from voicebot.store.recordings import StereoRecording

pytestmark = pytest.mark.unit


def tone(samples: int, step: float = 0.3) -> bytes:
    return mulaw.encode((8000 * np.sin(np.arange(samples) * step)).astype(np.int16))


def read(path: Path) -> NDArray[np.int16]:
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == 8000
    assert samples.shape[1] == 2
    return samples


def test_sides_gaps_and_overlaps(tmp_path: Path) -> None:
    path = tmp_path / "new" / "call.wav"
    caller, bot = tone(20_000), tone(9_000, 0.5)
    with StereoRecording(path) as recording:
        for at in range(0, 20_000, 160):
            recording.write("caller", at, caller[at : at + 160])
        recording.write("bot", 30_000, bot)
        recording.write("bot", 1_000, bot)  # out of order
        recording.write("bot", 31_000, tone(500, 0.9))  # replaces
    samples = read(path)
    assert len(samples) == 39_000
    assert np.array_equal(samples[:20_000, 0], mulaw.decode(caller))
    assert not samples[20_000:, 0].any()
    assert np.array_equal(samples[1_000:10_000, 1], mulaw.decode(bot))
    assert not samples[10_000:30_000, 1].any()
    assert np.array_equal(samples[31_000:31_500, 1], mulaw.decode(tone(500, 0.9)))
    assert np.array_equal(samples[31_500:39_000, 1], mulaw.decode(bot)[1_500:])


def test_playable_while_written_and_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = StereoRecording(path)
    assert len(read(path)) == 0
    audio = tone(40_000)
    for at in range(0, 40_000, 160):
        recording.write("caller", at, audio[at : at + 160])
        recording.write("bot", at, audio[at : at + 160])
    samples = read(path)  # nothing was closed
    assert len(samples) >= 32_000
    expected = mulaw.decode(audio)[: len(samples)]
    assert np.array_equal(samples[:, 0], expected)
    assert np.array_equal(samples[:, 1], expected)
    recording.close()
    assert len(read(path)) == 40_000


def test_header_is_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecording(path) as recording:
        recording.write("caller", 0, tone(100))
    information = soundfile.info(path)
    assert (information.format, information.subtype) == ("WAV", "PCM_16")
    assert path.stat().st_size == 44 + 100 * 4


def test_impossible_positions(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecording(path, max_s=1) as recording:
        recording.write("caller", -100, tone(200))
        recording.write("caller", -100, tone(50))
        recording.write("caller", 7_900, tone(200))
        recording.write("bot", 10**15, tone(160))
        recording.write("bot", 0, b"")
    assert len(read(path)) == 8000
    recording.write("bot", 0, tone(160))  # after closing: left out
    recording.close()


def test_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="VOICEBOT_STORE__RECORDINGS_DIR") as caught:
        StereoRecording(tmp_path / "file" / "call.wav")
    assert "\n" not in str(caught.value)


def test_a_full_disk_ends_the_recording_not_the_call(tmp_path: Path) -> None:
    recording = StereoRecording(tmp_path / "call.wav")
    recording._file.close()
    recording._file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with capture_logs() as logs:
        for at in range(0, 40_000, 8_000):
            recording.write("caller", at, tone(8_000))
    assert recording.has_failed
    recording.close()
    assert [entry["event"] for entry in logs] == ["recording failed"]
