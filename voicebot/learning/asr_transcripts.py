"""Transcripts as a recogniser should write them: marks removed, case and punctuation kept.

Where the transcriber gave neither, the untouched model's hearing of the same recording lends
them word by word (`styled`); where only slot values are known, its hearing is mended with them
(`mended`). What stays unknown is not trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]

_NOISES = re.compile(r"\[\[.*?\]\]|\[[^\[\]]*\]|\{[^{}]*\}")
_UNCLEAR = re.compile(r"\(\([^()]*\)\)")
_MARKS = re.compile(r"[*+^_~\\/<>\"]")
_FRAGMENT = re.compile(r"(?:^|\s)-\w|\w-(?:\s|$)")
_PUNCTUATION = re.compile(r"[.,?!]")
_LAST_MARK = re.compile(r"[.?!]$")
_SMALL = {
    name: word
    for word, names in {
        "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
        "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "twelve": "12",
        "sixteen": "16", "twenty": "20",
    }.items()
    for name in names.split()
}  # fmt: skip
MOST_DIFFERENT = 0.6
"""Share of a slot's letters that the model may have got wrong and still mean that slot."""


def spoken_text(transcription: str, plain: str) -> tuple[str, bool, bool]:
    """(text, whether case and punctuation are the transcriber's, whether all of it is clear).

    `plain` is the lower-case text; it counts when the marks cannot be told from the words.
    """
    without = _NOISES.sub(" ", transcription.replace("\ufffd", "'"))
    text = " ".join(_MARKS.sub("", without).split())
    is_clear = not (_UNCLEAR.search(text) or _FRAGMENT.search(text)) and bool(text)
    text = " ".join(text.replace("((", " ").replace("))", " ").split())
    if words_of(text) != words_of(plain):
        return plain, False, is_clear
    if not _PUNCTUATION.search(text):
        return text, False, is_clear
    return finished(text), True, is_clear


def words_of(text: str) -> list[str]:
    """Words for counting errors: lower case, no punctuation, small numbers in letters."""
    lowered = text.casefold().replace("’", "'").replace("-", " ")
    words = re.sub(r"[^\w' ]", " ", lowered).split()
    bare = [word.strip("'") for word in words]
    return [_SMALL.get(word, word) for word in bare if word]


def finished(text: str) -> str:
    """Begun with a capital, "I" in capitals, ended with a mark."""
    text = re.sub(r"\bi(?=\b(?!\.))", "I", text.strip())
    if not text:
        return text
    text = text[0].upper() + text[1:]
    return text if _LAST_MARK.search(text) else text.rstrip(",;:") + "."


def styled(text: str, heard: str) -> str:
    """The words of `text` in the case and punctuation that `heard` gives to the same words.

    A mark counts only where the word after it was heard too, a capital not where it only begins
    a sentence of `heard`.
    """
    words, others = text.split(), heard.replace('"', "").split()
    plain, other_plain = [_bare(word) for word in words], [_bare(word) for word in others]
    matcher = SequenceMatcher(None, plain, other_plain, autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        for offset in range(size):
            mine, theirs = a + offset, b + offset
            begins = theirs == 0 or bool(_LAST_MARK.search(others[theirs - 1]))
            word = _with_case_of(words[mine], others[theirs], begins=begins and mine > 0)
            is_end = mine + 1 == len(words) and theirs + 1 == len(others)
            keeps_mark = offset + 1 < size or is_end
            words[mine] = word if keeps_mark else word.rstrip(".,?!;:")
    joined = " ".join(words)
    if others and not _LAST_MARK.search(joined) and _LAST_MARK.search(others[-1]):
        joined = joined.rstrip(",;:") + others[-1][-1]
    return finished(_without_stray_capitals(joined))


def _with_case_of(mine: str, theirs: str, *, begins: bool) -> str:
    """The model's form; names keep the transcriber's inner capitals ("ThinkEngine")."""
    if any(c.isupper() for c in mine[1:]) and mine[:1].isupper():
        return mine + "".join(c for c in theirs[-1:] if not c.isalnum() and c != "-")
    if begins and theirs[1:] == theirs[1:].lower() and _bare(theirs) != "i":
        return mine[:1] + theirs[1:]
    return theirs


def _without_stray_capitals(text: str) -> str:
    """A full stop inside stays only before a capital, and the other way round."""
    return re.sub(r"([.?!]) ([a-z])", lambda m: f"{m[1]} {m[2].upper()}", text)


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


def mended(
    hypotheses: Sequence[str], slots: Iterable[str], openings: Sequence[str] = ()
) -> str | None:
    """The hypothesis nearest to the slots' values, these written in their own words.

    None when one of the values cannot be found: "Make me a Lightrose 8-ounce ice Mocha." and
    light roast, eight ounce, iced mocha become "Make me a light roast eight ounce iced mocha."
    `openings`: how such sentences begin; what precedes the slots becomes the nearest of them if
    one is near. Words that belong neither to a slot nor between two are misheard ones: dropped.
    """
    wanted = sorted((slot.split() for slot in slots), key=lambda slot: -len(" ".join(slot)))
    best: tuple[float, str] | None = None
    for heard in hypotheses:
        found = _with_slots(heard, wanted, openings)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return None if best is None else finished(best[1])


def _with_slots(
    heard: str, wanted: Sequence[Sequence[str]], openings: Sequence[str]
) -> tuple[float, str] | None:
    words = re.sub(r"(?<=\w)-(?=\w)", " ", heard).split()
    taken: list[tuple[int, int, Sequence[str]]] = []
    total = 0.0
    for slot in wanted:
        spans = [
            (_difference(words[a:b], slot), a, b)
            for a in range(len(words))
            for b in range(a + 1, min(len(words), a + len(slot) + 2) + 1)
            if all(b <= begin or a >= end for begin, end, _ in taken)
        ]
        if not spans or min(spans)[0] > MOST_DIFFERENT:
            return None
        difference, a, b = min(spans)
        total += difference * len("".join(slot))
        taken.append((a, b, slot))
    taken.sort()
    pieces = [_opening(words[: taken[0][0]], openings)] if taken else words
    for place, (_, b, slot) in enumerate(taken):
        last = words[b - 1][-1]
        pieces += [*slot[:-1], slot[-1] + (last if last in ",.?!" else "")]
        until = taken[place + 1][0] if place + 1 < len(taken) else len(words)
        pieces += [word for word in words[b:until] if _bare(word) in _BETWEEN]
    if words and words[-1][-1] == "?" and pieces[-1][-1] != "?":
        pieces[-1] = pieces[-1].rstrip(".") + "?"
    return total, " ".join(piece for piece in pieces if piece)


_BETWEEN = {
    "with", "and", "a", "an", "of", "please", "or", "the", "to", "but", "in", "on", "no", "extra",
}  # fmt: skip


def _opening(words: Sequence[str], openings: Sequence[str]) -> str:
    heard = " ".join(words)
    if not openings:
        return heard
    plain = " ".join(words_of(heard))
    nearest = min(openings, key=lambda known: edits(list(plain), list(known.casefold())))
    distance = edits(list(plain), list(nearest.casefold()))
    return nearest if distance <= MOST_DIFFERENT * len(plain) else heard


def _difference(words: Sequence[str], slot: Sequence[str]) -> float:
    """Edits per letter between what was heard and the slot's value."""
    heard = " ".join(words_of(" ".join(words)))
    value = " ".join(slot)
    return edits(list(heard), list(value)) / max(1, len(value))


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Insertions, deletions and substitutions between two sequences (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
