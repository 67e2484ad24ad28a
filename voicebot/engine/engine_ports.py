"""What an engine, its calls and whoever counts know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebot.engine.hearing import Result
from voicebot.engine.scheduler import Job
from voicebot.events import Hypothesis


@dataclass(frozen=True, slots=True)
class Recognised:
    """Answer to a recognition request; `hypothesis` is None when recognition failed."""

    job: Job
    hypothesis: Hypothesis | None
    seconds: float  # from request to result


class CallSink(Protocol):
    """What a call does with results; called on the event loop."""

    def on_heard(self, results: Sequence[Result]) -> None:
        """Windows and in-band keys of this call, in order."""

    def on_recognised(self, result: Recognised) -> None:
        """A recognition request was answered."""


class EngineObserver(Protocol):
    """Where the engine counts; called from its threads."""

    def engine_step(self, seconds: float, calls: int) -> None:
        """One step of the hearing thread."""

    def recognition_batch(self, kind: str, size: int, seconds: float) -> None:
        """One batch of the recogniser."""

    def engine_failure(self, stage: str) -> None:
        """A computation failed for one call."""

    def late_chunk(self) -> None:
        """A chunk waited longer than it may, or was dropped."""


class NoObserver:
    """Counts nothing."""

    def engine_step(self, seconds: float, calls: int) -> None:
        """Nothing."""

    def recognition_batch(self, kind: str, size: int, seconds: float) -> None:
        """Nothing."""

    def engine_failure(self, stage: str) -> None:
        """Nothing."""

    def late_chunk(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class CallHandle:
    """A call's place in the engine."""

    slot: int
    generation: int
    sink: CallSink
