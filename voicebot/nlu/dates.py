"""Dates as callers say them, relative to `today`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from voicebot.nlu import holidays
from voicebot.nlu.entities import Span
from voicebot.nlu.month_days import (
    DAYS,
    Found,
    dated_weekday,
    end_of_month,
    nth_weekday,
    of_month,
)
from voicebot.nlu.numbers import cardinal
from voicebot.nlu.numeric_dates import numeric, written
from voicebot.nlu.text import Token, Words

_NEAR = {
    "today": 0, "tonight": 0, "tomorrow": 1, "overmorrow": 2, "yesterday": -1, "ereyesterday": -2,
}  # fmt: skip
_UNITS = {
    "day": 1, "days": 1, "week": 7, "weeks": 7, "fortnight": 14, "month": 0, "months": 0,
    "year": 0, "years": 0,
}  # fmt: skip
_WEEKS = frozenset(("week", "weeks", "fortnight"))


def dates(
    tokens: Sequence[Token], today: date, *, is_focus: bool = False, day_first: bool = False
) -> Iterator[Span]:
    """Dates in ISO 8601. Without a year the next such day, today included; "next friday" is
    that of the following calendar week, "friday" the first after today.

    `is_focus`: a date is asked for, so that years of two digits and dates in numbers alone count,
    those with the month first unless `day_first`.
    """
    at, last, is_named = 0, None, False
    while at < len(tokens):
        try:
            found = _date(tokens, at, today, last, is_focus=is_focus)
        except (ValueError, OverflowError):  # beyond the calendar
            found = None
        if found is None:
            at += 1
            continue
        day, end, is_bare = found
        is_named = True
        if day is not None:
            yield Span(at, end, day.isoformat(), is_bare)
            last = day
        at = end
    if is_focus and not is_named:
        in_numbers = numeric(tokens, today, day_first=day_first)
        if in_numbers is not None:
            yield in_numbers


def _date(
    tokens: Sequence[Token], at: int, today: date, last: date | None, *, is_focus: bool
) -> Found | None:
    """`last`: the date that was said before this one."""
    words = Words(tokens)
    return (
        written(tokens[at], at, today)
        or _near(words, at, today)
        or _beside(tokens, words, at, today, last)
        or _later(tokens, words, at, today)
        or dated_weekday(tokens, at, today, is_focus=is_focus)
        or nth_weekday(tokens, at, today)
        or _weekday(words, at, today)
        or holidays.holiday(words, at, today)
        or end_of_month(words, at, today)
        or of_month(tokens, at, today, is_focus=is_focus)
    )


def _near(words: Words, at: int, today: date) -> Found | None:
    if words[at] in _NEAR:
        return today + timedelta(days=_NEAR[words[at]]), at + 1, False
    start = at + 1 if words[at] == "the" else at
    if [words[start + i] for i in range(3)] == ["day", "after", "tomorrow"]:
        return today + timedelta(days=2), start + 3, False
    if [words[start + i] for i in range(3)] == ["day", "before", "yesterday"]:
        return today - timedelta(days=2), start + 3, False
    if [words[start], words[start + 1]] == ["next", "week"]:
        behind = start + 3 if words[start + 2] in {"on", "the"} else start + 2
        if words[behind] in DAYS:  # "next week on tuesday"
            return _next_week(today, DAYS[words[behind]]), behind + 1, False
        return today + timedelta(days=7), start + 2, False
    return None


def _next_week(today: date, weekday: int) -> date:
    return today + timedelta(days=7 - today.weekday() + weekday)


def _weekday(words: Words, at: int, today: date) -> Found | None:
    which = words[at] if words[at] in {"next", "this", "last", "coming"} else ""
    name = words[at + 1] if which else words[at]
    end = at + 2 if which else at + 1
    if name.endswith("s") and name[:-1] in DAYS:
        name = name[:-1]
    if name not in DAYS:
        return None
    ahead = (DAYS[name] - today.weekday()) % 7
    if which == "next":
        return _next_week(today, DAYS[name]), end, False
    if which == "last":
        ahead = ahead - 7
    elif which != "this" and ahead == 0:
        ahead = 7
    if not which and words[end] == "last":
        ahead, end = ahead - 7, end + 1
    elif not which and words[end] == "coming":
        end += 1
    if words[end] == "week":  # "friday week": a week after friday
        return today + timedelta(days=ahead + 7), end + 1, False
    behind = end + 1 if words[end] in {"of", "in"} else end
    behind = behind + 1 if words[behind] == "the" else behind
    if [words[behind], words[behind + 1]] == ["next", "week"]:
        return _next_week(today, DAYS[name]), behind + 2, False
    return today + timedelta(days=ahead), end, False


def _beside(
    tokens: Sequence[Token], words: Words, at: int, today: date, last: date | None
) -> Found | None:
    """ "the day after thanksgiving", "the friday before christmas"; "the day after" and "the next
    day" count from the `last` date that was said."""
    begin = at + 1 if words[at] == "the" else at
    name, link = words[begin], words[begin + 1]
    if begin > at and [name, link] in (["next", "day"], ["following", "day"]):
        return (last + timedelta(days=1), begin + 2, False) if last is not None else None
    if (name != "day" and name not in DAYS) or link not in {"before", "after"}:
        return None
    sign = 1 if link == "after" else -1
    base = _base(tokens, words, begin + 2, today) if begin + 2 < len(tokens) else None
    if base is None and name == "day" and last is not None:
        end = begin + 3 if words[begin + 2] == "that" else begin + 2
        return last + timedelta(days=sign), end, False
    if base is None or base[0] is None:
        return base
    if name == "day":
        return base[0] + timedelta(days=sign), base[1], False
    apart = sign * (DAYS[name] - base[0].weekday()) % 7 or 7
    return base[0] + timedelta(days=sign * apart), base[1], False


