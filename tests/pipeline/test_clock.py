import pytest

from voicebot.pipeline.clock import CallClock

pytestmark = pytest.mark.unit


class Wall:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_positions_count_samples_and_time_goes_on_between_chunks() -> None:
    wall = Wall()
    clock = CallClock(wall)
    assert clock.now() == 0
    assert clock.place(160, 0) == 0
    assert clock.now() == 160  # the chunk has just been spoken
    wall.s += 0.02
    assert clock.place(160, 20) == 160
    wall.s += 0.5
    assert clock.now() == 4320
    assert clock.lateness_ms() == pytest.approx(500)


def test_jitter_of_a_chunk_or_two_moves_nothing() -> None:
    wall = Wall()
    clock = CallClock(wall)
    stamps = [0, 20, 60, 40, 100, 100, 120]
    assert [clock.place(160, stamp) for stamp in stamps] == [160 * n for n in range(7)]


def test_dropped_audio_is_skipped() -> None:
    wall = Wall()
    clock = CallClock(wall)
    clock.place(160, 1000)
    wall.s += 1.0
    assert clock.place(160, 2000) == 8000
    assert clock.received == 8160


def test_no_timestamp_pushes_the_clock_far_ahead_of_real_time_nor_back() -> None:
    wall = Wall()
    clock = CallClock(wall)
    clock.place(160, 0)
    far = clock.place(160, 10**12)
    assert far <= 2 * 160 + 8000
    again = clock.place(160, 0)
    assert again == far + 160


def test_first_chunks_held_up_by_the_network_do_not_shorten_every_time_of_the_call() -> None:
    wall = Wall()
    clock = CallClock(wall)
    for number in range(30):  # 0.6 s of audio at once
        clock.place(160, 20 * number)
    assert clock.now() == clock.received == 4800
    wall.s += 0.02
    clock.place(160, 600)
    assert clock.lateness_ms() == pytest.approx(0)


def test_audio_that_comes_faster_than_time_moves_the_clock_by_a_bounded_step() -> None:
    wall = Wall()
    clock = CallClock(wall)
    for number in range(50 * 20):
        clock.place(160, 20 * number)
    assert clock.now() <= 160 + 2 * 8000
    assert clock.is_outrun


def test_the_clock_goes_on_where_no_audio_comes_and_takes_it_from_there_when_it_does() -> None:
    wall = Wall()
    clock = CallClock(wall)
    wall.s += 1.9
    assert clock.now() == 0  # it may be held up
    wall.s += 3.1
    before = clock.now()
    assert before == 24000
    assert clock.place(160, 5000) == before - 160
    assert clock.now() == clock.received == before
    wall.s += 0.02
    assert clock.place(160, 5020) == before


def test_what_is_known_without_the_audio_is_placed_in_time_though_the_audio_is_late() -> None:
    wall = Wall()
    clock = CallClock(wall)
    clock.place(160, 0)
    assert clock.stalled == 0
    wall.s += 3.0
    assert clock.received == 160
    assert clock.latest == 160 + 24000
    assert clock.stalled == 24000
