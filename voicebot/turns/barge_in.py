"""Whether the caller takes the floor while a prompt plays or is about to. Pure.

First version: speech that persists. The echo-aware version will bring more evidence to the same
question (how far the canceller has converged, a word, the hot word) and may ask for longer
persistence after the echo's delay has changed.
"""

from __future__ import annotations

from voicebot.events import SAMPLE_RATE_HZ, BargeIn, BargeInMode, Digit, SpeechStarted

CONFIRM_MS = 150
"""Speech shorter than this over a prompt is a breath, a click or a scrap of echo."""


class BargeInPolicy:
    """One call's policy: `prompt` sets what may interrupt; each prompt is interrupted once."""

    def __init__(self, *, confirm_ms: int = CONFIRM_MS) -> None:
        """`confirm_ms`: how long speech must last while the caller hears the bot."""
        self._confirm = confirm_ms * SAMPLE_RATE_HZ // 1000
        self._mode = BargeInMode.NONE
        self._has_yielded = False

    def prompt(self, mode: BargeInMode) -> None:
        """A prompt begins that `mode` may interrupt."""
        self._mode = mode
        self._has_yielded = False

    def speech(self, started: SpeechStarted, at: int, *, is_audible: bool) -> BargeIn | None:
        """Speech that began with `started` still goes on at `at`: does it take the floor?

        `is_audible`: the caller hears the bot. Where he does not there is no echo, and the
        detector's own confirmation is enough. A hot word needs more than speech.
        """
        if self._mode is not BargeInMode.SPEECH or self._has_yielded:
            return None
        if is_audible and at - started.at < self._confirm:
            return None
        self._has_yielded = True
        return BargeIn(started.at, "speech")

    def digit(self, digit: Digit) -> BargeIn | None:
        """A key interrupts at once, whatever else may; mode `none` lets nothing interrupt."""
        if self._mode is BargeInMode.NONE or self._has_yielded:
            return None
        self._has_yielded = True
        return BargeIn(digit.at, "dtmf")
