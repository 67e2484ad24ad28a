"""What the words around a value say about it: whose it is, that it is denied or corrected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from voicebot.nlu.matcher import FILLERS, Candidate
from voicebot.nlu.similarity import Heard
from voicebot.nlu.words import word_set

CUE = 0.6
"""Gain for a value behind a word of its slot's name: "to savings" fills `to_account`."""
_BETWEEN = word_set(
    "the my a an for it is it's of from to with account into in "
    "el la los las mi un una es de del para con por cuenta"
)
_DENIALS = frozenset(("not", "isn't", "wasn't", "without", "aren't", "except"))
_TWO_WORD_DENIALS = frozenset(
    (("anything", "but"), ("everything", "but"), ("all", "but"), ("any", "but"),
     ("except", "for"), ("instead", "of"),
     ("rather", "than"), ("don't", "want"), ("don't", "mean"), ("not", "want"),
     ("didn't", "say"), ("didn't", "mean"), ("didn't", "want"))
)  # fmt: skip
_MARKERS = (
    ("no",), ("sorry",), ("actually",), ("wait",), ("rather",), ("correction",), ("i", "mean"),
    ("i", "meant"), ("make", "that"), ("make", "it"), ("scratch", "that"), ("instead",),
    ("change", "that"), ("i", "said"), ("perdon",), ("digo",), ("mejor",), ("quise", "decir"),
    ("quiero", "decir"), ("sino",), ("dije",),
)  # fmt: skip
_ANSWERS = frozenset(("yes", "no", "si"))
_BETWEENS = frozenset(("between", "entre"))
_HEDGES = word_set("ish so maybe perhaps even possibly quizas tal vez at on either")
_PERSONS = word_set("people person persons guest guests party adults seats personas")
SURE = 0.8
"""Quality above which a value is certain enough to correct, or be corrected by, another."""


def name_words(slot: str) -> frozenset[str]:
    """Words of a slot's name: "from_account" and "fromAccount" give from, account."""
    return frozenset(w.lower() for w in re.findall(r"[A-Za-z][a-z]*|[A-Z]+", slot))


def cues(heard: Heard, candidate: Candidate, slots: Iterable[str]) -> frozenset[str]:
    """Slots whose name's first words stand right before the candidate."""
    names = {slot: name_words(slot) for slot in slots}
    shared = frozenset.intersection(*names.values()) if len(names) > 1 else frozenset()
    index = _first_word(heard, candidate)
    for back in range(1, 4):
        if index - back < 0:
            break
        word = heard.words[index - back]
        cued = frozenset(slot for slot, words in names.items() if word in words - shared)
        if cued:
            return cued
        if word not in _BETWEEN:
            break
    return frozenset()


def named_behind(heard: Heard, candidate: Candidate, slots: Iterable[str]) -> frozenset[str]:
    """Slots that the word right behind a number names: the five of "five people" fills `people`
    and `party_size`, whatever was asked for."""
    index = heard.word_at[candidate.end - 1] + 1
    if index >= len(heard.words):
        return frozenset()
    word = heard.words[index]
    nouns = _PERSONS if word in _PERSONS else {word, word + "s", word.removesuffix("s")}
    return frozenset(slot for slot in slots if name_words(slot) & nouns)


def is_denied(
    heard: Heard,
    candidate: Candidate,
    *,
    no_is_answer: bool,
    pauses: set[int],
    rivals: Iterable[Candidate] = (),
) -> bool:
    """True behind "not", "instead of", "don't want"; behind "no" unless that answers a question, is
    parted by a pause, or corrects: of "fifty no fifteen" the first is denied, with a comma or not.

    `rivals` are the candidates for the same slot.
    """
    index = _first_word(heard, candidate)
    for back in range(1, 4):
        at = index - back
        if at < 0:
            return False
        word = heard.words[at]
        if word in _DENIALS:
            return True
        if at > 0 and (heard.words[at - 1], word) in _TWO_WORD_DENIALS:
            return True
        if word == "no" and back == 1:
            is_parted = heard.token_of[at] in pauses or heard.words[index] in FILLERS
            is_answer = no_is_answer or is_parted
            return not is_answer and not _corrects(heard, at, rivals)
        if word not in _BETWEEN:
            return False
    return False


