"""Days that callers call by name: "christmas eve", "thanksgiving", "the end of the month"."""

from __future__ import annotations

from datetime import date, timedelta

from voicebot.nlu.text import Words

_FIXED: dict[tuple[str, ...], tuple[int, int]] = {
    ("christmas", "eve"): (12, 24),
    ("christmas", "day"): (12, 25),
    ("christmas",): (12, 25),
    ("new", "year's", "eve"): (12, 31),
    ("new", "years", "eve"): (12, 31),
    ("new", "year's", "day"): (1, 1),
    ("new", "years", "day"): (1, 1),
    ("new", "year's"): (1, 1),
    ("valentine's", "day"): (2, 14),
    ("valentines", "day"): (2, 14),
    ("independence", "day"): (7, 4),
    ("halloween",): (10, 31),
    ("veterans", "day"): (11, 11),
    ("nochebuena",): (12, 24),
    ("navidad",): (12, 25),
    ("nochevieja",): (12, 31),
    ("ano", "nuevo"): (1, 1),
    ("reyes",): (1, 6),
}
_MOVING: dict[tuple[str, ...], tuple[int, int, int]] = {  # month, weekday, which of them
    ("martin", "luther", "king", "day"): (1, 0, 3),
    ("mother's", "day"): (5, 6, 2),
    ("memorial", "day"): (5, 0, -1),
    ("father's", "day"): (6, 6, 3),
    ("labor", "day"): (9, 0, 1),
    ("thanksgiving", "day"): (11, 3, 4),
    ("thanksgiving",): (11, 3, 4),
}
"""Those of the United States, whose callers the recogniser understands."""
_EASTER = {("good", "friday"): -2, ("easter", "sunday"): 0, ("easter", "monday"): 1, ("easter",): 0}
_LONGEST = 4


def holiday(words: Words, at: int, today: date) -> tuple[date, int, bool] | None:
    """(day, end, False) of the next such day, today included."""
    begin = at + 1 if words[at] == "the" else at
    for end_of_month in (["end", "of", "the", "month"], ["end", "of", "month"]):
        if [words[begin + i] for i in range(len(end_of_month))] == end_of_month:
            return last_of_month(today), begin + len(end_of_month), False
    if words[at] in {"this", "the"} and words[at + 1] == "weekend":
        return today + timedelta(days=(5 - today.weekday()) % 7), at + 2, False
    for length in range(_LONGEST, 0, -1):
        name = tuple(words[at + i] for i in range(length))
        for year in (today.year, today.year + 1):
            day = _in_year(name, year)
            if day is not None and day >= today:
                return day, at + length, False
    return None


def _in_year(name: tuple[str, ...], year: int) -> date | None:
    if name in _FIXED:
        return date(year, *_FIXED[name])
    if name in _EASTER:
        return easter(year) + timedelta(days=_EASTER[name])
    return nth_weekday(year, *_MOVING[name]) if name in _MOVING else None


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by Oudin's algorithm."""
    century = year // 100
    golden = year % 19
    skipped = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon = skipped - (skipped // 28) * (
        1 - (skipped // 28) * (29 // (skipped + 1)) * ((21 - golden) // 11)
    )
    sunday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    ahead = moon - sunday
    return date(year, 3 + (ahead + 26) // 30, 1 + (ahead + 27 + (ahead + 6) // 40) % 31)


def nth_weekday(year: int, month: int, weekday: int, count: int) -> date | None:
    """The count-th such weekday (0 is Monday) of a month, -1 the last; None where there is none."""
    first = date(year, month, 1)
    if count < 0:
        last = last_of_month(first)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    day = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))
    return day if day.month == month else None


def last_of_month(day: date) -> date:
    """The last day of the month that a day is in."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
