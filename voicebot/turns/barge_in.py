"""Whether the caller takes the floor while a prompt plays or is about to. Pure.

Speech over a prompt is a candidate first: the prompt pauses at once, so that nobody has to
talk over it, and what was said is looked at meanwhile. Words that want the floor, or speech
that goes on, confirm the candidate; a nod, a cough or the bot's own echo rejects it, and the
prompt goes on (design page, barge-in).
"""

from __future__ import annotations

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    Digit,
    EchoState,
    SpeechStarted,
)
from voicebot.turns.backchannel import Rejection, Verdict

CANDIDATE_MS, UNLOCKED_MS = 96, 128
"""Speech that makes a candidate: as much as the detector takes to be sure; more while the echo's
delay is not known, for echo comes in pieces before the canceller has it."""
PERSISTENT_MS, PERSISTENT_UNLOCKED_MS = 900, 1600
"""Speech that goes on for so long, though the prompt has paused, is neither a nod nor an echo:
nods last 0.2 to 0.7 s, and the echo of what was sent ends as long after it as it is late. More
is asked while the echo's delay is not known, and of words that may be an echo."""
WORDLESS_MS = 2500
"""Whoever goes on for so long without a word (a hum, music) does not want the floor; the prompt
goes on over it."""
SILENT_RECOGNISER_MS = 700
"""So long after the speech its words are awaited; then its length decides."""
LONG_ENOUGH_MS = 500
BEFORE_MS = 500
"""Of what is being said when a prompt begins; older words were meant for what was asked before, and
how long a hum went on before it means nothing."""
PENALTY_MS, MAX_PENALTY_MS = 96, 384
"""Each candidate of a prompt that was none makes the next one harder: a prompt that stops at
every noise is worse than one that yields late."""


