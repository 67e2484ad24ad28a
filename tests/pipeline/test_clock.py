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


def flow(clock: CallClock, wall: Wall, seconds: float, stamp_ms: int, *, speed: float = 1.0) -> int:
    """Chunks of 20 ms, stamped on from there; the stamp after them."""
    for _ in range(round(seconds * 50)):
        wall.s += 0.02 / speed
        clock.place(160, stamp_ms)
        stamp_ms += 20
    return stamp_ms


def test_a_sender_that_paused_and_stamps_on_as_if_it_had_not_is_not_late_for_ever() -> None:
    wall = Wall()
    clock = CallClock(wall)
    stamp = flow(clock, wall, 1, 0)
    wall.s += 3
    stamp = flow(clock, wall, 0.5, stamp)
    assert clock.paused == 0, "it may catch up"
    assert clock.latest == clock.received + 3 * 8000
    stamp = flow(clock, wall, 0.5, stamp)
    assert clock.paused == pytest.approx(3 * 8000, abs=200)
    assert clock.latest == pytest.approx(clock.received, abs=200)
    assert clock.lateness_ms() == pytest.approx(0, abs=25)
    wall.s += 2  # and once more
    flow(clock, wall, 1, stamp)
    assert clock.paused == pytest.approx(5 * 8000, abs=200)


def test_what_was_held_up_or_comes_a_bit_faster_than_time_was_no_pause() -> None:
    for speed in (1e6, 1.5):
        wall = Wall()
        clock = CallClock(wall)
        stamp = flow(clock, wall, 1, 0)
        wall.s += 1
        flow(clock, wall, 1 if speed > 2 else 3, stamp, speed=speed)
        assert clock.paused == 0
        assert clock.lateness_ms() == pytest.approx(0, abs=25)


def test_what_comes_after_all_was_held_up() -> None:
    wall = Wall()
    clock = CallClock(wall)
    stamp = flow(clock, wall, 1, 0)
    wall.s += 3
    stamp = flow(clock, wall, 1, stamp)
    assert clock.paused > 0
    flow(clock, wall, 3, stamp, speed=1e6)
    assert clock.paused == 0


def test_a_pause_that_the_timestamps_tell_of_is_skipped() -> None:
    wall = Wall()
    clock = CallClock(wall)
    stamp = flow(clock, wall, 1, 0)
    wall.s += 3
    flow(clock, wall, 2, stamp + 3000)
    assert clock.paused == 0
    assert clock.received == 6 * 8000
