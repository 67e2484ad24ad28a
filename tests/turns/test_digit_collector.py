import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.events import Digit, DigitRule
from voicebot.turns.digit_collector import TYPE_AHEAD_KEYS, DigitCollector

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


@given(
    st.lists(st.sampled_from("0123456789*#ABCD?"), max_size=60),
    st.integers(1, 8),
    st.sampled_from(["#", "*", None]),
)
def test_no_input_is_too_long_and_no_key_appears_from_nowhere(
    keys: list[str], max_keys: int, terminator: str | None
) -> None:
    rule = DigitRule(max_keys=max_keys, terminator=terminator)
    collector = DigitCollector()
    taken = ""
    for index, key in enumerate(keys):
        if index % 7 == 3:
            collector.open(rule, index * 100)
        collector.add(Digit(key, index * 100))
        if collector.is_due(index * 100):
            entry = collector.take()
            assert 1 <= len(entry) <= max_keys
            taken += entry
            collector.close()
    remaining = iter("".join(keys).replace("?", ""))
    assert all(key in remaining for key in taken), "a subsequence of what was typed"
