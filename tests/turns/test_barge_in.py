"""Who has the floor: the policy in virtual time, the words judged apart."""

import pytest

from voicebot.events import (
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    Completeness,
    Digit,
    EchoState,
    Expectation,
    SlotSpec,
    SlotType,
    SpeechStarted,
)
from voicebot.turns.backchannel import is_backchannel, verdict
from voicebot.turns.barge_in import BargeInPolicy

pytestmark = pytest.mark.unit

STARTED = SpeechStarted(at=8000, detected_at=8768)


def policy(mode: BargeInMode = BargeInMode.SPEECH) -> BargeInPolicy:
    made = BargeInPolicy()
    made.prompt(mode)
    return made


def hear(
    made: BargeInPolicy,
    speech: SpeechStarted | None,
    at: int,
    *,
    is_audible: bool = True,
    echo: EchoState = EchoState.LOCKED,
) -> BargeInCandidate | BargeIn | BargeInRejected | None:
    return made.heard(speech, at, is_audible=is_audible, echo=echo)


def test_speech_over_a_prompt_is_a_candidate_at_once() -> None:
    made = policy()
    assert hear(made, None, 8000) is None
    assert hear(made, STARTED, 8768) == BargeInCandidate(8000, 8768)
    assert made.is_pending
    assert hear(made, STARTED, 9024) is None


def test_it_takes_longer_while_the_echo_is_not_known() -> None:
    made = policy()
    assert hear(made, STARTED, 8768, echo=EchoState.UNLOCKED) is None
    assert hear(made, STARTED, 8000 + 2000, echo=EchoState.UNLOCKED) is not None


def test_speech_where_nothing_of_the_bot_is_left_takes_the_floor_at_once() -> None:
    made = policy()
    found = hear(made, STARTED, 8768, is_audible=False, echo=EchoState.NONE)
    assert found == BargeIn(8000, "speech")
    assert isinstance(
        hear(policy(), STARTED, 8768, is_audible=False, echo=EchoState.LOCKED), BargeInCandidate
    ), "the echo of the prompt's end may still come"


def test_of_what_was_said_before_a_prompt_little_counts() -> None:
    made = policy()
    hummed = SpeechStarted(at=8000, detected_at=8768)
    assert hear(made, hummed, 80000) == BargeInCandidate(76000, 80000)
    assert hear(made, hummed, 80256) is None, "it did not persist over this prompt"
    made.judged("noise", 82000, is_final=False)
    assert hear(made, hummed, 76000 + 2500 * 8) == BargeInRejected(96000, "noise")
    assert hear(made, hummed, 97000) is None, "it was judged"


def test_what_was_rejected_while_nothing_was_heard_is_no_candidate_again() -> None:
    made = policy()
    hummed = SpeechStarted(at=8000, detected_at=8768)
    assert isinstance(hear(made, hummed, 80000), BargeInCandidate)
    assert isinstance(made.judged("noise", 82000, is_final=True), BargeInRejected)
    assert hear(made, hummed, 82256) is None


def test_words_decide_and_rejections_make_the_next_candidate_harder() -> None:
    made = policy()
    hear(made, STARTED, 8768)
    assert made.judged("backchannel", 10000, is_final=False) is None, "he may go on"
    assert made.judged("backchannel", 12000, is_final=True) == BargeInRejected(12000, "backchannel")
    assert not made.is_pending
    assert hear(made, STARTED, 12256) is None, "that speech was judged"
    again = SpeechStarted(16000, 16768)
    assert hear(made, again, 16768) is None
    assert hear(made, again, 16000 + 1600) == BargeInCandidate(16000, 17600)
    assert made.judged("floor", 18000, is_final=False) == BargeIn(16000, "speech")
    assert made.judged("floor", 18000, is_final=False) is None


@pytest.mark.parametrize("mode", [BargeInMode.HOTWORD, BargeInMode.DTMF, BargeInMode.NONE])
@pytest.mark.parametrize("is_audible", [True, False])
def test_speech_alone_interrupts_only_where_it_may(mode: BargeInMode, is_audible: bool) -> None:
    made = policy(mode)
    heard = [hear(made, STARTED, at, is_audible=is_audible) for at in range(8768, 90000, 256)]
    assert set(heard) == {None}


@pytest.mark.parametrize("mode", [BargeInMode.SPEECH, BargeInMode.HOTWORD, BargeInMode.DTMF])
def test_a_key_interrupts_at_once(mode: BargeInMode) -> None:
    assert policy(mode).digit(Digit("5", 8100)) == BargeIn(8100, "dtmf")


