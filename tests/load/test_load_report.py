"""What counts as what, and when a run is invalid."""

from typing import Any

import numpy as np
import pytest

from load.report import Measured, percentile, table
from load.server_metrics import change, parse
from voicebot.telephony.dialer import CallRecord
from voicebot.telephony.simulator import StreamError, TurnRecord

pytestmark = pytest.mark.unit


def record(**fields: Any) -> CallRecord:
    """A call of ten seconds that went well, changed by `fields`."""
    well: dict[str, Any] = {
        "end_reason": "server_closed",
        "seconds": 10.0,
        "connect_ms": 12.0,
        "greeting_ms": 80.0,
        "send_lateness_ms": [0.5] * 500,
    }
    return CallRecord("CA1", **{**well, **fields})


def turn(end_s: float, response_ms: float | None, barge_in_ms: float | None = None) -> TurnRecord:
    return TurnRecord("a.wav", 1.0, 1.0, end_s, response_ms=response_ms, barge_in_ms=barge_in_ms)


@pytest.mark.parametrize("point", [0, 37, 50, 95, 99, 100])
def test_percentiles_are_numpys(point: int) -> None:
    values = list(np.random.default_rng(1).normal(size=101))
    assert percentile(values, point) == pytest.approx(np.percentile(values, point))
    assert percentile([], point) is None
    assert percentile([3.0], point) == 3.0


def test_calls_end_in_exactly_one_way() -> None:
    measured = Measured()
    measured.add(record(), was_cut=False)
    measured.add(record(end_reason="hung_up"), was_cut=True)
    measured.add(record(end_reason="rejected", connect_ms=None), was_cut=False)
    measured.add(record(end_reason="lost"), was_cut=True)
    measured.add(record(errors=[StreamError(31951, "unknown event", 1.0)]), was_cut=False)
    measured.add(record(greeting_ms=None), was_cut=False)
    measured.add(record(end_reason="hung_up", greeting_ms=None), was_cut=True)
    measured.add_failure("ServiceFailed")
    summary = measured.summary()
    assert (summary["calls"], summary["completed"], summary["cut"]) == (8, 1, 2)
    assert summary["failures"] == {
        "rejected": 1,
        "lost": 1,
        "error 31951": 1,
        "silent bot": 1,
        "ServiceFailed": 1,
    }
    assert summary["failed"] == 5


def test_turns_are_answered_unanswered_or_broken_off() -> None:
    measured = Measured()
    turns = [turn(3.0, 400.0), turn(5.0, None), turn(7.0, 600.0, 250.0), turn(12.0, None)]
    measured.add(record(turns=turns), was_cut=False)
    summary = measured.summary()
    assert (summary["turns"], summary["unanswered"], summary["barge_ins"]) == (4, 1, 1)
    assert summary["response_ms"]["p50"] == 500.0
    assert summary["barge_in_ms"]["p99"] == 250.0


def test_a_run_is_invalid_when_its_own_sends_are_late() -> None:
    measured = Measured()
    measured.add(record(send_lateness_ms=[1.0] * 995 + [9.0] * 5), was_cut=False)
    assert measured.is_valid
    assert measured.late_sends == 5
    measured.add(record(send_lateness_ms=[9.0] * 20), was_cut=False)
    assert not measured.is_valid
    assert "RUN INVALID" in table(measured.summary())


def test_a_run_that_sent_nothing_is_invalid() -> None:
    measured = Measured()
    measured.add_failure("ServiceFailed")
    assert not measured.is_valid
    assert "RUN INVALID" in table(measured.summary())


def test_the_table_names_every_figure() -> None:
    measured = Measured()
    measured.add(record(turns=[turn(3.0, 0.0)]), was_cut=False)
    text = table({**measured.summary(), "server": {"voicebot_late_chunks_total": 3.0}})
    for word in ("response_ms", "connect_ms", "barge_in_ms", "send_lateness_ms", "late sends"):
        assert word in text
    assert "voicebot_late_chunks_total" in text
    assert "INVALID" not in text
    assert measured.summary()["response_ms"]["p50"] == 0.0


BEFORE = """
# HELP voicebot_calls_total Calls
voicebot_calls_total{result="answered"} 2.0
voicebot_live_calls 1.0
process_resident_memory_bytes 1.0e+08
python_gc_collections_total{generation="0"} 5
nonsense
voicebot_bad_total NotANumber
"""
AFTER = """
voicebot_calls_total{result="answered"} 12.0
voicebot_calls_total{result="busy"} 1.0
voicebot_same_total 0
voicebot_live_calls 0.0
process_resident_memory_bytes 1.5e+08
python_gc_collections_total{generation="0"} 9
"""


def test_server_counters_are_reported_as_changes() -> None:
    assert change(parse(BEFORE), parse(AFTER)) == {
        'voicebot_calls_total{result="answered"}': 10.0,
        'voicebot_calls_total{result="busy"}': 1.0,
        "process_resident_memory_bytes": 1.5e8,
        "process_resident_memory_bytes change": 0.5e8,
    }
