"""What the caller says in his turn: recognised so far, judged, and over when the turn has ended.

The words of a partial or a final tell the endpointer how complete the answer is, the voice how
finished the caller sounds; when the turn ends, the final is known already, or asked for. Pure.
"""

from __future__ import annotations

from typing import Protocol

from voicebot.events import GOES_ON, SAMPLE_RATE_HZ, Expectation, Hypothesis, TurnEnded
from voicebot.turns.backchannel import is_wordless
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.floor import CheckCompleteness
from voicebot.turns.utterance import Recognise, Utterance

AHEAD_SAMPLES = SAMPLE_RATE_HZ * 64 // 1000
"""Silence after which the final is recognised ahead: half of what the VAD needs to be sure. Where
it sees silence, by loudness speech has ended 90 to 260 ms ago (LOG.md)."""


class Agreement(Protocol):
    """asr.stream.LocalAgreement: which words of successive partials will not change any more."""

    def apply(self, partial: Hypothesis) -> Hypothesis:
        """The partial with `stable_words` set, opening with what is stable."""

    def settle(self, final: Hypothesis) -> Hypothesis:
        """The final, opening with what is stable."""

    def reset(self) -> None:
        """Begin another utterance."""


class Answer:
    """One call's answers, one after the other."""

    def __init__(
        self,
        endpointer: Endpointer,
        completeness: CheckCompleteness,
        agreement: Agreement | None,
        partial_interval_ms: int,
    ) -> None:
        """Arguments as Listener's."""
        self._endpointer = endpointer
        self._completeness = completeness
        self._agreement = agreement
        self._expectation = Expectation()
        self.utterance = Utterance(partial_interval_ms)
        self.ended: TurnEnded | None = None
        """Set while the final of an ended turn is awaited."""

    def expect(self, expectation: Expectation) -> None:
        """Another answer is awaited; what was said before is none."""
        self._expectation = expectation
        self.forget()

    def open(self, onset_at: int) -> None:
        """Speech belongs to the turn: a new utterance, or the open one goes on."""
        if self.utterance.open(onset_at) and self._agreement is not None:
            self._agreement.reset()

    def judge(self, heard: Hypothesis, at: int, confidence: float | None) -> None:
        """What this, recognised by `at`, tells of the end of the turn.

        `confidence`: of our recogniser's final, 0 for its partials, which are never sure; None
        where a service heard it.
        """
        found = self._completeness(heard.text, self._expectation)
        self._endpointer.on_completeness(found, at, confidence)
        if heard.end_probability is not None:
            self._endpointer.on_end_probability(heard.end_probability, at)

    def is_wordless(self, partial: Hypothesis | None) -> bool:
        """Whether no more was recognised than a hum makes."""
        text = partial.text if partial is not None else ""
        return is_wordless(text, self._completeness(text, self._expectation), self._expectation)

    def paused(self, until: int) -> list[Recognise]:
        """The caller has fallen silent, known at `until`: asks for all that he said, unless it was
        asked for at the first sign of silence; if the answer is there, it counts from now on."""
        if not self.utterance.is_asked:
            # All that the VAD has heard, the silence that told it of the end among it: a final
            # "s" or "t" fades below its threshold.
            return self.utterance.whole("speculative", until)
        if (final := self.utterance.final) is not None:
            self.judge(final, until, final.confidence)
        return []

    def may_have_ended(self, quiet_at: int | None, at: int) -> list[Recognise]:
        """At `at` the caller still counts as speaking, but is silent since `quiet_at` (None: not).

        Asks for all that he said, for it may be all: of 120 such silences 115 went on (LOG.md).
        """
        if quiet_at is None:
            if self.utterance.final is not None:
                self._endpointer.on_resumed()
            self.utterance.resume()
        elif at - quiet_at >= AHEAD_SAMPLES and not self.utterance.is_asked:
            return self.utterance.whole("speculative", at)
        return []

    def end_judged(self, utterance: int, end_at: int, probability: float, at: int) -> None:
        """That the caller has finished, judged by voice where words come from elsewhere."""
        if utterance == self.utterance.number and self.utterance.is_newest(end_at):
            self._endpointer.on_end_probability(probability, at)

    def stable(self, partial: Hypothesis) -> Hypothesis:
        """The partial, opening with what will not change any more."""
        return partial if self._agreement is None else self._agreement.apply(partial)

    def decide(self, ended: TurnEnded) -> Hypothesis | list[Recognise]:
        """The turn has ended: its final, if that is known, else what to ask for (maybe nothing).

        What was heard the cheap way, of a caller who then did not go on, is asked for again.
        """
        self.ended = ended
        final = self.utterance.final
        if final is not None:
            return (_is_cheap(final) and self.utterance.again()) or final
        return [] if self.utterance.is_asked else self.utterance.whole("final", ended.at)

    def settled(self, final: Hypothesis) -> Hypothesis:
        """The final, opening with what was stable."""
        return final if self._agreement is None else self._agreement.settle(final)

    def forget(self) -> None:
        """Answers that are still to come are of the past."""
        self.utterance.forget()
        self.ended = None


def _is_cheap(final: Hypothesis) -> bool:
    """Whether nobody looked for a better reading."""
    chance = final.end_probability
    return bool(final.text) and len(final.nbest) <= 1 and chance is not None and chance < GOES_ON
