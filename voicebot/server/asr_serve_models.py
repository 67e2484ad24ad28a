"""The engine of a recogniser process, by what `--model` and `--device` name."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from voicebot.errors import CapacityError, ModelUnavailable, UserMistake
from voicebot.server import recognisers
from voicebot.server.models import FOLDER, fastconformer_file

if TYPE_CHECKING:
    from voicebot.asr.nemo_archive import Loaded
    from voicebot.config import Settings
    from voicebot.engine.engine import Engine, EngineObserver

log = structlog.get_logger(__name__)

TELEPHONE = "telephone"
RANDOM = "random:"
"""A network of that size with random weights, to try a device out: what it hears is nonsense."""
CHUNK_MS = 160


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. `threads` None: as the settings say."""

    model: str | None
    device: str
    streams: int
    chunk_ms: int | None = None
    threads: int | None = None


def make_engine(settings: Settings, wanted: Wanted, observer: EngineObserver) -> tuple[Engine, int]:
    """The engine, warm, and how many streams it has room for. UserMistake, one line, where it
    cannot be made."""
    from voicebot.asr.device_streams import device_named

    device = device_named(wanted.device, "asr-serve: --device")
    loaded = _fastconformer(settings, wanted.model)
    if loaded is not None:
        return _streaming(loaded, device, wanted, observer)
    if wanted.chunk_ms is not None:
        raise UserMistake("asr-serve: --chunk-ms is for models that listen all the time; leave out")
    if device.type == "cpu":
        return _on_cpu(settings, wanted, observer), wanted.streams
    return _in_batches(settings, device, wanted, observer), wanted.streams


# ---------------------------------------------------------------- the telephone model


def _checkpoint(settings: Settings, model: str | None) -> Path | None:
    if model is None:
        return recognisers.in_use(settings)
    name = recognisers.SHIPPED if model == TELEPHONE else model
    return recognisers.find(name, settings.asr.cache_dir)


def _telephone_runner(settings: Settings, recogniser: Any, streams: int) -> Any:
    from voicebot.engine.ears import make_spotter
    from voicebot.engine.kept_audio import ReplicaRunner
    from voicebot.turns.end_of_turn import EndOfTurn

    spotter = make_spotter((), settings.asr.cache_dir / FOLDER)
    return ReplicaRunner(streams, recogniser, hot_word=spotter, end_of_turn=EndOfTurn())


def _on_cpu(settings: Settings, wanted: Wanted, observer: EngineObserver) -> Engine:
    from voicebot.asr.checkpoint import SHIPPED
    from voicebot.engine.engine import Engine

    path = _checkpoint(settings, wanted.model) or SHIPPED
    recogniser = recognisers.load_recogniser(settings, wanted.threads, model=path)
    recogniser.warm_up()
    runner = _telephone_runner(settings, recogniser, wanted.streams)
    return Engine(runner, slots=wanted.streams, observer=observer)


def _in_batches(
    settings: Settings, device: Any, wanted: Wanted, observer: EngineObserver
) -> Engine:
    from voicebot.asr.telephone_device import LANES, DeviceRecogniser
    from voicebot.engine.scheduler import DeviceScheduler
    from voicebot.server.asr_serve_device import AcceleratedEngine

    recogniser = DeviceRecogniser(
        settings.asr.cache_dir, device, model=_checkpoint(settings, wanted.model)
    )
    recogniser.warm_up()
    for shape, why in recogniser.lanes.unrecorded.items():
        log.warning(
            "no graph for a shape of batches", rows=shape.rows, frames=shape.frames, why=why
        )
    return AcceleratedEngine(
        _telephone_runner(settings, recogniser, wanted.streams),
        slots=wanted.streams,
        is_alive=recogniser.is_alive,
        shortages=lambda: recogniser.shortages,
        scheduler=DeviceScheduler(recogniser.most, recogniser.lanes.room),
        observer=observer,
        workers=LANES,
    )


# ---------------------------------------------------------------- FastConformer