class BargeInPolicy:
    """One call's policy. Each sequence of prompts is interrupted once."""

    def __init__(self) -> None:
        """Nothing may interrupt until `prompt`."""
        self._mode = BargeInMode.NONE
        self._has_yielded = True
        self._is_guarded = False
        self._rejected = 0
        self._ignored_at: int | None = None  # onset of speech that was judged already
        self._onset_at: int | None = None  # of the candidate
        self._speech_at: int | None = None  # of the speech it is part of: may be older
        self._ended_at: int | None = None
        self._since: int | None = None  # speech counts from here
        self._verdict: Rejection | None = None  # on what was recognised so far
        self._is_doubtful = False  # it may be an echo

    def prompt(self, mode: BargeInMode, *, is_guarded: bool = False) -> None:
        """Prompts begin that `mode` may interrupt, unless one of them has a mode of its own.

        `is_guarded`: one has, and until the first is heard nothing may interrupt.
        """
        self._mode, self._is_guarded = mode, is_guarded
        self._has_yielded = False
        self._rejected = 0
        self._ignored_at = self._onset_at = self._ended_at = self._verdict = None
        self._since = None
        self._is_doubtful = False

    @property
    def is_pending(self) -> bool:
        """A candidate waits for its verdict; the prompt pauses."""
        return self._onset_at is not None

    @property
    def onset_at(self) -> int | None:
        """Where the candidate began to speak."""
        return self._onset_at

    def mode(self, of_prompt: BargeInMode | None) -> BargeInMode:
        """What may interrupt now; `of_prompt`: the mode of the prompt being heard, if any is."""
        if of_prompt is not None:
            self._is_guarded = False
        if self._has_yielded or self._is_guarded:
            return BargeInMode.NONE
        return of_prompt if of_prompt is not None else self._mode

    def heard(
        self,
        speech: SpeechStarted | None,
        at: int,
        *,
        is_audible: bool,
        echo: EchoState,
        of_prompt: BargeInMode | None = None,
    ) -> BargeInCandidate | BargeIn | BargeInRejected | None:
        """At `at` the caller speaks since `speech`, or (None) is silent.

        `is_audible`: the caller hears the bot. Where he does not, and no echo is left, speech
        takes the floor at once.
        """
        if self._since is None:
            self._since = at - _samples(BEFORE_MS)
        if self._onset_at is not None:
            return self._wait(self._onset_at, speech, at, echo)
        if speech is None or speech.at == self._ignored_at:
            return None  # nothing, or what was judged already
        if self.mode(of_prompt) is not BargeInMode.SPEECH:
            return None
        onset_at = max(speech.at, self._since)
        if not is_audible and echo is EchoState.NONE:
            return self._yield(BargeIn(onset_at, "speech"))
        if at - onset_at < _samples(self._needed_ms(echo)):
            return None
        self._onset_at, self._speech_at = onset_at, speech.at
        return BargeInCandidate(onset_at, at)

    def _needed_ms(self, echo: EchoState) -> int:
        penalty = min(self._rejected * PENALTY_MS, MAX_PENALTY_MS)
        return penalty + (UNLOCKED_MS if echo is EchoState.UNLOCKED else CANDIDATE_MS)

    def _wait(
        self, onset_at: int, speech: SpeechStarted | None, at: int, echo: EchoState
    ) -> BargeIn | BargeInRejected | None:
        if speech is not None:
            self._ended_at = None
            is_longer = self._is_doubtful or echo is EchoState.UNLOCKED
            patience_ms = PERSISTENT_UNLOCKED_MS if is_longer else PERSISTENT_MS
            if self._verdict is not None:
                patience_ms = WORDLESS_MS
            if at - onset_at < _samples(patience_ms):
                return None
            if self._verdict is not None:
                return self._reject(self._verdict, at, speech)
            return self._yield(BargeIn(onset_at, "speech"))
        if self._ended_at is None:
            self._ended_at = at
        if at - self._ended_at < _samples(SILENT_RECOGNISER_MS):
            return None
        is_long = self._ended_at - onset_at >= _samples(LONG_ENOUGH_MS)
        return self.judged("floor" if is_long else "noise", at, is_final=True)

    def judged(
        self, verdict: Verdict | None, at: int, *, is_final: bool, is_doubtful: bool = False
    ) -> BargeIn | BargeInRejected | None:
        """What was recognised so far is a `verdict`, if any; `is_final`: the caller is silent.

        `is_doubtful`: the words are so unsure that they may be an echo.
        """
        onset_at = self._onset_at
        if onset_at is None:
            return None
        if verdict == "floor":
            return self._yield(BargeIn(onset_at, "speech"))
        self._verdict, self._is_doubtful = verdict, is_doubtful
        if verdict is None or not is_final:
            return None
        return self._reject(verdict, at, None)

    def suspend(self, at: int) -> BargeInRejected | None:
        """Nothing more is heard of the candidate for now; if it goes on it is one again."""
        if self._onset_at is None:
            return None
        self._onset_at = self._ended_at = self._verdict = None
        self._is_doubtful = False
        return BargeInRejected(at, "noise")

    def _reject(self, verdict: Rejection, at: int, speech: SpeechStarted | None) -> BargeInRejected:
        self._rejected += 1
        self._ignored_at = self._speech_at if speech is None else speech.at
        self._onset_at = self._ended_at = self._verdict = None
        self._is_doubtful = False
        return BargeInRejected(at, verdict)

    def digit(self, digit: Digit, of_prompt: BargeInMode | None = None) -> BargeIn | None:
        """A key interrupts at once, whatever else may; mode `none` lets nothing interrupt."""
        if self.mode(of_prompt) is BargeInMode.NONE:
            return None
        return self._yield(BargeIn(digit.at, "dtmf"))

    def hot_word(self, onset_at: int) -> BargeIn | None:
        """The hot word was said in speech that began at `onset_at`."""
        return None if self._has_yielded else self._yield(BargeIn(onset_at, "hotword"))

    def _yield(self, barge_in: BargeIn) -> BargeIn:
        self._has_yielded = True
        self._onset_at = self._ended_at = self._verdict = None
        self._is_doubtful = False
        return barge_in


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
