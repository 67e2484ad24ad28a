"""The parts of hearing on a device one by one, against the rooms that they compute."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from devices import DEVICES, no_tf32
from numpy.typing import NDArray

from voicebot.audio.delay import DelayTracker
from voicebot.audio.pcm import to_float
from voicebot.audio.resample import resample
from voicebot.engine.hearing_device import delay, near_end, vad
from voicebot.engine.hearing_device.near_end import NearEnd
from voicebot.engine.hearing_device.state import SlotState
from voicebot.engine.hearing_device.vad import Vad
from voicebot.errors import ModelUnavailable
from voicebot.speech.voices import EspeakVoice
from voicebot.turns import near_end_features
from voicebot.turns.near_end import NearEndDetector
from voicebot.turns.vad import SileroVad

pytestmark = pytest.mark.unit

SLOTS = np.array([2, 0, 3])


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with no_tf32(), torch.inference_mode():
        yield torch.device(request.param)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def windows() -> NDArray[np.float32]:
    """float32[3, n, 256]: speech between silence and noise, the same backwards, noise."""
    rng = np.random.default_rng(0)
    spoken = EspeakVoice("en-us+steph").render("My savings account, and then the other one.")
    speech = 0.3 * resample(to_float(spoken.samples), spoken.rate_hz, 8000)
    hiss = 0.01 * rng.standard_normal(20000).astype(np.float32)
    row = np.concatenate((hiss[:3000], speech, hiss, np.zeros(18000, np.float32), speech))
    row = row[: len(row) // 256 * 256]
    noise = 0.05 * rng.standard_normal(len(row)).astype(np.float32)
    return np.stack((row, row[::-1], noise)).reshape(3, -1, 256)


def test_silero_says_what_its_onnx_file_says(
    device: torch.device, windows: NDArray[np.float32]
) -> None:
    there, state = SileroVad(4), SlotState(4, device)
    here, rows = Vad(state), torch.from_numpy(SLOTS).to(device)
    worst, highest = 0.0, 0.0
    for number in range(windows.shape[1]):
        now = np.ascontiguousarray(windows[:, number])
        expected = there.probabilities(SLOTS, now)
        told = here.step(rows, torch.from_numpy(now).to(device)).cpu().numpy()
        worst, highest = max(worst, np.abs(told - expected).max()), max(highest, expected.max())
        if number == 60:
            there.reset(0)
            state.reset(torch.tensor([0], device=device))
    assert highest > 0.9
    assert windows.shape[1] > 200
    assert worst < 1e-4


def test_the_near_end_detector_says_what_it_says_on_a_cpu(
    device: torch.device, windows: NDArray[np.float32]
) -> None:
    rng = np.random.default_rng(1)
    there, state = NearEndDetector(4), SlotState(4, device)
    here, rows = NearEnd(state), torch.from_numpy(SLOTS).to(device)
    residual = np.array([-40, -np.inf, -20], np.float32)
    told, expected = [], []
    for number in range(120):
        near = np.ascontiguousarray(windows[:, number])
        far = np.roll(windows[:, max(0, number - 2)], 1, axis=0)
        clean = (0.3 * near + 0.001 * rng.standard_normal(near.shape)).astype(np.float32)
        given = {
            "near": near,
            "clean": clean,
            "far": far,
            "sent": np.ascontiguousarray(windows[:, min(number + 3, windows.shape[1] - 1)]),
            "speech": (np.abs(near).max(axis=1) > 0.05).astype(np.float32),
            "residual_db": residual,
            "delay": np.array([1300, -1, 700 if number < 80 else 1500]),
            "is_locked": np.array([True, False, number > 40]),
            "is_verified": np.array([number % 50 > 9, False, number > 60]),
            "settled_ms": np.array([number * 100, 0, 500], np.int32),
        }
        expected.append(there.probabilities(SLOTS, near_end_features.Windows(**given)))
        tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in given.items()}
        moved = near_end.Windows(**{name: of.to(device) for name, of in tensors.items()})
        told.append(here.step(rows, rows, moved).cpu().numpy())
        if number == 60:
            there.reset(3)
            state.reset(torch.tensor([3], device=device))
    assert np.abs(np.array(told) - np.array(expected)).max() < 1e-3
    assert np.ptp(np.array(expected)) > 0.3


def test_windows_that_do_not_count_leave_the_state_alone() -> None:
    state = SlotState(2, torch.device("cpu"))
    net, rows = NearEnd(state), torch.tensor([0, 1])
    before = [tensor.clone() for tensor, _ in state._kept]
    loud, ones, yes = torch.full((2, 256), 0.3), torch.ones(2), rows >= 0
    kept = state.only(rows, torch.tensor([False, True]))
    sound = {"near": loud, "clean": loud, "far": loud, "sent": loud, "speech": ones}
    known = {"delay": 300 * rows, "is_locked": yes, "is_verified": yes, "settled_ms": 900 * rows}
    net.step(rows, kept, near_end.Windows(**sound, **known, residual_db=0 * ones))
    for tensor, was in zip((tensor for tensor, _ in state._kept), before, strict=True):
        assert torch.equal(tensor[0], was[0])
    assert any(not torch.equal(t[1], b[1]) for (t, _), b in zip(state._kept, before, strict=True))


@pytest.mark.parametrize("all_rows", [256, 2])
def test_delays_are_found_where_the_room_finds_them(
    device: torch.device, all_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only a quarter of the calls is correlated in a block: then a little later."""
    monkeypatch.setattr(delay, "ALL_ROWS", all_rows)
    rng = np.random.default_rng(3)
    late = [0, 300, 2400, 12000, 90, 7000, 1, 15000]
    slots = np.arange(8)
    far = 0.1 * rng.standard_normal((8, 30000)).astype(np.float32)
    near = np.stack([np.roll(one, shift) for one, shift in zip(far, late, strict=True)])
    there, state = DelayTracker(8), SlotState(8, device)
    here = delay.Tracker(state, 2000)
    rows = torch.arange(8, device=device)
    here.reset(rows)
    when: dict[str, NDArray[np.int64]] = {k: np.full(8, -1) for k in ("there", "here")}
    every = torch.full((8,), 8, device=device)
    for number in range(140):
        now = slice(number * 160, number * 160 + 160)
        parts = [np.ascontiguousarray(one[:, now]) for one in (near, far)]
        there.process(slots, *parts)
        here.step(rows, rows, *(torch.from_numpy(part).to(device) for part in parts), every)
        for name, found in (("there", there.delay), ("here", here.delay[:8].cpu().numpy())):
            when[name][(when[name] < 0) & (found >= 0)] = number
    assert np.abs(here.delay[:8].cpu().numpy() - np.array(late)).max() <= 8
    assert np.array_equal(here.delay[:8].cpu().numpy(), there.delay)
    assert (when["there"] >= 0).all()
    lag = when["here"] - when["there"]
    assert lag.max() <= (0 if all_rows == 256 else 8)
    assert lag.min() >= 0


def test_a_net_of_another_version_is_told_in_one_line() -> None:
    weights = vad.load_weights()
    del weights["encoder.2.reparam_conv.bias"]
    with pytest.raises(ModelUnavailable, match="another version"):
        Vad(SlotState(1, torch.device("cpu")), weights)
