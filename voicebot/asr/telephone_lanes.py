"""Batches of the telephone model at fixed places of a device, recorded as CUDA graphs.

A lane has places for one batch under way and a stream of its own: while the device computes one
lane's batch, the host prepares the next for another lane and reads what came out of the one
before. Batches are brought up to one of a few shapes, and each lane has two graphs for each
shape: from audio to the decoder's beginning, and ASKED_EVERY tokens. Where nothing can be
recorded (a CPU, a shape that there was no memory for) the same steps run as they are.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicebot.asr.decoder import token_limit
from voicebot.asr.device_streams import Streams, is_full
from voicebot.asr.moonshine import BEGIN, SAMPLE_RATE_HZ
from voicebot.asr.moonshine_packed import PackedMoonshine, Places, input_samples
from voicebot.asr.telephone_sound import INPUT_HZ, TelephoneSound
from voicebot.asr.utterance import COMFORTABLE_SAMPLES, WINDOW_SAMPLES

ASKED_EVERY = 8
"""Tokens between two looks at whether all utterances have ended."""
FRAMES = (64, 80, 112, 144, 192, 256, 352, 480, 640, 832)
"""Of the shapes: 1.6 s to 20 s, each at most 1.4 of the one before. Multiples of 16, which masks of
attention kernels want in memory."""
WHOLE_FRAMES = 144
"""Shapes up to so many frames (3.5 s) take the largest batch, longer ones fewer rows: they cost as
much and take as much memory."""
SHARES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 1 / 32)
"""Of a shape's most rows, for batches that are not full."""
TOKENS_ALIGNED = 16
LONGEST = WINDOW_SAMPLES * INPUT_HZ // SAMPLE_RATE_HZ
"""Samples at 8 kHz of the longest utterance that a lane takes."""
STAGES = ("copies", "encoder", "decoder")
WARM_UPS = 2


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """Of a batch, as it is computed."""

    frames: int
    rows: int

    @property
    def samples(self) -> int:
        """Of an utterance, at 8 kHz."""
        return input_samples(self.frames) * INPUT_HZ // SAMPLE_RATE_HZ

    @property
    def tokens(self) -> int:
        """Most of an utterance."""
        most = token_limit(2 * self.samples / SAMPLE_RATE_HZ)
        return -(-most // TOKENS_ALIGNED) * TOKENS_ALIGNED

    @classmethod
    def all(cls, most: int) -> list[Shape]:
        """Of batches of at most so many utterances, the largest first."""
        found: set[Shape] = set()
        for frames in FRAMES:
            rows = min(most, max(1, most * WHOLE_FRAMES // frames))
            found.update(cls(frames, max(1, math.ceil(rows * share))) for share in SHARES)
        return sorted(found, reverse=True, key=lambda shape: (shape.rows * shape.frames, shape))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a batch said, row by row, before it is words; n rows, K tokens at most.

    `frames`: of each row what the encoder made of it, where that was wanted. `stage_s`: seconds of
    the device by stage.
    """

    tokens: NDArray[np.int64]  # [n, K]
    log_probs: NDArray[np.float32]  # [n, K]
    limits: NDArray[np.int64]  # [n], most tokens of each
    is_audible: NDArray[np.bool_]  # [n]
    sound: NDArray[np.float32]  # [n, 3]: seconds of speech, level in dBFS, dB above its floor
    frames: list[NDArray[np.float32]]
    stage_s: dict[str, float]


@dataclass(slots=True)
class _Batch:
    """A shape's part of a lane's places."""

    shape: Shape
    audio: Tensor  # int16[R, n]
    counts: Tensor  # int64[R], samples at 8 kHz
    limits: Tensor  # int64[R], most tokens, if there is anything to hear
    is_audible: Tensor  # bool[R]
    sound: Tensor  # float32[R, 3]
    frames: Tensor  # [R, F, C]
    valid: Tensor  # int64[R], frames of each
    places: Places
    graphs: list[Any] = field(default_factory=list)


_IN, _OUT = ("audio", "counts", "limits"), ("is_audible", "sound", "valid", "frames")
_SAID = ("said", "sure", "all_over")


class _Arena:
    """Memory for the largest of all shapes, of which each shape's tensors are views."""

    def __init__(self, largest: dict[str, Tensor], make: Callable[[Tensor], Tensor]) -> None:
        """`largest`: tensors without memory, as large as any of that name."""
        self._flat = {name: make(tensor).flatten() for name, tensor in largest.items()}

    def view(self, name: str, shape: Sequence[int]) -> Tensor:
        """The named one, as small as a shape wants it."""
        return self._flat[name][: math.prod(shape)].view(tuple(shape))


class _Lane:
    """One batch under way."""

    def __init__(self, owner: TelephoneLanes) -> None:
        self.streams = Streams(owner.device, owner.clock)
        wanted = {shape: owner.tensors(shape) for shape in owner.shapes}
        largest = {
            name: max((of[name] for of in wanted.values()), key=Tensor.numel)
            for name in next(iter(wanted.values()))
        }
        there = _Arena(largest, lambda like: torch.zeros_like(like, device=owner.device))
        copied = {name: largest[name] for name in (*_IN, *_OUT, *_SAID)}
        here = _Arena(
            copied, lambda like: self.streams.pinned(torch.zeros_like(like, device="cpu"))
        )
        self.batches: dict[Shape, _Batch] = {}
        self.host: dict[Shape, dict[str, Tensor]] = {}
        for shape, tensors in wanted.items():
            own = {name: there.view(name, tensor.shape) for name, tensor in tensors.items()}
            self.host[shape] = {name: here.view(name, tensors[name].shape) for name in copied}
            parts: dict[str, Any] = {name: own.pop(name) for name in (*_IN, *_OUT)}
            own["limits"] = own.pop("most")
            self.batches[shape] = _Batch(shape, places=Places(**own), **parts)
        self.pool: Any = None


class TelephoneLanes:
    """A network on a device. `run` may be called from as many threads as there are lanes; more
    wait for each other."""

    def __init__(
        self,
        model: PackedMoonshine,
        *,
        most: int,
        lanes: int = 2,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`most`: utterances of a batch; memory is taken by `warm_up`."""
        self.model, self.device, self.clock = model, model.device, clock
        self.is_cuda = self.device.type == "cuda"
        self.most, self._count = most, lanes
        self.shapes = Shape.all(most)
        self.unrecorded: dict[Shape, str] = {}
        """Shapes without graphs, and why."""
        self._sound = TelephoneSound(self.device)
        self._making = threading.Lock()
        self._free: SimpleQueue[_Lane] = SimpleQueue()
        self.lanes: list[_Lane] = []

    # ------------------------------------------------------------ memory

    def warm_up(self) -> None:
        """Take all memory and record all graphs; `run` does so, too, if nobody did before. Where
        memory is short, half as many utterances make a batch, down to one; whatever the device
        reports beside that is raised."""
        with self._making:
            if not self.lanes:
                self._make()

    def _make(self) -> None:
        while True:
            try:
                return self._warm_up()
            except (RuntimeError, MemoryError) as error:
                if not is_full(error) or self.most == 1:
                    raise
            if self.is_cuda:
                torch.cuda.empty_cache()
            self.most = max(1, self.most // 2)
            self.shapes = Shape.all(self.most)

    @torch.inference_mode()
    def _warm_up(self) -> None:
        longest = max(self.shapes, key=lambda shape: shape.frames)
        self.model.reserve(max(longest.frames, longest.tokens))
        self.unrecorded.clear()
        made = [_Lane(self) for _ in range(self._count)]
        for lane in made:
            lane.streams.settle()
            for shape in self.shapes:
                try:
                    self._record(lane, lane.batches[shape])
                except (RuntimeError, MemoryError) as error:
                    if is_full(error) and shape.rows == self.most:
                        raise  # batches are made for these: they must fit
                    self.unrecorded[shape] = str(error).splitlines()[0]
                    lane.batches[shape].graphs.clear()
                    if not lane.streams.is_alive():
                        raise
        for lane in made:
            self._free.put(lane)
        self.lanes = made

    def _record(self, lane: _Lane, batch: _Batch) -> None:
        """Run as it is, so that libraries take their memory before, then as graphs."""
        if not self.is_cuda:
            return
        streams = lane.streams
        batch.counts.zero_()
        streams.settle()  # the lane's stream does not wait for what others were given
        with streams.on("compute"):
            for _ in range(WARM_UPS):
                self._hear(batch)
                self._say(batch)
        streams.settle()
        torch.cuda.empty_cache()  # graphs take memory of their own, not what running as it is left
        for stage in (self._hear, self._say):
            with streams.capturing(lane.pool) as graph:
                stage(batch)
            lane.pool = lane.pool or graph.pool()
            batch.graphs.append(graph)

    def tensors(self, shape: Shape) -> dict[str, Tensor]:
        """All that a batch of that shape needs, by name, without memory."""
        rows, frames = shape.rows, shape.frames
        model = self.model
        places = model.places(rows, frames, shape.tokens, torch.device("meta"))

        def of(*size: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.empty(size, dtype=dtype, device="meta")

        found = {name: getattr(places, name) for name in Places.__slots__}
        return {
            "audio": of(rows, shape.samples, dtype=torch.int16),
            "counts": of(rows),
            "limits": of(rows),
            "is_audible": of(rows, dtype=torch.bool),
            "sound": of(rows, 3, dtype=torch.float32),
            "frames": of(rows, frames, model.dims.width, dtype=model.dtype),
            "valid": of(rows),
            "most": found.pop("limits"),
            **found,
        }

    # ------------------------------------------------------------ what is recorded

    def _hear(self, batch: _Batch) -> None:
        piece, lengths, is_audible, sound = self._sound.prepare(batch.audio, batch.counts)
        frames, valid = self.model.encode(piece, lengths)
        batch.is_audible.copy_(is_audible)
        batch.sound.copy_(sound)
        batch.valid.copy_(valid)
        batch.frames.copy_(frames)
        batch.places.limits.copy_(torch.where(is_audible, batch.limits, 0))
        self.model.begin(frames, valid, batch.places, BEGIN)

    def _say(self, batch: _Batch) -> None:
        for _ in range(ASKED_EVERY):
            self.model.step(batch.places)

    # ------------------------------------------------------------ a batch

    def room(self, longest: int) -> int:
        """Utterances of a batch whose longest has so many samples at 8 kHz."""
        if not self.lanes:
            self.warm_up()
        fitting = [shape for shape in self.shapes if shape.samples >= longest]
        frames = min(shape.frames for shape in fitting)
        return max(shape.rows for shape in fitting if shape.frames == frames)

    def shape_of(self, count: int, longest: int) -> Shape:
        """The cheapest with room for so many, at most `room`."""
        return min(
            (shape for shape in self.shapes if shape.rows >= count and shape.samples >= longest),
            key=lambda shape: (shape.rows * shape.frames, shape),
        )

    def run(self, spans: Sequence[NDArray[np.int16]], *, wants_frames: bool = False) -> Heard:
        """spans int16 at 8 kHz, each at most LONGEST, at most `room` of them.

        Waits for a free lane, then for the device, holding no lock meanwhile.
        """
        if not self.lanes:
            self.warm_up()
        shape = self.shape_of(len(spans), max(len(span) for span in spans))
        lane = self._free.get()
        try:
            with torch.inference_mode():
                return self._run(lane, shape, spans, wants_frames)
        finally:
            self._free.put(lane)

    def _run(
        self, lane: _Lane, shape: Shape, spans: Sequence[NDArray[np.int16]], wants_frames: bool
    ) -> Heard:
        streams, batch, host = lane.streams, lane.batches[shape], lane.host[shape]
        limits = self._fill(host, spans)
        marks = [streams.mark("compute")]
        with streams.on("compute"):
            for name in _IN:
                getattr(batch, name).copy_(host[name], non_blocking=True)
            marks.append(streams.mark("compute"))
            self._do(batch, 0)
            marks.append(streams.mark("compute"))
            said = 0
            while said < shape.tokens:
                self._do(batch, 1)
                said += ASKED_EVERY
                host["all_over"].copy_(batch.places.all_over, non_blocking=True)
                # The only look at the device on the way: whether to say more.
                streams.wait(streams.mark("compute"))
                if bool(host["all_over"]):
                    break
            marks.append(streams.mark("compute"))
            self._fetch(batch, host, len(spans), said, wants_frames)
            marks.append(streams.mark("compute"))
        streams.wait(marks[-1])  # the copies out are done: they are read now, by the host
        return self._told(host, len(spans), said, limits, wants_frames, _seconds(streams, marks))

    def _do(self, batch: _Batch, number: int) -> None:
        if batch.graphs:
            batch.graphs[number].replay()
        else:
            (self._hear, self._say)[number](batch)

    @staticmethod
    def _fill(host: dict[str, Tensor], spans: Sequence[NDArray[np.int16]]) -> NDArray[np.int64]:
        """Nothing reads these places any more: whoever had the lane waited for its copies out,
        which come after those in. Rows that are not taken have no audio and say nothing."""
        audio, counts, limits = (host[name].numpy() for name in _IN)
        counts[:], limits[:] = 0, 0
        for row, span in zip(audio, spans, strict=False):
            row[: len(span)] = span
        counts[: len(spans)] = [len(span) for span in spans]
        seconds = np.maximum(2 * counts[: len(spans)], COMFORTABLE_SAMPLES) / SAMPLE_RATE_HZ
        limits[: len(spans)] = [token_limit(of_one) for of_one in seconds.tolist()]
        return np.array(limits[: len(spans)])

    @staticmethod
    def _fetch(
        batch: _Batch, host: dict[str, Tensor], count: int, said: int, wants_frames: bool
    ) -> None:
        """Rows that were taken, tokens that were said."""
        for name in ("said", "sure"):
            host[name][:said].copy_(getattr(batch.places, name)[:said], non_blocking=True)
        for name in _OUT if wants_frames else _OUT[:-2]:
            host[name][:count].copy_(getattr(batch, name)[:count], non_blocking=True)

    @staticmethod
    def _told(
        host: dict[str, Tensor],
        count: int,
        said: int,
        limits: NDArray[np.int64],
        wants_frames: bool,
        stage_s: dict[str, float],
    ) -> Heard:
        """Copies: the lane's next batch writes where these lie."""
        frames = []
        if wants_frames:
            valid = host["valid"][:count].tolist()
            frames = [host["frames"][row, :end].float().numpy() for row, end in enumerate(valid)]
            if host["frames"].dtype == torch.float32:
                frames = [of_one.copy() for of_one in frames]
        return Heard(
            np.ascontiguousarray(host["said"][:said, :count].numpy().T),
            np.ascontiguousarray(host["sure"][:said, :count].numpy().T),
            limits,
            host["is_audible"][:count].numpy().copy(),
            host["sound"][:count].numpy().copy(),
            frames,
            stage_s,
        )

    def memory_bytes(self) -> int:
        """Of the lanes' fixed places, without what graphs need between."""
        of_lane = 0
        for name in self.tensors(self.shapes[0]):
            tensors = [self.tensors(shape)[name] for shape in self.shapes]
            of_lane += max(tensor.numel() * tensor.element_size() for tensor in tensors)
        return of_lane * self._count


def _seconds(streams: Streams, marks: Sequence[Any]) -> dict[str, float]:
    copied, heard, said, told = (streams.seconds(*both) for both in pairwise(marks))
    return dict(zip(STAGES, (copied + told, heard, said), strict=True))
