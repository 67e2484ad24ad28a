"""The short forms that a plan may use, turned into the long ones before validation.

Each takes what stands in the file and gives what the schema describes; what it does not know it
leaves as it is, for pydantic to refuse.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, Strict, StringConstraints

LONGEST_MS = 600_000
"""No caller is waited for longer than ten minutes; who writes so means milliseconds."""

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict()]
"""As YAML writes them: "yes" and "1" are words."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def duration(value: object) -> object:
    """`2s` or `500ms` as milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is written like 2s or 500ms")
    number = float(match[1])
    return round(number if match[2] == "ms" else number * 1000)


def silence(value: object) -> object:
    """A duration that may be nothing, but not an hour."""
    return _within(duration(value), 0)


def patience(value: object) -> object:
    """A duration in which a caller can do something."""
    return _within(duration(value), 100)


def _within(ms: object, lowest_ms: int) -> object:
    if isinstance(ms, int) and not lowest_ms <= ms <= LONGEST_MS:
        raise ValueError(f"between {lowest_ms}ms and {LONGEST_MS // 60_000} minutes")
    return ms


def key_text(value: object) -> object:
    """A number as text: keys and the like."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def terminator(value: object) -> object:
    """`false` as no key at all."""
    return "" if value is False else key_text(value)


def say_parts(value: object) -> object:
    """A text, a part or a list of both as prompt parts."""
    if isinstance(value, str | dict):
        value = [value]
    if isinstance(value, list):
        return [{"say": part} if isinstance(part, str) else part for part in value]
    return value


def ladder(value: object) -> object:
    """A text or one rung as a ladder."""
    if not isinstance(value, list):
        value = [value]
    return [{"prompt": entry} if isinstance(entry, str) else entry for entry in value]


def steps(value: object) -> object:
    """A text or one step as steps."""
    if not isinstance(value, list):
        value = [value]
    return [{"say": step} if isinstance(step, str) else step for step in value]


def listed(value: object) -> object:
    """A text as a list of one."""
    return [value] if isinstance(value, str) else value


def same_names(value: object) -> object:
    """Names as a mapping of each to itself."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return {item: item for item in value}
    return value


def expressions(value: object) -> object:
    """Numbers and booleans as the text of an expression."""
    if isinstance(value, dict):
        return {
            key: str(item).lower() if isinstance(item, bool) else number_text(item)
            for key, item in value.items()
        }
    return value


def number_text(value: object) -> object:
    """A number as text."""
    return str(value) if isinstance(value, int | float) else value


def choices(value: object) -> object:
    """A list or short mapping as choices."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                what = f"{str(item).lower()} in quotes" if isinstance(item, bool) else "words"
                raise ValueError(f"a list of choices holds words and numbers; write {what}")
        value = {str(item): None for item in value}
    if isinstance(value, dict):
        return {key: _choice(item) for key, item in value.items()}
    return value


def _choice(value: object) -> object:
    if value is None:
        return {}
    return {"phrases": listed(value)} if isinstance(value, str | list) else value


def length(value: object) -> object:
    """A number as an exact length."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"min": value, "max": value}
    return value


def barge_in(value: object) -> object:
    """A boolean as a mode, as VoiceXML's `bargein`."""
    return {True: "speech", False: "none"}[value] if isinstance(value, bool) else value


def confirm(value: object) -> object:
    """A word or boolean as confirmation keys."""
    if isinstance(value, bool):
        value = "always" if value else "never"
    return {"mode": value} if isinstance(value, str) else value


def tools(value: object) -> object:
    """A list of services as a mapping without conditions."""
    if isinstance(value, list):
        value = {str(item): None for item in value}
    if isinstance(value, dict):
        return {key: {} if item is None else item for key, item in value.items()}
    return value


def reply(value: object) -> object:
    """`any` and lists of values, as the schema knows them."""
    if not isinstance(value, dict):
        return value
    return {
        key: [key_text(one) for one in item]
        if isinstance(item, list)
        else []
        if item == "any"
        else item
        for key, item in value.items()
    }


# ---------------------------------------------------------------- opening hours

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_RANGE = re.compile(r"(\d{1,2}):(\d{2}) ?- ?(\d{1,2}):(\d{2})")
_HOLIDAY = re.compile(r"(\d{4}-)?\d{2}-\d{2}")
MINUTES = 24 * 60


