import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from voicebot.audio import mulaw
from voicebot.audio.files import read_audio, read_mulaw
from voicebot.errors import AudioFileError

pytestmark = pytest.mark.unit

SHARED = Path(__file__).parents[2].parent / "shared" / "audio"


def tone(rate: int, hz: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [
        ("a.wav", 8000, "ULAW"),
        ("a.wav", 8000, "ALAW"),
        ("a.wav", 16000, "PCM_16"),
        ("a.wav", 44100, "PCM_24"),
        ("a.wav", 22050, "FLOAT"),
        ("a.flac", 16000, "PCM_16"),
        ("a.ogg", 16000, "VORBIS"),
    ],
)
def test_reads_the_formats_promised(tmp_path: Path, name: str, rate: int, subtype: str) -> None:
    container = "OGG" if name.endswith(("ogg", "opus")) else None
    sf.write(tmp_path / name, tone(rate), rate, subtype=subtype, format=container)
    samples, found = read_audio(tmp_path / name)
    assert found == rate
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert np.abs(samples - tone(rate)).max() < 0.05


def test_reads_opus(tmp_path: Path) -> None:
    """Opus keeps neither phase nor the first samples, so the pitch is compared."""
    sf.write(tmp_path / "a.opus", tone(48000), 48000, subtype="OPUS", format="OGG")
    samples, rate = read_audio(tmp_path / "a.opus")
    assert rate == 48000
    middle = samples[6000:18000] * np.hanning(12000)
    assert np.abs(np.fft.rfft(middle)).argmax() * 48000 / 12000 == pytest.approx(440, abs=4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    sf.write(tmp_path / "a.wav", stereo, 8000, subtype="FLOAT")
    samples, _ = read_audio(str(tmp_path / "a.wav"))
    assert np.allclose(samples, 0.125)


def test_mulaw_wav_comes_back_byte_for_byte(tmp_path: Path) -> None:
    codes = bytes(c for c in range(256) if c != 0x7F) * 4
    sf.write(tmp_path / "a.wav", mulaw.decode(codes), 8000, subtype="ULAW")
    assert read_mulaw(tmp_path / "a.wav") == codes


def test_mulaw_is_resampled_to_8_khz(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.flac", tone(44100), 44100)
    codes = read_mulaw(tmp_path / "a.flac")
    assert len(codes) == 4000
    error = mulaw.decode(codes)[200:-200] / 32768 - tone(8000)[200:-200]
    assert np.sqrt((error**2).mean()) < 0.01


def test_loud_float_is_clipped_not_wrapped(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.full(100, 1.7), 8000, subtype="FLOAT")
    assert set(read_mulaw(tmp_path / "a.wav")) == {0x80}


def one_line(error: pytest.ExceptionInfo[AudioFileError], path: Path) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert re.search(r"; (name|check|give|record|export)", message), "says how to mend it"
    return message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"RIFF", "not readable audio"),
        (b"# not audio at all\n" * 50, "not readable audio"),
        (bytes(range(256)) * 20, "not readable audio"),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a", "a.mp3"])
def test_what_is_not_audio_is_said_in_one_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioFileError) as error:
        read_audio(path)
    assert says in one_line(error, path)


def test_missing_folder_and_silent_header(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError) as error:
        read_audio(tmp_path / "none.wav")
    assert "no such file" in one_line(error, tmp_path / "none.wav")
    with pytest.raises(AudioFileError) as error:
        read_mulaw(tmp_path)
    assert "is a folder" in one_line(error, tmp_path)
    sf.write(tmp_path / "a.wav", np.zeros(0, np.int16), 8000)
    with pytest.raises(AudioFileError) as error:
        read_audio(tmp_path / "a.wav")
    assert "no audio samples" in one_line(error, tmp_path / "a.wav")


def test_samples_that_are_not_numbers(tmp_path: Path) -> None:
    broken = tone(8000)
    broken[10] = np.nan
    sf.write(tmp_path / "a.wav", broken, 8000, subtype="FLOAT")
    with pytest.raises(AudioFileError) as error:
        read_audio(tmp_path / "a.wav")
    assert "not numbers" in one_line(error, tmp_path / "a.wav")


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_file_cut_off_anywhere_is_read_or_refused(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    sf.write(path, tone(16000), 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    try:
        samples, rate = read_audio(path)
    except AudioFileError as error:
        refusal = str(error)
    else:
        assert rate == 16000
        assert 0 < len(samples) <= 8000
        return
    assert "\n" not in refusal


@pytest.mark.recordings
@pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings here")
@pytest.mark.parametrize(
    ("folder", "rate"),
    [("phone_calls", 8000), ("barista", 16000), ("digits", 8000), ("read_sentences", 16000)],
)
def test_recordings(folder: str, rate: int) -> None:
    suffixes = {".wav", ".flac", ".opus"}
    path = next(p for p in sorted((SHARED / folder).rglob("*")) if p.suffix in suffixes)
    samples, found = read_audio(path)
    assert found == rate
    assert len(read_mulaw(path)) == pytest.approx(len(samples) * 8000 / rate, abs=1)
