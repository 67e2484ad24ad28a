"""The delay tracker on noise that rises and falls like syllables."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio.delay import UNLOCKED, DelayTracker
from voicebot.audio.mulaw import decode, encode
from voicebot.audio.pcm import to_float, to_int16

pytestmark = pytest.mark.unit

Signal = NDArray[np.float32]


def syllables(seconds: float, seed: int) -> Signal:
    """Low-passed noise of about -20 dBFS that rises and falls every 200 ms or so."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * 50) * 160
    noise = np.convolve(rng.standard_normal(samples + 4), [0.2, 0.5, 0.7, 0.5, 0.2], "valid")
    ends = np.cumsum(rng.integers(800, 2400, samples // 800))
    heights = rng.uniform(0, 1, len(ends)) ** 2
    bursts = np.interp(np.arange(samples), ends, heights)
    return np.asarray(0.15 * noise * bursts, np.float32)


def late(signal: Signal, samples: int) -> Signal:
    return np.concatenate([np.zeros(samples, np.float32), signal])[: len(signal)]


def over_the_phone(signal: Signal) -> Signal:
    return to_float(decode(encode(to_int16(signal))))


def track(near: Signal, far: Signal) -> tuple[DelayTracker, list[tuple[int, int]]]:
    """The tracker after one call, and (block, delay) of each change."""
    tracker = DelayTracker(1)
    tracker.reset(0)
    changes = []
    for block in range(len(near) // 160):
        part = slice(block * 160, block * 160 + 160)
        _, changed = tracker.process(np.array([0]), near[None, part], far[None, part])
        changes += [(block, int(tracker.delay[slot])) for slot in changed]
    return tracker, changes


@pytest.mark.parametrize("delay_ms", [0, 50, 520, 1500, 1980])
@pytest.mark.parametrize("gain_db", [6, -20, -30])
def test_it_finds_any_delay_at_any_level_within_a_second(delay_ms: int, gain_db: int) -> None:
    far = syllables(3.0, seed=delay_ms)
    echo = late(far, delay_ms * 8) * np.float32(10 ** (gain_db / 20))
    _, changes = track(over_the_phone(echo), far)
    block, delay = changes[0]
    assert abs(delay - delay_ms * 8) <= 8
    assert block * 20 < delay_ms + 1000
    assert len(changes) == 1


@pytest.mark.parametrize("defect", ["inverted", "offset", "clipped", "noisy"])
def test_a_poor_line_does_not_hide_the_echo(defect: str) -> None:
    far = syllables(3.0, seed=5)
    echo = late(far, 2400)
    noise = np.random.default_rng(0).standard_normal(len(far)).astype(np.float32)
    near = {
        "inverted": -echo,
        "offset": echo + np.float32(0.2),
        "clipped": np.clip(echo * 20, -0.5, 0.5),
        "noisy": echo + 0.05 * noise,
    }[defect]
    _, changes = track(over_the_phone(near), far)
    assert [abs(delay - 2400) <= 16 for _, delay in changes] == [True]


@pytest.mark.parametrize("step_ms", [-60, 180])
def test_a_step_is_followed_within_a_second(step_ms: int) -> None:
    far = syllables(6.0, seed=7)
    middle = len(far) // 2
    near = np.concatenate([late(far, 1600)[:middle], late(far, 1600 + 8 * step_ms)[middle:]])
    _, changes = track(over_the_phone(near), far)
    (_, _), (block, delay) = changes
    assert abs(delay - 1600 - 8 * step_ms) <= 8
    assert middle / 160 < block < middle / 160 + 50


def test_a_caller_who_speaks_over_the_bot_does_not_mislead_it() -> None:
    far, caller = syllables(6.0, seed=8), syllables(6.0, seed=9)
    _, changes = track(over_the_phone(late(far, 2400) * np.float32(0.3) + caller), far)
    assert [abs(delay - 2400) <= 8 for _, delay in changes] == [True]


@pytest.mark.parametrize("near", ["silence", "noise", "hum"])
def test_without_echo_it_never_locks(near: str) -> None:
    far = syllables(20.0, seed=10)
    time = np.arange(len(far)) / 8000
    heard = {
        "silence": np.zeros_like(far),
        "noise": 0.01 * np.random.default_rng(1).standard_normal(len(far)),
        "hum": 0.1 * np.sin(2 * np.pi * 440 * time),
    }[near]
    tracker, changes = track(over_the_phone(heard.astype(np.float32)), far)
    assert changes == []
    assert tracker.delay[0] == UNLOCKED


def test_a_delay_is_kept_through_silence_and_dropped_with_the_call() -> None:
    far = np.concatenate([syllables(2.0, seed=12), np.zeros(40000, np.float32)])
    tracker, changes = track(late(far, 800), far)
    assert len(changes) == 1
    assert abs(int(tracker.delay[0]) - 800) <= 8
    tracker.reset(0)
    assert tracker.delay[0] == UNLOCKED


def test_slots_do_not_disturb_each_other() -> None:
    far = syllables(3.0, seed=13)
    nears = np.stack([late(far, 800 * (slot + 1)) for slot in range(12)])
    together = DelayTracker(12)
    for slot in range(12):
        together.reset(slot)
    for block in range(len(far) // 160):
        part = slice(block * 160, block * 160 + 160)
        fars = np.repeat(far[None, part], 12, axis=0)
        together.process(np.arange(12), nears[:, part], fars)
    assert np.abs(together.delay - 800 * (np.arange(12) + 1)).max() <= 8
