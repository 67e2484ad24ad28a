from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.events import (
    Completeness,
    Digit,
    DigitRule,
    Expectation,
    NoInput,
    SlotSpec,
    SlotType,
    SpeechEnded,
    SpeechStarted,
    Timeouts,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.patience import EVEN_MS, judged_patience, patience

pytestmark = pytest.mark.unit

TIMEOUTS = Timeouts(
    noinput_ms=5000,
    complete_ms=300,
    yes_no_ms=350,
    incomplete_ms=900,
    digits_ms=1500,
    max_speech_ms=20000,
)
RULE = DigitRule(max_keys=4, min_keys=2, terminator="#", interdigit_ms=2000)
CHUNK = 160


def ms(milliseconds: float) -> int:
    return int(milliseconds * 8)


def expecting(kind: SlotType | None = None, digits: DigitRule | None = None) -> Expectation:
    slots = (SlotSpec("answer", kind),) if kind else ()
    return Expectation(
        focus="answer" if kind else None, slots=slots, digits=digits, timeouts=TIMEOUTS
    )


SOONEST_MS = 200
"""CERTAIN_SHARE of `complete_ms`."""
OPEN = expecting()
YES_NO = expecting(SlotType.YES_NO)
CARD = expecting(SlotType.DIGITS)
KEYED = expecting(SlotType.DIGITS, RULE)


class Scene:
    """A caller in virtual time, all times in ms; speech is detected as the VAD detects it."""

    def __init__(self) -> None:
        self.endpointer = Endpointer()
        self.now = 0.0
        self.speculated: list[float] = []

    def until(self, at: float) -> TurnEnded | NoInput | None:
        """Tick every 20 ms up to `at`; the first decision."""
        while self.now < at:
            self.now = min(self.now // 20 * 20 + 20, at)  # chunks, and VAD windows between them
            if self.endpointer.wants_speculative(ms(self.now)):
                self.speculated.append(self.now)
            decision = self.endpointer.tick(ms(self.now))
            if decision is not None:
                return decision
        return None

    def speaks(self, start: float, end: float) -> None:
        """Speech from `start` to `end`; leaves the clock where its end is detected."""
        assert self.until(start + 96) is None
        self.endpointer.on_speech_started(SpeechStarted(ms(start), ms(start + 96)))
        assert self.until(end + 224) is None
        self.endpointer.on_speech_ended(SpeechEnded(ms(end), ms(end + 224)))

    def recognised(self, completeness: Completeness) -> None:
        self.endpointer.on_completeness(completeness, ms(self.now))

    def types(self, keys: str, start: float, apart: float = 100) -> None:
        for index, key in enumerate(keys):
            assert self.until(start + index * apart) is None
            self.endpointer.on_digit(Digit(key, ms(start + index * apart)))

    def listens(self, expectation: Expectation) -> None:
        self.endpointer.listen(expectation, ms(self.now))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def ended_at_ms(decision: TurnEnded | NoInput | None) -> float:
    assert decision is not None
    return decision.at / 8


# ---------------------------------------------------------------- silence


def test_silence_counts_only_from_the_end_of_the_prompt(scene: Scene) -> None:
    assert scene.until(60000) is None
    scene.listens(OPEN)
    assert scene.until(64980) is None
    assert scene.until(70000) == NoInput(ms(65000))
    assert scene.until(90000) is None, "one decision per listen"
    assert not scene.endpointer.is_listening


def test_silence_counts_anew_at_each_listen(scene: Scene) -> None:
    scene.listens(OPEN)
    assert scene.until(4000) is None
    scene.listens(OPEN)
    assert ended_at_ms(scene.until(20000)) == 9000


def test_stop_listening_decides_nothing(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("1", 500)
    scene.speaks(1000, 2000)
    scene.endpointer.stop_listening()
    assert scene.until(60000) is None
    assert scene.endpointer.take_keys() == ""


# ---------------------------------------------------------------- speech


def test_open_question_waits_for_more(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    decision = scene.until(10000)
    assert decision == TurnEnded(ms(2900), TurnEndReason.INCOMPLETE, ms(1000), ms(2000))


@pytest.mark.parametrize(
    ("expectation", "completeness", "pause_ms", "reason"),
    [
        (OPEN, Completeness.COMPLETE, 300, TurnEndReason.COMPLETE),
        (OPEN, Completeness.EXTENDABLE, 900, TurnEndReason.INCOMPLETE),
        (OPEN, Completeness.NONE, 900, TurnEndReason.INCOMPLETE),
        (YES_NO, Completeness.COMPLETE, 350, TurnEndReason.COMPLETE),
        (YES_NO, Completeness.EXTENDABLE, 900, TurnEndReason.INCOMPLETE),
        (CARD, Completeness.COMPLETE, 300, TurnEndReason.COMPLETE),
        (CARD, Completeness.EXTENDABLE, 1500, TurnEndReason.INCOMPLETE),
        (CARD, Completeness.NONE, 1500, TurnEndReason.INCOMPLETE),
        (expecting(SlotType.PHONE), Completeness.EXTENDABLE, 1500, TurnEndReason.INCOMPLETE),
        (expecting(SlotType.LETTERS), Completeness.EXTENDABLE, 1500, TurnEndReason.INCOMPLETE),
        (expecting(SlotType.AMOUNT), Completeness.EXTENDABLE, 900, TurnEndReason.INCOMPLETE),
    ],
)
def test_the_pause_obeys_the_expectation(
    scene: Scene,
    expectation: Expectation,
    completeness: Completeness,
    pause_ms: int,
    reason: TurnEndReason,
) -> None:
    scene.listens(expectation)
    scene.speaks(1000, 2000)
    scene.recognised(completeness)
    decision = scene.until(10000)
    assert isinstance(decision, TurnEnded)
    assert decision.reason is reason
    assert 2000 + pause_ms <= ended_at_ms(decision) < 2000 + pause_ms + 20


def test_another_slot_than_the_focus_does_not_matter(scene: Scene) -> None:
    slots = (SlotSpec("pin", SlotType.DIGITS), SlotSpec("answer", SlotType.YES_NO))
    scene.listens(Expectation(focus="answer", slots=slots, timeouts=TIMEOUTS))
    scene.speaks(1000, 2000)
    assert ended_at_ms(scene.until(10000)) == 2900
    scene.listens(Expectation(focus="gone", slots=slots, timeouts=TIMEOUTS))
    scene.speaks(4000, 5000)
    assert ended_at_ms(scene.until(10000)) == 5900


def test_recognition_that_comes_late_ends_the_turn_at_once(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    assert scene.until(2600) is None
    scene.recognised(Completeness.COMPLETE)
    assert ended_at_ms(scene.until(10000)) == 2620


def test_partial_before_the_pause_counts(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.until(1096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(1000), ms(1096)))
    scene.until(1900)
    scene.recognised(Completeness.COMPLETE)
    assert scene.until(2224) is None, "never while the caller speaks"
    scene.endpointer.on_speech_ended(SpeechEnded(ms(2000), ms(2224)))
    assert ended_at_ms(scene.until(10000)) == pytest.approx(2300, abs=20)


def test_the_latest_judgement_counts(scene: Scene) -> None:
    """ "Transfer" might do, "transfer fifty" does not yet."""
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    scene.recognised(Completeness.COMPLETE)
    scene.recognised(Completeness.EXTENDABLE)
    assert ended_at_ms(scene.until(10000)) == 2900


def test_new_speech_undoes_completeness(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    scene.recognised(Completeness.COMPLETE)
    scene.speaks(2150, 3000)
    decision = scene.until(10000)
    assert decision == TurnEnded(ms(3900), TurnEndReason.INCOMPLETE, ms(1000), ms(3000))


def test_judgement_from_before_the_new_speech_is_stale(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    scene.speaks(2300, 3000)
    scene.endpointer.on_completeness(Completeness.COMPLETE, ms(2380))
    assert ended_at_ms(scene.until(10000)) == 3900


def test_pauses_between_digit_groups(scene: Scene) -> None:
    scene.listens(CARD)
    for group in range(4):
        scene.speaks(1000 + group * 2200, 2000 + group * 2200)  # 1.2 s apart
        scene.recognised(Completeness.COMPLETE if group == 3 else Completeness.EXTENDABLE)
    decision = scene.until(20000)
    assert isinstance(decision, TurnEnded)
    assert (decision.speech_start_at, decision.speech_end_at) == (ms(1000), ms(8600))
    assert ended_at_ms(decision) == pytest.approx(8900, abs=20)


def test_speaking_when_silence_would_have_run_out(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(4800, 9000)
    assert ended_at_ms(scene.until(20000)) == 9900


def test_caller_who_never_stops(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.until(1096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(1000), ms(1096)))
    decision = scene.until(60000)
    assert decision == TurnEnded(ms(21000), TurnEndReason.MAX_SPEECH, ms(1000), ms(21000))


def test_caller_who_never_stops_but_breathes(scene: Scene) -> None:
    scene.listens(OPEN)
    decision = None
    for start in range(1000, 60000, 1500):
        decision = scene.until(start + 96)
        if decision is not None:
            break
        scene.endpointer.on_speech_started(SpeechStarted(ms(start), ms(start + 96)))
        if (decision := scene.until(start + 1224)) is not None:
            break
        scene.endpointer.on_speech_ended(SpeechEnded(ms(start + 1000), ms(start + 1224)))
    assert isinstance(decision, TurnEnded)
    assert decision.reason is TurnEndReason.MAX_SPEECH
    assert ended_at_ms(decision) == 21000


def test_after_a_caller_who_never_stops_the_next_listen_is_fresh(scene: Scene) -> None:
    """Nobody told that the speech ended: it must not hold the next turn open."""
    scene.listens(OPEN)
    scene.until(1096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(1000), ms(1096)))
    assert scene.until(60000) is not None
    assert scene.until(25000) is None
    scene.listens(OPEN)
    assert isinstance(scene.until(60000), NoInput)


# ---------------------------------------------------------------- how finished it sounds


def judged(scene: Scene, probability: float, at: float | None = None) -> None:
    scene.endpointer.on_end_probability(probability, ms(scene.now if at is None else at))


def pause_ms(probability: float | None, expectation: Expectation = OPEN) -> int:
    return patience(expectation, Completeness.EXTENDABLE, probability)[0]


@given(st.floats(0, 1), st.floats(0, 1))
def test_patience_falls_with_the_probability_of_an_end(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert SOONEST_MS <= pause_ms(more) <= pause_ms(less) <= TIMEOUTS.incomplete_ms


def test_patience_reaches_both_of_the_authors_limits() -> None:
    assert (pause_ms(0.0), pause_ms(1.0)) == (TIMEOUTS.incomplete_ms, SOONEST_MS)
    assert SOONEST_MS < pause_ms(0.5) < TIMEOUTS.incomplete_ms
    tight = replace(OPEN, timeouts=replace(TIMEOUTS, complete_ms=300, incomplete_ms=150))
    assert pause_ms(1.0, tight) == 150, "the author's cap comes first"


def test_patience_without_a_judgement_is_the_authors() -> None:
    assert pause_ms(None) == TIMEOUTS.incomplete_ms


def test_an_author_who_allows_more_silence_gets_more_at_each_judgement() -> None:
    def waits(incomplete_ms: int, probability: float) -> int:
        asked = Expectation(timeouts=Timeouts(complete_ms=10, incomplete_ms=incomplete_ms))
        return patience(asked, Completeness.EXTENDABLE, probability)[0]

    assert waits(1500, 0.5) == EVEN_MS
    for probability in (0.2, 0.5, 0.7):
        usual = waits(1500, probability)
        assert waits(3000, probability) == pytest.approx(2 * usual, abs=2)
        assert waits(750, probability) == pytest.approx(usual / 2, abs=2)


def test_the_trade_moves_patience() -> None:
    slow, fast = (
        judged_patience(0.5, shortest_ms=200, longest_ms=1500, even_ms=ms_) for ms_ in (900, 400)
    )
    assert (slow, fast) == (900, 400)


@pytest.mark.parametrize(
    ("expectation", "completeness", "expected"),
    [(CARD, Completeness.EXTENDABLE, 1500), (CARD, Completeness.COMPLETE, 300)],
)
def test_how_digits_sound_does_not_count(
    expectation: Expectation, completeness: Completeness, expected: int
) -> None:
    for probability in (0.0, 1.0, None):
        assert patience(expectation, completeness, probability)[0] == expected


@pytest.mark.parametrize(
    ("asked", "confidence", "expected"),
    [
        (CARD, 0.95, 200),
        (CARD, 0.5, 300),
        (CARD, 0.1, 1500),  # made up of fewer digits
        (CARD, 0.0, 1500),
        (CARD, None, 300),
        (YES_NO, 0.95, 233),
        (YES_NO, 0.1, 350),
    ],
)
def test_how_sure_a_complete_answer_was_heard_counts(
    asked: Expectation, confidence: float | None, expected: int
) -> None:
    found = patience(asked, Completeness.COMPLETE, 0.9, confidence=confidence)
    assert found[0] == expected
    is_over = expected < asked.timeouts.digits_ms
    assert (found[1] is TurnEndReason.COMPLETE) == is_over


def test_digits_that_are_certainly_lacking_are_waited_for_longer() -> None:
    slot = replace(CARD.slots[0], min_length=16, max_length=16)
    asked = replace(CARD, slots=(slot,))
    assert patience(asked, Completeness.EXTENDABLE)[0] == 2000
    assert patience(asked, Completeness.NONE)[0] == 1500, "no digits at all"
    of_any_length = replace(asked, slots=(replace(slot, min_length=4),))
    assert patience(of_any_length, Completeness.EXTENDABLE)[0] == 1500


def test_who_sounds_finished_is_answered_sooner(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    judged(scene, 0.99)
    assert scene.until(10000) == TurnEnded(ms(2240), TurnEndReason.INCOMPLETE, ms(1000), ms(2000))


def test_the_latest_probability_of_a_pause_counts(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    judged(scene, 0.99)
    judged(scene, 0.001)
    assert ended_at_ms(scene.until(10000)) == 2900


def test_a_new_pause_is_judged_anew(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    judged(scene, 0.7)
    scene.speaks(2150, 3000)
    assert ended_at_ms(scene.until(10000)) == 3900


def test_a_judgement_that_comes_late_is_not_of_this_pause(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.speaks(1000, 2000)
    scene.until(2340)
    scene.endpointer.on_speech_started(SpeechStarted(ms(2240), ms(2340)))
    judged(scene, 0.99, 2400)  # of the first pause, while the caller speaks again
    scene.until(3224)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(3000), ms(3224)))
    judged(scene, 0.99, 2300)  # out of order
    assert ended_at_ms(scene.until(10000)) == 3900


@pytest.mark.parametrize("probability", [float("nan"), float("inf"), -1.0, 2.0])
def test_no_probability_at_all(scene: Scene, probability: float) -> None:
    scene.listens(OPEN)
    judged(scene, 0.5)  # before anything was said
    scene.speaks(1000, 2000)
    judged(scene, probability)
    assert 2000 + SOONEST_MS <= ended_at_ms(scene.until(10000)) <= 2900


# ---------------------------------------------------------------- speech around the prompt's end


def test_barge_in_belongs_to_the_turn(scene: Scene) -> None:
    """Speech began over the prompt; listen is told at its onset, or when it was confirmed."""
    scene.until(5096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(5000), ms(5096)))
    scene.until(5150)
    scene.listens(OPEN)
    scene.until(6224)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(6000), ms(6224)))
    decision = scene.until(20000)
    assert isinstance(decision, TurnEnded)
    assert (decision.speech_start_at, decision.speech_end_at) == (ms(5000), ms(6000))
    assert ended_at_ms(decision) == pytest.approx(6900, abs=20)


def test_speech_told_once_more_after_listen(scene: Scene) -> None:
    """As the shell does when it decides what of it belongs to the turn."""
    scene.until(5096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(5000), ms(5096)))
    scene.until(5300)
    scene.listens(OPEN)
    scene.endpointer.on_speech_started(SpeechStarted(ms(5300), ms(5096)))
    scene.until(6224)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(6000), ms(6224)))
    decision = scene.until(20000)
    assert isinstance(decision, TurnEnded)
    assert decision.speech_start_at == ms(5300)


def test_speech_that_ends_just_before_the_prompt_but_is_known_after(scene: Scene) -> None:
    scene.until(5000)
    scene.endpointer.on_speech_started(SpeechStarted(ms(4900), ms(5000)))
    scene.until(5400)
    scene.listens(YES_NO)
    scene.until(5524)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(5300), ms(5524)))
    scene.recognised(Completeness.COMPLETE)
    assert ended_at_ms(scene.until(20000)) == pytest.approx(5650, abs=20)


def test_speech_over_before_listen_is_none_of_it(scene: Scene) -> None:
    scene.speaks(1000, 2000)
    scene.until(3000)
    scene.listens(OPEN)
    assert scene.until(20000) == NoInput(ms(8000))


def test_speech_before_listen_does_not_count_against_its_length(scene: Scene) -> None:
    scene.endpointer.on_speech_started(SpeechStarted(0, ms(96)))
    scene.until(30000)
    scene.listens(OPEN)
    decision = scene.until(90000)
    assert decision == TurnEnded(ms(50000), TurnEndReason.MAX_SPEECH, 0, ms(50000))


def test_end_without_a_beginning_is_speech_since_listen(scene: Scene) -> None:
    scene.until(1000)
    scene.listens(OPEN)
    scene.until(2224)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(2000), ms(2224)))
    assert scene.until(9000) == TurnEnded(ms(2900), TurnEndReason.INCOMPLETE, ms(1000), ms(2000))