def _fastconformer(settings: Settings, model: str | None) -> Loaded | None:
    """What `model` names, if it is one of that family."""
    if model is None:
        return None
    if model.startswith(RANDOM):
        return _random(model.removeprefix(RANDOM))
    path = fastconformer_file(model, settings.asr.cache_dir)
    if path is None:
        named = Path(model).expanduser()
        path = named if named.suffix == ".nemo" or named.is_dir() else None
    if path is None:
        return None
    from voicebot.asr.nemo_archive import load

    return load(path)


def _random(name: str) -> Loaded:
    from voicebot.asr.device_streams import device_named
    from voicebot.asr.nemo_archive import Loaded
    from voicebot.asr.vocabulary import Vocabulary
    from voicebot.evaluation.bench_models import CONFIGS, fastconformer

    if name not in CONFIGS:
        raise UserMistake(
            f"asr-serve: --model {RANDOM}{name}: there are {', '.join(RANDOM + n for n in CONFIGS)}"
        )
    network = fastconformer(name, device_named("cpu", "asr-serve"))
    tokens = [f"\u2581w{number}".encode() for number in range(CONFIGS[name].vocabulary)]
    return Loaded(network, Vocabulary(tokens))


def _streaming(
    loaded: Loaded, device: Any, wanted: Wanted, observer: EngineObserver
) -> tuple[Engine, int]:
    import time
    from functools import partial

    from voicebot.asr.device_streams import use_threads
    from voicebot.asr.fastconformer_device import FastConformerLanes, lane_of, placed
    from voicebot.asr.fastconformer_stream import ChunkShape
    from voicebot.asr.transducer_text import hypothesis
    from voicebot.engine.device_calls import DeviceCalls
    from voicebot.engine.device_engine import DeviceEngine
    from voicebot.engine.kept_audio import KeptAudio, ReplicaRunner, take_turns
    from voicebot.events import SAMPLE_RATE_HZ
    from voicebot.server.asr_serve_device import HUNG_S, StreamingEngine

    if loaded.model.transducer is None:
        raise ModelUnavailable("asr-serve: this model has a CTC head only; take a transducer")
    if device.type == "cpu":
        use_threads(wanted.threads or 0)
    config = loaded.model.config
    shape = ChunkShape.of_ms(wanted.chunk_ms or CHUNK_MS, config, SAMPLE_RATE_HZ)
    if shape.frames - 1 not in config.lookaheads:
        known = ", ".join(str(80 * (ahead + 1)) for ahead in sorted(config.lookaheads))
        log.warning("chunks of a length that the model was not trained with", trained_ms=known)
    most, sizes = lane_of(config, device)
    rows = min(most, wanted.streams)
    lanes = FastConformerLanes(
        placed(loaded.model, device),
        shape,
        lane_rows=rows,
        buckets=[size for size in sizes if size < rows],
        clock=time.perf_counter,
    )
    engine = DeviceEngine(lanes, lanes=-(-wanted.streams // rows))
    streams = _reserved(engine, wanted.streams)
    engine.measure()
    if device.type == "cuda":
        take_turns()
    frame = shape.samples // shape.frames
    spell = partial(hypothesis, loaded.vocabulary, frame_samples=frame)
    runner = ReplicaRunner(streams, None)
    assert isinstance(runner.hearing, KeptAudio)
    calls = DeviceCalls(engine, runner.hearing, spell, frame)
    serving = StreamingEngine(
        runner,
        calls,
        slots=streams,
        is_alive=lanes.is_alive,
        observer=observer,
        hung_s=HUNG_S if device.type == "cuda" else inf,  # a CPU is late, but never hangs
    )
    return serving, streams


def _reserved(engine: Any, streams: int) -> int:
    """Memory and graphs for all streams, or for as many as there is memory for: to make room
    while calls are live would hold them up."""
    try:
        engine.reserve(streams)
    except CapacityError as error:
        if not engine.slots:
            raise UserMistake(f"asr-serve: {error}, not even for {engine.lane_rows}") from None
        log.warning("memory for fewer streams", wanted=streams, streams=engine.slots)
    return min(streams, int(engine.slots))
