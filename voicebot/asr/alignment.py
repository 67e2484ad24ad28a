"""When each word was said: the decoder's attention to the encoder's frames, and the best path.

Heads whose attention follows the speech are averaged, and the cheapest monotone path through the
matrix gives every token its frames, as in Whisper's word timestamps (Radford et al. 2022,
arXiv:2212.04356) with the dynamic programme of dynamic time warping. One pass over the finished
sentence: the search itself is not slowed down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from voicebot.asr.moonshine import (
    BEGIN,
    END,
    FRAME_SAMPLES,
    MIN_SAMPLES,
    SAMPLE_RATE_HZ,
    Decoder,
    DecoderLayer,
    Encoded,
    rotations,
)
from voicebot.asr.quantise import products
from voicebot.asr.utterance import Samples, starts
from voicebot.events import SAMPLE_RATE_HZ as CALL_HZ
from voicebot.events import Hypothesis, Word

if TYPE_CHECKING:
    from torch import Tensor

Matrix = NDArray[np.float32]
HEADS = ((2, 6), (3, 7), (0, 1))
"""(layer, head) whose attention follows the speech best (LOG.md). The order of heads survives
training, but should be looked at again after one."""
SMOOTH = 5
"""Frames of the median filter over attention (`_smooth` knows of no other number)."""
_RATIO = SAMPLE_RATE_HZ // CALL_HZ
STEP = SAMPLE_RATE_HZ // 100
QUIET_DB = 30.0
"""A word begins and ends where the sound comes this near to its loudest 30 ms: the attention
gives the pause before a word to the word."""
FLOOR_DB = 3.0
"""And this far above the quietest tenth of the piece."""
LEAD_SAMPLES = (MIN_SAMPLES - FRAME_SAMPLES) // 2
"""From where a frame's input begins to where the time that it stands for begins."""


@dataclass(frozen=True, slots=True)
class Said:
    """A recognised sentence: its tokens, the indices of each word's tokens, the sound."""

    tokens: Sequence[int]
    words: Sequence[Sequence[int]]
    samples: Samples


def timed(
    decoder: Decoder,
    encoded: Encoded,
    heard: Sequence[Hypothesis],
    batch: Sequence[Samples],
    said: Sequence[Sequence[Said]],
) -> list[Hypothesis]:
    """The hypotheses with the times of their words, at 8 kHz from the first sample of `batch`.

    `said`: of each its pieces, of which `encoded` has the frames in order.
    """
    times = iter(word_times(decoder, encoded, [one for pieces in said for one in pieces]))
    found = []
    for hypothesis, samples, pieces in zip(heard, batch, said, strict=True):
        spans = [
            span and ((start + span[0]) // _RATIO, (start + span[1]) // _RATIO)
            for start, _ in zip(starts(samples), pieces, strict=True)
            for span in next(times)
        ]
        if len(spans) == len(hypothesis.words):
            pairs = zip(hypothesis.words, spans, strict=True)
            words = tuple(_placed(word, span) for word, span in pairs)
            hypothesis = replace(hypothesis, words=words)
        found.append(hypothesis)
    return found


def _placed(word: Word, span: tuple[int, int] | None) -> Word:
    if span is None:
        return word
    return replace(word, start_at=max(0, span[0]), end_at=max(1, span[1]))


def word_times(
    decoder: Decoder, encoded: Encoded, said: Sequence[Said]
) -> list[list[tuple[int, int] | None]]:
    """(first sample, end) of every word of each sentence, at 16 kHz; None where not known."""
    dims = decoder.dims
    heads = [(x, y) for x, y in HEADS if x < dims.decoder_layers and y < dims.heads]
    weights = attention(decoder, encoded, [one.tokens for one in said], heads)
    return [_times(one, matrix) for one, matrix in zip(said, weights, strict=True)]


def _times(said: Said, weights: Matrix) -> list[tuple[int, int] | None]:
    first = path(weights) if said.words else None
    if first is None:
        return [None] * len(said.words)
    levels = _levels(said.samples)
    begins = [int(first[indices[0]]) * FRAME_SAMPLES + LEAD_SAMPLES for indices in said.words]
    ends = [int(first[indices[-1] + 1]) * FRAME_SAMPLES + LEAD_SAMPLES for indices in said.words]
    floor = float(np.percentile(levels, 10)) + FLOOR_DB if len(levels) else 0.0
    return [_trimmed(levels, floor, begin, end) for begin, end in zip(begins, ends, strict=True)]


def _levels(samples: Samples) -> Matrix:
    """dB of each STEP, over three of them."""
    frames = samples[: len(samples) // STEP * STEP].reshape(-1, STEP)
    levels = 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-5)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(levels, 1, mode="edge"), 3)
    return np.asarray(windows.mean(axis=1), np.float32)


