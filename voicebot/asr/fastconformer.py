"""The FastConformer encoder (Rekesh et al. 2023, arXiv:2305.05084) for whole recordings.

Log-mel frames -> 8x depthwise-striding stem -> Conformer layers with relative positions. The
cache-aware variant (Noroozi et al. 2023, arXiv:2312.17279) has causal convolutions, a LayerNorm
in them and attention in chunks: `fastconformer_stream` runs it chunk by chunk with equal result.

Shapes: B recordings, T frames (80 ms after the stem), H heads, C width, D = C / H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8
"""Mel frames to a frame of the encoder; three stages of 2."""
KERNEL = 3


@dataclass(frozen=True, slots=True)
class FastConformerConfig:
    """Sizes of a model; the defaults are NeMo's streaming "large" (115M parameters)."""

    mels: int = 80
    width: int = 512
    layers: int = 17
    heads: int = 8
    inner: int = 2048
    kernel: int = 9  # of the layers' convolution
    stem_channels: int = 256
    vocabulary: int = 1024  # without the blank, which is the last class
    predictor_width: int = 640
    predictor_layers: int = 2
    joint_width: int = 640
    durations: tuple[int, ...] = ()  # TDT: what the second head chooses from; empty: RNN-T
    is_causal: bool = True  # convolutions look back only
    conv_norm: str = "layer"  # or "batch"
    has_bias: bool = True  # linear layers of attention and feed-forward
    has_conv_bias: bool = True
    scales_input: bool = True  # the stem's output by sqrt(width)
    is_normalised: bool = False  # features per recording
    left: int = 70  # frames of left context, -1 for all there is
    lookaheads: tuple[int, ...] = (13, 6, 1, 0)  # right contexts that it was trained with
    has_ctc: bool = True
    has_transducer: bool = True
    max_symbols: int = 10  # of one frame

    @property
    def blank(self) -> int:
        """The class that says nothing."""
        return self.vocabulary

    @property
    def head_width(self) -> int:
        """D, channels of one head."""
        return self.width // self.heads

    def bands(self) -> tuple[int, ...]:
        """Frequencies before and after each stage of the stem."""
        found = [self.mels]
        for _ in range(3):
            found.append(found[-1] // 2 + 1 if self.is_causal else (found[-1] - 1) // 2 + 1)
        return tuple(found)


def stem_counts(counts: Tensor, *, is_causal: bool) -> list[Tensor]:
    """Frames before and after each stage of the stem, of recordings with `counts` mel frames."""
    found = [counts]
    for _ in range(3):
        found.append(found[-1] // 2 + 1 if is_causal else (found[-1] - 1) // 2 + 1)
    return found


class Stem(nn.Module):
    """Three stages of stride 2 in time and frequency, then a projection to the width."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        channels = config.stem_channels
        self.is_causal = config.is_causal
        self.strided = nn.ModuleList(
            nn.Conv2d(
                1 if stage == 0 else channels,
                channels,
                KERNEL,
                stride=2,
                groups=1 if stage == 0 else channels,
            )
            for stage in range(3)
        )
        self.pointwise = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.out = nn.Linear(channels * config.bands()[-1], config.width)

    def stage(self, index: int, x: Tensor) -> Tensor:
        """x [B, channels, t, f], padded in time, through one stage without its activation."""
        sides = (2, 1) if self.is_causal else (1, 1)
        x = self.strided[index](F.pad(x, sides))
        return cast(Tensor, self.pointwise[index - 1](x)) if index else x

    def project(self, x: Tensor) -> Tensor:
        """[B, channels, T, f] -> [B, T, C]."""
        return cast(Tensor, self.out(x.transpose(1, 2).flatten(2)))

    def forward(self, mel: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """mel [B, t, mels] and their counts [B] -> [B, T, C] and counts [B]."""
        x, levels = mel[:, None], stem_counts(counts, is_causal=self.is_causal)
        for index in range(3):
            x = self.stage(index, F.pad(x, (0, 0, *((2, 1) if self.is_causal else (1, 1)))))
            valid = torch.arange(x.shape[2], device=x.device) < levels[index + 1][:, None]
            x = F.relu(x * valid[:, None, :, None])
        return self.project(x), levels[-1]


class FeedForward(nn.Module):
    """Two linear layers with SiLU between."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, config.inner, bias=config.has_bias)
        self.down = nn.Linear(config.inner, config.width, bias=config.has_bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        return cast(Tensor, self.down(F.silu(self.up(x))))


class Attention(nn.Module):
    """Self-attention with relative positions (Dai et al. 2019, arXiv:1901.02860, section 3.3)."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.has_bias)
        self.out = nn.Linear(config.width, config.width, bias=config.has_bias)
        self.position = nn.Linear(config.width, config.width, bias=False)
        self.bias_u = nn.Parameter(torch.zeros(config.heads, config.head_width))
        self.bias_v = nn.Parameter(torch.zeros(config.heads, config.head_width))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, C] -> q [B, T, H, D], and keys with values [B, T, 2, H, D]."""
        q, kv = self.qkv(x).split([x.shape[2], 2 * x.shape[2]], dim=-1)
        return q.unflatten(-1, (self.heads, -1)), kv.unflatten(-1, (2, self.heads, -1))

    def position_keys(self, encodings: Tensor) -> Tensor:
        """Sinusoids [P, C] of P distances -> [H, D, P]; constant while weights are."""
        keys: Tensor = self.position(encodings).unflatten(-1, (self.heads, -1))
        return keys.permute(1, 2, 0).contiguous()

    def attend(
        self, q: Tensor, kv: Tensor, keys: Tensor, index: Tensor, mask: Tensor | None
    ) -> Tensor:
        """[B, T, C] from q [B, T, H, D] and kv [B, S, 2, H, D].

        index int64[B or 1, T, S]: which of the P position keys [H, D, P] lies between a query
        and a key; mask [B or 1, 1, T, S]: added to scores, see `barred`.
        """
        scale = q.shape[-1] ** -0.5
        # Of all rows in one product of each head: a broadcast one copies the keys for every row.
        queries = (q + self.bias_v).flatten(0, 1).transpose(0, 1)  # [H, B T, D]; then [B, H, T, P]:
        by_position = (queries @ keys).view(self.heads, *q.shape[:2], -1).transpose(0, 1)
        index = index[:, None].expand(by_position.shape[0], self.heads, -1, -1)
        bias = by_position.gather(-1, index)
        bias = bias * scale if mask is None else torch.add(mask, bias, alpha=scale)
        k, v = kv.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention((q + self.bias_u).transpose(1, 2), k, v, bias)
        return cast(Tensor, self.out(seen.transpose(1, 2).flatten(2)))


class Convolution(nn.Module):
    """Gated pointwise, depthwise over time, norm, pointwise."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        width, bias = config.width, config.has_conv_bias
        self.is_causal, self.reach = config.is_causal, config.kernel - 1
        self.gated = nn.Linear(width, 2 * width, bias=bias)
        self.depthwise = nn.Conv1d(width, width, config.kernel, groups=width, bias=bias)
        is_layer = config.conv_norm == "layer"
        self.norm: nn.Module = nn.LayerNorm(width) if is_layer else nn.BatchNorm1d(width)
        self.out = nn.Linear(width, width, bias=bias)

    def gate(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C], what the depthwise part sees."""
        return F.glu(self.gated(x), dim=-1)

    def finish(self, padded: Tensor) -> Tensor:
        """[B, T + reach, C] -> [B, T, C]."""
        x = self.depthwise(padded.transpose(1, 2))
        if isinstance(self.norm, nn.LayerNorm):
            x = self.norm(x.transpose(1, 2))
        else:
            x = self.norm(x).transpose(1, 2)
        return cast(Tensor, self.out(F.silu(x)))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x [B, T, C], valid bool[B, T] -> [B, T, C]."""
        before = self.reach if self.is_causal else self.reach // 2
        x = self.gate(x) * valid[..., None]
        return self.finish(F.pad(x, (0, 0, before, self.reach - before)))


class Layer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.up_norm, self.up = nn.LayerNorm(config.width), FeedForward(config)
        self.attention_norm, self.attention = nn.LayerNorm(config.width), Attention(config)
        self.conv_norm, self.conv = nn.LayerNorm(config.width), Convolution(config)
        self.down_norm, self.down = nn.LayerNorm(config.width), FeedForward(config)
        self.norm = nn.LayerNorm(config.width)

    def before(self, x: Tensor) -> Tensor:
        """The first half feed-forward, added."""
        return torch.add(x, self.up(self.up_norm(x)), alpha=0.5)

    def after(self, x: Tensor) -> Tensor:
        """The second half feed-forward, added, and the norm."""
        return cast(Tensor, self.norm(torch.add(x, self.down(self.down_norm(x)), alpha=0.5)))


def sinusoids(distances: Tensor, width: int) -> Tensor:
    """float32[P, width] of distances [P]: sines and cosines in turn (Vaswani et al. 2017)."""
    rate = 10000.0 ** -(torch.arange(0, width, 2, device=distances.device).float() / width)
    angle = distances[:, None].float() * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def barred(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """bool[B or 1, T, S], True where a query may see a key -> what all heads' scores are added."""
    none = torch.zeros((), dtype=dtype, device=mask.device)
    return torch.where(mask, none, -math.inf)[:, None]


def chunk_mask(frames: int, left: int, lookahead: int, device: torch.device) -> Tensor:
    """bool[frames, frames]: NeMo's chunked_limited attention.

    A frame sees its own chunk of `lookahead` + 1 frames and left // (lookahead + 1) before it.
    """
    chunk = torch.arange(frames, device=device) // (lookahead + 1)
    age = chunk[:, None] - chunk
    return (age >= 0) & (age <= left // (lookahead + 1))


class Encoder(nn.Module):
    """Log-mel frames -> frames of 80 ms."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = math.sqrt(config.width) if config.scales_input else 1.0
        self.stem = Stem(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def position_keys(self, first: int, last: int) -> list[Tensor]:
        """Every layer's position keys [H, D, last - first + 1] for distances from `first` on.

        The distance is the query's frame less the key's.
        """
        weight = self.stem.out.weight
        span = torch.arange(first, last + 1, device=weight.device)
        encodings = sinusoids(span, self.config.width).to(weight.dtype)
        return [cast(Layer, layer).attention.position_keys(encodings) for layer in self.layers]

    def forward(
        self, mel: Tensor, counts: Tensor, lookahead: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """mel [B, t, mels], counts int64[B] -> frames [B, T, C] and their counts [B].

        `lookahead`: attend in chunks of so many frames and one; None: to the whole recording.
        """
        x, counts = self.stem(mel, counts)
        x = x * self.scale
        frames = x.shape[1]
        place = torch.arange(frames, device=x.device)
        valid = place < counts[:, None]
        mask = valid[:, None] | (place == place[:, None])
        if lookahead is not None and self.config.left >= 0:
            mask = mask & chunk_mask(frames, self.config.left, lookahead, x.device)
        index, hidden = (place[:, None] - place + frames - 1)[None], barred(mask, x.dtype)
        for layer, keys in zip(
            self.layers, self.position_keys(1 - frames, frames - 1), strict=True
        ):
            block = cast(Layer, layer)
            x = block.before(x)
            q, kv = block.attention.project(block.attention_norm(x))
            x = x + block.attention.attend(q, kv, keys, index, hidden)
            x = x + block.conv(block.conv_norm(x), valid)
            x = block.after(x)
        return x, counts
