"""Token search over a batch: greedy (one beam) or a small beam, ended utterances dropped.

Where the dialogue waits for something, an automaton adds its bonus to the beams' scores, and a
few free beams run beside them in the same batch: they say what would be heard without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from voicebot.asr.automaton import Automaton
from voicebot.asr.likeliest import top
from voicebot.asr.moonshine import BEGIN, END, Decoder, Encoded

TOKENS_PER_S = 8.0
"""Ceiling of the length: twice what 200 telephone sentences needed at most (3.8)."""
TOKENS_FLOOR = 8
MAX_REPEATS = 3
"""A phrase said more often than that in a row is the decoder looping, not the caller."""
LONGEST_LOOP = 8
NARROW = 3.0
"""A beam e^3 times less probable than the best, going on or finished, is given up."""
LENGTH_POWER = 0.8
"""Scores are divided by length to this power (Wu et al. 2016, arXiv:1609.08144, with beta 0)."""

FREE_BEAMS = 2
"""Beams without the dialogue's knowledge, beside the others."""
FREE_RANK = 3
"""The best free sentence comes no later than that in the list."""
CANDIDATES = 24
"""Tokens of a row looked at apart from those of phrases."""
BIAS_MARGIN = 12.0
"""As NARROW, with an automaton: what a beam may still gain by its phrases comes on top."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens without begin and end, and the log-probability of each.

    `end_log_prob` is that of ending there; None when the search cut the sentence off (length
    limit or loop). `bias`: what the dialogue's automaton gives for it, in nats. `free_margin`:
    how much more probable than the best free sentence it is without that (mostly below 0); None
    where there was no automaton.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    end_log_prob: float | None = None
    bias: float = 0.0
    free_margin: float | None = None

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
    period = _period(tokens)
    return None if period is None else len(tokens) - period * MAX_REPEATS


def _period(tokens: Sequence[int]) -> int | None:
    """Tokens of the phrase that `tokens` end with more than MAX_REPEATS times."""
    size = len(tokens)
    for period in range(1, LONGEST_LOOP + 1):
        span = period * (MAX_REPEATS + 1)
        if span > size:
            return None
        if all(tokens[i] == tokens[i - period] for i in range(size - span + period, size)):
            return period
    return None


def _is_expected_loop(automaton: Automaton, tokens: Sequence[int]) -> bool:
    """Whether a grammar counts what is repeated: "0000" is no loop of the decoder's then."""
    period = _period(tokens)
    if period is None:
        return True
    begin = len(tokens) - period
    while begin >= period and tokens[begin - period : begin] == tokens[begin : begin + period]:
        begin -= period
    return automaton.may_repeat(tokens, begin, (len(tokens) - begin) // period)


def search(
    decoder: Decoder,
    encoded: Encoded,
    limits: Sequence[int],
    beams: int = 1,
    automata: Sequence[Automaton | None] | None = None,
) -> list[list[Decoded]]:
    """The best sentences of every utterance, best first, at most `beams` and at least one.

    Utterance i gets at most limits[i] tokens. One beam is greedy decoding. With an automaton the
    best free sentence is among the first FREE_RANK.
    """
    running = _Search(decoder, encoded, limits, beams, automata or [None] * len(limits))
    while running.live:
        running.step()
    return [utterance.ranked() for utterance in running.utterances]


@dataclass(slots=True)
class _Beam:
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    total: float = 0.0  # of the log-probabilities and the bias
    state: int = 0
    bias: float = 0.0

    def extended(self, token: int, log_prob: float, state: int = 0, gain: float = 0.0) -> _Beam:
        return _Beam(
            [*self.tokens, token],
            [*self.log_probs, log_prob],
            self.total + log_prob + gain,
            state,
            self.bias + gain,
        )

    def decoded(self, end: float | None, gain: float = 0.0) -> Decoded:
        return Decoded(tuple(self.tokens), tuple(self.log_probs), end, self.bias + gain)


@dataclass(slots=True)
class _Group:
    """Beams of one kind; `sources` says from which of its rows of the last step each one came."""

    limit: int
    width: int
    automaton: Automaton | None = None
    beams: list[_Beam] = field(default_factory=lambda: [_Beam()])
    sources: list[int] = field(default_factory=list)
    finished: list[Decoded] = field(default_factory=list)
    cut: list[Decoded] = field(default_factory=list)

    def advance(
        self, scores: list[list[float]], tokens: list[list[int]], log_probs: list[list[float]]
    ) -> None:
        """Take each beam's best next tokens, by scores (log-probability and change of bias)."""
        candidates = sorted(
            (
                (beam.total + score, source, token, log_prob)
                for source, beam in enumerate(self.beams)
                for score, token, log_prob in zip(
                    scores[source], tokens[source], log_probs[source], strict=True
                )
            ),
            reverse=True,
        )
        old, self.beams, self.sources = self.beams, [], []
        for rank, (_, source, token, log_prob) in enumerate(candidates):
            if len(self.beams) == self.width:
                break
            state, gain = self._biased(old[source].state, token)
            if token != END:
                self._extend(old[source].extended(token, log_prob, state, gain), source)
            elif rank < self.width:
                self.finished.append(old[source].decoded(log_prob, gain))
        self._prune()

    def _biased(self, state: int, token: int) -> tuple[int, float]:
        return self.automaton.advance(state, token) if self.automaton is not None else (0, 0.0)

    def _extend(self, beam: _Beam, source: int) -> None:
        loop = loop_start(beam.tokens)
        if loop is not None and self._is_expected(beam):
            loop = None
        if loop is not None:
            del beam.tokens[loop:], beam.log_probs[loop:]
        if loop is not None or len(beam.tokens) >= self.limit:
            self.cut.append(beam.decoded(None))
        else:
            self.beams.append(beam)
            self.sources.append(source)

    def _is_expected(self, beam: _Beam) -> bool:
        return self.automaton is not None and _is_expected_loop(self.automaton, beam.tokens)

    def _prune(self) -> None:
        """Give up beams far behind; stop when what may still come can add nothing."""
        best = max((done.total + done.bias for done in self.finished), default=-math.inf)
        if self.beams:  # in order of their totals
            least = max(best, self.beams[0].total) - (BIAS_MARGIN if self.automaton else NARROW)
            going = sum(beam.total >= least for beam in self.beams)
            del self.beams[going:], self.sources[going:]
        if self.width == 1 and self.cut:
            self.beams, self.sources = [], []
        elif self.finished and self.beams:
            has_enough = len(self.finished) >= self.width
            if self.automaton is None:
                is_over = has_enough or self.beams[0].total < best - NARROW  # totals only fall
            else:  # ends that no grammar allows do not count as enough
                is_over = self.beams[0].total < best - (0.0 if has_enough else BIAS_MARGIN)
            if is_over:
                self.beams, self.sources = [], []

    def pool(self) -> list[Decoded]:
        """All sentences, best first; cut ones only when nothing ended by itself."""
        found = self.finished or self.cut or [beam.decoded(None) for beam in self.beams]
        return sorted(found, key=lambda decoded: decoded.score, reverse=True)


class _Utterance:
    """One utterance's groups of beams: the free ones last, alone where there is no automaton."""

    def __init__(self, limit: int, beams: int, automaton: Automaton | None) -> None:
        self.beams, self.automaton = beams, automaton
        self.groups = [_Group(limit, beams, automaton)]
        if automaton is not None:
            self.groups.append(_Group(limit, FREE_BEAMS))

    @property
    def is_live(self) -> bool:
        return any(group.beams for group in self.groups)

    @property
    def rows(self) -> int:
        """How many beams go on, of all groups; they have rows next to each other."""
        return sum(len(group.beams) for group in self.groups)

    def ranked(self) -> list[Decoded]:
        """The best of both kinds, best first."""
        free = self.groups[-1].pool()
        if self.automaton is None:
            return free[: self.beams]
        if not free[0].tokens:
            return [replace(free[0], free_margin=0.0)]  # nothing is heard but by the knowledge
        found = {done.tokens: done for done in (*map(self._rated, free), *self.groups[0].pool())}
        best, length = free[0].total, float(len(free[0].tokens) + 1) ** LENGTH_POWER
        ordered = sorted(
            (replace(done, free_margin=done.total - best) for done in found.values()),
            key=lambda done: done.score + done.bias / length,
            reverse=True,
        )
        heard = next(done for done in ordered if done.tokens == free[0].tokens)
        if heard not in ordered[:FREE_RANK]:
            ordered.remove(heard)
            ordered.insert(FREE_RANK - 1, heard)
        return ordered[: self.beams]

    def _rated(self, free: Decoded) -> Decoded:
        """A free sentence with the bias it would have had."""
        automaton, state, bias = self.automaton, 0, 0.0
        assert automaton is not None
        for token in free.tokens:
            state, gain = automaton.advance(state, token)
            bias += gain
        return replace(free, bias=bias + automaton.ending(state))


class _Search:
    def __init__(
        self,
        decoder: Decoder,
        encoded: Encoded,
        limits: Sequence[int],
        beams: int,
        automata: Sequence[Automaton | None],
    ) -> None:
        self.decoder, self.beams = decoder, beams
        self.device = encoded.frames.device
        for automaton in automata:
            if automaton is not None:
                automaton.trim()
        self.utterances = [
            _Utterance(limit, beams, automaton)
            for limit, automaton in zip(limits, automata, strict=True)
        ]
        most = beams + FREE_BEAMS * any(automaton is not None for automaton in automata)
        self.live = list(range(len(limits)))
        self.state = decoder.start(encoded, max(limits, default=0) + 1, most)
        # As many rows for each utterance as the one with most beams has now: mostly few.
        self.width = max((utterance.rows for utterance in self.utterances), default=0)
        self.last = torch.full((len(limits) * self.width, 1), BEGIN, device=self.device)
        self.state.reorder(torch.arange(len(self.last), device=self.device))

    def step(self) -> None:
        log_probs = self.decoder(self.last, self.state)[:, -1].log_softmax(dim=-1)
        groups = list(self._places())
        best = _best(log_probs, groups, self.beams + 1)
        values, tokens, raw = (part.tolist() for part in best)
        for group, at in groups:
            rows = slice(at, at + len(group.beams))
            group.advance(values[rows], tokens[rows], raw[rows])
        self._regroup({id(group): at for group, at in groups})

    def _places(self) -> Iterator[tuple[_Group, int]]:
        """Each group that goes on and its first row."""
        for place, index in enumerate(self.live):
            at = place * self.width
            for group in self.utterances[index].groups:
                if group.beams:
                    yield group, at
                at += len(group.beams)

    def _regroup(self, before: Mapping[int, int]) -> None:
        """Line up rows and caches with the beams that go on.

        `before`: id of each group -> its first row in the last step.
        """
        going = [place for place, index in enumerate(self.live) if self.utterances[index].is_live]
        old, many = self.live, self.width * len(self.live)
        self.live = [old[place] for place in going]
        if not going:
            return
        self.width = max(self.utterances[index].rows for index in self.live)
        rows, last = [], []
        for index in self.live:
            chosen = [
                (before[id(group)] + source, beam.tokens[-1])
                for group in self.utterances[index].groups
                for beam, source in zip(group.beams, group.sources, strict=True)
            ]
            chosen += chosen[-1:] * (self.width - len(chosen))  # rows that no beam needs
            rows += [row for row, _ in chosen]
            last += [token for _, token in chosen]
        self.last = torch.tensor(last, device=self.device)[:, None]
        if rows != list(range(many)):
            self.state.reorder(torch.tensor(rows, device=self.device))
        if len(going) < len(old):
            self.state.keep(torch.tensor(going, device=self.device))


def _best(
    log_probs: Tensor, groups: Sequence[tuple[_Group, int]], count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(scores, tokens, log-probabilities), each [R, count], of the best tokens of every row.

    Of the tokens that no phrase goes on with, only the CANDIDATES most probable are looked at.
    """
    steered = [
        (group.automaton.row(beam.state), at + place)
        for group, at in groups
        if group.automaton is not None
        for place, beam in enumerate(group.beams)
    ]
    if not steered:
        values, tokens = top(log_probs, count)
        return values, tokens, values
    size = log_probs.shape[1]
    flat = log_probs.view(-1)
    at = torch.from_numpy(np.concatenate([row.ids + place * size for row, place in steered]))
    extra = torch.from_numpy(np.concatenate([row.extras for row, _ in steered]))
    defaults = torch.zeros(len(log_probs), 4)
    for row, place in steered:
        defaults[place] = torch.from_numpy(row.kinds)
    at, extra, defaults = (x.to(log_probs.device) for x in (at, extra, defaults))
    before = flat[at]
    flat[at] = before + extra
    values, candidates = top(log_probs, min(size, max(count, CANDIDATES)))
    flat[at] = before
    scores = values + defaults.gather(1, _kinds(groups).to(at.device)[candidates])
    chosen = scores.topk(count)
    tokens = candidates.gather(1, chosen.indices)
    return chosen.values, tokens, log_probs.gather(1, tokens)


def _kinds(groups: Sequence[tuple[_Group, int]]) -> Tensor:
    """int64[V]: the kind of each token, the same for all automata."""
    automaton = next(group.automaton for group, _ in groups if group.automaton is not None)
    return torch.from_numpy(automaton.tokens.kind)
