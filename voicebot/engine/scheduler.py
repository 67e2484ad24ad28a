"""Which utterances the recogniser takes next. No torch, no threads, no clock.

Finals go first, by deadline; partials fill what is left and are the first to be shed: of
one call only the newest partial waits, and none runs while a final waits. Utterances of
one batch have similar lengths, because a batch costs what its longest member costs. Beginnings go
before longer partials: they cost least, and the first words are what is waited for most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from voicebot.events import SAMPLE_RATE_HZ, Expectation

SHORTEST_SAMPLES = SAMPLE_RATE_HZ * 3 // 2
"""What is shorter costs as much: the recogniser sets it in quiet."""
BEGINNING_SAMPLES = SAMPLE_RATE_HZ * 4 // 5
"""Partials up to here are beginnings: 300 ms before the onset, half a second after it."""

DEVICE_LENGTH_RATIO = 1.5
"""Longest over shortest in a batch of a device: with 2, a third of its work is on silence."""
PARTIAL_PATIENCE_S = 0.1
"""On a device partials may be answered so much later than what was asked with them."""


class JobKind(IntEnum):
    """Smaller is more urgent."""

    FINAL = 0  # the turn has ended: the caller waits
    SPECULATIVE = 1  # first pause: becomes the final when the caller stays silent
    HOTWORD = 2  # over a prompt that only the hot word interrupts
    PARTIAL = 3


@dataclass(frozen=True, slots=True)
class Job:
    """Recognise samples [start_at, end_at) of `slot`, utterance number `utterance`.

    `expectation`: what the dialogue waits for.
    """

    slot: int
    generation: int  # of the call in that slot: results of a call that left are dropped
    utterance: int
    kind: JobKind
    start_at: int
    end_at: int
    asked_at: float = 0.0  # seconds on the engine's clock
    expectation: Expectation | None = None

    @property
    def length(self) -> int:
        """Samples at 8 kHz."""
        return self.end_at - self.start_at


class Scheduler:
    """A waiting line with one place per slot and kind."""

    def __init__(
        self,
        *,
        max_batch: int = 8,
        max_batch_samples: int = 24 * SAMPLE_RATE_HZ,
        max_partial_samples: int = 6 * SAMPLE_RATE_HZ,
        length_ratio: float = 2.0,
    ) -> None:
        """`max_batch_samples`: utterances times the longest of them (one alone may exceed it):
        it bounds memory, and the time that an urgent job waits for the batch before it.
        `max_partial_samples`: the same for a batch of partials, which nothing may interrupt:
        larger ones hardly cost less per utterance.
        `length_ratio`: longest over shortest utterance in one batch of partials.
        """
        self._max_batch = max_batch
        self._max_batch_samples = max_batch_samples
        self._max_partial_samples = max_partial_samples
        self._length_ratio = length_ratio
        self._waiting: dict[tuple[int, JobKind], Job] = {}
        self.shed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Queue a job; it replaces one of the same slot and kind, and what it makes pointless."""
        if job.kind in {JobKind.FINAL, JobKind.SPECULATIVE}:
            self._drop(job.slot, JobKind.PARTIAL)
        if job.kind is JobKind.FINAL:
            self._drop(job.slot, JobKind.SPECULATIVE)
        key = (job.slot, job.kind)
        if job.kind >= JobKind.HOTWORD and key in self._waiting:
            # One that waits keeps its place in the line and takes the newer audio.
            self.shed += 1
        elif key in self._waiting:
            del self._waiting[key]
        self._waiting[key] = job

    def withdraw(self, slot: int) -> None:
        """Forget all jobs of a slot: its call left."""
        for kind in JobKind:
            self._waiting.pop((slot, kind), None)

    def next_batch(self) -> list[Job]:
        """The jobs to run now, most urgent kind first; empty when nothing waits."""
        if not self._waiting:
            return []
        urgent = min(job.kind for job in self._waiting.values())
        line = [job for job in self._waiting.values() if job.kind is urgent]
        most = self._max_batch_samples
        if urgent is JobKind.PARTIAL:
            line.sort(key=lambda job: job.length > BEGINNING_SAMPLES)  # else as they came
            line = self._similar(line)
            most = self._max_partial_samples
        batch = line[:1]
        longest = max(SHORTEST_SAMPLES, line[0].length)
        for job in line[1 : self._max_batch]:
            longest = max(longest, job.length)
            if (len(batch) + 1) * longest > most:
                break
            batch.append(job)
        for job in batch:
            del self._waiting[(job.slot, job.kind)]
        return batch

    def _similar(self, line: list[Job]) -> list[Job]:
        """Jobs whose length is within `length_ratio` of the first, who has waited longest."""
        first = max(line[0].length, 1)
        low, high = first / self._length_ratio, first * self._length_ratio
        return [job for job in line if low <= job.length <= high]

    def _drop(self, slot: int, kind: JobKind) -> None:
        if self._waiting.pop((slot, kind), None) is not None:
            self.shed += 1


class DeviceScheduler(Scheduler):
    """For a device: a step of it costs much by itself, so that batches should be large.

    Finals, partials and what is judged too share a batch, by length; what is looked for has batches
    of its own. The one whose deadline is next leads it: were finals always first, thousands of
    calls would ask for some at any time, and no batch would ever be full.
    """

    def __init__(self, max_batch: int, room: Callable[[int], int] | None = None) -> None:
        """It computes so many utterances of some 3 s at once, or as many as there is `room` for
        where the longest has so many samples: one more would be a run of its own."""
        super().__init__(
            max_batch=max_batch,
            max_batch_samples=max_batch * 2 * SHORTEST_SAMPLES,
            length_ratio=DEVICE_LENGTH_RATIO,
        )
        self._room = room or (lambda longest: self._max_batch_samples // longest)

    def next_batch(self) -> list[Job]:
        """Who must be answered next, and whoever costs about as much; empty when nobody waits."""
        if not self._waiting:
            return []
        first = min(self._waiting.values(), key=_deadline)
        longest = max(SHORTEST_SAMPLES, first.length)
        low = longest / self._length_ratio if longest > SHORTEST_SAMPLES else 0
        high = longest * self._length_ratio
        alike = _ALIKE.get(first.kind, (first.kind,))
        line = [
            job for job in self._waiting.values() if low <= job.length <= high and job.kind in alike
        ]
        line.sort(key=_deadline)
        batch: list[Job] = []
        room = self._room(longest)
        for job in line[: self._max_batch]:
            if job.length > longest:
                longest, room = job.length, self._room(job.length)
            if batch and len(batch) >= room:
                break
            batch.append(job)
        for job in batch:
            del self._waiting[(job.slot, job.kind)]
        return batch


_READ = (JobKind.FINAL, JobKind.SPECULATIVE, JobKind.PARTIAL)
_ALIKE = dict.fromkeys(_READ, _READ)
"""A device reads them all alike, and looks closer at some: see engine.kept_audio. At every pause
somebody is to be judged: in batches of their own, a handful each, they would keep it busy."""


def _deadline(job: Job) -> float:
    """Up to a constant."""
    return job.asked_at + (PARTIAL_PATIENCE_S if job.kind is JobKind.PARTIAL else 0.0)
