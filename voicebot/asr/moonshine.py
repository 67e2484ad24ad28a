"""The Moonshine network (Jeffries et al. 2024, arXiv:2410.15608) in plain torch.

Raw waveform -> convolutional stem (384 samples at 16 kHz per frame) -> encoder -> decoder.
Utterances of different length share a batch: padding is kept out of the stem's GroupNorm and
out of attention, so that an item gives what it gives alone.

Shapes: B utterances, R decoder rows, T frames or tokens, H heads, C width, D = C / H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_RATE_HZ = 16000
STEM = ((127, 64), (7, 3), (3, 2))
"""(kernel, stride) of the three convolutions."""
FRAME_SAMPLES = 64 * 3 * 2
MIN_SAMPLES = 127 + 64 * (7 + 3 * (3 - 1) - 1)
"""Shortest input that gives one frame."""
BEGIN, END = 1, 2
"""Token ids that open and close a sentence."""
ROPE_BASE = 10000.0


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes of the network; the defaults are Moonshine tiny-en (27M parameters)."""

    width: int = 288
    inner: int = 1152
    heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    vocabulary: int = 32768
    rotary: float = 0.9  # share of a head's channels that rotate

    @property
    def head_width(self) -> int:
        """D, channels of one head."""
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoder output: frames [B, T, C]; lengths [B], valid frames of each (all T when equal)."""

    frames: Tensor
    lengths: tuple[int, ...]

    def mask(self) -> Tensor | None:
        """[B, 1, 1, T], True where a frame is valid; None when all are."""
        return _mask(self.lengths, self.frames.shape[1], self.frames.device)

    def of(self, utterances: Sequence[int]) -> Encoded:
        """Those utterances alone, in that order."""
        lengths = tuple(self.lengths[index] for index in utterances)
        return Encoded(self.frames[list(utterances), : max(lengths)], lengths)


def frame_count(samples: int) -> int:
    """Encoder frames of an input of that many samples (0 when shorter than MIN_SAMPLES)."""
    return _conv_lengths(samples)[-1]


def _conv_lengths(length: int) -> list[int]:
    lengths = []
    for kernel, stride in STEM:
        length = max(0, (length - kernel) // stride + 1)
        lengths.append(length)
    return lengths


def _mask(lengths: Sequence[int], width: int, device: torch.device) -> Tensor | None:
    if min(lengths) == width:
        return None
    ends = torch.tensor(lengths, device=device)[:, None]
    return (torch.arange(width, device=device) < ends)[:, None, None]


def rotations(dims: Dimensions, length: int, device: torch.device | None = None) -> Tensor:
    """Rotary position factors (Su et al. 2021), complex64 [length, D / 2].

    Neighbouring channels are one complex number; those beyond the rotary share turn by 1.
    """
    rotary = int(dims.head_width * dims.rotary)
    rate = ROPE_BASE ** -(torch.arange(0, rotary, 2, device=device).float() / rotary)
    rate = F.pad(rate, (0, (dims.head_width - rotary) // 2))
    angle = torch.arange(length, device=device).float()[:, None] * rate
    return torch.polar(torch.ones_like(angle), angle)


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """heads [R, T, n, D] turned by rotation ([T, D / 2] or [R, T, D / 2]) at each position."""
    turned = torch.view_as_complex(heads.view(*heads.shape[:-1], -1, 2)) * rotation[..., None, :]
    return torch.view_as_real(turned).flatten(-2)


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.heads = dims.heads
        self.qkv = nn.Linear(dims.width, 3 * dims.width, bias=False)
        self.out = nn.Linear(dims.width, dims.width, bias=False)

    def project(self, x: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v, each [R, H, T, D], q and k rotated."""
        qkv = self.qkv(x).unflatten(-1, (3 * self.heads, -1))
        qk = rotate(qkv[:, :, : 2 * self.heads], rotation)
        q, k = qk.transpose(1, 2).chunk(2, dim=1)
        return q, k, qkv[:, :, 2 * self.heads :].transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """[R, T, C]; mask is boolean, True where a key may be seen."""
        seen = F.scaled_dot_product_attention(q, k, v, mask)
        return cast(Tensor, self.out(seen.transpose(1, 2).flatten(2)))


