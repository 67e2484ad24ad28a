"""ITU-T Q.24's requirements of a DTMF receiver, and that voices and music press no keys."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.dtmf import DtmfDetector, generate
from voicebot.audio.files import read_mulaw

pytestmark = pytest.mark.unit

ALL = "1234567890*#ABCD"
RECORDINGS = Path(__file__).parents[2].parent / "shared" / "audio"
Samples = NDArray[np.int16]


def heard(*calls: Samples, codec: bool = True) -> list[list[tuple[str, int]]]:
    """Keys and onsets found in each of the calls, which run side by side."""
    length = max(map(len, calls)) + 800
    blocks = np.zeros((len(calls), length // 160 * 160), np.int16)
    for row, call in enumerate(calls):
        blocks[row, : len(call)] = call
    if codec:
        blocks = mulaw.decode(mulaw.encode(blocks.ravel())).reshape(blocks.shape)
    detector = DtmfDetector(len(calls))
    found: list[list[tuple[str, int]]] = [[] for _ in calls]
    for at in range(0, blocks.shape[1], 160):
        block = blocks[:, at : at + 160].astype(np.float32) / 32768
        for row, key, onset in detector.feed(np.arange(len(calls)), block):
            found[row].append((key, at + onset))
    return found


def keys(*calls: Samples) -> list[str]:
    return ["".join(key for key, _ in call) for call in heard(*calls)]


def at_all_phases(call: Samples, step: int = 16) -> list[Samples]:
    """The call, beginning anywhere between two blocks."""
    return [np.concatenate((np.zeros(400 + s, np.int16), call)) for s in range(0, 160, step)]


def noisy(call: Samples, tone: Samples, snr_db: float, seed: int) -> Samples:
    """With white noise `snr_db` below the tone's power."""
    noise_rms = np.sqrt(np.mean(np.square(tone.astype(np.float64))) / 10 ** (snr_db / 10))
    noise = np.random.default_rng(seed).normal(0, noise_rms, len(call))
    return np.clip(np.round(call + noise), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tone_ms": 40, "gap_ms": 40},
        {"tone_ms": 1000, "gap_ms": 60},
        {"level_dbm0": 0.0},
        {"level_dbm0": -36.0},
        {"twist_db": 4.0},
        {"twist_db": -8.0},
        {"detune": 0.015},
        {"detune": -0.015},
        {"tone_ms": 40, "gap_ms": 40, "detune": 0.015, "twist_db": -8.0, "level_dbm0": -28.0},
    ],
)
def test_what_a_receiver_must_accept(how: dict[str, float]) -> None:
    assert set(keys(*at_all_phases(generate(ALL, **how)))) == {ALL}


@pytest.mark.parametrize(
    "how",
    [
        {"tone_ms": 20},
        {"tone_ms": 12},
        {"detune": 0.035},
        {"detune": -0.035},
        {"detune": 0.05},
        {"level_dbm0": -50.0},
        {"twist_db": 12.0},
        {"twist_db": -15.0},
    ],
)
def test_what_a_receiver_must_refuse(how: dict[str, float]) -> None:
    assert set(keys(*at_all_phases(generate(ALL, **how)))) == {""}


def test_noise_15_db_below() -> None:
    call = generate(ALL, tone_ms=40, gap_ms=40, level_dbm0=-20, twist_db=-3)
    calls = [
        noisy(shifted, call[:320], 15.0, seed)
        for seed, shifted in enumerate(at_all_phases(call, 8))
    ]
    assert set(keys(*calls)) == {ALL}


def test_equal_keys_are_parted_by_pauses_of_40_ms() -> None:
    assert set(keys(*at_all_phases(generate("5555555", tone_ms=40, gap_ms=40)))) == {"5555555"}


@pytest.mark.parametrize("dropout_ms", [5, 10, 20])
def test_a_dropout_does_not_press_a_key_twice(dropout_ms: int) -> None:
    tone = generate("7", tone_ms=120, gap_ms=0)
    tone[400 : 400 + dropout_ms * 8] = 0
    assert set(keys(*at_all_phases(tone))) == {"7"}


def test_a_click_does_not_press_a_key_twice() -> None:
    tone = generate("7", tone_ms=120, gap_ms=0)
    tone[400:480] = np.random.default_rng(1).integers(-20000, 20000, 80)
    assert set(keys(*at_all_phases(tone))) == {"7"}


def test_onsets() -> None:
    for phase, found in enumerate(heard(*at_all_phases(generate(ALL, tone_ms=70, gap_ms=50)))):
        expected = [400 + 16 * phase + 960 * index for index in range(len(ALL))]
        assert [at for _, at in found] == pytest.approx(expected, abs=16)


