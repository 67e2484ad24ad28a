"""Measuring the bot by its playback alone; whole dialogues are in test_scripted_caller."""

import pytest

from voicebot.telephony.call_events import BotSpeaks, BotStops, Cleared
from voicebot.telephony.playback import Playback
from voicebot.telephony.turn_timing import TurnRecord, TurnTimer

pytestmark = pytest.mark.unit

VOICE = b"\x10" * 800  # 100 ms


def test_each_thing_is_told_once_and_in_the_order_of_its_time() -> None:
    line, timer = Playback(), TurnTimer(listen_gap_s=0.7)
    line.put(VOICE * 5, 0.0)
    line.clear(0.25)
    line.put(VOICE, 0.3)
    line.advance(0.4)
    assert timer.watch(line, 0.4) == [
        BotSpeaks(0.0),
        BotStops(0.25, was_cleared=True),
        Cleared(0.25),
        BotSpeaks(0.3),
    ]
    assert timer.watch(line, 0.5) == []
    assert timer.watch(line, 0.7) == [BotStops(0.4)]
    assert timer.watch(line, 9.0) == []


def test_pauses_within_a_prompt_do_not_begin_another() -> None:
    line, timer = Playback(), TurnTimer(listen_gap_s=0.7)
    for at_s in (0.0, 0.5, 1.0, 2.0):
        line.put(VOICE, at_s)
        line.advance(at_s + 0.1)
        timer.watch(line, at_s + 0.1)
        assert timer.prompt_s == (2.0 if at_s == 2.0 else 0.0, pytest.approx(at_s + 0.1))


@pytest.mark.parametrize(
    ("onset_s", "end_s", "response_ms"), [(0.5, 1.0, 500.0), (0.5, 1.55, -50.0), (1.55, 1.58, None)]
)
def test_only_what_begins_after_the_onset_answers(
    onset_s: float, end_s: float, response_ms: float | None
) -> None:
    line, timer = Playback(), TurnTimer(listen_gap_s=0.7)
    timer.begin(TurnRecord("a", onset_s, onset_s, end_s))
    line.put(VOICE, 1.5)
    line.advance(3.0)
    timer.watch(line, 3.0)
    [turn] = timer.records
    assert turn.response_ms == (None if response_ms is None else pytest.approx(response_ms))
    assert turn.was_over_prompt is (onset_s == 1.55)


def test_a_clear_after_the_answer_is_no_barge_in() -> None:
    line, timer = Playback(), TurnTimer(listen_gap_s=0.7)
    line.put(VOICE * 3, 0.0)
    timer.begin(TurnRecord("a", 0.1, 0.1, 0.2))
    line.put(VOICE * 3, 1.0)
    line.clear(1.1)
    timer.watch(line, 1.2)
    [turn] = timer.records
    assert turn.was_over_prompt
    assert turn.barge_in_ms is None
    assert turn.response_ms == pytest.approx(800)
