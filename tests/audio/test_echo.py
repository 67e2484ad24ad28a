"""The echo canceller on noise like syllables through simulated rooms."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio.echo import Cancelled, EchoCanceller
from voicebot.audio.echo_path import EchoPath
from voicebot.audio.kalman import KalmanFilter
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


def room(far: Signal, delay_ms: float, erl_db: float, seed: int = 0) -> Signal:
    """The echo of `far` behind an exponential decay of RT60 0.25 s."""
    rng = np.random.default_rng(seed)
    taps = rng.standard_normal(2000) * np.exp(-np.log(1000) * np.arange(2000) / 2000)
    taps *= 10 ** (-erl_db / 20) / np.sqrt(np.sum(taps**2))
    late = np.concatenate([np.zeros(int(delay_ms * 8)), far])
    return np.convolve(late, taps)[: len(far)].astype(np.float32)


def over_the_phone(signal: Signal) -> Signal:
    return to_float(decode(encode(to_int16(signal))))


def call(near: Signal, far: Signal, canceller: EchoCanceller | None = None) -> list[Cancelled]:
    """Results of each block of one call in slot 0."""
    if canceller is None:
        canceller = EchoCanceller(1)
        canceller.reset(0)
    slots = np.array([0])
    return [
        canceller.process(slots, near[None, at : at + 160], far[None, at : at + 160])
        for at in range(0, len(near), 160)
    ]


def clean(results: list[Cancelled]) -> Signal:
    return np.concatenate([result.clean[0] for result in results])


def db(signal: Signal, other: Signal) -> float:
    """Energy of one against the other."""
    return float(10 * np.log10(np.sum(signal**2) / np.sum(other**2)))


@pytest.mark.parametrize("delay_ms", [0, 50, 520, 1500, 1980])
def test_an_echo_is_20_db_down_two_seconds_after_the_bot_began(delay_ms: int) -> None:
    far = syllables(4.0, seed=1)
    echo = room(far, delay_ms, erl_db=10)
    results = call(over_the_phone(echo), far)
    late = slice(max(16000, 8 * delay_ms + 8000), None)
    assert db(echo[late], clean(results)[late]) > 20
    assert results[-1].is_locked[0]


def test_a_caller_over_the_bot_is_kept() -> None:
    far, caller = syllables(6.0, seed=2), syllables(6.0, seed=3)
    caller[:16000] = 0
    near = over_the_phone(room(far, 200, erl_db=10) + caller)
    left = clean(call(near, far))
    late = slice(16000, None)
    assert db(caller[late], left[late] - caller[late]) > 17


def test_without_echo_the_near_end_passes_untouched() -> None:
    far, caller = syllables(4.0, seed=4), syllables(4.0, seed=5)
    results = call(caller, far)
    assert np.array_equal(clean(results), caller)
    assert not any(result.is_locked[0] for result in results)
    assert all(result.is_active[0] for result in results)
    assert not any(result.far.any() for result in results)


def test_a_silent_bot_cannot_be_heard() -> None:
    caller = syllables(2.0, seed=6)
    results = call(caller, np.zeros_like(caller))
    assert np.array_equal(clean(results), caller)
    assert not any(result.is_active[0] for result in results)
    assert all(result.residual_db[0] == -np.inf for result in results)


def test_the_delay_outlasts_a_pause_and_the_next_prompt_is_clean_at_once() -> None:
    prompt = syllables(3.0, seed=7)
    far = np.concatenate([prompt, np.zeros(24000, np.float32), prompt])
    echo = room(far, 300, erl_db=6)
    results = call(over_the_phone(echo), far)
    again = slice(48000 + 2400, 48000 + 8000)
    assert db(echo[again], clean(results)[again]) > 18
    assert all(result.is_locked[0] for result in results[300:])
    assert not results[280].is_active[0]
    assert results[310].is_active[0]


@pytest.mark.parametrize("step_ms", [-60, 180])
def test_after_a_step_between_prompts_the_echo_is_gone_within_a_second(step_ms: int) -> None:
    prompt = syllables(3.0, seed=8)
    pause = np.zeros(16000, np.float32)
    far = np.concatenate([prompt, pause, prompt])
    first = room(np.concatenate([prompt, pause, 0 * prompt]), 300, 6)
    echo = first + room(np.concatenate([0 * prompt, pause, prompt]), 300 + step_ms, 6)
    results = call(over_the_phone(echo), far)
    late = slice(40000 + (300 + step_ms) * 8 + 8000, None)
    assert db(echo[late], clean(results)[late]) > 15
    start = (40000 + 8 * (300 + step_ms)) // 160
    assert any(not result.is_locked[0] or result.settled_ms[0] < 1000 for result in results[start:])
    assert np.sum(clean(results)[40000:] ** 2) < 1.5 * np.sum(echo[40000:] ** 2)


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_clock_that_drifts_is_followed(ppm: int) -> None:
    far = syllables(10.0, seed=11)
    path = EchoPath(erl_db=6, delay_ms=200, drift_ppm=ppm)
    echo = path.echo(far)
    left = clean(call(to_float(decode(path.mix(echo))), far))
    assert db(echo[48000:], left[48000:]) > 15


def test_a_line_that_goes_silent_stays_silent() -> None:
    far = syllables(4.0, seed=12)
    near = over_the_phone(room(far, 100, erl_db=0))
    near[20000:24000] = 0
    results = call(near, far)
    assert not clean(results)[20160:23840].any()


def test_a_caller_over_a_bot_without_echo_is_not_taken_for_one() -> None:
    far, caller = syllables(30.0, seed=13), syllables(30.0, seed=14)
    results = call(over_the_phone(caller), far)
    assert not any(result.is_locked[0] for result in results)
    assert np.array_equal(clean(results), over_the_phone(caller))


def test_the_residual_follows_what_is_left() -> None:
    far, caller = syllables(6.0, seed=15), syllables(6.0, seed=16)
    echo = room(far, 100, erl_db=6)
    results = call(over_the_phone(echo + caller), far)
    left = (clean(results) - caller).reshape(-1, 160)
    levels = 10 * np.log10(np.mean(left**2, axis=1) + 1e-9)
    estimates = np.array([result.residual_db[0] for result in results])
    assert abs(np.median(estimates[150:] - levels[150:])) < 10


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30, 1e-42])
def test_samples_that_are_no_samples_do_no_lasting_harm(poison: float) -> None:
    far = syllables(4.0, seed=9)
    echo = room(far, 100, erl_db=6)
    near, sent = over_the_phone(echo), far.copy()
    near[8000:8100] = poison
    sent[12000:12100] = poison
    results = call(near, sent)
    assert np.isfinite(clean(results)).all()
    assert db(echo[24000:], clean(results)[24000:]) > 12


def test_a_reset_slot_is_as_new() -> None:
    far = syllables(2.0, seed=10)
    near = over_the_phone(room(far, 100, erl_db=6))
    canceller = EchoCanceller(1)
    canceller.reset(0)
    first = clean(call(near, far, canceller))
    canceller.reset(0)
    assert np.array_equal(clean(call(near, far, canceller)), first)


def test_rows_do_not_depend_on_their_company() -> None:
    fars = [syllables(2.0, seed=20 + slot) for slot in range(3)]
    nears = [over_the_phone(room(far, 100 * slot, 6)) for slot, far in enumerate(fars)]
    canceller = EchoCanceller(3)
    for slot in range(3):
        canceller.reset(slot)
    order = np.array([2, 0])
    together = [
        canceller.process(
            order,
            np.stack([nears[slot][at : at + 160] for slot in order]),
            np.stack([fars[slot][at : at + 160] for slot in order]),
        ).clean[1]
        for at in range(0, len(fars[0]), 160)
    ]
    assert np.allclose(np.concatenate(together), clean(call(nears[0], fars[0])), atol=1e-5)


def rehearsals(
    calls: int, delay_ms: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[list[int]], list[Cancelled]]:
    """Slots that heard once more, block by block, and what became of calls that begin together."""
    found: list[list[int]] = []
    rehearse = KalmanFilter.rehearse

    def noted(self: KalmanFilter, slots: NDArray[np.intp], near: Signal, far: Signal) -> None:
        found[-1] += slots.tolist()
        rehearse(self, slots, near, far)

    monkeypatch.setattr(KalmanFilter, "rehearse", noted)
    far = syllables(5.0, seed=17)
    near = over_the_phone(room(far, delay_ms, erl_db=10))
    canceller, slots = EchoCanceller(calls), np.arange(calls)
    results = []
    for at in range(0, len(far), 160):
        found.append([])
        one = (signal[at : at + 160] for signal in (near, far))
        results.append(canceller.process(slots, *(np.tile(signal, (calls, 1)) for signal in one)))
    return found, results


@pytest.mark.parametrize(("delay_ms", "every", "count"), [(300, 5, 12), (1200, 2, 30)])
def test_a_call_alone_rehearses_at_its_own_pace(
    delay_ms: int, every: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = rehearsals(1, delay_ms, monkeypatch)
    blocks = np.flatnonzero([len(slots) for slots in found])
    assert len(blocks) == count
    assert set(np.diff(blocks)) == {every}


def test_calls_that_lock_together_rehearse_in_turns_and_all_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 80
    found, results = rehearsals(calls, 1200, monkeypatch)
    assert max(len(slots) for slots in found) == 16
    times = np.bincount(np.concatenate(found).astype(int), minlength=calls)
    assert times.min() >= 10
    assert times.max() <= 20, "none at the cost of the others"
    assert results[-1].is_locked.all()
    assert (results[-1].residual_db < -40).all()


def test_a_call_takes_less_than_130_kilobytes() -> None:
    assert EchoCanceller(2).nbytes_per_slot < 130_000
