"""The ears of a recogniser process: front ends hear; here audio is only kept, to be recognised."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.offset import Offset
from voicebot.engine.hearing import WINDOW, Chunk, Hearing, Result, VadResult
from voicebot.engine.hums import are_steady
from voicebot.engine.rings import Rows, Samples
from voicebot.engine.runner import HUM_BEGUN_MS, HUM_CONFIDENCE, HUM_MS, EndOfTurn, Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import Hypothesis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.spotting import Spotter


ALONE = 32
"""Utterances in a batch that one core looks at alone."""
HELPERS = 8
Part = TypeVar("Part")
Judge = Callable[[Sequence["NDArray[np.float32]"], Sequence[int]], Sequence[float | None]]


SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from one whose batch the device has finished. Python's
own 5 ms, at each of a batch's dozen steps on the host, would keep the device waiting."""


def take_turns() -> None:
    """For the whole process, all that it needs being loaded: before thousands are recognised.

    What is there now is never looked at for garbage again: with thousands of results a second the
    whole heap would be gone through again and again, everything standing still meanwhile.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


@runtime_checkable
class Understands(Protocol):
    """A recogniser that takes spans of calls as they are, from several threads at once: see
    asr.telephone_device.DeviceRecogniser."""

    def understand(
        self,
        spans: Sequence[Samples],
        *,
        judge: Judge | None = None,
        judged: Sequence[bool] | None = None,
        at: Sequence[tuple[int, int]] | None = None,
    ) -> list[Hypothesis]:
        """One reading of each span, int16 at 8 kHz; `judged`: whom `judge` is asked about, all
        unless given; `at`: where each begins and ends."""


class _Deaf:
    """Voice activity is the front end's business."""

    def probabilities(self, slots: Rows, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Never asked."""
        return np.zeros(len(slots), np.float32)

    def reset(self, slot: int) -> None:
        """Nothing."""


class _AsItIs(Offset):
    """Front ends have taken a line's offset out before."""

    def remove(self, slots: Rows, samples: Samples) -> Samples:
        """Nothing is left of it."""
        return samples


class KeptAudio(Hearing):
    """Audio of all streams; each step tells one window a slot: the one that ends what is there."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots, _Deaf())
        self._offset = _AsItIs(slots)

    def until(self, slots: Rows) -> NDArray[np.int64]:
        """Where the audio of each slot ends."""
        ends: NDArray[np.int64] = self._written[slots]
        return ends

    def seen(self, jobs: Sequence[Job]) -> list[Samples]:
        """Spans of jobs as they lie here, to be copied soon: where the audio is older than the
        ring is long, newer has its place."""
        slots = np.array([job.slot for job in jobs], np.intp)
        ends = np.minimum([job.end_at for job in jobs], self._written[slots])
        starts = np.maximum([max(job.start_at, 0) for job in jobs], ends - self._clean.length)
        return [
            self._clean.see(*place)
            for place in zip(slots.tolist(), starts.tolist(), ends.tolist(), strict=True)
        ]

    def hear(self, chunks: Sequence[Chunk]) -> list[Result]:
        """See Hearing; audio of whatever length, all of it decoded at once."""
        slots = [chunk.slot for chunk in chunks]
        if len(set(slots)) < len(slots):
            return super().hear(chunks)
        samples = mulaw.decode(b"".join([chunk.payload for chunk in chunks]))
        rows = np.array(slots, np.intp)
        ends, begin = [], 0
        for chunk, written in zip(chunks, self._written[rows].tolist(), strict=True):
            end = begin + len(chunk.payload)
            if chunk.at == written:
                self._clean.put(chunk.slot, written, samples[begin:end])
                ends.append(written + end - begin)
            else:
                self.write(chunk.slot, chunk.at, chunk.payload)
                ends.append(int(self._written[chunk.slot]))
            begin = end
        self._written[rows] = ends  # what is read elsewhere is there before
        self._advance(slots)
        return self._take()

    def _advance(self, slots: Sequence[int]) -> None:
        rows = np.asarray(slots, np.intp)
        self._heard[rows] = self._cancelled[rows] = ends = self._written[rows]
        self._results += [
            VadResult(slot, end - WINDOW, 0.0)
            for slot, end in zip(rows.tolist(), ends.tolist(), strict=True)
        ]


class ReplicaRunner(Runner):
    """Recognises, looks for the hot word, judges ends of turns; hears nothing."""

    def __init__(
        self,
        slots: int,
        recogniser: Recogniser | None,
        *,
        hot_word: Spotter | None = None,
        end_of_turn: EndOfTurn | None = None,
    ) -> None:
        """See Runner."""
        super().__init__(
            1, _Deaf(), recogniser, hot_word=hot_word, end_of_turn=end_of_turn, word_times=True
        )
        self.hearing = KeptAudio(slots)
        self._device = recogniser if isinstance(recogniser, Understands) else None
        self._alone = threading.Lock()  # around what one thread at a time may do
        threads = min(HELPERS, (os.cpu_count() or 2) - 1)
        self._helpers = ThreadPoolExecutor(threads, "voicebot-help") if threads > 1 else None

    def recognise(self, jobs: Sequence[Job], *, nbest: int = 3) -> list[Hypothesis]:
        """See Runner; of a device also from several threads at once. Nothing that was read before
        is used again there."""
        if self._device is None or jobs[0].kind is JobKind.HOTWORD:
            with self._alone:
                return super().recognise(jobs, nbest=nbest)
        judged = [job.kind is JobKind.SPECULATIVE for job in jobs]
        judge = self._judged if self._end_of_turn and any(judged) else None
        assert isinstance(self.hearing, KeptAudio)
        spans = self.hearing.seen(jobs)
        places = [(job.start_at, job.end_at) for job in jobs]
        heard = self._device.understand(spans, judge=judge, judged=judged, at=places)
        for index in self._hummed(jobs, spans, heard):
            ended = heard[index].end_probability
            heard[index] = Hypothesis("", (), 0.0, (), *places[index], end_probability=ended)
        return heard

    def _judged(
        self, frames: Sequence[NDArray[np.float32]], samples: Sequence[int]
    ) -> list[float | None]:
        """EndOfTurn.probabilities, which takes a fifth of a millisecond of each."""
        assert self._end_of_turn is not None
        judge = self._end_of_turn.probabilities

        def some(part: Sequence[int]) -> Sequence[float | None]:
            return judge([frames[index] for index in part], [samples[index] for index in part])

        return [one for part in self._helped(some, range(len(frames))) for one in part]

    def _hummed(
        self, jobs: Sequence[Job], spans: Sequence[Samples], heard: Sequence[Hypothesis]
    ) -> list[int]:
        """Where words were invented in a steady hum; see Runner."""
        doubted = [
            index
            for index, hypothesis in enumerate(heard)
            if hypothesis.text and hypothesis.confidence < HUM_CONFIDENCE
        ]

        def steady(part: Sequence[int]) -> NDArray[np.bool_]:
            kinds = [jobs[index].kind for index in part]
            least = [HUM_BEGUN_MS if kind is JobKind.PARTIAL else HUM_MS for kind in kinds]
            return are_steady([spans[index] for index in part], least)

        if not doubted:
            return []
        found = np.concatenate(self._helped(steady, doubted))
        return [index for index, is_hum in zip(doubted, found, strict=True) if is_hum]

    def _helped(self, work: Callable[[Sequence[int]], Part], items: Sequence[int]) -> list[Part]:
        """On several cores, where there are many: most of it holds no lock. What each found."""
        if self._helpers is None or len(items) < ALONE:
            return [work(items)]
        size = -(-len(items) // HELPERS)
        parts = [items[begin : begin + size] for begin in range(0, len(items), size)]
        return list(self._helpers.map(work, parts))
