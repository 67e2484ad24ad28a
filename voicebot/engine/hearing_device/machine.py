"""The stages of hearing on a device: recorded once for each batch size, replayed for every step.

Inputs go in from pinned memory and results come out into it, all calls in one copy each, on streams
of their own. What a block leaves to be done (see echo) is replayed behind it, while the host is
busy with the results. On a CPU the same stages run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicebot.asr.device_streams import Streams
from voicebot.engine.hearing_device.echo_parts import FOLLOW, LOCK, REHEARSE, START
from voicebot.engine.hearing_device.line import Line
from voicebot.errors import DeviceLost

BUCKETS = (64, 256, 1024, 4096)
"""Batch sizes to prepare, as far as there are so many slots."""
WARM_UPS = 3
LOOK_S = 0.0002
"""How often a step that runs is looked at."""
HUNG_S = 2.0
"""No step of a sound device takes so long."""
STAGES = ("copies in", "mu-law", "echo", "keys", "vad", "near end", "copies out")
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be computed: `audio` uint8[n, 320], mu-law in and sent, of the blocks of slot and
    first sample int64[2, n]; then windows, int64[2, m]."""

    audio: NDArray[np.uint8]
    blocks: Places
    windows: Places


@dataclass(frozen=True, slots=True)
class Heard:
    """Its results, overwritten by the next step: int16[n, 160], float32[m, TOLD] and, where keys
    are looked for, float32[n, COLUMNS]."""

    clean: NDArray[np.int16]
    told: NDArray[np.float32]
    tones: NDArray[np.float32]


