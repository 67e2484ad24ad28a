"""How what was encoded is decoded: greedily, and with beams where that is not sure enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from voicebot.asr.automaton import Automaton
from voicebot.asr.decoder import Decoded, search, token_limit
from voicebot.asr.greedy import LIKELY, SURE, greedy, is_sure
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, Decoder, Encoded
from voicebot.asr.stream import Draft
from voicebot.asr.utterance import Samples

BEAMS = 8
"""Beams behind an n-best list: a little better than four for a little more time (LOG.md)."""


def find_each(
    decoder: Decoder,
    encoded: Encoded,
    pieces: list[Samples],
    nbest: Sequence[int],
    max_tokens: int | None,
    automata: Sequence[Automaton | None] | None,
    drafts: Sequence[Draft | None],
) -> list[list[Decoded]]:
    """As `find`, with so many for each piece; where something is expected, the most."""
    most = max(nbest)
    wanted = [
        count if automata is None or automata[row] is None else most
        for row, count in enumerate(nbest)
    ]
    found: list[list[Decoded]] = [[]] * len(pieces)
    for count in set(wanted):
        rows = [row for row, of_one in enumerate(wanted) if of_one == count]
        sentences = find(
            decoder,
            encoded if len(rows) == len(pieces) else encoded.of(rows),
            [pieces[row] for row in rows],
            count,
            max_tokens,
            [automata[row] for row in rows] if automata else None,
            [drafts[row] for row in rows],
        )
        for row, of_one in zip(rows, sentences, strict=True):
            found[row] = of_one
    return found


def find(
    decoder: Decoder,
    encoded: Encoded,
    pieces: list[Samples],
    nbest: int,
    max_tokens: int | None,
    automata: Sequence[Automaton | None] | None = None,
    drafts: Sequence[Draft | None] | None = None,
) -> list[list[Decoded]]:
    """The best sentences of each piece: the greedy one alone where that is enough."""
    limits = token_limits(pieces, max_tokens)
    least = -math.inf if nbest <= 1 else LIKELY
    drafts = drafts or [None] * len(limits)
    found = [[one] for one in _greedy(decoder, encoded, limits, drafts, least)]
    if nbest <= 1:
        return found
    found = [
        _if_sure(one, automaton)
        for [one], automaton in zip(found, automata or [None] * len(found), strict=True)
    ]
    doubtful = [index for index, of_one in enumerate(found) if not of_one]
    if doubtful:
        sentences_of = with_beams(
            decoder,
            encoded.of(doubtful),
            [pieces[index] for index in doubtful],
            nbest,
            max_tokens,
            [automata[index] for index in doubtful] if automata else None,
        )
        for index, sentences in zip(doubtful, sentences_of, strict=True):
            found[index] = sentences
    return found


def _greedy(
    decoder: Decoder,
    encoded: Encoded,
    limits: Sequence[int],
    drafts: Sequence[Draft | None],
    least: float,
) -> list[Decoded]:
    """Greedy sentences; what drafts have is not decoded again. `least`: see `greedy`."""
    new = [row for row, draft in enumerate(drafts) if draft is None or draft.sentence is None]
    decoded: list[Decoded] = []
    if new:
        some = encoded if len(new) == len(limits) else encoded.of(new)
        begun = [draft.tokens if (draft := drafts[row]) else () for row in new]
        asked = [limits[row] for row in new]
        decoded = greedy(decoder, some, asked, begun, least=least)
    found = dict(zip(new, decoded, strict=True))
    for row, draft in enumerate(drafts):
        if draft is None:
            continue
        if draft.sentence is not None:
            found[row] = draft.sentence
        elif least == -math.inf or found[row].end_log_prob is not None:
            draft.sentence = found[row]
    return [found[row] for row in range(len(limits))]


def with_beams(
    decoder: Decoder,
    encoded: Encoded,
    pieces: list[Samples],
    nbest: int,
    max_tokens: int | None,
    automata: Sequence[Automaton | None] | None = None,
) -> list[list[Decoded]]:
    """The best sentences of each piece, searched with beams however sure."""
    limits = token_limits(pieces, max_tokens)
    return search(decoder, encoded, limits, max(nbest, BEAMS), automata)


def token_limits(pieces: Sequence[Samples], max_tokens: int | None) -> list[int]:
    """The most tokens that each piece may take."""
    limits = [token_limit(len(piece) / SAMPLE_RATE_HZ) for piece in pieces]
    return limits if max_tokens is None else [min(limit, max_tokens) for limit in limits]


def _if_sure(decoded: Decoded, automaton: Automaton | None) -> list[Decoded]:
    """The greedy sentence, if no search would find a better one; else nothing.

    Where something is expected it must be just that: a phrase may pay for a less probable text.
    """
    if not is_sure(decoded, LIKELY if automaton is None else SURE):
        return []
    if automaton is None or not decoded.tokens:
        return [decoded if automaton is None else replace(decoded, free_margin=0.0)]
    bias = automaton.answering(decoded.tokens)
    return [] if bias is None else [replace(decoded, bias=bias, free_margin=0.0)]