def test_nothing_interrupts_a_prompt_that_says_so() -> None:
    assert policy(BargeInMode.NONE).digit(Digit("5", 8100)) is None
    assert policy().digit(Digit("5", 8100), BargeInMode.NONE) is None
    assert BargeInPolicy().digit(Digit("5", 8100)) is None


def test_prompts_are_interrupted_once() -> None:
    made = policy()
    hear(made, STARTED, 8768)
    assert made.judged("floor", 10000, is_final=False) is not None
    assert hear(made, STARTED, 10256) is None
    assert made.digit(Digit("1", 10300)) is None
    assert made.hot_word(10300) is None
    made.prompt(BargeInMode.SPEECH)
    assert made.digit(Digit("1", 10400)) is not None


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("text", ["Uh-huh.", "Mm-hmm", "Okay, okay.", "I see.", "Yeah, all right!"])
def test_nods(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["No.", "", "Wait.", "Okay, but stop", "What?", "operator", "..."])
def test_no_nods(text: str) -> None:
    assert not is_backchannel(text)


def judge(text: str, slot: SlotType, completeness: Completeness, **values: object) -> str:
    expectation = Expectation(focus="x", slots=(SlotSpec("x", slot),))
    spoken = {"spoken_ms": 700.0, **values}
    return verdict(text, completeness, expectation, **spoken)  # type: ignore[arg-type,return-value]


def test_a_nod_may_answer_the_question() -> None:
    assert judge("Yeah.", SlotType.YES_NO, Completeness.COMPLETE) == "floor"
    assert judge("Yeah.", SlotType.DATE, Completeness.NONE) == "backchannel"
    assert judge("Yeah.", SlotType.TEXT, Completeness.COMPLETE) == "backchannel"


def test_unsure_words_prove_nothing_while_an_echo_may_come() -> None:
    none, choice, said = Completeness.NONE, SlotType.CHOICE, "Which account do you mean?"
    for is_locked in (True, False):
        known = {"bot_text": said, "is_locked": is_locked}
        assert judge("Well.", choice, none, confidence=0.3, **known) == "echo"
        assert judge("I guess so", choice, none, confidence=0.1, **known) == "echo"
        begun = judge("I guess so", choice, none, confidence=0.1, spoken_ms=None, **known)
        assert begun is None, "what comes next may tell"
        assert judge("Well.", choice, none, confidence=0.9, **known) == "floor"
        assert judge("I want to pay", choice, none, confidence=0.9, **known) == "floor"
        assert judge("Checking.", choice, Completeness.COMPLETE, **known) == "floor"
    assert judge("I guess so", choice, none, confidence=0.1) == "floor", "no echo can be heard"


def test_a_short_sound_that_is_hardly_a_word_is_a_nod() -> None:
    none, text = Completeness.NONE, SlotType.TEXT
    assert judge("Four.", text, none, confidence=0.2, spoken_ms=600.0) == "backchannel"
    assert judge("Four.", text, none, confidence=0.9, spoken_ms=600.0) == "floor"


def test_few_words_that_the_bot_says_too_are_its_own_unless_surely_heard() -> None:
    none, choice, said = Completeness.NONE, SlotType.CHOICE, "I am sorry, please say operator."
    assert judge("Sorry.", choice, none, bot_text=said, confidence=0.7) == "echo"
    assert judge("Sorry.", choice, none, bot_text=said, confidence=0.9) == "floor"
    unlocked = {"bot_text": said, "is_locked": False, "confidence": 0.9}
    assert judge("Sorry.", choice, none, **unlocked) == "echo"
    assert judge("Operator.", choice, Completeness.COMPLETE, **unlocked) == "floor"


def test_a_word_is_not_the_bots_for_being_short() -> None:
    extendable, said = Completeness.EXTENDABLE, "Ten minutes from now. Is that right?"
    assert judge("No.", SlotType.YES_NO, extendable, bot_text=said, confidence=0.7) == "floor"


def test_a_command_that_is_always_understood_answers_an_open_question() -> None:
    assert judge("Operator.", SlotType.TEXT, Completeness.COMPLETE, spoken_ms=None) == "floor"


def test_doubtful_words_need_longer_speech_to_take_the_floor() -> None:
    def yields_at(*, is_doubtful: bool) -> int:
        made = policy()
        hear(made, STARTED, 8768)
        made.judged(None, 12000, is_final=False, is_doubtful=is_doubtful)
        return next(at for at in range(12000, 40000, 256) if hear(made, STARTED, at))

    assert yields_at(is_doubtful=True) > yields_at(is_doubtful=False)


