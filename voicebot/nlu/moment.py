"""When something is said: what "tomorrow" and "in an hour" count from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True, slots=True)
class Moment:
    """The caller's date, and the caller's time of day where it is known; `day_first`: whether the
    caller's language names the day before the month."""

    today: date
    now: time | None = None
    day_first: bool = False
