"""What is counted, in a registry of its own, as Prometheus reads it.

Labels come from small fixed sets: reasons and kinds from the code, outcomes and service names
from the dialplan. Should one not, values beyond the first MAX_LABEL_VALUES count as "other".
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

MAX_LABEL_VALUES = 100
_RESPONSE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_BARGE_IN = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0)
_RECOGNITION = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)
_STEP = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_CALL = (5, 15, 30, 60, 120, 180, 300, 600, 1200, 3600)
_SERVICE = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """Typed methods, callable from any thread; durations in seconds."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.registry = registry
        self._labels = _Labels()
        self._calls_live = Gauge("voicebot_calls_live", "calls now", registry=registry)
        self._calls = _counter(registry, "calls", "calls by outcome", "outcome")
        self._streams = _counter(registry, "streams_ended", "media streams by their end", "how")
        self._webhooks = _counter(registry, "webhooks", "webhooks answered", "name", "answer")
        self._rejected = _counter(
            registry, "rejected", "requests and handshakes refused", "where", "reason"
        )
        self._faults = _counter(registry, "faults", "peers' faults and limits they reached", "kind")
        self._failures = _counter(
            registry, "engine_failures", "computations that failed for one call", "stage"
        )
        self._hearing_lost = Gauge(
            "voicebot_hearing_device_lost",
            "1 once the CPU hears in place of hearing.device",
            registry=registry,
        )
        self._deaf_calls = Gauge(
            "voicebot_hearing_deaf_calls",
            "calls that go on by keys: the CPU has no time to hear them",
            registry=registry,
        )
        self._services = _counter(registry, "services", "call-outs", "name", "outcome")
        self._late_chunks = _counter(registry, "late_chunks", "20 ms chunks late or dropped")
        self._call_seconds = _histogram(registry, "call_seconds", "length of calls", _CALL)
        self._response_seconds = _histogram(
            registry, "response_seconds", "end of the caller's speech to the answer", _RESPONSE
        )
        self._barge_in_seconds = _histogram(
            registry, "barge_in_seconds", "onset of an interruption to silence", _BARGE_IN
        )
        self._recognition_seconds = _histogram(
            registry, "recognition_seconds", "one recogniser batch", _RECOGNITION, "kind"
        )
        self._recognition_size = _histogram(
            registry, "recognition_batch_size", "utterances in one batch", _BATCH, "kind"
        )
        self._step_seconds = _histogram(
            registry, "engine_step_seconds", "one step of the hearing thread", _STEP
        )
        self._step_calls = _histogram(
            registry, "engine_step_calls", "calls advanced by one step", _BATCH
        )
        self._service_seconds = _histogram(
            registry, "service_seconds", "one call-out", _SERVICE, "name"
        )

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def exposition(self) -> tuple[bytes, str]:
        """`render` and its content type."""
        return self.render(), CONTENT_TYPE_LATEST

    # ------------------------------------------------------------ calls

    def call_started(self) -> None:
        """A media stream was admitted."""
        self._calls_live.inc()

    def call_ended(self, how: str) -> None:
        """Its stream ended: why, in a word or two."""
        self._calls_live.dec()
        self._streams.labels(self._labels.known("how", how)).inc()

    def outcome(self, outcome: str, seconds: float | None = None) -> None:
        """How the dialogue ended, and how long the call was."""
        self._calls.labels(self._labels.known("outcome", outcome)).inc()
        if seconds is not None:
            self._call_seconds.observe(seconds)

    def response(self, seconds: float) -> None:
        """From the end of the caller's speech to the first audio of the answer."""
        self._response_seconds.observe(seconds)

    def barge_in(self, seconds: float) -> None:
        """From the onset of an interruption until the bot is silent."""
        self._barge_in_seconds.observe(seconds)

    def service(self, name: str, outcome: str, seconds: float | None = None) -> None:
        """A call-out of the dialplan was answered or failed."""
        known = self._labels.known("service", name)
        self._services.labels(known, self._labels.known("service outcome", outcome)).inc()
        if seconds is not None:
            self._service_seconds.labels(known).observe(seconds)

    # ------------------------------------------------------------ peers

    def webhook(self, name: str, answer: str) -> None:
        """A webhook (`voice`, `action`, `status`) was answered so."""
        known = self._labels.known
        self._webhooks.labels(known("webhook", name), known("answer", answer)).inc()

    def refused(self, where: str, reason: str) -> None:
        """A request or handshake was refused."""
        known = self._labels.known
        self._rejected.labels(known("where", where), known("reason", reason)).inc()

    def fault(self, kind: str) -> None:
        """A peer's fault, or a limit it reached."""
        self._faults.labels(self._labels.known("fault", kind)).inc()

    # ------------------------------------------------------------ engine

    def engine_step(self, seconds: float, calls: int) -> None:
        """One step of the hearing thread, and how many calls it advanced."""
        self._step_seconds.observe(seconds)
        self._step_calls.observe(calls)

    def recognition_batch(self, kind: str, size: int, seconds: float) -> None:
        """One batch of the recogniser: `kind` partial or final, `size` utterances."""
        known = self._labels.known("kind", kind)
        self._recognition_seconds.labels(known).observe(seconds)
        self._recognition_size.labels(known).observe(size)

    def engine_failure(self, stage: str) -> None:
        """A computation failed for one call."""
        self._failures.labels(self._labels.known("stage", stage)).inc()

    def late_chunk(self) -> None:
        """A chunk waited longer than it may, or was dropped."""
        self._late_chunks.inc()

    def hearing_device_lost(self) -> None:
        """Calls are heard on the CPU from now on."""
        self._hearing_lost.set(1)

    def hearing_device_back(self) -> None:
        """The device hears again."""
        self._hearing_lost.set(0)

    def count_deaf_calls(self, count: Callable[[], int]) -> None:
        """How many are not heard is asked when it is read: nobody is told of those who hang up."""
        self._deaf_calls.set_function(count)


class _Labels:
    """Bounds how many values a label takes: each is a time series for ever."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def known(self, label: str, value: str) -> str:
        value = value[:80]
        with self._lock:
            seen = self._seen.setdefault(label, set())
            if value not in seen:
                if len(seen) >= MAX_LABEL_VALUES:
                    return "other"
                seen.add(value)
        return value


def _counter(registry: CollectorRegistry, name: str, about: str, *labels: str) -> Counter:
    return Counter(f"voicebot_{name}", about, labels, registry=registry)


def _histogram(
    registry: CollectorRegistry, name: str, about: str, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    return Histogram(f"voicebot_{name}", about, labels, buckets=buckets, registry=registry)
