"""The arrays of all slots and what is computed on them; only this room knows the device.

`hearing` turns chunks into windows of what the caller said; here spans of that are recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.asr.stream import Draft
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.engine.dips import MEMORY_SAMPLES, is_over
from voicebot.engine.hearing import (
    RING_S,
    WINDOW,
    Chunk,
    Hearing,
    HearingLost,
    InbandKey,
    Result,
    VadResult,
)
from voicebot.engine.hearing_rooms import Canceller, Keys, NearEnd, Vad
from voicebot.engine.rings import Samples
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis, Word
from voicebot.turns.articulation import is_steady

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.spotting import Spotter

__all__ = [
    "RING_S",
    "WINDOW",
    "Chunk",
    "HearingLost",
    "InbandKey",
    "Result",
    "Runner",
    "VadResult",
]

RECOGNISER_HZ = 16000
HUM_CONFIDENCE = 0.8
"""Words heard in a steady hum are invented, unless the recogniser is as sure: hums give it 0.2 to
0.3, a caller's lone vowel ("four") 0.9 and more."""
HUM_MS, HUM_BEGUN_MS = 400, 300
"""So much of it is no word; while the caller goes on less is asked, for more will tell."""


@dataclass(slots=True)
class _Read:
    """What was last read in a slot: of which generation, utterance and start, up to where."""

    of: tuple[int, int, int]
    draft: Draft = field(default_factory=Draft)
    end_at: int = 0


class EndOfTurn(Protocol):
    """turns.end_of_turn.EndOfTurn."""

    def probabilities(
        self, frames: Sequence[NDArray[np.float32]], samples: Sequence[int]
    ) -> Sequence[float | None]:
        """That each caller has finished, by the encoder's frames."""


