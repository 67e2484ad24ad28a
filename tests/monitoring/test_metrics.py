"""Metrics: each method moves exactly its series."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voicebot.engine.engine import EngineObserver
from voicebot.monitoring.metrics import MAX_LABEL_VALUES, Metrics
from voicebot.server import ports

pytestmark = pytest.mark.unit

Series = dict[tuple[str, tuple[str, ...]], float]


def samples(metrics: Metrics) -> Series:
    """Our series that are not zero, their label values sorted, without creation times."""
    return {
        (sample.name.removeprefix("voicebot_"), tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith("voicebot_")
        and sample.value
        and not sample.name.endswith(("_created", "_bucket"))
    }


def histogram(name: str, value: float, *labels: str) -> Series:
    """What one observation adds."""
    return {(f"{name}_count", labels): 1, (f"{name}_sum", labels): value}


CASES: list[tuple[Callable[[Metrics], None], Series]] = [
    (lambda m: m.call_started(), {("calls_live", ()): 1}),
    (
        lambda m: m.outcome("paid", 61.0),
        {
            ("calls_total", ("paid",)): 1,
            ("call_seconds_count", ()): 1,
            ("call_seconds_sum", ()): 61,
        },
    ),
    (
        lambda m: m.response(0.5),
        {("response_seconds_count", ()): 1, ("response_seconds_sum", ()): 0.5},
    ),
    (
        lambda m: m.barge_in(0.25),
        {("barge_in_seconds_count", ()): 1, ("barge_in_seconds_sum", ()): 0.25},
    ),
    (lambda m: m.service("balance", "failed"), {("services_total", ("balance", "failed")): 1}),
    (lambda m: m.webhook("voice", "answered"), {("webhooks_total", ("answered", "voice")): 1}),
    (lambda m: m.refused("stream", "reused"), {("rejected_total", ("reused", "stream")): 1}),
    (lambda m: m.fault("bad base64"), {("faults_total", ("bad base64",)): 1}),
    (lambda m: m.engine_failure("vad"), {("engine_failures_total", ("vad",)): 1}),
    (lambda m: m.late_chunk(), {("late_chunks_total", ()): 1}),
    (
        lambda m: m.engine_step(0.5, 3),
        histogram("engine_step_seconds", 0.5) | histogram("engine_step_calls", 3),
    ),
    (
        lambda m: m.recognition_batch("final", 4, 0.25),
        histogram("recognition_seconds", 0.25, "final")
        | histogram("recognition_batch_size", 4, "final"),
    ),
]


@pytest.mark.parametrize(("move", "expected"), CASES)
def test_each_method_moves_its_series(move: Callable[[Metrics], None], expected: Series) -> None:
    metrics = Metrics()
    before = samples(metrics)
    move(metrics)
    assert {key: value for key, value in samples(metrics).items() if key not in before} == expected


def test_live_calls_go_down_again() -> None:
    metrics = Metrics()
    metrics.call_started()
    metrics.call_started()
    metrics.call_ended("hung up")
    assert samples(metrics)["calls_live", ()] == 1
    assert samples(metrics)["streams_ended_total", ("hung up",)] == 1


def test_a_label_cannot_grow_without_bound() -> None:
    metrics = Metrics()
    for number in range(3 * MAX_LABEL_VALUES):
        metrics.fault(f"kind {number}")
    metrics.fault("kind 5")
    metrics.fault("x" * 10_000)
    found = {key: value for key, value in samples(metrics).items() if key[0] == "faults_total"}
    assert len(found) == MAX_LABEL_VALUES + 1
    assert found["faults_total", ("other",)] == 2 * MAX_LABEL_VALUES + 1
    assert found["faults_total", ("kind 5",)] == 2


def test_counts_from_many_threads_add_up() -> None:
    metrics = Metrics()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: metrics.fault(f"kind {n % 3}"), range(600)))
    assert sum(v for k, v in samples(metrics).items() if k[0] == "faults_total") == 600


def test_registries_are_independent_and_hold_the_process() -> None:
    first, second = Metrics(), Metrics()
    first.late_chunk()
    assert ("late_chunks_total", ()) not in samples(second)
    body, content_type = first.exposition()
    assert b"process_resident_memory_bytes" in body
    assert content_type.startswith("text/plain")


def test_it_is_what_server_and_engine_ask_for() -> None:
    metrics = Metrics()
    shell: ports.Metrics = metrics
    engine: EngineObserver = metrics
    for protocol in (ports.Metrics, EngineObserver):
        for name in vars(protocol):
            assert name.startswith("_") or callable(getattr(metrics, name))
    assert shell is engine
