"""The best next token at each step: the cheap search, for partials, and for finals that are sure.

A partial mostly begins as the one before it did. Its tokens are a draft then: one pass of the
decoder over all of them tells how far they still are what greedy decoding takes (Leviathan et al.
2022, arXiv:2211.17192, with the utterance's own past as the draft), and decoding goes on from
there. The text is the same as without a draft, for a fifth of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from voicebot.asr.decoder import Decoded, loop_start
from voicebot.asr.likeliest import likeliest
from voicebot.asr.moonshine import BEGIN, END, Decoder, DecoderState, Encoded

SURE = math.log(0.5)
"""Where every token is more probable than all others together, a search with beams finds the same
sentence (LOG.md)."""
LIKELY = math.log(0.35)
"""Where none is less probable than that, it finds as many errors, and hardly another text."""


def is_sure(decoded: Decoded, least: float = SURE) -> bool:
    """Whether a greedy sentence needs no other search: no token is less probable than `least`."""
    end = decoded.end_log_prob
    return end is not None and min((end, *decoded.log_probs)) >= least


@dataclass(slots=True)
class _Row:
    limit: int
    draft: tuple[int, ...]
    least: float = -math.inf
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    done: Decoded | None = None

    def take(self, token: int, log_prob: float) -> None:
        """One more token; it may be the last."""
        if token == END:
            self._finish(log_prob)
            return
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        if log_prob < self.least:
            self._finish(None)
            return
        loop = loop_start(self.tokens)
        if loop is not None:
            del self.tokens[loop:], self.log_probs[loop:]
        if loop is not None or len(self.tokens) >= self.limit:
            self._finish(None)

    def _finish(self, end: float | None) -> None:
        self.done = Decoded(tuple(self.tokens), tuple(self.log_probs), end)


def greedy(
    decoder: Decoder,
    encoded: Encoded,
    limits: Sequence[int],
    drafts: Sequence[Sequence[int]] | None = None,
    *,
    least: float = -math.inf,
) -> list[Decoded]:
    """The sentence of every utterance; utterance i gets at most limits[i] (> 0) tokens.

    `drafts`: how each may begin; what is wrong in them costs time, nothing else. A sentence is
    left unfinished at a token whose log-probability is below `least`.
    """
    if not limits:
        return []
    drafts = drafts or [()] * len(limits)
    rows = [
        _Row(limit, tuple(draft[: limit - 1]), least)
        for limit, draft in zip(limits, drafts, strict=True)
    ]
    longest = max(len(row.draft) for row in rows)
    state = decoder.start(encoded, max(limits) + longest + 1)
    live = rows
    last = _verified(decoder, state, live, longest)
    while True:
        going = [place for place, row in enumerate(live) if row.done is None]
        if not going:
            return [row.done for row in rows if row.done is not None]
        if len(going) < len(live):
            kept = torch.tensor(going, device=last.device)
            state.reorder(kept)
            state.keep(kept)
            live, last = [live[place] for place in going], last[kept]
        values, best = likeliest(decoder(last, state)[:, -1].log_softmax(dim=-1))
        for row, token, log_prob in zip(live, best.tolist(), values.tolist(), strict=True):
            row.take(token, log_prob)
        last = best[:, None]


def _verified(decoder: Decoder, state: DecoderState, rows: Sequence[_Row], longest: int) -> Tensor:
    """All drafts in one pass: rows take what holds and the token after it, which is returned."""
    asked = torch.tensor(
        [[BEGIN, *row.draft, *[END] * (longest - len(row.draft))] for row in rows],
        device=state.cache.device,
    )
    values, best = likeliest(decoder(asked, state).flatten(0, 1).log_softmax(dim=-1))
    best = best.view(asked.shape)
    tokens, log_probs = best.tolist(), values.view(asked.shape).tolist()
    holding = []
    for row, found, sure in zip(rows, tokens, log_probs, strict=True):
        held = 0
        while held < len(row.draft) and found[held] == row.draft[held]:
            held += 1
        holding.append(held)
        for token, log_prob in zip(found[: held + 1], sure[: held + 1], strict=True):
            if row.done is None:
                row.take(token, log_prob)
    ends = torch.tensor(holding, device=asked.device)
    if longest:
        state.forget(longest - ends)
    return best.gather(1, ends[:, None])
