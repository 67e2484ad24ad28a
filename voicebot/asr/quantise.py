"""Matrices in int8, for CPUs that multiply them faster than float32.

Weights are rounded once, per output channel; activations at run time, per row, symmetrically,
so that a row's result does not depend on its neighbours in the batch. (One scale for the whole
matrix, as ONNX Runtime and torch's dynamic quantisation take, costs accuracy: see LOG.md.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.asr.decoder import search, token_limit
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, DecoderLayer, EncoderLayer, Moonshine
from voicebot.asr.steps import Passes, Steps

LEVELS = 127
PACKED_OUTPUTS = 2048
"""A matrix with so many is also kept in the order that oneDNN multiplies several rows with: putting
it into that order takes longer than the product with a few. Calling for smaller ones costs more."""
OFFSET = 128
"""oneDNN takes whole numbers from 0 to 255 there, and this for 0."""
MIGRATION = 0.55
"""Share of the spread that moves from activations to weights."""


def rounded_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [outputs, inputs] -> int8 of that shape and the scale [outputs] of each row."""
    scale = weight.abs().amax(dim=1).clamp_min(1e-12) / LEVELS
    return (weight / scale[:, None]).round().to(torch.int8), scale


class Int8Linear(nn.Module):
    """y = x W^T + b with W in int8: rows [outputs, inputs] times scale [outputs]."""

    columns: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, rows: Tensor, scale: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("columns", rows.contiguous().t())
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.detach())

        is_large = len(rows) >= PACKED_OUTPUTS and rows.device.type == "cpu"
        packed = _Packed(rows, scale) if is_large and is_worthwhile() else None
        # Attributes of modules are slow to find: sixty microseconds a step of the decoder.
        self.multiply = partial(_multiply, self.columns, self.scale, self.bias, packed)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] float32 -> [..., outputs] float32."""
        return self.multiply(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


def _multiply(
    columns: Tensor, scale: Tensor, bias: Tensor | None, packed: _Packed | None, x: Tensor
) -> Tensor:
    """x [R, inputs] float32 -> [R, outputs] float32."""
    rounded, scales = _rounded(x)
    if packed is None or len(x) == 1:
        y = torch._int_mm(rounded.to(torch.int8), columns).float().mul_(scale)
    else:
        y = packed(rounded)
    return y.mul_(scales) if bias is None else torch.addcmul(bias, y, scales)


class _Packed:
    """The very values of `_int_mm`, times `scale`, by a copy of its matrix."""

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        self._matrix = torch.ops.onednn.qlinear_prepack(rows.contiguous(), None)
        self._scale = scale
        self._zeros = torch.zeros(len(rows), dtype=torch.int32)
        self._multiply = torch.ops.onednn.qlinear_pointwise.default

    def __call__(self, rounded: Tensor) -> Tensor:
        """Whole numbers float32 [R, inputs], which are lost -> float32 [R, outputs]."""
        rows = rounded.add_(OFFSET).to(torch.uint8)
        weights = (self._matrix, self._scale, self._zeros, None)
        return cast(
            Tensor,
            self._multiply(rows, 1.0, OFFSET, *weights, 1.0, 0, torch.float32, "none", [], ""),
        )


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """rows [R, inputs] -> whole numbers float32 [R, inputs] and the scale [R, 1] of each.

    As few calls as can be: for the single row of a decoding step they cost more than the product.
    """
    peak = rows.abs().amax(dim=1, keepdim=True)  # vector_norm takes 20 times as long
    scale = peak.clamp_min_(1e-12).div_(LEVELS)
    return (rows / scale).round_(), scale


def products(x: Tensor, linears: Sequence[nn.Module], outputs: Sequence[slice]) -> list[Tensor]:
    """x [..., inputs] times several matrices without biases, of each those outputs alone.

    The very values that each gives by itself; in int8 x is rounded once.
    """
    if not all(isinstance(linear, Int8Linear) for linear in linears):
        return [linear(x)[..., part] for linear, part in zip(linears, outputs, strict=True)]
    rounded, scale = _rounded(x.reshape(-1, x.shape[-1]))
    whole = rounded.to(torch.int8)
    found = []
    for linear, part in zip(cast(Sequence[Int8Linear], linears), outputs, strict=True):
        y = torch._int_mm(whole, linear.columns[:, part]).float()
        found.append(y.mul_(linear.scale[part]).mul_(scale).view(*x.shape[:-1], -1))
    return found


class Int8Embedding(nn.Module):
    """Looks tokens up in the int8 rows of the output matrix: one copy of it in memory."""

    rows: Tensor
    scale: Tensor

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("scale", scale)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens int64 [R, T] -> float32 [R, T, C]."""
        return self.rows[tokens] * self.scale[tokens][..., None]


