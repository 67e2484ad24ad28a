"""Where batches of the telephone model lie on a device and on its host, and in which shapes.

Shapes: R rows (utterances), F frames, K tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicebot.asr.decoder import token_limit
from voicebot.asr.device_streams import Streams
from voicebot.asr.moonshine import SAMPLE_RATE_HZ
from voicebot.asr.moonshine_packed import PackedMoonshine, Places, input_samples
from voicebot.asr.telephone_sound import INPUT_HZ
from voicebot.asr.utterance import WINDOW_SAMPLES

FRAMES = (64, 80, 112, 144, 192, 256, 352, 480, 640, 832)
"""Of the shapes: 1.6 s to 20 s, each at most 1.4 of the one before. Multiples of 16, which masks of
attention kernels want in memory."""
WHOLE_FRAMES = 144
"""Shapes up to so many frames (3.5 s) take the largest batch, longer ones fewer rows: they cost as
much and take as much memory."""
SHARES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 1 / 32)
"""Of a shape's most rows, for batches that are not full."""
TOKENS_ALIGNED = 16
LONGEST = WINDOW_SAMPLES * INPUT_HZ // SAMPLE_RATE_HZ
"""Samples at 8 kHz of the longest utterance that a lane takes."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """Of a batch, as it is computed."""

    frames: int
    rows: int

    @property
    def samples(self) -> int:
        """Of an utterance, at 8 kHz."""
        return input_samples(self.frames) * INPUT_HZ // SAMPLE_RATE_HZ

    @property
    def tokens(self) -> int:
        """Most of an utterance."""
        most = token_limit(2 * self.samples / SAMPLE_RATE_HZ)
        return -(-most // TOKENS_ALIGNED) * TOKENS_ALIGNED

    @classmethod
    def all(cls, most: int) -> list[Shape]:
        """Of batches of at most so many utterances, the largest first."""
        found: set[Shape] = set()
        for frames in FRAMES:
            rows = min(most, max(1, most * WHOLE_FRAMES // frames))
            found.update(cls(frames, max(1, math.ceil(rows * share))) for share in SHARES)
        return sorted(found, reverse=True, key=lambda shape: (shape.rows * shape.frames, shape))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a batch said, row by row, before it is words; n rows, K tokens at most.

    `frames`: what the encoder made of the first rows, as many as were wanted. `stage_s`: seconds of
    the device by stage.
    """

    tokens: NDArray[np.int64]  # [n, K]
    log_probs: NDArray[np.float32]  # [n, K]
    limits: NDArray[np.int64]  # [n], most tokens of each
    is_audible: NDArray[np.bool_]  # [n]
    sound: NDArray[np.float32]  # [n, 3]: seconds of speech, level in dBFS, dB above its floor
    frames: list[NDArray[np.float32]]
    stage_s: dict[str, float]


@dataclass(slots=True)
class Batch:
    """A shape's part of a lane's places."""

    shape: Shape
    audio: Tensor  # int16[R, n]
    counts: Tensor  # int64[R], samples at 8 kHz
    limits: Tensor  # int64[R], most tokens, if there is anything to hear
    is_audible: Tensor  # bool[R]
    sound: Tensor  # float32[R, 3]
    frames: Tensor  # [R, F, C]
    valid: Tensor  # int64[R], frames of each
    places: Places
    graphs: list[Any] = field(default_factory=list)


IN = ("audio", "counts", "limits")
OUT = ("is_audible", "sound", "valid", "frames")
FRAMES_OUT = ("valid", "frames")
SAID = ("said", "sure", "all_over")
"""Copied in, and out."""


def tensors_of(model: PackedMoonshine, shape: Shape) -> dict[str, Tensor]:
    """All that a batch of that shape needs, by name, without memory."""
    rows, frames = shape.rows, shape.frames
    places = model.places(rows, frames, shape.tokens, torch.device("meta"))

    def of(*size: int, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.empty(size, dtype=dtype, device="meta")

    found = {name: getattr(places, name) for name in Places.__slots__}
    return {
        "audio": of(rows, shape.samples, dtype=torch.int16),
        "counts": of(rows),
        "limits": of(rows),
        "is_audible": of(rows, dtype=torch.bool),
        "sound": of(rows, 3, dtype=torch.float32),
        "frames": of(rows, frames, model.dims.width, dtype=model.dtype),
        "valid": of(rows),
        "most": found.pop("limits"),
        **found,
    }


class _Arena:
    """Memory for the largest of all shapes, of which each shape's tensors are views."""

    def __init__(self, largest: dict[str, Tensor], make: Callable[[Tensor], Tensor]) -> None:
        """`largest`: tensors without memory, as large as any of that name."""
        self._flat = {name: make(tensor).flatten() for name, tensor in largest.items()}

    def view(self, name: str, shape: Sequence[int]) -> Tensor:
        """The named one, as small as a shape wants it."""
        return self._flat[name][: math.prod(shape)].view(tuple(shape))


class Lane:
    """One batch under way."""

    def __init__(
        self, model: PackedMoonshine, shapes: Sequence[Shape], clock: Callable[[], float]
    ) -> None:
        self.streams = Streams(model.device, clock)
        wanted = {shape: tensors_of(model, shape) for shape in shapes}
        largest = {
            name: max((of[name] for of in wanted.values()), key=Tensor.numel)
            for name in next(iter(wanted.values()))
        }
        there = _Arena(largest, lambda like: torch.zeros_like(like, device=model.device))
        copied = {name: largest[name] for name in (*IN, *OUT, *SAID)}
        here = _Arena(
            copied, lambda like: self.streams.pinned(torch.zeros_like(like, device="cpu"))
        )
        self.batches: dict[Shape, Batch] = {}
        self.host: dict[Shape, dict[str, Tensor]] = {}
        for shape, tensors in wanted.items():
            own = {name: there.view(name, tensor.shape) for name, tensor in tensors.items()}
            self.host[shape] = {name: here.view(name, tensors[name].shape) for name in copied}
            parts: dict[str, Any] = {name: own.pop(name) for name in (*IN, *OUT)}
            own["limits"] = own.pop("most")
            self.batches[shape] = Batch(shape, places=Places(**own), **parts)
        self.pool: Any = None
