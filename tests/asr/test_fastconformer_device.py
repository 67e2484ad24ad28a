"""Lanes on the device: what a lane says is what the chunks say one by one; failures stay alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from devices import Watched, no_tf32
from torch.utils._python_dispatch import TorchDispatchMode

from voicebot.asr.fastconformer_device import FastConformerLanes, placed
from voicebot.asr.fastconformer_stream import NEVER, ChunkShape, FastConformer, Streamer
from voicebot.asr.lanes import LaneChunk
from voicebot.asr.transducer import Labels
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_engine import DeviceEngine
from voicebot.errors import CapacityError
from voicebot.evaluation.bench_models import CONFIGS, fastconformer

pytestmark = pytest.mark.unit
SHAPE = ChunkShape(2, 8000)


@pytest.fixture(scope="module")
def model():
    network = fastconformer("tiny", torch.device("cpu"))
    torch.manual_seed(7)
    with torch.no_grad():  # talks more than people do, and minds what it has said
        network.transducer.predictor.weight.normal_()
        network.transducer.out.bias[network.config.blank] -= 1.0
    return network


def noise(rows: int, chunks: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.normal(0, 1600, (rows, chunks * SHAPE.samples)).astype(np.int16)


def alone(model, samples: np.ndarray) -> list[tuple[int, int]]:
    """Tokens and frames of one stream without end, chunk by chunk."""
    streamer = Streamer(model, SHAPE)
    state, found = streamer.allocate(1), []
    padded = np.concatenate([np.zeros(SHAPE.lead, np.int16), samples])
    active, ends = torch.tensor([True]), torch.tensor([NEVER])
    with torch.inference_mode():
        for number in range(len(padded) // SHAPE.samples):
            chunk = torch.from_numpy(padded[number * SHAPE.samples :][: SHAPE.samples])[None]
            mel = streamer.hear(state, chunk, active, ends)
            encoded = model.transducer.encoder(streamer.encode(state, mel, active, ends))
            labels = Labels.empty(1, SHAPE.frames, 10, encoded.device)
            counts = streamer.valid_frames(state, active, ends)
            model.transducer.decode(encoded, counts, state.decoder, labels)
            for index in range(int(labels.count)):
                frame = int(labels.frames[0, index]) + number * SHAPE.frames
                found.append((int(labels.tokens[0, index]), frame))
    return found


def test_the_engine_says_of_each_call_what_the_model_says_of_it_alone(model):
    """Calls that come and go in one lane, a neighbour among them whose numbers break."""
    lanes = FastConformerLanes(model, SHAPE, lane_rows=4, buckets=(1, 2))
    engine = DeviceEngine(lanes, lanes=1, admission=Admission(1e9))
    audio = noise(3, 12)
    first = engine.open(0.0)
    heard: dict[int, list[tuple[int, int]]] = {}
    slots = {0: first}
    for chunk in range(12):
        now = chunk * engine.chunk_s
        if chunk == 3:
            slots[1], slots[2] = engine.open(now), engine.open(now)
        if chunk == 6:
            with torch.inference_mode():
                lanes._lanes[0].state.audio[slots[2]] = float("nan")
        for index, slot in slots.items():
            part = audio[index, chunk * SHAPE.samples : (chunk + 1) * SHAPE.samples]
            engine.push(slot, part, now)
        for emission in engine.advance(now + 1.0):
            if emission.is_failed:
                assert (emission.slot, chunk) == (slots[2], 6)
                continue
            heard.setdefault(emission.slot, []).extend(
                zip(emission.tokens, emission.frames, strict=True)
            )
    expected = alone(model, audio[0])
    assert len(expected) > 5
    assert heard[slots[0]] == expected
    assert len(heard[slots[1]]) > 3


def test_a_final_says_what_the_whole_recording_says(model):
    lanes = FastConformerLanes(model, SHAPE, lane_rows=2)
    engine = DeviceEngine(lanes, lanes=1, admission=Admission(1e9))
    samples = noise(1, 6)[0, :6100]
    slot = engine.open(0.0)
    told = []
    for begin in range(0, len(samples), 500):
        engine.push(slot, samples[begin : begin + 500], 0.0)
        told += engine.advance(0.0)
    engine.finish(slot, 0.0)
    for step in range(4):
        told += engine.advance(1.0 + step)
    assert [emission.is_final for emission in told].count(True) == 1
    wide = torch.nn.functional.pad(torch.from_numpy(samples).float()[None] / 32768, (15, 16))
    with torch.inference_mode():
        wide = model.upsampler(wide)
        mel, counts = model.features(wide, torch.tensor([wide.shape[1]]))
        frames, valid = model.encoder(mel, counts, SHAPE.frames - 1)
        encoded = model.transducer.encoder(frames)
        labels = Labels.empty(1, encoded.shape[1], 10, encoded.device)
        model.transducer.decode(encoded, valid, model.transducer.start(1), labels)
    expected = labels.tokens[0, : int(labels.count)].tolist()
    assert [token for emission in told for token in emission.tokens] == expected
    assert len(expected) > 2


def test_state_is_what_was_computed(model):
    lanes = FastConformerLanes(model, SHAPE, lane_rows=8)
    config = model.config
    ring = config.layers * (config.left + 2 * SHAPE.frames) * 2 * config.width * 4
    conv = config.layers * (config.kernel - 1) * config.width * 4
    assert ring + conv < lanes.state_bytes() < 1.5 * (ring + conv) + 20_000
    lanes.add_lane()
    assert lanes.memory_bytes() == 8 * lanes.state_bytes()


def test_no_memory_for_a_lane_is_a_refusal(model, monkeypatch):
    lanes = FastConformerLanes(model, SHAPE, lane_rows=2)
    lanes.add_lane()

    def full(rows: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(lanes.streamer, "allocate", full)
    with pytest.raises(CapacityError, match="no memory"):
        lanes.add_lane()
    lanes.submit(
        0, LaneChunk(np.zeros((1, SHAPE.samples), np.int16), np.array([True]), np.array([-1]))
    )
    assert lanes.collect(0).failed == ()


@pytest.mark.parametrize("durations", [(), (0, 1, 2, 4)])
def test_a_step_asks_the_device_for_nothing_and_takes_nothing_of_the_host(durations):
    """Without a device: tensors that have no values cannot be asked for any."""
    config = replace(CONFIGS["tiny"], durations=durations, max_symbols=3)
    with torch.device("meta"):
        network = FastConformer(config).eval().requires_grad_(False).to(torch.bfloat16)
        network.make_constants()
    lanes = FastConformerLanes(network, SHAPE, lane_rows=4)
    lane = lanes._allocate()
    with torch.inference_mode(), Watched() as watched:
        lanes._features(lane, 2)
        lanes._encoder(lane, 2)
        lanes.transducer.round(
            lane.encoded[:2], lane.counts[:2], lane.state.decoder.rows(0, 2), lane.labels.rows(0, 2)
        )
        lanes.transducer.finish(lane.state.decoder, lane.labels, lane.counts)
    assert watched.found == set()
    assert (lane.mel.dtype, lane.encoded.dtype) == (torch.float32, torch.bfloat16)


class Copies(TorchDispatchMode):
    """Shapes of what is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        with self:  # what an operation is made of: in inference mode it comes as one
            told = func.decompose(*args, **(kwargs or {}))
        if told is not NotImplemented:
            return told
        told = func(*args, **(kwargs or {}))
        if func.name().startswith(("aten::clone", "aten::_to_copy", "aten::copy_")):
            self.shapes.append(tuple(told.shape))
        return told


