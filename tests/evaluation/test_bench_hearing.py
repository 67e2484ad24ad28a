"""The bench of hearing: small, on this CPU; a device's part with its stages run as they are."""

import json

import pytest

from voicebot.cli import main
from voicebot.errors import CapacityError, DeviceLost
from voicebot.evaluation import bench_hearing
from voicebot.evaluation.bench_hearing import HearingBench, Trial, recordings

pytestmark = pytest.mark.unit
KEYS = {
    "device",
    "streams",
    "max_streams",
    "tick_ms",
    "step_p50_ms",
    "step_p99_ms",
    "stages_ms",
    "state_mb_per_stream",
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_hearing, "JOIN_S", 0.2)
    monkeypatch.setattr(bench_hearing, "recordings", lambda: recordings(2, 1))


def scripted(monkeypatch: pytest.MonkeyPatch, limit: int) -> HearingBench:
    """Steps take a tick at `limit` streams."""
    bench = HearingBench("cpu")
    monkeypatch.setattr(
        bench, "_try", lambda streams, seconds: Trial(streams, [20.0 * streams / limit])
    )
    return bench


def test_the_command_says_what_calls_get_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    given = "bench hearing --device cpu --streams 2 --seconds 1 --fixed --keys --json"
    assert main(given.split()) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert set(report) == KEYS
    assert (report["device"], report["streams"], report["tick_ms"]) == ("cpu", 2, 20)
    assert set(report["stages_ms"]) == {"echo", "vad", "near end", "keys", "host"}
    assert 0.05 < report["state_mb_per_stream"] < 5
    assert "--device cuda" in err


def test_of_a_device_every_stage_is_told() -> None:
    bench = HearingBench("cpu", has_keys=True)
    bench.is_cpu = False
    (trial,) = bench.run(3, 0.3, is_search=False)
    assert len(trial.steps_ms) == 15
    stages = trial.stages()
    assert set(stages) == {
        *("copies in", "mu-law", "echo", "keys", "vad", "near end", "copies out", "host")
    }
    assert stages["echo"] > 0
    assert sum(stages.values()) == pytest.approx(sum(trial.steps_ms) / 15)
    assert set(bench.report()) == KEYS


@pytest.mark.parametrize(
    ("first", "limit", "tried", "most"),
    [(8, 20, [8, 16, 32, 23, 19], 19), (8, 3, [8, 4, 2, 3], 3), (1, 0.5, [1], 0)],
)
def test_streams_are_doubled_or_halved_then_narrowed(
    first: int, limit: float, tried: list[int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = scripted(monkeypatch, limit)  # type: ignore[arg-type]
    assert [trial.streams for trial in bench.run(first, 1.0)] == tried
    assert bench.report()["max_streams"] == most


def test_memory_that_ends_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = scripted(monkeypatch, 1000)
    measure = bench._try

    def tries(streams: int, seconds: float) -> Trial:
        if streams > 16:
            raise CapacityError("no memory to hear 32 calls", why="memory")
        return measure(streams, seconds)

    monkeypatch.setattr(bench, "_try", tries)
    assert [trial.streams for trial in bench.run(8, 1.0)] == [8, 16]
    assert bench.most == 16
    assert "no memory" in bench.note


def test_a_device_that_is_lost_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = HearingBench("cpu")
    bench.is_cpu = False

    def fails(*_: object) -> None:
        raise RuntimeError("CUDA error")

    monkeypatch.setattr("voicebot.engine.hearing_device.machine.Machine.step", fails)
    assert list(bench.run(1, 0.2)) == []
    assert "CUDA error" in bench.note
    assert bench.report()["step_p50_ms"] is None


def test_a_device_that_is_lost_after_a_trial_ends_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = scripted(monkeypatch, 1000)
    measure = bench._try

    def tries(streams: int, seconds: float) -> Trial:
        if streams > 8:
            raise DeviceLost("bench hearing: cuda:0 fails (unspecified launch failure)")
        return measure(streams, seconds)

    monkeypatch.setattr(bench, "_try", tries)
    assert [trial.streams for trial in bench.run(8, 1.0)] == [8]
    assert "launch failure" in bench.note


def test_nothing_measured_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> Trial:
        raise CapacityError("no memory to hear 1 calls", why="memory")

    monkeypatch.setattr(HearingBench, "_try", fails)
    assert main(["bench", "hearing", "--device", "cpu", "--streams", "1", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["max_streams"] == 0
    assert "no memory" in err
