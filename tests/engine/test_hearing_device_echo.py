"""The canceller on a device does what the room does, also when the echo changes."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from devices import DEVICES, no_tf32
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.echo import EchoCanceller
from voicebot.audio.echo_path import EchoPath, impulse_response
from voicebot.audio.pcm import to_float, to_int16
from voicebot.engine.hearing_device.echo import Canceller
from voicebot.engine.hearing_device.echo_parts import FOLLOW, LOCK, REHEARSE, START
from voicebot.engine.hearing_device.kalman import Filter
from voicebot.engine.hearing_device.state import SlotState

pytestmark = pytest.mark.unit

Signal = NDArray[np.float32]
SECONDS = 9


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with no_tf32(), torch.inference_mode():
        yield torch.device(request.param)
    torch.set_num_threads(before)


def syllables(seed: int) -> Signal:
    """Low-passed noise of about -20 dBFS that rises and falls every 200 ms or so."""
    rng = np.random.default_rng(seed)
    samples = SECONDS * 8000
    noise = np.convolve(rng.standard_normal(samples + 4), [0.2, 0.5, 0.7, 0.5, 0.2], "valid")
    ends = np.cumsum(rng.integers(800, 2400, samples // 800))
    return np.asarray(
        0.15 * noise * np.interp(np.arange(samples), ends, rng.uniform(0, 1, len(ends)) ** 2),
        np.float32,
    )


def echo(far: Signal, delay_ms: float, erl_db: float, seed: int) -> Signal:
    late = np.concatenate((np.zeros(int(8 * delay_ms), np.float32), far))
    room = impulse_response(0.2, seed) * 10 ** (-erl_db / 20)
    return np.convolve(late, room)[: len(far)].astype(np.float32)


def calls() -> tuple[Signal, Signal]:
    """float32[5, n] near and far: another room at another time; a step back; an echo that ends
    and comes again; a clock that drifts while prompts pause; a caller over the bot."""
    far = np.stack([syllables(seed) for seed in range(5)])
    half = far.shape[1] // 3
    far[3, half : half + 12000] = far[3, 2 * half : 2 * half + 12000] = 0
    near = [echo(far[0], 80, 10, 0), echo(far[1], 200, 6, 1), echo(far[2], 300, 3, 2)]
    near[0][half:] = echo(far[0], 700, 8, 9)[half:]
    near[1][half:] = echo(far[1], 140, 6, 1)[half:]
    near[2][half : 2 * half] = 0
    drifting = EchoPath(erl_db=6, delay_ms=150, drift_ppm=200, seed=3)
    caller = 0.7 * syllables(20)
    caller[:half] = 0
    near += [drifting.echo(far[3]), echo(far[4], 60, 3, 4) + caller]
    coded = [mulaw.encode(to_int16(one[: far.shape[1]])) for one in near]
    return np.stack([to_float(mulaw.decode(one)) for one in coded]), far


def test_whatever_becomes_of_the_echo(device: torch.device) -> None:
    near, far = calls()
    count = len(near)
    there, state = EchoCanceller(count), SlotState(count, device)
    here, slots = Canceller(state), np.arange(count)
    here.allocate(count)
    rows = torch.arange(count, device=device)
    here.reset(rows)
    for slot in range(count):
        there.reset(slot)
    clean: tuple[list[Signal], list[Signal]] = ([], [])
    locked, seen = np.zeros(2), 0
    for at in range(0, near.shape[1], 160):
        block = [np.ascontiguousarray(one[:, at : at + 160]) for one in (near, far)]
        expected = there.process(slots, *block)
        told = here.step(rows, *(torch.from_numpy(one).to(device) for one in block))
        events = told.events.cpu().numpy()
        seen |= int(np.bitwise_or.reduce(events))
        if (events & REHEARSE).any():
            here.rare.rehearse()
        looking, starting = events & (LOCK | FOLLOW), events & (LOCK | START)
        if looking.any():
            which = torch.from_numpy(np.flatnonzero(looking)).to(device)
            here.rare.follow(which, torch.from_numpy(events[looking > 0] & LOCK).to(device) > 0)
        if starting.any():
            here.rare.start(torch.from_numpy(np.flatnonzero(starting)).to(device))
        clean[0].append(expected.clean)
        clean[1].append(told.clean.cpu().numpy())
        assert np.array_equal(expected.is_active, told.is_active.cpu().numpy())
        settled = expected.is_locked & (expected.settled_ms >= 500)
        known = (told.is_locked & (told.settled_ms >= 500)).cpu().numpy()
        locked += settled.sum(), (settled != known).sum()
    assert seen == START | LOCK | FOLLOW | REHEARSE
    assert locked[0] > 600
    assert locked[1] <= 3
    one, other = (np.concatenate(blocks, axis=1) for blocks in clean)
    came = np.sum(near[:, 16000:] ** 2, axis=1)
    erle = [10 * np.log10(came / np.sum(left[:, 16000:] ** 2, axis=1)) for left in (one, other)]
    assert (erle[0] > (4, 8, 4, 8, 0.5)).all()
    assert np.abs(erle[0] - erle[1]).max() < 0.5
    assert np.abs(one - other).max() < 0.01


def test_no_signal_is_made_of_what_no_signal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's transform spreads imaginary parts of the first and last bin, which a CPU ignores,
    over the samples; delays by parts of a sample made such ones."""
    worst: list[float] = []
    back = torch.fft.irfft

    def looks(spectra: torch.Tensor, samples: int) -> torch.Tensor:
        worst.append(float(spectra[..., :: spectra.shape[-1] - 1].imag.abs().max()))
        return back(spectra, samples)

    state = SlotState(1, torch.device("cpu"))
    learning = Filter(state)
    rows, far = torch.tensor([0]), torch.from_numpy(syllables(1))
    learning.start(rows, far[None, :800], far[None, 320 : 320 + 160 * 17], torch.tensor([0]))
    monkeypatch.setattr(torch.fft, "irfft", looks)
    for block in range(1, 5):
        now = far[block * 160 :][:320][None]
        learning.step(rows, rows, now[:, :160], now, rows == 0, torch.tensor([0.3]))
    assert len(worst) == 8
    assert max(worst) == 0.0
