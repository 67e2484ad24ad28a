"""Requests of calls to a model that listens to them all the time: FastConformer on a device.

A call's requests name spans of its audio. Here the utterance they belong to is fed to the call's
row chunk by chunk while it is being said, and what became known of it answers them. After a pause
of requests a row rests. What failed is fed once more, from the utterance's beginning.

No threads, no clock, no torch: `now` is an argument, and whoever owns the thread calls `advance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.device_engine import BEHIND_CHUNKS, DeviceEngine
from voicebot.engine.device_model import Emission
from voicebot.engine.device_table import NEVER, CallTable, Rows
from voicebot.engine.rings import Samples
from voicebot.engine.scheduler import Job, JobKind
from voicebot.errors import CapacityError
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis

LATE_SAMPLES = SAMPLE_RATE_HZ * 6 // 25
"""Labels come up to three frames after what they stand for."""
PATIENCE_S = 0.6
"""A pause's request waits so long for the audio after it that the model looks ahead to."""
IDLE_S = 2.0
"""Without a request for so long, or half of the utterance, a row rests."""
RETRIES = 1

Spell = Callable[[Sequence[int], Sequence[int], Sequence[float]], Hypothesis]
"""Tokens, the sample of the utterance at which each was said, log-probabilities."""
Answer = tuple[Job, Hypothesis | None]


class Kept(Protocol):
    """Audio of all calls by position; see engine.kept_audio.KeptAudio."""

    def until(self, slots: NDArray[np.intp]) -> NDArray[np.int64]:
        """Where the audio of each ends."""

    def span(self, slot: int, start_at: int, end_at: int) -> Samples:
        """What was said there."""


@dataclass(slots=True)
class _Call:
    """A call and the utterance that its row hears, if any; CallTable has what is looked at in
    every tick."""

    call: int
    row: int
    utterance: int | None = None
    start_at: int = 0
    pad: int = 0  # silence that frames count from before the utterance
    is_ending: bool = False
    rests: bool = True
    attempts: int = 0
    asked_at: float = 0.0
    jobs: dict[JobKind, Job] = field(default_factory=dict)
    later: dict[JobKind, Job] = field(default_factory=dict)  # of the next utterance
    tokens: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)

    def add(self, job: Job) -> None:
        """Of each kind the newest; it makes less urgent ones pointless, as in the scheduler."""
        if job.kind in {JobKind.FINAL, JobKind.SPECULATIVE}:
            self.jobs.pop(JobKind.PARTIAL, None)
        if job.kind is JobKind.FINAL:
            self.jobs.pop(JobKind.SPECULATIVE, None)
        self.jobs[job.kind] = job
        self.asked_at = job.asked_at

    def forget(self) -> None:
        """What was said in it."""
        self.tokens, self.frames, self.log_probs = [], [], []
        self.is_ending = False