def test_what_is_too_short_to_be_of_use_does_not_stop_the_prompt() -> None:
    none, choice = Completeness.NONE, SlotType.CHOICE
    assert judge("So.", choice, none, spoken_ms=300.0, confidence=0.5) == "backchannel"
    assert judge("So.", choice, none, spoken_ms=600.0) == "floor"
    unsure = {"spoken_ms": 600.0, "may_be_nod": True, "confidence": 0.7}
    assert judge("So.", choice, none, **unsure) == "backchannel"
    assert judge("No.", choice, none, spoken_ms=600.0, may_be_nod=True) == "floor"
    assert judge("Stop it now", choice, none, spoken_ms=450.0) == "floor"
    assert judge("Seven.", SlotType.DIGITS, Completeness.EXTENDABLE, spoken_ms=300.0) == "floor"
    assert judge("Agent", choice, Completeness.COMPLETE, spoken_ms=300.0) == "floor"


def test_a_sure_word_takes_the_floor_however_short_it_is() -> None:
    """ "Three" misheard as "C." over a prompt that asks for digits."""
    none = Completeness.NONE
    assert judge("C.", SlotType.DIGITS, none, spoken_ms=420.0, confidence=0.74) == "floor"
    assert judge("City.", SlotType.DIGITS, none, spoken_ms=470.0, confidence=0.92) == "floor"
    assert judge("I C.", SlotType.DIGITS, none, spoken_ms=430.0, confidence=0.83) == "backchannel"
    assert judge("Please.", SlotType.DIGITS, none, spoken_ms=440.0, confidence=0.13) == (
        "backchannel"
    )


def test_a_first_word_or_two_decide_nothing_while_the_caller_goes_on() -> None:
    none, choice = Completeness.NONE, SlotType.CHOICE
    assert judge("So.", choice, none, spoken_ms=None) is None
    assert judge("I want to", choice, none, spoken_ms=None) == "floor"
    assert judge("Agent", choice, Completeness.COMPLETE, spoken_ms=None) == "floor"


def test_whoever_goes_on_without_words_does_not_keep_the_prompt_waiting() -> None:
    made = policy()
    hear(made, STARTED, 8768)
    made.judged("noise", 12000, is_final=False)
    found = [hear(made, STARTED, at) for at in range(12000, 40000, 256)]
    assert [type(event) for event in found if event] == [BargeInRejected]
    assert hear(made, STARTED, 41000) is None, "the humming goes on, and so does the prompt"
    again = SpeechStarted(48000, 48768)
    assert isinstance(hear(made, again, 48000 + 2000), BargeInCandidate)


def test_own_words_are_an_echo_but_a_choice_repeated_is_an_answer() -> None:
    said = "You can say balance, payments or agent."
    none = Completeness.NONE
    assert judge("balance payments", SlotType.TEXT, none, bot_text=said, is_locked=False) == "echo"
    assert judge("balance payments", SlotType.TEXT, none, bot_text=said) == "floor"
    assert judge("you can say balance", SlotType.TEXT, none, bot_text=said) == "echo"
    assert judge("payments", SlotType.TEXT, none, bot_text=said) == "floor"
    assert judge("", SlotType.TEXT, none, bot_text=said) == "noise"


SPANISH = Expectation(language="es-MX")


@pytest.mark.parametrize(
    "text", ["ajá", "sí", "Sí, sí.", "vale", "claro", "claro que sí", "de acuerdo", "mm ajá", "ya"]
)
def test_nods_are_those_of_the_language_of_the_plan(text: str) -> None:
    for spoken_ms in (None, 800.0):
        found = verdict(text, Completeness.NONE, SPANISH, spoken_ms=spoken_ms)
        assert found == "backchannel"
    answered = verdict(text, Completeness.COMPLETE, SPANISH, spoken_ms=800.0)
    assert answered == "floor", "it may be the answer"


@pytest.mark.parametrize("text", ["no", "quiero un café", "dígame el saldo", "qué", "ñandú"])
def test_what_is_no_nod_in_that_language_takes_the_floor(text: str) -> None:
    assert verdict(text, Completeness.NONE, SPANISH, spoken_ms=800.0) == "floor"


def test_echo_in_that_language_is_told_by_its_letters() -> None:
    found = verdict(
        "diga sí o operación",
        Completeness.NONE,
        SPANISH,
        bot_text="Por favor, diga sí o operación.",
        spoken_ms=800.0,
    )
    assert found == "echo"
