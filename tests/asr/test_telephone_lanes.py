"""Batches at fixed places say what the network says of each utterance, and can be recorded."""

import numpy as np
import pytest
import torch
from devices import ON_A_GPU, Watched, no_tf32

from voicebot.asr import telephone_device
from voicebot.asr.checkpoint import SHIPPED, build, open_file
from voicebot.asr.confidence_features import Piece, Sentence, Sound
from voicebot.asr.decoder import Decoded, token_limit
from voicebot.asr.hypotheses import hypothesis_of, readings
from voicebot.asr.moonshine import BEGIN, SAMPLE_RATE_HZ, Dimensions, Encoded, Moonshine
from voicebot.asr.moonshine_device import _sentence, decode
from voicebot.asr.moonshine_packed import PackedMoonshine, frames_for, input_samples
from voicebot.asr.telephone_device import DeviceRecogniser
from voicebot.asr.telephone_lanes import TelephoneLanes
from voicebot.asr.telephone_places import LONGEST, Heard, Shape
from voicebot.asr.telephone_sound import TelephoneSound
from voicebot.asr.telephone_text import Speller
from voicebot.asr.utterance import WINDOW_SAMPLES, prepare
from voicebot.asr.vocabulary import Vocabulary
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.events import Hypothesis

pytestmark = pytest.mark.unit
SMALL = Dimensions(32, 64, 2, 2, 2, 64)
CPU = torch.device("cpu")
LENGTHS = (24000, 30000, 17000, 33333)


def network(dims: Dimensions | None = None, seed: int = 1) -> Moonshine:
    torch.manual_seed(seed)
    return Moonshine(dims).eval().requires_grad_(False)


def shipped() -> tuple[Moonshine, Vocabulary]:
    stored = open_file(SHIPPED)
    return build(stored.weights()).eval().requires_grad_(False), Vocabulary(stored.tokens)


