"""The decoder in int8 without the ceremony of modules: the very numbers, in a fifth less time.

For one row a step is five hundred small operations of a microsecond or two, and what Python and
torch's modules add to each is a third of it. So what the layers hold is taken out once, and rows
stay two-dimensional between the products.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from voicebot.asr.moonshine import Decoder, DecoderLayer, DecoderState
    from voicebot.asr.quantise import Int8Linear

_norm, _attend = torch.layer_norm, F.scaled_dot_product_attention


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
        mlp = (layer.up, layer.down)
        self.products = [cast("Int8Linear", linear).multiply for linear in (*linears, *mlp)]

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
        y = qkv(_norm(x, shape, own)).view(rows, -1, 3 * heads, shape[0] // heads // 2, 2)
        turned = torch.view_as_real(torch.view_as_complex(y[:, :, : 2 * heads]) * rotation)
        qk = turned.view(rows, -1, 2 * heads, shape[0] // heads)
        k, v = qk[:, :, heads:], y[:, :, 2 * heads :].view(rows, -1, heads, qk.shape[3])
        keys, values = state.append(index, k.transpose(1, 2), v.transpose(1, 2))
        seen = _attend(qk[:, :, :heads].transpose(1, 2), keys, values, mask)
        x = x + out(seen.transpose(1, 2).reshape(x.shape))
        q = query(_norm(x, shape, cross))
        memory = state.memory[index]
        q = q.view(len(memory[0]), -1, heads, qk.shape[3]).transpose(1, 2)
        seen = _attend(q, *memory, state.memory_mask)
        x = x + cross_out(seen.transpose(1, 2).reshape(x.shape))
        y = up(_norm(x, shape, mlp))
        half = y.shape[1] // 2
        return x + down(F.silu(y[:, half:]).mul_(y[:, :half]))
