"""The telephone model as it serves calls on a CPU: spoken sentences, real requests, real time.

Callers speak a share of the time, in sentences of a synthetic voice. Each asks as a call does
(`turns.utterance`, `engine.dips`): partials while he speaks and where his voice falls, all of it at
each pause. The requests go through
the engine's scheduler to the engine's runner, with the weights and the search that callers get.
Voice activity, echo and the front end's socket are not in it: they are other processes' work.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.engine.dips import Dips
from voicebot.engine.runner import WINDOW
from voicebot.engine.scheduler import Job, JobKind, Scheduler
from voicebot.evaluation.bench_pace import (
    BREATH_AT,
    SPEECH_S,
    TWO_BREATHS_S,
    WARM_S,
    Measured,
)
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis
from voicebot.speech.telephone import to_telephone
from voicebot.speech.voices import EspeakVoice
from voicebot.turns.utterance import Recognise, Utterance

TICK_S = WINDOW / SAMPLE_RATE_HZ
"""Between two looks at a caller: a window of the VAD."""
HOPELESS_S = 4.0
SILENT_DB = -100.0
NOISE = 12.0
"""Standard deviation of a quiet line, of 32768."""
SENTENCES = (
    "I would like to know the balance of my savings account please",
    "can you transfer two hundred and fifty dollars to my sister tomorrow morning",
    "the number is four one seven, nine nine two, six oh eight three",
    "no I said the fourteenth of March not the fortieth",
    "yes that is right and please send the receipt to my new address",
    "I lost my card somewhere between the station and the office yesterday",
    "could I get a large cappuccino with some milk and no sugar",
    "what time do you open on Saturdays and is there parking nearby",
)
_KINDS = {"partial": JobKind.PARTIAL, "speculative": JobKind.SPECULATIVE}


class Recognises(Protocol):
    """engine.kept_audio.ReplicaRunner."""

    def reset(self, slot: int) -> None:
        """A new call."""

    def write(self, slot: int, at: int, payload: bytes, reference: bytes = b"") -> None:
        """What a caller said."""

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        """What was understood of it."""


def sentences() -> NDArray[np.int16]:
    """All SENTENCES over a telephone, one after the other, int16 at 8 kHz."""
    voice = EspeakVoice()
    spoken = [to_telephone(text, voice.render(text)).mulaw for text in SENTENCES]
    return mulaw.decode(b"".join(spoken))


@dataclass(slots=True)
class _Caller:
    """Positions are samples of his call."""

    slot: int
    utterance: Utterance
    voice_at: int  # in the sentences
    turns_at: int  # begins or ends to speak there
    is_speaking: bool = False
    pause_at: int | None = None
    written: int = 0
    spoken: int = 0  # samples of his speech, for what was really spoken
    dips: Dips = field(default_factory=Dips)


@dataclass(slots=True)
class SpokenTrial:
    """See bench_pace.Trial. `activity`: share of the time that a caller speaks."""

    runner_for: Callable[[int], Recognises]
    interval_ms: int
    activity: float
    max_batch: int = 8
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], object] = time.sleep
    _voice: NDArray[np.int16] = field(default_factory=sentences)
    _quiet: NDArray[np.int16] = field(
        default_factory=lambda: np.random.default_rng(2).normal(0, NOISE, 1 << 15).astype(np.int16)
    )

    def __call__(self, streams: int, seconds: float) -> Measured:
        """See bench_pace.Trial."""
        measured, rng = Measured(streams), np.random.default_rng(1)
        runner, line = self.runner_for(streams), Scheduler(max_batch=self.max_batch)
        begin = self.clock() + 0.05
        callers = [self._caller(slot, rng) for slot in range(streams)]
        ticks = [(begin + TICK_S * index / streams, index) for index in range(streams)]
        counts_from = begin + min(WARM_S, seconds / 4)
        while not measured.is_over(self.clock() - begin, seconds):
            while ticks[0][0] <= self.clock():
                at, index = heapq.heappop(ticks)
                position = round((at - begin) * SAMPLE_RATE_HZ)
                for asked in self._step(callers[index], position, runner, rng):
                    self._submit(line, index, asked, at, measured)
                heapq.heappush(ticks, (at + TICK_S, index))
            batch = line.next_batch()
            if not batch:
                self.sleep(min(max(ticks[0][0] - self.clock(), 0.0), 0.001))
                continue
            started = self.clock()
            heard = runner.recognise(batch)
            done = self.clock()
            measured.busy_s += done - started
            measured.steps += 1
            self._note(measured, callers, batch, heard, done, counts_from)
        measured.wall_s = self.clock() - begin
        return measured

    # ------------------------------------------------------------ callers

    def _caller(self, slot: int, rng: np.random.Generator) -> _Caller:
        """As if the call had gone on for a while: the first begins at once."""
        wait = 0.0 if slot == 0 else float(rng.uniform(0, self._silence_s(rng)))
        caller = _Caller(slot, Utterance(self.interval_ms), 0, round(wait * SAMPLE_RATE_HZ))
        caller.voice_at = int(rng.integers(len(self._voice)))
        return caller

    def _silence_s(self, rng: np.random.Generator) -> float:
        spoken = float(rng.uniform(*SPEECH_S))
        return spoken * (1 - self.activity) / self.activity

    def _step(
        self, caller: _Caller, now: int, runner: Recognises, rng: np.random.Generator
    ) -> list[Recognise]:
        """He speaks or is silent until `now`; what his call asks for then."""
        level_db = self._write(caller, now, runner)
        asked = caller.dips.taken(self._asked(caller, now, rng))
        asked += caller.dips.heard(now - WINDOW, level_db)
        return [of for of in asked if isinstance(of, Recognise)]

    def _asked(self, caller: _Caller, now: int, rng: np.random.Generator) -> list[Recognise]:
        """What the listener would."""
        asked: list[Recognise] = []
        if now >= caller.turns_at:
            if caller.is_speaking:
                asked = caller.utterance.whole("speculative", now)
                caller.utterance.forget()
                lasts = self._silence_s(rng)
            else:
                caller.utterance.open(now)
                lasts = float(rng.uniform(*SPEECH_S))
                is_long = lasts > TWO_BREATHS_S
                caller.pause_at = (
                    now + round(BREATH_AT * lasts * SAMPLE_RATE_HZ) if is_long else None
                )
            caller.is_speaking = not caller.is_speaking
            caller.turns_at = now + round(lasts * SAMPLE_RATE_HZ)
        elif caller.is_speaking and caller.pause_at is not None and now >= caller.pause_at:
            asked = caller.utterance.whole("speculative", now)
            caller.utterance.open(now)  # and goes on
            caller.pause_at = None
        elif caller.is_speaking:
            asked = caller.utterance.partial(now, is_early=True)
        return asked

    def _write(self, caller: _Caller, now: int, runner: Recognises) -> float:
        """The level of what is written, in dBFS."""
        count = now - caller.written
        if count <= 0:
            return SILENT_DB
        index = np.arange(count)
        audio = self._quiet[(caller.written + index) % len(self._quiet)]
        if caller.is_speaking:
            audio = audio + self._voice[(caller.voice_at + index) % len(self._voice)]
            caller.voice_at += count
            caller.spoken += count
        runner.write(caller.slot, caller.written, mulaw.encode(audio))
        caller.written = now
        power = float(np.mean((audio / 32768.0) ** 2))
        return 10 * math.log10(power + 10 ** (SILENT_DB / 10))

    # ------------------------------------------------------------ requests

    def _submit(
        self, line: Scheduler, slot: int, asked: Recognise, at: float, measured: Measured
    ) -> None:
        kind, before = _KINDS[asked.kind], line.shed
        line.submit(Job(slot, 1, asked.utterance, kind, asked.start_at, asked.end_at, at))
        if kind is JobKind.PARTIAL:  # a newer one came before it was computed
            measured.shed += line.shed - before

    def _note(
        self,
        measured: Measured,
        callers: Sequence[_Caller],
        batch: Sequence[Job],
        heard: Sequence[Hypothesis],
        done: float,
        counts_from: float,
    ) -> None:
        for job, hypothesis in zip(batch, heard, strict=True):
            utterance = callers[job.slot].utterance
            if job.kind is JobKind.PARTIAL and job.utterance == utterance.number:
                utterance.take_partial(hypothesis)
            measured.tokens += len(hypothesis.text.split())
            measured.gives_up(done - job.asked_at, HOPELESS_S)
            if job.asked_at >= counts_from:
                kind = measured.chunks if job.kind is JobKind.PARTIAL else measured.finals
                kind.append(done - job.asked_at)
