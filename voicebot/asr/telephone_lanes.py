"""Batches of the telephone model at fixed places of a device, recorded as CUDA graphs.

A lane has places for one batch under way and a stream of its own: while the device computes one
lane's batch, the host prepares the next for another lane and reads what came out of the one
before. Batches are brought up to one of a few shapes, and each lane has two graphs for each
shape: from audio to the decoder's beginning, and ASKED_EVERY tokens. Where nothing can be
recorded (a CPU, a shape that there was no memory for) the same steps run as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
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
from voicebot.asr.moonshine_packed import PackedMoonshine
from voicebot.asr.telephone_places import (
    FRAMES_OUT,
    IN,
    LONGEST,
    OUT,
    Batch,
    Heard,
    Lane,
    Shape,
    tensors_of,
)
from voicebot.asr.telephone_sound import TelephoneSound
from voicebot.asr.utterance import COMFORTABLE_SAMPLES

ASKED_EVERY = 8
"""Tokens between two looks at whether all utterances have ended."""
STAGES = ("copies", "encoder", "decoder")
WARM_UPS = 2
HEADROOM = 0.03
"""Share of a device's memory that lanes leave: for hot words, what is too long for a lane, and
other processes."""


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
        self._free: SimpleQueue[Lane] = SimpleQueue()
        self.lanes: list[Lane] = []

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
        made = [Lane(self.model, self.shapes, self.clock) for _ in range(self._count)]
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
                    lane.pool = None  # a pool that a recording broke off in takes no other
                    if not lane.streams.is_alive():
                        raise
        if self.is_cuda:
            torch.cuda.empty_cache()
            free, whole = torch.cuda.mem_get_info(self.device)
            if free < HEADROOM * whole and self.most > 1:
                raise torch.OutOfMemoryError("lanes would leave no memory for anything else")
        for lane in made:
            self._free.put(lane)
        self.lanes = made

    def _record(self, lane: Lane, batch: Batch) -> None:
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

    # ------------------------------------------------------------ what is recorded

    def _hear(self, batch: Batch) -> None:
        piece, lengths, is_audible, sound = self._sound.prepare(batch.audio, batch.counts)
        frames, valid = self.model.encode(piece, lengths)
        batch.is_audible.copy_(is_audible)
        batch.sound.copy_(sound)
        batch.valid.copy_(valid)
        batch.frames.copy_(frames)
        batch.places.limits.copy_(torch.where(is_audible, batch.limits, 0))
        self.model.begin(frames, valid, batch.places, BEGIN)

    def _say(self, batch: Batch) -> None:
        for _ in range(ASKED_EVERY):
            self.model.step(batch.places)

    # ------------------------------------------------------------ a batch

    def room(self, longest: int) -> int:
        """Utterances of a batch whose longest has so many samples at 8 kHz (what is too long for
        a lane counts as long as fits)."""
        if not self.lanes:
            self.warm_up()
        longest = min(longest, LONGEST)
        fitting = [shape for shape in self.shapes if shape.samples >= longest]
        frames = min(shape.frames for shape in fitting)
        return max(shape.rows for shape in fitting if shape.frames == frames)

    def shape_of(self, count: int, longest: int) -> Shape:
        """The cheapest with room for so many, at most `room`."""
        return min(
            (shape for shape in self.shapes if shape.rows >= count and shape.samples >= longest),
            key=lambda shape: (shape.rows * shape.frames, shape),
        )

    def run(self, spans: Sequence[NDArray[np.int16]], *, frames_of: int = 0) -> Heard:
        """spans int16 at 8 kHz, each at most LONGEST, at most `room` of them. `frames_of`: of so
        many, the first, what the encoder made of them is told, too.

        Waits for a free lane, then for the device, holding no lock meanwhile.
        """
        if not self.lanes:
            self.warm_up()
        shape = self.shape_of(len(spans), max(len(span) for span in spans))
        lane = self._free.get()
        try:
            with torch.inference_mode():
                return self._run(lane, shape, spans, frames_of)
        finally:
            self._free.put(lane)

    def _run(
        self, lane: Lane, shape: Shape, spans: Sequence[NDArray[np.int16]], frames_of: int
    ) -> Heard:
        streams, batch, host = lane.streams, lane.batches[shape], lane.host[shape]
        limits = self._fill(host, spans)
        marks = [streams.mark("compute")]
        with streams.on("compute"):
            for name in IN:
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
            self._fetch(batch, host, len(spans), said, frames_of)
            marks.append(streams.mark("compute"))
        streams.wait(marks[-1])  # the copies out are done: they are read now, by the host
        return self._told(host, len(spans), said, limits, frames_of, _seconds(streams, marks))

    def _do(self, batch: Batch, number: int) -> None:
        if batch.graphs:
            batch.graphs[number].replay()
        else:
            (self._hear, self._say)[number](batch)

    @staticmethod
    def _fill(host: dict[str, Tensor], spans: Sequence[NDArray[np.int16]]) -> NDArray[np.int64]:
        """Nothing reads these places any more: whoever had the lane waited for its copies out,
        which come after those in. Rows that are not taken have no audio and say nothing."""
        audio, counts, limits = (host[name].numpy() for name in IN)
        counts[:], limits[:] = 0, 0
        for row, span in zip(audio, spans, strict=False):
            row[: len(span)] = span
        counts[: len(spans)] = [len(span) for span in spans]
        seconds = np.maximum(2 * counts[: len(spans)], COMFORTABLE_SAMPLES) / SAMPLE_RATE_HZ
        limits[: len(spans)] = [token_limit(of_one) for of_one in seconds.tolist()]
        return np.array(limits[: len(spans)])

    @staticmethod
    def _fetch(
        batch: Batch, host: dict[str, Tensor], count: int, said: int, frames_of: int
    ) -> None:
        """Rows that were taken, tokens that were said."""
        for name in ("said", "sure"):
            host[name][:said].copy_(getattr(batch.places, name)[:said], non_blocking=True)
        for name in OUT:
            rows = frames_of if name in FRAMES_OUT else count
            host[name][:rows].copy_(getattr(batch, name)[:rows], non_blocking=True)

    @staticmethod
    def _told(
        host: dict[str, Tensor],
        count: int,
        said: int,
        limits: NDArray[np.int64],
        frames_of: int,
        stage_s: dict[str, float],
    ) -> Heard:
        """Copies: the lane's next batch writes where these lie."""
        frames = []
        if frames_of:
            valid = host["valid"][:frames_of].tolist()
            frames = [host["frames"][row, :end].float().numpy() for row, end in enumerate(valid)]
            if host["frames"].dtype == torch.float32:
                frames = [of_one.copy() for of_one in frames]
        return Heard(
            host["said"][:said, :count].numpy().T.copy(order="C"),
            host["sure"][:said, :count].numpy().T.copy(order="C"),
            limits,
            host["is_audible"][:count].numpy().copy(),
            host["sound"][:count].numpy().copy(),
            frames,
            stage_s,
        )

    def memory_bytes(self) -> int:
        """Of the lanes' fixed places, without what graphs need between."""
        of_lane = 0
        for name in tensors_of(self.model, self.shapes[0]):
            tensors = [tensors_of(self.model, shape)[name] for shape in self.shapes]
            of_lane += max(tensor.numel() * tensor.element_size() for tensor in tensors)
        return of_lane * self._count


def _seconds(streams: Streams, marks: Sequence[Any]) -> dict[str, float]:
    copied, heard, said, told = (streams.seconds(*both) for both in pairwise(marks))
    return dict(zip(STAGES, (copied + told, heard, said), strict=True))