def _base(tokens: Sequence[Token], words: Words, at: int, today: date) -> Found | None:
    """A date that another one is counted from."""
    if words[at] == "next" and words[at + 1] in {"", "week"}:
        return None
    return (
        _near(words, at, today)
        or dated_weekday(tokens, at, today)
        or _weekday(words, at, today)
        or holidays.holiday(words, at, today)
        or of_month(tokens, at, today)
    )


def _later(tokens: Sequence[Token], words: Words, at: int, today: date) -> Found | None:
    """ "in three days", "two weeks from now", "a week ago", "a week on friday"."""
    begin = at + 1 if words[at] in {"in", "ago"} else at  # "ago three days" is the Spanish order
    counted = _count(tokens, words, begin)
    if counted is None:
        return None
    count, end = counted
    unit = words[end]
    if unit.removesuffix("s") in DAYS and [words[end + 1], words[end + 2]] == ["from", "now"]:
        return None, end + 3, False  # "two fridays from now"
    if unit not in _UNITS:
        return None
    end += 1
    on = end + 1 if words[end] == "on" else end
    if words[at] == "ago":
        return _moved(today, -count, unit), end, False
    if words[end] == "ago":
        return _moved(today, -count, unit), end + 1, False
    if words[end] == "from" and words[end + 1] == "now":
        return _moved(today, count, unit), end + 2, False
    if words[end] in {"from", "after", "before"} and end + 1 < len(tokens):
        base = _base(tokens, words, end + 1, today)
        if base is None or base[0] is None:
            return base
        sign = -1 if words[end] == "before" else 1
        return _moved(base[0], sign * count, unit), base[1], base[2]
    if unit in _WEEKS and words[on] in DAYS:
        weekday = _weekday(words, on, today)
        if begin == at and weekday is not None and weekday[0] is not None:
            return _moved(weekday[0], count, unit), weekday[1], False
        return None, on + 1, False  # "in two weeks on tuesday": before or after?
    return None if begin == at else (_moved(today, count, unit), end, False)


def _count(tokens: Sequence[Token], words: Words, at: int) -> tuple[int, int] | None:
    if words[at] in {"a", "an", "one"} and words[at + 1] in _UNITS:
        return 1, at + 1
    if words[at] == "week" and words[at + 1] in {"from", "on", "after"}:
        return 1, at  # recognisers lose the "a"
    found = cardinal(tokens, at) if at < len(tokens) else None
    if found is None or found[0] != int(found[0]) or found[0] > 1000:
        return None
    return int(found[0]), found[1]


def _moved(day: date, count: int, unit: str) -> date:
    """So many units later; earlier if negative."""
    if _UNITS[unit]:
        return day + timedelta(days=count * _UNITS[unit])
    months = day.month - 1 + count * (12 if unit.startswith("year") else 1)
    first = date(day.year + months // 12, months % 12 + 1, 1)
    return first.replace(day=min(day.day, holidays.last_of_month(first).day))