class CrossAttention(nn.Module):
    """Attention of the decoder to the encoder's frames."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.heads = dims.heads
        self.q = nn.Linear(dims.width, dims.width, bias=False)
        self.kv = nn.Linear(dims.width, 2 * dims.width, bias=False)
        self.out = nn.Linear(dims.width, dims.width, bias=False)

    def memory(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the frames, each [B, H, T, D], computed once per utterance."""
        kv = self.kv(frames).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        k, v = kv.contiguous()  # read once per token: strided, it takes ten times as long
        return k, v

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x [R, T, C] -> [R, T, C]; R may be B, or with T = 1 a multiple of it (beams)."""
        grouped = x.reshape(memory[0].shape[0], -1, x.shape[2])
        q = self.q(grouped).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(q, *memory, mask)
        return cast(Tensor, self.out(seen.transpose(1, 2).flatten(2))).view_as(x)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and GELU feed-forward."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dims.width, bias=False)
        self.attention = Attention(dims)
        self.mlp_norm = nn.LayerNorm(dims.width, bias=False)
        self.up = nn.Linear(dims.width, dims.inner)
        self.down = nn.Linear(dims.inner, dims.width)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, T, C] -> [B, T, C]."""
        q, k, v = self.attention.project(self.attention_norm(x), rotation)
        x = x + self.attention.attend(q, k, v, mask)
        return x + cast(Tensor, self.down(F.gelu(self.up(self.mlp_norm(x)))))


class Encoder(nn.Module):
    """Waveform -> frames."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.dims = dims
        (k1, s1), (k2, s2), (k3, s3) = STEM
        self.conv1 = nn.Conv1d(1, dims.width, k1, s1, bias=False)
        self.stem_norm = nn.GroupNorm(1, dims.width)
        self.conv2: nn.Module = nn.Conv1d(dims.width, 2 * dims.width, k2, s2)
        self.conv3 = nn.Conv1d(2 * dims.width, dims.width, k3, s3)
        self.layers = nn.ModuleList(EncoderLayer(dims) for _ in range(dims.encoder_layers))
        self.norm = nn.LayerNorm(dims.width, bias=False)
        # A faster stand-in for the layers.
        self.passes: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None

    def forward(self, samples: Tensor, lengths: Sequence[int] | None = None) -> Encoded:
        """samples [B, N] at 16 kHz, zero beyond each length (>= MIN_SAMPLES)."""
        lengths = lengths or [samples.shape[1]] * samples.shape[0]
        counts = [_conv_lengths(length) for length in lengths]
        x = 2 * torch.sigmoid(2 * self.conv1(samples[:, None])) - 1  # torch's tanh: 10 x as long
        x = self._normalised(x, [count[0] for count in counts])
        x = F.gelu(self.conv3(F.gelu(self.conv2(x)))).transpose(1, 2)
        valid = tuple(count[-1] for count in counts)
        mask = _mask(valid, x.shape[1], x.device)
        rotation = rotations(self.dims, x.shape[1], x.device)
        if self.passes is not None:
            return Encoded(self.norm(self.passes(x, rotation, mask)), valid)
        for layer in self.layers:
            x = layer(x, rotation, mask)
        return Encoded(self.norm(x), valid)

    def _normalised(self, x: Tensor, lengths: list[int]) -> Tensor:
        """GroupNorm over channels and the valid part of time, x [B, C, T]."""
        mask = _mask(lengths, x.shape[2], x.device)
        if mask is None:
            return cast(Tensor, self.stem_norm(x))
        mask = mask[:, 0]
        count = mask.sum(dim=(1, 2), keepdim=True) * x.shape[1]
        mean = (x * mask).sum(dim=(1, 2), keepdim=True) / count
        spread = (((x - mean) * mask) ** 2).sum(dim=(1, 2), keepdim=True) / count
        x = (x - mean) * torch.rsqrt(spread + self.stem_norm.eps)
        return torch.addcmul(self.stem_norm.bias[:, None], x, self.stem_norm.weight[:, None])


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention, gated SiLU feed-forward."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dims.width, bias=False)
        self.attention = Attention(dims)
        self.cross_norm = nn.LayerNorm(dims.width, bias=False)
        self.cross = CrossAttention(dims)
        self.mlp_norm = nn.LayerNorm(dims.width, bias=False)
        self.up = nn.Linear(dims.width, 2 * dims.inner)
        self.down = nn.Linear(dims.inner, dims.width)

    def forward(self, x: Tensor, rotation: Tensor, state: DecoderState, index: int) -> Tensor:
        """x [R, T, C] -> [R, T, C]; the layer's cache in `state` grows by T."""
        q, k, v = self.attention.project(self.attention_norm(x), rotation)
        k, v = state.append(index, k, v)
        x = x + self.attention.attend(q, k, v, state.causal_mask(x.shape[1]))
        x = x + self.cross(self.cross_norm(x), state.memory[index], state.memory_mask)
        value, gate = self.up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + cast(Tensor, self.down(F.silu(gate) * value))


