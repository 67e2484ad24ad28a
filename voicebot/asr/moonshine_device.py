"""The telephone model on a device: batches of utterances, greedy, without asking it per token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from voicebot.asr.decoder import token_limit
from voicebot.asr.mel import HALF_TAPS, INT16, Upsampler
from voicebot.asr.moonshine import BEGIN, END, MIN_SAMPLES, SAMPLE_RATE_HZ, Moonshine

ASKED_EVERY = 8
"""Tokens between two looks at whether all utterances have ended."""


class MoonshineBatches:
    """Runs utterances at 8 kHz through a Moonshine, on the device where it lies."""

    def __init__(self, model: Moonshine) -> None:
        self.model = model
        self.device: torch.device = next(model.parameters()).device
        self.upsampler = Upsampler().to(self.device)
        self._pinned: torch.Tensor | None = None

    @torch.inference_mode()
    def transcribe(
        self, batch: Sequence[NDArray[np.int16]], *, tokens: int | None = None
    ) -> list[list[int]]:
        """Token ids of each utterance int16[n] at 8 kHz, without begin and end.

        `tokens`: give exactly so many of each, whatever it says: for measuring costs.
        """
        shortest = MIN_SAMPLES // 2 + 1
        lengths = [2 * max(len(samples), shortest) for samples in batch]
        audio = self._staged(batch, max(lengths) // 2)
        reach = (HALF_TAPS - 1, HALF_TAPS)
        wide = self.upsampler(F.pad(audio.float() * INT16, reach))
        ends = torch.tensor(lengths, device=self.device)[:, None]
        wide = wide * (torch.arange(wide.shape[1], device=self.device) < ends)
        encoded = self.model.encoder(wide, lengths)
        limits = [token_limit(length / SAMPLE_RATE_HZ) for length in lengths]
        most = tokens or max(limits)
        state = self.model.decoder.start(encoded, most + 1)
        last = torch.full((len(batch), 1), BEGIN, device=self.device)
        said, is_over = [], torch.zeros(len(batch), 1, dtype=torch.bool, device=self.device)
        for number in range(1, most + 1):
            last = self.model.decoder(last, state)[:, -1].argmax(-1, keepdim=True)
            is_over = is_over | (last == END)
            said.append(last)
            if tokens is None and number % ASKED_EVERY == 0 and bool(is_over.all()):
                break
        rows = torch.cat(said, dim=1).tolist()
        if tokens is not None:
            return rows
        return [_until_end(row[:limit]) for row, limit in zip(rows, limits, strict=True)]

    def _staged(self, batch: Sequence[NDArray[np.int16]], width: int) -> torch.Tensor:
        """int16[B, width] on the device, by one copy from pinned memory."""
        size = len(batch) * width
        if self._pinned is None or self._pinned.numel() < size:
            self._pinned = torch.zeros(size, dtype=torch.int16)
            if self.device.type == "cuda":
                self._pinned = self._pinned.pin_memory()
        staged = self._pinned[:size].view(len(batch), width)
        staged.zero_()
        for row, samples in zip(staged.numpy(), batch, strict=True):
            row[: len(samples)] = samples
        if self.device.type == "cuda":
            # Not asynchronous: the next batch is written to the same place.
            return staged.to(self.device)
        return staged


def _until_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(END)] if END in tokens else tokens
