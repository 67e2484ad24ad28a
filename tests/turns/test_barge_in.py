import pytest

from voicebot.events import BargeIn, BargeInMode, Digit, SpeechStarted
from voicebot.turns.barge_in import BargeInPolicy

pytestmark = pytest.mark.unit

STARTED = SpeechStarted(at=8000, detected_at=8768)


def policy(mode: BargeInMode) -> BargeInPolicy:
    made = BargeInPolicy()
    made.prompt(mode)
    return made


def test_speech_over_a_prompt_must_last() -> None:
    made = policy(BargeInMode.SPEECH)
    assert made.speech(STARTED, 8768, is_audible=True) is None
    assert made.speech(STARTED, 8000 + 1199, is_audible=True) is None
    assert made.speech(STARTED, 8000 + 1200, is_audible=True) == BargeIn(8000, "speech")


def test_speech_where_the_bot_is_silent_takes_the_floor_at_once() -> None:
    made = policy(BargeInMode.SPEECH)
    assert made.speech(STARTED, 8768, is_audible=False) == BargeIn(8000, "speech")


def test_caller_who_spoke_before_the_prompt_began() -> None:
    made = policy(BargeInMode.SPEECH)
    assert made.speech(STARTED, 20000, is_audible=True) == BargeIn(8000, "speech")


@pytest.mark.parametrize("mode", [BargeInMode.HOTWORD, BargeInMode.DTMF, BargeInMode.NONE])
@pytest.mark.parametrize("is_audible", [True, False])
def test_speech_alone_interrupts_only_where_it_may(mode: BargeInMode, is_audible: bool) -> None:
    made = policy(mode)
    assert all(
        made.speech(STARTED, at, is_audible=is_audible) is None for at in range(8768, 90000, 256)
    )


@pytest.mark.parametrize("mode", [BargeInMode.SPEECH, BargeInMode.HOTWORD, BargeInMode.DTMF])
def test_a_key_interrupts_at_once(mode: BargeInMode) -> None:
    assert policy(mode).digit(Digit("5", 8100)) == BargeIn(8100, "dtmf")


def test_nothing_interrupts_a_prompt_that_says_so() -> None:
    assert policy(BargeInMode.NONE).digit(Digit("5", 8100)) is None
    assert BargeInPolicy().digit(Digit("5", 8100)) is None


def test_each_prompt_is_interrupted_once() -> None:
    made = policy(BargeInMode.SPEECH)
    assert made.speech(STARTED, 10000, is_audible=True) is not None
    assert made.speech(STARTED, 10256, is_audible=True) is None
    assert made.digit(Digit("1", 10300)) is None
    made.prompt(BargeInMode.SPEECH)
    assert made.digit(Digit("1", 10400)) is not None


def test_confirmation_is_a_setting() -> None:
    patient = BargeInPolicy(confirm_ms=500)
    patient.prompt(BargeInMode.SPEECH)
    assert patient.speech(STARTED, 8000 + 3999, is_audible=True) is None
    assert patient.speech(STARTED, 8000 + 4000, is_audible=True) is not None
