"""What operators learn of `hearing.device`, and how many calls can be heard without it."""

from __future__ import annotations

import structlog

from voicebot.engine.hearing import Hearing
from voicebot.monitoring.metrics import Metrics

log = structlog.get_logger(__name__)


class HearingWatch:
    """Told in the thread that hears; `places` is asked on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._hearing: Hearing | None = None

    def follow(self, hearing: Hearing) -> None:
        """This is it."""
        self._hearing = hearing
        self._metrics.count_deaf_calls(lambda: getattr(hearing, "deaf_calls", 0))

    @property
    def places(self) -> int | None:
        """Calls that can be heard; None while nothing but the settings bounds them."""
        return getattr(self._hearing, "places", None)

    def lost(self, why: str) -> None:
        """The CPU hears from now on."""
        log.error("the CPU hears from now on: the device is lost", why=why)
        self._metrics.hearing_device_lost()

    def back(self) -> None:
        """The device hears again."""
        log.warning("the device is back: it hears again")
        self._metrics.hearing_device_back()

    def shed(self, deaf: int, places: int) -> None:
        """So many calls go on by keys."""
        if deaf:
            log.warning("calls go on by keys: the CPU has no time for them", calls=deaf, of=places)
