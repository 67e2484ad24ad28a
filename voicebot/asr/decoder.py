"""Token search over a batch: greedy (one beam) or a small beam, ended utterances dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from voicebot.asr.moonshine import BEGIN, END, Decoder, Encoded

TOKENS_PER_S = 8.0
"""Ceiling of the length: twice what 200 telephone sentences needed at most (3.8)."""
TOKENS_FLOOR = 8
MAX_REPEATS = 3
"""A phrase said more often than that in a row is the decoder looping, not the caller."""
LONGEST_LOOP = 8
MARGIN = 6.0
"""Beams e^6 times less probable than a finished one are given up."""
LENGTH_POWER = 0.8
"""Scores are divided by length to this power (Wu et al. 2016, arXiv:1609.08144, with beta 0)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens without begin and end, and the log-probability of each.

    `end_log_prob` is that of ending there; None when the search cut the sentence off (length
    limit or loop).
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    end_log_prob: float | None = None

    @property
    def total(self) -> float:
        """Log-probability of the whole."""
        return sum(self.log_probs) + (self.end_log_prob or 0.0)

    @property
    def score(self) -> float:
        """Log-probability made comparable over lengths."""
        return self.total / float((len(self.tokens) + 1) ** LENGTH_POWER)


def token_limit(seconds: float) -> int:
    """Most tokens that so much audio may give."""
    return TOKENS_FLOOR + int(seconds * TOKENS_PER_S)


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where the phrase that ends `tokens` began to repeat, if more than MAX_REPEATS times."""
    size = len(tokens)
    for period in range(1, LONGEST_LOOP + 1):
        span = period * (MAX_REPEATS + 1)
        if span > size:
            return None
        if all(tokens[i] == tokens[i - period] for i in range(size - span + period, size)):
            return size - span + period
    return None


def search(
    decoder: Decoder, encoded: Encoded, limits: Sequence[int], beams: int = 1
) -> list[list[Decoded]]:
    """The best sentences of every utterance, best first, at most `beams` and at least one.

    Utterance i gets at most limits[i] tokens. One beam is greedy decoding.
    """
    running = _Search(decoder, encoded, limits, beams)
    while running.live:
        running.step()
    return [utterance.ranked(beams) for utterance in running.utterances]


@dataclass(slots=True)
class _Beam:
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    total: float = 0.0

    def extended(self, token: int, log_prob: float) -> _Beam:
        return _Beam([*self.tokens, token], [*self.log_probs, log_prob], self.total + log_prob)

    def decoded(self, end: float | None) -> Decoded:
        return Decoded(tuple(self.tokens), tuple(self.log_probs), end)


@dataclass(slots=True)
class _Utterance:
    """One utterance's beams; `sources` says from which row of the last step each one came."""

    limit: int
    beams: list[_Beam] = field(default_factory=lambda: [_Beam()])
    sources: list[int] = field(default_factory=list)
    finished: list[Decoded] = field(default_factory=list)
    cut: list[Decoded] = field(default_factory=list)

    def advance(self, log_probs: list[list[float]], tokens: list[list[int]], width: int) -> bool:
        """Take each beam's best next tokens; whether the utterance goes on."""
        candidates = sorted(
            (
                (beam.total + log_prob, source, token, log_prob)
                for source, beam in enumerate(self.beams)
                for log_prob, token in zip(log_probs[source], tokens[source], strict=True)
            ),
            reverse=True,
        )
        old, self.beams, self.sources = self.beams, [], []
        for rank, (_, source, token, log_prob) in enumerate(candidates):
            if len(self.beams) == width:
                break
            if token != END:
                self._extend(old[source].extended(token, log_prob), source)
            elif rank < width:
                self.finished.append(old[source].decoded(log_prob))
        self._prune(width)
        return bool(self.beams)

    def _extend(self, beam: _Beam, source: int) -> None:
        loop = loop_start(beam.tokens)
        if loop is not None:
            del beam.tokens[loop:], beam.log_probs[loop:]
        if loop is not None or len(beam.tokens) >= self.limit:
            self.cut.append(beam.decoded(None))
        else:
            self.beams.append(beam)
            self.sources.append(source)

    def _prune(self, width: int) -> None:
        """Stop when what may still come can add nothing."""
        if len(self.finished) >= width or (width == 1 and self.cut):
            self.beams = []
        elif self.finished and self.beams:
            floor = max(done.total for done in self.finished) - MARGIN
            if self.beams[0].total < floor:  # totals only fall
                self.beams = []

    def ranked(self, count: int) -> list[Decoded]:
        """The best `count`; cut ones only when nothing ended by itself."""
        pool = self.finished or self.cut or [beam.decoded(None) for beam in self.beams]
        return sorted(pool, key=lambda decoded: decoded.score, reverse=True)[:count]


class _Search:
    def __init__(
        self, decoder: Decoder, encoded: Encoded, limits: Sequence[int], beams: int
    ) -> None:
        self.decoder, self.width = decoder, beams
        self.device = encoded.frames.device
        self.utterances = [_Utterance(limit) for limit in limits]
        self.live = list(range(len(limits)))
        self.state = decoder.start(encoded, max(limits, default=0) + 1, beams)
        self.last = torch.full((len(limits) * beams, 1), BEGIN, device=self.device)

    def step(self) -> None:
        logits = self.decoder(self.last, self.state)[:, -1]
        best = logits.log_softmax(dim=-1).topk(self.width + 1)
        log_probs, tokens = best.values.tolist(), best.indices.tolist()
        going = []
        for place, index in enumerate(self.live):
            rows = slice(place * self.width, (place + 1) * self.width)
            if self.utterances[index].advance(log_probs[rows], tokens[rows], self.width):
                going.append(place)
        self._regroup(going)

    def _regroup(self, going: list[int]) -> None:
        """Line up rows and caches with the beams that go on, `width` rows per utterance."""
        rows, last = [], []
        before = len(self.live)
        for place in going:
            utterance = self.utterances[self.live[place]]
            for slot in range(self.width):  # an utterance with fewer beams repeats its last one
                chosen = min(slot, len(utterance.beams) - 1)
                rows.append(place * self.width + utterance.sources[chosen])
                last.append(utterance.beams[chosen].tokens[-1])
        self.live = [self.live[place] for place in going]
        if not going:
            return
        self.last = torch.tensor(last, device=self.device)[:, None]
        if rows != list(range(before * self.width)):
            self.state.reorder(torch.tensor(rows, device=self.device))
        if len(going) < before:
            self.state.keep(torch.tensor(going, device=self.device))
