"""Days of a month: "may third seventy four", "the fifteenth", "the last friday of the month"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from voicebot.nlu import holidays
from voicebot.nlu.numbers import TENS, cardinal, ordinal
from voicebot.nlu.text import Token, Words
from voicebot.nlu.words import word_list
from voicebot.nlu.years import full_year, short_year

_MONTHS = word_list(
    "january february march april may june july august september october november december"
)
MONTHS = {name: n for n, name in enumerate(_MONTHS, start=1)}
MONTHS |= {name[:3]: n for name, n in MONTHS.items()} | {"sept": 9}
_DAYS = word_list("monday tuesday wednesday thursday friday saturday sunday")
DAYS = {name: n for n, name in enumerate(_DAYS)}
NEAR_MONTHS = 3
"""How far ahead "friday the fourth" may be; callers err more often than they plan so far."""
Found = tuple[date | None, int, bool]
"""(day, end, is bare); no day where one was named that cannot be told, or is none."""


def of_month(
    tokens: Sequence[Token], at: int, today: date, *, is_focus: bool = False
) -> Found | None:
    """ "may third [twenty twenty seven]", "the third of may [seventy]", "the fifteenth"."""
    words = Words(tokens)
    if words[at] in MONTHS:
        begin = at + 2 if words[at + 1] == "the" else at + 1
        day = day_number(tokens, begin)
        if day is None:
            return None
        return _dated(tokens, day[1], today, MONTHS[words[at]], day[0], is_focus=is_focus)
    begin = at + 1 if words[at] == "the" else at
    day = day_number(tokens, begin)
    if day is None:
        return None
    end = day[1] + 1 if words[day[1]] == "of" else day[1]
    if words[end] in MONTHS:
        year_at = end + 2 if words[end + 1] == "of" else end + 1
        month = MONTHS[words[end]]
        whole = _dated(tokens, year_at, today, month, day[0], is_focus=is_focus)
        return whole if whole[1] > year_at else (whole[0], end + 1, False)
    # "friday thirteenth", but "friday first thing"
    follows = at > 0 and words[at - 1] in DAYS and words[at] not in {"first", "second", "third"}
    if (begin == at and not follows) or ordinal(tokens, begin) is None:
        return None
    return None if words[day[1]] in {"one", "option", "choice"} else _coming(day, today)


def _coming(day: tuple[int, int], today: date) -> Found | None:
    """The next such day of a month."""
    month = today.replace(day=1)
    for _ in range(12):
        last = holidays.last_of_month(month)
        if day[0] <= last.day and month.replace(day=day[0]) >= today:
            return month.replace(day=day[0]), day[1], True
        month = last + timedelta(days=1)
    return None


def end_of_month(words: Words, at: int, today: date) -> Found | None:
    """ "the end of november"."""
    begin = at + 1 if words[at] == "the" else at
    month = MONTHS.get(words[begin + 2])
    if [words[begin], words[begin + 1]] != ["end", "of"] or month is None:
        return None
    first = next_day(today.replace(day=1), month, 1)
    return holidays.last_of_month(first), begin + 3, False


def dated_weekday(
    tokens: Sequence[Token], at: int, today: date, *, is_focus: bool = False
) -> Found | None:
    """ "friday the fourth", "friday december fourth": no day where the two contradict."""
    words = Words(tokens)
    if words[at] not in DAYS:
        return None
    if [words[at + 1], words[at + 2]] == ["after", "next"]:
        return None, at + 3, False  # callers do not agree on which that is
    is_ordinal = at + 1 < len(tokens) and ordinal(tokens, at + 1) is not None
    if words[at + 1] not in MONTHS | {"the": 0} and not is_ordinal:
        return None
    found = of_month(tokens, at + 1, today, is_focus=is_focus)
    if found is None:
        return None
    day, end, is_bare = found
    if not is_bare or day is None:
        fits = day is not None and day.weekday() == DAYS[words[at]]
        return (day if fits else None), end, False
    month = today.replace(day=1)
    for _ in range(NEAR_MONTHS):
        last = holidays.last_of_month(month)
        if day.day <= last.day:
            one = month.replace(day=day.day)
            if one >= today and one.weekday() == DAYS[words[at]]:
                return one, end, False
        month = last + timedelta(days=1)
    return None, end, False


def nth_weekday(tokens: Sequence[Token], at: int, today: date) -> Found | None:
    """ "the first monday in december", "the last friday of the month", "the last day of may"."""
    words = Words(tokens)
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


def day_number(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(number, end) of a day of the month: "third", "three", the thirty of "thirty two thousand
    seven"."""
    if at >= len(tokens):
        return None
    found = ordinal(tokens, at)
    if found is None:
        number = cardinal(tokens, at)
        if number is None or number[0] != int(number[0]):
            return None
        found = int(number[0]), number[1]
        tens = TENS.get(tokens[at].text, 0)
        if found[0] > 31 and tens and full_year(tokens, at + 1) is not None:
            found = tens, at + 1
    return found if 1 <= found[0] <= 31 else None


def _dated(
    tokens: Sequence[Token], at: int, today: date, month: int, day: int, *, is_focus: bool
) -> Found:
    """The day, with the year that stands at `at`, if one does."""
    found = full_year(tokens, at)
    if found is None and is_focus:
        found = short_year(tokens, at, today)
    end = found[1] if found else at
    try:
        return (date(found[0], month, day) if found else next_day(today, month, day)), end, False
    except ValueError:  # 31 November
        return None, end, False


def next_day(today: date, month: int, day: int) -> date:
    """The next such day, today included (29 February waits for a leap year); ValueError where
    there is none."""
    for year in range(today.year, today.year + 9):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError(f"no {month}/{day}")