def without_parts_of_denied(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without what was heard for a slot within a value denied: the milk of "no soy milk"."""
    denied = [one for one in candidates if one.is_denied]
    return [
        one
        for one in candidates
        if one.is_denied
        or not any(
            other.start <= one.start
            and one.end <= other.end
            and {fill.slot for fill in one.fills} & {fill.slot for fill in other.fills}
            for other in denied
        )
    ]


def _corrects(heard: Heard, no: int, rivals: Iterable[Candidate]) -> bool:
    """Whether another value of the slot was said before the word "no": "no monday no tuesday"
    wants neither."""
    begins = (
        _first_word(heard, rival)
        for rival in rivals
        if rival.end <= heard.starts[no] and rival.quality >= SURE
    )
    return any(at == 0 or heard.words[at - 1] != "no" for at in begins)


def without_alternatives(
    heard: Heard,
    candidates: Sequence[Candidate],
    links: frozenset[str],
    answers: frozenset[str] = frozenset(),
    pauses: Set[int] = frozenset(),
) -> list[Candidate]:
    """Without values that were left open: "monday or tuesday", "between seven and eight", and yes
    and no in one breath (slots `answers`); what else was heard there for the slot goes too, as
    "adams" of "doctor adams or doctor rivera". `links`: the words for "or"; `pauses`: tokens before
    one."""
    if not any(w in links or w in _BETWEENS or w in _ANSWERS for w in heard.words):
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
            between = heard.words[heard.word_at[first.end - 1] + 1 : _first_word(heard, second)]
            for slot in slots:
                is_listed = not between and second.start in open_.get(slot, ())
                if is_listed or _leaves_open(heard, first, between, links):
                    open_.setdefault(slot, set()).update(said)
            if not between and _are_single(heard, first, second, sure, answers, pauses):
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
    heard: Heard, first: Candidate, between: Sequence[str], links: frozenset[str]
) -> bool:
    if any(word in links for word in between):
        return all(word in links or word in _BETWEEN or word in _HEDGES for word in between)
    at = _first_word(heard, first)
    before = heard.words[max(0, at - 2) : at]
    is_joined = list(between[:1]) in (["and"], ["y"]) and all(w in _BETWEEN for w in between[1:])
    return is_joined and not _BETWEENS.isdisjoint(before)


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
    said = heard.words[_first_word(heard, first)], heard.words[_first_word(heard, second)]
    is_turn = said[0] == "no" and heard.token_of[_first_word(heard, first)] in pauses
    if not _ANSWERS.issuperset(said) or is_turn:  # "no, yes" corrects itself
        return False
    pair = {_first_word(heard, one) for one in (first, second)}
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


def corrected(
    heard: Heard,
    candidates: Sequence[Candidate],
    answers: frozenset[str] = frozenset(),
    strings: frozenset[str] = frozenset(),
) -> list[Candidate]:
    """Denies what was said before "no", "sorry", "I mean" when the same slot is said again.

    `answers` are the slots of yes and no: those words mark corrections themselves. `strings` are
    the slots of digits and letters, of which a part may be corrected ("five six, no, seven"):
    which part is not known, so neither value counts.
    """
    said = [
        (heard.starts[i], marker)
        for i in range(len(heard.words))
        for marker in _MARKERS
        if heard.words[i : i + len(marker)] == marker
    ]
    if not said:
        return list(candidates)
    marks = [at for at, _ in said]
    turns = [at for at, marker in said if marker != ("no",)]
    out: list[Candidate] = []
    for candidate in candidates:
        if _is_taken_back(candidate, candidates, turns, answers):
            continue
        if any(fill.slot in strings for fill in candidate.fills) and any(
            _is_patched(*pair, marks)
            for other in candidates
            for pair in ((candidate, other), (other, candidate))
        ):
            continue
        slots = {fill.slot for fill in candidate.fills} - answers
        is_corrected = bool(slots) and not candidate.is_denied and any(
            other.start >= mark >= candidate.end
            and not other.is_denied
            and other.quality >= SURE
            and slots <= {fill.slot for fill in other.fills}
            for mark in marks
            for other in candidates
        )  # fmt: skip
        out.append(replace(candidate, is_denied=True) if is_corrected else candidate)
    return out


def _is_patched(first: Candidate, second: Candidate, marks: Sequence[int]) -> bool:
    """Whether the second, behind a correction, is too short to be said in place of the first."""
    return any(
        one.slot == other.slot and len(other.value) < len(one.value)
        for one in first.fills
        for other in second.fills
    ) and any(first.end <= mark <= second.start for mark in marks)


def _is_taken_back(
    candidate: Candidate,
    candidates: Sequence[Candidate],
    turns: Sequence[int],
    answers: frozenset[str],
) -> bool:
    """Whether it is the first answer of "yes, I mean no"."""
    if not {fill.slot for fill in candidate.fills} & answers:
        return False
    return any(
        candidate.end <= turn <= other.start
        for turn in turns
        for other in candidates
        if other.quality >= SURE and {fill.slot for fill in other.fills} & answers
    )


def _first_word(heard: Heard, candidate: Candidate) -> int:
    return heard.word_at[candidate.start]
