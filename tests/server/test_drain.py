"""Signals, deadlines and exits."""

import pytest

from voicebot.server.drain import Drain, Phase, Step

pytestmark = pytest.mark.unit


def test_takes_calls_only_between_start_and_the_first_signal() -> None:
    drain = Drain(timeout_s=10.0)
    assert not drain.is_accepting
    drain.started()
    assert drain.is_accepting
    drain.signalled(now=5.0)
    assert not drain.is_accepting
    assert drain.phase is Phase.DRAINING


def test_without_live_calls_the_first_signal_exits() -> None:
    drain = Drain(timeout_s=10.0)
    drain.started()
    assert drain.step(busy=0, now=1.0) is Step.WAIT
    drain.signalled(now=1.0)
    assert drain.step(busy=0, now=1.0) is Step.EXIT


def test_live_calls_finish_within_the_timeout_and_are_ended_after_it() -> None:
    drain = Drain(timeout_s=10.0)
    drain.started()
    drain.signalled(now=1.0)
    assert drain.step(busy=2, now=10.9) is Step.WAIT
    assert drain.step(busy=2, now=11.0) is Step.END_CALLS
    assert drain.step(busy=0, now=11.1) is Step.EXIT


def test_the_second_signal_ends_at_once() -> None:
    drain = Drain(timeout_s=10.0)
    drain.started()
    drain.signalled(now=1.0)
    drain.signalled(now=1.1)
    assert drain.phase is Phase.STOPPED
    assert drain.step(busy=3, now=1.1) is Step.END_CALLS
    drain.signalled(now=1.2)
    assert drain.phase is Phase.STOPPED


def test_a_signal_while_loading_wins_over_the_end_of_loading() -> None:
    drain = Drain(timeout_s=10.0)
    drain.signalled(now=0.0)
    drain.started()
    assert drain.phase is Phase.DRAINING
    assert drain.step(busy=0, now=0.0) is Step.EXIT
