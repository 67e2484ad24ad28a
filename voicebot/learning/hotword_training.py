"""Fits the nets of the hot-word head: a projection and two convolutions over encoder frames.

Four nets learn, each on three quarters of the speakers; what each says of the quarter that it
does not know sets the threshold, and all four vote in the shipped head.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.turns.hotword_head import FEATURE_SIZE

FOLDS = 4
WIDTH, KERNEL = 24, 9
EPOCHS, BATCH = 6, 128
NEGATIVES = 8
"""For each window with the word, an epoch sees so many without, drawn anew."""
DROPOUT = 0.15
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-3
_NOTHING = -30.0
ALL, NONE = -1, -2
"""In place of a fold: every net may learn from the window; no net may."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Windows as the encoder gives them, padded to the longest.

    `frames`: float16[n, T, 288]; `lengths`: int64[n]; `is_word`: bool[n]; `folds`: int64[n],
    which net must not learn from the window (ALL may; NONE may).
    """

    frames: NDArray[np.float16]
    lengths: NDArray[np.int64]
    is_word: NDArray[np.bool_]
    folds: NDArray[np.int64]

    def rows(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """float32[k, T, 288], zero beyond each length, and the mask bool[k, T]."""
        frames = torch.from_numpy(self.frames[index].astype(np.float32))
        lengths = torch.from_numpy(self.lengths[index])
        mask = torch.arange(frames.shape[1])[None] < lengths[:, None]
        return frames, mask


def fold_of(group: str) -> int:
    """Which of the nets must not learn from this speaker or session (independent of held out)."""
    return zlib.crc32(f"fold {group}".encode()) % FOLDS


class Net(nn.Module):
    """Encoder frames to one logit: the highest of any frame."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.enter = nn.Linear(FEATURE_SIZE, WIDTH)
        self.first = nn.Conv1d(WIDTH, WIDTH, KERNEL, padding=KERNEL // 2)
        self.second = nn.Conv1d(WIDTH, WIDTH, KERNEL, padding=KERNEL // 2)
        self.leave = nn.Linear(WIDTH, 1)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """frames [B, T, 288], mask [B, T] -> logits [B]."""
        x = (frames - self.mean) * self.scale
        # Frames beyond the end become zeros of every layer, as the shipped arithmetic pads.
        x = self._drop(F.relu(self.enter(x)) * mask[..., None]).transpose(1, 2)
        x = self._drop(F.relu(self.first(x)) * mask[:, None])
        x = self._drop(F.relu(self.second(x))).transpose(1, 2)
        logits = self.leave(x)[..., 0].masked_fill(~mask, _NOTHING)
        return cast(Tensor, logits.amax(dim=1))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, DROPOUT, self.training)

    def tensors(self, net: int) -> dict[str, NDArray[np.float16]]:
        """As `HotWordHead` wants them, the scaling of the input folded in."""
        weight = self.enter.weight * self.scale
        bias = self.enter.bias - weight @ self.mean
        layers = [
            (weight.T[None], bias),
            *((conv.weight.permute(2, 1, 0), conv.bias) for conv in (self.first, self.second)),
            (self.leave.weight.T[None], self.leave.bias),
        ]
        found = {}
        for index, (kernel, offset) in enumerate(layers):
            assert offset is not None
            found[f"{net}.{index}.weight"] = kernel.detach().contiguous().numpy().astype(np.float16)
            found[f"{net}.{index}.bias"] = offset.detach().numpy().astype(np.float16)
        return found


def fit(examples: Examples, fold: int, seed: int, *, epochs: int = EPOCHS) -> Net:
    """A net that learnt from all but the windows of `fold`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    index = np.flatnonzero((examples.folds != fold) & (examples.folds != NONE))
    net = Net(*_scaling(examples, rng.permutation(index)[:3000]))
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    words, others = index[examples.is_word[index]], index[~examples.is_word[index]]
    drawn = min(len(others), NEGATIVES * len(words))
    steps = (len(words) + drawn) // BATCH * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=steps + 1, pct_start=0.15
    )
    truth = torch.from_numpy(examples.is_word.astype(np.float32))
    weight = torch.tensor(drawn / max(1, len(words))).sqrt()
    net.train()
    for _ in range(epochs):
        order = rng.permutation(np.concatenate((words, rng.permutation(others)[:drawn])))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            batch = np.sort(order[at : at + BATCH])
            loss = F.binary_cross_entropy_with_logits(
                net(*examples.rows(batch)), truth[batch], pos_weight=weight
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            optimiser.step()
            schedule.step()
    return net.eval()


def _scaling(examples: Examples, index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    frames, mask = examples.rows(np.sort(index))
    heard = frames[mask]
    return heard.mean(0), 1 / (heard.std(0) + 1e-3)


@torch.inference_mode()
def logits(net: Net, examples: Examples, index: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32[k]; very low where there was nothing to hear."""
    found = [net(*examples.rows(index[at : at + 512])).numpy() for at in range(0, len(index), 512)]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def save(path: Path, nets: list[Net], threshold: float, facts: Mapping[str, object]) -> None:
    """The weights file that `HotWordHead.load` reads; `facts` stand in its header."""
    tensors: dict[str, NDArray[np.float16]] = {}
    for number, net in enumerate(nets):
        tensors |= net.tensors(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"threshold": f"{threshold:.4f}", "facts": json.dumps(facts)}
    save_file(tensors, path, metadata=metadata)
    path.chmod(0o644)  # safetensors leaves it to its owner alone