def test_a_key_is_known_before_60_ms_of_it_have_been_heard() -> None:
    detector = DtmfDetector(1)
    for call in at_all_phases(generate("5", tone_ms=200)):
        detector.reset(0)
        padded = np.resize(call, len(call) // 160 * 160).astype(np.float32) / 32768
        found = [
            end
            for end in range(160, len(padded) + 1, 160)
            if detector.feed(np.array([0]), padded[None, end - 160 : end])
        ]
        onset = int(np.flatnonzero(call)[0])
        assert len(found) == 1
        assert found[0] - onset < 480


def test_calls_do_not_hear_each_other_and_slots_are_reused() -> None:
    detector = DtmfDetector(4)
    one = generate("1", tone_ms=60, gap_ms=0).astype(np.float32).reshape(-1, 160) / 32768
    two = generate("2", tone_ms=60, gap_ms=0).astype(np.float32).reshape(-1, 160) / 32768
    found = []
    for left, right in zip(one, two, strict=True):
        found += detector.feed(np.array([3, 1]), np.stack((left, right)))
    assert sorted((row, key) for row, key, _ in found) == [(0, "1"), (1, "2")]
    detector.reset(3)
    found = []
    for left in one:  # held in slot 1, begun afresh in slot 3
        found += detector.feed(np.array([1, 3]), np.stack((left * 0, left)))
    assert [(row, key) for row, key, _ in found] == [(1, "1")]


def test_nobody_is_in_the_batch() -> None:
    assert DtmfDetector(2).feed(np.zeros(0, np.intp), np.zeros((0, 160), np.float32)) == []


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e30])
def test_whatever_comes_in_does_no_harm(value: float) -> None:
    detector = DtmfDetector(1)
    tone = generate("9", tone_ms=60, gap_ms=0).astype(np.float32).reshape(-1, 160) / 32768
    for _ in range(5):
        assert detector.feed(np.array([0]), np.full((1, 160), value, np.float32)) == []
    for _ in range(5):
        detector.feed(np.array([0]), np.zeros((1, 160), np.float32))
    found = [key for block in tone for _, key, _ in detector.feed(np.array([0]), block[None])]
    assert found == ["9"]


def test_dc_offset_and_inversion() -> None:
    call = generate(ALL, level_dbm0=-20)
    assert keys(call + np.int16(3000), -call) == [ALL, ALL]


@pytest.mark.parametrize("hum_hz", [50, 60, 100])
@pytest.mark.parametrize("hum_dbfs", [-20, -14])
def test_the_mains_hum(hum_hz: int, hum_dbfs: int) -> None:
    call = generate(ALL, tone_ms=50, gap_ms=50)
    hum = 10 ** (hum_dbfs / 20) * 2**0.5 * np.sin(2 * np.pi * hum_hz / 8000 * np.arange(len(call)))
    assert keys(call + (32767 * hum).astype(np.int16)) == [ALL]
    assert keys((32767 * hum).astype(np.int16)) == [""]


@settings(deadline=None, max_examples=40)
@given(
    st.text(ALL, min_size=1, max_size=8),
    st.integers(40, 200),
    st.integers(40, 200),
    st.integers(0, 400),
    st.floats(-30, -6),
    st.floats(-8, 4),
    st.floats(-0.015, 0.015),
)
def test_any_sequence(
    typed: str, tone_ms: int, gap_ms: int, start: int, level: float, twist: float, detune: float
) -> None:
    call = generate(
        typed, tone_ms=tone_ms, gap_ms=gap_ms, level_dbm0=level, twist_db=twist, detune=detune
    )
    assert keys(np.concatenate((np.zeros(start, np.int16), call))) == [typed]


def test_generate_refuses_what_is_no_key() -> None:
    with pytest.raises(ValueError, match="'x' is not a DTMF key"):
        generate("12x")
    assert len(generate("")) == 0


# ---------------------------------------------------------------- talk-off


def chords(seed: int, seconds: int, harmonics: Sequence[float]) -> Samples:
    """Notes and chords of the tempered scale, with these harmonics."""
    rng = np.random.default_rng(seed)
    out = np.zeros(seconds * 8000)
    at = 0
    while at < len(out):
        length = min(int(rng.choice([1000, 2000, 4000])), len(out) - at)
        times = np.arange(length) / 8000
        root = int(rng.integers(45, 76))
        for step in (0, int(rng.choice([3, 4])), 7, 12)[: int(rng.integers(1, 5))]:
            hz = 440 * 2 ** ((root + step - 69) / 12)
            for number, part in enumerate(harmonics, 1):
                if hz * number < 3800:
                    phase = rng.uniform(0, 2 * np.pi)
                    out[at : at + length] += part * np.sin(2 * np.pi * hz * number * times + phase)
        at += length
    return np.round(out / np.abs(out).max() * 12000).astype(np.int16)


@pytest.mark.parametrize("harmonics", [(1.0,), (1.0, 0.5, 0.3, 0.2), (1.0, 0.6, 0.4, 0.25, 0.15)])
def test_music_presses_no_keys(harmonics: tuple[float, ...]) -> None:
    calls = [chords(seed, 30, harmonics) for seed in range(20)]
    assert not any(keys(*calls))


def test_one_group_alone_is_no_key() -> None:
    times = np.arange(4000) / 8000
    low, high = (np.sin(2 * np.pi * hz * times) * 8000 for hz in (770, 1336))
    calls = [np.round(sound).astype(np.int16) for sound in (low, high, low + high)]
    assert keys(*calls) == ["", "", "5"]


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings")
def test_voices_press_no_keys() -> None:
    """Callers of a fifth of the sessions.

    The system that recorded them beeps with the two tones of "4" between its questions.
    """
    files = [
        file
        for file in sorted((RECORDINGS / "phone_calls").glob("*/*.wav"))
        if zlib.crc32(file.parent.name.encode()) % 5 == 0
    ]
    assert len(files) > 100
    together = mulaw.decode(b"".join(read_mulaw(file) for file in files))
    found = "".join(keys(*np.array_split(together, 64)))
    assert found.strip("4") == ""
    assert len(found) <= 2
