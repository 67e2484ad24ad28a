"""The beginning and end of speech in a recording, by energy."""

import json
import math
import random
from pathlib import Path

import pytest

from voicebot.telephony.loudness import speech_span

pytestmark = pytest.mark.unit

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "audio" / "phone_calls"


def encode(sample: float) -> int:
    """G.711 mu-law of one 16-bit sample, written out as the standard's segments."""
    magnitude = min(abs(round(sample)), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    code = (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)
    return ~(code | (0x80 if sample < 0 else 0)) & 0xFF


def tone(seconds: float, level: float) -> bytes:
    """A 440 Hz tone of this peak (16-bit scale)."""
    return bytes(
        encode(level * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(int(seconds * 8000))
    )


def noise(seconds: float, level: float, seed: int = 1) -> bytes:
    """White noise of this standard deviation."""
    generator = random.Random(seed)
    return bytes(encode(generator.gauss(0, level)) for _ in range(int(seconds * 8000)))


@pytest.mark.parametrize("silence", [b"\xff", b"\x7f", b"\xfe", b"\xff\x7f"])
def test_idle_lines_hold_no_speech(silence: bytes) -> None:
    assert speech_span(silence * 4000) is None
    assert speech_span(b"") is None


@pytest.mark.parametrize("level", [300, 3000, 30000])
def test_silence_around_speech_is_not_speech(level: float) -> None:
    mulaw = b"\xff" * 4000 + tone(0.5, level) + b"\xff" * 8000
    assert speech_span(mulaw) == (4000, 8000)


def test_a_pause_within_speech_belongs_to_it() -> None:
    mulaw = tone(0.2, 9000) + b"\xff" * 8000 + tone(0.2, 9000)
    assert speech_span(mulaw) == (0, len(mulaw))


def test_background_noise_is_not_speech() -> None:
    """25 dB below the tone's frames is below this noise: only its own level shows it."""
    mulaw = noise(1.0, 700) + tone(0.6, 9000) + noise(1.4, 700)
    assert speech_span(mulaw) == (8000, 12800)


def test_clicks_of_the_line_are_not_speech() -> None:
    click = tone(0.04, 20000)
    mulaw = click + b"\xff" * 3200 + tone(0.4, 9000) + b"\xff" * 4000 + click
    assert speech_span(mulaw) == (3520, 6720)
    assert speech_span(b"\xff" * 1600 + click) == (1600, 1920)


def test_a_burst_close_to_speech_belongs_to_it() -> None:
    """The release of a final t or k follows its closure."""
    mulaw = tone(0.4, 9000) + b"\xff" * 640 + tone(0.02, 3000) + b"\xff" * 800
    assert speech_span(mulaw) == (0, 4000)


def test_steady_sound_is_speech_throughout() -> None:
    assert speech_span(tone(1.0, 9000)) == (0, 8000)
    assert speech_span(tone(0.03, 9000)) == (0, 240)


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings")
def test_agrees_with_the_transcribers_on_telephone_calls() -> None:
    """Isolated keywords of real calls: the end marked by hand is met within 0.1 s, mostly.

    The beginning is not asked for: many recordings open with the prompt's beep.
    """
    soundfile = pytest.importorskip("soundfile")
    lines = (RECORDINGS / "transcripts.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    keywords = [row for row in rows if row["kind"] == "keyword" and not row["unclear"]]
    errors_s = []
    for row in random.Random(7).sample(keywords, 60):
        samples, _ = soundfile.read(RECORDINGS / row["file"], dtype="int16")
        span = speech_span(bytes(encode(sample) for sample in samples.tolist()))
        assert span is not None
        errors_s.append(abs(span[1] / 8000 - row["keyword_end_s"]))
    errors_s.sort()
    assert errors_s[len(errors_s) // 2] <= 0.05
    assert sum(error <= 0.1 for error in errors_s) >= 0.8 * len(errors_s)
