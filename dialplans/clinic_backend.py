"""The clinic's calendar, as plain functions that clinic.yaml calls. It lives as long as a call's
server does, and begins with one appointment that can be cancelled: 4711.
"""

from __future__ import annotations

import threading
from datetime import date

HOURS = ("09:00", "10:30", "14:00", "15:30")
CLINICIANS = ("doctor adams", "doctor rivera", "the nurse")

_lock = threading.Lock()
_booked: dict[str, tuple[str, str, str]] = {"4711": ("doctor adams", "2026-11-24", "09:00")}


def free_slot(clinician: str, day: str, today: str, now: str) -> dict[str, str]:
    """The first time that is free and to come: status `free` and `time`, or status `full`."""
    if clinician not in CLINICIANS:
        raise ValueError(f"no clinician {clinician!r}")
    if date.fromisoformat(day).weekday() >= 5:
        return {"status": "full", "time": ""}
    with _lock:
        taken = {time for who, on, time in _booked.values() if (who, on) == (clinician, day)}
    free = [time for time in HOURS if time not in taken and (day, time) > (today, now)]
    return {"status": "free" if free else "full", "time": free[0] if free else ""}


def book(clinician: str, day: str, time: str, birthday: str) -> dict[str, str]:
    """A reference for the appointment. The date of birth finds the patient, and is not kept."""
    date.fromisoformat(birthday)
    with _lock:
        if (clinician, day, time) in _booked.values():
            raise ValueError(f"{time} is taken")
        reference = str(4712 + len(_booked) - 1)
        _booked[reference] = (clinician, day, time)
    return {"reference": reference}


def find(reference: str) -> dict[str, object]:
    """Who, on which day and at what time; `known` False where there is none."""
    with _lock:
        who, on, at = _booked.get(reference, ("", "", ""))
    return {"known": bool(who), "who": who.title(), "on": on, "at": at}


def cancel(reference: str) -> dict[str, object]:
    """Free the time; twice does no harm."""
    with _lock:
        return {"cancelled": _booked.pop(reference, None) is not None}
