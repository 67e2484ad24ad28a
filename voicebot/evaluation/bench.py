"""How many calls a machine can recognise: measured in real time, beside what it could do at best.

Streams are raised until the 99th percentile of chunk latency passes the chunk, first by factors,
then by halving what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from voicebot.asr.checkpoint import SHIPPED
from voicebot.asr.device_streams import device_named, use_threads
from voicebot.asr.fastconformer_device import FastConformerLanes, lane_of
from voicebot.asr.fastconformer_stream import ChunkShape
from voicebot.asr.moonshine import Dimensions, Moonshine
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_engine import DeviceEngine
from voicebot.engine.kept_audio import take_turns
from voicebot.engine.runner import RING_S
from voicebot.errors import CapacityError, UserMistake
from voicebot.evaluation import bench_models
from voicebot.evaluation.bench_memory import Memory, in_use, weights_of
from voicebot.evaluation.bench_pace import (
    SPEECH_S,
    SPEECH_SHARE,
    Measured,
    StreamingTrial,
    Trial,
)
from voicebot.evaluation.bench_roofline import (
    Device,
    Work,
    describe,
    fastconformer_work,
    telephone_work,
)
from voicebot.evaluation.bench_utterances import UtteranceTrial

TELEPHONE_HZ = 8000
GROWTH = 2.0
NARROW = 1.15
"""The search ends when what holds and what does not are that close."""
LEFT_OUT = 0.01
"""Share of chunks that may be replaced by newer ones before they are computed."""
FINAL_MS = 500
"""What finals should take at most, 99 of 100 of them; told where they take longer."""
CHUNK_MS, PARTIAL_MS = 160, 300
"""Unless asked for: of a step, and between partials of the telephone model (as T-one's figure)."""
MOST_STREAMS = 1 << 16
"""Of a trial; the host keeps a place for each."""
SERVED_BATCH = 8
"""Utterances of the telephone model that a server computes at once on a CPU."""
TELEPHONE_RING_S = 20.0
"""Audio kept of a call of the telephone model: its longest utterance."""


@dataclass(slots=True)
class Bench:
    """A model on a device, ready to be measured."""

    model: str
    device: Device
    chunk_ms: int
    trial: Trial
    work: Work
    lane_rows: int
    state_bytes: int
    is_cpu: bool
    trials: list[Measured] = field(default_factory=list)
    memory_of: Callable[[int], Memory] | None = None
    """Of so many streams, or of as many as there is room for already."""
    notes: Sequence[str] = ()
    """What is not as it should be on this device."""

    def memory(self) -> Memory:
        """Now, after the trials so far: the largest took the most."""
        most = max((trial.streams for trial in self.trials), default=0)
        if self.memory_of is not None:
            return self.memory_of(most)
        return Memory(0, self.state_bytes, most, 0, in_use(torch.device("cpu")))

    def holds(self, measured: Measured) -> bool:
        """Whether all chunks but one in a hundred were in time, and none but as many left out."""
        return (
            measured.left_out_share <= LEFT_OUT
            and measured.percentile_ms("chunks", 99) <= self.chunk_ms
        )

    def is_final_late(self, measured: Measured) -> bool:
        """Whether callers wait too long for finals, which the search does not look at."""
        return bool(measured.finals) and measured.percentile_ms("finals", 99) > FINAL_MS

    def run(self, streams: int, seconds: float, *, is_search: bool) -> Iterator[Measured]:
        """Trials as they are done, the one with `streams` first; they stay in `trials`."""
        for count in self._counts(streams) if is_search else iter([streams]):
            try:
                measured = self.trial(count, seconds)
            except CapacityError:  # no memory for more: that, too, is a limit
                if not self.trials:
                    raise
                measured = Measured(count, is_hopeless=True)
            self.trials.append(measured)
            yield measured

    def _counts(self, streams: int) -> Iterator[int]:
        good, bad = 0, 0
        count = streams
        while True:
            yield count
            if self.holds(self.trials[-1]):
                good = max(good, count)
            else:
                bad = count
            if not bad:
                count = max(count + 1, round(count * GROWTH))
            elif bad <= max(good * NARROW, good + 1):
                return
            else:
                count = (good + bad) // 2

    def report(self) -> dict[str, object]:
        """The figures of the trials so far; null where nothing was measured."""
        first = self.trials[0] if self.trials else Measured(0)
        most = max((m.streams for m in self.trials if self.holds(m)), default=0)
        return {
            "model": self.model,
            "device": self.device.name,
            "streams": first.streams,
            "max_streams": most,
            "chunk_ms": self.chunk_ms,
            "chunk_p99_ms": _finite(first.told_ms("chunks", 99)),
            "final_p95_ms": _finite(first.told_ms("finals", 95)),
            "final_p99_ms": _finite(first.told_ms("finals", 99)),
            "roofline_ms": round(self.roofline_ms(most or first.streams), 4),
            "state_mb_per_stream": round(self.state_bytes / 1e6, 4),
            "left_out_share": round(first.left_out_share, 4),
            "of_roofline": round(self.step_ms(first) / self.roofline_ms(max(1, first.streams)), 2),
        }

    def roofline_ms(self, streams: int) -> float:
        """At best, for one chunk of all of them."""
        return self.work.seconds(self.device, streams, -(-streams // self.lane_rows)) * 1000

    def step_ms(self, measured: Measured) -> float:
        """Computed in fact, for one chunk of all streams."""
        return measured.busy_s / max(measured.wall_s, 1e-9) * self.chunk_ms

    def device_ms(self, measured: Measured) -> float:
        """The same of the device alone, without its host; where batches run side by side there,
        their times are added."""
        return sum(measured.stage_s.values()) / max(measured.wall_s, 1e-9) * self.chunk_ms


def _finite(value: float) -> float | None:
    return round(value, 2) if np.isfinite(value) else None


def prepare(
    model: str,
    device_name: str,
    chunk_ms: int | None = None,
    *,
    activity: float = SPEECH_SHARE,
    threads: int = 0,
    tell: Callable[[str], object] = lambda _: None,
) -> Bench:
    """Build and warm up; UserMistake for a model, device or chunk that is not there.

    `activity`: how much of the time callers of the telephone model speak. `threads` of a CPU; 0:
    as many as serve calls, all cores but one.
    """
    if model not in bench_models.NAMES:
        raise UserMistake(
            f"bench: {model!r} is no model; there are {', '.join(bench_models.NAMES)}"
        )
    if chunk_ms is None:
        chunk_ms = PARTIAL_MS if model == bench_models.TELEPHONE else CHUNK_MS
    device = device_named(device_name, "bench")
    if device.type == "cpu":
        use_threads(threads)
    tell("measuring the device")
    described = describe(device)
    if model == bench_models.TELEPHONE:
        if not 20 <= chunk_ms <= 2000:
            raise UserMistake(f"bench: a chunk of {chunk_ms} ms is not between 20 and 2000 ms")
        serves = _as_served if device.type == "cpu" else _in_batches
        return serves(device, described, chunk_ms, activity, tell)
    config = bench_models.CONFIGS[model]
    wanted_ms, chunk_ms = chunk_ms, ChunkShape.nearest_ms(chunk_ms, config)
    shape = ChunkShape.of_ms(chunk_ms, config, TELEPHONE_HZ)
    tell(f"building {model}")
    network = bench_models.fastconformer(model, device)
    rows, buckets = lane_of(config, device)
    lanes = FastConformerLanes(
        network, shape, lane_rows=rows, buckets=buckets, clock=time.perf_counter
    )
    if device.type == "cuda":
        take_turns()
    # The trials themselves look for the limit, so that admission must not hide it.
    engine = DeviceEngine(lanes, lanes=MOST_STREAMS // rows, admission=Admission(1e9))
    engine.reserve(1)

    def engine_for(streams: int) -> DeviceEngine:
        engine.reserve(streams)
        engine.stage_s, engine.steps = {}, 0
        return engine

    weights = sum(parameter.numel() for parameter in network.parameters())
    item = 2 if device.type == "cuda" else 4
    return Bench(
        model,
        described,
        chunk_ms,
        StreamingTrial(engine_for, shape.samples, shape.lead),
        fastconformer_work(config, shape.frames, parameters=weights, item_bytes=item),
        rows,
        lanes.state_bytes(),
        device.type == "cpu",
        memory_of=lambda _: Memory(
            weights_of(network),
            lanes.state_bytes(),
            engine.slots,
            lanes.buffer_bytes(),
            in_use(device),
        ),
        notes=[f"chunks of {wanted_ms} ms are none of this model's: measured at {chunk_ms} ms"]
        if wanted_ms != chunk_ms
        else [],
    )


def _as_served(
    device: torch.device,
    described: Device,
    chunk_ms: int,
    activity: float,
    tell: Callable[[str], object],
) -> Bench:
    """The shipped weights as a server runs them on a CPU: int8, drafts, a beam for finals."""
    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.kept_audio import ReplicaRunner
    from voicebot.evaluation.bench_spoken import SpokenTrial
    from voicebot.turns.end_of_turn import EndOfTurn

    tell("loading the telephone model")
    recogniser = Recogniser(Path(), torch.get_num_threads(), model=SHIPPED)
    tell("warming up")
    recogniser.warm_up()
    judge = EndOfTurn()
    trial = SpokenTrial(
        lambda streams: ReplicaRunner(streams, recogniser, end_of_turn=judge), chunk_ms, activity
    )
    work = _telephone_work(sum(p.numel() for p in Moonshine().parameters()), chunk_ms, activity)
    return Bench(
        bench_models.TELEPHONE,
        described,
        chunk_ms,
        trial,
        work,
        round(SERVED_BATCH / activity),
        RING_S * TELEPHONE_HZ * 2,
        is_cpu=True,
        memory_of=lambda streams: Memory(
            SHIPPED.stat().st_size, RING_S * TELEPHONE_HZ * 2, streams, 0, in_use(device)
        ),
    )


def _in_batches(
    device: torch.device,
    described: Device,
    chunk_ms: int,
    activity: float,
    tell: Callable[[str], object],
) -> Bench:
    """The shipped weights in large greedy batches, with all that asr-serve does around them."""
    from voicebot.asr.telephone_device import LANES, DeviceRecogniser
    from voicebot.evaluation.bench_served import ServedBatches

    tell("loading the telephone model")
    recogniser = DeviceRecogniser(Path(), device, model=SHIPPED, clock=time.perf_counter)
    tell("warming up")
    recogniser.warm_up()
    take_turns()
    network, most, item = recogniser.model, recogniser.most, 2 if device.type == "cuda" else 4
    weights = sum(parameter.numel() for parameter in network.parameters())
    ring = int(TELEPHONE_RING_S * TELEPHONE_HZ * 2)  # in the host's memory
    return Bench(
        bench_models.TELEPHONE,
        described,
        chunk_ms,
        UtteranceTrial(
            ServedBatches(recogniser, most),
            chunk_ms / 1000,
            max_batch=most,
            room=recogniser.lanes.room,
            activity=activity,
            workers=LANES,
            stages=lambda: recogniser.stage_s,
        ),
        _telephone_work(weights, chunk_ms, activity, item_bytes=item),
        round(most / activity),
        ring,
        device.type == "cpu",
        memory_of=lambda streams: Memory(
            weights_of(network), ring, streams, recogniser.lanes.memory_bytes(), in_use(device)
        ),
        notes=[
            f"no graph for {shape.rows} utterances of {shape.frames} frames: {why}"
            for shape, why in recogniser.lanes.unrecorded.items()
        ],
    )


def _telephone_work(weights: int, chunk_ms: int, activity: float, *, item_bytes: int = 4) -> Work:
    """In a chunk a stream asks for a partial while it speaks, and now and then for a final."""
    mean_s = sum(SPEECH_S) / 2
    whole, half = (
        telephone_work(Dimensions(), seconds, parameters=weights, item_bytes=item_bytes)
        for seconds in (mean_s, mean_s / 2)
    )
    finals = chunk_ms / 1000 * activity / mean_s
    return Work(
        activity * half.flops + finals * whole.flops,
        activity * half.stream_bytes + finals * whole.stream_bytes,
        half.step_bytes,
    )
