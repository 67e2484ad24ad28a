"""FastConformer chunk by chunk, for many callers in one batch, with state in ring buffers.

Projected keys and values are kept, not the layers' inputs as NeMo does: equal result, and
nothing is projected twice. A chunk of `frames` encoder frames is written into its block of the
ring and attends to the whole ring; nothing is moved. All shapes are fixed and nothing asks the
device for a value, so that steps can be captured as CUDA graphs.

Shapes: B rows (callers), T frames of a chunk, H heads, C width, D = C / H.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voicebot.asr.fastconformer import (
    STRIDE,
    Encoder,
    FastConformerConfig,
    Layer,
    barred,
    stem_counts,
)
from voicebot.asr.mel import (
    HALF_TAPS,
    HOP,
    INT16,
    SAMPLE_RATE_HZ,
    WINDOW,
    MelFeatures,
    Upsampler,
    emphasise,
)
from voicebot.asr.transducer import DecoderState, Transducer
from voicebot.errors import UserMistake

NEVER = 1 << 60
"""End, in samples at 16 kHz, of audio that goes on."""
FRAME_MS = STRIDE * HOP * 1000 // SAMPLE_RATE_HZ
_LEVEL_LEADS = (7, 3, 1, 0)
"""Frames of a chunk that come before its first output's place, before and after each stage."""