def test_the_end_of_earlier_speech_does_not_end_this(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.until(3096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(3000), ms(3096)))
    scene.endpointer.on_speech_ended(SpeechEnded(ms(1000), ms(1224)))
    assert scene.until(6000) is None


# ---------------------------------------------------------------- the speculative final


def test_speculation_once_at_each_pause(scene: Scene) -> None:
    scene.listens(CARD)
    scene.speaks(1000, 2000)
    scene.until(2700)
    scene.speaks(2700, 3500)
    assert scene.until(9000) is not None
    assert scene.speculated == [2240, 3740]


def test_speculation_waits_for_200_ms_where_the_vad_does_not(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.until(1096)
    scene.endpointer.on_speech_started(SpeechStarted(ms(1000), ms(1096)))
    scene.until(2064)
    scene.endpointer.on_speech_ended(SpeechEnded(ms(2000), ms(2064)))
    scene.until(2500)
    assert scene.speculated == [2200]


def test_no_speculation_while_nobody_listens(scene: Scene) -> None:
    scene.speaks(1000, 2000)
    scene.until(9000)
    scene.listens(OPEN)
    scene.until(20000)
    assert scene.speculated == []


# ---------------------------------------------------------------- keys


def test_keys_end_the_turn_by_length(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("1234", 1000)
    assert scene.until(9000) == TurnEnded(ms(1320), TurnEndReason.DTMF)
    assert scene.endpointer.take_keys() == "1234"
    assert scene.endpointer.take_keys() == ""


def test_keys_end_the_turn_by_terminator_and_pause(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("12#", 1000)
    assert ended_at_ms(scene.until(9000)) == 1220
    assert scene.endpointer.take_keys() == "12"
    scene.listens(KEYED)
    scene.types("123", 2000)
    assert ended_at_ms(scene.until(9000)) == 4200
    assert scene.endpointer.take_keys() == "123"


def test_too_few_keys_end_the_turn_too(scene: Scene) -> None:
    """Better a nomatch than a caller left waiting."""
    scene.listens(KEYED)
    scene.types("1", 1000)
    assert ended_at_ms(scene.until(9000)) == 3000
    assert scene.endpointer.take_keys() == "1"


def test_a_key_stops_the_silence_clock(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("12", 4900)
    assert scene.until(9000) == TurnEnded(ms(7000), TurnEndReason.DTMF)


def test_keys_before_speech_win(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("12", 1000)
    scene.speaks(1200, 1700)
    assert scene.until(9000) == TurnEnded(ms(3100), TurnEndReason.DTMF)


def test_keys_in_the_middle_of_speech_win(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.speaks(1000, 1500)
    scene.types("1234", 2000)
    assert scene.until(9000) == TurnEnded(ms(2320), TurnEndReason.DTMF)
    assert scene.endpointer.take_keys() == "1234"


def test_a_slip_of_the_cheek_before_speech_is_dropped(scene: Scene) -> None:
    scene.listens(KEYED)
    scene.types("5", 1000)
    scene.speaks(1500, 2500)
    decision = scene.until(9000)
    assert decision == TurnEnded(ms(4000), TurnEndReason.INCOMPLETE, ms(1500), ms(2500))
    assert scene.endpointer.take_keys() == ""


def test_keys_where_none_are_expected_change_nothing(scene: Scene) -> None:
    scene.listens(OPEN)
    scene.types("1234", 1000)
    assert scene.until(9000) == NoInput(ms(5000))
    scene.listens(KEYED)
    assert isinstance(scene.until(20000), NoInput)


def test_type_ahead(scene: Scene) -> None:
    scene.types("1234", 1000)
    scene.until(8000)
    scene.listens(KEYED)
    assert scene.until(9000) == TurnEnded(ms(8020), TurnEndReason.DTMF)
    assert scene.endpointer.take_keys() == "1234"


def test_type_ahead_for_the_field_after_the_next(scene: Scene) -> None:
    scene.types("12#34#", 1000)
    for expected in ("12", "34"):
        scene.listens(KEYED)
        assert isinstance(scene.until(scene.now + 20), TurnEnded)
        assert scene.endpointer.take_keys() == expected
    scene.listens(KEYED)
    assert isinstance(scene.until(20000), NoInput)


def test_type_ahead_can_be_forgotten(scene: Scene) -> None:
    scene.types("1234", 1000)
    scene.endpointer.forget_keys()
    scene.listens(KEYED)
    assert isinstance(scene.until(20000), NoInput)


# ---------------------------------------------------------------- any order of events

SHORT = Timeouts(
    noinput_ms=1000,
    complete_ms=300,
    yes_no_ms=350,
    incomplete_ms=900,
    digits_ms=1500,
    max_speech_ms=4000,
)
KEYS_RULE = replace(RULE, interdigit_ms=500)
expectations = st.builds(
    lambda kind, digits: replace(expecting(kind, digits), timeouts=SHORT),
    st.sampled_from([None, SlotType.YES_NO, SlotType.DIGITS]),
    st.sampled_from([None, KEYS_RULE]),
)
times = st.integers(-ms(3000), ms(3000))  # relative to now: late, early, out of order
actions = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, ms(1500))),
    st.tuples(st.just("started"), times, times),
    st.tuples(st.just("ended"), times, times),
    st.tuples(st.just("complete"), st.sampled_from(Completeness), times),
    st.tuples(st.just("judged"), st.floats(allow_nan=True), times),
    st.tuples(st.just("key"), st.sampled_from("0123456789*#ABCD?"), times),
    st.tuples(st.just("listen"), expectations),
    st.tuples(st.just("stop")),
    st.tuples(st.just("take")),
    st.tuples(st.just("tick"), times),
)


def act(endpointer: Endpointer, action: tuple, now: int) -> TurnEnded | NoInput | None:
    match action:
        case ("started", at, detected_at):
            endpointer.on_speech_started(SpeechStarted(now + at, now + detected_at))
        case ("ended", at, detected_at):
            endpointer.on_speech_ended(SpeechEnded(now + at, now + detected_at))
        case ("complete", completeness, at):
            endpointer.on_completeness(completeness, now + at)
        case ("judged", probability, at):
            endpointer.on_end_probability(probability, now + at)
        case ("key", key, at):
            endpointer.on_digit(Digit(key, now + at))
        case ("listen", expectation):
            endpointer.listen(expectation, now)
        case ("stop",):
            endpointer.stop_listening()
        case ("take",):
            assert len(endpointer.take_keys()) <= KEYS_RULE.max_keys
        case ("tick", at):
            return endpointer.tick(now + at)
    return None


@settings(max_examples=300)
@given(st.lists(actions, max_size=60))
def test_whatever_happens_decisions_come_in_order_and_one_per_listen(script: list[tuple]) -> None:
    endpointer, now, listens = Endpointer(), ms(5000), 0
    decisions: list[TurnEnded | NoInput] = []
    for action in script:
        listens += action[0] == "listen"
        now += action[1] if action[0] == "wait" else 0
        for decision in (act(endpointer, action, now), endpointer.tick(now)):
            if decision is not None:
                decisions.append(decision)
                assert not endpointer.is_listening
        endpointer.wants_speculative(now)
    assert len(decisions) <= listens
    assert all(earlier.at <= later.at for earlier, later in pairwise(decisions))


@settings(max_examples=300)
@given(
    expectations,
    st.lists(st.tuples(st.integers(0, ms(400)), actions), max_size=60),
)
def test_every_turn_ends(expectation: Expectation, script: list[tuple[int, tuple]]) -> None:
    """At most noinput + max_speech + one pause for each key after listen, ticked every 20 ms."""
    endpointer, now = Endpointer(), ms(5000)
    endpointer.listen(expectation, now)
    keys = KEYS_RULE.max_keys * KEYS_RULE.interdigit_ms
    # Events of this test lie up to 3 s in the future, where no real clock is.
    latest = now + ms(SHORT.noinput_ms + SHORT.max_speech_ms + keys + 2 * 3000)
    pending = [
        (wait, action) for wait, action in script if action[0] not in {"listen", "stop", "take"}
    ]
    due = now
    while now <= latest:
        if pending and due + pending[0][0] <= now:
            wait, action = pending.pop(0)
            due += wait
            if act(endpointer, action, now) is not None:
                return
        elif endpointer.tick(now) is not None:
            return
        else:
            now += CHUNK
    pytest.fail("the turn never ended")


@given(st.lists(actions, max_size=60))
def test_the_same_events_give_the_same_decisions(script: list[tuple]) -> None:
    def run() -> list[TurnEnded | NoInput | None]:
        endpointer, now, out = Endpointer(), ms(5000), []
        for action in script:
            now += action[1] if action[0] == "wait" else 0
            out += [act(endpointer, action, now), endpointer.tick(now)]
        return out

    assert run() == run()
