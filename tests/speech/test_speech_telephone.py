"""Level, band and length of what goes to the telephone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.events import PhraseEnd
from voicebot.speech.telephone import encode_mulaw, to_telephone
from voicebot.speech.voices import EspeakVoice, Rendering

pytestmark = pytest.mark.unit


def decode(mulaw: bytes) -> NDArray[np.int16]:
    """G.711 mu-law by its formula, independent of the encoder under test."""
    code = ~np.frombuffer(mulaw, np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84) << ((code >> 4) & 7)
    return np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84).astype(np.int16)


def test_mulaw_round_trip_is_within_a_step() -> None:
    pcm = np.arange(-32000, 32000, 7, dtype=np.int16)
    back = decode(encode_mulaw(pcm)).astype(int)
    assert (np.abs(back - pcm) <= np.maximum(np.abs(pcm.astype(int)) / 16, 8)).all()
    assert encode_mulaw(np.zeros(3, np.int16)) == b"\xff\xff\xff"
    assert encode_mulaw(np.zeros(0, np.int16)) == b""


@pytest.mark.parametrize("name", ["en-us", "en-us+f3", "en-us+klatt4", "de"])
@pytest.mark.parametrize("text", ["Thank you for calling Oak Bank. How may I help?", "one", "yes"])
def test_level_and_silence(name: str, text: str) -> None:
    prompt = to_telephone(text, EspeakVoice(name).render(text))
    samples = decode(prompt.mulaw) / 32768
    assert len(samples) % 160 == 0
    rms = np.sqrt((samples.reshape(-1, 160) ** 2).mean(axis=1))
    active = rms[rms > 0.03 * rms.max()]
    assert 20 * np.log10(np.sqrt((active**2).mean())) == pytest.approx(-20, abs=1)
    assert 20 * np.log10(np.abs(samples).max()) < -2.8
    assert rms[:5].max() > 0.003  # speech begins within 100 ms
    assert rms[-8:].max() > 0.001  # and ends at most 160 ms before the prompt does
    assert prompt.word_ends[-1].chars == len(text)
    assert prompt.word_ends[-1].sample <= len(samples)


def test_what_the_telephone_cannot_carry_does_not_alias() -> None:
    t = np.arange(22050) / 22050
    tone = (8000 * np.sin(2 * np.pi * 6000 * t) + 800 * np.sin(2 * np.pi * 1000 * t)).astype(
        "int16"
    )
    prompt = to_telephone("x", Rendering(tone, 22050, (PhraseEnd(22050, 1),)))
    spectrum = np.abs(np.fft.rfft(decode(prompt.mulaw)[800:7200] * np.hanning(6400)))
    hz = np.fft.rfftfreq(6400, 1 / 8000)
    alias = spectrum[(hz > 1950) & (hz < 2050)].max()  # 8000 - 6000
    assert alias < spectrum[(hz > 950) & (hz < 1050)].max() / 100


def test_word_ends_follow_trimming_and_rate() -> None:
    sound = (6000 * np.sin(np.arange(16000) * 0.3)).astype(np.int16)
    samples = np.concatenate([np.zeros(16000, np.int16), sound, np.zeros(16000, np.int16)])
    ends = (PhraseEnd(24000, 2), PhraseEnd(32000, 4))
    prompt = to_telephone("a bc", Rendering(samples, 16000, ends))
    lead = 160
    assert [end.chars for end in prompt.word_ends] == [2, 4]
    assert prompt.word_ends[0].sample == pytest.approx(4000 + lead, abs=20)
    assert prompt.word_ends[1].sample == pytest.approx(8000 + lead, abs=20)
    assert len(prompt.mulaw) == pytest.approx(8000 + lead + 480, abs=160)


@pytest.mark.parametrize("samples", [np.zeros(0, np.int16), np.zeros(4000, np.int16)])
def test_silence_becomes_an_empty_prompt(samples: NDArray[np.int16]) -> None:
    prompt = to_telephone("...", Rendering(samples, 22050, (PhraseEnd(len(samples), 3),)))
    assert prompt.mulaw == b""
    assert prompt.word_ends == (PhraseEnd(0, 3),)


def test_consonants_are_lifted() -> None:
    """3300 Hz gains what the shelf says there over 300 Hz: 1 + 1.51 * 0.635 -> 5.8 dB."""
    t = np.arange(16000) / 8000
    tones = (3000 * (np.sin(2 * np.pi * 300 * t) + np.sin(2 * np.pi * 3300 * t))).astype("int16")
    prompt = to_telephone("x", Rendering(tones, 8000, (PhraseEnd(16000, 1),)))
    spectrum = np.abs(np.fft.rfft(decode(prompt.mulaw)[800:8800] * np.hanning(8000)))
    assert 20 * np.log10(spectrum[3300] / spectrum[300]) == pytest.approx(5.8, abs=0.3)
