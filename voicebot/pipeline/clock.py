"""The call's inbound clock, and where it stands between two chunks."""

from __future__ import annotations

from collections.abc import Callable

from voicebot.events import SAMPLE_RATE_HZ

GAP_MS = 60
"""Twilio's timestamps jitter by a chunk or two; more is audio that Twilio dropped (31930)."""
AHEAD_SAMPLES = SAMPLE_RATE_HZ
"""No timestamp may push the clock further than this beyond the time that really passed."""
HELD_UP_S = 2.0
"""So long may the network hold up the first chunks of a call."""
BURST_SAMPLES = 15 * SAMPLE_RATE_HZ
"""More audio than this beyond real time is no network catching up (it delivers at most some
500 chunks at once): hearing all of it would cost what a hundred callers cost."""
LATE_S = 0.25
"""Audio further behind the clock than this is held up on its way, or the sender paused."""
STEADY_S, STEADY_WITHIN_S = 0.75, 0.1
"""What is held up comes in a burst. Audio that stays so far behind for so long, give or take
this, was not: the sender paused (a suspended browser) and its timestamps do not tell."""


class CallClock:
    """Maps media messages and the loop's time to sample positions.

    Positions count the samples received; where Twilio's timestamps show that some were
    dropped, the clock skips them, so that silence timers and recordings keep true time.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s`: a monotonic clock in seconds, the event loop's."""
        self._now_s = now_s
        self._next = 0
        self._base = 0  # position of the first chunk
        self._first_timestamp_ms: int | None = None
        self._created_s = self._placed_s = now_s()
        self._started_s: float | None = None
        self._first_start_s = 0.0
        self._steady: tuple[float, float] | None = None  # late since when, and by what, in s
        self._paused_s = 0.0

    def place(self, length: int, timestamp_ms: int, came_s: float | None = None) -> int:
        """Position of a chunk of `length` samples stamped `timestamp_ms` that came at `came_s`, a
        little while ago, or comes now."""
        now_s, before_s = self._now_s() if came_s is None else came_s, self._placed_s
        self._placed_s = now_s
        if self._first_timestamp_ms is None or self._started_s is None:
            self._first_timestamp_ms = timestamp_ms
            self._base = self._next = max(0, self.now() - length)
            self._started_s = now_s - (self._base + length) / SAMPLE_RATE_HZ
            self._first_start_s = self._started_s
        self._correct_start(length, now_s)
        since_first = (timestamp_ms - self._first_timestamp_ms) * SAMPLE_RATE_HZ // 1000
        stamped = self._base + since_first
        if stamped - self._next > GAP_MS * SAMPLE_RATE_HZ // 1000:
            self._next = max(self._next, min(stamped, self.now() + AHEAD_SAMPLES))
        at = self._next
        self._next += length
        self._follow(now_s, before_s)
        return at

    def _follow(self, now_s: float, before_s: float) -> None:
        """Look whether audio that is late was held up, or stays so far behind."""
        assert self._started_s is not None
        now = round((now_s - self._started_s) * SAMPLE_RATE_HZ)
        late_s = (now - self._next) / SAMPLE_RATE_HZ
        self._paused_s = max(0.0, min(self._paused_s, late_s))  # less late: it was held up
        if late_s - self._paused_s <= LATE_S:
            self._steady = None
            return
        since_s, first_s = self._steady or (now_s, late_s)
        if late_s < first_s - STEADY_WITHIN_S or now_s - before_s > LATE_S:
            since_s, first_s = now_s, late_s  # it catches up, or has stopped again
        self._steady = since_s, first_s
        if now_s - since_s >= STEADY_S:
            self._paused_s, self._steady = min(first_s, late_s), None

    def _correct_start(self, length: int, now_s: float) -> None:
        """A chunk that arrives earlier than its place says that the first ones were held up.

        Without this, every time of the call would be short by that delay. It is bounded: audio
        that comes faster than anyone speaks must not move the clock (`is_outrun`).
        """
        assert self._started_s is not None
        earliest = now_s - (self._next + length) / SAMPLE_RATE_HZ
        if earliest < self._started_s:
            self._started_s = min(self._started_s, max(earliest, self._first_start_s - HELD_UP_S))

    def now(self) -> int:
        """Sample position of this moment.

        0 before the first chunk; where none comes for HELD_UP_S, the clock goes on without.
        """
        if self._started_s is None:
            waited_s = self._now_s() - self._created_s - HELD_UP_S
            return max(0, round(waited_s * SAMPLE_RATE_HZ))
        return round((self._now_s() - self._started_s) * SAMPLE_RATE_HZ)

    @property
    def stalled(self) -> int:
        """Samples of real time since the last chunk came."""
        return round((self._now_s() - self._placed_s) * SAMPLE_RATE_HZ)

    @property
    def latest(self) -> int:
        """Position of this moment, or of what was received, whichever is later: for what is
        known by itself, without the audio, which may be late."""
        return max(self._next, self.now() - self.paused)

    @property
    def paused(self) -> int:
        """Samples of time that the sender paused for without telling: what it sends is spoken
        when it comes, so much later by `now` than its position says."""
        return round(self._paused_s * SAMPLE_RATE_HZ) if self._paused_s else 0

    @property
    def is_outrun(self) -> bool:
        """More audio arrived than anyone can have spoken."""
        return self._next - self.now() > BURST_SAMPLES

    @property
    def received(self) -> int:
        """Samples received (and skipped) so far."""
        return self._next

    def lateness_ms(self) -> float:
        """How far what was received lags behind real time, in ms (negative: ahead)."""
        return (self.now() - self.paused - self._next) * 1000 / SAMPLE_RATE_HZ
