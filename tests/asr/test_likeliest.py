"""The best tokens by blocks are those that torch finds."""

import pytest
import torch

from voicebot.asr.likeliest import BLOCK, likeliest, top

pytestmark = pytest.mark.unit


def scores(rows, size):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(size + rows))


@pytest.mark.parametrize("size", [100, BLOCK, 3 * BLOCK, 3 * BLOCK + 1, 40 * BLOCK])
@pytest.mark.parametrize("rows", [1, 5])
def test_they_are_the_best(rows, size):
    of = scores(rows, size)
    values, indices = likeliest(of)
    assert torch.equal(values, of.amax(dim=1))
    assert torch.equal(indices, of.argmax(dim=1))
    for count in (1, 9, 24):
        values, indices = top(of, count)
        wanted = of.topk(count)
        assert torch.equal(values, wanted.values)
        assert torch.equal(indices, wanted.indices)


def test_all_of_them_may_lie_in_one_block():
    of = scores(2, 40 * BLOCK)
    of[1, 7 * BLOCK : 8 * BLOCK] += 100
    values, indices = top(of, 9)
    assert torch.equal(values, of.topk(9).values)
    assert set((indices[1] // BLOCK).tolist()) == {7}
