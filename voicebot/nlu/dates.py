"""Dates as callers say them, relative to `today`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from voicebot.nlu import holidays
from voicebot.nlu.entities import Span
from voicebot.nlu.numbers import TENS, UNITS, cardinal, ordinal
from voicebot.nlu.text import Token, Words
from voicebot.nlu.words import word_list

_MONTHS = word_list(
    "january february march april may june july august september october november december"
)
MONTHS = {name: n for n, name in enumerate(_MONTHS, start=1)}
MONTHS |= {name[:3]: n for name, n in MONTHS.items()} | {"sept": 9}
_DAYS = word_list("monday tuesday wednesday thursday friday saturday sunday")
DAYS = {name: n for n, name in enumerate(_DAYS)}
_NEAR = {
    "today": 0, "tonight": 0, "tomorrow": 1, "overmorrow": 2, "yesterday": -1, "ereyesterday": -2,
}  # fmt: skip
_UNITS = {"day": 1, "days": 1, "week": 7, "weeks": 7, "fortnight": 14, "month": 0, "months": 0}
FIRST_YEAR, LAST_YEAR = 1900, 2199
NEAR_MONTHS = 3
"""How far ahead "friday the fourth" may be; callers err more often than they plan so far."""


def dates(tokens: Sequence[Token], today: date) -> Iterator[Span]:
    """Dates in ISO 8601. Without a year the next such day, today included; "next friday" is
    that of the following calendar week, "friday" the first after today."""
    at = 0
    while at < len(tokens):
        try:
            found = _date(tokens, at, today)
        except (ValueError, OverflowError):  # 31 February, or beyond the calendar
            found = None
        if found is None:
            at += 1
        else:
            day, end, is_bare = found
            if day is not None:
                yield Span(at, end, day.isoformat(), is_bare)
            at = end


def _date(tokens: Sequence[Token], at: int, today: date) -> tuple[date | None, int, bool] | None:
    """(day, end, is bare); no day where one was named that cannot be told, or is none."""
    words = Words(tokens)
    return (
        _written(tokens[at], at, today)
        or _near(words, at, today)
        or _later(tokens, words, at, today)
        or _dated_weekday(tokens, words, at, today)
        or _nth_weekday(tokens, words, at, today)
        or _weekday(words, at, today)
        or holidays.holiday(words, at, today)
        or _of_month(tokens, words, at, today)
    )


def _written(token: Token, at: int, today: date) -> tuple[date, int, bool] | None:
    """2026-05-03, or month/day with or without a year as Americans write it."""
    if token.kind != "date":
        return None
    if "-" in token.text:
        return (
            date.fromisoformat("-".join(p.zfill(2) for p in token.text.split("-"))),
            at + 1,
            False,
        )
    parts = [int(p) for p in token.text.split("/")]
    if len(parts) == 3:
        year = parts[2] + (2000 if parts[2] < 70 else 1900) if parts[2] < 100 else parts[2]
        return date(year, parts[0], parts[1]), at + 1, False
    return _next(today, parts[0], parts[1]), at + 1, False


def _near(words: Words, at: int, today: date) -> tuple[date, int, bool] | None:
    if words[at] in _NEAR:
        return today + timedelta(days=_NEAR[words[at]]), at + 1, False
    start = at + 1 if words[at] == "the" else at
    if [words[start + i] for i in range(3)] == ["day", "after", "tomorrow"]:
        return today + timedelta(days=2), start + 3, False
    if [words[start + i] for i in range(3)] == ["day", "before", "yesterday"]:
        return today - timedelta(days=2), start + 3, False
    if words[at] == "next" and words[at + 1] == "week":
        return today + timedelta(days=7), at + 2, False
    return None


def _weekday(words: Words, at: int, today: date) -> tuple[date, int, bool] | None:
    which = words[at] if words[at] in {"next", "this", "last", "coming"} else ""
    name = words[at + 1] if which else words[at]
    end = at + 2 if which else at + 1
    if name.endswith("s") and name[:-1] in DAYS:
        name = name[:-1]
    if name not in DAYS:
        return None
    ahead = (DAYS[name] - today.weekday()) % 7
    if which == "next":
        ahead = 7 - today.weekday() + DAYS[name]
    elif which == "last":
        ahead = ahead - 7
    elif which != "this" and ahead == 0:
        ahead = 7
    if not which and words[end] == "last":
        ahead, end = ahead - 7, end + 1
    elif not which and words[end] == "coming":
        end += 1
    if words[end] == "week":  # "friday week": a week after friday
        return today + timedelta(days=ahead + 7), end + 1, False
    if [words[end], words[end + 1]] == ["next", "week"]:
        return today + timedelta(days=7 - today.weekday() + DAYS[name]), end + 2, False
    return today + timedelta(days=ahead), end, False


def _later(
    tokens: Sequence[Token], words: Words, at: int, today: date
) -> tuple[date, int, bool] | None:
    """ "in three days", "two weeks from now", "a week ago"."""
    begin = at + 1 if words[at] in {"in", "ago"} else at  # "ago three days" is the Spanish order
    if words[begin] in {"a", "an", "one"} and words[begin + 1] in _UNITS:
        count, end = 1, begin + 1
    else:
        found = cardinal(tokens, begin) if begin < len(tokens) else None
        if found is None or found[0] != int(found[0]) or found[0] > 1000:
            return None
        count, end = int(found[0]), found[1]
    unit = words[end]
    if unit not in _UNITS:
        return None
    end += 1
    sign = 1
    if words[at] == "ago":
        sign = -1
    elif words[end] == "ago":
        sign, end = -1, end + 1
    elif words[end] == "from" and words[end + 1] == "now":
        end += 2
    elif words[end] in {"from", "after"} and end + 1 < len(tokens):
        base = _near(words, end + 1, today) or _weekday(words, end + 1, today)
        base = base or _of_month(tokens, words, end + 1, today)
        if base is None:
            return None
        today, end = base[0], base[1]
    elif begin == at:
        return None
    if _UNITS[unit]:
        return today + timedelta(days=sign * count * _UNITS[unit]), end, False
    month = today.month - 1 + sign * count
    year, month = today.year + month // 12, month % 12 + 1
    day = min(today.day, (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day)
    return date(year, month, day), end, False


def _of_month(
    tokens: Sequence[Token], words: Words, at: int, today: date
) -> tuple[date, int, bool] | None:
    """ "may third [twenty twenty seven]", "the third of may", "the fifteenth"."""
    if words[at] in MONTHS:
        begin = at + 2 if words[at + 1] == "the" else at + 1
        day = _day(tokens, begin)
        if day is None:
            return None
        return (*_with_year(tokens, day[1], today, MONTHS[words[at]], day[0]), False)
    begin = at + 1 if words[at] == "the" else at
    # "friday thirteenth", but "friday first thing"
    follows = at > 0 and words[at - 1] in DAYS and words[at] not in {"first", "second", "third"}
    day = _day(tokens, begin) if begin < len(tokens) else None
    if day is None:
        return None
    end = day[1] + 1 if words[day[1]] == "of" else day[1]
    if words[end] in MONTHS:
        year_at = end + 2 if words[end + 1] == "of" else end + 1
        until = _with_year(tokens, year_at, today, MONTHS[words[end]], day[0])
        return until[0], max(end + 1, until[1] if until[1] > year_at else end + 1), False
    is_ordinal = ordinal(tokens, begin) is not None
    if (
        (begin == at and not follows)
        or not is_ordinal
        or words[day[1]] in {"one", "option", "choice"}
    ):
        return None
    month = today.replace(day=1)
    for _ in range(12):
        last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        if day[0] <= last.day and month.replace(day=day[0]) >= today:
            return month.replace(day=day[0]), day[1], True
        month = last + timedelta(days=1)
    return None


def _dated_weekday(
    tokens: Sequence[Token], words: Words, at: int, today: date
) -> tuple[date | None, int, bool] | None:
    """ "friday the fourth", "friday december fourth": no day where the two contradict."""
    if words[at] not in DAYS:
        return None
    if [words[at + 1], words[at + 2]] == ["after", "next"]:
        return None, at + 3, False  # callers do not agree on which that is
    if words[at + 1] not in MONTHS | {"the": 0} and not _is_ordinal(tokens, at + 1):
        return None
    found = _of_month(tokens, words, at + 1, today)
    if found is None:
        return None
    day, end, is_bare = found
    if not is_bare:
        return (day if day.weekday() == DAYS[words[at]] else None), end, False
    month = today.replace(day=1)
    for _ in range(NEAR_MONTHS):
        last = holidays.last_of_month(month)
        if day.day <= last.day:
            one = month.replace(day=day.day)
            if one >= today and one.weekday() == DAYS[words[at]]:
                return one, end, False
        month = last + timedelta(days=1)
    return None, end, False


def _is_ordinal(tokens: Sequence[Token], at: int) -> bool:
    return at < len(tokens) and ordinal(tokens, at) is not None


def _nth_weekday(
    tokens: Sequence[Token], words: Words, at: int, today: date
) -> tuple[date | None, int, bool] | None:
    """ "the first monday in december", "the last friday of the month", "the last day of may"."""
    begin = at + 1 if words[at] == "the" else at
    found = ordinal(tokens, begin) if begin < len(tokens) else None
    count, end = found or ((-1, begin + 1) if words[begin] == "last" else (0, begin))
    name = words[end]
    if not count or (name not in DAYS and name != "day"):
        return None
    months = _months(words, end + 1, today) if words[end + 1] in {"in", "of"} else None
    if months is None:  # of which month?
        return (None, end + 1, False) if found is not None and name in DAYS else None
    if name in DAYS and count > 5:
        return None
    for month in months[0]:
        if name in DAYS:
            day = holidays.nth_weekday(month.year, month.month, DAYS[name], count)
        else:
            last = holidays.last_of_month(month)
            day = last if count < 0 else month.replace(day=count) if count <= last.day else None
        if day is not None and day >= today:
            return day, months[1], False
    return None, months[1], False


def _months(words: Words, at: int, today: date) -> tuple[list[date], int] | None:
    """The months that "of december", "of the month", "of next month" may mean, as their first
    days, and where that ends."""
    if words[at + 1] in MONTHS:
        month = MONTHS[words[at + 1]]
        return [date(year, month, 1) for year in (today.year, today.year + 1)], at + 2
    begin = at + 2 if words[at + 1] in {"the", "this", "next"} else at + 1
    is_next = words[at + 1] == "next"
    if words[begin] == "next":
        is_next, begin = True, begin + 1
    if words[begin] != "month":
        return None
    first = today.replace(day=1)
    end = begin + 1
    if words[end] == "coming":  # "del mes que viene"
        is_next, end = True, end + 1
    return [holidays.last_of_month(first) + timedelta(days=1) if is_next else first], end


def _day(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    if at >= len(tokens):
        return None
    found = ordinal(tokens, at)
    if found is None:
        number = cardinal(tokens, at)
        if number is None or number[0] != int(number[0]):
            return None
        found = int(number[0]), number[1]
        if found[0] > 31 and tokens[at].text in TENS | UNITS:  # "may five twenty twenty six"
            return None
    return found if 1 <= found[0] <= 31 else None


def _with_year(
    tokens: Sequence[Token], at: int, today: date, month: int, day: int
) -> tuple[date, int]:
    found = _year(tokens, at)
    return (date(found[0], month, day), found[1]) if found else (_next(today, month, day), at)


def _year(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """ "2027", "twenty twenty seven", "nineteen eighty", "two thousand and one"."""
    if at >= len(tokens):
        return None
    first = cardinal(tokens, at)
    if first is None or first[0] != int(first[0]):
        return None
    value, end = int(first[0]), first[1]
    if 19 <= value <= 21 and end < len(tokens):
        second = cardinal(tokens, end)
        if second and 10 <= second[0] < 100 and second[0] == int(second[0]):
            value, end = value * 100 + int(second[0]), second[1]
    return (value, end) if FIRST_YEAR <= value <= LAST_YEAR else None


def _next(today: date, month: int, day: int) -> date:
    """The next such day, today included (29 February waits for a leap year)."""
    for year in range(today.year, today.year + 9):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError(f"no {month}/{day}")
