"""The bench of recognisers: its search, its keys, its roofline and its mistakes."""

import itertools
import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from voicebot import cli
from voicebot.engine.device_admission import Admission
from voicebot.engine.device_engine import DeviceEngine
from voicebot.engine.scheduler import JobKind
from voicebot.errors import CapacityError
from voicebot.evaluation import bench, bench_models, bench_pace
from voicebot.evaluation.bench import Bench
from voicebot.evaluation.bench_pace import Measured
from voicebot.evaluation.bench_roofline import Device, Work, fastconformer_work
from voicebot.evaluation.bench_utterances import UtteranceTrial
from voicebot.server import commands_bench

pytestmark = pytest.mark.unit

KEYS = [
    "model",
    "device",
    "streams",
    "max_streams",
    "chunk_ms",
    "chunk_p99_ms",
    "final_p95_ms",
    "final_p99_ms",
    "roofline_ms",
    "state_mb_per_stream",
    "left_out_share",
    "of_roofline",
]
DEVICE = Device("Made up", 1e12, 1e11, is_measured=False)


def scripted(limit: int, memory: int = 10**9) -> Bench:
    """A machine that is in time up to `limit` streams."""

    def trial(streams: int, seconds: float) -> Measured:
        if streams > memory:
            raise CapacityError("the device has no memory for more calls")
        late = 0.3 if streams > limit else 0.1
        return Measured(streams, chunks=[late] * 100, finals=[late / 2] * 10, wall_s=1.0)

    return Bench("tiny", DEVICE, 160, trial, Work(1e9, 1e6, 1e8), 256, 2_000_000, True)


@pytest.mark.parametrize(("limit", "begin"), [(1, 1), (5, 1), (100, 7), (100, 900), (2500, 2500)])
def test_streams_are_raised_until_chunks_come_late(limit, begin):
    machine = scripted(limit)
    trials = list(machine.run(begin, 1.0, is_search=True))
    most = machine.report()["max_streams"]
    assert limit / bench.NARROW - 1 <= most <= limit
    assert trials[0].streams == machine.report()["streams"] == begin
    assert len(trials) < 20


def test_nothing_in_time_is_no_stream():
    machine = scripted(0)
    list(machine.run(8, 1.0, is_search=True))
    assert machine.report()["max_streams"] == 0


def test_the_end_of_memory_is_a_limit():
    machine = scripted(10**9, memory=300)
    list(machine.run(100, 1.0, is_search=True))
    assert 300 / bench.NARROW - 1 <= machine.report()["max_streams"] <= 300


def test_the_report_has_exactly_its_keys_before_anything_is_measured_too():
    machine = scripted(10)
    assert list(machine.report()) == KEYS
    assert machine.report()["chunk_p99_ms"] is None
    list(machine.run(4, 1.0, is_search=False))
    report = machine.report()
    assert list(report) == KEYS
    assert (report["chunk_p99_ms"], report["final_p95_ms"]) == (100.0, 50.0)
    assert report["state_mb_per_stream"] == 2.0
    json.dumps(report)


def test_the_roofline_is_the_larger_of_arithmetic_and_traffic():
    work = Work(flops=1e9, stream_bytes=1e6, step_bytes=1e8)
    assert work.seconds(DEVICE, 100, 1) == pytest.approx(0.1)
    assert work.seconds(DEVICE, 1, 1) == pytest.approx(1.01e-3)


def test_arithmetic_is_that_of_the_parameters():
    """A frame costs about two FLOPs a parameter: 115M and 0.6B are what they say."""
    for name, millions in (("fastconformer-115m", 115), ("fastconformer-0.6b", 600)):
        config = bench_models.CONFIGS[name]
        with torch.device("meta"):
            from voicebot.asr.fastconformer import Encoder

            encoder = Encoder(config)
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        assert parameters == pytest.approx(millions * 1e6, rel=0.1)
        work = fastconformer_work(config, 4, parameters=parameters, item_bytes=2)
        assert work.flops / 4 == pytest.approx(2 * parameters, rel=0.25)
        assert work.stream_bytes == config.layers * 2 * config.width * 2 * (72 + 4)


