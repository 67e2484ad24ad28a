"""FastConformer for many callers on one device: lanes of slots whose steps are CUDA graphs.

A lane is a run of slots that advance together. Its state, inputs and outputs lie at fixed places,
so a step of its first `bucket` rows is captured once per bucket and only replayed after that:
nothing is allocated, gathered or asked of the device while calls run. Audio goes in and labels
come out through pinned memory on streams of their own. On a CPU the same steps run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voicebot.asr.device_streams import Streams, is_full, steady_attention
from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_stream import NEVER, ChunkShape, FastConformer, Streamer
from voicebot.asr.lanes import LaneChunk, LaneStep
from voicebot.asr.transducer import Labels
from voicebot.errors import CapacityError

ROUNDS = 4
"""Label rounds in one graph: more than most chunks need; the graph is replayed for the rest."""
WARM_UPS = 3
STAGES = ("features", "encoder", "decoder", "copies")


@dataclass(slots=True)
class _Lane:
    """Fixed places of one lane; `host_*` are pinned where there is a GPU."""

    state: Any
    audio: Tensor  # int16[R, samples]
    active: Tensor  # bool[R]
    ends: Tensor  # int64[R]
    mel: Tensor  # [R, t, mels]
    encoded: Tensor  # [R, T, J]
    counts: Tensor  # int64[R]
    labels: Labels
    finite: Tensor  # bool[R]
    host: dict[str, Tensor]
    graphs: dict[tuple[str, int], Any] = field(default_factory=dict)
    rows: int = 0  # of the step that runs
    marks: list[Any] = field(default_factory=list)


class FastConformerLanes:
    """Everything on the device; see engine.device_engine.LaneModel, which it is."""

    def __init__(
        self,
        model: FastConformer,
        shape: ChunkShape,
        *,
        lane_rows: int,
        buckets: Sequence[int] = (),
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`lane_rows`: slots of a lane; `buckets`: batch sizes to prepare, the lane's is one.

        `clock`: seconds, for the times of stages where the device has no clock of its own.
        """
        if model.transducer is None:
            raise ValueError("only transducers are decoded on the device")
        self.streamer = Streamer(model, shape)
        self.transducer = model.transducer
        self.chunk_samples, self.lead_samples = shape.samples, shape.lead
        self.input_hz, self.frames = shape.input_hz, shape.frames
        self.lane_rows = lane_rows
        self.buckets: Sequence[int] = sorted({*(b for b in buckets if b < lane_rows), lane_rows})
        self.device = self.streamer.device
        self.is_cuda = self.device.type == "cuda"
        self._streams = Streams(self.device, clock)
        self._lanes: list[_Lane] = []
        self._fresh = self.streamer.allocate(1)
        self._pool: Any = None

    # ------------------------------------------------------------ lanes

    def add_lane(self) -> None:
        """Memory and graphs for `lane_rows` more callers; CapacityError where they do not fit."""
        try:
            lane = self._allocate()
            if self.is_cuda:
                for bucket in self.buckets:
                    self._capture(lane, bucket)
                self._streams.settle()
        except (RuntimeError, MemoryError) as error:
            if not is_full(error):
                raise
            if self.is_cuda:
                torch.cuda.empty_cache()
            raise CapacityError("the device has no memory for more calls", why="memory") from error
        self._lanes.append(lane)

    def is_alive(self) -> bool:
        """Whether the device still computes."""
        return self._streams.is_alive()

    def chunks_of(self, samples: int) -> int:
        """Steps until audio of that length (at `input_hz`, without the lead) is all said."""
        frames = samples * self.streamer.shape.mel_frames // self.chunk_samples
        for _ in range(3):  # as fastconformer.stem_counts
            frames = frames // 2 + 1
        return -(-frames // self.frames)

    def reset(self, lane: int, rows: Sequence[int]) -> None:
        """New callers take these rows; the lane has no step under way."""
        with torch.inference_mode(), self._streams.on("compute"):
            where = self._streams.indices(list(rows))
            self.streamer.reset(self._lanes[lane].state, self._fresh, where)

    def state_bytes(self) -> int:
        """Device memory of one caller's state."""
        return self._fresh.bytes_per_slot()

    def buffer_bytes(self) -> int:
        """Device memory of the lanes' fixed inputs and outputs, and of position keys."""
        own = list(self.streamer.position_keys)
        for lane in self._lanes:
            labels = [getattr(lane.labels, name) for name in ("tokens", "frames", "log_probs")]
            own += [lane.audio, lane.active, lane.ends, lane.mel, lane.encoded, lane.counts]
            own += [*labels, lane.labels.count, lane.labels.pending, lane.finite]
        return sum(tensor.numel() * tensor.element_size() for tensor in own)

    def memory_bytes(self) -> int:
        """Device memory in use; of a CPU what was allocated for lanes."""
        if self.is_cuda:
            return int(torch.cuda.memory_allocated(self.device))
        return self.state_bytes() * self.lane_rows * len(self._lanes)

    def _allocate(self) -> _Lane:
        rows, device, streamer = self.lane_rows, self.device, self.streamer
        config, shape = streamer.config, streamer.shape
        kept = {
            "audio": torch.zeros(rows, shape.samples, dtype=torch.int16),
            "active": torch.zeros(rows, dtype=torch.bool),
            "ends": torch.full((rows,), NEVER),
            "finite": torch.ones(rows, dtype=torch.bool),
            "pending": torch.zeros(1, dtype=torch.bool),
        }
        labels = Labels.empty(rows, shape.frames, config.max_symbols, device)
        for name in ("tokens", "frames", "log_probs", "count"):
            kept[name] = torch.zeros_like(getattr(labels, name), device="cpu")
        host = {name: self._streams.pinned(tensor) for name, tensor in kept.items()}
        return _Lane(
            state=streamer.allocate(rows),
            audio=host["audio"].to(device, copy=True),
            active=host["active"].to(device, copy=True),
            ends=host["ends"].to(device, copy=True),
            mel=torch.zeros(rows, shape.mel_frames, config.mels, device=device),
            encoded=torch.zeros(
                rows, shape.frames, config.joint_width, dtype=streamer.dtype, device=device
            ),
            counts=torch.zeros(rows, dtype=torch.int64, device=device),
            labels=labels,
            finite=torch.ones(rows, dtype=torch.bool, device=device),
            host=host,
        )

    # ------------------------------------------------------------ the three stages

    def _features(self, lane: _Lane, rows: int) -> None:
        state = lane.state.rows(0, rows)
        mel = self.streamer.hear(state, lane.audio[:rows], lane.active[:rows], lane.ends[:rows])
        lane.mel[:rows].copy_(mel)

    def _encoder(self, lane: _Lane, rows: int) -> None:
        state = lane.state.rows(0, rows)
        active, ends = lane.active[:rows], lane.ends[:rows]
        frames = self.streamer.encode(state, lane.mel[:rows], active, ends)
        lane.finite[:rows].copy_(frames.isfinite().flatten(1).all(1) | ~active)
        counts = self.streamer.valid_frames(state, active, ends) * lane.finite[:rows]
        lane.counts[:rows].copy_(counts)
        lane.encoded[:rows].copy_(self.transducer.encoder(frames))
        decoder, labels = state.decoder, lane.labels.rows(0, rows)
        self.transducer.begin(decoder, labels, lane.counts[:rows])

    def _rounds(self, lane: _Lane, rows: int) -> None:
        decoder, labels = lane.state.decoder.rows(0, rows), lane.labels.rows(0, rows)
        encoded, counts = lane.encoded[:rows], lane.counts[:rows]
        for _ in range(ROUNDS):
            self.transducer.round(encoded, counts, decoder, labels)
            if not self.is_cuda and not bool(labels.pending):
                break
        self.transducer.finish(decoder, labels, counts)

    def _capture(self, lane: _Lane, rows: int) -> None:
        """Record the stages for a bucket; rows are inactive meanwhile, so nothing changes."""
        stages: dict[str, Callable[[_Lane, int], None]] = {
            "features": self._features,
            "encoder": self._encoder,
            "decoder": self._rounds,
        }
        lane.active.zero_()
        self._streams.settle()
        with torch.inference_mode():
            with self._streams.on("compute"):  # libraries take their memory before
                for _ in range(WARM_UPS):
                    for stage in stages.values():
                        stage(lane, rows)
            self._streams.settle()
            torch.cuda.empty_cache()  # graphs take memory of their own
            for name, stage in stages.items():
                with self._streams.capturing(self._pool) as graph:
                    stage(lane, rows)
                self._pool = self._pool or graph.pool()
                lane.graphs[name, rows] = graph

    def _run(self, lane: _Lane, name: str) -> None:
        if self.is_cuda:
            lane.graphs[name, lane.rows].replay()
            return
        stage = {"features": self._features, "encoder": self._encoder, "decoder": self._rounds}
        stage[name](lane, lane.rows)

    # ------------------------------------------------------------ a step

    def submit(self, number: int, chunk: LaneChunk) -> None:
        """Begin a step of the lane."""
        lane, count = self._lanes[number], len(chunk.audio)
        lane.rows = next(bucket for bucket in self.buckets if bucket >= count)
        host, ends = lane.host, torch.from_numpy(chunk.ends)
        host["active"].zero_()
        host["audio"][:count] = torch.from_numpy(chunk.audio)
        host["active"][:count] = torch.from_numpy(chunk.active)
        scaled = ends * (self.streamer.shape.mel_frames * 160)
        scaled = torch.div(scaled, self.chunk_samples, rounding_mode="floor")
        host["ends"][:count] = torch.where(ends < 0, NEVER, scaled)
        with torch.inference_mode():
            self._submit(lane)

    def _submit(self, lane: _Lane) -> None:
        streams, rows = self._streams, lane.rows
        lane.marks = [streams.mark("in")]
        with streams.on("in"):
            for name in ("audio", "active", "ends"):
                getattr(lane, name)[:rows].copy_(lane.host[name][:rows], non_blocking=True)
        lane.marks.append(streams.mark("in"))
        streams.follow("compute", lane.marks[-1])
        with streams.on("compute"):
            lane.marks.append(streams.mark("compute"))
            for name in STAGES[:3]:
                self._run(lane, name)
                lane.marks.append(streams.mark("compute"))
        self._fetch(lane)

    def _fetch(self, lane: _Lane) -> None:
        streams, rows, labels = self._streams, lane.rows, lane.labels
        streams.follow("out", lane.marks[-1])
        with streams.on("out"):
            for name in ("tokens", "frames", "log_probs", "count"):
                lane.host[name][:rows].copy_(getattr(labels, name)[:rows], non_blocking=True)
            lane.host["finite"][:rows].copy_(lane.finite[:rows], non_blocking=True)
            lane.host["pending"].copy_(labels.pending, non_blocking=True)
        lane.marks.append(streams.mark("out"))

    def collect(self, number: int) -> LaneStep:
        """Wait for the lane's step; whatever the device reports is raised here."""
        lane = self._lanes[number]
        self._streams.wait(lane.marks[-1])
        while bool(lane.host["pending"]):
            with torch.inference_mode():
                with self._streams.on("compute"):
                    self._run(lane, "decoder")
                    lane.marks.append(self._streams.mark("compute"))
                self._fetch(lane)
            self._streams.wait(lane.marks[-1])
        return self._told(lane)

    def _told(self, lane: _Lane) -> LaneStep:
        host, rows = {name: t.numpy() for name, t in lane.host.items()}, lane.rows
        count = np.where(host["finite"][:rows], host["count"][:rows], 0)
        (told,) = count.nonzero()
        splits = np.concatenate([[0], count[told].cumsum()]).astype(np.int64)
        wanted = np.arange(host["tokens"].shape[1]) < count[told, None]
        failed = tuple(int(row) for row in (~host["finite"][:rows]).nonzero()[0])
        return LaneStep(
            told,
            splits,
            host["tokens"][told][wanted],
            host["frames"][told][wanted],
            host["log_probs"][told][wanted],
            failed,
            self._stage_times(lane.marks),
        )

    def _stage_times(self, marks: list[Any]) -> dict[str, float]:
        """Seconds of each stage; decoder rounds after the first graph count as decoder."""

        between = self._streams.seconds
        begin, copied, started, heard, encoded, decoded = marks[:6]
        found = {
            "features": between(started, heard),
            "encoder": between(heard, encoded),
            "decoder": between(encoded, decoded),
            "copies": between(begin, copied) + between(decoded, marks[6]),
        }
        for first, last in pairwise(marks[6:]):
            found["decoder"] += between(first, last)
        return found


def lane_of(config: FastConformerConfig, device: torch.device) -> tuple[int, tuple[int, ...]]:
    """Callers of a lane, and smaller batches to prepare for lanes that are not full.

    On a GPU a step's thousand launches take milliseconds, however few the callers: the more of
    them share one, the better. What bounds a lane is the memory that it takes at once (state of
    2.7 MB a caller in 115M, 7.5 in 0.6B) and that all of it computes when one caller ends.
    """
    if device.type == "cpu":
        return 32, (1, 2, 4, 8, 16)
    rows = 2048 if config.width <= 512 else 1024
    return rows, (rows // 16, rows // 8, rows // 4, rows // 2)


def placed(model: FastConformer, device: torch.device) -> FastConformer:
    """The model where it shall run: on a GPU in bfloat16, its features in float32."""
    if device.type == "cuda":
        steady_attention()
        model = model.to(torch.bfloat16)
        model.make_constants()
    return model.to(device)
