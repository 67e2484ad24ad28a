"""The telephone model on a device: batches of utterances, greedy, without asking it per token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from voicebot.asr.decoder import Decoded, loop_start, token_limit
from voicebot.asr.mel import HALF_TAPS, INT16, Upsampler
from voicebot.asr.moonshine import BEGIN, END, MIN_SAMPLES, SAMPLE_RATE_HZ, Encoded, Moonshine

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
        return [list(one.tokens) for one in decode(self.model, encoded, limits, exactly=tokens)]

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


@torch.inference_mode()
def decode(
    model: Moonshine, encoded: Encoded, limits: Sequence[int], *, exactly: int | None = None
) -> list[Decoded]:
    """The best next token at each step, utterance i up to limits[i] of them.

    The device is asked every ASKED_EVERY tokens whether all are through, and told nothing between.
    `exactly`: so many tokens of each, whatever it says.
    """
    frames, most = encoded.frames, exactly or max(limits)
    state = model.decoder.start(encoded, most + 1)
    last = torch.full((len(limits), 1), BEGIN, device=frames.device)
    is_over = torch.zeros(len(limits), 1, dtype=torch.bool, device=frames.device)
    said, sure = [], []
    for number in range(1, most + 1):
        best = model.decoder(last, state)[:, -1].log_softmax(-1).max(-1, keepdim=True)
        last = best.indices
        is_over = is_over | (last == END)
        said.append(last)
        sure.append(best.values)
        if exactly is None and number % ASKED_EVERY == 0 and bool(is_over.all()):
            break
    tokens, log_probs = torch.cat(said, dim=1).tolist(), torch.cat(sure, dim=1).tolist()
    if exactly is not None:
        return [Decoded(tuple(ids), tuple(p)) for ids, p in zip(tokens, log_probs, strict=True)]
    return [_sentence(*one) for one in zip(tokens, log_probs, limits, strict=True)]


def _sentence(tokens: list[int], log_probs: list[float], limit: int) -> Decoded:
    """Up to its end, its limit, or where it begins to go round in circles."""
    kept: list[int] = []
    for token, log_prob in zip(tokens[:limit], log_probs, strict=False):
        if token == END:
            return Decoded(tuple(kept), tuple(log_probs[: len(kept)]), log_prob)
        kept.append(token)
        loop = loop_start(kept)
        if loop is not None:
            del kept[loop:]
            break
    return Decoded(tuple(kept), tuple(log_probs[: len(kept)]))
