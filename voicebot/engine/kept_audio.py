"""The ears of a recogniser process: front ends hear; here audio is only kept, to be recognised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.offset import Offset
from voicebot.engine.hearing import WINDOW, Chunk, Hearing, Result, VadResult
from voicebot.engine.rings import Rows, Samples
from voicebot.engine.runner import EndOfTurn, Runner
from voicebot.engine.scheduler import Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.spotting import Spotter


ALONE = 32
"""Utterances in a batch that one core prepares alone."""
HELPERS = 8


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
        super().__init__(1, _Deaf(), recogniser, hot_word=hot_word, end_of_turn=end_of_turn)
        self.hearing = KeptAudio(slots)
        self._helpers: ThreadPoolExecutor | None = None

    def _audio(self, jobs: Sequence[Job]) -> list[NDArray[np.float32]]:
        """See Runner; of a device's batches on several cores, for resampling holds no lock."""
        threads = min(HELPERS, (os.cpu_count() or 2) - 1)
        if len(jobs) < ALONE or threads < 2:
            return super()._audio(jobs)
        if self._helpers is None:
            self._helpers = ThreadPoolExecutor(threads, "voicebot-resample")
        parts = [jobs[index::threads] for index in range(threads)]
        found = [iter(part) for part in self._helpers.map(super()._audio, parts)]
        return [next(found[index % threads]) for index in range(len(jobs))]
