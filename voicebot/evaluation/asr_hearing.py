"""Recordings to the recogniser as callers' voices get there: 8 kHz mu-law, in batches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.audio.echo_path import through_mulaw
from voicebot.audio.resample import resample
from voicebot.events import SAMPLE_RATE_HZ, Expectation, Hypothesis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser

    Signal = NDArray[np.float32]

RECOGNISER_HZ = 16000
NBEST = 5
"""Alternatives asked for; the interpreter looks at no more."""
MAX_BATCH, MAX_BATCH_S = 8, 48.0


def on_stderr(text: str) -> None:
    """What has to be said beside the figures."""
    print(f"voicebot: {text}", file=sys.stderr, flush=True)


def over_telephone(samples: Signal, rate: int) -> Signal:
    """At `rate` -> 8 kHz mu-law -> 16 kHz, as the recogniser takes it."""
    narrow = samples if rate == SAMPLE_RATE_HZ else resample(samples, rate, SAMPLE_RATE_HZ)
    return resample(through_mulaw(narrow), SAMPLE_RATE_HZ, RECOGNISER_HZ)


@dataclass(slots=True)
class Ear:
    """The recogniser and what it cost: `cpu_s`, `wall_s` for `audio_s` of audio."""

    recogniser: Recogniser
    cpu_s: float = 0.0
    wall_s: float = 0.0
    audio_s: float = 0.0

    def hear(
        self,
        audio: Sequence[Signal],
        expectation: Expectation | None = None,
        *,
        nbest: int = NBEST,
        tell: Callable[[int], None] = lambda _: None,
    ) -> list[Hypothesis]:
        """One hypothesis per array at 16 kHz; `tell` is given how many are done."""
        heard = [Hypothesis("")] * len(audio)
        done = 0
        for batch in _batches([len(samples) for samples in audio]):
            cpu, wall = time.process_time(), time.perf_counter()
            found = self.recogniser.transcribe(
                [audio[index] for index in batch],
                nbest=nbest,
                expectations=[expectation] * len(batch),
            )
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall
            self.audio_s += sum(len(audio[index]) for index in batch) / RECOGNISER_HZ
            for index, hypothesis in zip(batch, found, strict=True):
                heard[index] = hypothesis
            done += len(batch)
            tell(done)
        return heard


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices by ascending length, in batches that the memory of a small machine bears."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        longest = lengths[index] / RECOGNISER_HZ
        fits = batches and len(batches[-1]) < MAX_BATCH
        if fits and (len(batches[-1]) + 1) * longest <= MAX_BATCH_S:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