class BfloatConv(nn.Module):
    """A convolution in bfloat16, for CPUs that multiply that twice as fast as float32."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.stride = conv.stride
        self.register_buffer("weight", conv.weight.detach().bfloat16())
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        """x [B, inputs, T] float32 -> float32."""
        return F.conv1d(x.bfloat16(), self.weight, self.bias, self.stride).float()


def is_worthwhile() -> bool:
    """Whether int8 dot products (VNNI) are computed; without them int8 is slower and saturates."""
    return bool(torch.cpu._is_vnni_supported()) and _is_exact()


@cache
def _is_exact() -> bool:
    """Whether the largest products come out right. A CPU may have VNNI and oneDNN be kept from it
    (ONEDNN_MAX_CPU_ISA, a virtual machine); then two of them at once exceed 16 bits."""
    rows = torch.full((2, 288), LEVELS, dtype=torch.int8)
    columns = torch.full((PACKED_OUTPUTS, 288), LEVELS, dtype=torch.int8)
    columns[::2] = -LEVELS
    return all(
        torch.equal(torch._int_mm(some, columns.T), some.int() @ columns.T.int())
        for some in (rows, rows[:1])
    )


@torch.no_grad()
def equalise(model: Moonshine, samples: Tensor) -> None:
    """Shift outlying channels from activations to weights, in place: what the network computes
    stays, what int8 loses shrinks (SmoothQuant, Xiao et al. 2023, arXiv:2211.10438).

    The encoder's own output is rescaled too, and the decoder's reading of it the other way.
    `samples` [B, N] is speech, 16 kHz, on which activations are measured.
    """
    peaks = _measured(model, samples)
    for norm, linears in _normed_linears(model):
        reach = torch.stack([linear.weight.abs().amax(dim=0) for linear in linears]).amax(dim=0)
        scale = peaks[norm] ** MIGRATION / reach ** (1 - MIGRATION)
        scale = scale.clamp_min(1e-5)
        norm.weight.div_(scale)
        for linear in linears:
            linear.weight.mul_(scale)


def _normed_linears(model: Moonshine) -> Iterator[tuple[nn.LayerNorm, list[nn.Linear]]]:
    """Each norm with the projections that read it."""
    for encoder_layer in cast(Iterable[EncoderLayer], model.encoder.layers):
        yield encoder_layer.attention_norm, [encoder_layer.attention.qkv]
        yield encoder_layer.mlp_norm, [encoder_layer.up]
    layers = list(cast(Iterable[DecoderLayer], model.decoder.layers))
    yield model.encoder.norm, [layer.cross.kv for layer in layers]
    for layer in layers:
        yield layer.attention_norm, [layer.attention.qkv]
        yield layer.cross_norm, [layer.cross.q]
        yield layer.mlp_norm, [layer.up]


def _measured(model: Moonshine, samples: Tensor) -> dict[nn.Module, Tensor]:
    """Largest magnitude of each channel that leaves each norm, over a greedy transcription."""
    peaks: dict[nn.Module, Tensor] = {}

    def note(norm: nn.Module, _inputs: object, output: Tensor) -> None:
        peak = output.detach().abs().flatten(0, -2).amax(dim=0).clamp_min(1e-5)
        peaks[norm] = torch.maximum(peaks[norm], peak) if norm in peaks else peak

    hooks = [norm.register_forward_hook(note) for norm, _ in _normed_linears(model)]
    limits = [token_limit(samples.shape[1] / SAMPLE_RATE_HZ)] * samples.shape[0]
    search(model.decoder, model.encoder(samples), limits)
    for hook in hooks:
        hook.remove()
    return peaks


def quantise(model: Moonshine) -> Moonshine:
    """Replace the projections of encoder and decoder, embedding and output matrix, in place."""
    return _with_rows(model, lambda name, weight: rounded_rows(weight))


def with_rows(model: Moonshine, tensors: Mapping[str, Tensor], suffix: str) -> Moonshine:
    """As `quantise`, with rows NAME and scales NAME + suffix that were rounded before."""
    return _with_rows(model, lambda name, _: (tensors[name], tensors[name + suffix]))


def _with_rows(
    model: Moonshine, rounded: Callable[[str, Tensor], tuple[Tensor, Tensor]]
) -> Moonshine:
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                rows, scale = rounded(f"{path}.{name}.weight", child.weight)
                setattr(module, name, Int8Linear(rows, scale, child.bias))
    embedding = cast(nn.Embedding, model.decoder.embedding).weight
    rows, scale = rounded("decoder.embedding.weight", embedding)
    model.decoder.head = Int8Linear(rows, scale)
    model.decoder.embedding = Int8Embedding(rows, scale)
    model.encoder.passes, model.decoder.steps = Passes(model.encoder), Steps(model.decoder)
    if torch.cpu._is_avx512_bf16_supported():
        model.encoder.conv2 = BfloatConv(cast(nn.Conv1d, model.encoder.conv2))
    return model
