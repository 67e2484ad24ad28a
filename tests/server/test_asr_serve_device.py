"""Recogniser processes whose model runs on a device, over real sockets.

On a CPU, and on a GPU where there is one: there steps are captured as graphs by the thread that
makes the engine, and replayed by the one that recognises.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from devices import DEVICES, no_tf32
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from server.replicas import TOKEN, Caller, Client, client, eventually, front_end, running

from voicebot.asr.moonshine import Dimensions, Moonshine
from voicebot.asr.telephone_device import DeviceRecogniser
from voicebot.asr.vocabulary import Vocabulary
from voicebot.audio import mulaw
from voicebot.config import load_settings
from voicebot.engine.kept_audio import ReplicaRunner
from voicebot.engine.replica_load import FAILING
from voicebot.engine.scheduler import JobKind
from voicebot.engine.wire import Answer, Ask, Audio, Closed, Load, Open, Opened, Reason, State
from voicebot.errors import UserMistake
from voicebot.monitoring.metrics import Metrics
from voicebot.server import asr_serve, commands_asr_serve
from voicebot.server.asr_serve import Replica
from voicebot.server.asr_serve_device import AcceleratedEngine, StreamingEngine
from voicebot.server.asr_serve_models import Wanted, make_engine

pytestmark = pytest.mark.e2e

SECOND = 8000


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """These clients wait for answers, without heartbeats, however busy the machine is."""
    monkeypatch.setattr("voicebot.server.asr_serve_connection.SILENT_S", 60.0)


def noise(seconds: float, seed: int = 4) -> bytes:
    rng = np.random.default_rng(seed)
    return mulaw.encode(rng.normal(0, 1600, round(seconds * SECOND)).astype(np.int16))


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def replica_of(
    tmp_path: Path, streams: int = 3, model: str = "random:tiny", device: str = "cpu"
) -> Replica:
    settings = load_settings(_env_file=None, asr={"cache_dir": tmp_path})
    metrics = Metrics()
    wanted = Wanted(model, device, streams, threads=1)
    engine, room = make_engine(settings, wanted, metrics)
    return Replica(engine, room, metrics, TOKEN)


@pytest.fixture
async def replica(tmp_path: Path, device: str) -> Replica:
    return replica_of(tmp_path, device=device)


@pytest.fixture
async def url(replica: Replica) -> AsyncIterator[str]:
    async with running(replica) as address:
        yield address


async def said_by(front_end: Client, stream: int, audio: bytes, request: int = 1) -> str:
    """Audio as it is spoken (but faster), a partial on the way, then the final."""
    half = len(audio) // 2
    for begin in range(0, len(audio), 1024):
        await front_end.say(Audio(stream, begin, audio[begin : begin + 1024]))
        if begin < half <= begin + 1024:
            end = begin + len(audio[begin : begin + 1024])
            await front_end.say(Ask(stream, 100 + request, 1, JobKind.PARTIAL, 0, 0, end))
    await front_end.say(Ask(stream, request, 1, JobKind.FINAL, 0, 0, len(audio)))
    while True:
        answer = await front_end.until(Answer)
        assert isinstance(answer, Answer)
        if answer.request == request:
            assert answer.hypothesis is not None
            return answer.hypothesis.text


def settle(lanes: object) -> None:
    """What a test has changed is there before the streams of the device go on."""
    lanes._streams.settle()  # type: ignore[attr-defined]


async def test_a_fastconformer_answers_partials_and_finals_over_the_same_wire(url: str) -> None:
    async with client(url) as good:
        await good.opened(1)
        await good.opened(2)
        texts = [await said_by(good, 1, noise(2.0)), await said_by(good, 2, noise(1.5, seed=9), 2)]
    assert all(text.startswith("w") for text in texts)


async def test_what_was_told_twice_is_answered_the_same(url: str) -> None:
    """As after a loss: the whole utterance once more, all at once, to a stream of another slot."""
    async with client(url) as good:
        await good.opened(1)
        first = await said_by(good, 1, noise(2.0))
        await good.say(Open(7, 0))
        await good.until(Opened)
        audio = noise(2.0)
        await good.say(
            Audio(7, 0, audio[:8000]),
            Audio(7, 8000, audio[8000:]),
            Ask(7, 3, 1, JobKind.FINAL, 0, 0, len(audio)),
        )
        answer = await good.until(Answer)
        assert isinstance(answer, Answer)
        assert answer.hypothesis is not None
        # Where a chunk begins in the audio differs with the moment: most words are the same.
        again = answer.hypothesis.text.split()
        assert len(set(again) & set(first.split())) >= len(set(again)) // 2


async def test_no_time_refuses_new_streams_in_one_line_and_keeps_live_ones(
    replica: Replica, url: str
) -> None:
    engine = replica.engine
    assert isinstance(engine, StreamingEngine)
    async with client(url) as good:
        await good.opened(1)
        await eventually(lambda: engine._placed)
        for size in (1, 2, 3):
            engine._streams.lanes.admission.record(size, 10.0)
        await good.say(Audio(1, 0, noise(0.1)))
        await good.say(Ask(1, 9, 1, JobKind.PARTIAL, 0, 0, 800))
        await eventually(lambda: engine._full is not None)
        await good.say(Open(2, 0))
        closed = await good.until(Closed)
        assert closed == Closed(2, Reason.FULL, "the device has no time for another call")
        rest = noise(1.0)
        await good.say(Audio(1, 800, rest), Ask(1, 5, 1, JobKind.FINAL, 0, 0, 800 + len(rest)))
        while (answer := await good.until(Answer)) and answer.request != 5:  # type: ignore[union-attr]
            pass
    name = "voicebot_replica_refused_total"
    assert replica.metrics.registry.get_sample_value(name, {"why": "time"}) == 1


async def test_a_slot_that_fails_harms_no_neighbour(replica: Replica, url: str) -> None:
    engine = replica.engine
    assert isinstance(engine, StreamingEngine)
    lanes = engine._streams.lanes._model
    async with client(url) as good:
        await good.opened(1)
        await good.opened(2)
        plain = await said_by(good, 2, noise(1.5))
        with torch.inference_mode():
            lanes._lanes[0].state.conv[:, 0] = float("nan")  # type: ignore[attr-defined]
        settle(lanes)
        whole = await said_by(good, 1, noise(1.5))
        assert whole.startswith("w")
        assert plain.startswith("w")
    failures = replica.metrics.registry.get_sample_value(
        "voicebot_engine_failures_total", {"stage": "recognise"}
    )
    assert failures == 1


async def ready(url: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urlopen(f"{url.replace('ws://', 'http://')}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()

    return await asyncio.to_thread(get)


async def test_a_replica_whose_every_answer_fails_is_not_ready(replica: Replica, url: str) -> None:
    engine = replica.engine
    assert isinstance(engine, StreamingEngine)
    lanes = engine._streams.lanes._model
    with torch.inference_mode():
        lanes.transducer.encoder.weight.fill_(float("nan"))  # type: ignore[attr-defined]
        lanes.streamer.model.encoder.stem.out.weight.fill_(float("nan"))  # type: ignore[attr-defined]
    settle(lanes)
    assert await ready(url) == (200, "open")
    async with client(url) as good:
        await good.opened(1)
        audio = noise(1.0)
        for request in range(FAILING):
            begin = request * len(audio)
            await good.say(
                Audio(1, begin, audio),
                Ask(1, request, request, JobKind.FINAL, 0, begin, begin + len(audio)),
            )
            answer = await good.until(Answer)
            assert isinstance(answer, Answer)
            assert answer.hypothesis is None
        assert await ready(url) == (503, "failing")
        await good.say(Open(2, 0))
        assert await good.until(Closed) == Closed(2, Reason.FULL, "every answer fails")
    value = replica.metrics.registry.get_sample_value
    assert value("voicebot_replica_refused_total", {"why": "failures"}) == 1


async def test_a_call_that_comes_after_the_device_is_lost_is_told_so(
    replica: Replica, url: str
) -> None:
    engine = replica.engine
    assert isinstance(engine, StreamingEngine)
    async with client(url) as good:
        engine.is_lost = True  # the loop does not know yet
        await good.say(Open(2, 0))
        assert await good.until(Closed) == Closed(2, Reason.DEVICE_LOST, "the device is lost")
    value = replica.metrics.registry.get_sample_value
    assert value("voicebot_replica_refused_total", {"why": "device"}) == 1


async def test_a_lost_device_is_told_to_all_and_ends_the_process(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = replica.engine
    assert isinstance(engine, StreamingEngine)
    model = engine._streams.lanes._model

    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    async with running(replica) as address, client(address) as good:
        await good.opened(1)
        monkeypatch.setattr(model, "submit", broken)
        monkeypatch.setattr(model, "is_alive", lambda: False)
        await good.say(Audio(1, 0, noise(1.0)), Ask(1, 1, 1, JobKind.FINAL, 0, 0, SECOND))
        assert await good.until(Closed) == Closed(1, Reason.DEVICE_LOST, "the device is lost")
        load = await good.until(Load)
        assert isinstance(load, Load)
        assert load.state is State.DRAINING
        await good.say(Open(2, 0))
        assert await good.until(Closed) == Closed(2, Reason.DRAINING)
    value = replica.metrics.registry.get_sample_value
    assert value("voicebot_replica_device_lost") == 1
    assert value("voicebot_replica_refused_total", {"why": "device"}) == 1


async def test_a_process_whose_device_is_lost_ends_so_that_another_is_started(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(asr_serve, "TELL_S", 0.0)
    told: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(
            asr_serve.serve_until_signalled(replica, bound, lambda: told.append(1))
        )
        await eventually(lambda: told)
        assert isinstance(replica.engine, StreamingEngine)
        replica.engine._lose()
        async with asyncio.timeout(5):
            assert await serving == asr_serve.DEVICE_LOST == 75


class Hanging:
    """A device that neither answers nor fails, until the test is over."""

    def __init__(self) -> None:
        self.is_entered, self.is_over = threading.Event(), threading.Event()

    def __call__(self, *_: object, **__: object) -> None:
        self.is_entered.set()
        self.is_over.wait(60)
        raise RuntimeError("over")


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    monkeypatch.setattr(asr_serve, "LOOK_S", 0.02)
    hanging = Hanging()
    yield hanging
    hanging.is_over.set()


@pytest.mark.parametrize("model", ["streaming", "telephone"])
async def test_a_device_that_hangs_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanging: Hanging, model: str
) -> None:
    """Its thread never returns, and nobody waits for it: not the calls, nor the end."""
    replica = replica_of(tmp_path) if model == "streaming" else small_telephone("cpu")[0]
    engine = replica.engine
    assert isinstance(engine, AcceleratedEngine)
    if isinstance(engine, StreamingEngine):
        monkeypatch.setattr(engine._streams.lanes._model, "collect", hanging)
    else:
        monkeypatch.setattr(engine._runner, "recognise", hanging)
    monkeypatch.setattr("voicebot.engine.engine.STOP_TIMEOUT_S", 1000.0)
    now = [time.monotonic()]
    engine._clock, engine._hung_s = lambda: now[0], 10.0
    async with running(replica) as address, client(address) as good:
        await good.opened(1)
        await good.say(Audio(1, 0, noise(1.0)), Ask(1, 1, 1, JobKind.FINAL, 0, 0, SECOND))
        async with asyncio.timeout(20):
            while not hanging.is_entered.is_set():  # the clock stands: none is late
                await asyncio.sleep(0.01)
                now[0] += 0.005
        now[0] += 9.0
        await asyncio.sleep(0.1)
        assert not engine.is_lost
        now[0] += 1.1
        assert await good.until(Closed) == Closed(1, Reason.DEVICE_LOST, "the device is lost")
    value = replica.metrics.registry.get_sample_value
    assert value("voicebot_replica_device_lost") == 1
    assert value("voicebot_engine_failures_total", {"stage": "device"}) == 1
    assert not hanging.is_over.is_set()


def test_the_process_of_a_lost_device_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(commands_asr_serve.os, "_exit", codes.append)
    commands_asr_serve._ended(asr_serve.DEVICE_LOST)
    assert codes == [75]
    assert commands_asr_serve._ended(0) == 0
    assert codes == [75]


@pytest.mark.parametrize("local", [True, False])
async def test_calls_of_a_lost_device_fall_back_and_metrics_say_so(
    replica: Replica, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the server's own recogniser, or to keys: an empty text, so that the plan asks for them."""
    monkeypatch.setattr("voicebot.server.asr_serve_call.FALLBACK_S", 0.1)
    async with running(replica) as address, front_end(address, local=local) as bot:
        assert await bot.engine.connect()
        caller = Caller()
        handle = bot.engine.open_call(caller)
        audio = noise(1.0)
        await bot.says(handle, caller, audio)
        assert isinstance(replica.engine, StreamingEngine)
        replica.engine._lose()
        await eventually(lambda: bot.engine._calls[handle.slot].link is None)
        bot.engine.recognise(handle, 1, JobKind.FINAL, 0, len(audio))
        text = await caller.answer()
        assert text.startswith("local ") if local else text == ""
        assert bot.counted("fallbacks_total", to="local" if local else "keys") == 1


