"""Scripted stand-ins for what a test is not about; the real parts have tests of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.engine import CallHandle, CallSink, Recognised
from voicebot.engine.runner import Chunk, Runner
from voicebot.engine.scheduler import Job, JobKind
from voicebot.engine.slots import SlotPool
from voicebot.events import Alternative, Expectation, Hypothesis


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
        self.expectations: Sequence[Expectation | None] | None = None

    def transcribe(
        self,
        batch: Sequence[NDArray[np.float32]],
        *,
        nbest: int = 1,
        judge: object = None,
        expectations: Sequence[Expectation | None] | None = None,
        drafts: object = None,
    ) -> list[Hypothesis]:
        self.batches.append(len(batch))
        self.expectations = expectations
        found = []
        for samples in batch:
            text = self.answer(samples)
            best = (Alternative(text, 0.9),) if text else ()
            found.append(Hypothesis(text, confidence=0.9 if text else 0.0, nbest=best * nbest))
        return found


class InlineEngine:
    """The engine without threads: every request is answered before the call returns."""

    def __init__(self, runner: Runner, slots: int = 8) -> None:
        self.runner = runner
        self.pool = SlotPool(slots)
        self.recognised: list[Job] = []

    def open_call(self, sink: CallSink) -> CallHandle:
        handle = CallHandle(self.pool.acquire(), 1, sink)
        self.runner.reset(handle.slot)
        return handle

    def release(self, handle: CallHandle) -> None:
        self.pool.release(handle.slot)

    def push(self, handle: CallHandle, at: int, payload: bytes, reference: bytes = b"") -> None:
        results = self.runner.hear([Chunk(handle.slot, at, payload, reference)])
        if results:
            handle.sink.on_heard(results)

    def recognise(
        self,
        handle: CallHandle,
        utterance: int,
        kind: JobKind,
        start_at: int,
        end_at: int,
        *,
        expectation: Expectation | None = None,
    ) -> None:
        job = Job(handle.slot, 1, utterance, kind, start_at, end_at, expectation=expectation)
        self.recognised.append(job)
        (hypothesis,) = self.runner.recognise([job])
        handle.sink.on_recognised(Recognised(job, hypothesis, 0.0))
