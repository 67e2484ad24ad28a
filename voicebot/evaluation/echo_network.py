"""Networks between us and the caller's telephone, as they are: far, late, jittering, lossy.

The echo matrix has a good one (a round trip of 120 ms, punctual marks). Here each call has one
fault that real lines have, and the last all that a poor one has together. Telephones are few and
the same for all networks, so that what differs is what the network does.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from voicebot.evaluation.telephone import NETWORK_MS
from voicebot.events import SAMPLE_RATE_HZ

MARK_JITTER_MS = 3.0
"""Mean lateness of marks beyond the least: a wired server, not a good day of Wi-Fi."""
JUMP_EVERY_S = 4.0
"""Prompts last about as long: most jumps come amid a word."""
JUMPS_MS = (60, -60, 180, -180)


@dataclass(frozen=True, slots=True)
class Network:
    """`marks_late_ms`: all marks, behind the audio that they mark; `mark_jitter_ms`: in the mean
    on top of that, exponentially distributed; `marks_lost`: share that never returns.

    `media_jitter_ms`: how late what we send gets there, mean likewise. `jumps_ms`: changes of the
    echo's delay, one every JUMP_EVERY_S whatever is being said. `drift_ppm`: of the telephone.
    """

    name: str = ""
    round_trip_ms: int = 2 * NETWORK_MS
    marks_late_ms: int = 0
    mark_jitter_ms: float = MARK_JITTER_MS
    marks_lost: float = 0.0
    media_jitter_ms: float = 0.0
    jumps_ms: tuple[int, ...] = ()
    drift_ppm: int = 0

    @property
    def round_trip(self) -> int:
        """In samples."""
        return self.round_trip_ms * SAMPLE_RATE_HZ // 1000

    def jumps(self, seconds: float) -> list[tuple[int, int]]:
        """(sample, ms) in a call of that length."""
        if not self.jumps_ms:
            return []
        count = int(seconds / JUMP_EVERY_S)
        at = (int(JUMP_EVERY_S * SAMPLE_RATE_HZ * (n + 1)) for n in range(count))
        return list(zip(at, itertools.cycle(self.jumps_ms), strict=False))


NETWORKS = (
    Network("as in the matrix"),
    Network("round trip 200 ms", round_trip_ms=200),
    Network("round trip 300 ms", round_trip_ms=300),
    Network("round trip 450 ms", round_trip_ms=450),
    Network("marks 50 ms late", marks_late_ms=50),
    Network("marks 150 ms late", marks_late_ms=150),
    Network("marks 300 ms late", marks_late_ms=300),
    Network("marks jitter by 80 ms", mark_jitter_ms=80),
    Network("marks jitter by 200 ms", mark_jitter_ms=200),
    Network("every other mark lost", marks_lost=0.5),
    Network("no marks", marks_lost=1.0),
    Network("audio jitters by 30 ms", media_jitter_ms=30),
    Network("delay jumps mid-word", jumps_ms=JUMPS_MS),
    Network("clock 200 ppm slow", drift_ppm=200),
    Network("clock 200 ppm fast", drift_ppm=-200),
    Network(
        "a poor line",
        round_trip_ms=300,
        marks_late_ms=150,
        mark_jitter_ms=80,
        marks_lost=0.2,
        media_jitter_ms=30,
        drift_ppm=100,
    ),
)
"""Round trips and lateness of marks as they are seen with Twilio far from its region."""

TELEPHONES = ((10, 50, "mulaw"), (0, 300, "gsm"), (-6, 500, "mulaw"), (0, 800, "saturated"))
"""(ERL in dB, delay in ms, kind) of the calls over each network."""
