"""Values that a caller left open: "monday or tuesday", "six to eight", "yes no"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from voicebot.nlu.context import BETWEEN, MARKERS, SURE, first_word
from voicebot.nlu.matcher import Candidate
from voicebot.nlu.similarity import Heard
from voicebot.nlu.words import word_set

_ANSWERS = frozenset(("yes", "no", "si"))
_BETWEENS = frozenset(("between", "entre"))
_TOGETHER = ((), ("and",), ("y",))
_FROM = frozenset(("de", "del", "desde"))
_CHANGES = word_set("change switch move cambiar cambie cambia pasar pase mover mueva")
"""From one value to another: no range behind these."""
MOST_BETWEEN = 8
"""Words between two values of which "or" makes alternatives: "monday or I could also do friday"."""


@dataclass(frozen=True, slots=True)
class Links:
    """Words that leave two values open: `either` stands for "or", `range` for "to"."""

    either: frozenset[str]
    range: frozenset[str]


ENGLISH_LINKS = Links(word_set("or"), word_set("to through thru till until"))
SPANISH_LINKS = Links(word_set("or o u"), word_set("a al hasta"))


def without_alternatives(
    heard: Heard,
    candidates: Sequence[Candidate],
    links: Links,
    answers: frozenset[str] = frozenset(),
    ranged: frozenset[str] = frozenset(),
    pauses: Set[int] = frozenset(),
) -> list[Candidate]:
    """Without values that were left open: "monday or tuesday", "between seven and eight", "six to
    eight" of the slots `ranged`, and yes and no in one breath (slots `answers`); what else was
    heard there for the slot goes too, as "adams" of "doctor adams or doctor rivera". `pauses`:
    tokens before one."""
    telling = links.either | links.range | _BETWEENS | _ANSWERS
    if telling.isdisjoint(heard.words):
        return list(candidates)
    sure = [c for c in candidates if c.fills and not c.is_denied and c.quality >= SURE]
    open_: dict[str, set[int]] = {}  # of each slot, the sounds of what was left open
    unclear: set[int] = set()  # sounds of answers that contradict each other
    # From the last: of "monday, tuesday or friday" the first is as open as the others.
    for first in sorted(sure, key=lambda one: -one.start):
        for second in sure:
            slots = _contested(first, second) if second.start >= first.end else frozenset()
            if not slots:
                continue
            said = range(first.start, second.end)
            between = heard.words[heard.word_at[first.end - 1] + 1 : first_word(heard, second)]
            for slot in slots:
                is_listed = not between and second.start in open_.get(slot, ())
                may_range = links.range if slot in ranged else frozenset[str]()
                if is_listed or _leaves_open(heard, first, between, links.either, may_range):
                    open_.setdefault(slot, set()).update(said)
            if between in _TOGETHER and _are_single(heard, first, second, sure, answers, pauses):
                unclear |= set(said)
    return [c for c in candidates if not _is_open(c, open_, unclear, answers)]


def _is_open(
    candidate: Candidate, open_: Mapping[str, Set[int]], unclear: Set[int], answers: Set[str]
) -> bool:
    sounds = range(candidate.start, candidate.end)
    return any(
        not open_.get(fill.slot, frozenset()).isdisjoint(sounds)
        or (fill.slot in answers and not unclear.isdisjoint(sounds))
        for fill in candidate.fills
    )


def _contested(first: Candidate, second: Candidate) -> frozenset[str]:
    """The slots that they give two values."""
    return frozenset(
        one.slot
        for one in first.fills
        for other in second.fills
        if one.slot == other.slot and one.value != other.value
    )


def _leaves_open(
    heard: Heard,
    first: Candidate,
    between: Sequence[str],
    either: frozenset[str],
    ranges: frozenset[str],
) -> bool:
    at = first_word(heard, first)
    links = [i for i, word in enumerate(between) if word in either]
    if links:
        return len(between) <= MOST_BETWEEN and not _has_marker(between[links[0] :])
    before = heard.words[max(0, at - 2) : at]
    joined = [word for word in between if word not in BETWEEN or word in ranges]
    if joined and ranges.issuperset(joined):
        # "El sábado ocho a las nueve" are a day and its hour.
        is_at = between[0] == "a" and len(between) > 1 and _FROM.isdisjoint(before)
        return not is_at and _CHANGES.isdisjoint(heard.words[:at])
    is_joined = list(between[:1]) in (["and"], ["y"]) and all(w in BETWEEN for w in between[1:])
    return is_joined and not _BETWEENS.isdisjoint(before)


def _has_marker(words: Sequence[str]) -> bool:
    """Whether a correction was begun: "monday or rather tuesday"."""
    places = range(len(words))
    return any(tuple(words[i : i + len(one)]) == one for i in places for one in MARKERS)


def _are_single(
    heard: Heard,
    first: Candidate,
    second: Candidate,
    sure: Sequence[Candidate],
    answers: frozenset[str],
    pauses: Set[int],
) -> bool:
    """Whether they are "yes no" or "no yes" in one breath, and no part of a longer answer; "yeah,
    no" means no."""
    said = heard.words[first_word(heard, first)], heard.words[first_word(heard, second)]
    is_turn = said[0] == "no" and heard.token_of[first_word(heard, first)] in pauses
    if not _ANSWERS.issuperset(said) or is_turn:  # "no, yes" corrects itself
        return False
    pair = {first_word(heard, one) for one in (first, second)}
    ends = {heard.word_at[one.end - 1] for one in (first, second)}
    return (
        pair == ends
        and any(fill.slot in answers for fill in first.fills)
        and not any(
            one.start <= second.start < one.end
            and (one.start, one.end) != (second.start, second.end)
            for one in sure
            if one.cost == 0
        )
    )
