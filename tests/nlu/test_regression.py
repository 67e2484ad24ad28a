"""The closed form against what it stands for: regressions that were fitted without the examples."""

import pytest
import torch

from voicebot.nlu import intents_regression
from voicebot.nlu.intents_regression import regress

pytestmark = pytest.mark.unit

SIZES = (3, 1, 5, 4)
UNKNOWN = 2


def example() -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """A kernel with its ridge, targets, and where the intents end; two sentences have none."""
    size = sum(SIZES) + UNKNOWN
    points = torch.randn(size, 6, generator=torch.Generator().manual_seed(4))
    kernel = torch.exp(-0.3 * torch.cdist(points, points)) + 0.05 * torch.eye(size)
    labels = torch.repeat_interleave(torch.arange(len(SIZES)), torch.tensor(SIZES))
    targets = torch.full((size, len(SIZES)), -0.25)
    targets[torch.arange(len(labels)), labels] += 1.0
    return kernel, targets, torch.tensor(SIZES).cumsum(0).tolist()


def without(kernel: torch.Tensor, targets: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """What a regression that never saw these rows answers there."""
    kept = [row for row in range(len(kernel)) if row not in rows]
    weights = torch.linalg.solve(kernel[kept][:, kept], targets[kept])
    return kernel[rows][:, kept] @ weights


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_as_if_fitted_without_them(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intents_regression, "BLOCK", block)
    kernel, targets, ends = example()
    weights, left_out, unknown = regress(kernel.clone(), targets, ends)
    assert torch.allclose(weights, torch.linalg.solve(kernel, targets), atol=1e-4)
    for row in range(len(kernel)):
        assert torch.allclose(left_out[row], without(kernel, targets, [row])[0], atol=1e-4)
    for intent, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
        expected = without(kernel, targets, list(range(begin, end)))
        expected[:, intent] = -torch.inf
        assert torch.allclose(unknown[begin:end], expected, atol=1e-4)


def test_every_sentence_may_have_an_intent() -> None:
    kernel, targets, ends = example()
    kernel, targets = kernel[: ends[-1], : ends[-1]].contiguous(), targets[: ends[-1]]
    weights, left_out, unknown = regress(kernel.clone(), targets, ends)
    assert torch.allclose(weights, torch.linalg.solve(kernel, targets), atol=1e-4)
    assert left_out.shape == unknown.shape == targets.shape