class FastConformer(nn.Module):
    """A whole recogniser: features, encoder, and whichever heads it has."""

    def __init__(self, config: FastConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.transducer = Transducer(config) if config.has_transducer else None
        self.ctc = nn.Linear(config.width, config.vocabulary + 1) if config.has_ctc else None
        self.make_constants()

    def make_constants(self) -> None:
        """What no checkpoint holds; again, where the model was made without memory for it."""
        self.features = MelFeatures(self.config.mels, is_normalised=self.config.is_normalised)
        self.upsampler = Upsampler()
        if self.transducer is not None:
            self.transducer.durations = torch.tensor(self.config.durations or (0,))


@dataclass(frozen=True, slots=True)
class ChunkShape:
    """How audio is cut: `frames` encoder frames of 80 ms to a chunk, audio at `input_hz`.

    A chunk ends `lead` samples before the encoder's last frame would: what that frame cannot
    see needs not be waited for. So each stream begins with `lead` samples of zeros.
    """

    frames: int
    input_hz: int = SAMPLE_RATE_HZ

    @property
    def mel_frames(self) -> int:
        """Mel frames of a chunk."""
        return STRIDE * self.frames

    @property
    def samples(self) -> int:
        """Of a chunk."""
        return self.mel_frames * HOP // self._ratio

    @property
    def lead(self) -> int:
        """Zeros before a stream."""
        unused = (STRIDE * HOP - WINDOW // 2) // self._ratio
        return unused - (HALF_TAPS if self._ratio == 2 else 0)

    @property
    def tail(self) -> int:
        """Samples before a chunk that its features need."""
        reach = (WINDOW - HOP) // self._ratio + 1  # one for the pre-emphasis
        return reach + (2 * HALF_TAPS - 1 if self._ratio == 2 else 0)

    @property
    def _ratio(self) -> int:
        return SAMPLE_RATE_HZ // self.input_hz

    @staticmethod
    def nearest_ms(chunk_ms: int, config: FastConformerConfig) -> int:
        """The chunk of the model's that is nearest, the shorter one of two."""
        longest = config.left if config.left > 0 else 70
        frames = -(-(2 * chunk_ms - FRAME_MS) // (2 * FRAME_MS))
        return FRAME_MS * min(max(frames, 1), longest)

    @classmethod
    def of_ms(cls, chunk_ms: int, config: FastConformerConfig, input_hz: int) -> ChunkShape:
        """UserMistake where a chunk of that length is none of the model's."""
        frames, rest = divmod(chunk_ms, FRAME_MS)
        longest = config.left if config.left > 0 else 70
        if rest or not 1 <= frames <= longest:
            raise UserMistake(
                f"chunk: {chunk_ms} ms is no multiple of {FRAME_MS} ms up to "
                f"{longest * FRAME_MS} ms, which this model's frames are"
            )
        if not config.is_causal:
            raise UserMistake("chunk: this model sees whole recordings only; it cannot stream")
        return cls(frames, input_hz)


@dataclass(slots=True)
class StreamState:
    """All that is remembered of each caller; the first axis is the slot, of layers the second."""

    audio: Tensor  # float32[N, tail]
    mel: Tensor  # [N, 1, 1, mels], last frame before the chunk, as of the stem's stages
    stem1: Tensor  # [N, channels, 1, bands]
    stem2: Tensor  # [N, channels, 1, bands]
    conv: Tensor  # [layers, N, kernel - 1, C]
    ring: Tensor  # [layers, N, (blocks + 1) T, 2, H, D]; the last block takes what is not wanted
    chunks: Tensor  # int64[N], heard so far
    decoder: DecoderState | None

    def rows(self, begin: int, end: int) -> StreamState:
        """A view of some slots."""
        own: dict[str, Tensor] = {}
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            by_layer = field.name in {"conv", "ring"}
            own[field.name] = value[:, begin:end] if by_layer else value[begin:end]
        return StreamState(**own, decoder=self.decoder.rows(begin, end) if self.decoder else None)

    def tensors(self) -> list[tuple[Tensor, int]]:
        """Every tensor, and which of its axes is the slot."""
        own = [
            (cast(Tensor, getattr(self, field.name)), int(field.name in {"conv", "ring"}))
            for field in fields(self)[:-1]
        ]
        if self.decoder is not None:
            own += [(getattr(self.decoder, f.name), 0) for f in fields(self.decoder)]
        return own

    def bytes_per_slot(self) -> int:
        """Memory of one caller."""
        return sum(
            tensor.numel() // tensor.shape[axis] * tensor.element_size()
            for tensor, axis in self.tensors()
        )


class Streamer:
    """Runs a FastConformer in chunks of one shape."""

    def __init__(self, model: FastConformer, shape: ChunkShape) -> None:
        """The model's weights must not change any more: position keys are computed here."""
        self.model, self.shape, self.config = model, shape, model.config
        if self.config.is_normalised:
            raise UserMistake("stream: this model normalises whole recordings; it cannot stream")
        left = self.config.left
        if left < 0:
            raise UserMistake("stream: this model looks back without end; it cannot stream")
        self.blocks = left // shape.frames + 1
        self.device = model.encoder.stem.out.weight.device
        self.dtype = model.encoder.stem.out.weight.dtype
        with torch.inference_mode():
            reach = self.blocks * shape.frames - 1
            self.position_keys = model.encoder.position_keys(1 - shape.frames, reach)

    def allocate(self, slots: int) -> StreamState:
        """State for so many callers, all at their beginning."""
        config, frames = self.config, self.shape.frames
        bands, channels = config.bands(), config.stem_channels

        def zeros(*shape: int, dtype: torch.dtype | None = None) -> Tensor:
            return torch.zeros(shape, dtype=dtype or self.dtype, device=self.device)

        ring = ((self.blocks + 1) * frames, 2, config.heads, config.head_width)
        with torch.inference_mode():
            transducer = self.model.transducer
            return StreamState(
                audio=zeros(slots, self.shape.tail, dtype=torch.float32),
                mel=zeros(slots, 1, 1, bands[0]),
                stem1=zeros(slots, channels, 1, bands[1]),
                stem2=zeros(slots, channels, 1, bands[2]),
                conv=zeros(config.layers, slots, config.kernel - 1, config.width),
                ring=zeros(config.layers, slots, *ring),
                chunks=zeros(slots, dtype=torch.int64),
                decoder=transducer.start(slots) if transducer else None,
            )

    def reset(self, state: StreamState, fresh: StreamState, slots: Tensor) -> None:
        """Bring slots (int64) to their beginning; `fresh`: a state of one slot, never advanced.

        The ring is cleared too: blocks not written since are not looked at, but what is not
        finite there would spoil sums that weigh it with nothing.
        """
        for (tensor, axis), (clean, _) in zip(state.tensors(), fresh.tensors(), strict=True):
            tensor.index_copy_(
                axis,
                slots,
                clean.expand(*tensor.shape[:axis], len(slots), *clean.shape[axis + 1 :]),
            )

    # ------------------------------------------------------------ one chunk

    def hear(self, state: StreamState, samples: Tensor, active: Tensor, ends: Tensor) -> Tensor:
        """Features of one chunk: samples [B, n] (int16, or float in -1..1) -> mel [B, t, mels].

        active bool[B]: rows that take part; the others stay as they are. ends int64[B]: where
        each row's audio ends, in samples at 16 kHz from its beginning, NEVER while it goes on.
        """
        fresh = samples.float() * INT16 if samples.dtype == torch.int16 else samples
        window = torch.cat([state.audio, fresh], dim=1)
        tail = window[:, window.shape[1] - self.shape.tail :]
        torch.where(active[:, None], tail, state.audio, out=state.audio)
        at_16k = self.model.upsampler(window) if self.shape.input_hz < SAMPLE_RATE_HZ else window
        count = HOP * (self.shape.mel_frames - 1) + WINDOW
        begin = HOP * (state.chunks * self.shape.mel_frames - _LEVEL_LEADS[0]) - WINDOW // 2
        place = begin[:, None] + torch.arange(-1, count, device=begin.device)
        heard = torch.where(place >= 0, at_16k[:, at_16k.shape[1] - count - 1 :], 0)
        emphasised = torch.where(place[:, 1:] < ends[:, None], emphasise(heard), 0)
        return self.model.features.frames(emphasised)

    def encode(self, state: StreamState, mel: Tensor, active: Tensor, ends: Tensor) -> Tensor:
        """mel of `hear` -> frames [B, T, C]; the state goes on by a chunk where active.

        Nothing but the ring is written before all is computed, and that only where the next
        attempt would write again: a step that fails half-way leaves its rows as they were.
        """
        counts = stem_counts(ends // HOP, is_causal=True)
        x, stem = self._stem(state, mel, counts)
        x = x * self.model.encoder.scale
        places = self._places(state, active, counts[-1])
        convs = []
        for number, module in enumerate(self.model.encoder.layers):
            layer = cast(Layer, module)
            x = layer.before(x)
            x = x + self._attend(layer, number, state.ring[number], x, places)
            gated = layer.conv.gate(layer.conv_norm(x))
            padded = torch.cat([state.conv[number], gated], dim=1)
            convs.append(padded[:, gated.shape[1] :])
            x = layer.after(x + layer.conv.finish(padded))
        keep = ~active
        for number, conv in enumerate(convs):
            kept = state.conv[number]
            torch.where(keep[:, None, None], kept, conv, out=kept)
        for old, new in zip((state.mel, state.stem1, state.stem2), stem, strict=True):
            torch.where(keep[:, None, None, None], old, new, out=old)
        state.chunks.add_(active)
        return x

    def valid_frames(self, state: StreamState, active: Tensor, ends: Tensor) -> Tensor:
        """int64[B]: how many of the chunk just encoded come before the end; 0 where not active."""
        total = stem_counts(ends // HOP, is_causal=True)[-1]
        before = (state.chunks - 1) * self.shape.frames
        return (total - before).clamp(0, self.shape.frames) * active

    def _stem(
        self, state: StreamState, mel: Tensor, counts: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Frames [B, T, C], and the last frame of what each stage saw."""
        stem = self.model.encoder.stem
        x, last = mel[:, None].to(self.dtype), []
        for stage, cache in enumerate((state.mel, state.stem1, state.stem2)):
            x = self._within(x, state.chunks, counts[stage], stage)
            last.append(x[:, :, -1:])
            x = F.relu(stem.stage(stage, torch.cat([cache, x], dim=2)))
        return stem.project(self._within(x, state.chunks, counts[3], 3)), last

    def _within(self, x: Tensor, chunks: Tensor, count: Tensor, stage: int) -> Tensor:
        """Zero what lies before the beginning or beyond the end."""
        begin = chunks * (self.shape.mel_frames >> stage) - _LEVEL_LEADS[stage]
        place = begin[:, None] + torch.arange(x.shape[2], device=x.device)
        inside = (place >= 0) & (place < count[:, None])
        return torch.where(inside[:, None, :, None], x, 0)

    def _places(
        self, state: StreamState, active: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Position index [B, T, S] and mask [B, 1, T, S] of the ring; and where to write in it,
        rows [B, 1] and places [B, T]."""
        frames = self.shape.frames
        own = torch.arange(frames, device=self.device)
        block = torch.arange(self.blocks, device=self.device)
        head = state.chunks % self.blocks
        age = (head[:, None] - block) % self.blocks  # in chunks, 0 is the present one
        back = (age * frames)[:, :, None] - own  # [B, blocks, T]: frames before the chunk's first
        distance = own[:, None] + back.flatten(1)[:, None]  # [B, T, S]
        key = (state.chunks * frames)[:, None] - back.flatten(1)
        seen = ((key >= 0) & (key < count[:, None]))[:, None] | (distance == 0)
        place = torch.where(active, head, self.blocks)[:, None] * frames + own
        rows = torch.arange(len(place), device=self.device)[:, None]
        return distance + frames - 1, barred(seen, self.dtype), (rows, place)

    def _attend(
        self,
        layer: Layer,
        number: int,
        ring: Tensor,
        x: Tensor,
        places: tuple[Tensor, Tensor, tuple[Tensor, Tensor]],
    ) -> Tensor:
        index, mask, place = places
        q, kv = layer.attention.project(layer.attention_norm(x))
        ring.index_put_(place, kv)
        held = ring[:, : self.blocks * self.shape.frames]
        return layer.attention.attend(q, held, self.position_keys[number], index, mask)
