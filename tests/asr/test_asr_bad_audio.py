"""What no recogniser should make words of, with the shipped weights where they are there."""

from collections.abc import Callable

import numpy as np
import pytest

from voicebot.asr import checkpoint
from voicebot.asr.recogniser import Recogniser
from voicebot.audio.resample import resample
from voicebot.errors import ModelUnavailable
from voicebot.events import SAMPLE_RATE_HZ, Expectation, SlotSpec, SlotType
from voicebot.learning import asr_nonspeech
from voicebot.learning.asr_channel import Chain, Telephone, clipped
from voicebot.learning.asr_trial import over_telephone
from voicebot.speech.voices import EspeakVoice

pytestmark = pytest.mark.unit
RATE = 16000
LOW = 0.35
"""Below this nothing is taken without asking, whatever the words."""


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    if not checkpoint.SHIPPED.is_file():
        pytest.skip("needs the shipped weights")
    try:
        return Recogniser(tmp_path_factory.mktemp("weights"), threads=1)
    except ModelUnavailable as problem:  # a checkout without large files
        pytest.skip(str(problem))


def speech(text: str, voice: str = "en-us+steph") -> np.ndarray:
    rendering = EspeakVoice(voice).render(text)
    samples = rendering.samples.astype(np.float32) / 32768
    return over_telephone(resample(samples, rendering.rate_hz, RATE))


@pytest.mark.parametrize("sort", [*asr_nonspeech.MAKERS])
def test_sounds_without_speech_give_nothing_or_little_confidence(ear, sort):
    telephone = Telephone(Chain(), [], [])
    rng = np.random.default_rng(list(sort.encode()))
    sounds = [
        resample(asr_nonspeech.draw(sort, 2 * SAMPLE_RATE_HZ, rng, telephone), SAMPLE_RATE_HZ, RATE)
        for _ in range(2)
    ]
    for hypothesis in ear.transcribe(sounds, nbest=3):
        assert not hypothesis.text or hypothesis.confidence < LOW, hypothesis.text


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("de", "Guten Tag, ich möchte meinen Kontostand wissen."),
        ("pl", "Dzień dobry, chciałbym zapytać o moje zamówienie."),
        ("es", "Buenos días, necesito cambiar la fecha de mi cita."),
    ],
)
def test_another_language_is_unsure(ear, voice, text):
    [heard] = ear.transcribe([speech(text, voice)], nbest=3)
    assert heard.confidence < LOW, heard.text


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: clipped(samples, 20.0),
        lambda samples: samples * np.float32(0.02),
        lambda samples: np.where(np.arange(len(samples)) % 800 < 40, np.nan, samples),
    ],
    ids=["clipped", "faint", "not finite"],
)
def test_ill_treated_speech_harms_nobody(ear, change: Callable[[np.ndarray], np.ndarray]):
    damaged = change(speech("I would like to speak to an operator please.")).astype(np.float32)
    [heard] = ear.transcribe([damaged], nbest=3)
    assert 0.0 <= heard.confidence <= 1.0
    assert len(heard.text.split()) <= 15


def test_a_whisper_is_words_or_nothing(ear):
    """Noise in place of the voice: the same spectrum frame by frame, without pitch."""
    rng = np.random.default_rng(3)
    voiced = speech("yes please").astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(voiced, 512)[::128]
    whisper = np.zeros(len(voiced) + 512)
    for at, frame in enumerate(frames):
        phases = np.exp(2j * np.pi * rng.random(257))
        magnitude = np.abs(np.fft.rfft(frame * np.hanning(512)))
        whisper[at * 128 : at * 128 + 512] += np.fft.irfft(magnitude * phases) * np.hanning(512)
    [heard] = ear.transcribe([whisper.astype(np.float32)], nbest=3)
    assert len(heard.text.split()) <= 5


def test_a_minute_without_a_pause(ear):
    sentence = speech("I said that I want to change the order which I made on Monday and ")
    [heard] = ear.transcribe([np.resize(sentence, 60 * RATE)], nbest=2)
    assert heard.text
    assert len(heard.words) <= 60 * 8
    assert 0.0 <= heard.confidence <= 1.0


def test_languages_that_nothing_was_fitted_to_are_nothing(ear):
    """Two or three of these six came out as English, with little confidence."""
    foreign = [
        ("nl", "Goedemiddag, ik wil graag een afspraak maken voor volgende week."),
        ("hu", "Jó napot kívánok, a számlámmal kapcsolatban szeretnék érdeklődni."),
        ("ru", "Здравствуйте, я хотел бы узнать, почему мне до сих пор не вернули деньги."),
        ("ro", "Bună ziua, aș dori să vorbesc cu cineva despre contractul meu."),
        ("pt", "Boa tarde, eu queria saber quando chega a encomenda que fiz."),
        ("id", "Selamat siang, saya mau menanyakan tagihan listrik bulan ini."),
    ]
    sounds = [speech(text, voice) for voice, text in foreign]
    yes_no = Expectation("test", "it", (SlotSpec("it", SlotType.YES_NO),))
    for expectation in (None, yes_no):
        heard = ear.transcribe(sounds, nbest=3, expectations=[expectation] * len(sounds))
        assert sum(bool(one.text) for one in heard) <= 1, [one.text for one in heard]
