"""Lines that bend the signal, and networks that lose chunks of it or hold them up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio import mulaw
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.pcm import to_float, to_int16
from voicebot.engine.runner import Runner
from voicebot.evaluation.turns_trace import TracedTelephone
from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Hypothesis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voicebot.engine.scheduler import Job

    Signal = NDArray[np.float32]

DC_OFFSET, CLIPPED_GAIN = 0.1, 8.0
LINES: dict[str, Callable[[Signal], Signal]] = {
    "quiet line": lambda near: near,
    "digital silence": lambda near: near,
    "DC offset": lambda near: near + np.float32(DC_OFFSET),
    "inverted": lambda near: -near,
    "clipped": lambda near: np.clip(near * np.float32(CLIPPED_GAIN), -0.7, 0.7),
}
FAULT_CHANCE = 0.02  # a chunk
PACKETS = ("packet gaps", "packet bursts")


class FaultyTelephone(TracedTelephone):
    """Bends everything that it sends, its echo too."""

    def __init__(
        self,
        caller: Signal,
        bend: Callable[[Signal], Signal],
        path: EchoPath | None,
        voice: Signal | None,
    ) -> None:
        """As TracedTelephone."""
        super().__init__(caller, path, voice)
        self._bend = bend

    def step(self, at: int) -> tuple[bytes, list[tuple[int, str, bool]]]:
        """As Telephone.step."""
        payload, marks = super().step(at)
        bent = self._bend(to_float(mulaw.decode(payload)))
        return mulaw.encode(to_int16(np.clip(bent, -1.0, 1.0))), marks


class FlakyRunner(Runner):
    """Another Runner behind a network that loses chunks, or holds them up and sends all at once."""

    def __init__(self, inner: Runner, faults: Mapping[int, str], seed: int) -> None:
        """`faults`: one of PACKETS by slot; gaps of 40 to 200 ms, or delays of 200 to 600 ms,
        about once a second."""
        self._inner, self._faults = inner, faults
        self.hearing = inner.hearing
        self._rng = np.random.default_rng(seed)
        self._fault_until: dict[int, int] = {}
        self._held: dict[int, list[tuple[int, bytes]]] = {}
        self._reference: dict[int, bytes] = {}

    def reset(self, slot: int) -> None:
        """A new call."""
        self._inner.reset(slot)
        for of in (self._fault_until, self._held, self._reference):
            of.pop(slot, None)

    def write(self, slot: int, at: int, payload: bytes, reference: bytes = b"") -> None:
        """What was sent comes later or never; the reference is our own and comes."""
        fault = self._faults.get(slot)
        if fault is None:
            super().write(slot, at, payload, reference)
            return
        if at >= self._fault_until.get(slot, 0) and self._rng.random() < FAULT_CHANCE:
            ms = self._rng.uniform(*((40, 200) if fault == PACKETS[0] else (200, 600)))
            self._fault_until[slot] = at + int(ms * SAMPLE_RATE_HZ / 1000)
        reference = self._reference.pop(slot, b"") + reference
        held = self._held.setdefault(slot, [])
        if at < self._fault_until.get(slot, 0):
            self._reference[slot] = reference
            if fault != PACKETS[0]:
                held.append((at, payload))
            return
        for number, (late_at, late) in enumerate(held):
            begin = number * CHUNK_SAMPLES
            super().write(slot, late_at, late, reference[begin : begin + CHUNK_SAMPLES])
        super().write(slot, at, payload, reference[len(held) * CHUNK_SAMPLES :])
        held.clear()

    def recognise(self, jobs: Sequence[Job], *, nbest: int = 3) -> list[Hypothesis]:
        """As the Runner behind it."""
        return self._inner.recognise(jobs, nbest=nbest)
