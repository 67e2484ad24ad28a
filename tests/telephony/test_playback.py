"""Twilio's buffer: what is heard when, and when marks come back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony import playback
from voicebot.telephony.playback import Clearing, Playback, Stretch

pytestmark = pytest.mark.unit

VOICE, SILENCE = b"\x10", b"\xff"


def test_audio_is_heard_in_order_and_silence_otherwise() -> None:
    line = Playback()
    assert line.put(b"\x01" * 800, 0.05) == []
    line.put(b"\x02" * 800, 0.1)
    line.advance(0.5)
    assert line.heard == SILENCE * 400 + b"\x01" * 800 + b"\x02" * 800 + SILENCE * 2000
    assert line.buffered_samples == 0


def test_a_mark_returns_when_the_audio_before_it_has_ended() -> None:
    line = Playback()
    line.put(VOICE * 1600, 0.0)
    assert line.put_mark("a", 0.0) == []
    line.put(VOICE * 1600, 0.0)
    line.put_mark("b", 0.0)
    line.put_mark("c", 0.0)
    assert line.advance(0.19) == []
    assert line.advance(0.2) == ["a"]
    assert line.advance(0.39) == []
    assert line.advance(0.5) == ["b", "c"]


def test_a_mark_returns_at_once_when_nothing_is_buffered() -> None:
    line = Playback()
    assert line.put_mark("a", 1.0) == ["a"]
    line.put(VOICE * 800, 1.0)
    assert line.put_mark("b", 2.0) == ["b"]


def test_clear_returns_all_marks_and_empties_the_buffer() -> None:
    line = Playback()
    line.put(VOICE * 800, 0.0)
    line.put_mark("heard", 0.0)
    line.put(VOICE * 8000, 0.0)
    line.put_mark("not heard", 0.0)
    assert line.clear(0.3) == ["heard", "not heard"]
    line.advance(1.0)
    assert line.heard == VOICE * 2400 + SILENCE * 5600
    assert line.stretches == [Stretch(0.0, 0.3, was_cleared=True)]
    assert line.clearings == [Clearing(0.3, 0.3)]


def test_a_clear_of_silence_clears_nothing() -> None:
    line = Playback()
    assert line.clear(0.1) == []
    line.put(VOICE * 800, 0.2)
    line.clear(0.9)
    assert [stretch.was_cleared for stretch in line.stretches] == [False]
    assert line.clearings == [Clearing(0.1, None), Clearing(0.9, pytest.approx(0.3))]


def test_more_than_ten_minutes_are_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "MAX_BUFFERED_SAMPLES", 8000)
    line = Playback()
    line.put(b"\x01" * 7000, 0.0)
    line.put(b"\x02" * 7000, 0.0)
    line.advance(3.0)
    assert line.heard.strip(SILENCE) == b"\x01" * 7000 + b"\x02" * 1000
    assert line.discarded_samples == 6000


def test_underruns_join_and_pauses_part_the_bots_speech() -> None:
    line = Playback()
    for at_s in (0.0, 0.25, 0.7):
        line.put(VOICE * 800, at_s)
    line.advance(2.0)
    assert [(s.start_s, pytest.approx(s.end_s)) for s in line.stretches] == [(0, 0.35), (0.7, 0.8)]
    assert line.is_bot_speaking(0.99)
    assert not line.is_bot_speaking(1.01)


def test_silence_sent_as_audio_is_not_the_bot_speaking() -> None:
    line = Playback()
    line.put(b"\xff\x7f" * 800 + VOICE * 800, 0.0)
    line.advance(0.1)
    assert line.stretches == []
    line.advance(1.0)
    assert [s.start_s for s in line.stretches] == [0.2]


@given(
    st.lists(
        st.tuples(st.floats(0, 0.3), st.sampled_from(["put", "mark", "clear", "play"])), max_size=40
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_mark_returns_once_in_order_and_no_time_is_lost(
    steps: list[tuple[float, str]],
) -> None:
    line, now_s, sent, returned = Playback(), 0.0, [], []
    for number, (wait_s, what) in enumerate(steps):
        now_s += wait_s
        if what == "put":
            returned += line.put(VOICE * 1000, now_s)
        elif what == "mark":
            sent.append(str(number))
            returned += line.put_mark(sent[-1], now_s)
        else:
            returned += line.clear(now_s) if what == "clear" else line.advance(now_s)
        assert len(line.heard) == int(now_s * 8000 + 1e-6)
    returned += line.advance(now_s + 10)
    assert returned == sent
    assert line.buffered_samples == 0
