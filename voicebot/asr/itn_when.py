"""English dates and times as they are written: "half past five" -> "5:30"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from voicebot.asr.itn_numbers import (
    Found,
    Group,
    Run,
    Tokens,
    core_at,
    inside,
    ordinal,
    run,
    unit_after,
)

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_VERBS = frozenset({"may", "march"})
"""Months that are verbs as well: a day must follow as an ordinal."""
_WEEKDAYS = {f"{day}day" for day in ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")}
_TIME_BEFORE = frozenset(
    {"at", "by", "until", "till", "around", "before", "after", "past", "since", "from"}
)
_DAYTIME = frozenset({"tomorrow", "today", "tonight", "sharp", *_WEEKDAYS})
_PAST = {("half", "past"): 30, ("quarter", "past"): 15, ("quarter", "to"): 45}
_TIME_AFTER = _DAYTIME | {
    *("on", "in", "please", "and", "or", "to", "for", "with", "this", "next", "if", "is", "was"),
    *(
        "i",
        "we",
        "you",
        "when",
        "because",
        "but",
        "so",
        "then",
        "until",
        "till",
        "every",
        "o'clock",
    ),
}
"""A time is over before these: "at five thirty tomorrow", but "at five thirty oak avenue"."""
PLACES = frozenset(
    "room flight apartment suite unit gate route bus highway extension boeing number".split()  # noqa: SIM905
)


# ---------------------------------------------------------------- dates


def date_at(tokens: Tokens, at: int) -> Found:
    """ "the twenty first of march", "march (the) twenty first", "june five", each with a year."""
    core = core_at(tokens, at)
    if core in MONTHS:
        return _month_first(tokens, at)
    first = at + 1 if core == "the" and inside(tokens, at + 1) else at
    day = ordinal(tokens, first)
    if day is None:
        return None
    has_of = inside(tokens, day[1]) == "of"
    where = day[1] + has_of
    month = inside(tokens, where)
    if month not in MONTHS or not 1 <= day[0] <= 31:
        return None
    year = _year(tokens, where + 1)
    if month in _VERBS and not has_of and year is None:
        return None
    return _dated(month, day[0], year, where + 1)


def _month_first(tokens: Tokens, at: int) -> Found:
    month = tokens[at].core
    first = at + 1 + (inside(tokens, at + 1) == "the")
    day = ordinal(tokens, first) if inside(tokens, first) else None
    if day is not None and 1 <= day[0] <= 31:
        return _dated(month, day[0], _year(tokens, day[1]), day[1])
    numbers = run(tokens, at + 1) if inside(tokens, at + 1) else None
    if month in _VERBS or numbers is None or is_time(tokens, numbers):
        return None
    if (year := year_of(numbers.groups)) is not None:
        return f"{month.capitalize()} {year}", numbers.end
    day_group, rest = numbers.groups[0], numbers.groups[1:]
    year = year_of(rest)
    if not 1 <= day_group.value <= 31 or (rest and year is None) or unit_after(tokens, numbers):
        return None
    told = None if year is None else (year, numbers.end)
    return _dated(month, day_group.value, told, numbers.end)


def _dated(month: str, day: int, year: tuple[str, int] | None, end: int) -> tuple[str, int]:
    if year is None:
        return f"{month.capitalize()} {day}", end
    return f"{month.capitalize()} {day}, {year[0]}", year[1]


def _year(tokens: Tokens, at: int) -> tuple[str, int] | None:
    """The year that begins at a token, perhaps after a comma."""
    if at >= len(tokens) or tokens[at].lead or tokens[at - 1].tail not in {"", ","}:
        return None
    numbers = run(tokens, at)
    year = year_of(numbers.groups) if numbers is not None else None
    if numbers is None or year is None or unit_after(tokens, numbers):
        return None
    return year, numbers.end


def year_of(groups: Sequence[Group]) -> str | None:
    """1900 to 2099 as one number, or told in halves."""
    figures = [group.figures for group in groups]
    if len(figures) == 1:
        is_year = groups[0].kind == "number" and 1900 <= groups[0].value <= 2099
        return figures[0] if is_year else None
    if figures[:1] not in (["19"], ["20"]):
        return None
    if len(figures) == 2 and 10 <= groups[1].value <= 99:
        return "".join(figures)
    is_oh = len(figures) == 3 and groups[1].kind == "oh" and len(figures[2]) == 1
    return "".join(figures) if is_oh else None


# ---------------------------------------------------------------- times


def _half(tokens: Tokens, at: int) -> tuple[str, int] | None:
    """("AM" or "PM", end) of what begins at a token; "am I" is none."""
    core = inside(tokens, at)
    if re.fullmatch(r"[ap]\.?m", core):
        if core == "am" and inside(tokens, at + 1) in {"i", "not", "so"}:
            return None
        return f"{core[0].upper()}M", at + 1
    is_split = (
        core in {"a", "p"} and tokens[at].tail in {"", "."} and core_at(tokens, at + 1) == "m"
    )
    return (f"{core[0].upper()}M", at + 2) if is_split else None


def clock_at(tokens: Tokens, at: int) -> Found:
    """ "half past five", "(a) quarter to six pm", "5:30 pm"."""
    start = at + (core_at(tokens, at) == "a" and inside(tokens, at + 1) == "quarter")
    part, side = core_at(tokens, start), inside(tokens, start + 1)
    minutes = {("half", "past"): 30, ("quarter", "past"): 15, ("quarter", "to"): 45}.get(
        (part, side)
    )
    if minutes is None:
        found = re.fullmatch(r"\d{1,2}:\d\d", part, re.ASCII)
        half = _half(tokens, at + 1) if found else None
        return (f"{part} {half[0]}", half[1]) if half else None
    numbers = run(tokens, start + 2) if inside(tokens, start + 2) else None
    only = numbers.only if numbers is not None else None
    if numbers is None or only is None or not 1 <= only.value <= 12:
        return None
    hour = only.value - (minutes == 45) or 12
    return _finished(tokens, f"{hour}:{minutes}", numbers)


def _finished(tokens: Tokens, time: str, numbers: Run) -> Found:
    """The time with its half of the day, None where what follows makes it no time."""
    if (half := _half(tokens, numbers.end)) is not None:
        return f"{time} {half[0]}", half[1]
    following = inside(tokens, numbers.end)
    return (time, numbers.end) if not following or following in _TIME_AFTER else None


def _time_of(groups: Sequence[Group]) -> str | None:
    """ "5", "5:30", "10:05" of an hour and what follows it."""
    if groups[0].kind in {"decimal", "oh"} or not 1 <= groups[0].value <= 12:
        return None
    hour = groups[0].value
    if len(groups) == 1:
        return str(hour)
    if len(groups) == 2 and groups[1].kind == "number" and 10 <= groups[1].value <= 59:
        return f"{hour}:{groups[1].figures}"
    is_oh = len(groups) == 3 and groups[1].kind == "oh" and groups[2].kind == "digit"
    return f"{hour}:0{groups[2].figures}" if is_oh else None


def is_time(tokens: Tokens, numbers: Run) -> bool:
    return _half(tokens, numbers.end) is not None


def time_at(tokens: Tokens, at: int, numbers: Run) -> Found:
    """Numbers before "pm" or "o'clock", or told like a time where one is expected."""
    time = _time_of(numbers.groups)
    if time is None:
        return None
    following = inside(tokens, numbers.end)
    if following in {"o'clock", "oclock"} and ":" not in time:
        half = _half(tokens, numbers.end + 1)
        end = numbers.end + 1
        return (f"{time}:00 {half[0]}", half[1]) if half else (f"{time}:00", end)
    if is_time(tokens, numbers):
        return _finished(tokens, time, numbers)
    before = core_at(tokens, at - 1)
    is_daytime = following in _DAYTIME and before not in PLACES
    if ":" not in time or not (before in _TIME_BEFORE or is_daytime):
        return None
    return _finished(tokens, time, numbers)
