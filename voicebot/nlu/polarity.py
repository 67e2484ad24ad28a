"""Which yes or no counts where a sentence holds several, or negates one.

A yes by mistake moves money: "that can't be right" and "I'm not okay with that" are a no, of "okay
but no" the no counts, and what only resembles an answer gives way to one that was said.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from voicebot.nlu.context import first_word
from voicebot.nlu.matcher import Candidate
from voicebot.nlu.similarity import Heard
from voicebot.nlu.words import word_set

_NEGATIONS = word_set(
    "not never hardly can't isn't wasn't doesn't don't didn't won't ain't couldn't wouldn't nunca "
    "tampoco"
)
_LINKS = word_set(
    "be all a the it that's it's that is say really so quite very too with at look looks sound "
    "sounds seem exactly what i"
)
MOST_LINKS = 3
QUALITY = 0.9
"""Of a no that is a yes negated."""


def settled(heard: Heard, candidates: Sequence[Candidate], answers: Set[str]) -> list[Candidate]:
    """The candidates with the answers (slots `answers`) that count."""
    said = [one for one in candidates if one.cost == 0 and _value(one, answers)]
    if not said:
        return list(candidates)
    denying = {one.start for one in candidates if one.is_denied}
    out: list[Candidate] = []
    for candidate in candidates:
        value = _value(candidate, answers)
        if value is None:
            out.append(candidate)
            continue
        others = [one for one in said if _value(one, answers) not in {value, ""}]
        is_guess = candidate.cost > 0 and any(
            one.start < candidate.end and candidate.start < one.end for one in others
        )
        is_overruled = value == "yes" and any(
            one.start >= candidate.end and not _denies(heard, one, denying) for one in others
        )
        if is_guess or is_overruled:
            continue
        out.append(_negated(candidate) if value == "yes" and _is_negated(heard, candidate, said)
                   else candidate)  # fmt: skip
    return out


def _value(candidate: Candidate, answers: Set[str]) -> str | None:
    return next((fill.value for fill in candidate.fills if fill.slot in answers), None)


def _denies(heard: Heard, no: Candidate, denying: Set[int]) -> bool:
    """Whether it is the no of "yes, no milk"."""
    return heard.words[first_word(heard, no)] == "no" and no.end in denying


def _is_negated(heard: Heard, candidate: Candidate, said: Sequence[Candidate]) -> bool:
    """Whether a negation stands before it that belongs to no yes of its own ("why not")."""
    index = first_word(heard, candidate)
    for at in range(index - 1, max(-1, index - 2 - MOST_LINKS), -1):
        word = heard.words[at]
        if word in _NEGATIONS:
            place = heard.starts[at]
            own = [one for one in said if one.start <= place < one.end]
            return all(fill.value == "no" for one in own for fill in one.fills)
        if word not in _LINKS:
            return False
    return False


def _negated(candidate: Candidate) -> Candidate:
    fills = tuple(replace(fill, value="no", quality=QUALITY) for fill in candidate.fills)
    return replace(candidate, fills=fills)
