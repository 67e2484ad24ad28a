"""Whole turns in virtual time: the listener with its real detector, endpointer and policy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from voicebot.events import (
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    CallerTurn,
    Completeness,
    Digit,
    DigitRule,
    EchoState,
    Expectation,
    Hypothesis,
    KeysEntered,
    NoInput,
    SlotSpec,
    SlotType,
    SpeechEnded,
    SpeechStarted,
    Timeouts,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.listener import FINAL_PATIENCE_SAMPLES, Listener, Recognise
from voicebot.turns.vad import WINDOW_SAMPLES, SpeechDetector

pytestmark = pytest.mark.unit

SECOND = 8000
COMPLETE_TEXTS = {"yes"}


def completeness(text: str, expectation: Expectation) -> Completeness:
    return Completeness.COMPLETE if text in COMPLETE_TEXTS else Completeness.EXTENDABLE


class Room:
    """Feeds windows of speech and silence and answers recognition requests from a script."""

    def __init__(
        self,
        says: str = "yes",
        answers: bool = True,
        *,
        spells_hot_word: bool = False,
        hears_words: bool = True,
    ) -> None:
        self.listener = Listener(
            completeness=completeness,
            detector=SpeechDetector(),
            endpointer=Endpointer(),
            barge_in=BargeInPolicy(),
            bot_text=lambda: self.bot_text,
            spells_hot_word=spells_hot_word,
            hears_words=hears_words,
        )
        self.at = 0
        self.says = says
        self.answers = answers
        self.is_audible = False
        self.echo = EchoState.FAINT
        self.of_prompt: BargeInMode | None = None
        self.bot_text = ""
        self.hot_word = 0.1
        self.end_probability: float | None = None
        self.events: list[object] = []
        self.requests: list[Recognise] = []

    def take(self, events: Sequence[object]) -> None:
        for event in events:
            if isinstance(event, Recognise):
                self.requests.append(event)
                if self.answers:
                    self.answer(event)
            else:
                self.events.append(event)

    def answer(self, request: Recognise, text: str | None = None) -> None:
        heard = Hypothesis(self.says if text is None else text, confidence=0.9)
        heard = replace(heard, end_probability=self.end_probability)
        if request.kind == "hotword":
            heard = Hypothesis("", hotword_probability=self.hot_word)
        self.take(
            self.listener.recognised(
                request.utterance, request.kind, request.end_at, heard, self.at
            )
        )

    def hear(self, seconds: float, probability: float) -> None:
        end = self.at + int(seconds * SECOND)
        while self.at < end:
            self.take(
                self.listener.hear(
                    self.at,
                    probability,
                    is_audible=self.is_audible,
                    echo=self.echo,
                    of_prompt=self.of_prompt,
                )
            )
            self.at += WINDOW_SAMPLES
            self.take(self.listener.tick(self.at))

    def speech(self, seconds: float) -> None:
        self.hear(seconds, 0.95)

    def silence(self, seconds: float) -> None:
        self.hear(seconds, 0.01)

    def expect(self, **values: object) -> None:
        self.take(self.listener.expect(Expectation(**values), self.at))  # type: ignore[arg-type]

    def prompt_ends(self) -> None:
        self.is_audible = False
        self.take(self.listener.prompt_ended(self.at))

    def of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [event for event in self.events if isinstance(event, kind)]


def test_a_turn_gives_a_speculative_final_before_it_ends() -> None:
    room = Room()
    room.expect()
    room.prompt_ends()
    room.silence(1)
    room.speech(0.6)
    room.silence(1)
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == "yes"
    assert turn.ended.reason is TurnEndReason.COMPLETE
    kinds = [request.kind for request in room.requests]
    assert kinds[-1] == "speculative"
    assert "final" not in kinds
    # 300 ms of silence after speech, as soon as the speculative final says that it is complete.
    assert turn.ended.at - turn.ended.speech_end_at < 0.4 * SECOND


def test_the_request_covers_the_speech_with_a_margin() -> None:
    room = Room()
    room.expect()
    room.prompt_ends()
    room.silence(1)
    onset = room.at
    room.speech(1.0)
    end = room.at
    room.silence(1)
    request = room.requests[-1]
    assert onset - 0.4 * SECOND <= request.start_at <= onset - 0.2 * SECOND
    assert end + 0.06 * SECOND <= request.end_at < end + 0.1 * SECOND


def test_a_pause_within_a_turn_is_not_its_end_and_extends_the_utterance() -> None:
    room = Room(says="I would like")
    room.expect()
    room.prompt_ends()
    room.speech(0.6)
    room.silence(0.5)
    room.says = "I would like a coffee"
    room.speech(0.6)
    room.silence(1.8)
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == "I would like a coffee"
    assert len({request.utterance for request in room.requests}) == 1
    assert turn.ended.reason is TurnEndReason.INCOMPLETE


def test_a_late_speculative_final_is_waited_for_not_asked_again() -> None:
    room = Room(answers=False)
    room.expect(timeouts=Timeouts(incomplete_ms=300))
    room.prompt_ends()
    room.speech(0.6)
    room.silence(0.6)
    assert room.of(TurnEnded)
    assert not room.of(CallerTurn)
    asked = [request for request in room.requests if request.kind != "partial"]
    assert [request.kind for request in asked] == ["speculative"]
    room.answer(asked[0])
    assert room.of(CallerTurn)[0].hypothesis.text == "yes"


def test_answers_to_older_audio_and_older_turns_are_ignored() -> None:
    room = Room(answers=False)
    room.expect()
    room.prompt_ends()
    room.speech(0.5)
    room.silence(0.3)
    old = next(request for request in room.requests if request.kind == "speculative")
    room.speech(0.5)  # the caller went on
    room.answer(old, "half of it")
    room.silence(1.5)
    assert not room.of(CallerTurn)
    new = room.requests[-1]
    assert new.end_at > old.end_at
    room.answer(new, "all of it")
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["all of it"]
    room.answer(new, "again")
    assert len(room.of(CallerTurn)) == 1


def test_a_dead_recogniser_does_not_hang_the_turn() -> None:
    room = Room(answers=False)
    room.expect(timeouts=Timeouts(noinput_ms=2000))
    room.prompt_ends()
    room.speech(0.8)
    room.silence(1 + FINAL_PATIENCE_SAMPLES / SECOND + 1)
    assert room.of(TurnEnded)
    (turn,) = room.of(CallerTurn)  # not understood: the dialogue says so
    assert turn.hypothesis.text == ""


def test_a_cough_is_no_answer() -> None:
    room = Room(says="")
    room.expect(timeouts=Timeouts(noinput_ms=3000))
    room.prompt_ends()
    room.speech(0.3)
    room.silence(1.5)
    assert not room.of(CallerTurn)
    room.says = "yes"
    room.speech(0.5)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_speech_without_recognised_words_is_a_turn_that_was_not_understood() -> None:
    room = Room(says="")
    room.expect()
    room.prompt_ends()
    room.speech(2)
    room.silence(1.5)
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == ""
    assert turn.hypothesis.is_final


def test_words_of_partials_become_stable() -> None:
    room = Room(says="on and on")
    room.listener = Listener(
        completeness=completeness,
        detector=SpeechDetector(),
        endpointer=Endpointer(),
        barge_in=BargeInPolicy(),
        agreement=Settled(),
    )
    room.expect()
    room.prompt_ends()
    room.speech(2)
    room.silence(1.5)
    room.expect()
    room.prompt_ends()
    room.speech(2)
    stable = [partial.stable_words for partial in room.of(Hypothesis) if not partial.is_final]
    assert stable[:2] == [0, 1]
    assert stable.count(0) == 2  # each utterance begins anew


class Settled:
    """Every partial after the first of an utterance is stable in one more word."""

    def __init__(self) -> None:
        self.seen = 0

    def apply(self, partial: Hypothesis) -> Hypothesis:
        self.seen += 1
        return replace(partial, stable_words=self.seen - 1)

    def settle(self, final: Hypothesis) -> Hypothesis:
        return replace(final, stable_words=len(final.words))

    def reset(self) -> None:
        self.seen = 0


def test_silence_counts_only_from_the_end_of_the_prompt() -> None:
    room = Room()
    room.expect(timeouts=Timeouts(noinput_ms=2000))
    room.is_audible = True
    room.silence(5)
    assert room.events == []
    room.prompt_ends()
    room.silence(1.9)
    assert room.events == []
    room.silence(0.3)
    assert len(room.of(NoInput)) == 1
    room.silence(5)
    assert len(room.events) == 1


def test_speech_over_a_prompt_pauses_it_and_words_take_the_floor_from_the_onset() -> None:
    room = Room(says="I would like")
    room.expect()
    room.is_audible = True
    room.silence(1)
    onset = room.at
    room.speech(0.2)
    (candidate,) = room.of(BargeInCandidate)
    assert abs(candidate.at - onset) <= WINDOW_SAMPLES
    assert candidate.detected_at - onset <= 0.13 * SECOND
    assert room.of(BargeIn) == []
    room.is_audible = False  # the transport has paused
    room.speech(0.4)
    (barge_in,) = room.of(BargeIn)
    assert barge_in.at == candidate.at
    assert barge_in.kind == "speech"
    room.prompt_ends()  # what the transport says after the cut changes nothing
    room.speech(0.3)
    room.silence(2)
    assert room.of(CallerTurn)[0].hypothesis.text == "I would like"
    assert room.requests[-1].start_at <= onset


@pytest.mark.parametrize(
    ("says", "reason"), [("Uh-huh.", "backchannel"), ("", "noise"), ("Okay, right.", "backchannel")]
)
def test_what_does_not_want_the_floor_lets_the_prompt_go_on(says: str, reason: str) -> None:
    room = Room(says=says)
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(0.4)
    room.silence(1)
    (rejected,) = room.of(BargeInRejected)
    assert rejected.reason == reason
    assert room.of(BargeIn) == []
    assert room.of(BargeInCandidate) != []
    room.prompt_ends()
    assert room.of(CallerTurn) == []


def test_a_nod_that_answers_the_question_takes_the_floor() -> None:
    room = Room(says="yes")  # COMPLETE
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(0.3)
    room.is_audible = False
    room.silence(1)
    assert len(room.of(BargeIn)) == 1
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == "yes"
    # It ended before it took the floor: no second silence is waited for.
    assert turn.ended.at - turn.ended.speech_end_at < 0.5 * SECOND


def test_the_bots_own_words_are_its_echo() -> None:
    room = Room(says="say balance, payments")
    room.bot_text = "Please say balance, payments or agent."
    room.expect()
    room.is_audible, room.echo = True, EchoState.UNLOCKED
    room.silence(1)
    room.speech(0.7)
    room.silence(1)
    assert [rejected.reason for rejected in room.of(BargeInRejected)] == ["echo"]
    assert room.of(BargeIn) == []


def test_speech_that_goes_on_takes_the_floor_whatever_was_recognised() -> None:
    room = Room(says="", answers=False)
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(1.2)
    assert len(room.of(BargeIn)) == 1


def test_a_dead_recogniser_does_not_keep_the_prompt_waiting() -> None:
    room = Room(answers=False)
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(0.3)
    room.silence(2)
    assert [rejected.reason for rejected in room.of(BargeInRejected)] == ["noise"]
    room.speech(0.6)
    room.silence(1)
    assert len(room.of(BargeIn)) == 1


def test_new_prompts_go_on_though_a_candidate_was_pending() -> None:
    room = Room(answers=False)
    room.expect()
    room.is_audible = True
    room.speech(0.3)
    room.expect()
    assert len(room.of(BargeInRejected)) == 1


def test_prompt_that_ends_under_a_candidate_leaves_the_floor_to_it() -> None:
    room = Room(answers=False)
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(0.2)
    room.prompt_ends()
    room.speech(0.3)
    room.answers = True
    room.silence(1)
    assert len(room.of(BargeIn)) == 1
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_the_hot_word_interrupts_what_speech_may_not() -> None:
    room = Room()
    room.expect(barge_in=BargeInMode.HOTWORD)
    room.is_audible = True
    room.silence(1)
    room.speech(0.8)
    assert room.of(BargeInCandidate) == []
    asked = [request for request in room.requests if request.kind == "hotword"]
    assert len(asked) >= 2
    assert all(request.end_at - request.start_at <= 1.6 * SECOND for request in asked)
    room.hot_word = 0.9
    room.speech(0.4)
    room.is_audible = False
    assert [barge_in.kind for barge_in in room.of(BargeIn)] == ["hotword"]
    room.silence(1)
    assert len(room.of(CallerTurn)) == 1, "the word itself is understood as well"


def test_a_hot_word_found_after_it_was_said_is_understood_as_well() -> None:
    room = Room(says="operator", answers=False)
    room.expect(barge_in=BargeInMode.HOTWORD)
    room.is_audible = True
    room.silence(1)
    room.speech(0.8)
    room.silence(0.3)
    asked = [request for request in room.requests if request.kind == "hotword"][-1]
    room.hot_word = 0.9
    room.answer(asked)
    assert len(room.of(BargeIn)) == 1
    room.answer(room.requests[-1])
    room.silence(2)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["operator"]


def test_a_candidate_does_not_outlast_hearing() -> None:
    room = Room(answers=False)
    room.expect()
    room.is_audible = True
    room.speech(0.3)
    room.take(room.listener.tick(room.at + SECOND))
    assert len(room.of(BargeInRejected)) == 1


def test_a_prompt_may_have_a_mode_of_its_own() -> None:
    room = Room(says="I would like")
    room.expect()
    room.is_audible, room.of_prompt = True, BargeInMode.NONE
    room.speech(1.5)
    assert room.of(BargeInCandidate) == []
    room.of_prompt = BargeInMode.SPEECH
    room.speech(0.1)
    assert len(room.of(BargeInCandidate)) == 1


def test_a_click_does_not_interrupt() -> None:
    room = Room()
    room.expect()
    room.is_audible = True
    room.silence(1)
    room.speech(0.06)
    room.silence(1)
    assert room.events == []


@pytest.mark.parametrize("mode", [BargeInMode.NONE, BargeInMode.DTMF, BargeInMode.HOTWORD])
def test_speech_over_a_prompt_that_it_may_not_interrupt_is_left_out(mode: BargeInMode) -> None:
    room = Room()
    room.expect(barge_in=mode)
    room.is_audible = True
    room.silence(1)
    room.speech(2)
    assert not room.of(BargeIn)
    ended_at = room.at
    room.prompt_ends()
    room.speech(0.5)
    room.silence(1)
    assert room.of(CallerTurn)
    assert room.requests[-1].start_at >= ended_at - 0.4 * SECOND


def test_nothing_is_heard_while_the_dialogue_waits_for_nothing() -> None:
    room = Room()
    room.speech(1)
    room.silence(1)
    assert {type(event) for event in room.events} == {SpeechStarted, SpeechEnded}
    assert room.requests == []


def test_a_key_cuts_the_prompt_at_once_and_keys_become_one_answer() -> None:
    room = Room()
    room.expect(digits=DigitRule(max_keys=4))
    room.is_audible = True
    room.silence(1)
    for key in "1234":
        room.take(room.listener.key(Digit(key, room.at)))
        room.silence(0.2)
    assert [event.kind for event in room.of(BargeIn)] == ["dtmf"]
    assert [event.keys for event in room.of(KeysEntered)] == ["1234"]
    assert room.of(TurnEnded)[0].reason is TurnEndReason.DTMF


def test_keys_typed_ahead_skip_the_prompts_they_answer() -> None:
    room = Room()
    room.expect()
    room.take(room.listener.key(Digit("4", room.at)))
    assert room.events == []
    room.expect(digits=DigitRule(max_keys=1))
    assert [barge_in.kind for barge_in in room.of(BargeIn)] == ["dtmf"]
    assert [keys.keys for keys in room.of(KeysEntered)] == ["4"]


@pytest.mark.parametrize(
    "values",
    [
        {"digits": DigitRule(has_type_ahead=False)},
        {"digits": DigitRule(), "barge_in": BargeInMode.NONE},
        {},
    ],
)
def test_prompts_that_must_be_heard_are_not_skipped(values: dict[str, object]) -> None:
    room = Room()
    room.take(room.listener.key(Digit("4", room.at)))
    room.expect(**values)
    assert room.events == []


def test_keys_do_not_cut_where_none_are_expected() -> None:
    room = Room()
    room.expect()
    room.is_audible = True
    room.take(room.listener.key(Digit("1", room.at)))
    assert room.events == []


def test_a_caller_who_never_stops_is_cut_off() -> None:
    room = Room(says="on and on")
    room.expect(timeouts=Timeouts(max_speech_ms=5000))
    room.prompt_ends()
    room.speech(7)
    (turn,) = room.of(CallerTurn)
    assert turn.ended.reason is TurnEndReason.MAX_SPEECH
    assert turn.hypothesis.text == "on and on"


def test_partials_come_while_the_caller_speaks_and_grow_rarer() -> None:
    room = Room(says="on and on")
    room.expect()
    room.prompt_ends()
    room.speech(6)
    partials = [request for request in room.requests if request.kind == "partial"]
    assert 5 <= len(partials) <= 12
    gaps = [b.end_at - a.end_at for a, b in itertools.pairwise(partials)]
    assert gaps[-1] > gaps[0]
    assert all(event.text == "on and on" for event in room.of(Hypothesis))


def test_the_next_partial_comes_soon_after_one_without_words() -> None:
    gaps = {}
    for says in ("", "on and on"):
        room = Room(says=says)
        room.expect()
        room.prompt_ends()
        room.speech(1)
        partials = [request for request in room.requests if request.kind == "partial"]
        gaps[says] = partials[1].end_at - partials[0].end_at
    assert gaps[""] < 1100 < 3000 < gaps["on and on"]


def test_an_external_recogniser_may_answer_before_or_after_the_turn_ends() -> None:
    room = Room(answers=False)
    room.expect()
    room.prompt_ends()
    room.speech(0.6)
    room.silence(0.25)
    room.take(room.listener.transcribed(Hypothesis("yes", is_final=True), room.at))
    room.silence(0.4)
    assert room.of(CallerTurn)[0].hypothesis.text == "yes"
    room.expect(timeouts=Timeouts(incomplete_ms=300))
    room.prompt_ends()
    room.speech(0.6)
    room.silence(0.6)
    assert len(room.of(TurnEnded)) == 2
    room.take(room.listener.transcribed(Hypothesis("no", is_final=True), room.at))
    assert room.of(CallerTurn)[1].hypothesis.text == "no"


def test_an_external_recogniser_may_give_a_turn_in_several_finals() -> None:
    room = Room(answers=False)
    room.expect()
    room.prompt_ends()
    room.speech(0.8)
    said = Hypothesis("my card number is", confidence=0.9, is_final=True)
    room.take(room.listener.transcribed(said, room.at))
    room.silence(0.3)
    room.speech(0.8)
    room.silence(0.3)
    said = Hypothesis("one two three", confidence=0.7, is_final=True)
    room.take(room.listener.transcribed(said, room.at))
    room.silence(1.6)
    (turn,) = room.of(CallerTurn)
    assert turn.hypothesis.text == "my card number is one two three"
    assert turn.hypothesis.confidence == 0.7
    late = Hypothesis("four", confidence=0.9, is_final=True)
    room.take(room.listener.transcribed(late, room.at))  # its turn is over
    room.expect()
    room.prompt_ends()
    room.speech(0.8)
    room.silence(1.8)
    said = Hypothesis("yes", confidence=0.9, is_final=True)
    room.take(room.listener.transcribed(said, room.at))
    assert room.of(CallerTurn)[1].hypothesis.text == "yes"


@pytest.mark.parametrize(("probability", "until_s"), [(0.99, 0.25), (0.02, 1.6)])
def test_the_more_finished_it_sounds_the_sooner_the_turn_ends(
    probability: float, until_s: float
) -> None:
    room = Room(says="I would like a coffee")
    room.end_probability = probability
    room.expect()
    room.prompt_ends()
    room.speech(0.8)
    room.silence(2)
    (turn,) = room.of(CallerTurn)
    assert turn.ended.at - turn.ended.speech_end_at == pytest.approx(
        until_s * SECOND, abs=0.15 * SECOND
    )


def who_seemed_to_go_on(probability: float) -> Room:
    """And did not."""
    room = Room(says="I would like a tea")
    room.end_probability = probability
    room.expect()
    room.prompt_ends()
    room.speech(0.8)
    room.silence(1)
    room.answers = False
    room.silence(1)
    return room


def test_what_was_heard_the_cheap_way_is_heard_again_when_the_caller_does_not_go_on() -> None:
    room = who_seemed_to_go_on(0.02)
    speculative, final = room.requests[-2:]
    assert final == replace(speculative, kind="final"), "of the very same audio"
    assert room.of(TurnEnded)
    assert not room.of(CallerTurn)
    room.end_probability = None
    room.answer(final, "I would like a fee")
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["I would like a fee"]


def test_what_cannot_be_heard_again_counts_as_it_was() -> None:
    room = who_seemed_to_go_on(0.02)
    final = room.requests[-1]
    room.take(room.listener.recognised(final.utterance, "final", final.end_at, None, room.at))
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["I would like a tea"]


def test_who_is_never_heard_again_said_what_was_heard() -> None:
    room = who_seemed_to_go_on(0.02)
    room.silence(6)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["I would like a tea"]


def test_who_may_have_finished_is_heard_once() -> None:
    room = who_seemed_to_go_on(0.06)
    assert [request.kind for request in room.requests].count("final") == 0
    assert len(room.of(CallerTurn)) == 1


def test_the_end_is_judged_by_voice_where_words_come_from_elsewhere() -> None:
    room = Room(answers=False)
    room.expect()
    room.prompt_ends()
    room.speech(0.8)
    room.silence(0.2)
    (asked,) = [request for request in room.requests if request.kind == "speculative"]
    judge = room.listener.end_judged
    room.take(judge(asked.utterance, asked.end_at - 256, 0.99, room.at))  # of an older pause
    room.silence(0.2)
    assert room.of(TurnEnded) == []
    room.take(judge(asked.utterance, asked.end_at, 0.99, room.at))
    room.silence(0.1)
    assert len(room.of(TurnEnded)) == 1


def test_an_answer_is_heard_though_it_might_be_echo_once_the_prompts_are_over() -> None:
    def hear(is_listening: bool, echo: EchoState) -> list[object]:
        listener = Room().listener
        listener.expect(Expectation(), 0)
        if is_listening:
            listener.prompt_ended(0)
        heard: list[object] = []
        for at in range(0, 8000, WINDOW_SAMPLES):
            heard += listener.hear(at, 0.1, is_audible=False, echo=echo, speech=0.95)
        return [event for event in heard if isinstance(event, SpeechStarted)]

    assert hear(True, EchoState.UNLOCKED)
    assert not hear(True, EchoState.LOCKED)
    assert not hear(False, EchoState.UNLOCKED)


def test_what_is_left_of_the_prompt_is_no_answer() -> None:
    room = Room(says="what can I get you")
    room.bot_text = "Welcome. What can I get you?"
    room.expect()
    room.echo = EchoState.UNLOCKED
    room.prompt_ends()
    room.speech(0.8)
    room.echo = EchoState.FAINT
    room.silence(2)
    assert room.of(CallerTurn) == []
    room.says = "yes"
    room.speech(0.6)
    room.silence(1)
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


@pytest.mark.parametrize(("confidence", "is_over"), [(0.95, True), (0.05, False)])
def test_a_number_that_the_recogniser_made_complete_is_waited_for(
    confidence: float, is_over: bool
) -> None:
    """It expects so many digits and makes up the last one."""
    room = Room(says="yes", answers=False)
    slot = SlotSpec("number", SlotType.DIGITS, min_length=4, max_length=4)
    room.expect(focus="number", slots=(slot,))
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.2)
    request = room.requests[-1]
    heard = Hypothesis("yes", confidence=confidence)
    room.take(
        room.listener.recognised(request.utterance, request.kind, request.end_at, heard, room.at)
    )
    room.silence(0.2)
    assert bool(room.of(TurnEnded)) is is_over
    room.silence(0.7)
    assert bool(room.of(TurnEnded)) is is_over
    room.silence(0.6)
    assert len(room.of(TurnEnded)) == 1


def finals(room: Room) -> list[Recognise]:
    return [request for request in room.requests if request.kind == "speculative"]


def test_all_is_recognised_before_it_is_sure_that_the_caller_has_fallen_silent() -> None:
    room = Room(says="yes")
    room.end_probability = 0.99
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.09)
    assert len(finals(room)) == 1
    assert not room.of(SpeechEnded)
    room.silence(0.3)
    assert len(finals(room)) == 1, "asked once for one silence"
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_what_was_judged_ahead_counts_once_the_caller_has_fallen_silent() -> None:
    room = Room(says="I would like a coffee")
    room.end_probability = 0.99
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.5)
    assert len(room.of(TurnEnded)) == 1, "not after incomplete_ms"


def test_a_breath_between_sounds_is_no_end() -> None:
    room = Room(says="I would like")
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.09)
    early = room.requests[-1]
    room.says = "yes"
    room.speech(0.6)
    room.answer(early, "yes")  # to what is not all any more
    room.silence(0.6)
    assert len(finals(room)) == 2
    assert finals(room)[-1].end_at > room.at - 0.6 * SECOND
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_a_distant_recogniser_is_not_asked_ahead() -> None:
    room = Room(says="yes")
    room.listener = Listener(
        completeness=completeness,
        detector=SpeechDetector(),
        endpointer=Endpointer(),
        barge_in=BargeInPolicy(),
        looks_ahead=False,
    )
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.09)
    assert not finals(room)
    room.silence(0.1)
    assert len(finals(room)) == 1


def test_a_partial_does_not_make_a_number_complete() -> None:
    """Greedy partials are never sure, and the final is on its way."""
    room = Room(says="yes", answers=False)
    slot = SlotSpec("number", SlotType.DIGITS, min_length=4, max_length=4)
    room.expect(focus="number", slots=(slot,))
    room.prompt_ends()
    room.speech(1.0)
    room.answer(next(r for r in room.requests if r.kind == "partial"))
    room.silence(0.6)
    assert not room.of(TurnEnded)
    room.answer(finals(room)[-1])
    room.silence(0.1)
    assert room.of(TurnEnded)[0].reason is TurnEndReason.COMPLETE


def test_what_was_complete_before_a_breath_says_nothing_of_what_followed() -> None:
    room = Room(says="yes")
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.09)
    assert len(finals(room)) == 1, "answered: a whole answer"
    room.answers = False
    room.speech(0.26)
    room.silence(0.25)
    assert room.of(SpeechEnded)
    assert not room.of(TurnEnded)
    room.answer(finals(room)[-1], "yes and a")
    room.silence(0.6)
    assert not room.of(TurnEnded), "it may go on"


def test_a_recognition_that_failed_is_asked_for_again() -> None:
    room = Room(says="yes", answers=False)
    room.expect()
    room.prompt_ends()
    room.speech(1.0)
    room.silence(0.09)
    (early,) = finals(room)
    room.take(room.listener.recognised(early.utterance, early.kind, early.end_at, None, room.at))
    room.answers = True
    room.silence(1.0)
    assert len(finals(room)) > 1
    assert [turn.hypothesis.text for turn in room.of(CallerTurn)] == ["yes"]


def test_an_answer_does_not_hold_the_words_before_the_question() -> None:
    """A caller who goes on after he was cut off."""
    room = Room(says="and another thing")
    room.expect(timeouts=Timeouts(max_speech_ms=5000))
    room.prompt_ends()
    room.speech(6.0)
    assert room.of(CallerTurn)
    asked_at = room.at
    room.expect()
    room.requests.clear()
    room.speech(1.0)
    assert room.requests
    assert all(request.start_at >= asked_at - SECOND for request in room.requests)
