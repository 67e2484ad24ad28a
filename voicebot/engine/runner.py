"""The arrays of all slots and what is computed on them; only this module knows the device.

Audio enters as mu-law bytes and is kept as int16[slots, RING] on the 8 kHz clock; voice
activity advances for all slots with a full window in one batch; recognition reads spans.
Place kept for the echo canceller: between `write` and `advance_vad`, on `near`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.engine.scheduler import Job, JobKind
from voicebot.events import SAMPLE_RATE_HZ, Hypothesis

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.turns.vad import SileroVad

WINDOW = 256
"""Silero's native window at 8 kHz, 32 ms."""
RING_S = 40
"""Longer than the longest utterance (Timeouts.max_speech_ms) and its wait for the recogniser."""
RECOGNISER_HZ = 16000


@dataclass(frozen=True, slots=True)
class VadResult:
    """Speech probability of the window that begins at `at` in `slot`."""

    slot: int
    at: int
    probability: float


class Runner:
    """State of all slots. `write` and `advance_vad` belong to one thread, `recognise` to another.

    They share `near` without a lock: a span is read after it was written, and RING_S before
    it is overwritten.
    """

    def __init__(self, slots: int, vad: SileroVad, recogniser: Recogniser | None) -> None:
        """`recogniser` None: a Pipecat STT service recognises instead."""
        self._vad = vad
        self._recogniser = recogniser
        self._ring = RING_S * SAMPLE_RATE_HZ
        self.near: NDArray[np.int16] = np.zeros((slots, self._ring), np.int16)
        self._written = np.zeros(slots, np.int64)  # samples received since the call began
        self._heard = np.zeros(slots, np.int64)  # samples that the VAD has seen

    def reset(self, slot: int) -> None:
        """A new call takes the slot."""
        self.near[slot] = 0
        self._written[slot] = self._heard[slot] = 0
        self._vad.reset(slot)

    def write(self, slot: int, at: int, payload: bytes) -> None:
        """Append mu-law bytes whose first sample is `at`; a gap before them becomes silence.

        Samples before what is already written are dropped (they would rewrite the past).
        """
        written = int(self._written[slot])
        if at < written:
            payload, at = payload[written - at :], written
        samples = mulaw.decode(payload)[-self._ring :]
        end = at + len(payload)
        gap = min(end - len(samples) - written, self._ring)
        if gap > 0:
            self._put(slot, end - len(samples) - gap, np.zeros(gap, np.int16))
        self._put(slot, end - len(samples), samples)
        self._written[slot] = max(end, written)
        # After a gap longer than the ring the VAD goes on with what is still there.
        self._heard[slot] = max(self._heard[slot], end - self._ring)

    def _put(self, slot: int, at: int, samples: NDArray[np.int16]) -> None:
        begin = at % self._ring
        first = min(len(samples), self._ring - begin)
        self.near[slot, begin : begin + first] = samples[:first]
        self.near[slot, : len(samples) - first] = samples[first:]

    def span(self, slot: int, start_at: int, end_at: int) -> NDArray[np.int16]:
        """Samples [start_at, end_at) of a slot, as far as they are still (and already) there."""
        end = min(end_at, int(self._written[slot]))
        start = max(start_at, 0, end - self._ring)
        index = np.arange(start, max(start, end)) % self._ring
        samples: NDArray[np.int16] = self.near[slot, index]
        return samples

    def advance_vad(self, slots: Sequence[int]) -> list[VadResult]:
        """Run every full window of these slots, all slots of one step in one batch."""
        results: list[VadResult] = []
        while ready := [s for s in slots if self._written[s] - self._heard[s] >= WINDOW]:
            index = (self._heard[ready][:, None] + np.arange(WINDOW)) % self._ring
            rows = np.asarray(ready)
            windows = to_float(self.near[rows[:, None], index])
            probabilities = self._vad.probabilities(rows, windows)
            results += [
                VadResult(slot, int(self._heard[slot]), float(probability))
                for slot, probability in zip(ready, probabilities, strict=True)
            ]
            self._heard[rows] += WINDOW
        return results

    def skip(self, slot: int) -> None:
        """Give up the windows that wait in this slot: their computation failed."""
        self._heard[slot] = self._written[slot]

    def recognise(self, jobs: Sequence[Job], *, nbest: int = 3) -> list[Hypothesis]:
        """One Hypothesis per job, with the job's span; partials come without an n-best list."""
        if self._recogniser is None:
            raise RuntimeError("no local recogniser is configured")
        audio = [
            resample(
                to_float(self.span(job.slot, job.start_at, job.end_at)),
                SAMPLE_RATE_HZ,
                RECOGNISER_HZ,
            )
            for job in jobs
        ]
        wanted = 1 if all(job.kind is JobKind.PARTIAL for job in jobs) else nbest
        heard = self._recogniser.transcribe(audio, nbest=wanted)
        return [
            replace(hypothesis, start_at=job.start_at, end_at=job.end_at)
            for job, hypothesis in zip(jobs, heard, strict=True)
        ]