def test_a_step_copies_the_position_keys_for_nobody(model):
    """They are as long as the context, and the same for every row."""
    lanes = FastConformerLanes(model, SHAPE, lane_rows=4)
    lane = lanes._allocate()
    keys = tuple(lanes.streamer.position_keys[0].shape)[-2:]
    with torch.inference_mode(), Copies() as copies:
        lanes._encoder(lane, 4)
    assert copies.shapes
    assert [shape for shape in copies.shapes if shape[-2:] == keys] == []


def test_a_capture_that_breaks_off_for_lack_of_memory_is_a_refusal(model, monkeypatch):
    lanes = FastConformerLanes(model, SHAPE, lane_rows=2)

    def breaks_off(rows: int) -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(lanes.streamer, "allocate", breaks_off)
    with pytest.raises(CapacityError, match="no memory") as refused:
        lanes.add_lane()
    assert refused.value.why == "memory"
    assert lanes.is_alive()


# ---------------------------------------------------------------- on a GPU


@pytest.fixture
def exact():
    with no_tf32():
        yield


def told_by(lanes: FastConformerLanes, audio: np.ndarray, resets: dict[int, list[int]]):
    """Of two lanes that step in turn; rows begin anew where `resets` says."""
    while len(lanes._lanes) < 2:
        lanes.add_lane()
    found = []
    for chunk in range(8):
        for lane in (0, 1):
            if chunk in resets:
                lanes.reset(lane, resets[chunk])
        part = audio[:, chunk * SHAPE.samples : (chunk + 1) * SHAPE.samples]
        ends = np.full(len(part), -1)
        active = np.array([True, chunk % 3 != 1, True])[: len(part)]
        lanes.submit(0, LaneChunk(part, active, ends))
        lanes.submit(1, LaneChunk(part[:1], active[:1], ends[:1]))  # another bucket
        for lane in (0, 1):
            step = lanes.collect(lane)
            assert step.failed == ()
            found.append((step.rows.tolist(), step.tokens.tolist(), step.frames.tolist()))
    return found


