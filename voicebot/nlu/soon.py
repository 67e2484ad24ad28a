"""Times counted from now: "in twenty minutes", "an hour from now", "right now"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from fractions import Fraction

from voicebot.nlu.numbers import cardinal
from voicebot.nlu.text import Token, Words

_MINUTES = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60}
_DAY = 24 * 60
_LONG = frozenset(
    ("minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month", "months",
     "year", "years", "second", "seconds")
)  # fmt: skip


def soon(tokens: Sequence[Token], at: int, now: time | None) -> tuple[time | None, int] | None:
    """(time of day, end) of what counts from now, None where nothing of the kind begins at `at`.

    The time is None where it cannot be told: the clock is not known, the day would be another one,
    or it is a duration that counts from something else ("two hours", "an hour later").
    """
    words = Words(tokens)
    if words[at] == "right" and words[at + 1] == "now":
        return now, at + 2
    if words[at] == "now" and all(words[i] in {"", "please"} for i in (at - 1, at + 1)):
        return now, at + 1
    begin = at + 1 if words[at] in {"in", "within"} else at
    found = _duration(tokens, words, begin)
    if found is None:
        return None
    minutes, end = found
    is_ahead = words[at] == "in"
    if words[end] == "from" and words[end + 1] == "now":
        is_ahead, end = True, end + 2
    if not is_ahead and words[end] in {"to", "till", "before", "past", "after"}:
        return None  # "ten minutes to one"
    if not is_ahead or now is None or minutes is None:
        return None, end
    total = now.hour * 60 + now.minute + minutes
    return (time(total // 60, total % 60) if total < _DAY else None), end


def _duration(tokens: Sequence[Token], words: Words, at: int) -> tuple[int | None, int] | None:
    """(minutes, end) of "an hour and a half", "twenty minutes"; None minutes in other units."""
    share, end = _share(words, at)
    if share is None:
        found = cardinal(tokens, at) if at < len(tokens) else None
        if found is not None and found[0] < 100:  # "eighteen hundred hours" is a time
            share, end = Fraction(found[0]), found[1]
        elif words[at] in {"a", "an"}:
            share, end = Fraction(1), at + 1
    unit = words[end]
    if share is None or unit not in _LONG:
        return None
    if at and words[at - 1] == "the" and unit == "hours":
        return None  # "las dieciocho horas"
    end += 1
    half = 3 if [words[end + i] for i in range(3)] == ["and", "a", "half"] else 0
    half = half or (2 if [words[end], words[end + 1]] == ["and", "half"] else 0)
    if half:
        share, end = share + Fraction(1, 2), end + half
    if unit not in _MINUTES:
        return None, end
    minutes = share * _MINUTES[unit]
    return (int(minutes) if minutes == int(minutes) else None), end


def _share(words: Words, at: int) -> tuple[Fraction | None, int]:
    """ "half an", "a quarter of an", "three quarters of an" before an hour."""
    for said, value in (
        (("three", "quarters", "of", "an"), Fraction(3, 4)),
        (("a", "quarter", "of", "an"), Fraction(1, 4)),
        (("one", "quarter", "of"), Fraction(1, 4)),
        (("half", "an"), Fraction(1, 2)),
        (("a", "half"), Fraction(1, 2)),
        (("half",), Fraction(1, 2)),
        (("a", "couple", "of"), Fraction(2)),
    ):
        if all(words[at + i] == word for i, word in enumerate(said)):
            end = at + len(said)
            if words[end] in _MINUTES:
                return value, end
    return None, at
