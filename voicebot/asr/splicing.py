"""Words that were promised, with the times of another reading of the same speech.

The two are aligned by least edit distance. A word that recurs has the time it was read with;
words between two of those share the time that the other reading gives to what it has there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebot.events import Word


def letters(text: str) -> str:
    """What two spellings of a word have in common; "" of a text without letters or figures."""
    return "".join(filter(str.isalnum, text.casefold()))


def plain(word: Word) -> str:
    """The word without case and punctuation, by which readings are compared."""
    return letters(word.text) or word.text


def opening(stable: Sequence[Word], words: Sequence[Word]) -> int:
    """How many of `words` the stable ones stand for: least edit distance, then like length."""
    last = _distances(stable, words)[-1]
    return min(range(len(last)), key=lambda at: (last[at], abs(at - len(stable))))


def timed(stable: Sequence[Word], words: Sequence[Word]) -> list[Word]:
    """The stable words; those that recur in `words`, which open another reading, with its times
    and confidence, the others with the time between them. Without times where it has none."""
    pairs = [*_recurring(stable, words), (len(stable), len(words))]
    found: list[Word] = []
    at = other = 0
    for here, there in pairs:
        found += _spread(stable[at:here], words[other:there])
        if here < len(stable):
            found.append(replace(words[there], text=stable[here].text))
        at, other = here + 1, there + 1
    return _squeezed(found)


def _distances(stable: Sequence[Word], words: Sequence[Word]) -> list[list[int]]:
    """Edit distance of every opening of the one to every opening of the other."""
    rows = [list(range(len(words) + 1))]
    for done, word in enumerate(stable, 1):
        row = [done]
        for at, other in enumerate(words):
            differs = plain(word) != plain(other)
            row.append(min(rows[-1][at + 1] + 1, row[at] + 1, rows[-1][at] + differs))
        rows.append(row)
    return rows


def _recurring(stable: Sequence[Word], words: Sequence[Word]) -> list[tuple[int, int]]:
    """Indices of the words that are the same in both, in order."""
    rows = _distances(stable, words)
    at, other = len(stable), len(words)
    found = []
    while at and other:
        differs = plain(stable[at - 1]) != plain(words[other - 1])
        if rows[at][other] == rows[at - 1][other - 1] + differs:
            at, other = at - 1, other - 1
            if not differs:
                found.append((at, other))
        elif rows[at][other] == rows[at - 1][other] + 1:
            at -= 1
        else:
            other -= 1
    return found[::-1]


def _spread(stable: Sequence[Word], words: Sequence[Word]) -> list[Word]:
    """Words that differ: one by one where they are as many, else in equal parts of the time."""
    if len(stable) == len(words):
        pairs = zip(stable, words, strict=True)
        return [replace(own, start_at=one.start_at, end_at=one.end_at) for own, one in pairs]
    if not stable:
        return []
    if not words:
        return [replace(word, start_at=None, end_at=None) for word in stable]
    return _parts(stable, words[0].start_at, words[-1].end_at)


def _parts(words: Sequence[Word], begin: int | None, end: int | None) -> list[Word]:
    if begin is None or end is None:
        return [replace(word, start_at=None, end_at=None) for word in words]
    cuts = [begin + (end - begin) * step // len(words) for step in range(len(words) + 1)]
    return [
        replace(word, start_at=cuts[at], end_at=max(cuts[at + 1], cuts[at] + 1))
        for at, word in enumerate(words)
    ]


def _squeezed(words: list[Word]) -> list[Word]:
    """Words that the other reading has nothing for share the time of the one before, or after."""
    known = [at for at, word in enumerate(words) if word.start_at is not None]
    found = list(words)
    if not known:
        return found
    for at, following in zip(known, [*known[1:], len(words)], strict=True):
        first = 0 if at == known[0] else at
        if following - first > 1:
            is_last = following == len(words)
            end = words[at].end_at if is_last else words[following].start_at
            found[first:following] = _parts(words[first:following], words[at].start_at, end)
    return found
