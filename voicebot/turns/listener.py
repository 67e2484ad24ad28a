"""One caller's ears: VAD windows, keys and hypotheses in; turns, barge-ins and requests out.

It composes the detector, the barge-in policy and the endpointer, and asks the recogniser
for partials while the caller speaks, for a speculative final at the first pause, and for
the final when the turn ends without one. Pure: every method takes `at` and returns events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, Protocol

from voicebot.events import (
    SAMPLE_RATE_HZ,
    Alternative,
    BargeIn,
    BargeInMode,
    CallerTurn,
    Completeness,
    Digit,
    Expectation,
    Hypothesis,
    KeysEntered,
    NoInput,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.vad import SpeechDetector

PREROLL_SAMPLES = 3 * SAMPLE_RATE_HZ // 10
"""Kept before the detected onset: Silero answers a quiet first consonant late."""
COUGH_SAMPLES = SAMPLE_RATE_HZ // 2
"""Speech shorter than this in which no word was recognised was none: a cough, a door."""
PARTIAL_GROWTH = 0.25
"""A partial re-encodes all of the utterance: long ones are repeated more rarely."""
FINAL_PATIENCE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""How long an ended turn waits for its final; then it counts as not understood."""

Kind = Literal["partial", "speculative", "final"]
CheckCompleteness = Callable[[str, Expectation], Completeness]


@dataclass(frozen=True, slots=True)
class Recognise:
    """A request: recognise [start_at, end_at) of the caller's audio."""

    utterance: int
    kind: Kind
    start_at: int
    end_at: int


Heard = (
    SpeechStarted
    | SpeechEnded
    | BargeIn
    | TurnEnded
    | NoInput
    | CallerTurn
    | KeysEntered
    | Hypothesis
    | Recognise
)


class Agreement(Protocol):
    """asr.stream.LocalAgreement: which words of successive partials will not change any more."""

    def apply(self, partial: Hypothesis) -> Hypothesis:
        """The partial with `stable_words` set."""

    def reset(self) -> None:
        """Begin another utterance."""


class _State(Enum):
    IDLE = "the dialogue waits for nothing"
    PROMPTING = "a prompt plays; the caller may interrupt"
    LISTENING = "the caller's turn"
    DECIDING = "the turn has ended; its final hypothesis is awaited"


