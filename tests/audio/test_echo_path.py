import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.echo_path import (
    SATURATION,
    EchoPath,
    EchoStream,
    active_rms,
    impulse_response,
    saturate,
    through_gsm,
)

pytestmark = pytest.mark.unit

RATE = 8000


def speech(seconds: float = 4.0, seed: int = 1) -> NDArray[np.float32]:
    """Noise with a voice's spectrum and syllables: active level -20 dBFS."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(int(seconds * RATE)), [1.0, 0.9, 0.5, 0.2], "same")
    syllables = np.clip(np.sin(np.arange(len(noise)) * 2 * np.pi * 3 / RATE), 0, None)
    voice = (noise * syllables).astype(np.float32)
    return np.asarray(voice * (0.1 / active_rms(voice)), np.float32)


def lag(far: NDArray[np.float32], echo: NDArray[np.float32], longest: int = 8000) -> int:
    """Samples by which `echo` is late, by cross-correlation."""
    size = 1 << (len(far) + len(echo)).bit_length()
    product = np.fft.rfft(echo, size) * np.conj(np.fft.rfft(far, size))
    return int(np.argmax(np.fft.irfft(product, size)[:longest]))


def level_db(signal: NDArray[np.float32]) -> float:
    return float(20 * np.log10(active_rms(signal)))


def snr_db(signal: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.sum(signal**2) / np.sum((signal - other) ** 2)))


def test_active_level_leaves_pauses_out() -> None:
    voice = speech()
    with_pause = np.concatenate([voice, np.zeros(len(voice), np.float32)])
    assert active_rms(with_pause) == pytest.approx(active_rms(voice), rel=1e-3)
    assert active_rms(np.zeros(4000, np.float32)) == 0.0
    assert active_rms(np.zeros(3, np.float32)) == 0.0


@pytest.mark.parametrize("rt60_s", [0.1, 0.25, 0.5])
def test_the_room_loses_60_db_in_its_reverberation_time(rt60_s: float) -> None:
    decay = np.zeros(int(rt60_s * RATE))
    for seed in range(50):
        decay += impulse_response(rt60_s, seed) ** 2
    chunks = decay[1 : len(decay) // 10 * 10 + 1][: len(decay) // 10 * 10 - 10]
    power_db = 10 * np.log10(chunks[: len(chunks) // 10 * 10].reshape(-1, 10).mean(axis=1))
    slope_per_s = np.polyfit(np.arange(len(power_db)) * 10 / RATE, power_db, 1)[0]
    assert slope_per_s * rt60_s == pytest.approx(-60, abs=1.5)


def test_the_direct_path_comes_first_and_is_strongest() -> None:
    response = impulse_response(0.25, 3)
    assert np.argmax(np.abs(response)) == 0
    assert np.sum(response**2) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("codec", ["mulaw", "gsm"])
@pytest.mark.parametrize("loudspeaker", ["linear", "saturated"])
@pytest.mark.parametrize("erl_db", [20.0, 0.0, -6.0])
def test_echo_lies_below_speech_by_the_return_loss(erl_db, loudspeaker, codec) -> None:  # type: ignore[no-untyped-def]
    far = speech()
    path = EchoPath(erl_db=erl_db, delay_ms=100, loudspeaker=loudspeaker, codec=codec, seed=2)
    assert level_db(far) - level_db(path.echo(far)) == pytest.approx(erl_db, abs=0.3)


@pytest.mark.parametrize("delay_ms", [0, 50, 500, 1500])
def test_echo_is_late_by_the_delay(delay_ms: int) -> None:
    far = speech()
    echo = EchoPath(erl_db=10, delay_ms=delay_ms, seed=4).echo(far)
    assert len(echo) == len(far)
    assert lag(far, echo, 13000) == delay_ms * 8


def test_the_delay_changes_at_its_steps() -> None:
    far = speech(6)
    path = EchoPath(erl_db=10, delay_ms=200, steps=[(16000, 180), (32000, -240)], seed=4)
    echo = path.echo(far)
    assert lag(far[:16000], echo[:16000]) == 200 * 8
    assert lag(far[17000:31000], echo[17000:34000]) == 380 * 8
    assert lag(far[34000:], echo[34000:]) == 140 * 8


@pytest.mark.parametrize("ppm", [200.0, -200.0])
def test_a_slow_clock_makes_the_echo_later_and_later(ppm: float) -> None:
    far = speech(20)
    echo = EchoPath(erl_db=10, delay_ms=100, drift_ppm=ppm, rt60_s=0.05, seed=4).echo(far)
    late = lag(far[-16000:], echo[-16000:])
    expected = 800 + ppm * 1e-6 * (len(far) - 8000)
    assert abs(late - expected) <= 2
    assert lag(far[:8000], echo[:8000]) in {799, 800, 801}


def test_what_the_phone_never_got_leaves_no_echo() -> None:
    far = speech()
    path = EchoPath(erl_db=10, delay_ms=100, rt60_s=0.1, gaps=[(12000, 4000)], seed=4)
    echo = path.echo(far)
    assert np.abs(echo[12000 + 800 + 800 : 16000 + 800]).max() < 1e-6
    assert np.abs(echo[10000:12000]).max() > 0.01
    assert np.abs(echo[17000:19000]).max() > 0.01


def test_loudspeaker_saturates_at_its_limit_and_keeps_quiet_sounds() -> None:
    quiet = np.linspace(-0.02, 0.02, 101, dtype=np.float32)
    np.testing.assert_allclose(saturate(quiet), quiet, atol=1e-4)
    loud = saturate(np.array([-1.0, 1.0], np.float32))
    np.testing.assert_allclose(np.abs(loud), SATURATION, rtol=0.01)


def test_gsm_distorts_without_delay() -> None:
    far = speech()
    heard = through_gsm(far)
    assert len(heard) == len(far)
    assert lag(far, heard) == 0
    assert 3 < snr_db(far, heard) < 25
    assert len(through_gsm(far[:0])) == 0


def test_the_same_seed_makes_the_same_telephone() -> None:
    far = speech()
    one, same, other = (EchoPath(erl_db=10, delay_ms=90, seed=s).echo(far) for s in (7, 7, 8))
    np.testing.assert_array_equal(one, same)
    assert snr_db(one, other) < 6


@pytest.mark.parametrize(
    "options",
    [{}, {"loudspeaker": "saturated"}, {"drift_ppm": 200.0}, {"gaps": [(6000, 800)]}],
)
def test_chunk_by_chunk_is_the_same_as_the_whole(options) -> None:  # type: ignore[no-untyped-def]
    far = speech()
    path = EchoPath(erl_db=6, delay_ms=230, seed=5, **options)
    coded = path.code(far)
    stream = EchoStream(path, len(far), far)
    chunks = [stream.process(coded[at : at + 160]) for at in range(0, len(far), 160)]
    assert snr_db(path.echo(far), np.concatenate(chunks)) > 25


def test_a_stream_follows_a_step_between_prompts() -> None:
    far = speech()
    far[15000:17000] = 0
    path = EchoPath(erl_db=6, delay_ms=230, seed=5, steps=[(16000, -60)])
    coded = path.code(far)
    stream = EchoStream(path, len(far), far)
    chunks = [stream.process(coded[at : at + 160]) for at in range(0, len(far), 160)]
    assert snr_db(path.echo(far), np.concatenate(chunks)) > 25


def test_messages_pass_the_codec_in_the_order_sent() -> None:
    far = speech()
    path = EchoPath(erl_db=6, delay_ms=230, codec="gsm", seed=5)
    stream = EchoStream(path, len(far), far)
    parts = [stream.receive(far[at : at + 1440]) for at in range(0, len(far), 1440)]
    received = np.concatenate(parts)
    assert len(received) == len(far)
    assert snr_db(far, received) == pytest.approx(snr_db(far, through_gsm(far)), abs=1.0)


def test_the_microphone_hears_everything_and_clips() -> None:
    path = EchoPath(erl_db=6, delay_ms=0)
    some = np.full(400, 0.25, np.float32)
    sent = mulaw.decode(path.mix(some, some, some))
    assert np.abs(sent / 32768 - 0.75).max() < 0.02
    clipped = mulaw.decode(path.mix(some * 8))
    assert clipped.max() == mulaw.decode(mulaw.encode(np.array([32767], np.int16)))[0]
    assert path.mix(np.zeros(160, np.float32)) == mulaw.SILENCE * 160


def test_silence_has_no_echo() -> None:
    path = EchoPath(erl_db=-6, delay_ms=50, loudspeaker="saturated", codec="gsm")
    assert not np.any(path.echo(np.zeros(4000, np.float32)))


@pytest.mark.parametrize(
    "options",
    [
        {"delay_ms": -1},
        {"delay_ms": 50, "steps": [(800, -60)]},
        {"delay_ms": 50, "codec": "opus"},
        {"delay_ms": 50, "loudspeaker": "broken"},
    ],
)
def test_no_telephone_is_like_that(options) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"delay|loudspeaker"):
        EchoPath(erl_db=10, **options)
