from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.events import (
    Digit,
    DigitRule,
    Expectation,
    NoInput,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.digit_collector import TYPE_AHEAD_KEYS, DigitCollector
from voicebot.turns.endpointer import Endpointer

pytestmark = pytest.mark.unit

PIN = DigitRule(max_keys=4, min_keys=4, interdigit_ms=2000)
ACCOUNT = DigitRule(max_keys=10, min_keys=6, interdigit_ms=2000)
PAUSE = 16000


def typed(collector: DigitCollector, keys: str, at: int = 0, apart: int = 800) -> int:
    """Type keys; the time after the last."""
    for index, key in enumerate(keys):
        collector.add(Digit(key, at + index * apart))
    return at + (len(keys) - 1) * apart


def opened(rule: DigitRule | None) -> DigitCollector:
    collector = DigitCollector()
    collector.open(rule, 0)
    return collector


def test_the_last_key_closes_at_once() -> None:
    collector = opened(PIN)
    last = typed(collector, "123")
    assert not collector.is_due(last)
    collector.add(Digit("4", 2400))
    assert collector.is_due(2400)
    assert collector.take() == "1234"
    assert not collector.is_due(99999)


def test_terminator_closes_and_is_not_part() -> None:
    collector = opened(ACCOUNT)
    last = typed(collector, "1234567#")
    assert collector.is_due(last)
    assert collector.take() == "1234567"


def test_pause_closes() -> None:
    collector = opened(ACCOUNT)
    last = typed(collector, "1234567")
    assert not collector.is_due(last + PAUSE - 1)
    assert collector.is_due(last + PAUSE)


def test_each_key_begins_the_pause_anew() -> None:
    collector = opened(ACCOUNT)
    last = typed(collector, "123456", apart=PAUSE - 1)
    assert not collector.is_due(last + PAUSE - 1)
    assert collector.keys == "123456"


def test_nothing_typed_is_never_due() -> None:
    assert not opened(PIN).is_due(10**9)
    assert opened(PIN).is_empty


def test_min_keys() -> None:
    collector = opened(ACCOUNT)
    typed(collector, "12345")
    assert not collector.has_enough
    collector.add(Digit("6", 9000))
    assert collector.has_enough


def test_a_lone_terminator_is_an_input() -> None:
    collector = opened(ACCOUNT)
    collector.add(Digit("#", 100))
    assert collector.is_due(100)
    assert collector.take() == "#"


def test_without_a_terminator_its_key_is_a_key() -> None:
    collector = opened(DigitRule(max_keys=3, terminator=None))
    last = typed(collector, "1#*")
    assert collector.is_due(last)
    assert collector.take() == "1#*"


def test_terminator_after_the_last_key_is_swallowed() -> None:
    """Callers told to "press pound" do so even where the length is fixed."""
    collector = opened(PIN)
    last = typed(collector, "1234")
    assert collector.take() == "1234"
    collector.close()
    collector.add(Digit("#", last + 800))
    collector.open(PIN, last + 4000)
    assert collector.is_empty


def test_terminator_long_after_is_a_new_input() -> None:
    collector = opened(PIN)
    last = typed(collector, "1234")
    collector.take()
    collector.close()
    collector.add(Digit("#", last + PAUSE + 1))
    collector.open(PIN, last + 40000)
    assert collector.take() == "#"


def test_type_ahead_fills_one_input_after_the_other() -> None:
    collector = DigitCollector()
    last = typed(collector, "21234")
    collector.open(DigitRule(max_keys=1), last)
    assert collector.is_due(last)
    assert collector.take() == "2"
    collector.close()
    collector.open(PIN, last + 100)
    assert collector.is_due(last + 100)
    assert collector.take() == "1234"


def test_pause_after_type_ahead_counts_from_the_question() -> None:
    collector = DigitCollector()
    typed(collector, "12")
    collector.open(PIN, 80000)
    assert not collector.is_due(80000 + PAUSE - 1)
    assert collector.is_due(80000 + PAUSE)


def test_keys_are_ignored_where_none_are_expected() -> None:
    collector = DigitCollector()
    typed(collector, "12")
    collector.open(None, 5000)
    typed(collector, "34", at=6000)
    collector.close()
    collector.open(PIN, 9000)
    assert collector.is_empty


def test_type_ahead_is_bounded_and_can_be_forgotten() -> None:
    collector = DigitCollector()
    typed(collector, "1" * 500 + "2" * TYPE_AHEAD_KEYS)
    collector.open(DigitRule(max_keys=1000), 10**6)
    assert collector.keys == "2" * TYPE_AHEAD_KEYS
    collector.close()
    typed(collector, "77", at=10**6)
    collector.forget()
    collector.open(PIN, 2 * 10**6)
    assert collector.is_empty


def test_drop_keeps_what_was_typed_ahead() -> None:
    collector = opened(PIN)
    typed(collector, "1")
    collector.drop()
    assert collector.is_empty
    typed(collector, "1234", at=5000)
    assert collector.take() == "1234"


@pytest.mark.parametrize("key", ["", "12", "x", "a", " ", "٣", "#1", "\x00"])
def test_what_is_not_a_key_is_ignored(key: str) -> None:
    collector = opened(PIN)
    collector.add(Digit(key, 0))
    assert collector.is_empty


@pytest.mark.parametrize("max_keys", [0, -1])
def test_a_rule_without_length_takes_one_key(max_keys: int) -> None:
    collector = opened(DigitRule(max_keys=max_keys))
    collector.add(Digit("3", 0))
    assert collector.is_due(0)


# ---------------------------------------------------------------- waiting for the terminator


CARD = DigitRule(max_keys=4, interdigit_ms=2000, term_ms=1000)


def test_after_the_last_key_the_terminator_is_waited_for() -> None:
    collector = opened(CARD)
    last = typed(collector, "1234")
    assert not collector.is_due(last + 7999)
    assert collector.is_due(last + 8000)
    assert collector.take() == "1234"


def test_the_terminator_ends_the_wait() -> None:
    collector = opened(CARD)
    last = typed(collector, "1234#")
    assert collector.is_due(last)
    assert collector.take() == "1234"
    collector.close()
    collector.add(Digit("#", last + 800))  # a second one is not the same
    collector.open(PIN, last + 900)
    assert collector.keys == "#"


def test_another_key_ends_the_wait_and_belongs_to_the_next_input() -> None:
    collector = opened(CARD)
    last = typed(collector, "12345")
    assert collector.is_due(last)
    assert collector.take() == "1234"
    collector.close()
    collector.add(Digit("#", last + 800))  # ends the next input, not the one before
    collector.open(PIN, last + 900)
    assert collector.is_due(last + 900)
    assert collector.take() == "5"


def test_without_a_terminator_nothing_is_waited_for() -> None:
    collector = opened(DigitRule(max_keys=4, terminator=None, term_ms=1000))
    last = typed(collector, "1234")
    assert collector.is_due(last)


def test_late_terminator_of_an_input_whose_wait_is_over_is_swallowed() -> None:
    collector = opened(CARD)
    last = typed(collector, "1234")
    assert collector.is_due(last + 8000)
    collector.take()
    collector.close()
    collector.add(Digit("#", last + 9000))
    collector.open(PIN, last + 9100)
    assert collector.is_empty


# ---------------------------------------------------------------- type-ahead


def test_a_deliberate_answer_takes_no_keys_typed_ahead() -> None:
    collector = DigitCollector()
    last = typed(collector, "1234")
    assert collector.has_typed_ahead
    collector.open(DigitRule(has_type_ahead=False), last)
    assert collector.is_empty
    assert not collector.has_typed_ahead
    collector.add(Digit("2", last + 800))
    assert collector.take() == "2"


def test_keys_that_nobody_took_count_as_typed_ahead() -> None:
    collector = opened(ACCOUNT)
    last = typed(collector, "123")
    collector.open(PIN, last + 100)
    typed(collector, "4", at=last + 200)
    assert collector.take() == "1234"


# ---------------------------------------------------------------- whatever callers do

KEYS = st.sampled_from("0123456789*#ABCD")
RULES = st.builds(
    DigitRule,
    max_keys=st.integers(0, 6),
    min_keys=st.integers(1, 6),
    terminator=st.sampled_from(["#", "*", None]),
    interdigit_ms=st.integers(1, 4000),
    term_ms=st.sampled_from([0, 0, 500, 6000]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("key"), KEYS),
        st.tuples(st.just("wait"), st.integers(0, 60000)),
        st.tuples(st.just("open"), RULES),
        st.tuples(st.just("close"), st.none()),
    ),
    max_size=TYPE_AHEAD_KEYS,
)


