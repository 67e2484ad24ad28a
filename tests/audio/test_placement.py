import pytest

from voicebot.audio import mulaw
from voicebot.audio.placement import MAX_LAG_SAMPLES, Placement

pytestmark = pytest.mark.unit


def placed(*sizes: int, now: int = 0) -> Placement:
    """Messages of these sizes, sent at once; message n holds the code n + 1."""
    placement = Placement()
    for index, size in enumerate(sizes):
        placement.send(bytes([index + 1]) * size, now)
    return placement


def test_nothing_sent() -> None:
    placement = Placement()
    assert placement.position_at(10**6) == placement.sent == 0
    assert placement.audio(0, 4) == mulaw.SILENCE * 4
    placement.played(0, 100, 100)
    placement.cut(100)


def test_without_marks_the_clock_places_back_to_back() -> None:
    placement = placed(100, 200, now=1000)
    assert [placement.position_at(at) for at in (999, 1000, 1050, 1250, 9999)] == [
        0,
        0,
        50,
        250,
        300,
    ]
    assert [placement.time_of(position) for position in (1, 100, 101, 300)] == [
        1001,
        1100,
        1101,
        1300,
    ]


def test_a_pause_in_sending_is_silence() -> None:
    placement = placed(100)
    placement.send(b"\x09" * 10, 150)
    assert placement.audio(95, 155) == b"\x01" * 5 + mulaw.SILENCE * 50 + b"\x09" * 5


def test_the_first_mark_moves_everything_to_come() -> None:
    placement = placed(100, 200)
    placement.played(0, 100, 180)
    assert placement.time_of(100) == 180
    assert placement.time_of(300) == 380
    assert placement.lag == 80


def test_jitter_moves_nothing_but_four_late_marks_do() -> None:
    placement = placed(*[1000] * 7)
    placement.played(0, 1000, 1000)
    for n in (2, 3, 4):
        placement.played((n - 1) * 1000, n * 1000, n * 1000 + 100 * n)
        assert placement.time_of(7000) == 7000
    placement.played(4000, 5000, 5500)
    placement.played(5000, 6000, 6300)
    assert placement.time_of(7000) == 7200, "by the least late of the last four"
    assert placement.time_of(4000) == 4000, "what earlier marks placed stays"


def test_a_mark_that_comes_sooner_is_believed_but_not_before_sending_allows() -> None:
    placement = placed(1000, 1000, 1000)
    placement.played(0, 1000, 1300)
    placement.played(1000, 2000, 2100)
    assert placement.time_of(3000) == 3100
    placement.played(2000, 3000, 200)
    assert placement.time_of(3000) == 3000


def test_a_stall_moves_at_once_and_is_bounded() -> None:
    placement = placed(1000, 1000, 1000)
    placement.played(0, 1000, 1000)
    placement.played(1000, 2000, 5000)
    assert placement.time_of(3000) == 6000
    placement.played(2000, 3000, 10**9)
    assert placement.time_of(3000) == 3000 + MAX_LAG_SAMPLES


def test_the_next_prompt_is_expected_as_late_as_the_last() -> None:
    """But by the least of the marks: one of many that was held up is no latency."""
    placement = placed(1000, 1000, 1000)
    placement.played(0, 1000, 1000 + MAX_LAG_SAMPLES)
    placement.played(1000, 2000, 2000 + 2400)
    placement.played(2000, 3000, 3000 + 2480)
    placement.send(b"\x07" * 500, 30000)
    assert placement.time_of(placement.sent) == 30000 + 2400 + 500


def test_cut_drops_what_was_not_heard() -> None:
    placement = placed(100, 100, 100)
    placement.cut(150)
    assert placement.audio(0, 300) == b"\x01" * 100 + b"\x02" * 50 + mulaw.SILENCE * 150
    placement.send(b"\x09" * 100, 160)
    assert placement.audio(140, 180) == b"\x02" * 10 + mulaw.SILENCE * 10 + b"\x09" * 20
    placement.cut(0)
    assert placement.audio(0, 300) == mulaw.SILENCE * 300
