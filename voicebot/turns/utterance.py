"""The utterance that is open: which audio was asked about, and what came back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from voicebot.events import SAMPLE_RATE_HZ, Alternative, Hypothesis

PREROLL_SAMPLES = 3 * SAMPLE_RATE_HZ // 10
"""Kept before the detected onset: Silero answers a quiet first consonant late."""
PARTIAL_GROWTH = 0.35
"""A partial re-encodes all of the utterance: long ones are repeated more rarely."""
FIRST_PARTIAL_SAMPLES = SAMPLE_RATE_HZ // 8
"""After the onset: sooner, half of the partials are empty (voicebot/asr/LOG.md)."""
EMPTY_PARTIAL_SAMPLES = SAMPLE_RATE_HZ // 10
"""After one in which there was no word yet."""

Kind = Literal["partial", "speculative", "final", "hotword"]


@dataclass(frozen=True, slots=True)
class Recognise:
    """A request: recognise [start_at, end_at) of the caller's audio."""

    utterance: int
    kind: Kind
    start_at: int
    end_at: int


class Utterance:
    """One call's requests to the recogniser, and its answers to them, utterance by utterance."""

    def __init__(self, partial_interval_ms: int) -> None:
        """None is open."""
        self._partial_interval = partial_interval_ms * SAMPLE_RATE_HZ // 1000
        self.number = 0
        self._start_at: int | None = None
        self._partial_at = 0
        self._has_partial = False  # asked for, in this utterance
        self._is_wordless = False  # the last partial was answered, and had no words
        self.hummed_until: int | None = None
        """Until where nothing but a hum was heard, by the latest partial; None: there were words,
        or nobody knows yet."""
        self._asked_until: int | None = None  # end of the final that is being computed
        self._early: Hypothesis | None = None  # the speculative final, while it holds
        self._transcript: Hypothesis | None = None  # finals of an external recogniser so far
        self._is_transcribed = False  # its last final came after the caller last spoke

    @property
    def is_open(self) -> bool:
        """Between `open` and `forget`."""
        return self._start_at is not None

    def open(self, onset_at: int) -> bool:
        """The caller speaks: True where that begins a new utterance, else the open one goes on."""
        self._early = self._asked_until = None
        self._is_transcribed = False
        if self._start_at is not None:
            return False
        self.number += 1
        self._start_at = max(0, onset_at - PREROLL_SAMPLES)
        self._partial_at, self._has_partial = onset_at, False
        self._is_wordless, self.hummed_until = False, None
        return True

    def resume(self) -> None:
        """What was taken for its end was none: a final of all so far is no final any more."""
        self._early = self._asked_until = None

    def forget(self) -> None:
        """Answers that are still to come are of the past."""
        self._start_at = self._asked_until = self._early = self.hummed_until = None
        self._transcript, self._is_transcribed = None, False

    # ------------------------------------------------------------ requests

    def partial(self, at: int, *, is_early: bool = False) -> list[Recognise]:
        """A partial, when it is time for one. `is_early`: the first as soon as words may come."""
        if self._start_at is None:
            return []
        wait = max(self._partial_interval, int((at - self._start_at) * PARTIAL_GROWTH))
        if is_early and not self._has_partial:
            wait = min(wait, FIRST_PARTIAL_SAMPLES)
        elif is_early and self._is_wordless:
            wait = min(wait, EMPTY_PARTIAL_SAMPLES)
        if at - self._partial_at < wait:
            return []
        self._partial_at, self._has_partial, self._is_wordless = at, True, False
        return [Recognise(self.number, "partial", self._start_at, at)]

    def whole(self, kind: Literal["speculative", "final"], until: int) -> list[Recognise]:
        """All of it, once for each end; nothing while no utterance is open."""
        if self._start_at is None:
            return []
        self._asked_until = until
        return [Recognise(self.number, kind, self._start_at, until)]

    def again(self) -> list[Recognise]:
        """What was asked for last, as a final; nothing where that does not hold any more."""
        if self._start_at is None or self._asked_until is None:
            return []
        return [Recognise(self.number, "final", self._start_at, self._asked_until)]

    # ------------------------------------------------------------ answers

    def take(self, end_at: int, hypothesis: Hypothesis | None) -> Hypothesis | None:
        """The answer to `whole` or `again`, final; None when the caller went on meanwhile."""
        if end_at != self._asked_until:
            return None
        self._early = replace(hypothesis or self._early or Hypothesis(""), is_final=True)
        return self._early

    def take_partial(
        self, hypothesis: Hypothesis | None, end_at: int = 0, *, is_wordless: bool = False
    ) -> None:
        """The answer to `partial` of what was said until `end_at`: no more than a hum makes?"""
        self._is_wordless = hypothesis is not None and not hypothesis.text
        self.hummed_until = end_at if hypothesis is not None and is_wordless else None

    def transcribe(self, hypothesis: Hypothesis, *, is_silent: bool) -> Hypothesis:
        """An external recogniser's piece; returns the whole of what was said so far.

        `is_silent`: the caller does not speak; else more finals will come.
        """
        whole = _joined(self._transcript, hypothesis)
        if hypothesis.is_final:
            self._transcript, self._is_transcribed = whole, is_silent
        return whole

    def is_newest(self, end_at: int) -> bool:
        """Whether what ends there is all that was said so far."""
        return end_at == self._asked_until

    @property
    def final(self) -> Hypothesis | None:
        """What was said, if that is known already."""
        if self._early is not None:
            return self._early
        return self._transcript if self._is_transcribed else None

    @property
    def is_asked(self) -> bool:
        """Whether all of it was asked for, and holds."""
        return self._asked_until is not None


def _joined(before: Hypothesis | None, new: Hypothesis) -> Hypothesis:
    """Two stretches of one utterance; as sure as the less sure one."""
    if before is None or not before.text:
        return new
    if not new.text:
        return replace(before, is_final=new.is_final)
    text = f"{before.text} {new.text}"
    confidence = min(before.confidence, new.confidence)
    return replace(
        new,
        text=text,
        words=(*before.words, *new.words),
        confidence=confidence,
        nbest=(Alternative(text, confidence),),
    )