def timezone(value: object) -> object:
    """A name that the time zone data know."""
    try:
        ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone; write one like America/New_York") from None
    return value


def weekly(value: object) -> object:
    """`monday-friday: 9:00-17:00` as ranges of minutes for each day."""
    if not isinstance(value, dict):
        return value
    found: dict[str, list[tuple[int, int]]] = {}
    spans: dict[str, int] = {}  # days that the entry of each day names
    for name, ranges in value.items():
        first, _, last = str(name).partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{name!r} is no day; write monday, or monday-friday")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days = range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)]
        for day in (DAYS[day] for day in days):
            if spans.get(day) == len(days):
                raise ValueError(f"{day} stands twice; name it once")
            if spans.get(day, 8) > len(days):  # "friday" comes before "monday-friday"
                found[day], spans[day] = _ranges(ranges), len(days)
    return found


def holidays(value: object) -> object:
    """A list of dates, or dates with hours of their own; `12-25` is every year's."""
    if isinstance(value, list):
        value = {str(item): None for item in value}
    if not isinstance(value, dict):
        return value
    for day in value:
        try:
            if _HOLIDAY.fullmatch(str(day)) is None:
                raise ValueError
            date.fromisoformat(str(day) if len(str(day)) > 5 else f"2024-{day}")
        except ValueError:
            raise ValueError(
                f"{day!r} is no date; write 2026-12-25, or 12-25 for every year"
            ) from None
    return {str(day): _ranges(ranges) for day, ranges in value.items()}


def _ranges(value: object) -> list[tuple[int, int]]:
    if value in (None, "closed", False):
        return []
    found = []
    for text in value if isinstance(value, list) else [value]:
        match = _RANGE.fullmatch(str(text))
        start, end = (
            (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4]))
            if match
            else (0, 0)
        )
        if match is not None and end < start <= MINUTES:
            is_short = end <= MINUTES // 2 and start < MINUTES // 2
            afternoon = (
                f"; {int(match[1])} to {int(match[3])} in the afternoon is "
                f"{match[1]}:{match[2]}-{int(match[3]) + 12}:{match[4]}"
                if is_short
                else ""
            )
            raise ValueError(
                f"{text!r} goes past midnight; write {match[1]}:{match[2]}-24:00 for the one day "
                f"and 0:00-{match[3]}:{match[4]} for the next{afternoon}"
            )
        if match is None or not start < end <= MINUTES:
            raise ValueError(
                f"{text!r} are no hours; write 9:00-17:00 (up to 24:00), a list of them, or closed"
            )
        found.append((start, end))
    return found


_DAY = f"({'|'.join(DAYS)})"
_Hours = Annotated[str, Field(pattern=f"^(closed|{_RANGE.pattern})$")]
WrittenHours = _Hours | list[_Hours] | Literal[False] | None
WrittenDays = Annotated[str, StringConstraints(pattern=f"^{_DAY}(-{_DAY})?$")]
WrittenHoliday = Annotated[str, StringConstraints(pattern=f"^{_HOLIDAY.pattern}$")]
"""Days, hours and holidays as they stand in the file."""
_Written = Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?(ms|s)$")]
Duration = Annotated[int, BeforeValidator(duration, json_schema_input_type=_Written)]
"""Milliseconds; written `2s` or `500ms`."""
Silence = Annotated[int, BeforeValidator(silence, json_schema_input_type=_Written)]
Patience = Annotated[int, BeforeValidator(patience, json_schema_input_type=_Written)]
_Keys = Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]{1,4}$")]
_KeyNumber = Annotated[int, Field(ge=0, le=9999)]
DtmfKey = Annotated[_Keys, BeforeValidator(key_text, json_schema_input_type=_Keys | _KeyNumber)]
Terminator = Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]?$")]
WrittenTerminator = Terminator | Annotated[int, Field(ge=0, le=9)] | Literal[False]
Expression = Annotated[
    str, BeforeValidator(number_text, json_schema_input_type=str | int | float | bool)
]
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$"
_Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]
Phrases = Annotated[
    list[Text],
    BeforeValidator(
        listed, json_schema_input_type=Text | list[Text] | dict[_Language, Text | list[Text]]
    ),
]