class Listener:
    """What one call hears. Feed it in order of `at`."""

    def __init__(
        self,
        *,
        completeness: CheckCompleteness,
        detector: SpeechDetector,
        endpointer: Endpointer,
        barge_in: BargeInPolicy,
        agreement: Agreement | None = None,
        partial_interval_ms: int = 400,
    ) -> None:
        """`completeness` is the room nlu's judgement of a text against the Expectation."""
        self._completeness = completeness
        self._detector = detector
        self._endpointer = endpointer
        self._barge_in = barge_in
        self._agreement = agreement
        self._partial_interval = partial_interval_ms * SAMPLE_RATE_HZ // 1000
        self._state = _State.IDLE
        self._expectation = Expectation()
        self._speech: SpeechStarted | None = None  # set while the caller speaks
        self._utterance = 0
        self._start_at: int | None = None  # of the utterance that is open
        self._partial_at = 0
        self._asked_until: int | None = None  # end of the final that is being computed
        self._early: Hypothesis | None = None  # the speculative final, while it holds
        self._transcript: Hypothesis | None = None  # finals of an external recogniser so far
        self._is_transcribed = False  # its last final came after the caller last spoke
        self._ended: TurnEnded | None = None

    # ------------------------------------------------------------ the dialogue's side

    def expect(self, expectation: Expectation, at: int) -> list[Heard]:
        """The dialogue has spoken its mind; prompts may still be playing.

        Speech that was going on already does not count as an interruption of them.
        """
        self._expectation = expectation
        self._state = _State.PROMPTING
        self._barge_in.prompt(expectation.barge_in)
        self._forget()
        return []

    def prompt_ended(self, at: int) -> list[Heard]:
        """The caller has heard all prompts: silence counts from here."""
        if self._state is _State.PROMPTING:
            return self._listen(at)
        return []

    # ------------------------------------------------------------ the caller's side

    def hear(self, at: int, probability: float, *, is_audible: bool) -> list[Heard]:
        """One VAD window that begins at `at`; `is_audible`: the caller hears the bot now."""
        out: list[Heard] = []
        for event in self._detector.feed(at, probability):
            out.append(event)
            if isinstance(event, SpeechStarted):
                self._speech = event
                self._endpointer.on_speech_started(event)
                if self._state is _State.LISTENING:
                    self._open(event.at)
            else:
                self._speech = None
                self._endpointer.on_speech_ended(event)
                out += self._pause(event)
        if self._state is _State.PROMPTING and self._speech is not None:
            out += self._interrupt(self._speech, at, is_audible)
        if self._state is _State.LISTENING:
            out += self._partial(at)
        return out

    def key(self, digit: Digit) -> list[Heard]:
        """A DTMF key: it cuts the prompt at once where keys are expected."""
        out: list[Heard] = []
        if self._state is _State.PROMPTING and self._expectation.digits is not None:
            barge_in = self._barge_in.digit(digit)
            if barge_in is not None:
                out += [barge_in, *self._listen(digit.at)]
        self._endpointer.on_digit(digit)
        return out + self.tick(digit.at)

    def tick(self, at: int) -> list[Heard]:
        """Time passes; at least every 20 ms."""
        if self._state is _State.DECIDING:
            ended = self._ended
            if ended is not None and at - ended.at > FINAL_PATIENCE_SAMPLES:
                return self._finish(Hypothesis("", is_final=True, end_at=at), at)
            return []
        if self._state is not _State.LISTENING:
            return []
        event = self._endpointer.tick(at)
        if event is None:
            return []
        if isinstance(event, NoInput):
            self._state = _State.IDLE
            return [event]
        if event.reason is TurnEndReason.DTMF:
            self._state = _State.IDLE
            return [event, KeysEntered(self._endpointer.take_keys(), event.at)]
        return [event, *self._decide(event)]

    # ------------------------------------------------------------ the recogniser's side

    def recognised(
        self, utterance: int, kind: Kind, end_at: int, hypothesis: Hypothesis | None, at: int
    ) -> list[Heard]:
        """The answer to a Recognise; None when recognition failed."""
        if utterance != self._utterance or self._start_at is None:
            return []
        if kind == "partial":
            if hypothesis is None or self._state is not _State.LISTENING:
                return []
            self._judge(hypothesis.text, at)
            return [hypothesis if self._agreement is None else self._agreement.apply(hypothesis)]
        if end_at != self._asked_until:
            return []  # the caller went on speaking: what was said is longer now
        final = replace(hypothesis or Hypothesis(""), is_final=True)
        if self._state is _State.DECIDING:
            return self._finish(final, at)
        self._early = final
        self._judge(final.text, at)
        return []

    def transcribed(self, hypothesis: Hypothesis, at: int) -> list[Heard]:
        """A hypothesis of an external recogniser, which chooses its own spans.

        Such services may give a turn in several finals; together they are what was said. What
        comes when no turn is open belongs to one that is over.
        """
        if self._start_at is None or self._state not in {_State.LISTENING, _State.DECIDING}:
            return []
        whole = _joined(self._transcript, hypothesis)
        if not hypothesis.is_final:
            self._judge(whole.text, at)
            return [whole]
        self._transcript, self._is_transcribed = whole, True
        if self._state is _State.DECIDING:
            return self._finish(whole, at)
        if self._speech is None:
            self._judge(whole.text, at)
        return []

    # ------------------------------------------------------------ inside

    def _listen(self, at: int) -> list[Heard]:
        self._state = _State.LISTENING
        self._endpointer.listen(self._expectation, at)
        if self._speech is not None:
            # What was said over a prompt that may not be interrupted is not part of the answer.
            allowed = self._expectation.barge_in is BargeInMode.SPEECH
            self._open(self._speech.at if allowed else max(at, self._speech.at))
        return []

    def _open(self, onset_at: int) -> None:
        """Speech belongs to the turn: a new utterance, or the open one goes on."""
        self._early = self._asked_until = None
        self._is_transcribed = False
        if self._start_at is None:
            self._utterance += 1
            if self._agreement is not None:
                self._agreement.reset()
            self._start_at = max(0, onset_at - PREROLL_SAMPLES)
            self._partial_at = onset_at

    def _pause(self, event: SpeechEnded) -> list[Heard]:
        if self._state is not _State.LISTENING or self._start_at is None:
            return []
        # All that the VAD has heard, the silence that told it of the end among it: a final "s"
        # or "t" fades below its threshold.
        self._asked_until = event.detected_at
        return [Recognise(self._utterance, "speculative", self._start_at, self._asked_until)]

    def _interrupt(self, speech: SpeechStarted, at: int, is_audible: bool) -> list[Heard]:
        barge_in = self._barge_in.speech(speech, at, is_audible=is_audible)
        if barge_in is None:
            return []
        return [barge_in, *self._listen(barge_in.at)]

    def _partial(self, at: int) -> list[Heard]:
        if self._speech is None or self._start_at is None:
            return []
        spoken = at - self._start_at
        if at - self._partial_at < max(self._partial_interval, int(spoken * PARTIAL_GROWTH)):
            return []
        self._partial_at = at
        return [Recognise(self._utterance, "partial", self._start_at, at)]

    def _judge(self, text: str, at: int) -> None:
        self._endpointer.on_completeness(self._completeness(text, self._expectation), at)

    def _decide(self, ended: TurnEnded) -> list[Heard]:
        self._state, self._ended = _State.DECIDING, ended
        if self._early is not None:
            return self._finish(self._early, ended.at)
        if self._transcript is not None and self._is_transcribed:
            return self._finish(self._transcript, ended.at)
        if self._asked_until is not None or self._start_at is None:
            return []
        self._asked_until = ended.at
        return [Recognise(self._utterance, "final", self._start_at, ended.at)]

    def _finish(self, final: Hypothesis, at: int) -> list[Heard]:
        ended = self._ended
        assert ended is not None, "a turn is finished once"
        self._forget()
        if not final.text and _length(ended) < COUGH_SAMPLES:
            return self._listen(at)  # the caller still has the floor
        self._state = _State.IDLE
        return [final, CallerTurn(ended, final)]

    def _forget(self) -> None:
        self._start_at = self._asked_until = self._early = self._ended = None
        self._transcript, self._is_transcribed = None, False


def _length(ended: TurnEnded) -> int:
    """Samples from the onset of a turn's speech to its end, pauses included."""
    if ended.speech_start_at is None or ended.speech_end_at is None:
        return 0
    return ended.speech_end_at - ended.speech_start_at


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