class Instant:
    """A clock that moves when it is asked, so that trials take no time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1e-4
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_trial_measures_chunks_and_finals_of_every_stream(monkeypatch):
    from voicebot.asr.fastconformer_device import FastConformerLanes
    from voicebot.asr.fastconformer_stream import ChunkShape

    clock = Instant()
    monkeypatch.setattr(bench_pace.time, "sleep", clock.sleep)
    monkeypatch.setattr(bench_pace, "UTTERANCE_S", 1.0)
    model = bench_models.fastconformer("tiny", torch.device("cpu"))
    shape = ChunkShape(4, 8000)
    lanes = FastConformerLanes(model, shape, lane_rows=2, clock=clock)
    engine = DeviceEngine(lanes, lanes=2, admission=Admission(1e9), clock=clock)
    trial = bench_pace.StreamingTrial(lambda _: engine, shape.samples, shape.lead, clock)
    measured = trial(3, 4.0)
    assert not measured.is_hopeless
    assert len(measured.chunks) >= 3 * 8
    assert len(measured.finals) >= 3
    assert max(measured.chunks) < 0.05
    assert max(measured.finals) < 0.4
    assert measured.stage_s.keys() == {"features", "encoder", "decoder", "copies"}
    assert engine.calls == 0
    assert engine.refused_samples == 0


def test_callers_of_the_telephone_model_speak_two_fifths_of_the_time(monkeypatch):
    clock, seconds = Instant(), itertools.count()
    monkeypatch.setattr(bench_pace.time, "sleep", clock.sleep)
    heard: list[int] = []
    asked: Counter[JobKind] = Counter()

    def transcribe(batch, kinds) -> None:
        next(seconds)
        heard.extend(len(samples) for samples in batch)
        asked.update(kinds)

    trial = UtteranceTrial(transcribe, 0.32, max_batch=8, clock=clock)
    measured = trial(20, 12.0)
    assert not measured.is_hopeless
    partials = len(measured.chunks) * 0.32 / 20 / 11
    assert 0.25 < partials < 0.5
    assert measured.finals
    assert np.max(heard) <= 5.4 * 8000
    assert set(asked) == {JobKind.PARTIAL, JobKind.SPECULATIVE}
    # At the end of 1 to 5 s of speech, and once within where it is longer than 2.5 s.
    pauses = asked[JobKind.SPECULATIVE] * 3.0 / (20 * 12.0 * 0.4)
    assert 1.0 < pauses < 2.2


def test_chunks_that_newer_ones_replaced_count_as_late(monkeypatch):
    clock = Instant()
    monkeypatch.setattr(bench_pace.time, "sleep", clock.sleep)

    def slow(batch, kinds) -> None:
        clock.sleep(0.05 * len(batch))  # twice as long as there is time for

    trial = UtteranceTrial(slow, 0.32, max_batch=8, clock=clock)
    measured = trial(32, 12.0)
    assert measured.shed > 100
    machine = scripted(10)
    in_time = [0.1] * 100
    assert machine.holds(Measured(9, chunks=in_time, shed=1))
    assert not machine.holds(Measured(9, chunks=in_time, shed=2))
    for shed, told in (
        (0, "in time"),
        (1, "in time, 1.0 % left out"),
        (25, "too many, 20.0 % left out"),
    ):
        assert commands_bench._verdict(machine, Measured(9, chunks=in_time, shed=shed)) == told


@pytest.mark.parametrize("step_s", [0.0, 0.005])
def test_how_batches_are_put_together_does_not_bound_thousands_of_callers(monkeypatch, step_s):
    """A device that takes no time, and one whose every step costs 5 ms, whoever is in it."""
    clock = Instant()
    monkeypatch.setattr(bench_pace.time, "sleep", clock.sleep)
    trial = UtteranceTrial(
        lambda batch, kinds: clock.sleep(step_s + 1.6e-5 * len(batch) * (step_s > 0)),
        0.16,
        max_batch=2048,
        clock=clock,
    )
    measured = trial(17_203, 1.5)
    assert scripted(1).holds(measured)
    assert measured.percentile_ms("finals", 99) < 160
    assert measured.shed == 0


def test_a_trial_without_room_gives_back_what_it_took(monkeypatch):
    from voicebot.asr.fastconformer_device import FastConformerLanes
    from voicebot.asr.fastconformer_stream import ChunkShape

    clock = Instant()
    monkeypatch.setattr(bench_pace.time, "sleep", clock.sleep)
    model = bench_models.fastconformer("tiny", torch.device("cpu"))
    shape = ChunkShape(2, 8000)
    lanes = FastConformerLanes(model, shape, lane_rows=2, clock=clock)
    engine = DeviceEngine(lanes, lanes=2, admission=Admission(1e9), clock=clock)
    trial = bench_pace.StreamingTrial(lambda _: engine, shape.samples, shape.lead, clock)
    with pytest.raises(CapacityError):
        trial(5, 1.0)
    assert engine.calls == 0
    assert trial(4, 1.0).chunks


def test_late_finals_are_told_though_chunks_are_in_time(monkeypatch, capsys):
    machine = scripted(10**9)
    machine.trial = lambda streams, _: Measured(
        streams, chunks=[0.1] * 100, finals=[0.3] * 50 + [0.3 + streams / 10] * 50, wall_s=1.0
    )
    monkeypatch.setattr(bench, "prepare", lambda *_, **__: machine)
    for streams, word in ((1, "in time"), (4, "late")):
        machine.trials.clear()
        arguments = ["--model", "tiny", "--streams", str(streams), "--fixed"]
        assert cli.main(["bench", "asr", *arguments]) == 0
        printed = capsys.readouterr()
        assert word in printed.out
        assert ("but final p99 is 700 ms" in printed.err) == (streams == 4)


def test_what_the_device_took_is_told_beside_its_roofline(monkeypatch, capsys):
    machine = scripted(10**9)
    machine.is_cpu = False
    stages = {"encoder": 0.2, "decoder": 0.1}
    machine.trial = lambda streams, _: Measured(
        streams, chunks=[0.1], finals=[0.1], stage_s=stages, steps=3, busy_s=0.6, wall_s=1.0
    )
    monkeypatch.setattr(bench, "prepare", lambda *_, **__: machine)
    assert cli.main(["bench", "asr", "--model", "tiny", "--streams", "64", "--fixed"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "encoder 66.67, decoder 33.33, scheduling 100.00" in printed
    ratio = 0.3 * 160 / machine.roofline_ms(64)
    assert f"the device alone, without its host: {ratio:.1f} x the roofline" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "parrot"], "'parrot' is no model; there are tiny,"),
        (["--model", "tiny", "--chunk-ms", "0"], "'0' is no whole number"),
        (["--model", "tiny", "--streams", "many"], "'many' is no whole number"),
        (["--model", "tiny", "--device", "toaster"], "'toaster' is no device"),
        (["--model", "tiny", "--device", "cuda:99"], "no device cuda:99"),
        (["--model", "tiny", "--seconds", "0"], "at least 1 second"),
        (["--model", "telephone", "--chunk-ms", "3"], "not between 20 and 2000"),
        ([], "--model is missing"),
    ],
)
def test_mistakes_are_said_in_one_line(monkeypatch, capsys, arguments, said):
    monkeypatch.setattr(bench, "describe", lambda *_, **__: DEVICE)
    assert cli.main(["bench", "asr", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_ctrl_c_prints_what_was_measured_so_far(monkeypatch, capsys):
    machine = scripted(10**9)

    def interrupted(streams: int, seconds: float) -> Measured:
        if machine.trials:
            raise KeyboardInterrupt
        return Measured(streams, chunks=[0.05], finals=[0.05])

    machine.trial = interrupted
    monkeypatch.setattr(bench, "prepare", lambda *_, **__: machine)
    assert cli.main(["bench", "asr", "--model", "tiny", "--streams", "3", "--json"]) == 130
    printed = capsys.readouterr()
    assert json.loads(printed.out)["max_streams"] == 3
    assert "measured so far" in printed.err
    assert "--device cuda" in printed.err  # measured on a CPU, and says so


@pytest.mark.parametrize(
    ("model", "device"),
    [
        ("tiny", "cpu"),
        pytest.param("tiny", "cuda", marks=pytest.mark.gpu),
        pytest.param("telephone", "cuda", marks=pytest.mark.gpu),
    ],
)
def test_the_command_measures_small_and_says_so_on_a_cpu(capsys, model, device):
    """As continuous integration runs it: really paced, figures not looked at."""
    arguments = ["--model", model, "--streams", "2", "--chunk-ms", "160", "--device", device]
    assert cli.main(["bench", "asr", *arguments, "--seconds", "2", "--fixed", "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert list(report) == KEYS
    name = device if device == "cpu" else torch.cuda.get_device_name(0)
    assert (report["device"], report["streams"], report["chunk_ms"]) == (name, 2, 160)
    assert report["roofline_ms"] > 0
    assert report["chunk_p99_ms"] is not None
    assert ("on this CPU" in printed.err) == (device == "cpu")
    assert "without the wire" in printed.err
    assert "memory as computed" in printed.err
    assert f"in use: {'resident' if device == 'cpu' else 'allocated'}" in printed.err


@pytest.mark.parametrize(("model", "chunk_ms"), [("telephone", 300), ("tiny", 160)])
def test_a_chunk_is_as_long_as_those_of_published_figures(monkeypatch, model, chunk_ms):
    monkeypatch.setattr(bench, "describe", lambda *_, **__: DEVICE)
    monkeypatch.setattr(bench, "_as_served", lambda *args: SimpleNamespace(chunk_ms=args[2]))
    options = cli._parser().parse_args(["bench", "asr", "--model", model])
    made = bench.prepare(options.model, "cpu", options.chunk_ms, threads=1)
    assert made.chunk_ms == chunk_ms


@pytest.mark.parametrize("limit", [0, 10**9])
def test_memory_is_printed_as_computed_and_as_it_is(monkeypatch, capsys, limit):
    """Also where no stream is in time, and never 0 in all."""
    monkeypatch.setattr(bench, "describe", lambda *_, **__: DEVICE)
    machine = bench.prepare("tiny", "cpu", 160, threads=1)
    held = machine.trial

    def trial(streams: int, seconds: float) -> Measured:
        measured = held(streams, 0.4)
        measured.chunks = [1.0 if streams > limit else 0.01] * 10
        return measured

    machine.trial = trial
    monkeypatch.setattr(bench, "prepare", lambda *_, **__: machine)
    assert cli.main(["bench", "asr", "--model", "tiny", "--streams", "3", "--fixed"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    memory = machine.memory()
    assert memory.streams == 32  # a lane
    state = 32 * machine.state_bytes
    network = bench_models.fastconformer("tiny", torch.device("cpu"))
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert weights <= memory.weights < 1.5 * weights
    assert memory.computed == memory.weights + state + memory.buffers
    assert memory.buffers > 32 * 160 * 8 * 2  # the audio of a chunk alone
    assert memory.in_use["resident"] > memory.computed
    assert f"memory as computed {memory.computed / 1e6:.1f} MB (weights" in said
    assert f"state of 32 streams {state / 1e6:.1f} MB" in said
    assert " 0.0 MB" not in said
    assert "in use: resident" in said


def test_a_device_is_measured_with_all_that_is_served(monkeypatch):
    """Not the network alone: every batch goes through the recogniser that asr-serve runs."""
    from voicebot.asr.moonshine import Dimensions, Moonshine
    from voicebot.asr.telephone_device import DeviceRecogniser
    from voicebot.asr.vocabulary import Vocabulary

    torch.manual_seed(0)
    words = Vocabulary([f"\u2581w{number}".encode() for number in range(64)])
    network = Moonshine(Dimensions(32, 64, 2, 1, 1, 64))
    served: list[list[int]] = []
    judged: list[list[bool]] = []

    class Watched(DeviceRecogniser):
        def understand(self, spans, **options):
            served.append([len(samples) for samples in spans])
            judged.append([options["judge"] is not None and of for of in options["judged"]])
            return super().understand(spans, **options)

    small = Watched.on(network, words, torch.device("cpu"))
    monkeypatch.setattr(small, "warm_up", lambda: None)
    monkeypatch.setattr("voicebot.asr.telephone_device.DeviceRecogniser", lambda *_, **__: small)
    machine = bench._in_batches(torch.device("cpu"), DEVICE, 160, 0.4, lambda _: None)
    kinds = [JobKind.PARTIAL, JobKind.SPECULATIVE, JobKind.PARTIAL]
    audio = [np.zeros(n, np.int16) for n in (800, 16000, 40000)]
    texts = machine.trial._transcribe(audio, kinds)
    assert served == [[800, 16000, 40000]]
    assert judged == [[False, True, False]]
    assert len(texts) == 3
    measured = machine.trial(2, 1.0)
    assert measured.steps >= 2
    assert len(served) > measured.steps
    assert {"copies", "encoder", "decoder"} == set(measured.stage_s)
    assert 0 < measured.busy_s <= measured.wall_s


def test_batches_are_under_way_together_and_faults_of_threads_are_raised():
    from threading import Barrier

    together = Barrier(3, timeout=20)  # the third batch is taken while two wait for it
    begun = itertools.count()

    def transcribe(batch, kinds) -> None:
        if next(begun) < 3:
            together.wait()
            return
        raise ValueError("of a thread")

    trial = UtteranceTrial(transcribe, 0.02, max_batch=1, workers=3)
    with pytest.raises(ValueError, match="of a thread"):
        trial(16, 30.0)
    assert together.n_waiting == 0
    assert not together.broken


def test_a_hopeless_trial_tells_at_least_what_was_waited_for():
    machine = scripted(10)
    measured = Measured(4, chunks=[0.1] * 9)
    measured.gives_up(0.2, 1.0)
    assert not measured.is_hopeless
    measured.gives_up(1.5, 1.0)
    assert measured.is_over(0.0, 10.0)
    machine.trials.append(measured)
    assert not machine.holds(measured)
    report = machine.report()
    assert report["chunk_p99_ms"] == report["final_p99_ms"] == 1500.0
    assert report["max_streams"] == 0


def test_a_trial_waits_for_a_final_but_not_for_ever():
    measured = Measured(1)
    assert not measured.is_over(5.0, 1.0)
    assert measured.is_over(1.0 + bench_pace.FINAL_WAIT_S, 1.0)
    measured.finals.append(0.1)
    assert measured.is_over(1.0, 1.0)


def test_partials_left_out_are_told():
    machine = scripted(10)
    machine.trials.append(Measured(4, chunks=[0.1] * 9, finals=[0.1], shed=3))
    assert machine.report()["left_out_share"] == 0.25


@pytest.mark.parametrize(
    ("asked", "nearest"), [(1, 80), (100, 80), (120, 80), (121, 160), (320, 320), (999_999, 5600)]
)
def test_a_chunk_that_the_model_has_not_is_measured_at_the_nearest(asked, nearest):
    config = bench_models.CONFIGS["fastconformer-0.6b"]
    assert bench.ChunkShape.nearest_ms(asked, config) == nearest
    assert bench.ChunkShape.of_ms(nearest, config, 8000)
