"""The telephone model on a device: batches of utterances, greedy, without asking it per token."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from voicebot.asr.decoder import Decoded, loop_start
from voicebot.asr.moonshine import BEGIN, END, Encoded, Moonshine

ASKED_EVERY = 8
"""Tokens between two looks at whether all utterances have ended."""


@torch.inference_mode()
def decode(model: Moonshine, encoded: Encoded, limits: Sequence[int]) -> list[Decoded]:
    """The best next token at each step, utterance i up to limits[i] of them.

    The device is asked every ASKED_EVERY tokens whether all are through, and told nothing between.
    """
    frames, most = encoded.frames, max(limits)
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
        if number % ASKED_EVERY == 0 and bool(is_over.all()):
            break
    tokens, log_probs = torch.cat(said, dim=1).tolist(), torch.cat(sure, dim=1).tolist()
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
