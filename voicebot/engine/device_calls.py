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

from voicebot.engine.device_engine import DeviceEngine
from voicebot.engine.device_model import Emission
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
    """A call and the utterance that its row hears, if any."""

    call: int
    row: int
    utterance: int | None = None
    start_at: int = 0
    fed_until: int = 0
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
        self._answers: list[Answer] = []
        self.failures = 0

    # ------------------------------------------------------------ calls

    def open(self, call: int, now: float) -> None:
        """A call begins. CapacityError where there is no room for it."""
        row = self.lanes.open(now)
        self.lanes.rest(row)
        self._calls[call] = self._by_row[row] = _Call(call, row)

    def release(self, call: int) -> None:
        """It left. Idempotent."""
        known = self._calls.pop(call, None)
        if known is not None:
            del self._by_row[known.row]
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
        return bool(self._answers) or any(not call.rests for call in self._calls.values())

    def _take(self, call: _Call, job: Job, now: float) -> None:
        if call.utterance != job.utterance or job.start_at < call.start_at:
            call.utterance, call.start_at, call.attempts = job.utterance, job.start_at, 0
            call.jobs.clear()
            self._begin(call, now)
        call.add(job)
        call.rests = False
        self.lanes.rest(call.row, False)

    def _begin(self, call: _Call, now: float) -> None:
        """Feed the utterance from its beginning."""
        call.forget()
        until = int(self._audio.until(np.array([call.call]))[0])
        spoken = now - (until - call.start_at) / SAMPLE_RATE_HZ
        call.pad = self.lanes.begin(call.row, spoken)
        call.fed_until = call.start_at

    # ------------------------------------------------------------ computing

    def advance(self, now: float) -> list[Answer]:
        """Feed what has come, step the lanes that are due; what can be answered now."""
        self._feed(now)
        for emission in self.lanes.advance(now):
            if emission.slot in self._by_row:
                self._heard(self._by_row[emission.slot], emission, now)
        for call in list(self._calls.values()):
            if not call.rests:
                self._answer(call, now)
        answers, self._answers = self._answers, []
        return answers

    def _feed(self, now: float) -> None:
        """Whole chunks as they become complete, calls that lack as much together; then ends."""
        live = [call for call in self._calls.values() if not call.rests and not call.is_ending]
        if not live:
            return
        until = self._audio.until(np.array([call.call for call in live], np.intp))
        for index, call in enumerate(live):
            final = call.jobs.get(JobKind.FINAL)
            until[index] = until[index] if final is None else min(until[index], final.end_at)
        there = until - np.array([call.fed_until for call in live])
        missing = self.lanes.missing(np.array([call.row for call in live], np.intp))
        whole = (missing > 0) & (there >= missing)
        for count in np.unique(missing[whole]).tolist():
            self._push([live[i] for i in np.flatnonzero(whole & (missing == count))], count, now)
        self._feed_ahead(live, until, now)
        for index in np.flatnonzero((missing > 0) & (there < missing)).tolist():
            call = live[index]
            final = call.jobs.get(JobKind.FINAL)
            if final is not None and until[index] >= final.end_at:
                if there[index] > 0:
                    self._push([call], int(there[index]), now)
                call.is_ending = True
                self.lanes.finish(call.row, now)

    def _feed_ahead(self, live: Sequence[_Call], until: NDArray[np.int64], now: float) -> None:
        """A second chunk of those who are behind, by which the lane knows that they are."""
        there = until - np.array([call.fed_until for call in live])
        lacks = self.lanes.missing(np.array([call.row for call in live], np.intp), 2)
        for index in np.flatnonzero((lacks > 0) & (there >= lacks)).tolist():
            self._push([live[index]], int(lacks[index]), now)

    def _push(self, calls: Sequence[_Call], count: int, now: float) -> None:
        audio = np.zeros((len(calls), count), np.int16)
        for line, call in zip(audio, calls, strict=True):
            said = self._audio.span(call.call, call.fed_until, call.fed_until + count)
            line[count - len(said) :] = said  # older than what is kept: silence
            call.fed_until += count
        self.lanes.push_rows(np.array([call.row for call in calls], np.intp), audio, now)

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

    def _answer(self, call: _Call, now: float) -> None:
        heard = call.start_at + self.lanes.heard(call.row)
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
        lasts = (call.fed_until - call.start_at) / SAMPLE_RATE_HZ
        if not call.jobs and now - call.asked_at > max(IDLE_S, lasts / 2):
            self._rest(call)

    def _has_heard_all(self, call: _Call) -> bool:
        """All that makes whole chunks."""
        missing = int(self.lanes.missing(np.array([call.row]))[0])
        until = int(self._audio.until(np.array([call.call]))[0])
        return 0 < missing > until - call.fed_until

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


def _on_call_clock(said: Hypothesis, job: Job, start: int) -> Hypothesis:
    words = tuple(
        replace(word, start_at=start + (word.start_at or 0), end_at=start + (word.end_at or 0))
        for word in said.words
    )
    return replace(said, words=words, start_at=job.start_at, end_at=job.end_at)
