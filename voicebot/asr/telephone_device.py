"""The telephone model on a device, as the engine calls it: large batches, decoded greedily.

What is prepared and judged on the host is the same as on a CPU (`recogniser`); the network and its
search lie on the device. What the dialogue expects does not steer the search here, and words have
no times: beams and automata ask the host for every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voicebot.asr import checkpoint
from voicebot.asr.automaton import Automaton
from voicebot.asr.batches import Frames
from voicebot.asr.decoder import Decoded
from voicebot.asr.device_streams import is_full
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, Encoded, Moonshine
from voicebot.asr.moonshine_device import decode
from voicebot.asr.recogniser import JudgeEnd, Recogniser, token_limits
from voicebot.asr.stream import Draft
from voicebot.asr.utterance import Samples
from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import Expectation, Hypothesis

WARM_UP_SHAPES = {"cuda": ((8, 256), (4, 512), (2, 512)), "cpu": ((2, 2),)}
"""Seconds and utterances."""


@dataclass(frozen=True, slots=True)
class _OnDevice(Encoded):
    """`frames` is on the host where somebody wants to look at them, else empty."""

    device_frames: Tensor


class DeviceRecogniser(Recogniser):
    """A Recogniser whose network lies on a device. Call it from one thread at a time."""

    def __init__(
        self, cache_dir: Path | str, device: torch.device, *, model: Path | None = None
    ) -> None:
        """`model`: a checkpoint in place of the shipped one."""
        stored, self.cache_problem = checkpoint.load(cache_dir, model)
        self._place(checkpoint.build(stored.weights()), Vocabulary(stored.tokens), device)

    @classmethod
    def on(
        cls, network: Moonshine, vocabulary: Vocabulary, device: torch.device
    ) -> DeviceRecogniser:
        """Of a network in memory."""
        recogniser = cls.__new__(cls)
        recogniser.cache_problem = None
        recogniser._place(network, vocabulary, device)
        return recogniser

    def _place(self, network: Moonshine, vocabulary: Vocabulary, device: torch.device) -> None:
        if device.type == "cuda":  # float32 in storage, as its rotary positions need it
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
        self.device = device
        self.shortages = 0
        self._wants_frames = False
        self._setup(network.to(device).eval().requires_grad_(False), vocabulary)

    def is_alive(self) -> bool:
        """Whether the device still computes."""
        try:
            return int(torch.ones(1, device=self.device).add_(1)) == 2
        except Exception:
            return False

    def transcribe(
        self,
        batch: Sequence[Samples],
        *,
        nbest: int = 1,
        max_tokens: int | None = None,
        judge: JudgeEnd | None = None,
        expectations: Sequence[Expectation | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[Hypothesis]:
        """See Recogniser; one reading of each. Where memory is short, halves of the batch."""
        self._wants_frames = judge is not None
        try:
            return super().transcribe(batch, max_tokens=max_tokens, judge=judge)
        except (RuntimeError, MemoryError) as error:
            if not is_full(error) or len(batch) == 1:
                raise
        self.shortages += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(batch) // 2
        return [
            *self.transcribe(batch[:half], max_tokens=max_tokens, judge=judge),
            *self.transcribe(batch[half:], max_tokens=max_tokens, judge=judge),
        ]

    def _encode(self, pieces: list[Samples]) -> Encoded:
        """All pieces in one batch."""
        lengths = [len(piece) for piece in pieces]
        padded = torch.zeros(len(pieces), max(lengths))
        for row, piece in zip(padded, pieces, strict=True):
            row[: len(piece)] = torch.from_numpy(piece)
        if self.device.type == "cuda":
            padded = padded.pin_memory().to(self.device, non_blocking=True)
        encoded = self.model.encoder(padded, lengths)
        frames = encoded.frames
        seen = frames.cpu() if self._wants_frames else frames[:, :, :0]
        return _OnDevice(seen, encoded.lengths, frames)

    def _find(
        self,
        encoded: Encoded,
        pieces: list[Samples],
        nbest: int,
        max_tokens: int | None,
        automata: Sequence[Automaton | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[list[Decoded]]:
        limits = token_limits(pieces, max_tokens)
        assert isinstance(encoded, _OnDevice)
        there = Encoded(encoded.device_frames, encoded.lengths)
        return [[one] for one in decode(self.model, there, limits)]

    def encode(self, batch: Sequence[Samples]) -> list[Frames]:
        """See Recogniser."""
        self._wants_frames = True
        return super().encode(batch)

    def warm_up(self) -> None:
        """The largest batches, so that no caller waits for memory."""
        noise = np.random.default_rng(0).normal(0, 0.05, 8 * SAMPLE_RATE_HZ).astype(np.float32)
        for seconds, size in WARM_UP_SHAPES[self.device.type]:
            self.transcribe([noise[: seconds * SAMPLE_RATE_HZ]] * size, max_tokens=8)
