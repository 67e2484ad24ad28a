"""Scripted stand-ins for what a test is not about; the real parts have tests of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from voicebot.events import Alternative, Hypothesis


class LoudnessVad:
    """Speech is whatever is louder than -40 dBFS."""

    def __init__(self) -> None:
        self.resets: list[int] = []
        self.batches: list[int] = []
        self.fail_on_slot: int | None = None

    def reset(self, slot: int) -> None:
        self.resets.append(slot)

    def probabilities(
        self, slots: NDArray[np.int64], windows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self.batches.append(len(slots))
        if self.fail_on_slot is not None and self.fail_on_slot in slots:
            raise RuntimeError("vad failed")
        loudness = np.sqrt((windows**2).mean(axis=1))
        return (loudness > 0.01).astype(np.float32)


class ScriptedRecogniser:
    """Answers by a function of the samples; `batches` remembers the sizes."""

    def __init__(self, answer: Callable[[NDArray[np.float32]], str]) -> None:
        self.answer = answer
        self.batches: list[int] = []

    def transcribe(
        self, batch: Sequence[NDArray[np.float32]], *, nbest: int = 1
    ) -> list[Hypothesis]:
        self.batches.append(len(batch))
        found = []
        for samples in batch:
            text = self.answer(samples)
            best = (Alternative(text, 0.9),) if text else ()
            found.append(Hypothesis(text, confidence=0.9 if text else 0.0, nbest=best * nbest))
        return found
