"""The best of many tokens. torch looks at all of them with their indices, a row at a time; here
at the best of each block first, which it finds with whole registers, then at few blocks alone."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128
"""Tokens of a block."""


def likeliest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(values, indices), each [R], of the best of every row of contiguous scores [R, V]."""
    rows, size = scores.shape
    if size % BLOCK:
        return scores.max(dim=1)
    blocks = size // BLOCK
    best = scores.view(rows, blocks, BLOCK).amax(dim=2).max(dim=1)
    first = torch.arange(0, rows * blocks, blocks, device=scores.device)
    inside = scores.view(-1, BLOCK)[best.indices + first].argmax(dim=1)
    return best.values, best.indices * BLOCK + inside


def top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(values, indices), each [R, count], of the best of every row of contiguous scores [R, V],
    best first. No more blocks than that can hold any of them."""
    rows, size = scores.shape
    if size % BLOCK or size // BLOCK <= count:
        return scores.topk(count)
    blocks = scores.view(rows, -1, BLOCK)
    of = blocks.amax(dim=2).topk(count).indices
    best = blocks.gather(1, of[..., None].expand(-1, -1, BLOCK)).view(rows, -1).topk(count)
    return best.values, of.gather(1, best.indices // BLOCK) * BLOCK + best.indices % BLOCK
