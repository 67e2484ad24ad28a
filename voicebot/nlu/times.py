"""Times of day as callers say them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import time

from voicebot.nlu.entities import ZERO, Span
from voicebot.nlu.numbers import UNITS, cardinal
from voicebot.nlu.soon import soon
from voicebot.nlu.text import Token, Words

_MERIDIEM = frozenset(("am", "pm"))
_HOURS = frozenset(range(1, 13))
_PARTS = {"morning": "am", "afternoon": "pm", "evening": "pm", "night": "night", "tonight": "pm"}
_SMALL_HOURS = frozenset((12, 1, 2, 3, 4, 5))
"""Hours that are those behind midnight where they are "at night"."""


def times(tokens: Sequence[Token], now: time | None = None) -> Iterator[Span]:
    """Times of day as HH:MM. Without "am" or "pm" one to six are taken for the afternoon and
    the others as said, as shops and offices would. "In an hour" counts from `now`; without it,
    and where no hour was heard ("ten past"), nothing is read.
    """
    at = 0
    while at < len(tokens):
        ahead = soon(tokens, at, now)
        if ahead is not None:
            if ahead[0] is not None:
                yield Span(at, ahead[1], ahead[0].strftime("%H:%M"))
            at = ahead[1]
            continue
        if (broken_off := _without_hour(tokens, at)) is not None:
            at = broken_off
            continue
        found = _time(tokens, at)
        if found is None:
            number = cardinal(tokens, at)  # the five of "twenty five" is no hour
            at = number[1] if number is not None else at + 1
            continue
        hour, minute, end, is_bare = found
        yield Span(at, end, f"{hour:02d}:{minute:02d}", is_bare)
        at = end


def _time(tokens: Sequence[Token], at: int) -> tuple[int, int, int, bool] | None:
    words = Words(tokens)
    if words[at] in {"noon", "midday"}:
        return 12, 0, at + 1, False
    if words[at] == "midnight":
        return 0, 0, at + 1, False
    found = _relative(tokens, words, at) or _clock(tokens, words, at)
    if found is None:
        return None
    hour, minute, end, is_bare, is_24 = found
    meridiem, after = _meridiem(words, end)
    if meridiem == "night":
        meridiem = "am" if hour in _SMALL_HOURS else "pm"
    if meridiem and 1 <= hour <= 12:
        return hour % 12 + (12 if meridiem == "pm" else 0), minute, after, False
    if not is_24 and 1 <= hour <= 6:
        hour += 12
    return hour, minute, end, is_bare


def _without_hour(tokens: Sequence[Token], at: int) -> int | None:
    """The end of "ten past", of which no hour is known, and of "seven to eight", which is none."""
    words = Words(tokens)
    found = cardinal(tokens, at)
    if found is not None and found[0] in _HOURS - {5, 10} and words[found[1]] in {"to", "till"}:
        until = cardinal(tokens, found[1] + 1)
        if until is not None and until[0] in _HOURS:
            return until[1]
    middle = found[1] if found is not None else at + 1
    if found is None and words[at] not in {"half", "quarter"}:
        return None
    middle = middle + 1 if words[middle] in {"minutes", "minute"} else middle
    is_open = words[middle + 1] not in {"noon", "midday", "midnight"} and (
        middle + 1 >= len(tokens) or cardinal(tokens, middle + 1) is None
    )
    if words[middle] == "past" and is_open:
        return middle + 1
    return (
        middle + 1 if words[middle] in {"after", "to", "till"} and not words[middle + 1] else None
    )


def _relative(
    tokens: Sequence[Token], words: Words, at: int
) -> tuple[int, int, int, bool, bool] | None:
    """ "half past two", "quarter to five", "ten past three", and the British "half two"."""
    if words[at] == "half" and (named := _hour(tokens, at + 1)) and 1 <= named[0] <= 12:
        return named[0], 30, named[1], False, False
    begin = at + 1 if words[at] == "a" and words[at + 1] == "quarter" else at
    if words[begin] in {"half", "quarter"}:
        minute, middle = (30, begin + 1) if words[begin] == "half" else (15, begin + 1)
    else:
        found = cardinal(tokens, begin)
        if found is None or not 1 <= found[0] < 60 or found[0] != int(found[0]):
            return None
        minute, middle = int(found[0]), found[1]
        middle = middle + 1 if words[middle] in {"minutes", "minute"} else middle
    link = words[middle]
    if link not in {"past", "after", "to", "before", "till", "of"} or middle + 1 >= len(tokens):
        return None
    whole = {"noon": 12, "midday": 12, "midnight": 24}.get(words[middle + 1])
    if whole is not None:  # said in full: no afternoon is guessed
        total = (whole * 60 + (minute if link in {"past", "after"} else -minute)) % (24 * 60)
        return total // 60, total % 60, middle + 2, False, True
    hours = cardinal(tokens, middle + 1)
    if hours is None or not 1 <= hours[0] <= 12 or hours[0] != int(hours[0]):
        return None
    hour = int(hours[0])
    if link not in {"past", "after"}:
        hour, minute = (hour - 2) % 12 + 1, 60 - minute
    return hour, minute % 60, hours[1], False, False


def _clock(
    tokens: Sequence[Token], words: Words, at: int
) -> tuple[int, int, int, bool, bool] | None:
    token = tokens[at]
    if token.kind == "time":
        hour, minute = (int(p) for p in token.text.split(":"))
        is_24 = token.text[0] == "0" or hour > 12
        return (hour, minute, at + 1, False, is_24) if hour < 24 and minute < 60 else None
    if (military := _military(tokens, words, at)) is not None:
        return military
    found = _hour(tokens, at)
    if found is None:
        return None
    hour, end = found
    is_spanish = words[end] == "hours" and words[at - 1] == "the"  # "las dieciocho horas"
    if words[end] in {"o'clock", "oclock"} or is_spanish:
        return hour, 0, end + 1, False, hour > 12
    if words[end] == "hundred":
        return None
    if words[end] in {"oh", "o"} and words[end + 1] in UNITS:
        return hour, UNITS[words[end + 1]], end + 2, False, hour > 12
    second = cardinal(tokens, end) if end < len(tokens) and not token.breaks_after else None
    if second and 10 <= second[0] < 60 and second[0] == int(second[0]):
        return hour, int(second[0]), second[1], False, hour > 12
    is_named = at > 0 and tokens[at - 1].raw.lower() in {"la", "las"}  # "las ocho"
    return hour, 0, end, not is_named, hour > 12 or hour == 0


_DIGITAL = re.compile(r"([01]\d|2[0-3])([0-5]\d)|(\d|1\d|2[0-3])\.([0-5]\d)")


def _military(
    tokens: Sequence[Token], words: Words, at: int
) -> tuple[int, int, int, bool, bool] | None:
    """ "fourteen hundred [hours]", "oh nine hundred", "0930", and the British 9.30."""
    if tokens[at].kind == "number" and (written := _DIGITAL.fullmatch(tokens[at].text)):
        hour, minute = (int(part) for part in written.groups() if part)
        is_24 = written[1] is not None
        end = at + 2 if words[at + 1] == "hours" else at + 1
        return hour, minute, end, True, is_24
    has_zero = words[at] in ZERO
    found = cardinal(tokens, at + 1 if has_zero and at + 1 < len(tokens) else at)
    if found is None or not 100 <= found[0] < 2400 or found[0] != int(found[0]):
        return None
    hour, minute = divmod(int(found[0]), 100)
    is_named = words[found[1]] == "hours"
    is_said = words[found[1] - 1] == "hundred" and (has_zero or hour >= 10)
    if minute >= 60 or not (is_named or is_said):
        return None
    return hour, minute, found[1] + is_named, not is_named, True


def _hour(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    if at >= len(tokens):
        return None
    token = tokens[at]
    if token.kind == "number":
        if token.text.isdigit() and len(token.text) <= 2 and int(token.text) < 24:
            return int(token.text), at + 1
        return None
    found = cardinal(tokens, at)
    if found is None or found[0] != int(found[0]):
        return None
    if found[0] < 24:
        # "twenty" before a unit is one number; before "thirty" an hour and its minutes.
        return int(found[0]), found[1]
    return None


def _meridiem(words: Words, at: int) -> tuple[str | None, int]:
    if words[at] in _MERIDIEM:
        return words[at], at + 1
    if words[at] in {"a", "p"} and words[at + 1] == "m":
        return words[at] + "m", at + 2
    if words[at] == "in" and words[at + 1] == "the" and words[at + 2] in _PARTS:
        return _PARTS[words[at + 2]], at + 3
    if words[at] == "at" and words[at + 1] == "night":
        return "night", at + 2
    if words[at] in _PARTS:
        return _PARTS[words[at]], at + 1
    return None, at
