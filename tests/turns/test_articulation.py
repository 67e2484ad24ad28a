"""Hums are steady, what changes its sound is not, and too little of either tells nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.evaluation.turns_noise import hummed_nod, humming
from voicebot.turns.articulation import is_steady

pytestmark = pytest.mark.unit

RATE = 8000


def formants(seconds: float, every_s: float = 0.12) -> NDArray[np.float32]:
    """Harmonics of 120 Hz through resonances that move from one vowel to another: articulated."""
    at = np.arange(int(seconds * RATE)) / RATE
    vowels = [(300, 2300), (700, 1100), (400, 800), (500, 1800)]
    sound = np.zeros(len(at))
    for harmonic in range(1, 32):
        hz = 120.0 * harmonic
        gains = [sum(1 / (1 + ((hz - formant) / 80) ** 2) for formant in vowel) for vowel in vowels]
        turns = (at / every_s).astype(int) % len(vowels)
        sound += np.array(gains)[turns] * np.sin(2 * np.pi * hz * at + harmonic)
    return (0.05 * sound / sound.std()).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_hums_are_steady_whatever_their_tune(seed: int) -> None:
    assert is_steady(humming(1.5, seed), 600)
    assert is_steady(hummed_nod(150.0, seed), 300)


def test_moving_formants_are_speech() -> None:
    assert not is_steady(formants(1.5), 300)


def test_what_is_bright_is_no_hum() -> None:
    hiss = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) * np.float32(0.05)
    assert not is_steady(hiss, 300)


def mains(seconds: float, hz: float, slope: float) -> NDArray[np.float32]:
    """`hz` and all its harmonics, falling by the power `slope`: as bright as speech below 1."""
    at = np.arange(int(seconds * RATE)) / RATE
    numbers = range(1, int(3800 / hz) + 1)
    sound = sum(
        number**-slope * np.sin(2 * np.pi * hz * number * at + number) for number in numbers
    )
    return np.asarray(0.03 * sound / np.std(sound), np.float32)


@pytest.mark.parametrize("hz", [49.8, 60.2, 100.0, 1200.0])
@pytest.mark.parametrize("slope", [0.4, 1.0])
def test_a_tone_of_any_brightness_is_steady_with_a_weaker_echo_under_it(
    hz: float, slope: float
) -> None:
    sound = mains(0.8, hz, slope)
    assert is_steady(sound, 400)
    sound[:3200] += 0.5 * formants(0.4)[:3200] * np.float32(0.03 / 0.05)
    assert is_steady(sound, 400)


@pytest.mark.parametrize("hz", [49.8, 60.2])
def test_who_speaks_over_a_hum_is_louder(hz: float) -> None:
    hum = mains(1.2, hz, 0.7) * np.float32(0.5)  # -12 dB
    hum[2400:7200] += formants(0.6) * np.float32(0.06 / 0.05)
    assert not is_steady(hum, 400)
    assert not is_steady(hum[:7200], 400), "he still speaks"


@pytest.mark.parametrize("samples", [0, 1, 255, 256, 700])
def test_too_little_tells_nothing(samples: int) -> None:
    assert not is_steady(humming(1.0, 1)[:samples], 300)


def test_silence_and_what_is_no_number_are_no_hum() -> None:
    assert not is_steady(np.full(RATE, np.nan, np.float32), 300)
    quiet = np.concatenate((humming(0.2, 1), np.zeros(RATE, np.float32)))
    assert not is_steady(quiet, 300)
