"""Lanes on the device: what a lane says is what the chunks say one by one; failures stay alone."""

import numpy as np
import pytest
import torch

from voicebot.asr.fastconformer_device import FastConformerLanes
from voicebot.asr.fastconformer_stream import NEVER, ChunkShape, Streamer
from voicebot.asr.transducer import Labels
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_engine import DeviceEngine
from voicebot.errors import CapacityError
from voicebot.evaluation.bench_models import fastconformer

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
    lanes.submit(0, np.zeros((1, SHAPE.samples), np.int16), np.array([True]), np.array([-1]))
    assert lanes.collect(0).failed == ()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_graphs_say_what_the_cpu_says():
    model = fastconformer("tiny", torch.device("cpu"))
    audio = noise(3, 8)
    told = []
    for device in ("cpu", "cuda"):
        lanes = FastConformerLanes(model.to(device), SHAPE, lane_rows=4, buckets=(1, 2))
        lanes.add_lane()
        found = []
        for chunk in range(8):
            part = audio[:, chunk * SHAPE.samples : (chunk + 1) * SHAPE.samples]
            lanes.submit(0, part, np.array([True, False, True]), np.full(3, -1))
            step = lanes.collect(0)
            found.append((step.rows.tolist(), step.tokens.tolist(), step.frames.tolist()))
        told.append(found)
    assert told[0] == told[1]
