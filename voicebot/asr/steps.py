"""The network in int8 without the ceremony of modules: the very numbers, a decoder's step in a
fifth less time, an encoder's pass in a twentieth.

For one row a step is five hundred small operations of a microsecond or two, and what Python and
torch's modules add to each is a third of it. So what the layers hold is taken out once, and rows
stay two-dimensional between the products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from voicebot.asr.moonshine import (
        Decoder,
        DecoderLayer,
        DecoderState,
        Encoder,
        EncoderLayer,
    )
    from voicebot.asr.quantise import Int8Linear

_norm, _attend = torch.layer_norm, F.scaled_dot_product_attention


class Passes:
    """Stands in for the layers of an encoder whose projections are all Int8Linear."""

    def __init__(self, encoder: Encoder) -> None:
        self._heads = encoder.dims.heads
        self._layers = [
            (
                *(layer.attention_norm.weight, layer.mlp_norm.weight),
                *(_multiply(layer.attention.qkv), _multiply(layer.attention.out)),
                *(_multiply(layer.up), _multiply(layer.down)),
            )
            for layer in cast("Iterable[EncoderLayer]", encoder.layers)
        ]

    def __call__(self, x: Tensor, rotation: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, T, C] -> [B, T, C]; see EncoderLayer.forward."""
        of, heads, shape = x.shape, self._heads, x.shape[2:]
        rotation = rotation[:, None]
        x = x.reshape(-1, of[2])
        for own, mlp, qkv, out, up, down in self._layers:
            q, k, v = _heads(qkv(_norm(x, shape, own)), of[0], heads, rotation)
            seen = _attend(q, k, v, mask)
            x = x + out(seen.transpose(1, 2).reshape(x.shape))
            x = x + down(F.gelu(up(_norm(x, shape, mlp))))
        return x.view(of)


class Steps:
    """Stands in for `Decoder.forward` where all of its projections are Int8Linear."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._layers = [_Layer(layer) for layer in cast("Iterable[DecoderLayer]", decoder.layers)]

    def __call__(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """tokens int64 [R, T], following those in `state` -> logits [R, T, vocabulary]."""
        decoder = self._decoder
        rows, count = tokens.shape
        end = state.length + count
        rotation = state.rotations(decoder.dims, end)[..., None, :]
        mask = state.causal_mask(count)
        x = decoder.embedding(tokens).view(rows * count, -1)
        for index, layer in enumerate(self._layers):
            x = layer(x, rows, rotation, mask, state, index)
        state.length = end
        assert decoder.head is not None
        x = _norm(x, x.shape[1:], cast(Tensor, decoder.norm.weight))
        return cast(Tensor, decoder.head(x)).view(rows, count, -1)


class _Layer:
    def __init__(self, layer: DecoderLayer) -> None:
        self.heads = layer.attention.heads
        self.norms = [layer.attention_norm.weight, layer.cross_norm.weight, layer.mlp_norm.weight]
        linears = (layer.attention.qkv, layer.attention.out, layer.cross.q, layer.cross.out)
        self.products = [_multiply(linear) for linear in (*linears, layer.up, layer.down)]

    def __call__(
        self,
        x: Tensor,
        rows: int,
        rotation: Tensor,
        mask: Tensor | None,
        state: DecoderState,
        index: int,
    ) -> Tensor:
        """x [R * T, C] -> [R * T, C]; see DecoderLayer.forward."""
        heads, shape = self.heads, x.shape[1:]
        own, cross, mlp = self.norms
        qkv, out, query, cross_out, up, down = self.products
        q, k, v = _heads(qkv(_norm(x, shape, own)), rows, heads, rotation)
        seen = _attend(q, *state.append(index, k, v), mask)
        x = x + out(seen.transpose(1, 2).reshape(x.shape))
        memory = state.memory[index]
        y = query(_norm(x, shape, cross)).view(len(memory[0]), -1, heads, k.shape[3])
        seen = _attend(y.transpose(1, 2), *memory, state.memory_mask)
        x = x + cross_out(seen.transpose(1, 2).reshape(x.shape))
        y = up(_norm(x, shape, mlp))
        half = y.shape[1] // 2
        return x + down(F.silu(y[:, half:]).mul_(y[:, :half]))


def _heads(qkv: Tensor, rows: int, heads: int, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[R * T, 3 * C] -> q, k, v, each [R, H, T, D]; see Attention.project."""
    width = qkv.shape[1] // (3 * heads)
    y = qkv.view(rows, -1, 3 * heads, width // 2, 2)
    turned = torch.view_as_real(torch.view_as_complex(y[:, :, : 2 * heads]) * rotation)
    qk = turned.view(rows, -1, 2 * heads, width).transpose(1, 2)
    v = y[:, :, 2 * heads :].view(rows, -1, heads, width).transpose(1, 2)
    return qk[:, :heads], qk[:, heads:], v


def _multiply(linear: nn.Module) -> Callable[[Tensor], Tensor]:
    return cast("Int8Linear", linear).multiply
