"""What the words around a value say about it: whose it is, that it is denied or corrected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from voicebot.nlu.matcher import FILLERS, Candidate
from voicebot.nlu.similarity import Heard
from voicebot.nlu.words import word_set

CUE = 0.6
"""Gain for a value behind a word of its slot's name: "to savings" fills `to_account`."""
BETWEEN = word_set(
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
REMOVALS = frozenset(("cancel", "remove", "skip", "delete", "drop", "quite", "quita", "cancele"))
_TWO_WORD_REMOVALS = frozenset(
    (("leave", "out"), ("leave", "off"), ("take", "off"), ("take", "out"), ("take", "away"),
     ("hold", "the"))
)  # fmt: skip
MARKERS = (
    ("no",), ("sorry",), ("actually",), ("wait",), ("rather",), ("correction",), ("i", "mean"),
    ("i", "meant"), ("make", "that"), ("make", "it"), ("scratch", "that"), ("instead",),
    ("change", "that"), ("i", "said"), ("perdon",), ("digo",), ("mejor",), ("quise", "decir"),
    ("quiero", "decir"), ("sino",), ("dije",),
)  # fmt: skip
_JOINS = frozenset(("and", "but", "with", "y", "pero", "con"))
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
    index = first_word(heard, candidate)
    for back in range(1, 4):
        if index - back < 0:
            break
        word = heard.words[index - back]
        cued = frozenset(slot for slot, words in names.items() if word in words - shared)
        if cued:
            return cued
        if word not in BETWEEN:
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
    is_read_back: bool = False,
) -> bool:
    """True behind "not", "instead of", "don't want", and behind "remove" and "cancel" where all was
    just read back; behind "no" unless that answers a question, is
    parted by a pause, or corrects: of "fifty no fifteen" the first is denied, with a comma or not.

    `rivals` are the candidates for the same slot.
    """
    index = first_word(heard, candidate)
    for back in range(1, 4):
        at = index - back
        if at < 0:
            return False
        word = heard.words[at]
        pair = heard.words[at - 1 : at + 1] if at else ()
        if word in _DENIALS or pair in _TWO_WORD_DENIALS:
            return True
        if is_read_back and (word in REMOVALS or pair in _TWO_WORD_REMOVALS):
            return True
        if word == "no" and back == 1:
            if at > 0 and heard.words[at - 1] in _JOINS:
                return True  # "checking and no savings"
            is_parted = heard.token_of[at] in pauses or heard.words[index] in FILLERS
            is_answer = no_is_answer or is_parted
            return not is_answer and not _corrects(heard, at, rivals)
        if word not in BETWEEN:
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
        first_word(heard, rival)
        for rival in rivals
        if rival.end <= heard.starts[no] and rival.quality >= SURE
    )
    return any(at == 0 or heard.words[at - 1] != "no" for at in begins)


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
        for marker in MARKERS
        if heard.words[i : i + len(marker)] == marker
        and not (marker == ("no",) and i and heard.words[i - 1] in _JOINS)
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


def first_word(heard: Heard, candidate: Candidate) -> int:
    """Index of the word that it begins in."""
    return heard.word_at[candidate.start]
