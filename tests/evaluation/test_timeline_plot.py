"""The picture of a call: what is drawn stands where it happened."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from voicebot import events
from voicebot.audio import mulaw
from voicebot.errors import AudioFileError, UserMistake
from voicebot.evaluation import timeline_plot
from voicebot.evaluation.timeline_plot import draw
from voicebot.store.recordings import StereoRecording
from voicebot.store.timeline import Timeline

pytestmark = pytest.mark.unit

BLUE, GREEN, RED = (0x2B, 0x6C, 0xB0), (0x2F, 0x85, 0x5A), (0xC5, 0x30, 0x30)


def record(folder: Path, seconds: int, *happened: object) -> tuple[Path, Path]:
    """A bot that hums in the first second, a caller in the last; and what happened."""
    hum = mulaw.encode((9000 * np.sin(np.arange(8000) * 0.3)).astype(np.int16))
    with StereoRecording(folder / "recording.wav") as recording:
        recording.write("bot", 0, hum)
        recording.write("caller", (seconds - 1) * 8000, hum)
    with Timeline(folder / "timeline.jsonl") as timeline:
        for event in happened:
            timeline.record(event)
    return folder / "recording.wav", folder / "timeline.jsonl"


def pixels(png: Path) -> NDArray[np.uint8]:
    return np.round(np.asarray(imread(png))[:, :, :3] * 255).astype(np.uint8)


def where(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.int64]:
    """(rows, columns) that have about this colour, the legend and the labels left out."""
    difference = np.abs(image[60:, 80:].astype(int) - colour).max(axis=2)
    return np.argwhere(difference < 50)


def test_audio_stands_where_it_was(tmp_path: Path) -> None:
    wav, timeline = record(tmp_path, 10)
    draw(wav, timeline, tmp_path / "new" / "call.png")
    image = pixels(tmp_path / "new" / "call.png")
    bot, caller = where(image, BLUE), where(image, GREEN)
    width = image.shape[1] - 80
    assert len(bot) > 1000
    assert len(caller) > 1000
    loud_bot = bot[bot[:, 1] < 0.11 * width]  # the rest is the thin line through silence
    assert len(loud_bot) > 0.8 * len(bot)
    assert len(caller[caller[:, 1] > 0.85 * width]) > 0.8 * len(caller)
    assert bot[:, 0].mean() < caller[:, 0].mean()


def test_a_barge_in_is_a_line_through_both_sides(tmp_path: Path) -> None:
    cut = events.BargeIn(40_000, "speech")
    wav, timeline = record(tmp_path, 10, events.PromptStarted(0), cut)
    draw(wav, timeline, tmp_path / "call.png")
    red = where(pixels(tmp_path / "call.png"), RED)
    column = int(np.bincount(red[:, 1]).argmax())
    assert np.ptp(red[red[:, 1] == column][:, 0]) > 80
    draw(*record(tmp_path / "without", 10), tmp_path / "without.png")
    assert not len(where(pixels(tmp_path / "without.png"), RED))


def test_speech_prompts_texts_and_keys_change_the_picture(tmp_path: Path) -> None:
    draw(*record(tmp_path / "plain", 10), tmp_path / "plain.png")
    plain = pixels(tmp_path / "plain.png")
    turn = events.TurnEnded(48_000, events.TurnEndReason.COMPLETE, 16_000, 40_000)
    for index, happened in enumerate(
        [
            [events.SpeechStarted(16_000, 17_000), events.SpeechEnded(40_000, 41_000)],
            [events.PromptStarted(16_000), events.PromptHeard(40_000, "Hello", False)],
            [turn],
            [events.Hypothesis("one two", end_at=20_000)],
            [events.CallerTurn(turn, events.Hypothesis("costs $5 or $6 日本", (), 0.5))],
            [events.Digit("5", 20_000)],
            [events.NoInput(60_000)],
        ]
    ):
        folder = tmp_path / str(index)
        draw(*record(folder, 10, *happened), folder / "call.png")
        image = pixels(folder / "call.png")
        assert image.shape == plain.shape
        assert (image[60:] != plain[60:]).any(), happened


def test_size_follows_duration(tmp_path: Path) -> None:
    heights, widths = [], []
    for seconds in (2, 20, 60):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        with Timeline(folder / "timeline.jsonl") as timeline:
            timeline.append(seconds * 8000, "call_ended")
        draw(None, folder / "timeline.jsonl", folder / "call.png")
        height, width, _ = pixels(folder / "call.png").shape
        heights.append(height)
        widths.append(width)
    assert heights[0] == heights[1] < heights[2] < 4 * heights[1]
    assert 900 < widths[0] < widths[1] <= 2000
    assert widths[2] <= 2000


def test_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("")
    draw(None, tmp_path / "t.jsonl", tmp_path / "call.png")
    assert pixels(tmp_path / "call.png").size
    with StereoRecording(tmp_path / "empty.wav"):
        pass
    draw(tmp_path / "empty.wav", tmp_path / "t.jsonl", tmp_path / "call.png")


def test_mistakes_in_one_line(tmp_path: Path) -> None:
    wav, timeline = record(tmp_path, 2)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    for bad in (tmp_path / "bad.wav", tmp_path / "absent.wav", tmp_path):
        with pytest.raises(AudioFileError, match=r"recording\.wav") as caught:
            draw(bad, timeline, tmp_path / "call.png")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserMistake, match="timeline"):
        draw(wav, tmp_path / "absent.jsonl", tmp_path / "call.png")
    with pytest.raises(UserMistake, match="writable"):
        draw(wav, timeline, wav / "call.png")


def test_no_window_system_is_touched() -> None:
    """pyplot looks for a display and keeps every figure; other tests may have imported it."""
    assert "pyplot" not in Path(timeline_plot.__file__).read_text()
