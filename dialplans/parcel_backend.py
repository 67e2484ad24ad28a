"""Parcels, as plain functions that parcel.yaml calls. What calls change lives as long as the
server does.
"""

from __future__ import annotations

import threading

_lock = threading.Lock()
_parcels: dict[str, dict[str, str]] = {
    "20417733": {"status": "underway", "day": "2026-11-23", "place": ""},
    "58816204": {"status": "delivered", "day": "2026-11-18", "place": "the front door"},
    "31950042": {"status": "missed", "day": "2026-11-19", "place": "our depot in Oak Street"},
}
_UNKNOWN = {"status": "unknown", "day": "", "place": ""}


def track(number: str) -> dict[str, str]:
    """Where a parcel is: status `underway`, `delivered`, `missed` or `unknown`."""
    with _lock:
        return dict(_parcels.get(number, _UNKNOWN))


def redeliver(number: str, day: str, place: str) -> dict[str, bool]:
    """Bring it on another day; not what is delivered already, nor what nobody knows."""
    with _lock:
        parcel = _parcels.get(number, _UNKNOWN)
        if parcel["status"] not in {"missed", "underway"}:
            return {"accepted": False}
        _parcels[number] = {"status": "underway", "day": day, "place": place}
    return {"accepted": True}
