"""A line's constant offset goes, everything else stays as it is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebot.audio.offset import TOLERATED, Offset

pytestmark = pytest.mark.unit

CHUNKS = 100


def voice(seed: int) -> NDArray[np.int16]:
    """int16[CHUNKS, 160]: a hum of 110 Hz whose loudness wanders, with noise."""
    rng = np.random.default_rng(seed)
    at = np.arange(CHUNKS * 160) / 8000
    hum = 4000 * np.sin(2 * np.pi * 110 * at) * (1 + 0.5 * np.sin(2 * np.pi * 3 * at))
    return (hum + 300 * rng.standard_normal(len(at))).astype(np.int16).reshape(CHUNKS, 160)


def removed(of: Offset, slot: int, chunks: NDArray[np.int16]) -> NDArray[np.int16]:
    rows = np.array([slot])
    return np.stack([of.remove(rows, chunk[None])[0] for chunk in chunks])


def test_a_sound_line_is_left_alone_to_the_sample() -> None:
    heard = voice(1)
    settled = removed(Offset(1), 0, heard)[20:]  # two waves are no mean yet
    assert np.array_equal(settled, heard[20:])


@pytest.mark.parametrize("offset", [3277, -3277, 400])
def test_an_offset_is_taken_out_of_the_first_chunk_on(offset: int) -> None:
    heard = voice(2)
    settled = removed(Offset(1), 0, heard + np.int16(offset))
    error = settled.astype(int) - heard
    assert np.abs(error[0]).max() < 700
    assert np.abs(error[20:]).max() <= TOLERATED + 60


def test_slots_are_apart_and_a_new_call_begins_anew() -> None:
    of = Offset(2)
    both = np.stack((np.full(160, 5000, np.int16), np.zeros(160, np.int16)))
    first = of.remove(np.array([0, 1]), both)
    assert abs(int(first[0, 0])) <= TOLERATED
    assert not first[1].any()
    of.reset(0)
    assert not of.remove(np.array([0]), np.zeros((1, 160), np.int16)).any()


def test_what_exceeds_full_scale_is_clipped() -> None:
    of = Offset(1)
    for _ in range(3):
        of.remove(np.array([0]), np.full((1, 160), -30000, np.int16))
    loud = of.remove(np.array([0]), np.full((1, 160), 32767, np.int16))
    assert loud.max() == 32767
