"""Moonshine with its weights laid out for a device: fixed shapes, nothing asked, nothing grown.

The same numbers as `moonshine`, arranged for what binds a GPU: launches and memory. Convolutions
are products over windows; a head's channels are filled up to a multiple of eight, which attention
in bfloat16 needs; the partner that rotary positions turn each channel with comes out of the same
product; the decoder reads where it is from a tensor. So the encoder and runs of decoder steps can
be recorded as CUDA graphs. Rotations, norms' sums and the output are in float32 in any case.

Shapes: R rows (utterances), F frames, H heads, P padded channels of a head, C width, K tokens kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.asr.moonshine import (
    END,
    FRAME_SAMPLES,
    STEM,
    DecoderLayer,
    EncoderLayer,
    Moonshine,
    rotations,
)

ALIGNED = 8
"""Channels of a head are a multiple of it: attention kernels for 16 bits take no others."""
_WINDOW = 2 * STEM[0][1]
"""Samples of the first convolution's windows: its kernel and one that counts for nothing."""


def input_samples(frames: int) -> int:
    """Samples at 16 kHz, of which so many frames come."""
    return FRAME_SAMPLES * frames + _WINDOW + FRAME_SAMPLES


def frames_for(samples: int) -> int:
    """The fewest frames whose input has room for so many samples."""
    return max(1, -(-(samples - _WINDOW - FRAME_SAMPLES) // FRAME_SAMPLES))


@dataclass(slots=True)
class Places:
    """Fixed places of a batch; written in place by `encode` and `step`."""

    cross: Tensor  # [layers, 2, R, H, F, P], keys and values of the frames
    bias: Tensor  # [R, 1, 1, F], 0 where a frame is valid, else -inf
    cache: Tensor  # [layers, 2, R, H, K, P], of the tokens
    limits: Tensor  # int64[R], most tokens of each; 0: nothing is to be said
    at: Tensor  # int64[1], tokens so far
    last: Tensor  # int64[R]
    said: Tensor  # int64[K, R]
    sure: Tensor  # float32[K, R], log-probabilities
    is_over: Tensor  # bool[R]
    all_over: Tensor  # bool[1]


@dataclass(frozen=True, slots=True)
class _Attention:
    norm: Tensor
    qkv: Tensor  # [5 H P, C]: queries, keys; the partners of both; values
    out: Tensor  # [C, H P]


@dataclass(frozen=True, slots=True)
class _Cross:
    norm: Tensor
    q: Tensor  # [H P, C]
    kv: Tensor  # [2 H P, C]
    out: Tensor


@dataclass(frozen=True, slots=True)
class _FeedForward:
    norm: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor


class PackedMoonshine:
    """Encoder and decoder of a Moonshine, greedily decoded."""

    def __init__(self, model: Moonshine, dtype: torch.dtype) -> None:
        """On the model's device. `dtype`: of weights and of what passes between layers."""
        self.dims, self.dtype = model.dims, dtype
        self.device = model.encoder.conv1.weight.device
        self.heads, self.padded = self.dims.heads, -(-self.dims.head_width // ALIGNED) * ALIGNED
        self._scale = self.dims.head_width**-0.5
        with torch.inference_mode():
            self._take_stem(model)
            layers = [cast(EncoderLayer, layer) for layer in model.encoder.layers]
            self._encoder = [self._attention(layer) for layer in layers]
            self._encoder_mlp = [self._feed_forward(layer) for layer in layers]
            self._encoder_norm = self._placed(model.encoder.norm.weight)
            steps = [cast(DecoderLayer, layer) for layer in model.decoder.layers]
            self._decoder = [self._attention(layer) for layer in steps]
            self._crosses = [self._cross(layer) for layer in steps]
            self._decoder_mlp = [self._feed_forward(layer) for layer in steps]
            self._decoder_norm = self._placed(model.decoder.norm.weight)
            embedding = cast(nn.Embedding, model.decoder.embedding).weight
            self._embedding = self._placed(embedding)
            self._head = embedding.detach().float()  # in 16 bits, near tokens would be equal
        self._rotations: tuple[Tensor, Tensor] = self._tables(1)

    # ------------------------------------------------------------ laying out

    def _placed(self, weight: Tensor) -> Tensor:
        return weight.detach().to(self.dtype).contiguous()

    def _take_stem(self, model: Moonshine) -> None:
        """The norm between the first convolutions goes into the second one's weights."""
        encoder = model.encoder
        second, norm = cast(nn.Conv1d, encoder.conv2), encoder.stem_norm
        self._norm_eps = norm.eps
        self._conv1 = self._placed(F.pad(encoder.conv1.weight[:, 0], (0, 1)))
        weight = second.weight.float()  # [2 C, C, kernel]
        gained = weight * norm.weight.float()[:, None]
        self._conv2 = self._placed(gained.transpose(1, 2).flatten(1))
        self._conv2_sum = gained.sum((1, 2))
        shift = (weight * norm.bias.float()[:, None]).sum((1, 2))
        bias = second.bias
        self._conv2_bias = shift if bias is None else shift + bias.float()
        self._conv3 = self._placed(encoder.conv3.weight.transpose(1, 2).flatten(1))
        assert encoder.conv3.bias is not None
        self._conv3_bias = self._placed(encoder.conv3.bias)

    def _rows(self, weight: Tensor) -> Tensor:
        """[n H D, C] -> [n H, P, C], channels filled up with zeros."""
        split = _split(weight.detach().float(), 0, (-1, self.dims.head_width))
        return F.pad(split, (0, 0, 0, self.padded - self.dims.head_width))

    def _columns(self, weight: Tensor) -> Tensor:
        """[C, H D] -> [C, H P]."""
        split = _split(weight.detach().float(), 1, (self.heads, -1))
        return self._placed(F.pad(split, (0, self.padded - self.dims.head_width)).flatten(1))

    def _attention(self, layer: EncoderLayer | DecoderLayer) -> _Attention:
        rows = self._rows(layer.attention.qkv.weight)
        turned = rows[: 2 * self.heads]
        pairs = _split(turned, 1, (-1, 2))  # channels 2i and 2i + 1 are one complex number
        partners = torch.stack([-pairs[:, :, 1], pairs[:, :, 0]], dim=2).flatten(1, 2)
        packed = torch.cat([turned, partners, rows[2 * self.heads :]]).flatten(0, 1)
        return _Attention(
            self._placed(layer.attention_norm.weight),
            self._placed(packed),
            self._columns(layer.attention.out.weight),
        )

    def _cross(self, layer: DecoderLayer) -> _Cross:
        return _Cross(
            self._placed(layer.cross_norm.weight),
            self._placed(self._rows(layer.cross.q.weight).flatten(0, 1)),
            self._placed(self._rows(layer.cross.kv.weight).flatten(0, 1)),
            self._columns(layer.cross.out.weight),
        )

    def _feed_forward(self, layer: EncoderLayer | DecoderLayer) -> _FeedForward:
        return _FeedForward(
            self._placed(layer.mlp_norm.weight),
            *(self._placed(tensor) for tensor in (layer.up.weight, layer.up.bias)),
            *(self._placed(tensor) for tensor in (layer.down.weight, layer.down.bias)),
        )

    def _tables(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines float32[length, 2 H P], as queries and keys lie in a row."""
        factors = rotations(self.dims, length, self.device)
        parts = torch.view_as_real(factors).repeat_interleave(2, dim=1)  # [length, D, 2]
        parts = F.pad(parts, (0, 0, 0, self.padded - self.dims.head_width))
        parts = parts.repeat(1, 2 * self.heads, 1)
        return parts[..., 0].contiguous(), parts[..., 1].contiguous()

    def reserve(self, length: int) -> None:
        """Rotations for so many positions: before anything that needs them is recorded, for what is
        recorded reads them where they are."""
        if len(self._rotations[0]) < length:
            with torch.inference_mode():
                self._rotations = self._tables(length)

    # ------------------------------------------------------------ memory

    def places(
        self, rows: int, frames: int, tokens: int, device: torch.device | None = None
    ) -> Places:
        """Of a batch of that shape, on the model's device unless given."""
        layers = self.dims.decoder_layers

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device or self.device)

        of_rows = (rows, self.heads)
        return Places(
            cross=zeros(layers, 2, *of_rows, frames, self.padded, dtype=self.dtype),
            bias=zeros(rows, 1, 1, frames, dtype=self.dtype),
            cache=zeros(layers, 2, *of_rows, tokens, self.padded, dtype=self.dtype),
            limits=zeros(rows),
            at=zeros(1),
            last=zeros(rows),
            said=zeros(tokens, rows),
            sure=zeros(tokens, rows, dtype=torch.float32),
            is_over=zeros(rows, dtype=torch.bool),
            all_over=zeros(1, dtype=torch.bool),
        )

    # ------------------------------------------------------------ encoder

    def encode(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """samples float32[R, input_samples(F)] at 16 kHz, zero beyond lengths int64[R] -> frames
        [R, F, C] and how many of each are valid, int64[R], at least one."""
        counts = _stem_counts(lengths)
        x = self._stem(samples, counts)
        frames = x.shape[1]
        place = torch.arange(frames, device=x.device)
        bias = self._bias(place < counts[-1][:, None])[:, None, None]
        cos, sin = (table[:frames] for table in self._rotations)
        for attention, mlp in zip(self._encoder, self._encoder_mlp, strict=True):
            q, k, v = self._project(attention, x, cos, sin)
            x = x + self._attended(q, k, v, bias, attention.out)
            up = F.linear(self._normed(x, mlp.norm), mlp.up, mlp.up_bias)
            x = x + F.linear(F.gelu(up), mlp.down, mlp.down_bias)
        return self._normed(x, self._encoder_norm), counts[-1]

    def _stem(self, samples: Tensor, counts: Sequence[Tensor]) -> Tensor:
        (_, s1), (k2, s2), (k3, s3) = STEM
        x = torch.tanh(F.linear(samples.to(self.dtype).unfold(1, _WINDOW, s1), self._conv1))
        valid = torch.arange(x.shape[1], device=x.device) < counts[0][:, None]
        number = counts[0] * x.shape[2]
        mean = (x.sum(-1, dtype=torch.float32) * valid).sum(1) / number
        squares = torch.linalg.vector_norm(x, dim=-1, dtype=torch.float32).square()
        spread = ((squares * valid).sum(1) / number - mean.square()).clamp(min=0)
        scale = torch.rsqrt(spread + self._norm_eps)[:, None]
        shift = torch.addcmul(self._conv2_bias, scale * mean[:, None], self._conv2_sum, value=-1)
        x = F.linear(_windows(x, k2, s2), self._conv2)
        x = F.gelu(torch.addcmul(shift[:, None].to(x.dtype), x, scale[:, None].to(x.dtype)))
        return F.gelu(F.linear(_windows(x, k3, s3), self._conv3, self._conv3_bias))

    def _bias(self, seen: Tensor) -> Tensor:
        none = torch.zeros((), dtype=self.dtype, device=seen.device)
        return torch.where(seen, none, -torch.inf)

    def begin(self, frames: Tensor, counts: Tensor, places: Places, first: int) -> None:
        """The frames of `encode` are what is decoded next, from token `first` on."""
        rows, count = frames.shape[:2]
        seen = torch.arange(count, device=frames.device) < counts[:, None]
        places.bias.copy_(self._bias(seen)[:, None, None])
        for layer, cross in enumerate(self._crosses):
            kv = F.linear(frames, cross.kv).view(rows, count, 2, self.heads, self.padded)
            places.cross[layer].copy_(kv.permute(2, 0, 3, 1, 4))
        places.cache.zero_()  # what is not finite there would spoil sums that weigh it with nothing
        places.at.zero_()
        places.last.fill_(first)
        places.said.fill_(END)
        places.sure.zero_()
        places.is_over.copy_(places.limits <= 0)
        places.all_over.copy_(places.is_over.all()[None])

    # ------------------------------------------------------------ decoder

    def step(self, places: Places) -> None:
        """The best next token of each row."""
        at = places.at
        x = F.embedding(places.last, self._embedding)[:, None]  # [R, 1, C]
        cos, sin = (table.index_select(0, at) for table in self._rotations)
        kept = places.cache.shape[4]
        seen = self._bias(torch.arange(kept, device=x.device) <= at)[None, None, None]
        for layer, attention in enumerate(self._decoder):
            q, k, v = self._project(attention, x, cos, sin)
            keys, values = places.cache[layer]
            keys.index_copy_(2, at, k)
            values.index_copy_(2, at, v)
            x = x + self._attended(q, keys, values, seen, attention.out)
            cross, mlp = self._crosses[layer], self._decoder_mlp[layer]
            q = F.linear(self._normed(x, cross.norm), cross.q)
            keys, values = places.cross[layer]
            x = x + self._attended(self._split(q), keys, values, places.bias, cross.out)
            up = F.linear(self._normed(x, mlp.norm), mlp.up, mlp.up_bias)
            value, gate = up.chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * value, mlp.down, mlp.down_bias)
        logits = F.linear(self._normed(x[:, 0], self._decoder_norm).float(), self._head)
        sure, token = logits.log_softmax(-1).max(-1)
        places.said.index_copy_(0, at, token[None])
        places.sure.index_copy_(0, at, sure[None])
        places.last.copy_(token)
        at.add_(1)
        places.is_over.logical_or_(token == END).logical_or_(places.limits <= at)
        places.all_over.copy_(places.is_over.all()[None])

    # ------------------------------------------------------------ parts

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.layer_norm(x, weight.shape, weight)

    def _split(self, x: Tensor) -> Tensor:
        """[R, T, H P] -> [R, H, T, P]."""
        return _split(x, -1, (self.heads, self.padded)).transpose(1, 2)

    def _project(
        self, attention: _Attention, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v, each [R, H, T, P], q and k rotated."""
        both = 2 * self.heads * self.padded
        packed = F.linear(self._normed(x, attention.norm), attention.qkv)
        own, partner, v = packed.tensor_split([both, 2 * both], dim=-1)
        turned = torch.addcmul(own * cos, partner, sin).to(x.dtype)  # in float32
        q, k = turned.chunk(2, dim=-1)
        return self._split(q), self._split(k), self._split(v)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, out: Tensor) -> Tensor:
        seen = F.scaled_dot_product_attention(q, k, v, bias, scale=self._scale)
        return F.linear(seen.transpose(1, 2).flatten(2), out)


def _split(x: Tensor, axis: int, sizes: tuple[int, int]) -> Tensor:
    """One axis as two."""
    return cast(Tensor, x.unflatten(axis, sizes))  # type: ignore[no-untyped-call]


def _windows(x: Tensor, kernel: int, stride: int) -> Tensor:
    """x [R, T, C], contiguous -> [R, (T - kernel) // stride + 1, kernel C], a view."""
    rows, length, width = x.shape
    shape = (rows, (length - kernel) // stride + 1, kernel * width)
    return x.as_strided(shape, (length * width, stride * width, 1))


def _stem_counts(lengths: Tensor) -> list[Tensor]:
    """Valid outputs of each convolution, at least one: rows without audio are computed, too."""
    found = []
    for kernel, stride in STEM:
        over = torch.div(lengths - kernel, stride, rounding_mode="floor")
        lengths = (over + 1).clamp(min=1)
        found.append(lengths)
    return found
