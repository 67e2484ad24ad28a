"""Decisions wait for Twilio's question."""

import pytest

from voicebot.server.directory import ACTION_WAIT_S, CallDecision, CallDirectory

pytestmark = pytest.mark.unit


def test_a_decision_can_be_collected_again_when_twilio_repeats_itself() -> None:
    directory = CallDirectory(10)
    directory.answered("CA1")
    directory.ended("CA1", CallDecision("+15550123"), now=1.0)
    assert directory.awaiting(1.0) == 1
    assert directory.collect("CA1") == CallDecision("+15550123")
    assert directory.awaiting(1.0) == 0
    assert directory.collect("CA1") == CallDecision("+15550123")


def test_no_decision_for_unknown_live_and_broken_calls() -> None:
    directory = CallDirectory(10)
    assert directory.collect("CA1") is None
    directory.answered("CA1")
    assert directory.collect("CA1") is None
    directory.ended("CA1", None, now=0.0)
    assert directory.collect("CA1") is None


def test_the_wait_for_twilio_is_bounded() -> None:
    directory = CallDirectory(10)
    directory.ended("CA1", CallDecision(), now=0.0)
    directory.ended("CA2", CallDecision(), now=0.0)
    directory.forget_wait("CA2")
    assert directory.awaiting(ACTION_WAIT_S - 0.1) == 1
    assert directory.awaiting(ACTION_WAIT_S) == 0


def test_a_new_answer_forgets_the_old_decision() -> None:
    directory = CallDirectory(10)
    directory.ended("CA1", CallDecision("+15550123"), now=0.0)
    directory.answered("CA1")
    assert directory.collect("CA1") is None


def test_the_oldest_entries_are_forgotten() -> None:
    directory = CallDirectory(2)
    for number in range(5):
        directory.answered(f"CA{number}")
    assert len(directory) == 2
