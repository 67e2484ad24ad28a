"""Dates in numbers alone: 2026-05-03, "seven four eighty four", "zero five zero three ..."."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from voicebot.nlu.digits import digit_runs
from voicebot.nlu.entities import Span
from voicebot.nlu.month_days import day_number, next_day
from voicebot.nlu.numbers import ordinal
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_set
from voicebot.nlu.years import century_of, full_year, short_year

_CARRIERS = word_set("it it's its is that's on for the of my birthday please and")
_QUARTERS = frozenset((15, 30))
"""Of "nine thirty" alone nobody can tell whether it is a time of day."""
_ZERO = word_set("oh o zero 0")


def written(token: Token, at: int, today: date) -> tuple[date, int, bool] | None:
    """2026-05-03, or month/day with or without a year as Americans write it."""
    if token.kind != "date":
        return None
    if "-" in token.text:
        parts = token.text.split("-")
        return date.fromisoformat("-".join(part.zfill(2) for part in parts)), at + 1, False
    numbers = [int(part) for part in token.text.split("/")]
    if len(numbers) == 3:
        year = century_of(numbers[2], today) if numbers[2] < 100 else numbers[2]
        return date(year, numbers[0], numbers[1]), at + 1, False
    return next_day(today, numbers[0], numbers[1]), at + 1, False


def numeric(tokens: Sequence[Token], today: date, *, day_first: bool) -> Span | None:
    """A date where only numbers were said for one: eight digits, or month, day and year; without a
    year nothing else may have been said."""
    for run in digit_runs(tokens):
        value = run.readings[0]
        is_told = len(value) == 8 and len(run.readings) == 1
        if is_told and (found := _of_digits(value, day_first=day_first)):
            return Span(run.start, run.end, found.isoformat())
    for at in range(len(tokens)):
        found_here = _parts(tokens, at, today, day_first=day_first)
        if found_here is not None:
            return Span(at, found_here[1], found_here[0].isoformat())
    return None


def _of_digits(value: str, *, day_first: bool) -> date | None:
    """MMDDYYYY, as it is keyed; DDMMYYYY where the day comes first."""
    month, day = int(value[:2]), int(value[2:4])
    return _valid(int(value[4:]), *((day, month) if day_first else (month, day)))


def _parts(
    tokens: Sequence[Token], at: int, today: date, *, day_first: bool
) -> tuple[date, int] | None:
    first = _part(tokens, at)
    second = _part(tokens, first[1]) if first else None
    if first is None or second is None or ordinal(tokens, at) is not None:
        return None
    pair = (first[0], second[0])
    month, day = pair[::-1] if day_first else pair
    if month > 12 >= day:
        month, day = day, month
    behind = second[1]
    year = full_year(tokens, behind) or short_year(tokens, behind, today, is_sure=True)
    if year is not None:
        found = _valid(year[0], month, day)
        return (found, year[1]) if found is not None else None
    others = [token.text for token in (*tokens[:at], *tokens[behind:])]
    if not _CARRIERS.issuperset(others) or day in _QUARTERS:
        return None
    try:
        return next_day(today, month, day), behind
    except ValueError:
        return None


def _part(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """A month or a day in numbers, "oh four" too."""
    if at >= len(tokens):
        return None
    begin = at + 1 if tokens[at].text in _ZERO else at
    if begin >= len(tokens):
        return None
    if (place := ordinal(tokens, begin)) is not None:
        return place if begin == at else None
    found = day_number(tokens, begin)
    return found if found is not None and (begin == at or found[0] <= 9) else None


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if 1900 <= year < 2200 else None
