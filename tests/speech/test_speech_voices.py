"""The embedded voice: real espeak-ng, real samples."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from voicebot.errors import ModelUnavailable
from voicebot.speech import espeak
from voicebot.speech.voices import EspeakVoice, Rendering

pytestmark = pytest.mark.unit

TEXTS = [
    "Welcome to Oak Bank. How can I help you today?",
    "Your balance is twelve dollars and fifty cents.",
    "Müller — naïve café, 42 items & a 3rd one…",
    "Call 555-0199 now!",
    "  two  spaces ",
    "one",
]


@pytest.fixture(scope="module")
def voice() -> EspeakVoice:
    return EspeakVoice("en-us", 165)


@pytest.mark.parametrize("text", TEXTS)
def test_word_ends_ascend_and_cover_the_text(voice: EspeakVoice, text: str) -> None:
    samples, rate_hz, ends = voice.render(text)
    assert rate_hz == 22050
    assert samples.dtype == np.int16
    assert np.abs(samples).max() > 3000
    positions = [end.sample for end in ends]
    chars = [end.chars for end in ends]
    assert positions == sorted(positions)
    assert chars == sorted(set(chars))
    assert chars[-1] == len(text)
    assert 0 < positions[-1] <= len(samples)
    for end in ends[:-1]:  # each ends with a written word
        assert not text[end.chars - 1].isspace()
        assert text[end.chars].isspace()


def test_each_word_has_its_end_where_the_sound_stops(voice: EspeakVoice) -> None:
    text = "Stop. Please go on."
    samples, rate_hz, ends = voice.render(text)
    assert [text[: end.chars] for end in ends] == [
        "Stop.",
        "Stop. Please",
        "Stop. Please go",
        "Stop. Please go on.",
    ]
    # The pause between the sentences is not part of the first word.
    after = samples[ends[0].sample : ends[0].sample + int(0.15 * rate_hz)]
    before = samples[ends[0].sample - int(0.1 * rate_hz) : ends[0].sample]
    assert np.abs(after).max() < np.abs(before).max() / 5


def test_text_before_a_word_end_is_what_is_heard_until_then(voice: EspeakVoice) -> None:
    """Audio up to a word's end is about as long as those words spoken alone."""
    text = "I would like to know my balance"
    _, rate_hz, ends = voice.render(text)
    for end in ends[2:]:
        alone = voice.render(text[: end.chars])
        assert abs(end.sample - alone.word_ends[-1].sample) < 0.4 * rate_hz


@pytest.mark.parametrize("text", ["", "   ", "...", "—", "\x00"])
def test_nothing_to_speak(voice: EspeakVoice, text: str) -> None:
    samples, _, ends = voice.render(text)
    assert len(samples) < 22050 // 2
    assert not text.split() or ends[-1].chars == len(text)


def seconds(rendering: Rendering) -> float:
    """espeak's phase runs on from text to text: lengths agree within some 20 ms only."""
    return pytest.approx(len(rendering.samples) / rendering.rate_hz, abs=0.1)


def test_same_text_sounds_the_same_and_markup_is_only_text(voice: EspeakVoice) -> None:
    first = voice.render("Press one.")
    voice.render("<break time='9s'/> [[zzz]] loud & clear")
    assert seconds(voice.render("Press one.")) == seconds(first)
    assert len(voice.render("Stop <break time='9s'/>.").samples) < 4 * 22050


def test_voices_and_rates_differ_and_share_one_engine(voice: EspeakVoice) -> None:
    fast, other = EspeakVoice("en-us", 260), EspeakVoice("de", 165)
    text = "Is there anything else?"
    normal = voice.render(text)
    assert len(fast.render(text).samples) < 0.75 * len(normal.samples)
    assert seconds(other.render(text)) != seconds(normal)
    assert seconds(voice.render(text)) == seconds(normal)
    assert len({voice.name, fast.name, other.name}) == 3
    assert voice.name == "espeak:en-us@165"
    assert voice.version[0].isdigit()


def test_a_variant_is_heard(voice: EspeakVoice) -> None:
    """f3 speaks about an octave above the plain voice."""

    def pitch_hz(rendering: Rendering) -> float:
        vowel = rendering.samples[4000:12000].astype(float)
        lags = np.correlate(vowel, vowel[:-400], "valid")
        return rendering.rate_hz / (60 + int(np.argmax(lags[60:])))

    text = "aaah"
    assert pitch_hz(EspeakVoice("en-us+f3").render(text)) > 1.4 * pitch_hz(voice.render(text))


def test_threads_do_not_mix_their_words(voice: EspeakVoice) -> None:
    voices = [EspeakVoice(name) for name in ("en-us", "en-us+f3", "en-us+m3")]
    jobs = [(v, text) for v in voices for text in TEXTS] * 3
    expected = [v.render(text) for v, text in jobs]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: job[0].render(job[1]), jobs))
    for one, other in zip(expected, found, strict=True):
        assert seconds(one) == seconds(other)
        assert [end.chars for end in one.word_ends] == [end.chars for end in other.word_ends]


@pytest.mark.parametrize("name", ["", "xx", "en-us+zzz", "en-us+", "../x", "en-us+../f3", "a\nb"])
def test_unknown_voice_in_one_line(name: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        EspeakVoice(name)
    assert "\n" not in str(caught.value)


def test_missing_library_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak.espeakng_loader, "get_library_path", lambda: "/nowhere/lib.so")
    with pytest.raises(ModelUnavailable, match="reinstall"):
        espeak.Engine()


def test_data_under_a_very_long_path(tmp_path: Path) -> None:
    """The library's path buffer is 160 characters; a deep environment must still speak."""
    deep = tmp_path.joinpath(*["folder-with-a-long-name"] * 9)
    deep.parent.mkdir(parents=True)
    code = (
        "import sys, espeakng_loader, pathlib\n"
        "deep = pathlib.Path(sys.argv[1])\n"
        "deep.symlink_to(espeakng_loader.get_data_path())\n"
        "espeakng_loader.get_data_path = lambda: str(deep)\n"
        "from voicebot.speech.voices import EspeakVoice\n"
        "print(len(EspeakVoice().render('hello there').samples))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(deep)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5000