class SmartTurn(Protocol):
    """turns.smart_turn.SmartTurn."""

    def probabilities(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """That each caller has finished, by audio at 16 kHz."""


class Runner:
    """All computation. `recognise` belongs to one thread, everything else to another."""

    def __init__(
        self,
        slots: int,
        vad: Vad,
        recogniser: Recogniser | None,
        *,
        canceller: Canceller | None = None,
        near_end: NearEnd | None = None,
        keys: Keys | None = None,
        hot_word: Spotter | None = None,
        end_of_turn: EndOfTurn | None = None,
        smart_turn: SmartTurn | None = None,
        word_times: bool = False,
    ) -> None:
        """`recogniser` None: nothing is recognised here; every answer is empty.

        `canceller`, `near_end`, `keys`: see Hearing. `hot_word` judges hot word jobs. Whether the
        caller has finished `end_of_turn` judges by what the recogniser encoded, in speculative
        jobs; where there is no recogniser, `smart_turn` does so by sound. `word_times`: the words
        of finals carry the times at which they were said; in a call nothing reads them.
        """
        self.hearing = Hearing(slots, vad, canceller=canceller, near_end=near_end, keys=keys)
        self._recogniser = recogniser
        self._hot_word = hot_word
        self._end_of_turn = end_of_turn
        self._smart_turn = smart_turn
        self._word_times = word_times
        self._read: dict[int, _Read] = {}

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self.hearing.reset(slot)
        self._read.pop(slot, None)

    def write(self, slot: int, at: int, payload: bytes, reference: bytes = b"") -> None:
        """One chunk, to be heard by `advance`; see Hearing.write."""
        self.hearing.write(slot, at, payload, reference)

    def advance(self, slots: Sequence[int]) -> list[Result]:
        """What became known by what was written; see Hearing.advance."""
        return self.hearing.advance(slots)

    def hear(self, chunks: Sequence[Chunk]) -> list[Result]:
        """Write and advance, all calls together."""
        return self.hearing.hear(chunks)

    def align(self, is_aligned: bool) -> None:
        """Whether `hear` is called for each block of all calls together; see Hearing."""
        if isinstance(self.hearing, Hearing):
            self.hearing.is_aligned = is_aligned

    def span(self, slot: int, start_at: int, end_at: int) -> Samples:
        """What the caller said in [start_at, end_at), int16, without the bot's echo."""
        return self.hearing.span(slot, start_at, end_at)

    def skip(self, slot: int) -> None:
        """Give up what waits in this slot: its computation failed."""
        self.hearing.skip(slot)

    def recognise(self, jobs: Sequence[Job], *, nbest: int = 3) -> list[Hypothesis]:
        """One Hypothesis per job, with the job's span; partials come without an n-best list.

        Those for the hot word come without text, and in a batch of their own.
        """
        read = list(jobs)
        if jobs[0].kind is JobKind.HOTWORD:
            heard = self._spot(jobs)
        elif self._recogniser is None:
            heard = self._judge(jobs)
        else:
            is_partial = all(job.kind is JobKind.PARTIAL for job in jobs)
            is_judged = jobs[0].kind is JobKind.SPECULATIVE
            judge = self._end_of_turn.probabilities if self._end_of_turn and is_judged else None
            known = [self._known(job) for job in jobs]
            read = [self._reading(*of) for of in zip(jobs, known, strict=True)]
            heard = self._recogniser.transcribe(
                self._audio(read),
                nbest=1 if is_partial else nbest,
                judge=judge,
                expectations=[job.expectation for job in jobs],
                drafts=[of.draft for of in known],
            )
            for job, of in zip(jobs, known, strict=True):
                if job.kind is JobKind.FINAL:
                    of.draft.frames = None  # the turn is over; they are the most of its memory
            heard = [self._unless_hummed(*of) for of in zip(jobs, heard, strict=True)]
        return [
            replace(
                hypothesis,
                start_at=job.start_at,
                end_at=job.end_at,
                words=_on_call_clock(hypothesis.words, of),
            )
            for job, of, hypothesis in zip(jobs, read, heard, strict=True)
        ]

    def _unless_hummed(self, job: Job, heard: Hypothesis) -> Hypothesis:
        """No words where the caller hums."""
        if not heard.text or heard.confidence >= HUM_CONFIDENCE:
            return heard
        samples = to_float(self.span(job.slot, job.start_at, job.end_at))
        if not is_steady(samples, HUM_BEGUN_MS if job.kind is JobKind.PARTIAL else HUM_MS):
            return heard
        return Hypothesis("", end_probability=heard.end_probability)

    def _known(self, job: Job) -> _Read:
        """What was last read of the same utterance."""
        of = (job.generation, job.utterance, job.start_at)
        known = self._read.get(job.slot)
        if known is None or known.of != of:
            known = self._read[job.slot] = _Read(of, Draft(is_timed=self._word_times))
        return known

    def _reading(self, job: Job, known: _Read) -> Job:
        """The job, or as much of it as was read last where nothing was said since."""
        since = job.end_at - known.end_at
        is_final = job.kind is not JobKind.PARTIAL and known.draft.frames is not None
        if is_final and 0 < since < MEMORY_SAMPLES // 2:
            begin = max(job.start_at, job.end_at - MEMORY_SAMPLES)
            if is_over(to_float(self.span(job.slot, begin, job.end_at)), since):
                return replace(job, end_at=known.end_at)
        known.end_at = job.end_at
        return job

    def _audio(self, jobs: Sequence[Job]) -> list[NDArray[np.float32]]:
        spans = [to_float(self.span(job.slot, job.start_at, job.end_at)) for job in jobs]
        return [resample(samples, SAMPLE_RATE_HZ, RECOGNISER_HZ) for samples in spans]

    def _judge(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        if self._smart_turn is None or jobs[0].kind is not JobKind.SPECULATIVE:
            return [Hypothesis("") for _ in jobs]
        ended = self._smart_turn.probabilities(self._audio(jobs))
        return [Hypothesis("", end_probability=float(probability)) for probability in ended]

    def _spot(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        spotter = self._hot_word
        if spotter is None:
            return [Hypothesis("") for _ in jobs]
        audio = self._audio(
            [replace(job, start_at=max(0, job.start_at - spotter.lead_samples)) for job in jobs]
        )
        found = spotter.spot(self._recogniser, audio)
        return [Hypothesis("", hotword_probability=probability) for probability in found]


def _on_call_clock(words: Sequence[Word], job: Job) -> tuple[Word, ...]:
    """Words whose times count from the first sample of the job's audio."""
    start = max(job.start_at, job.end_at - RING_S * SAMPLE_RATE_HZ)  # older audio is gone
    return tuple(
        word
        if word.start_at is None or word.end_at is None
        else replace(word, start_at=start + word.start_at, end_at=start + word.end_at)
        for word in words
    )
