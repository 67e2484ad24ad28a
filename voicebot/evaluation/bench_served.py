"""Batches of the telephone model as asr-serve computes them on a device, for `bench_pace`.

A batch goes the way of requests behind the wire: audio out of what is kept of each call,
resampled, looked at for speech, recognised, put into words and, at pauses, judged as to whether
the caller has finished. The network alone is faster; what is left out is the wire itself (sockets,
frames and their decoding).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.engine.kept_audio import ReplicaRunner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.errors import ModelUnavailable
from voicebot.evaluation.bench_spoken import sentences
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.turns.end_of_turn import EndOfTurn

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser

LONGEST_S = 7.0


class ServedBatches:
    """Callers who say other parts of the same sentences. Called from as many threads as the
    recogniser takes."""

    def __init__(self, recogniser: Recogniser, most: int) -> None:
        """`most`: utterances in a batch."""
        voice, longest = _voice(), int(LONGEST_S * SAMPLE_RATE_HZ)
        self._runner = ReplicaRunner(most, recogniser, end_of_turn=EndOfTurn())
        self._most = most
        self._turns = count(1)
        for slot in range(most):
            begin = slot * len(voice) // most
            said = np.resize(np.roll(voice, -begin), longest)
            self._runner.write(slot, 0, mulaw.encode(said))

    def __call__(self, batch: Sequence[NDArray[np.int16]], kinds: Sequence[JobKind]) -> list[str]:
        """What is heard in utterances as long as these; how many tokens that takes is the
        speech's business."""
        jobs = [
            Job(number % self._most, next(self._turns), 0, kind, 0, len(samples))
            for number, (samples, kind) in enumerate(zip(batch, kinds, strict=True))
        ]
        return [heard.text for heard in self._runner.recognise(jobs)]


def _voice() -> NDArray[np.int16]:
    """Sentences; where there is no voice to say them, noise that comes and goes as syllables do."""
    try:
        return sentences()
    except ModelUnavailable:
        at = np.arange(30 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        swell = np.sin(np.pi * 4 * at) ** 4
        noise = np.random.default_rng(0).normal(0, 3000, len(at))
        return np.asarray(noise * swell, np.int16)