class Machine:
    """Owns what lies on the device. Call it from one thread."""

    def __init__(
        self,
        line: Line,
        *,
        buckets: Sequence[int] = BUCKETS,
        clock: Callable[[], float] = lambda: 0.0,
        sleep: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        """Records all stages; whatever the device reports, lack of memory too, is raised.

        `clock`: seconds, for the times of stages where the device has no clock of its own, and
        to notice one that answers no more; `sleep` passes the time until it answers.
        """
        self._clock, self._sleep = clock, sleep
        self.line, self._slots = line, line.state.scratch
        sizes = {*(size for size in buckets if size < self._slots), self._slots}
        self.buckets = sorted(sizes)
        self.streams = Streams(line.state.device, clock)
        self._rare_rows = min(self._slots, 64 if self._slots > 256 else 16)
        device = line.state.device
        self._rows = torch.full((self._rare_rows,), self._slots, dtype=torch.int64, device=device)
        self._locks = torch.zeros(self._rare_rows, dtype=torch.bool, device=device)
        self._inputs = {name: self._pinned(name) for name in ("audio", "blocks", "windows")}
        self._outputs = {name: self._pinned(name) for name in ("clean", "events", "told", "tones")}
        self._stages: dict[str, Callable[[int], None]] = {
            "mu-law": line.decode,
            "echo": line.cancel,
            "keys": line.correlate,
            "vad": line.listen,
            "near end": line.judge,
            "rehearse": lambda count: line.canceller.rare.rehearse(),
            "follow": lambda count: line.canceller.rare.follow(self._rows, self._locks),
            "start": lambda count: line.canceller.rare.start(self._rows),
        }
        self._graphs: dict[tuple[str, int], Any] = {}
        self._marks: list[tuple[str, Any]] = []
        if self.streams.is_cuda:
            self._capture()

    def _pinned(self, name: str) -> Tensor:
        return self.streams.pinned(torch.zeros_like(getattr(self.line, name), device="cpu"))

    @property
    def buffer_bytes(self) -> int:
        """Fixed inputs and outputs on the device."""
        tensors = [getattr(self.line, name) for name in (*self._inputs, *self._outputs)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    # ------------------------------------------------------------ recording

    def _capture(self) -> None:
        """Of scratch rows only, so that nothing changes."""
        pool = None
        line = self.line
        for rows in (line.blocks, line.windows, self._rows, line.canceller.rehearsing):
            rows.fill_(self._slots)
        self.streams.settle()
        with torch.inference_mode(), _whole_mantissas():
            for name, stage in self._stages.items():
                is_rare = name in {"rehearse", "follow", "start"}
                for size in [0] if is_rare else self.buckets:
                    with self.streams.on("compute"):  # libraries take their memory before
                        for _ in range(WARM_UPS):
                            stage(size)
                    self.streams.settle()
                    with self.streams.capturing(pool) as graph:
                        stage(size)
                    pool = pool or graph.pool()
                    self._graphs[name, size] = graph
        self.streams.settle()
        if self.streams.is_cuda:
            torch.cuda.empty_cache()  # what warming up took is as much as all recordings take

    def _run(self, name: str, size: int = 0) -> None:
        if self.streams.is_cuda:
            self._graphs[name, size].replay()
        else:
            self._stages[name](size)

    # ------------------------------------------------------------ a step

    def reset(self, slots: Sequence[int]) -> None:
        """New calls take these slots."""
        with torch.inference_mode(), self.streams.on("compute"):
            self.line.reset(self.streams.indices(list(slots)))

    def step(self, step: Step) -> Heard:
        """Compute and wait; whatever the device reports is raised."""
        with torch.inference_mode():
            blocks, windows = self._fill(step)
            self._submit(blocks, windows)
            self._wait(self._marks[-1][1])
            self._afterwards(step.blocks[0])
        found = {name: tensor.numpy() for name, tensor in self._outputs.items()}
        count = step.blocks.shape[1]
        return Heard(
            found["clean"][:count], found["told"][: step.windows.shape[1]], found["tones"][:count]
        )

    def _wait(self, mark: Any) -> None:
        """Until the device has come there; DeviceLost where it never does. What it reports is
        raised: every call depends on the thread that waits here."""
        if not self.streams.is_cuda:
            return
        began = self._clock()
        while not mark.query():
            if self._clock() - began > HUNG_S:
                raise DeviceLost(f"a step has taken longer than {HUNG_S:g} s")
            self._sleep(LOOK_S)

    def stage_times(self) -> dict[str, float]:
        """Seconds of each stage of the last step, once it has been waited for."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        times: dict[str, float] = {}
        for (_, begin), (name, end) in pairs:
            if name in STAGES:
                times[name] = self.streams.seconds(begin, end)
        return times

    def _bucket(self, count: int) -> int:
        return next(size for size in self.buckets if size >= count) if count else 0

    def _fill(self, step: Step) -> tuple[int, int]:
        """Into pinned memory; the batch sizes. Rows that pad a batch are scratch."""
        host = self._inputs
        count = step.blocks.shape[1]
        sizes = self._bucket(count), self._bucket(step.windows.shape[1])
        host["audio"].numpy()[:count] = step.audio
        for name, size in zip(("blocks", "windows"), sizes, strict=True):
            places, into = getattr(step, name), host[name].numpy()
            into[:, : places.shape[1]] = places
            into[0, places.shape[1] : size] = self._slots
        return sizes

    def _submit(self, blocks: int, windows: int) -> None:
        streams, line = self.streams, self.line
        self._marks = [("", streams.mark("in"))]
        with streams.on("in"):
            line.audio[:blocks].copy_(self._inputs["audio"][:blocks], non_blocking=True)
            for name in ("blocks", "windows") if blocks or windows else ():
                getattr(line, name).copy_(self._inputs[name], non_blocking=True)
        self._marks.append(("copies in", streams.mark("in")))
        streams.follow("compute", self._marks[-1][1])
        names = (["mu-law", "echo", *(["keys"] if line.keys else [])] if blocks else []) + (
            ["vad", "near end"] if windows else []
        )
        with streams.on("compute"):
            self._marks.append(("", streams.mark("compute")))
            for name in names:
                self._run(name, windows if name in {"vad", "near end"} else blocks)
                self._marks.append((name, streams.mark("compute")))
        streams.follow("out", self._marks[-1][1])
        with streams.on("out"):
            for name in ("clean", "events", *(["tones"] if line.keys else [])):
                host = self._outputs[name][:blocks]
                host.copy_(getattr(line, name)[:blocks], non_blocking=True)
            self._outputs["told"][:windows].copy_(line.told[:windows], non_blocking=True)
        self._marks.append(("copies out", streams.mark("out")))

    def _afterwards(self, slots: Places) -> None:
        """What is rare, behind the block; nobody waits for it."""
        events = self._outputs["events"].numpy()[: len(slots)]
        if not events.any():
            return
        with self.streams.on("compute"):
            if (events & REHEARSE).any():
                self._run("rehearse")
            looking = np.flatnonzero(events & (LOCK | FOLLOW))
            self._few("follow", slots[looking], (events[looking] & LOCK) > 0)
            starting = np.flatnonzero(events & (LOCK | START))
            self._few("start", slots[starting], np.ones(len(starting), np.bool_))

    def _few(self, name: str, slots: Places, locks: NDArray[np.bool_]) -> None:
        """So many rows at a time as the step has."""
        for begin in range(0, len(slots), self._rare_rows):
            part = slice(begin, begin + self._rare_rows)
            free = [0] * (self._rare_rows - len(slots[part]))
            rows = [*slots[part].tolist(), *(self._slots for _ in free)]
            self._rows.copy_(self.streams.indices(rows))
            self._locks.copy_(self.streams.indices([*locks[part].tolist(), *free]))
            self._run(name)


@contextmanager
def _whole_mantissas() -> Iterator[None]:
    """Products recorded here are of float32, whatever the recogniser beside it chose for the
    process (`choose_kernels`): ten bits are too few to tell a key's tones from what is left."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        yield
    finally:
        matmul.allow_tf32 = before
