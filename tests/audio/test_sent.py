import pytest

from voicebot.audio import mulaw
from voicebot.audio.sent import HISTORY_SAMPLES, SentAudio

pytestmark = pytest.mark.unit

SILENCE = mulaw.SILENCE


def sent(*messages: tuple[int, int]) -> SentAudio:
    """Messages (sent at, samples); message n holds the code n + 1."""
    audio = SentAudio()
    for index, (now, size) in enumerate(messages):
        audio.send(bytes([index + 1]) * size, now)
    return audio


def test_nothing_sent() -> None:
    audio = SentAudio()
    audio.cut(100)
    assert audio.between(0, 4) == SILENCE * 4
    assert audio.between(9, 3) == b""
    assert audio.queued(0) == audio.ends_at == 0


def test_messages_follow_one_another_or_begin_when_they_are_sent() -> None:
    audio = sent((10, 5), (10, 5), (30, 5))
    expected = SILENCE * 10 + b"\1" * 5 + b"\2" * 5 + SILENCE * 10 + b"\3" * 5 + SILENCE * 5
    assert audio.between(0, 40) == expected
    assert audio.between(12, 17) == expected[12:17]
    assert audio.between(-2, 11) == SILENCE * 12 + b"\1"


def test_queued_is_what_was_sent_and_not_played() -> None:
    audio = sent((10, 100), (50, 20))
    assert [audio.queued(now) for now in (10, 60, 130, 500)] == [120, 70, 0, 0]


def test_a_clear_cuts_what_leaves_after_it_and_no_more() -> None:
    audio = sent((0, 10), (0, 10), (0, 10))
    audio.cut(15)
    assert audio.between(0, 30) == b"\1" * 10 + b"\2" * 5 + SILENCE * 15
    assert audio.ends_at == 15
    audio.send(b"\4" * 5, 20)
    assert audio.between(10, 30) == b"\2" * 5 + SILENCE * 5 + b"\4" * 5 + SILENCE * 5
    audio.cut(40)
    assert audio.ends_at == 25, "it was over before"


def test_what_no_echo_can_be_of_is_forgotten() -> None:
    audio = sent((0, 100), (HISTORY_SAMPLES, 100), (HISTORY_SAMPLES + 101, 100))
    assert audio.between(0, 100) == SILENCE * 100
    assert audio.between(HISTORY_SAMPLES, HISTORY_SAMPLES + 100) == b"\2" * 100