@pytest.mark.gpu
@pytest.mark.parametrize("symbols", [1, 10])
def test_graphs_say_what_the_cpu_says(exact, symbols):
    """Two lanes under way at once, buckets, rows that begin anew, and more labels than a graph
    has rounds."""
    torch.manual_seed(7)
    network = FastConformer(replace(CONFIGS["tiny"], max_symbols=symbols)).eval()
    with torch.no_grad():
        network.transducer.out.bias[network.config.blank] += 0.2
    audio, told = noise(3, 8), []
    for device in ("cpu", "cuda"):
        lanes = FastConformerLanes(network.to(device), SHAPE, lane_rows=4, buckets=(1, 2))
        told.append(told_by(lanes, audio, {3: [0, 2], 5: [1]}))
    assert sum(len(tokens) for _, tokens, _ in told[0]) > 20
    assert told[0] == told[1]


def test_bfloat16_runs_and_stays_finite():
    """As on a GPU: kernels of a CPU mind unlike types, too."""
    network = fastconformer("tiny", torch.device("cpu")).to(torch.bfloat16)
    network.make_constants()
    lanes = FastConformerLanes(network, SHAPE, lane_rows=4, buckets=(1, 2))
    assert len(told_by(lanes, noise(3, 8), {3: [0, 2], 5: [1]})) == 16


@pytest.mark.gpu
def test_bfloat16_is_captured_and_stays_finite():
    network = placed(fastconformer("tiny", torch.device("cpu")), torch.device("cuda", 0))
    lanes = FastConformerLanes(network, SHAPE, lane_rows=4)
    assert len(told_by(lanes, noise(3, 8), {})) == 16
    assert lanes.memory_bytes() > 8 * lanes.state_bytes()


def fill(lanes: FastConformerLanes) -> None:
    for _ in range(10_000):
        lanes.add_lane()


@pytest.mark.gpu
def test_memory_that_ends_is_a_refusal_and_live_lanes_go_on():
    device = torch.device("cuda", 0)
    network = placed(fastconformer("tiny", torch.device("cpu")), device)
    lanes = FastConformerLanes(network, SHAPE, lane_rows=4)
    lanes.add_lane()
    whole = torch.cuda.mem_get_info(device)[1]
    held = torch.cuda.memory_reserved(device)
    torch.cuda.set_per_process_memory_fraction((held + (1 << 16)) / whole, device)
    try:
        with pytest.raises(CapacityError, match="no memory"):
            fill(lanes)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    chunk = LaneChunk(noise(1, 1), np.array([True]), np.array([-1]))
    lanes.submit(0, chunk)
    assert lanes.collect(0).failed == ()
    assert lanes.is_alive()
