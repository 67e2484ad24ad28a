"""Token search: greedy over a batch, finished rows dropped as they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voicebot.asr.moonshine import BEGIN, END, Decoder, Encoded

TOKENS_PER_S = 8.0
"""Ceiling of the length; the fastest of the telephone sentences need 6.4 (the model's own
authors stop at 6.5)."""
TOKENS_FLOOR = 8
MAX_REPEATS = 3
"""A phrase said more often than that in a row is the decoder looping, not the caller."""
LONGEST_LOOP = 8


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens without begin and end; log-probability of each and of ending after them."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    end_log_prob: float = 0.0

    @property
    def score(self) -> float:
        """Mean log-probability per token, the end included."""
        return (sum(self.log_probs) + self.end_log_prob) / (len(self.log_probs) + 1)


def token_limit(seconds: float) -> int:
    """Most tokens that so much audio may give."""
    return TOKENS_FLOOR + int(seconds * TOKENS_PER_S)


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where the last phrase of `tokens` began to repeat more than MAX_REPEATS times, or None."""
    size = len(tokens)
    for period in range(1, LONGEST_LOOP + 1):
        span = period * (MAX_REPEATS + 1)
        if span > size:
            return None
        if all(tokens[i] == tokens[i - period] for i in range(size - span + period, size)):
            return size - span + period
    return None


def greedy(decoder: Decoder, encoded: Encoded, limits: Sequence[int]) -> list[Decoded]:
    """The most probable token at each step, for every utterance, at most limits[i] tokens."""
    search = _Greedy(decoder, encoded, limits)
    while search.rows:
        search.step()
    return [
        Decoded(tuple(tokens), tuple(log_probs), end)
        for tokens, log_probs, end in zip(search.tokens, search.log_probs, search.ends, strict=True)
    ]


class _Greedy:
    def __init__(self, decoder: Decoder, encoded: Encoded, limits: Sequence[int]) -> None:
        count = len(limits)
        self.decoder, self.limits = decoder, limits
        self.state = decoder.start(encoded, max(limits, default=0) + 1)
        self.rows = list(range(count))  # utterance of each row still decoding
        self.last = torch.full((count, 1), BEGIN, device=encoded.frames.device)
        self.tokens: list[list[int]] = [[] for _ in range(count)]
        self.log_probs: list[list[float]] = [[] for _ in range(count)]
        self.ends = [0.0] * count

    def step(self) -> None:
        logits = self.decoder(self.last, self.state)[:, -1]
        best, chosen = logits.max(dim=-1)
        log_probs = (best - logits.logsumexp(dim=-1)).tolist()
        going = [
            index
            for index, (row, token, log_prob) in enumerate(
                zip(self.rows, chosen.tolist(), log_probs, strict=True)
            )
            if self._take(row, token, log_prob)
        ]
        self.last = chosen[:, None]
        if len(going) < len(self.rows):
            self._drop(going, chosen)

    def _take(self, row: int, token: int, log_prob: float) -> bool:
        """Note the row's next token; whether the row goes on."""
        tokens = self.tokens[row]
        if token == END:
            self.ends[row] = log_prob
            return False
        tokens.append(token)
        self.log_probs[row].append(log_prob)
        if (loop := loop_start(tokens)) is not None:
            del tokens[loop:], self.log_probs[row][loop:]
            return False
        return len(tokens) < self.limits[row]

    def _drop(self, going: list[int], chosen: Tensor) -> None:
        self.rows = [self.rows[index] for index in going]
        if going:
            kept = torch.tensor(going, device=chosen.device)
            self.last = self.last[kept]
            self.state.keep(kept)
