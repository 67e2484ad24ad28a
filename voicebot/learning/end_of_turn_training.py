"""The head behind turns/end_of_turn.py in torch: fitting, calibrating, saving."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from voicebot.turns.end_of_turn import FRAMES, SPANS, TRAINED_ON, Weights, spoken_frames

Floats = NDArray[np.float32]

CHANNELS, HIDDEN, DROPOUT = 32, 48, 0.3
BATCH = 64
RATE, DECAY = 4e-3, 1e-2
FOLDS = 4
"""Nets that vote; each has not seen a quarter of the speakers, who serve to calibrate it."""


def fold_of(name: str) -> int:
    """Which net does not learn from that session, speaker or file."""
    return crc32(name.encode()) // 5 % FOLDS


@dataclass(frozen=True, slots=True)
class Examples:
    """Encoder frames of clips, float16[N, FRAMES, dim], each at the end of its row.

    `lengths` int64[N]: valid frames; `is_end`, `weight` float32[N]; `fold` int64[N].
    """

    frames: NDArray[np.float16]
    lengths: NDArray[np.int64]
    is_end: Floats
    weight: Floats
    fold: NDArray[np.int64]


def arrange(
    encoded: Iterable[tuple[Floats, int]], count: int, dim: int
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """`Examples.frames` and `lengths` from the encoder's frames and samples of each clip."""
    frames = np.zeros((count, FRAMES, dim), np.float16)
    lengths = np.zeros(count, np.int64)
    for row, (of_one, samples) in enumerate(encoded):
        heard = spoken_frames(of_one, samples)
        lengths[row] = len(heard)
        if len(heard):
            frames[row, -len(heard) :] = heard
    return frames, lengths


class Net(nn.Module):
    """Channels of each frame, their means over the last frames, one hidden layer, one logit."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, CHANNELS)
        self.hidden = nn.Linear(CHANNELS * len(SPANS), HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits [B] of frames [B, FRAMES, dim]."""
        size = frames.shape[1]
        is_valid = (torch.arange(size)[None] >= size - lengths[:, None]).float()[:, :, None]
        channels = torch.tanh(self.project(self.norm(frames))) * is_valid
        means = [
            channels[:, -span:].sum(1) / is_valid[:, -span:].sum(1).clamp(min=1) for span in SPANS
        ]
        hidden = torch.relu(self.hidden(self.dropout(torch.cat(means, dim=1))))
        logits: torch.Tensor = self.out(self.dropout(hidden)).squeeze(1)
        return logits


def fit(examples: Examples, leave_out: int, epochs: int) -> Net:
    """A net on all examples whose fold is another; seeded by it."""
    torch.manual_seed(leave_out)
    net = Net(examples.frames.shape[2])
    rows = np.flatnonzero((examples.fold != leave_out) & (examples.lengths > 0))
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    steps = epochs * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    rng = np.random.default_rng(leave_out)
    for _ in range(epochs):
        order = rng.permutation(rows)
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            frames, lengths = _tensors(examples, batch)
            loss = nn.functional.binary_cross_entropy_with_logits(
                net(frames, lengths),
                torch.from_numpy(examples.is_end[batch]),
                weight=torch.from_numpy(examples.weight[batch]),
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.inference_mode()
def logits(net: Net, examples: Examples, rows: NDArray[np.intp]) -> Floats:
    """Log-odds of these rows, float32."""
    parts = [
        net(*_tensors(examples, rows[begin : begin + 256])).numpy()
        for begin in range(0, len(rows), 256)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _tensors(examples: Examples, rows: NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.from_numpy(examples.frames[rows].astype(np.float32))
    return frames, torch.from_numpy(examples.lengths[rows])


def calibrate(log_odds: Floats, is_end: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and offset that make log-odds of nets mean what they say (Platt 1999), by Newton."""
    design = np.stack((log_odds, np.ones_like(log_odds)), axis=1).astype(np.float64)
    at = np.zeros(2)  # from nothing Newton's steps find a logistic regression safely
    for _ in range(30):
        found = 1 / (1 + np.exp(-np.clip(design @ at, -30, 30)))
        gradient = design.T @ (weight * (found - is_end)) + 1e-3 * (at - (1.0, 0.0))
        curve = (design * (weight * found * (1 - found))[:, None]).T @ design + 1e-3 * np.eye(2)
        at = at - np.linalg.solve(curve, gradient)
    return float(at[0]), float(at[1])


def to_weights(nets: Sequence[Net], calibration: tuple[float, float]) -> Weights:
    """What turns/end_of_turn.py computes with."""

    def stacked(name: str, *, transposed: bool = False) -> Floats:
        tensors = [net.state_dict()[name].numpy() for net in nets]
        return np.stack([tensor.T if transposed else tensor for tensor in tensors])

    return Weights(
        norm_gain=stacked("norm.weight"),
        norm_bias=stacked("norm.bias"),
        project=stacked("project.weight", transposed=True),
        project_bias=stacked("project.bias"),
        hidden=stacked("hidden.weight", transposed=True),
        hidden_bias=stacked("hidden.bias"),
        out=stacked("out.weight")[:, 0],
        out_bias=stacked("out.bias")[:, 0],
        calibration=np.array(calibration, np.float32),
    )


def save(weights: Weights, trained_on: Iterable[str], path: Path) -> None:
    """float16, with the names of what was learnt from."""
    arrays = {
        field.name: np.ascontiguousarray(getattr(weights, field.name), np.float16)
        for field in fields(Weights)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path, {TRAINED_ON: "\n".join(sorted(set(trained_on)))})


def area_under_roc(scores: Floats, is_end: Floats) -> float:
    """That an end scores above a pause (Mann-Whitney); nan without both."""
    ends, others = scores[is_end > 0], np.sort(scores[is_end == 0])
    if not len(ends) or not len(others):
        return float("nan")
    below = np.searchsorted(others, ends, "left") + np.searchsorted(others, ends, "right")
    return float(below.mean() / 2 / len(others))
