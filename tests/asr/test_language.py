"""Whether English was spoken."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from voicebot.asr import checkpoint, language
from voicebot.asr.confidence import Logistic
from voicebot.asr.moonshine import Dimensions
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.utterance import prepare
from voicebot.audio.resample import resample
from voicebot.errors import ModelUnavailable
from voicebot.events import Hypothesis, Word
from voicebot.speech.voices import EspeakVoice

pytestmark = pytest.mark.unit
WIDTH = 4


def model(bias: float, weight: float = 0.0) -> Logistic:
    """Of the mean of the first channel."""
    weights = np.zeros(2 * WIDTH)
    weights[0] = weight
    return Logistic(np.zeros(2 * WIDTH), np.ones(2 * WIDTH), weights, bias)


def test_mean_and_spread_of_the_frames_decide() -> None:
    frames = np.arange(12, dtype=np.float32).reshape(3, WIDTH)
    found = language.statistics(frames)
    assert found[:WIDTH].tolist() == [4, 5, 6, 7]
    assert found[WIDTH:] == pytest.approx(np.sqrt(32 / 3))
    assert language.is_foreign(frames, model(-8, 4.0))
    assert not language.is_foreign(frames, model(-20, 4.0))
    assert not language.is_foreign(frames[:0], model(9))


def test_the_shipped_parameters_are_for_the_shipped_weights(tmp_path: Path) -> None:
    """By whatever name these are loaded (a server names their file, and did without), and for no
    others."""
    shipped = checkpoint.open_file(checkpoint.SHIPPED)
    fitted = language.fitted_to(shipped.checksum)
    assert fitted is not None, "fit again: python -m voicebot.learning.asr_language"
    copied = Path(shutil.copy(checkpoint.SHIPPED, tmp_path / "copied.safetensors"))
    for path in (checkpoint.SHIPPED, copied, None):
        assert Recogniser(tmp_path, 1, model=path)._language is fitted
    shipped.tensors["decoder.layers.0.mlp_norm.weight"].mul_(1.01)
    checkpoint.write(copied, shipped)
    other = Recogniser(tmp_path, 1, model=copied)
    assert other._language is None
    assert Recogniser.of(other.model, other.vocabulary)._language is None


def test_parameters_that_are_damaged_are_one_line(tmp_path: Path) -> None:
    sound = json.loads(language.FILE.read_text())
    path = tmp_path / "language.json"
    path.write_text(json.dumps(sound))
    assert language.read(path)[1] == sound["fitted_to"]
    broken = [
        "{", "[]", *(json.dumps({k: v for k, v in sound.items() if k != key}) for key in
                     ("mean", "scale", "weights", "bias", "fitted_to")),
        json.dumps(sound | {"weights": sound["weights"][1:]}),
        json.dumps(sound | {"mean": [float("nan"), *sound["mean"][1:]]}),
        json.dumps(sound | {"scale": [0.0, *sound["scale"][1:]]}),
    ]  # fmt: skip
    for content in broken:
        path.write_text(content)
        with pytest.raises(ModelUnavailable, match=r"language\.json: damaged"):
            language.read(path)


def test_an_utterance_is_believed_for_itself_or_for_its_words() -> None:
    """'I was born on July twenty eighth' was given up for one doubtful word of seven."""

    def heard(whole: float, *words: float) -> Hypothesis:
        return Hypothesis("so", tuple(Word("so", sure) for sure in words), whole)

    assert language.is_doubtful(heard(0.4, 0.5, 0.6), False)
    assert not language.is_doubtful(heard(0.6, 0.5, 0.6), True)
    assert not language.is_doubtful(heard(0.4, 0.2, *[0.95] * 6), False)
    assert language.is_doubtful(heard(0.4, 0.2, *[0.95] * 6), True)
    assert not language.is_doubtful(Hypothesis(""), True)


@pytest.fixture
def doubting(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> Recogniser:
    """One that takes whatever is doubtful for another language, and doubts everything."""
    zeros = np.zeros(2 * Dimensions().width)
    monkeypatch.setattr(recogniser, "_language", Logistic(zeros, zeros + 1, zeros, 9.0))
    monkeypatch.setattr(language, "DOUBTFUL", 1.1)
    monkeypatch.setattr(language, "SURE_WORDS", 1.1)
    return recogniser


def spoken(seconds: float) -> np.ndarray:
    rendering = EspeakVoice("en-us").render("I would like to change my order, please.")
    samples = rendering.samples.astype(np.float32) / 32768
    whole = np.tile(np.pad(samples, rendering.rate_hz // 4), 20)
    return resample(whole, rendering.rate_hz, 16000)[: int(seconds * 16000)]


@pytest.mark.parametrize("seconds", [3, 22])
def test_only_what_is_doubtful_is_given_up(doubting, monkeypatch, seconds) -> None:
    """Whatever it sounds like; speech of more than one piece too."""
    sound = spoken(seconds)
    assert len(prepare(sound)) == (1 if seconds == 3 else 2)
    assert doubting.transcribe([sound], nbest=3)[0].text == ""
    assert doubting.transcribe([sound])[0].text, "a partial, by which is known that somebody speaks"
    monkeypatch.setattr(language, "DOUBTFUL", 0.0)
    believed = doubting.transcribe([sound], nbest=3)[0]
    assert "change my order" in believed.text
    monkeypatch.setattr(language, "DOUBTFUL", believed.confidence)
    assert doubting.transcribe([sound], nbest=3)[0].text == believed.text


def test_who_goes_on_was_heard_greedily_and_keeps_his_words(doubting) -> None:
    """Where he does not go on he is asked for again, with beams; where there is nothing, not."""
    goes_on, has_ended = (
        doubting.transcribe([spoken(3)], nbest=3, judge=lambda frames, _, p=p: [p] * len(frames))[0]
        for p in (0.0, 1.0)
    )
    assert goes_on.text
    assert len(goes_on.nbest) == 1
    assert (has_ended.text, has_ended.end_probability) == ("", 1.0)