def syllables(count: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise that comes and goes, float32."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0.02, 1.0, count // 800 + 1), 800)[:count]
    return (rng.normal(0, level, count) * loud).astype(np.float32)


def spans_of(*counts: int) -> list[np.ndarray]:
    return [
        (syllables(count, seed=number, level=0.2) * 32767).clip(-32768, 32767).astype(np.int16)
        for number, count in enumerate(counts)
    ]


@pytest.mark.parametrize("model", ["small", "random", "shipped"])
def test_places_hold_what_decoding_tells(model):
    """Ragged, one without audio, one that may say little, more room than is needed."""
    tuned = {"small": lambda: network(SMALL), "random": network, "shipped": lambda: shipped()[0]}
    moonshine = tuned[model]()
    packed = PackedMoonshine(moonshine, torch.float32)
    frames, limits = frames_for(max(LENGTHS)) + 3, [20, 5, 25, 24]
    samples = torch.zeros(5, input_samples(frames))
    for row, length in enumerate(LENGTHS):
        samples[row, :length] = torch.from_numpy(syllables(length, seed=row))
    packed.reserve(max(frames, 32))
    with torch.inference_mode():
        encoded = moonshine.encoder(samples[:4, : max(LENGTHS)], LENGTHS)
        expected = decode(moonshine, Encoded(encoded.frames, encoded.lengths), limits)
        places = packed.places(5, frames, 32)
        places.limits.copy_(torch.tensor([*limits, 0]))
        found, valid = packed.encode(samples, torch.tensor([*LENGTHS, 0]))
        packed.begin(found, valid, places, BEGIN)
        steps = 0
        while not bool(places.all_over):
            packed.step(places)
            steps += 1
    assert valid[:4].tolist() == list(encoded.lengths)
    for row, length in enumerate(encoded.lengths):
        torch.testing.assert_close(
            found[row, :length], encoded.frames[row, :length], atol=2e-4, rtol=1e-3
        )
    assert steps <= max(limits)
    for row, (one, limit) in enumerate(zip(expected, limits, strict=True)):
        told = _sentence(places.said[:, row].tolist(), places.sure[:, row].tolist(), limit)
        assert told.tokens == one.tokens
        assert told.log_probs == pytest.approx(one.log_probs, abs=2e-3)
        assert told.end_log_prob == pytest.approx(one.end_log_prob, abs=2e-3)


@pytest.mark.parametrize("count", [801, 4000, 4001, 9001, 12000, 12001, 15999])
def test_audio_is_prepared_as_on_the_host(count):
    """Brought to 16 kHz, looked at, set in quiet: also odd lengths, digital silence, clipping."""
    span = spans_of(count)[0]
    if count == 9001:
        span[100:3000] = 0
    if count == 12001:
        span = (span.astype(int) * 40).clip(-32768, 32767).astype(np.int16)
    audio = np.full((2, input_samples(96) // 2), 999, np.int16)  # of whoever was there before
    audio[0, :count] = span
    with torch.inference_mode():
        piece, lengths, audible, sound = TelephoneSound(CPU).prepare(
            torch.from_numpy(audio), torch.tensor([count, 0])
        )
    expected = prepare(resample(to_float(span), 8000, SAMPLE_RATE_HZ))
    assert audible.tolist() == [bool(expected), False]
    (whole,) = expected or [np.zeros(int(lengths[0]), np.float32)]
    assert int(lengths[0]) == len(whole)
    assert not piece[0, len(whole) :].any()
    if expected:
        np.testing.assert_allclose(piece[0, : len(whole)], whole, atol=2e-5)
        of = Sound.of(whole)
        told = [of.seconds, of.level_db, of.snr_db]
        assert sound[0].tolist() == pytest.approx(told, abs=0.03)


def test_silence_hum_and_steady_noise_are_nothing_to_hear():
    audio = np.zeros((3, input_samples(64) // 2), np.int16)
    audio[1] = np.random.default_rng(0).normal(0, 2000, audio.shape[1])
    audio[2] = 9000 * np.sin(np.arange(audio.shape[1]) * 0.2)
    with torch.inference_mode():
        told = TelephoneSound(CPU).prepare(torch.from_numpy(audio), torch.full((3,), 12000))
    assert told[2].tolist() == [False] * 3
    assert all(torch.isfinite(tensor).all() for tensor in (told[0], told[3]))


# ---------------------------------------------------------------- words


def test_words_of_a_batch_are_those_of_each(monkeypatch):
    """Tokens of all kinds, loops, cut sentences, silent tokens and bytes that spell nothing."""
    vocabulary = Vocabulary(open_file(SHIPPED).tokens)
    rng, rows, width = np.random.default_rng(0), 400, 24
    tokens = rng.integers(0, len(vocabulary.tokens), (rows, width))
    tokens[:150] = rng.choice(rng.choice(tokens.shape[0], 40), (150, width))
    tokens[150:190] = np.tile(rng.integers(300, 900, (40, 3)), 8)
    tokens[190:210] = rng.integers(0, 20, (20, width))
    for row in range(rows):
        if rng.random() < 0.9:
            tokens[row, rng.integers(0, width) :] = 2
    scale = 4 * rng.random((rows, 1)) ** 2
    sure = (-rng.exponential(1.0, (rows, width)) * scale).astype(np.float32)
    sound = np.stack([rng.uniform(lo, hi, rows) for lo, hi in ((0, 3), (-60, 0), (0, 50))], axis=1)
    heard = Heard(
        tokens, sure, rng.integers(8, 30, rows), rng.random(rows) < 0.9,
        sound.astype(np.float32), [], {},
    )  # fmt: skip
    found = Speller(vocabulary).hypotheses(heard)
    said = 0
    for row, told in enumerate(found):
        expected = Hypothesis("")
        if heard.is_audible[row]:
            one = _sentence(tokens[row].tolist(), sure[row].tolist(), int(heard.limits[row]))
            of = Sound(*map(float, heard.sound[row]))
            piece = Piece([Sentence.of(one, vocabulary)], of)
            expected = hypothesis_of(readings([piece]), 1)
        assert told.text == expected.text
        assert [word.text for word in told.words] == [word.text for word in expected.words]
        sureness = [word.confidence for word in expected.words]
        assert [word.confidence for word in told.words] == pytest.approx(sureness, abs=1e-9)
        assert told.confidence == pytest.approx(expected.confidence, abs=1e-9)
        assert [one.text for one in told.nbest] == [one.text for one in expected.nbest]
        said += bool(told.text)
    assert said > 100


# ---------------------------------------------------------------- batches


def words() -> Vocabulary:
    return Vocabulary([f"\u2581w{number}".encode() for number in range(64)])


def recogniser(most: int = 4, device: str = "cpu", seed: int = 1) -> DeviceRecogniser:
    small = network(SMALL, seed)
    return DeviceRecogniser.on(small, words(), torch.device(device), most=most, dtype=torch.float32)


def told_alone(of: DeviceRecogniser, spans: list[np.ndarray]) -> list[Hypothesis]:
    """By the way of audio at 16 kHz."""
    wide = [resample(to_float(span), 8000, SAMPLE_RATE_HZ) for span in spans]
    return [of.transcribe([samples])[0] for samples in wide]


def test_what_no_lane_takes_is_heard_and_decoded_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = []

    def counted(model: Moonshine, encoded: Encoded, limits: list[int]) -> list[Decoded]:
        batches.append(len(limits))
        return decode(model, encoded, limits)

    monkeypatch.setattr(telephone_device, "decode", counted)
    noise = np.random.default_rng(3).normal(0, 0.1, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    uneven = noise * np.repeat([1.0, 0.02] * 4, len(noise) // 8).astype(np.float32)
    recogniser().transcribe([uneven, uneven])  # (steady sound would not be looked at)
    assert batches == [2]


def same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [one.text for one in found] == [one.text for one in expected]
    sure = [one.confidence for one in expected]
    assert [one.confidence for one in found] == pytest.approx(sure, abs=5e-3)


@pytest.mark.parametrize(
    "counts",
    [
        (9000,),
        (12000, 8001, 20000, 15000),  # a full batch
        (12000, 30000, 800, 0, 9001, 14000, 26001),  # more than one, and next to nothing
        (LONGEST, 3000),
    ],
)
def test_a_batch_says_what_each_says_by_the_other_way(counts):
    of, spans = recogniser(), spans_of(*counts)
    places = [(7 * number, 7 * number + count) for number, count in enumerate(counts)]
    found = of.understand(spans, at=places)
    same(found, told_alone(of, spans))
    assert [(one.start_at, one.end_at) for one in found] == places
    assert any(one.text for one in found)
    assert of.batches >= 1
    assert set(of.stage_s) == {"copies", "encoder", "decoder"}


def test_nothing_is_no_batch():
    assert recogniser().understand([]) == []


def test_longer_than_a_lane_takes_goes_the_other_way():
    of, spans = recogniser(), spans_of(12000, LONGEST + 4000)
    same(of.understand(spans), told_alone(of, spans))


def test_real_words_out_of_the_shipped_weights():
    """Through everything: the same texts and confidence as one after the other."""
    moonshine, vocabulary = shipped()
    of = DeviceRecogniser.on(moonshine, vocabulary, CPU, most=2)
    spans = spans_of(9000, 13000)
    same(of.understand(spans), told_alone(of, spans))


def test_who_is_judged_is_judged_by_what_was_encoded():
    of, spans = recogniser(), spans_of(12000, 0, 9000)
    seen: list[tuple[tuple[int, ...], int]] = []

    def judge(frames, lengths):
        seen.extend((of_one.shape, length) for of_one, length in zip(frames, lengths, strict=True))
        return [0.25 * len(seen)] * len(frames)

    found = of.understand(spans, judge=judge)
    assert [one.end_probability for one in found] == [0.5, None, 0.5]
    expected = of.encode([resample(to_float(spans[0]), 8000, SAMPLE_RATE_HZ)])[0]
    assert seen[0] == (expected.shape, 24000)
    assert seen[1][1] == 18000


def test_a_lane_forgets_whose_batch_it_had():
    """One lane, batches of unlike shapes: what lay there before counts for nothing."""
    of = recogniser()
    of.lanes._count = 1
    first, then = spans_of(24000, 23000, 22000, 21000), spans_of(9000, 8000)
    expected = of.understand(then)
    of.understand(first)
    lane = of.lanes.lanes[0]
    with torch.inference_mode():
        for batch in lane.batches.values():
            batch.places.cross.fill_(7.0)
            batch.audio.fill_(999)
    found = of.understand(then)
    same(found, expected)
    assert found[0].text


def test_shapes_hold_what_the_scheduler_makes_and_pad_little():
    lanes = TelephoneLanes(PackedMoonshine(network(SMALL), torch.float32), most=2048)
    assert lanes.shapes[-1].samples >= 12000
    for seconds in (0.5, 1.5, 2.4, 3.5, 5.0, 9.9, 20.0):
        longest = int(8000 * seconds)
        lanes.lanes = [None]  # warm
        room = lanes.room(longest)
        assert room * max(1.5, seconds) >= 0.7 * 2048 * 2 * 1.5 or room == 2048
        shape = lanes.shape_of(room, longest)
        assert shape.samples >= longest
        assert shape.samples <= max(1.4 * longest + 400, 13000)
        assert shape.tokens >= token_limit(max(seconds, 1.5))
        assert lanes.shape_of(1, longest).rows <= 64
    assert max(shape.samples for shape in Shape.all(1)) >= LONGEST == WINDOW_SAMPLES // 2
    assert all(shape.rows == 1 for shape in Shape.all(1))


@pytest.mark.parametrize("counts", [(12000, 9000, 0, 15000, 8001, 13000), (LONGEST + 800,) * 3])
def test_in_a_batch_only_those_are_judged_who_are_to_be(counts):
    of, spans = recogniser(), spans_of(*counts)
    wanted = [index % 2 == 1 for index in range(len(spans))]
    seen: list[int] = []

    def judge(frames, lengths):
        seen.extend(lengths)
        return [0.5] * len(frames)

    found = of.understand(spans, judge=judge, judged=wanted)
    assert [one.end_probability for one in found] == [0.5 if one else None for one in wanted]
    assert len(seen) == sum(wanted)
    if max(counts) <= LONGEST:
        assert sorted(seen) == sorted(2 * counts[index] for index in range(1, len(spans), 2))
    same(found, of.understand(spans))


def test_what_a_lane_told_stays_when_its_next_batch_comes():
    """Also of one utterance, whose tokens lie in one piece as they are."""
    of = recogniser(most=1)
    of.lanes._count = 1
    heard = of.lanes.run(spans_of(9000))
    tokens, sure = heard.tokens.tolist(), heard.log_probs.tolist()
    with torch.inference_mode():
        for host in of.lanes.lanes[0].host.values():
            host["said"].fill_(7)
            host["sure"].fill_(7.0)
    assert (heard.tokens.tolist(), heard.log_probs.tolist()) == (tokens, sure)


# ---------------------------------------------------------------- memory


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_shape_without_memory_for_its_graphs_runs_as_it_is(monkeypatch):
    of, spans = recogniser(), spans_of(9000, 12000)
    expected = told_alone(of, spans)
    record = TelephoneLanes._record

    def scarce(self, lane, batch):
        if batch.shape.rows == 2:
            full()
        record(self, lane, batch)

    monkeypatch.setattr(TelephoneLanes, "_record", scarce)
    of.lanes.warm_up()
    assert {shape.rows for shape in of.lanes.unrecorded} == {2}
    assert of.most == 4
    same(of.understand(spans), expected)
    assert of.shortages == 0


def test_where_memory_is_short_from_the_beginning_batches_are_smaller(monkeypatch):
    of, spans = recogniser(most=8), spans_of(9000, 12000, 9500)
    expected = told_alone(of, spans)
    record = TelephoneLanes._record

    def scarce(self, lane, batch):
        if batch.shape.rows > 2:
            full()
        record(self, lane, batch)

    monkeypatch.setattr(TelephoneLanes, "_record", scarce)
    of.lanes.warm_up()
    assert of.most == 2
    same(of.understand(spans), expected)


def test_another_fault_while_recording_is_no_matter_of_memory(monkeypatch):
    of = recogniser()

    def broken(self, lane, batch):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(TelephoneLanes, "_record", broken)
    monkeypatch.setattr("voicebot.asr.telephone_lanes.Streams.is_alive", lambda _: False)
    with pytest.raises(RuntimeError, match="illegal"):
        of.lanes.warm_up()


def test_after_a_recording_that_broke_off_the_next_has_a_pool_of_its_own(monkeypatch):
    of, pools = recogniser(), []

    def breaks_once(self, lane, batch):
        pools.append(lane.pool)
        lane.pool = lane.pool or "pool"
        if len(pools) == 2:
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(TelephoneLanes, "_record", breaks_once)
    of.lanes.warm_up()
    assert pools[:4] == [None, "pool", None, "pool"]
    assert len(of.lanes.unrecorded) == 1


def test_what_cannot_be_recorded_runs_as_it_is_and_is_told(monkeypatch):
    of, spans = recogniser(), spans_of(9000, 12000)
    expected = told_alone(of, spans)

    def broken(self, lane, batch):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(TelephoneLanes, "_record", broken)
    of.lanes.warm_up()
    assert set(of.lanes.unrecorded) == set(of.lanes.shapes)
    assert set(of.lanes.unrecorded.values()) == {"operation not permitted when stream is capturing"}
    same(of.understand(spans), expected)


def test_memory_that_ends_halves_the_batch_and_is_counted(monkeypatch):
    of, spans = recogniser(), spans_of(9000, 12000, 10000, 8000)
    expected = of.understand(spans)
    run = TelephoneLanes._run

    def scarce(self, lane, shape, some, frames_of):
        if len(some) > 1:
            full()
        return run(self, lane, shape, some, frames_of)

    monkeypatch.setattr(TelephoneLanes, "_run", scarce)
    same(of.understand(spans), expected)
    assert of.shortages == 3
    assert of.lanes._free.qsize() == len(of.lanes.lanes)  # every lane came back


# ---------------------------------------------------------------- a GPU


def test_nothing_is_asked_and_nothing_taken_of_the_host_on_the_way():
    """Without a device: tensors that have no values cannot be asked for any."""
    with torch.device("meta"):
        moonshine = Moonshine(SMALL).eval().requires_grad_(False)
    packed = PackedMoonshine(moonshine, torch.bfloat16)
    lanes = TelephoneLanes(packed, most=4, lanes=1)
    lanes.warm_up()
    batch = lanes.lanes[0].batches[lanes.shapes[0]]
    with torch.inference_mode(), Watched() as watched:
        lanes._hear(batch)
        lanes._say(batch)
    assert watched.found == set()


def test_bfloat16_runs_and_stays_finite():
    """As on a GPU: kernels of a CPU mind unlike types, too."""
    of = DeviceRecogniser.on(network(SMALL), words(), CPU, most=2, dtype=torch.bfloat16)
    heard = of.lanes.run(spans_of(9000, 12000), frames_of=2)
    assert np.isfinite(heard.log_probs).all()
    assert all(np.isfinite(frames).all() for frames in heard.frames)
    assert heard.is_audible.all()


@pytest.mark.gpu
def test_graphs_say_what_the_cpu_says():
    """Every shape recorded; several lanes at once, from several threads."""
    from concurrent.futures import ThreadPoolExecutor

    with no_tf32():
        here, there = recogniser(8), recogniser(8, "cuda:0")
        with no_tf32():
            there.warm_up()
            assert there.lanes.unrecorded == {}
            batches = [spans_of(9000 + n, 12000, 8000 + 7 * n, 20000 + n) for n in range(12)]
            with ThreadPoolExecutor(3) as threads:
                found = list(threads.map(there.understand, batches))
            for told, spans in zip(found, batches, strict=True):
                same(told, here.understand(spans))
        assert there.shortages == 0


@pytest.mark.gpu
def test_the_shipped_weights_in_bfloat16_on_a_gpu():
    moonshine, vocabulary = shipped()
    of = DeviceRecogniser.on(moonshine, vocabulary, torch.device("cuda", 0), most=64)
    of.warm_up()
    assert of.lanes.unrecorded == {}
    heard = of.lanes.run(spans_of(*[9000 + 50 * n for n in range(64)]), frames_of=64)
    assert np.isfinite(heard.log_probs).all()
    assert all(seconds >= 0 for seconds in heard.stage_s.values())
    assert of.is_alive()


@pytest.mark.gpu
def test_memory_of_a_gpu_bounds_the_batch():
    """Less than the lanes want: batches are smaller, and hear the same."""
    device = torch.device("cuda", 0)
    moonshine, vocabulary = shipped()
    of = DeviceRecogniser.on(moonshine, vocabulary, device, most=256)
    spans = spans_of(9000, 12000, 10000)
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info(device)[1]
    most = torch.cuda.memory_reserved(device) + (3 << 29)
    torch.cuda.set_per_process_memory_fraction(most / whole, device)
    try:
        of.warm_up()
        assert 1 <= of.most < 256
        found = of.understand(spans)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert len(found) == 3
    assert of.is_alive()


@pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
def test_a_fault_in_one_batch_leaves_the_lane_for_the_next(device, monkeypatch):
    of, spans = recogniser(4, device), spans_of(9000)
    expected = of.understand(spans)
    fetch = TelephoneLanes._fetch

    def broken(*_):
        raise ValueError("no")

    monkeypatch.setattr(TelephoneLanes, "_fetch", staticmethod(broken))
    with pytest.raises(ValueError, match="no"):
        of.understand(spans)
    monkeypatch.setattr(TelephoneLanes, "_fetch", staticmethod(fetch))
    for _ in of.lanes.lanes:
        same(of.understand(spans), expected)
