"""Which candidates, taken together, explain an utterance best.

A Viterbi search over the sounds: between candidates anything may be said at no gain; each
slot takes one value, one intent at most, and no sound is used twice. A candidate gains by the
weight of what it explains, less what it costs, so the longest and closest wins, and a phrase
that fits too badly is not worth having.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicebot.nlu.matcher import Candidate

GUESS_COST = 0.5
"""A candidate that differs by this much is a full guess."""
KEPT = 3
"""Readings kept per combination of filled slots."""
MAX_STATES = 96


@dataclass(frozen=True, slots=True)
class Terms:
    """`gain` per weight explained, which is also the dearest edit per weight that still pays;
    `guess`, the price of a candidate that was not said exactly."""

    gain: float
    guess: float


ALONE = Terms(gain=0.4, guess=0.7)
"""Where nothing was said exactly, a guess must be good."""
IN_CONTEXT = Terms(gain=0.45, guess=0.5)
"""Once something was said exactly, the caller is talking about what was asked."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Candidates in the order of speech and what they gain together."""

    candidates: tuple[Candidate, ...]
    gain: float
    meaning: tuple[object, ...] = ()


States = dict[int, list[Segmentation]]
"""Filled slots (bits) to the partial readings that fill them."""


def gain_of(candidate: Candidate, terms: Terms = ALONE) -> float:
    """What one candidate adds to a reading."""
    price = terms.guess * min(1.0, candidate.cost / GUESS_COST)
    return terms.gain * candidate.weight - candidate.cost - price


def segment(
    candidates: Sequence[tuple[Candidate, float]], bits: Mapping[str, int]
) -> list[Segmentation]:
    """Best segmentations first, each filling a different set of values.

    `candidates` come with their gain; `bits` gives each slot's bit, intents use bit 0.
    """
    useful = [(c, g) for c, g in candidates if g > 0 and c.end > c.start]
    useful.sort(key=lambda item: (item[0].start, item[0].end))
    reached: list[tuple[int, States]] = [(0, {0: [Segmentation((), 0.0)]})]
    for end in sorted({c.end for c, _ in useful}):
        new = {mask: list(kept) for mask, kept in reached[-1][1].items()}
        for candidate, gain in useful:
            if candidate.end != end:
                continue
            mask_of = _mask(candidate, bits)
            if mask_of is None:
                continue
            meaning = _meaning(candidate)
            before = _at(reached, candidate.start)
            for mask, kept in before.items():
                if mask & mask_of:
                    continue
                longer = [
                    Segmentation((*s.candidates, candidate), s.gain + gain, (*s.meaning, meaning))
                    for s in kept
                ]
                new[mask | mask_of] = _merge(new.get(mask | mask_of, []), longer)
        if len(new) > MAX_STATES:
            strongest = sorted(new.items(), key=lambda item: -item[1][0].gain)[:MAX_STATES]
            new = dict(strongest)
        reached.append((end, new))
    final = [s for kept in reached[-1][1].values() for s in kept]
    return sorted(final, key=_loss)


def _mask(candidate: Candidate, bits: Mapping[str, int]) -> int | None:
    mask = 1 if candidate.intent is not None else 0
    if candidate.is_denied:
        return mask
    for fill in candidate.fills:
        bit = bits[fill.slot]
        if mask & bit:
            return None
        mask |= bit
    return mask


def _at(reached: list[tuple[int, States]], position: int) -> States:
    for end, states in reversed(reached):
        if end <= position:
            return states
    return reached[0][1]


def _meaning(candidate: Candidate) -> object:
    fills = tuple((fill.slot, fill.value) for fill in candidate.fills)
    return candidate.intent, candidate.is_denied, fills


def _merge(kept: list[Segmentation], more: list[Segmentation]) -> list[Segmentation]:
    """The best of both with different meanings."""
    distinct: dict[tuple[object, ...], Segmentation] = {}
    for reading in sorted((*kept, *more), key=_loss):
        if distinct.setdefault(reading.meaning, reading) is reading and len(distinct) == KEPT:
            break
    return list(distinct.values())


def _loss(reading: Segmentation) -> float:
    return -reading.gain
