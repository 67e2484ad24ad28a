"""What is heard on a device is what is heard on a CPU: whole calls, by way of Hearing."""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from devices import DEVICES, Watched, no_tf32
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.dtmf import DtmfDetector, generate
from voicebot.audio.echo import EchoCanceller
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.pcm import to_float, to_int16
from voicebot.engine.hearing import Chunk, Hearing, InbandKey, Result, VadResult
from voicebot.engine.hearing_device import build
from voicebot.engine.hearing_device.hearing import DeviceHearing, Rooms
from voicebot.engine.hearing_device.line import Line
from voicebot.engine.hearing_device.machine import Machine
from voicebot.engine.hearing_rooms import Unwatched
from voicebot.errors import CapacityError, DeviceLost, UserMistake
from voicebot.events import EchoState
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.vad import SileroVad

pytestmark = pytest.mark.unit

Signal = NDArray[np.float32]
Call = tuple[bytes, bytes]
"""mu-law of the caller and of the bot."""
BLOCK = 160


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with no_tf32():
        yield
    torch.set_num_threads(before)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def syllables(seconds: float, seed: int) -> Signal:
    """A buzz of about -20 dBFS through two formants that rises and falls like speech."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * 50) * BLOCK
    pitch = 90 + 60 * rng.random() + 12 * np.sin(np.arange(samples) / 3000 + seed)
    phase = np.cumsum(pitch / 8000)
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.05 * rng.standard_normal(samples)
    at = np.arange(160) / 8000
    voice = np.zeros(samples)
    for hz in (500 + 200 * rng.random(), 1500 + 400 * rng.random()):
        voice += np.convolve(pulses, np.sin(2 * np.pi * hz * at) * np.exp(-at * 300))[:samples]
    ends = np.cumsum(rng.integers(800, 2400, samples // 800))
    heights = rng.uniform(0, 1, len(ends)) ** 2
    voice *= np.interp(np.arange(samples), ends, heights)
    return np.asarray(0.1 * voice / np.sqrt(np.mean(voice**2)), np.float32)


def coded(near: Signal, far: Signal) -> Call:
    return mulaw.encode(to_int16(near)), mulaw.encode(to_int16(far))


def calls(seconds: float) -> list[Call]:
    """An echo that comes at once, one that jumps between prompts, one over which the caller
    talks, keys over the bot, an offset without echo, a digital line."""
    found = []
    whole = int(seconds * 50) * BLOCK
    for index, (erl_db, delay_ms) in enumerate([(10, 0), (6, 300), (3, 200), (20, 60)]):
        far = syllables(seconds, 10 + index)
        steps = ()
        if index == 1:
            far[whole // 3 : whole // 2] = 0
            steps = ((whole // 2, 60.0),)
        path = EchoPath(erl_db=erl_db, delay_ms=delay_ms, steps=steps, seed=index)
        near = to_float(mulaw.decode(path.mix(path.echo(far))))
        if index == 2:
            near[whole // 2 :] += syllables(seconds, 20)[: whole - whole // 2]
        if index == 3:
            keys = to_float(generate("1590", level_dbm0=-8))
            near[whole // 2 + 77 :][: len(keys)] += keys
        found.append(coded(near, far))
    caller = np.float32(0.5) * syllables(seconds, 30) + np.float32(0.02)
    found.append(coded(caller, syllables(seconds, 31)))
    found.append(coded(np.zeros(whole, np.float32), syllables(seconds, 32)))
    return found


def rooms(slots: int) -> Rooms:
    return Rooms(
        SileroVad(slots), EchoCanceller(slots), NearEndDetector(slots), DtmfDetector(slots)
    )


def on_cpu(slots: int) -> Hearing:
    own = rooms(slots)
    return Hearing(slots, own.vad, canceller=own.canceller, near_end=own.near_end, keys=own.keys)


def on_device(
    slots: int,
    device: str,
    *,
    buckets: tuple[int, ...] = (2, 4),
    on_lost: Callable[[str], object] = lambda why: None,
) -> DeviceHearing:
    class Watch(Unwatched):
        def lost(self, why: str) -> None:
            on_lost(why)

    machine = Machine(Line(slots, torch.device(device), has_keys=True), buckets=buckets)
    return DeviceHearing(slots, machine, rooms(slots), watch=Watch())


def chunk(slot: int, call: Call, at: int, length: int = BLOCK, begin: int = 0) -> Chunk:
    """`begin`: where in the recording the call begins."""
    here = slice(begin + at, begin + at + length)
    return Chunk(slot, at, call[0][here], call[1][here])


def windows(results: list[Result]) -> list[VadResult]:
    found = [result for result in results if isinstance(result, VadResult)]
    return sorted(found, key=lambda result: (result.slot, result.at))


def keys(results: list[Result]) -> list[InbandKey]:
    return [result for result in results if isinstance(result, InbandKey)]


def compare(one: list[Result], other: list[Result]) -> None:
    first, second = windows(one), windows(other)
    assert [(r.slot, r.at, r.echo) for r in first] == [(r.slot, r.at, r.echo) for r in second]
    for of in ("probability", "speech"):
        a, b = (np.array([getattr(r, of) for r in results]) for results in (first, second))
        assert np.abs(a - b).max() < 1e-3, of
    levels = [(a.level_db, b.level_db) for a, b in zip(first, second, strict=True)]
    assert max(abs(a - b) for a, b in levels if a > -60) < 0.05


def test_calls_are_heard_as_on_a_cpu(device: str) -> None:
    recorded = calls(4.0)
    count, samples = len(recorded), len(recorded[0][0])
    first, second = on_cpu(count), on_device(count, device)
    told: tuple[list[Result], list[Result]] = ([], [])
    for at in range(0, samples, BLOCK):
        step = [chunk(slot, call, at) for slot, call in enumerate(recorded)]
        for hearing, results in zip((first, second), told, strict=True):
            results += hearing.hear(step)
    compare(*told)
    assert {result.echo for result in windows(told[0])} == {*EchoState}
    assert [(key.slot, key.key) for key in keys(told[0])] == [(3, key) for key in "1590"]
    pairs = list(zip(keys(told[0]), keys(told[1]), strict=True))
    assert all(a.key == b.key and abs(a.at - b.at) <= 2 for a, b in pairs)
    for slot in range(count):
        a, b = (to_float(hearing.span(slot, 16000, samples)) for hearing in (first, second))
        assert np.mean((a - b) ** 2) < 1e-8, "-80 dBFS"
        came = to_float(mulaw.decode(recorded[slot][0]))[16000:] + np.float32(1e-6)
        erle = [10 * np.log10(np.sum(came**2) / (np.sum((left + 1e-6) ** 2))) for left in (a, b)]
        assert abs(erle[0] - erle[1]) < 0.5
        assert erle[0] > (15, 6, 0, 0, -1, -100)[slot]
    assert second.is_on_device


def test_calls_come_and_go_and_chunks_come_as_they_like(device: str) -> None:
    """A slot passes to another caller; bursts, gaps, halves of chunks; slots that are not there in
    every step; batches of all sizes."""
    recorded = calls(2.0)
    first, second = on_cpu(6), on_device(6, device)
    told: tuple[list[Result], list[Result]] = ([], [])
    begins = [0] * 6

    def hear(step: list[Chunk]) -> None:
        for hearing, results in zip((first, second), told, strict=True):
            results += hearing.hear(step)

    for number in range(90):
        at = number * BLOCK
        if number == 45:
            begins[1] = begins[4] = at
            for hearing in (first, second):
                hearing.reset(1)
                hearing.reset(4)
        step = []
        for slot, call in enumerate(recorded):
            own = at - begins[slot]
            if slot == 0 and number % 7:
                continue  # what comes in between comes at once below
            if slot == 0:
                step += [chunk(0, call, own + k * BLOCK) for k in range(7)]
            elif slot == 2 and number in {30, 31}:
                continue  # lost
            elif slot == 3:
                halves = (chunk(3, call, own, 90), chunk(3, call, own + 90, 70))
                step += halves if number % 3 == 0 else [chunk(3, call, own)]
            elif slot != 5 or number < 70:
                step.append(chunk(slot, call, own, begin=0))
        hear(step)
    compare(*told)
    for slot in range(6):
        a, b = (to_float(hearing.span(slot, 0, 14400)) for hearing in (first, second))
        assert len(a) == len(b)
        assert np.mean((a - b) ** 2) < 1e-7


def test_after_a_long_gap_a_call_goes_on(device: str) -> None:
    call = calls(3.0)[4]
    hearing = on_device(2, device)
    hearing.hear([chunk(0, call, 0), chunk(1, call, 0)])
    late = 24000
    told = hearing.hear([Chunk(0, late, call[0][:BLOCK], b"")])
    told += hearing.hear([Chunk(0, late + BLOCK, call[0][BLOCK : 2 * BLOCK], b"")])
    assert windows(told)[-1].at + 256 <= late + 2 * BLOCK
    assert windows(told)[-1].at + 512 > late + 2 * BLOCK
    assert all(np.isfinite(result.probability) for result in windows(told))


def test_nobody_reads_what_the_device_has_not_done_yet() -> None:
    """Another thread may read a span at any time."""
    call = calls(1.6)[4]
    hearing = on_device(1, "cpu")
    machine = hearing._machine
    assert machine is not None
    step, seen = machine.step, []

    def looks(what):  # type: ignore[no-untyped-def]
        seen.append(len(hearing.span(0, 0, 100_000)))
        return step(what)

    machine.step = looks  # type: ignore[method-assign]
    for at in range(0, 10 * BLOCK, BLOCK):
        hearing.hear([chunk(0, call, at)])
        assert len(hearing.span(0, 0, 100_000)) == at + BLOCK
    assert seen[:3] == [0, BLOCK, 2 * BLOCK]


# ---------------------------------------------------------------- what fails


def test_a_device_that_fails_costs_no_call_and_no_audio() -> None:
    recorded = calls(2.6)[:3]
    lost: list[str] = []
    hearing, other = on_device(3, "cpu", on_lost=lost.append), on_cpu(3)
    machine = hearing._machine
    assert machine is not None
    step = machine.step
    told: list[Result] = []
    expected: list[Result] = []

    def fails(what):  # type: ignore[no-untyped-def]
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    for at in range(0, len(recorded[0][0]), BLOCK):
        machine.step = fails if at == 50 * BLOCK else step  # type: ignore[method-assign]
        chunks = [chunk(slot, call, at) for slot, call in enumerate(recorded)]
        told += hearing.hear(chunks)
        expected += other.hear(chunks)
    assert lost == ["RuntimeError: CUDA error: an illegal memory access was encountered"]
    assert not hearing.is_on_device
    places = [[(r.slot, r.at) for r in windows(results)] for results in (told, expected)]
    assert places[0] == places[1]
    assert {r.echo for r in windows(told) if r.at > 18000 and r.slot == 0} == {EchoState.LOCKED}
    heard = hearing.span(2, 49 * BLOCK, 52 * BLOCK)
    assert heard.any()
    assert len(heard) == 3 * BLOCK
    assert all(heard[at : at + BLOCK].any() for at in (0, BLOCK, 2 * BLOCK))


def test_pinned_memory_of_a_lost_device_is_never_given_back() -> None:
    """That asks the device for an event; where it fails, C++ ends the process with all calls."""
    hearing, call = on_device(1, "cpu"), calls(1.6)[4]
    machine = hearing._machine
    assert machine is not None
    machine.step = lambda step: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    seen = weakref.ref(machine)
    del machine
    hearing.hear([chunk(0, call, 0)])
    assert not hearing.is_on_device
    del hearing
    gc.collect()
    assert seen() is not None


def test_who_takes_a_slot_hears_nothing_of_who_had_it() -> None:
    """The same to the bit as without the call before; one that goes on beside it, too."""
    recorded = calls(2.0)
    told: list[list[Result]] = []
    for before in (0, 70):
        hearing = on_device(2, "cpu")
        for number in range(before):
            at = number * BLOCK
            hearing.hear([chunk(0, recorded[0], at), chunk(1, recorded[3], at)])
        hearing.reset(0)
        hearing.reset(1)
        now: list[Result] = []
        for at in range(0, len(recorded[0][0]), BLOCK):
            now += hearing.hear([chunk(0, recorded[2], at), chunk(1, recorded[1], at)])
        told.append(now)
    assert {result.echo for result in windows(told[0])} >= {EchoState.LOCKED, EchoState.UNLOCKED}
    assert told[0] == told[1]


def test_a_device_that_never_answers_is_lost() -> None:
    class Running:
        asked = 0

        def query(self) -> bool:
            self.asked += 1
            return False

    slept: list[float] = []
    line = Line(1, torch.device("cpu"))
    machine = Machine(line, clock=lambda: sum(slept), sleep=slept.append)
    machine.streams.is_cuda = True
    mark = Running()
    with pytest.raises(DeviceLost, match="longer than 2 s"):
        machine._wait(mark)
    assert mark.asked == len(slept) + 1


def test_numbers_that_break_harm_no_neighbour_and_mend() -> None:
    recorded = [calls(3.0)[0]] * 2
    hearing = on_device(2, "cpu")
    told: list[Result] = []
    for at in range(0, len(recorded[0][0]), BLOCK):
        if at == 60 * BLOCK:
            machine = hearing._machine
            assert machine is not None
            machine.line.canceller._parts.filter._path[0] = float("nan")
        told += hearing.hear([chunk(slot, call, at) for slot, call in enumerate(recorded)])
    assert all(np.isfinite([r.probability, r.level_db]).all() for r in windows(told))
    sound = [r.echo for r in windows(told) if r.slot == 1 and r.at > 60 * BLOCK]
    broken = [r.echo for r in windows(told) if r.slot == 0 and r.at > 60 * BLOCK]
    assert set(sound) == {EchoState.LOCKED}
    assert EchoState.UNLOCKED in broken
    assert broken[-1] is EchoState.LOCKED


def test_what_cannot_be_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserMistake, match=r"hearing\.device"):
        build.make_machine(2, "abacus")

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(build, "Line", full)
    with pytest.raises(CapacityError, match="no memory to hear 2 calls"):
        build.make_machine(2, "cpu")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA driver error: unknown error\nCompile with")

    monkeypatch.setattr(build, "Line", broken)
    with pytest.raises(DeviceLost, match=r"cpu fails \(CUDA driver error: unknown error\)$"):
        build.make_machine(2, "cpu")


# ---------------------------------------------------------------- what a graph can record


def test_recording_leaves_every_slot_as_it_was() -> None:
    """Steps are warmed up and recorded for all batch sizes; calls may live already."""
    call = calls(2.0)[0]
    hearing = on_device(5, "cpu")
    machine = hearing._machine
    assert machine is not None
    for at in range(0, 60 * BLOCK, BLOCK):
        hearing.hear([chunk(slot, call, at) for slot in range(5)])
    state = machine.line.state
    tensors = [*(tensor for tensor, _ in state._kept), *state._unkept]
    before = [tensor[:5].clone() for tensor in tensors]
    asked, is_short = [], []

    @contextlib.contextmanager
    def capturing(pool: object) -> Iterator[object]:
        asked.append(pool)
        is_short.append(torch.backends.cuda.matmul.allow_tf32)
        yield type("Graph", (), {"pool": lambda self: "pool"})()

    machine.streams.capturing = capturing  # type: ignore[method-assign]
    torch.backends.cuda.matmul.allow_tf32 = True  # as a recogniser beside it has it
    machine._capture()
    assert torch.backends.cuda.matmul.allow_tf32
    assert not any(is_short), "products of ten bits"
    for tensor, was in zip(tensors, before, strict=True):
        assert torch.equal(tensor[:5].nan_to_num(), was.nan_to_num())
    sizes = (2, 4, 5)
    stages = ("mu-law", "echo", "keys", "vad", "near end")
    rare = {(name, 0) for name in ("rehearse", "follow", "start")}
    assert set(machine._graphs) == {(name, size) for name in stages for size in sizes} | rare
    assert asked == [None] + ["pool"] * 17


@pytest.mark.parametrize("slots", [40, 300])
def test_no_stage_asks_the_device_for_anything(slots: int) -> None:
    """Without a device: tensors that have no values cannot be asked for any."""
    line = Line(slots, torch.device("meta"), has_keys=True)
    few = torch.zeros(4, dtype=torch.int64, device="meta")
    with torch.inference_mode(), Watched() as watched:
        for stage in (line.decode, line.cancel, line.correlate, line.listen, line.judge):
            stage(slots)
        line.canceller.rare.rehearse()
        line.canceller.rare.follow(few, few > 0)
        line.canceller.rare.start(few)
    assert watched.found == set()


def test_state_is_what_was_taken() -> None:
    line = Line(7, torch.device("cpu"), has_keys=True)
    seen: dict[int, int] = {}

    def look(thing: object, depth: int = 0) -> None:
        if isinstance(thing, torch.Tensor):
            if thing.dim() and len(thing) in {8, 8 * 12 + 1} and thing.numel() != 8 * 12:
                seen[thing.data_ptr()] = thing.numel() * thing.element_size()
        elif hasattr(thing, "__dict__") and depth < 6:
            for part in vars(thing).values():
                look(part, depth + 1)

    look(line)
    assert sum(seen.values()) == pytest.approx(8 * line.nbytes_per_slot, rel=0.01)
    assert line.nbytes_per_slot < 200_000