class DeviceCalls:
    """All calls of a device's engine. Call it from one thread at a time."""

    def __init__(self, lanes: DeviceEngine, audio: Kept, spell: Spell, frame_samples: int) -> None:
        """`frame_samples`: of the model's frames, at 8 kHz."""
        self.lanes, self._audio, self._spell = lanes, audio, spell
        self._frame = frame_samples
        self._calls: dict[int, _Call] = {}
        self._by_row: dict[int, _Call] = {}
        self._table = CallTable()
        self._answers: list[Answer] = []
        self.failures = 0

    # ------------------------------------------------------------ calls

    def open(self, call: int, now: float) -> None:
        """A call begins. CapacityError where there is no room for it."""
        row = self.lanes.open(now)
        self.lanes.rest(row)
        self._calls[call] = self._by_row[row] = known = _Call(call, row)
        self._table.grow(row + 1)
        self._note(known)

    def release(self, call: int) -> None:
        """It left. Idempotent."""
        known = self._calls.pop(call, None)
        if known is not None:
            del self._by_row[known.row]
            self._table.is_live[known.row] = False
            self.lanes.release(known.row)

    def refusal(self) -> CapacityError | None:
        """Why another call would not be taken now; None where it would."""
        return self.lanes.refusal()

    def ask(self, job: Job, now: float) -> None:
        """A request; its answer comes from `advance`, if no newer one replaces it."""
        known = self._calls.get(job.slot)
        if known is None:
            return
        if job.kind is JobKind.HOTWORD:  # that is looked for in the telephone model's features
            self._answers.append((job, Hypothesis("")))
        elif JobKind.FINAL in known.jobs and job.utterance != known.utterance:
            known.later[job.kind] = job
        else:
            self._take(known, job, now)

    @property
    def is_listening(self) -> bool:
        """Whether any call is being heard or waits for an answer."""
        return bool(self._answers) or bool(self._table.is_live.any())

    def _take(self, call: _Call, job: Job, now: float) -> None:
        if call.utterance != job.utterance or job.start_at < call.start_at:
            call.utterance, call.start_at, call.attempts = job.utterance, job.start_at, 0
            call.jobs.clear()
            self._begin(call, now)
        call.add(job)
        call.rests = False
        self.lanes.rest(call.row, False)
        self._note(call)

    def _begin(self, call: _Call, now: float) -> None:
        """Feed the utterance from its beginning."""
        call.forget()
        until = int(self._audio.until(np.array([call.call]))[0])
        spoken = now - (until - call.start_at) / SAMPLE_RATE_HZ
        call.pad = self.lanes.begin(call.row, spoken)
        self._table.fed[call.row] = call.start_at
        self._note(call)

    def _note(self, call: _Call) -> None:
        """The table's entry, after anything of the call has changed."""
        table, row, jobs = self._table, call.row, call.jobs
        final, pause = jobs.get(JobKind.FINAL), jobs.get(JobKind.SPECULATIVE)
        table.call[row], table.start[row] = call.call, call.start_at
        table.is_live[row], table.is_ending[row] = not call.rests, call.is_ending
        table.final[row] = NEVER if final is None else final.end_at
        table.pause[row] = NEVER if pause is None else pause.end_at
        table.pause_at[row] = np.inf if pause is None else pause.asked_at
        table.is_partial[row] = JobKind.PARTIAL in jobs
        table.idle_at[row] = np.inf if jobs else call.asked_at

    # ------------------------------------------------------------ computing

    def advance(self, now: float) -> list[Answer]:
        """Feed what has come, step the lanes that are due; what can be answered now."""
        self._feed(now)
        for emission in self.lanes.advance(now):
            if emission.slot in self._by_row:
                self._heard(self._by_row[emission.slot], emission, now)
        for row in self._due(now).tolist():
            self._answer(self._by_row[row], now)
        answers, self._answers = self._answers, []
        return answers

    def _feed(self, now: float) -> None:
        """Whole chunks as they become complete, of who is behind so many that his lane knows it;
        then ends."""
        table, rows = self._table, self._table.fed_now()
        if not len(rows):
            return
        until = self._audio.until(table.call[rows])
        has_final = until >= table.final[rows]
        there = np.minimum(until, table.final[rows]) - table.fed[rows]
        waiting, chunk = self.lanes.waiting(rows), self.lanes.chunk_samples
        has_end = has_final & (waiting + there < chunk) & (waiting < chunk)
        whole = np.minimum((waiting + there) // chunk, BEHIND_CHUNKS) * chunk - waiting
        count = np.where(has_end, there, whole)
        fed = np.flatnonzero(count > 0)
        if len(fed):
            self._push(rows[fed], count[fed], now)
        for row in rows[has_end].tolist():
            self._by_row[row].is_ending = table.is_ending[row] = True
            self.lanes.finish(row, now)

    def _push(self, rows: Rows, counts: NDArray[np.int64], now: float) -> None:
        table = self._table
        begin = table.fed[rows]
        table.fed[rows] = end = begin + counts
        said = []
        for call, start, stop in zip(
            table.call[rows].tolist(), begin.tolist(), end.tolist(), strict=True
        ):
            samples = self._audio.span(call, start, stop)
            if len(samples) < stop - start:  # older than what is kept: silence
                samples = np.pad(samples, (stop - start - len(samples), 0))
            said.append(samples)
        self.lanes.push_each(rows, said, now)

    def _heard(self, call: _Call, emission: Emission, now: float) -> None:
        if emission.is_failed:
            self._failed(call, now)
            return
        call.tokens += emission.tokens
        call.frames += emission.frames
        call.log_probs += emission.log_probs
        final = call.jobs.get(JobKind.FINAL)
        if emission.is_final and final is not None:
            self._give(call, final)
            self._end(call, now)

    def _failed(self, call: _Call, now: float) -> None:
        self.failures += 1
        call.attempts += 1
        if call.attempts <= RETRIES and call.utterance is not None:
            self._begin(call, now)
            return
        self._answers += [(job, None) for job in call.jobs.values()]
        self._end(call, now)

    # ------------------------------------------------------------ answers

    def _due(self, now: float) -> Rows:
        """Rows with something to answer, or that may rest."""
        table = self._table
        rows = np.flatnonzero(table.is_live)
        heard = table.start[rows] + self.lanes.heard(rows)
        fed = table.fed[rows]
        missing = self.lanes.missing(rows)
        has_all = (missing > 0) & (missing > self._audio.until(table.call[rows]) - fed)
        lasts = (fed - table.start[rows]) / SAMPLE_RATE_HZ
        return table.due(rows, heard, has_all, now, PATIENCE_S, np.maximum(IDLE_S, lasts / 2))

    def _answer(self, call: _Call, now: float) -> None:
        row = np.array([call.row])
        heard = call.start_at + int(self.lanes.heard(row)[0])
        for kind, job in list(call.jobs.items()):
            if kind is JobKind.FINAL:
                if heard >= job.end_at and not call.is_ending:
                    self._give(call, job)
                    self._end(call, now)
                    return
            elif kind is JobKind.SPECULATIVE:
                if heard >= job.end_at or now - job.asked_at > PATIENCE_S:
                    self._give(call, job)
            elif self._has_heard_all(call):
                self._give(call, job)
        lasts = (int(self._table.fed[call.row]) - call.start_at) / SAMPLE_RATE_HZ
        if not call.jobs and now - call.asked_at > max(IDLE_S, lasts / 2):
            self._rest(call)
        self._note(call)

    def _has_heard_all(self, call: _Call) -> bool:
        """All that makes whole chunks."""
        missing = int(self.lanes.missing(np.array([call.row]))[0])
        until = int(self._audio.until(np.array([call.call]))[0])
        return 0 < missing > until - int(self._table.fed[call.row])

    def _give(self, call: _Call, job: Job) -> None:
        """What is known of the request's span; what was said after it is left out."""
        del call.jobs[job.kind]
        end = job.end_at - call.start_at + (0 if job.kind is JobKind.PARTIAL else LATE_SAMPLES)
        at = [frame * self._frame - call.pad for frame in call.frames]
        within = [index for index, sample in enumerate(at) if sample < end]
        said = self._spell(
            [call.tokens[index] for index in within],
            [at[index] for index in within],
            [call.log_probs[index] for index in within],
        )
        self._answers.append((job, _on_call_clock(said, job, call.start_at)))

    def _end(self, call: _Call, now: float) -> None:
        """The utterance is over; requests for the next one have waited for that."""
        call.utterance = None
        call.jobs.clear()
        call.forget()
        self._rest(call)
        later, call.later = call.later, {}
        for job in sorted(later.values(), key=lambda job: (job.utterance, job.kind)):
            self.ask(job, now)  # of a third utterance: waits for the second's final

    def _rest(self, call: _Call) -> None:
        call.rests = True
        self.lanes.rest(call.row)
        self._note(call)


def _on_call_clock(said: Hypothesis, job: Job, start: int) -> Hypothesis:
    words = tuple(
        replace(word, start_at=start + (word.start_at or 0), end_at=start + (word.end_at or 0))
        for word in said.words
    )
    return replace(said, words=words, start_at=job.start_at, end_at=job.end_at)
