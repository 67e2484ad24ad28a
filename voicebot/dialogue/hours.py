"""Whether somebody is there: weekly hours, and holidays that come before them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from voicebot.dialogue.schema import Hours, PlanKeys
from voicebot.dialogue.short_forms import DAYS


def local(keys: PlanKeys, now: datetime) -> datetime:
    """`now` in the plan's time zone; a time without a zone is the plan's already."""
    if keys.timezone is None or now.tzinfo is None:
        return now
    return now.astimezone(ZoneInfo(keys.timezone))


def is_open(hours: Hours | None, now: datetime) -> bool:
    """Whether `now` (local) is within the hours; without any, always."""
    if hours is None:
        return True
    minute = now.hour * 60 + now.minute
    return any(start <= minute < end for start, end in ranges(hours, now))


def ranges(hours: Hours, now: datetime) -> list[tuple[int, int]]:
    """Minutes since midnight between which somebody is there on the day of `now`."""
    day = now.date().isoformat()
    for name in (day, day[5:]):
        if name in hours.holidays:
            return hours.holidays[name]
    return hours.weekly.get(DAYS[now.weekday()], [])