class DecoderState:
    """What decoding remembers: the utterances' cross-attention memory and a key/value cache.

    `length` counts the tokens seen so far, at most `capacity`. Capacity 0 keeps nothing: for a
    single pass over whole sentences, as in training.
    """

    def __init__(
        self,
        memory: list[tuple[Tensor, Tensor]],
        memory_mask: Tensor | None,
        capacity: int,
        beams: int = 1,
    ) -> None:
        key = memory[0][0]
        shape = (len(memory), 2, key.shape[0] * beams, key.shape[1], capacity, key.shape[3])
        self._room = key.new_empty(shape)
        self.cache = self._room  # the rows in use
        self.capacity = capacity
        self.memory = memory
        self.memory_mask = memory_mask
        self.length = 0
        self._rotations: Tensor | None = None
        self._gaps: Tensor | None = None  # [R], tokens forgotten by each row
        self._seen: Tensor | None = None  # [R, capacity], False for those

    def rotations(self, dims: Dimensions, end: int) -> Tensor:
        """Those of the positions from `length` to `end`, out of one table for all steps."""
        if self._rotations is None or len(self._rotations) < end:
            self._rotations = rotations(dims, max(end, self.capacity), self.cache.device)
        if self._gaps is None:
            return self._rotations[self.length : end]
        at = torch.arange(self.length, end, device=self._gaps.device) - self._gaps[:, None]
        return self._rotations[at]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new k and v [R, H, T, D]; return all of the layer's, [R, H, length + T, D]."""
        if self.capacity == 0:
            return k, v
        keys, values = self.cache[layer].unbind()
        tokens = k.shape[2]
        keys.narrow(2, self.length, tokens).copy_(k)
        values.narrow(2, self.length, tokens).copy_(v)
        end = self.length + tokens
        return keys.narrow(2, 0, end), values.narrow(2, 0, end)

    def causal_mask(self, tokens: int) -> Tensor | None:
        """[tokens, length + tokens]; None for a single token, which sees all before it.

        [R, 1, 1, length + 1] once tokens were forgotten: a single token may follow those.
        """
        if tokens == 1:
            return None if self._seen is None else self._seen[:, None, None, : self.length + 1]
        seen = torch.ones(tokens, self.length + tokens, dtype=torch.bool, device=self.cache.device)
        return seen.tril(self.length)

    def forget(self, counts: Tensor) -> None:
        """Each row goes on, token by token, as if its last counts [R] tokens had not been."""
        self._gaps = counts
        self._seen = torch.ones(len(counts), self.capacity, dtype=torch.bool, device=counts.device)
        at = torch.arange(self.length, device=counts.device)
        self._seen[:, : self.length] = at < (self.length - counts)[:, None]

    def reorder(self, rows: Tensor) -> None:
        """Go on with these rows of the cache (int64 indices, repeats allowed) in this order;
        as many as it was made for at most."""
        self._room[:, :, : len(rows), :, : self.length] = self.cache[:, :, rows, :, : self.length]
        self.cache = self._room[:, :, : len(rows)]
        if self._gaps is not None and self._seen is not None:
            self._gaps, self._seen = self._gaps[rows], self._seen[rows]

    def keep(self, utterances: Tensor) -> None:
        """Go on with the memory of these utterances (ascending int64 indices)."""
        self.memory = [(k[utterances], v[utterances]) for k, v in self.memory]
        if self.memory_mask is not None:
            self.memory_mask = self.memory_mask[utterances]


class Decoder(nn.Module):
    """Tokens and frames -> logits; the embedding is also the output matrix."""

    def __init__(self, dims: Dimensions) -> None:
        super().__init__()
        self.dims = dims
        self.embedding: nn.Module = nn.Embedding(dims.vocabulary, dims.width)
        self.layers = nn.ModuleList(DecoderLayer(dims) for _ in range(dims.decoder_layers))
        self.norm = nn.LayerNorm(dims.width, bias=False)
        self.head: nn.Module | None = None  # a faster stand-in for the output matrix
        self.steps: Callable[[Tensor, DecoderState], Tensor] | None = None  # and for `forward`

    def start(self, encoded: Encoded, capacity: int, beams: int = 1) -> DecoderState:
        """Fresh state for the utterances of `encoded`, up to `capacity` tokens each."""
        layers = [cast(DecoderLayer, layer) for layer in self.layers]
        memory = [layer.cross.memory(encoded.frames) for layer in layers]
        return DecoderState(memory, encoded.mask(), capacity, beams)

    def forward(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """tokens int64 [R, T], following those in `state` -> logits [R, T, vocabulary]."""
        if self.steps is not None:
            return self.steps(tokens, state)
        x = self.embedding(tokens)
        end = state.length + tokens.shape[1]
        rotation = state.rotations(self.dims, end)
        for index, layer in enumerate(self.layers):
            x = layer(x, rotation, state, index)
        state.length = end
        x = self.norm(x)
        if self.head is None:
            return F.linear(x, cast(nn.Embedding, self.embedding).weight)
        return cast(Tensor, self.head(x))


class Moonshine(nn.Module):
    """Encoder and decoder."""

    def __init__(self, dims: Dimensions | None = None) -> None:
        super().__init__()
        self.dims = dims or Dimensions()
        self.encoder = Encoder(self.dims)
        self.decoder = Decoder(self.dims)