# ---------------------------------------------------------------- the telephone model in batches


@pytest.fixture
def exact() -> Iterator[Callable[[], None]]:
    """Switches TF32 off, which a recogniser switches on for itself."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(no_tf32())


def small_recogniser(device: str, seed: int) -> DeviceRecogniser:
    torch.manual_seed(seed)
    words = Vocabulary([f"\u2581w{number}".encode() for number in range(64)])
    network = Moonshine(Dimensions(32, 64, 2, 1, 1, 64))
    return DeviceRecogniser.on(network, words, torch.device(device))


def small_telephone(device: str) -> tuple[Replica, DeviceRecogniser]:
    recogniser = small_recogniser(device, 0)
    metrics = Metrics()
    engine = AcceleratedEngine(
        ReplicaRunner(3, recogniser),
        slots=3,
        is_alive=recogniser.is_alive,
        shortages=lambda: recogniser.shortages,
        observer=metrics,
    )
    return Replica(engine, 3, metrics, TOKEN), recogniser


async def test_memory_that_ends_refuses_new_calls_and_keeps_live_ones(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, recogniser = small_telephone(device)
    encoder = recogniser.model.encoder.forward

    def narrow(samples: torch.Tensor, lengths: list[int]) -> object:
        if len(samples) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encoder(samples, lengths)

    monkeypatch.setattr(recogniser.model.encoder, "forward", narrow)
    spoken = [np.random.default_rng(n).normal(0, 0.1, 32000).astype(np.float32) for n in (1, 2)]
    spoken = [s * np.repeat(np.tile([1.0, 0.02], 10), 1600).astype(np.float32) for s in spoken]
    assert len(recogniser.transcribe(spoken)) == 2  # one by one
    assert recogniser.shortages == 1
    async with running(replica) as address, client(address) as good:
        await good.say(Open(2, 0))
        closed = await good.until(Closed)
        assert closed == Closed(2, Reason.FULL, "the device has no memory for more calls")
        engine = replica.engine
        assert isinstance(engine, AcceleratedEngine)
        engine._short_until = 0.0
        await good.opened(3)


async def test_batches_that_fail_for_the_device_lose_it(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, recogniser = small_telephone(device)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: device lost")

    monkeypatch.setattr(recogniser.lanes, "run", broken)
    monkeypatch.setattr(recogniser, "is_alive", lambda: False)
    engine = replica.engine
    assert isinstance(engine, AcceleratedEngine)
    engine._is_alive = lambda: False
    rng = np.random.default_rng(0)
    syllables = np.repeat(rng.uniform(0.02, 1.0, 40), 400)
    loud = mulaw.encode((rng.normal(0, 6000, 16000) * syllables).astype(np.int16))
    async with running(replica) as address, client(address) as good:
        await good.opened(1)
        await good.say(Audio(1, 0, loud[:8000]), Audio(1, 8000, loud[8000:]))
        await good.say(Ask(1, 5, 1, JobKind.FINAL, 0, 0, 16000))
        assert await good.until(Closed) == Closed(1, Reason.DEVICE_LOST, "the device is lost")


def syllables(counts: Sequence[int]) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    envelope = np.repeat(rng.uniform(0.02, 1.0, 40), 800)
    return [(rng.normal(0, 0.2, count) * envelope[:count]).astype(np.float32) for count in counts]


def test_a_batch_says_what_each_says_alone(device: str, exact: Callable[[], None]) -> None:
    recogniser = small_recogniser(device, 1)
    exact()
    batch = syllables((32000, 26000, 30000))
    judged = recogniser.transcribe(
        batch, judge=lambda frames, lengths: [float(len(one)) for one in frames]
    )
    alone = [recogniser.transcribe([one])[0] for one in batch]
    assert [one.text for one in judged] == [one.text for one in alone]
    assert [one.end_probability for one in judged] == [len(f) for f in recogniser.encode(batch)]


@pytest.mark.gpu
def test_the_telephone_model_says_on_a_gpu_what_it_says_on_a_cpu(
    exact: Callable[[], None],
) -> None:
    both = [small_recogniser(device, 1) for device in ("cpu", "cuda")]
    exact()
    batch = syllables((32000, 26000, 30000, 8000))
    here, there = (recogniser.transcribe(batch) for recogniser in both)
    assert [one.text for one in there] == [one.text for one in here]
    assert any(one.text for one in here)
    seen = [recogniser.encode(batch) for recogniser in both]
    for expected, found in zip(*seen, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    assert both[1].is_alive()
    assert both[1].shortages == 0


@pytest.mark.gpu
def test_memory_of_a_gpu_that_ends_halves_the_batch(exact: Callable[[], None]) -> None:
    device = torch.device("cuda", 0)
    recogniser = small_recogniser("cuda:0", 1)
    exact()
    batch = syllables((32000,)) * 512
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    whole = [one.text for one in recogniser.transcribe(batch)]
    needed = torch.cuda.max_memory_allocated(device) - held
    torch.cuda.empty_cache()
    most = torch.cuda.memory_reserved(device) + needed // 2
    share = most / torch.cuda.mem_get_info(device)[1]
    torch.cuda.set_per_process_memory_fraction(share, device)
    try:
        assert [one.text for one in recogniser.transcribe(batch)] == whole
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert recogniser.shortages > 0


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("random:parrot", "cpu", 2), "--model random:parrot: there are random:tiny"),
        (Wanted("random:tiny", "toaster", 2), "--device: 'toaster' is no device"),
        (Wanted("random:tiny", "meta", 2), "--device: 'meta' is no device"),
        (Wanted("random:tiny", "cuda:99", 2), "no device cuda:99 on this machine"),
        (Wanted("random:tiny", "cpu", 2, 100), "100 ms is no multiple of 80 ms"),
        (Wanted("telephone", "cpu", 2, 160), "--chunk-ms is for models that listen"),
        (Wanted("nothing.nemo", "cpu", 2), "nothing.nemo: there is no such file"),
        (Wanted("nemotron-asr-streaming", "cpu", 2), "models pull nemotron_asr_streaming"),
        (Wanted("parrot", "cpu", 2), "neither a file nor a known name"),
    ],
)
def test_mistakes_are_said_in_one_line(tmp_path: Path, wanted: Wanted, said: str) -> None:
    settings = load_settings(_env_file=None, asr={"cache_dir": tmp_path})
    with pytest.raises(UserMistake) as told:
        make_engine(settings, wanted, Metrics())
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_of_hugging_face_is_served(tmp_path: Path) -> None:
    """Of a model that hears whole recordings only: it is told so."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    settings = load_settings(_env_file=None, asr={"cache_dir": tmp_path})
    with pytest.raises(UserMistake, match="a model of type 'whisper'"):
        make_engine(settings, Wanted(str(tmp_path), "cpu", 2), Metrics())


def test_room_for_fewer_streams_than_wanted_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebot.asr.fastconformer_stream import Streamer

    allocate = Streamer.allocate
    taken: list[int] = []

    def full(self: Streamer, slots: int) -> object:
        taken.append(slots)
        if len(taken) > 3:  # a fresh state, and two lanes
            raise torch.OutOfMemoryError("CUDA out of memory")
        return allocate(self, slots)

    monkeypatch.setattr(Streamer, "allocate", full)
    assert replica_of(tmp_path, streams=70).load.capacity == 64


def test_metrics_have_names_of_their_own() -> None:
    from voicebot.monitoring.recogniser_metrics import ReplicaMetrics

    registry = CollectorRegistry()
    counts = ReplicaMetrics(registry)
    counts.refused("memory")
    assert registry.get_sample_value("voicebot_replica_refused_total", {"why": "memory"}) == 1