def _trimmed(levels: Matrix, floor: float, begin: int, end: int) -> tuple[int, int]:
    """The part of [begin, end) in which there is sound, of `floor` dB at least."""
    first, last = begin // STEP, min(len(levels), -(-end // STEP))
    inside = levels[first:last]
    if len(inside) <= 3:
        return begin, end
    least = max(inside.max() - QUIET_DB, floor)
    loud = np.flatnonzero(inside >= least)
    if not len(loud):
        return begin, end
    return (first + int(loud[0])) * STEP, (first + int(loud[-1]) + 1) * STEP


@torch.inference_mode()
def attention(
    decoder: Decoder,
    encoded: Encoded,
    sentences: Sequence[Sequence[int]],
    heads: Sequence[tuple[int, int]] = HEADS,
) -> list[Matrix]:
    """Of each sentence's tokens and its end to its frames, float32[heads, tokens + 1, frames].

    Row i holds what the decoder looked at when it chose token i, the last row that for the end.
    """
    if not heads:
        return [np.zeros((0, len(tokens) + 1, 0), np.float32) for tokens in sentences]
    longest = max(len(tokens) for tokens in sentences) + 1
    rows = [[BEGIN, *tokens] + [END] * (longest - 1 - len(tokens)) for tokens in sentences]
    device = encoded.frames.device
    last = max(layer for layer, _ in heads)
    mask = encoded.mask()
    causal = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    rotation = rotations(decoder.dims, longest, device)
    wide = decoder.dims.head_width
    parts = [slice(None)] * last + [slice(0, decoder.dims.width)]  # no values of the last layer
    layers = [cast(DecoderLayer, layer) for layer in decoder.layers[: last + 1]]
    memory = products(encoded.frames, [layer.cross.kv for layer in layers], parts)
    x = decoder.embedding(torch.tensor(rows, device=device))
    seen: dict[tuple[int, int], Tensor] = {}
    for index, layer in enumerate(layers):
        own = layer.attention.project(layer.attention_norm(x), rotation)
        x = x + layer.attention.attend(*own, causal)
        (query,) = _by_heads(layer.cross.q(layer.cross_norm(x)), 1, layer.cross.heads)
        for head in (head for of, head in heads if of == index):
            key = memory[index][..., head * wide : (head + 1) * wide]
            seen[index, head] = _weights(query[:, head], key, mask)
        if index < last:
            key, value = _by_heads(memory[index], 2, layer.cross.heads)
            heard = F.scaled_dot_product_attention(query, key, value, mask)
            x = x + layer.cross.out(heard.transpose(1, 2).flatten(2))
            up, gate = layer.up(layer.mlp_norm(x)).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up)
    chosen = torch.stack([seen[pair] for pair in heads], dim=1)
    found = chosen.float().cpu().numpy()
    return [
        found[row, :, : len(tokens) + 1, :length]
        for row, (tokens, length) in enumerate(zip(sentences, encoded.lengths, strict=True))
    ]


def _by_heads(x: Tensor, parts: int, heads: int) -> list[Tensor]:
    """[B, T, parts * C] -> as many parts, each [B, H, T, D]; read once, they are left strided."""
    return list(x.view(*x.shape[:-1], parts, heads, -1).permute(2, 0, 3, 1, 4).unbind())


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """Attention's weights [B, T, frames] of one head, from its query and key [B, T, D]."""
    scores = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, 0], -torch.inf)
    return F.softmax(scores, dim=-1)


def path(weights: Matrix) -> NDArray[np.intp] | None:
    """First frame of every token and of the end, from float32[heads, tokens + 1, frames].

    None where there are fewer frames than tokens.
    """
    rows, frames = weights.shape[1:]
    if frames < rows or not len(weights):
        return None
    spread = weights.std(axis=1, keepdims=True) + 1e-9
    likeness = _smooth((weights - weights.mean(axis=1, keepdims=True)) / spread).mean(axis=0)
    # cost[j]: of the best path whose last frame so far is j; every token takes a frame or more.
    total = np.cumsum(-likeness, axis=1)
    cost = total[0].copy()
    before = np.full((rows, frames), np.inf, np.float32)
    best = before.copy()
    for row in range(1, rows):
        np.subtract(cost[row - 1 : -1], total[row, row - 1 : -1], out=before[row, row:])
        np.minimum.accumulate(before[row, row:], out=best[row, row:])
        np.add(best[row, row:], total[row, row:], out=cost[row:])
    # Where the best path into a row began is the last frame that lowered its cost.
    entries = np.maximum.accumulate(np.where(before <= best, np.arange(frames), 0), axis=1)
    starts = np.zeros(rows, np.intp)
    at = frames - 1
    for row in range(rows - 1, 0, -1):
        starts[row] = entries[row, at]
        at = starts[row] - 1
    return starts


def _smooth(weights: Matrix) -> Matrix:
    """Median over five frames, by comparing whole rows: `np.median` takes ten times as long."""
    side = SMOOTH // 2
    padded = np.pad(weights, ((0, 0), (0, 0), (side, side)), mode="edge")
    a, b, c, d, e = (padded[..., at : at + weights.shape[2]] for at in range(SMOOTH))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