class Caller:
    """Plays steps to a collector and takes each input as soon as it is due."""

    def __init__(self) -> None:
        self.collector = DigitCollector()
        self.at = 0
        self.typed = ""
        self.entries: list[tuple[str, DigitRule]] = []
        self.rule: DigitRule | None = None

    def play(self, steps: list[tuple[str, object]]) -> None:
        for kind, what in steps:
            self.at += 80
            if kind == "key":
                self.typed += str(what)
                self.collector.add(Digit(str(what), self.at))
            elif kind == "wait":
                assert isinstance(what, int)
                self.at += what
            elif kind == "open":
                assert isinstance(what, DigitRule)
                self.rule = what
                self.collector.open(what, self.at)
            else:
                self.rule = None
                self.collector.close()
            self.tick()

    def tick(self) -> None:
        while self.rule is not None and self.collector.is_due(self.at):
            self.entries.append((self.collector.take(), self.rule))
            self.collector.close()
            self.rule = None

    def drain(self, rule: DigitRule) -> int:
        """Ask until nothing is left; how often that took."""
        asked = 0
        while True:
            asked += 1
            self.rule = rule
            self.collector.open(rule, self.at)
            if self.collector.is_empty:
                return asked
            self.at += max(rule.interdigit_ms, rule.term_ms) * 8
            assert self.collector.is_due(self.at), "stuck"
            self.tick()


