"""What is counted of recogniser processes, on both ends of the wire. Labels are fixed words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_RESUME = (0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)


class FrontEndMetrics:
    """Of a server whose calls are recognised elsewhere."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._replicas = Gauge(
            "voicebot_recogniser_replicas", "replicas connected now", registry=registry
        )
        self._lost = Counter(
            "voicebot_recogniser_lost", "connections lost", ["why"], registry=registry
        )
        self._moves = Counter(
            "voicebot_recogniser_moves", "calls that changed their replica", registry=registry
        )
        self._fallbacks = Counter(
            "voicebot_recogniser_fallbacks",
            "requests answered without a replica",
            ["to"],
            registry=registry,
        )
        self._is_fallen = Gauge(
            "voicebot_recogniser_fallback", "1 while no replica can be had", registry=registry
        )
        self._resume = Histogram(
            "voicebot_recogniser_resume_seconds",
            "from the loss of a replica until its call has another",
            buckets=_RESUME,
            registry=registry,
        )

    def connected(self, replicas: int) -> None:
        """So many replicas can be used now."""
        self._replicas.set(replicas)

    def fallen(self, is_fallen: bool) -> None:
        """Whether calls do without a replica now."""
        self._is_fallen.set(is_fallen)

    def lost(self, why: str) -> None:
        """A connection ended."""
        self._lost.labels(why).inc()

    def moved(self) -> None:
        """A call goes on elsewhere."""
        self._moves.inc()

    def resumed(self, seconds: float) -> None:
        """It has its new place."""
        self._resume.observe(seconds)

    def fell_back(self, to: str) -> None:
        """A request was answered by the `local` engine, or by none (`keys`)."""
        self._fallbacks.labels(to).inc()


class ReplicaMetrics:
    """Of a recogniser process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._front_ends = Gauge(
            "voicebot_replica_front_ends", "connections now", registry=registry
        )
        self._streams = Gauge("voicebot_replica_streams", "streams now", registry=registry)
        self._capacity = Gauge("voicebot_replica_capacity", "streams at most", registry=registry)
        self._closed = Counter(
            "voicebot_replica_closed",
            "streams refused or ended by the recogniser",
            ["reason"],
            registry=registry,
        )
        self._refused = Counter(
            "voicebot_replica_refused",
            "streams not taken: no slots, memory or time; the device lost, or failures alone",
            ["why"],
            registry=registry,
        )
        self._is_lost = Gauge(
            "voicebot_replica_device_lost", "1 once the device answers no more", registry=registry
        )
        self._faults = Counter(
            "voicebot_replica_faults", "connections ended for a fault", ["why"], registry=registry
        )
        self._shed = Counter(
            "voicebot_replica_shed", "partials not sent: the front end is slow", registry=registry
        )

    def capacity(self, streams: int) -> None:
        """How many streams there may be."""
        self._capacity.set(streams)

    def now(self, front_ends: int, streams: int) -> None:
        """What is connected."""
        self._front_ends.set(front_ends)
        self._streams.set(streams)

    def closed(self, reason: str) -> None:
        """A stream was refused or ended."""
        self._closed.labels(reason).inc()

    def refused(self, why: str) -> None:
        """There is no room for a stream, or none any more."""
        self._refused.labels(why).inc()

    def device_lost(self) -> None:
        """The device answers no more."""
        self._is_lost.set(1)

    def fault(self, why: str) -> None:
        """A connection was refused or ended."""
        self._faults.labels(why).inc()

    def shed(self) -> None:
        """A partial was not sent."""
        self._shed.inc()
