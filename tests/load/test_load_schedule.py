"""The schedule is fixed beforehand."""

import pytest

from load.schedule import LONGEST_RAMP_S, Schedule

pytestmark = pytest.mark.unit


def test_the_same_seed_asks_the_same_of_every_server() -> None:
    first, second = (Schedule(4, 60.0, recordings=50, seed=7) for _ in range(2))
    assert [first.call(line, n) for line in range(4) for n in range(3)] == [
        second.call(line, n) for line in range(4) for n in range(3)
    ]
    assert first.call(0, 0) != first.call(0, 1) != first.call(1, 0)
    assert first.call(0, 0) != Schedule(4, 60.0, recordings=50, seed=8).call(0, 0)


def test_choices_do_not_depend_on_the_order_of_asking() -> None:
    schedule = Schedule(2, 60.0, recordings=50)
    later = schedule.call(1, 5)
    schedule.call(0, 0)
    assert schedule.call(1, 5) == later


def test_recordings_exist_and_the_share_of_barge_ins_is_kept() -> None:
    schedule = Schedule(1, 60.0, recordings=3, turns=5000, barge_in=0.2)
    turns = schedule.call(0, 0)
    assert {turn.recording for turn in turns} == {0, 1, 2}
    assert sum(turn.is_barge_in for turn in turns) == pytest.approx(1000, abs=100)
    never = Schedule(1, 60.0, recordings=3, turns=500, barge_in=0.0)
    assert not any(turn.is_barge_in for turn in never.call(0, 0))


@pytest.mark.parametrize(("lines", "seconds"), [(1, 60.0), (100, 60.0), (10, 0.4)])
def test_lines_start_one_after_the_other_within_a_short_ramp(lines: int, seconds: float) -> None:
    schedule = Schedule(lines, seconds, recordings=1)
    starts = [schedule.start_s(line) for line in range(lines)]
    assert starts[0] == 0.0
    assert starts == sorted(starts)
    assert starts[-1] < min(LONGEST_RAMP_S, seconds / 2)
