"""What the network needs to learn: matrices in bfloat16, a batch as tensors, the losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.asr.moonshine import BEGIN, END, Encoded, Moonshine
from voicebot.learning.asr_config import Loss
from voicebot.learning.asr_examples import Example

IGNORED = -100
"""Target of positions beyond a sentence."""


class HalfLinear(nn.Linear):
    """nn.Linear that multiplies in bfloat16 and hands on float32; its weight stays float32.

    In place of autocast: rotary embedding computes with complex numbers, which bfloat16 has not.
    """

    def forward(self, input: Tensor) -> Tensor:
        """input [..., inputs] -> [..., outputs]."""
        bias = None if self.bias is None else self.bias.bfloat16()
        return F.linear(input.bfloat16(), self.weight.bfloat16(), bias).float()


class HalfConv1d(nn.Conv1d):
    """nn.Conv1d that computes in bfloat16 and hands on float32."""

    def forward(self, input: Tensor) -> Tensor:
        """input [B, channels, N]."""
        bias = None if self.bias is None else self.bias.bfloat16()
        half = F.conv1d(input.bfloat16(), self.weight.bfloat16(), bias, self.stride)
        return half.float()


def in_bfloat16(model: Moonshine) -> Moonshine:
    """The same parameters (shared), matrices multiplied in bfloat16; in place."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = HalfLinear
        elif type(module) is nn.Conv1d and module.in_channels > 1:
            module.__class__ = HalfConv1d  # the first one hears the waveform: float32
    return model


def with_dropout(model: Moonshine, share: float) -> Moonshine:
    """The same model, dropping that share of what layers add to the residual stream while it
    trains; copies of it drop too, unless they are in eval mode."""

    def drop(module: nn.Module, _: object, added: Tensor) -> Tensor:
        return F.dropout(added, share, module.training)

    for name, module in model.named_modules():
        if share and name.rpartition(".")[2] in {"out", "down"}:
            module.register_forward_hook(drop)
    return model


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrices multiply faster in bfloat16 than in float32 there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@dataclass(frozen=True, slots=True)
class Batch:
    """B examples: heard, clean [B, N] zero beyond lengths; tokens_in, targets int64 [B, T] (the
    latter IGNORED beyond the end); teaches bool [B]."""

    heard: Tensor
    clean: Tensor
    lengths: list[int]
    tokens_in: Tensor
    targets: Tensor
    teaches: Tensor

    @property
    def seconds(self) -> float:
        """Audio in it."""
        return sum(self.lengths) / 16000


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """Examples, padded."""
    lengths = [len(example.heard) for example in examples]
    steps = 1 + max(len(example.tokens) for example in examples)
    tokens_in = torch.full((len(examples), steps), END)
    targets = torch.full((len(examples), steps), IGNORED)
    for row, example in enumerate(examples):
        tokens = torch.tensor(example.tokens, dtype=torch.int64)
        tokens_in[row, 0] = BEGIN
        tokens_in[row, 1 : 1 + len(tokens)] = tokens
        targets[row, : len(tokens)] = tokens
        targets[row, len(tokens)] = END
    teaches = torch.tensor([example.teaches for example in examples])
    return Batch(
        _padded([example.heard for example in examples]).to(device),
        _padded([example.clean for example in examples]).to(device),
        lengths,
        tokens_in.to(device),
        targets.to(device),
        teaches.to(device),
    )


def _padded(rows: Sequence[np.ndarray[tuple[int], np.dtype[np.float32]]]) -> Tensor:
    padded = torch.zeros(len(rows), max(len(row) for row in rows))
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = torch.from_numpy(row)
    return padded


@dataclass(frozen=True, slots=True)
class Losses:
    """`total` is what is minimised; the others are its parts, unweighted, for the log."""

    total: Tensor
    text: float
    logits: float
    features: float


def losses(student: Moonshine, teacher: Moonshine | None, batch: Batch, weights: Loss) -> Losses:
    """Cross-entropy of the transcripts; with `teacher`, also its features and its opinion.

    The teacher hears the clean side. Its opinion counts where it is right about the next token,
    its features as far as it is right about the sentence, so that it keeps what it knows (case,
    punctuation, other readings) and not its mistakes.
    """
    encoded = student.encoder(batch.heard, batch.lengths)
    logits = student.decoder(batch.tokens_in, student.decoder.start(encoded, 0))
    is_real = batch.targets != IGNORED
    text = F.cross_entropy(
        logits[is_real], batch.targets[is_real], label_smoothing=weights.smoothing
    )
    if teacher is None or not bool(batch.teaches.any()):
        return Losses(text, float(text.detach()), 0.0, 0.0)
    with torch.no_grad():
        known = teacher.encoder(batch.clean, batch.lengths)
        opinion = teacher.decoder(batch.tokens_in, teacher.decoder.start(known, 0))
    is_right = is_real & batch.teaches[:, None] & (opinion.argmax(dim=-1) == batch.targets)
    apart = _features_apart(encoded, known, is_right.sum(dim=1) / is_real.sum(dim=1))
    unlike = _unlike(logits[is_right], opinion[is_right])
    # Means over all tokens, so that a batch of mistakes does not make the few others loud.
    unlike = unlike * (is_right.sum() / is_real.sum())
    total = text + weights.every * (weights.features * apart + weights.logits * unlike)
    return Losses(total, float(text.detach()), float(unlike.detach()), float(apart.detach()))


def _features_apart(student: Encoded, teacher: Encoded, weights: Tensor) -> Tensor:
    """Squared distance of the encoders' frames over the teacher's variance; `weights` [B] of
    items, 0..1."""
    mask = student.mask()
    width = student.frames.shape[1]
    valid = weights[:, None].expand(-1, width) > 0
    if mask is not None:
        valid = valid & mask[:, 0, 0]
    if not bool(valid.any()):
        return student.frames.sum() * 0
    theirs = teacher.frames[valid]
    distance = (student.frames[valid] - theirs).square().sum(dim=-1)
    spread = (theirs - theirs.mean(dim=0)).square().sum(dim=-1).mean()
    each = weights[:, None].expand(-1, width)[valid]
    return (distance * each).mean() / spread.clamp_min(1e-6)


def _unlike(student: Tensor, teacher: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the student's next tokens from the teacher's, rows' mean."""
    if not len(student):
        return student.sum()
    return F.kl_div(
        student.log_softmax(dim=-1),
        teacher.log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
