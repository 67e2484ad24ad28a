"""Whether what is heard may be the bot's own voice, as far as anybody can know. Pure.

The canceller knows of an echo only what the reference tells it: where that is lost, or the echo
comes later than it looks for, it sees none. What it does not see while the bot speaks is no proof
that nothing comes back; that next to nothing ever did is.
"""

from __future__ import annotations

from voicebot.events import SAMPLE_RATE_HZ, EchoState

UNSEEN_SAMPLES = 4 * SAMPLE_RATE_HZ
"""After the bot was last heard, an echo that the canceller did not see may still come: twice the
longest delay that it looks for, 2 s (audio.delay.MAX_DELAY_MS)."""


class Suspicion:
    """One call's. Fed with every window, in order."""

    def __init__(self) -> None:
        """The bot has not spoken yet."""
        self._audible_at: int | None = None  # when the bot was last heard, while echo was unseen

    def weigh(self, at: int, echo: EchoState, *, is_audible: bool) -> EchoState:
        """NONE, UNLOCKED or LOCKED, of the window at `at` of which the canceller says `echo`."""
        if echo in {EchoState.FAINT, EchoState.LOCKED}:
            self._audible_at = None
            return EchoState.NONE if echo is EchoState.FAINT else echo
        if is_audible:
            self._audible_at = at
        if echo is EchoState.UNLOCKED:
            return echo
        is_recent = self._audible_at is not None and at - self._audible_at <= UNSEEN_SAMPLES
        return EchoState.UNLOCKED if is_recent else EchoState.NONE
