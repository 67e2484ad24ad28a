"""Several wishes in one utterance: "check my balance and then block my card".

The text is cut at words and marks that join clauses; of all ways to join clauses again into parts
the one counts whose parts are understood best, each for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Read = TypeVar("Read")

MAX_CLAUSES = 10
"""Later clauses stay with the last one."""
MAX_WIDTH = 5
"""Clauses of one wish, unless it is the whole utterance: bounds what is read."""
SURE = 0.5
"""A part counts as a wish of its own from this confidence on."""
PRICE = 0.35
"""Each further part must add so much confidence: "lost and stolen" is one wish."""
_JOINT = re.compile(
    r"\s*(?:[.;?!,]+\s*|\s+)(?:and also|and then|and|also|then|plus|but also|after that)\s+|"
    r"\s*[.;?!]+\s+|\s*,\s+",
    re.IGNORECASE,
)

_CORRECTION = re.compile(
    r"(?:no|not|sorry|actually|wait|rather|correction|instead|i (?:mean|meant|said)|"
    r"make (?:it|that)|scratch that|change that)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part(Generic[Read]):
    """A stretch of the utterance and what it means: `intent` at a `confidence`, and `read`."""

    text: str
    intent: str
    confidence: float
    read: Read


def parts(
    text: str,
    read: Callable[[str], tuple[str | None, float, Read]],
    contrast: Callable[[Read, Read], bool] = lambda one, other: False,
    whole: Sequence[str] = (),
) -> list[Part[Read]]:
    """The wishes in an utterance, in order; empty unless there are two or more different ones.

    `read(text)` tells intent, confidence and anything else about a stretch of text; neighbouring
    parts of one intent are one wish, unless "and" joins them and `contrast` says that they are
    two. It is called for at most 41 stretches, 15 of five clauses. `whole`: what was said for one
    value is not cut ("two hundred, uh, and fifty dollars").
    """
    spans = _clauses(text, [place for value in whole for place in _places(text, value)])
    if len(spans) < 2:
        return []
    known: dict[tuple[int, int], Part[Read] | None] = {}

    def part(first: int, last: int) -> Part[Read] | None:
        if (first, last) not in known:
            stretch = text[spans[first][0] : spans[last - 1][1]]
            intent, confidence, found = read(stretch)
            is_wish = intent is not None and confidence >= SURE
            known[first, last] = (
                Part(stretch, intent, confidence, found) if is_wish and intent else None
            )
        return known[first, last]

    def follows(first: int, cut: int, last: int) -> bool:
        one, other = part(first, cut), part(cut, last)
        if one is None or other is None or one.intent != other.intent:
            return one is not None and other is not None
        joint = text[spans[cut - 1][1] : spans[cut][0]]
        return _is_added(joint, other.text) and contrast(one.read, other.read)

    # The best way to read all clauses up to a part's end, by that part.
    best: dict[tuple[int, int], tuple[float, list[Part[Read]]]] = {}
    for first, last in _stretches(len(spans)):
        wish = part(first, last)
        if wish is None:
            continue
        before = [
            best[begin, first]
            for begin in range(first)
            if (begin, first) in best and follows(begin, first, last)
        ]
        if before or first == 0:
            gain, wishes = max(before, key=lambda way: way[0], default=(0.0, []))
            best[first, last] = (gain + wish.confidence - PRICE, [*wishes, wish])
    ways = [way for (_, last), way in best.items() if last == len(spans)]
    _, found = max(ways, key=lambda way: way[0], default=(0.0, []))
    return found if len(found) > 1 else []


def _is_added(joint: str, text: str) -> bool:
    """Whether a part is joined by "and" or the like, and takes nothing back."""
    return any(char.isalpha() for char in joint) and _CORRECTION.match(text) is None


def _places(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where the words of a value stand in the text."""
    words = [re.escape(word) for word in value.split()]
    if len(words) > 1:
        for found in re.finditer(r"\b" + r"\W+".join(words), text, re.IGNORECASE):
            yield found.span()


def _clauses(text: str, uncut: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """(start, end) of each clause."""
    spans: list[tuple[int, int]] = []
    start = 0
    for joint in _JOINT.finditer(text):
        if any(begin < joint.start() and joint.end() < end for begin, end in uncut):
            continue
        if joint.start() > start:
            spans.append((start, joint.start()))
        start = joint.end()
    if text[start:].strip(" .,;?!"):
        spans.append((start, len(text)))
    if len(spans) > MAX_CLAUSES:
        spans = [*spans[: MAX_CLAUSES - 1], (spans[MAX_CLAUSES - 1][0], spans[-1][1])]
    return spans


def _stretches(clauses: int) -> Iterator[tuple[int, int]]:
    """(first, end) of what may be one part: those that end sooner before the others, and of these
    the longest first, so that of equally good ways the one with fewer parts counts."""
    for last in range(1, clauses + 1):
        for first in range(last):
            if last - first <= MAX_WIDTH or (first == 0 and last == clauses):
                yield first, last
