"""What `hearing` asks of the rooms that hear: one batch over the slots, and state for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from voicebot.engine.rings import Rows
from voicebot.turns.near_end_features import Windows

if TYPE_CHECKING:
    from voicebot.audio.echo import Cancelled

Floats = NDArray[np.float32]


class Vad(Protocol):
    """turns.vad.SileroVad."""

    def probabilities(self, slots: Rows, windows: Floats) -> Floats:
        """Speech probability of the next window of each call."""

    def reset(self, slot: int) -> None:
        """A new call."""


class Canceller(Protocol):
    """audio.echo.EchoCanceller."""

    def process(self, slots: Rows, near: Floats, far: Floats) -> Cancelled:
        """The next block of each call."""

    def reset(self, slot: int) -> None:
        """A new call."""


class NearEnd(Protocol):
    """turns.near_end.NearEndDetector."""

    def probabilities(self, slots: Rows, windows: Windows) -> Floats:
        """That the caller speaks, whatever the echo does."""

    def reset(self, slot: int) -> None:
        """A new call."""


class Keys(Protocol):
    """audio.dtmf.DtmfDetector."""

    def feed(self, slots: Rows, blocks: Floats) -> list[tuple[int, str, int]]:
        """(row, key, onset relative to the block) of keys recognised."""

    def reset(self, slot: int) -> None:
        """A new call."""


class DeviceWatch(Protocol):
    """Who is told what becomes of the device that hears; in the thread that hears."""

    def lost(self, why: str) -> None:
        """The CPU hears from now on."""

    def back(self) -> None:
        """The device hears again."""

    def shed(self, deaf: int, places: int) -> None:
        """So many calls go on by keys now; the CPU has time to hear so many."""


class Unwatched:
    """Tells nobody."""

    def lost(self, why: str) -> None:
        """Nothing."""

    def back(self) -> None:
        """Nothing."""

    def shed(self, deaf: int, places: int) -> None:
        """Nothing."""