@given(STEPS, RULES)
def test_nothing_is_stuck(steps: list[tuple[str, object]], last: DigitRule) -> None:
    caller = Caller()
    caller.play(steps)
    before = len(caller.entries)
    assert caller.drain(last) == len(caller.entries) - before + 1
    assert caller.collector.is_empty
    assert not caller.collector.has_typed_ahead


@given(STEPS, RULES)
def test_every_key_is_in_one_input_or_ends_one(
    steps: list[tuple[str, object]], last: DigitRule
) -> None:
    """In the order typed; only terminators that close an input vanish."""
    caller = Caller()
    caller.play(steps)
    caller.drain(last)
    entries = "".join(keys for keys, _ in caller.entries)
    left = iter(caller.typed)
    assert all(key in left for key in entries), "a subsequence of what was typed"
    closing = {rule.terminator for _, rule in caller.entries}
    plain = [key for key in caller.typed if key not in closing]
    assert [key for key in entries if key not in closing] == plain


@given(st.lists(st.one_of(KEYS, st.integers(0, 60000), RULES), max_size=TYPE_AHEAD_KEYS), RULES)
def test_interleaved_keys_questions_and_pauses_lose_nothing(
    story: list[str | int | DigitRule], last: DigitRule
) -> None:
    """Without terminators: what was typed is what the inputs hold, in order."""
    steps: list[tuple[str, object]] = []
    for what in story:
        if isinstance(what, DigitRule):
            steps.append(("open", replace(what, terminator=None)))
        else:
            steps.append(("key" if isinstance(what, str) else "wait", what))
    caller = Caller()
    caller.play(steps)
    caller.drain(replace(last, terminator=None))
    assert "".join(entry for entry, _ in caller.entries) == caller.typed
    for entry, rule in caller.entries:
        assert 1 <= len(entry) <= max(1, rule.max_keys)


@given(
    st.lists(
        st.one_of(KEYS, st.integers(1, 40), st.sampled_from(["speech", "listen"])), max_size=50
    ),
    RULES,
    st.booleans(),
)
def test_a_turn_with_keys_and_speech_always_ends(
    story: list[str | int], rule: DigitRule, speaks_on: bool
) -> None:
    """Keys, speech, new questions and time in any order; then silence: a decision follows."""
    endpointer = Endpointer()
    expectation = Expectation(digits=rule)
    at, entries, is_speaking = 0, [], False

    def tick() -> TurnEnded | NoInput | None:
        event = endpointer.tick(at)
        if isinstance(event, TurnEnded) and event.reason is TurnEndReason.DTMF:
            entries.append(endpointer.take_keys())
            assert entries[-1]
        return event

    for what in story:
        at += 160
        if what == "speech":
            is_speaking = not is_speaking
            if is_speaking:
                endpointer.on_speech_started(SpeechStarted(at - 100, at))
            else:
                endpointer.on_speech_ended(SpeechEnded(at - 100, at))
        elif what == "listen":
            endpointer.listen(expectation, at)
        elif isinstance(what, str):
            endpointer.on_digit(Digit(what, at))
        else:
            at += what * 800
        tick()
    if is_speaking and not speaks_on:
        endpointer.on_speech_ended(SpeechEnded(at, at))
    endpointer.listen(expectation, at)
    until = at + 8 * (expectation.timeouts.max_speech_ms + 10_000)
    while endpointer.is_listening and at < until:
        at += 800
        tick()
    assert not endpointer.is_listening, "stuck"
    typed_keys = iter(what for what in story if isinstance(what, str))
    assert all(key in typed_keys for entry in entries for key in entry)
