"""The telephone chain: everything keeps its length and its place in time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio.echo_path import active_rms, through_mulaw
from voicebot.learning import asr_channel, asr_codecs
from voicebot.learning.asr_channel import Chain, Telephone

pytestmark = pytest.mark.unit

Signal = NDArray[np.float32]
NOTHING = Chain(*[0.0] * 11)


def syllables(seconds: float = 2.0, seed: int = 0) -> Signal:
    """Bursts of coloured noise, about as speech comes and goes."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * 8000)
    time = np.arange(samples) / 8000
    envelope = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1) ** 2
    pulses = np.zeros(samples)
    pulses[:: int(rng.integers(55, 75))] = 1.0
    formant = np.exp(-np.arange(80) / 15) * np.cos(2 * np.pi * 700 * np.arange(80) / 8000)
    voice = np.convolve(pulses, formant)[:samples] * envelope
    return np.asarray(0.3 * voice / np.abs(voice).max(), np.float32)


def lag(sent: Signal, received: Signal) -> int:
    """Samples by which `received` comes later."""
    size = 2 * len(sent)
    product = np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size))
    at = int(np.fft.irfft(product).argmax())
    return at if at < len(sent) else at - size


@pytest.mark.parametrize("name", sorted(asr_codecs.available()))
def test_codecs_keep_length_and_time(name: str) -> None:
    signal = syllables()
    coded = asr_codecs.available()[name](signal, np.random.default_rng(1))
    assert coded.shape == signal.shape
    assert coded.dtype == np.float32
    assert abs(lag(signal, coded)) <= 2
    assert 0.25 < np.mean(coded**2) / np.mean(signal**2) < 4
    assert not np.array_equal(coded, signal)


def test_g711_codecs_agree_with_our_own_and_leave_nothing_alone() -> None:
    rng = np.random.default_rng(1)
    signal = syllables()
    ours = through_mulaw(signal)
    assert np.abs(asr_codecs.mulaw(signal, rng) - ours).max() < 0.02
    assert asr_codecs.mulaw(signal[:0], rng).size == 0
    assert asr_codecs.gsm(signal[:100], rng).shape == (100,)


def test_plain_line_is_mulaw_alone() -> None:
    telephone = Telephone(NOTHING, [], [])
    signal = syllables()
    carried = telephone.carry(signal, np.random.default_rng(0))
    assert np.array_equal(carried, asr_codecs.mulaw(signal, np.random.default_rng(0)))


def test_every_chain_is_finite_in_range_in_time_and_repeatable() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, 9000).astype(np.float32)
    telephone = Telephone(Chain(), [noise], [syllables(seed=5)])
    signal = syllables()
    late = []
    for seed in range(30):
        carried = telephone.carry(signal, np.random.default_rng(seed))
        again = telephone.carry(signal, np.random.default_rng(seed))
        assert np.array_equal(carried, again)
        assert carried.shape == signal.shape
        assert np.isfinite(carried).all()
        assert np.abs(carried).max() <= 1.0
        late.append(abs(lag(signal, carried)))
    assert np.median(late) <= 2


def test_other_seeds_give_other_lines() -> None:
    telephone = Telephone(Chain(), [], [])
    one, other = (telephone.carry(syllables(), np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_nobody_speaking_is_quiet_to_loud_but_never_silent_in_number() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, 9000).astype(np.float32)
    telephone = Telephone(Chain(), [noise], [])
    rng = np.random.default_rng(0)
    sounds = [telephone.nothing(8000, rng) for _ in range(40)]
    assert all(sound.shape == (8000,) and np.isfinite(sound).all() for sound in sounds)
    levels = [float(np.sqrt(np.mean(sound**2))) for sound in sounds]
    assert min(levels) < 0.005
    assert max(levels) > 0.05


def test_benchmark_mixing_by_the_loudest_frames() -> None:
    speech = syllables()
    noise = np.random.default_rng(1).normal(0, 0.1, len(speech)).astype(np.float32)
    mixed = asr_channel.mixed_by_frames(speech, noise, 6.0)
    assert np.abs(mixed).max() == pytest.approx(0.5, rel=1e-5)
    scale = float(np.dot(mixed, speech) / np.dot(speech, speech))
    left = mixed - scale * speech
    ratio = asr_channel._loudest(scale * speech) / asr_channel._loudest(left)
    assert 10 * np.log10(ratio) == pytest.approx(6.0, abs=1.0)


def test_level_and_clipping() -> None:
    rng = np.random.default_rng(0)
    assert 20 * np.log10(active_rms(asr_channel.levelled(syllables(), -26))) == pytest.approx(
        -26, abs=0.5
    )
    cut = asr_channel.clipped(syllables(), 12)
    assert np.count_nonzero(np.abs(cut) == np.abs(cut).max()) > 20
    assert asr_channel.in_room(syllables(), rng).shape == syllables().shape


def test_lost_packets_are_whole_and_few() -> None:
    speech = syllables(60.0)
    for seed in range(6):
        heard = asr_channel.with_losses(speech, np.random.default_rng(seed))
        assert heard.shape == speech.shape
        changed = (heard != speech).reshape(-1, 160).any(axis=1)
        assert 0 < changed.mean() < 0.12


def test_comfort_noise_leaves_speech_alone() -> None:
    speech = np.concatenate([syllables(), np.zeros(8000, np.float32)])
    heard = asr_channel.with_comfort_noise(speech, np.random.default_rng(0))
    loud = np.abs(speech) > 0.1
    assert np.array_equal(heard[loud], speech[loud])
    assert 0 < np.sqrt(np.mean(heard[-8000:] ** 2)) < 0.01


def test_masks_remove_bands_and_moments_and_leave_the_rest() -> None:
    rng = np.random.default_rng(8)
    noise = rng.standard_normal(16000).astype(np.float32)
    kept = [asr_channel.masked(noise, rng) for _ in range(40)]
    shares = [float(np.mean(one**2) / np.mean(noise**2)) for one in kept]
    assert min(shares) < 0.9
    assert max(shares) == pytest.approx(1, abs=1e-3)
    assert min(shares) > 0.4
    assert max(int(np.sum(one == 0)) for one in kept) > 400
    short = np.ones(3, np.float32)
    assert asr_channel.masked(short, rng).shape == (3,)
