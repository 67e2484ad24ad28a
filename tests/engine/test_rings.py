"""Rings against an index for each sample, over their ends and back."""

import numpy as np
import pytest

from voicebot.engine.rings import Ring

pytestmark = pytest.mark.unit

LENGTH, COUNT = 100, 32


def test_rows_are_kept_and_found_wherever_a_ring_ends() -> None:
    chance = np.random.default_rng(0)
    ring, plain = Ring(6, LENGTH), np.zeros((6, LENGTH), np.int16)
    for _ in range(200):
        rows = chance.permutation(6)[: chance.integers(1, 7)]
        at = chance.integers(0, 10_000, len(rows))
        index = (at[:, None] + np.arange(COUNT)) % LENGTH
        samples = chance.integers(-999, 999, (len(rows), COUNT)).astype(np.int16)
        ring.put_rows(rows, at, samples)
        plain[rows[:, None], index] = samples
        found_at = chance.integers(0, 10_000, len(rows))
        index = (found_at[:, None] + np.arange(COUNT)) % LENGTH
        found = ring.get_rows(rows, found_at, COUNT)
        np.testing.assert_array_equal(found, plain[rows[:, None], index])


def test_what_is_got_is_a_copy() -> None:
    ring = Ring(2, LENGTH)
    rows, at = np.array([1]), np.array([LENGTH - 3])
    ring.put_rows(rows, at, np.full((1, COUNT), 7, np.int16))
    got = ring.get_rows(rows, at, COUNT)
    ring.clear(1)
    assert (got == 7).all()
