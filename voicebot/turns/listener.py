"""One caller's ears: VAD windows, keys and hypotheses in; turns, barge-ins and requests out.

It composes the detector, the barge-in policy and the endpointer, and asks the recogniser
for partials while the caller speaks, for a speculative final at the first pause, and for
the final when the turn ends without one. Pure: every method takes `at` and returns events.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    CallerTurn,
    Completeness,
    Digit,
    EchoState,
    Expectation,
    Hypothesis,
    KeysEntered,
    NoInput,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.backchannel import verdict
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.utterance import Kind, Recognise, Utterance
from voicebot.turns.vad import WINDOW_SAMPLES, SpeechDetector

__all__ = ["Heard", "Kind", "Listener", "Recognise"]

COUGH_SAMPLES = SAMPLE_RATE_HZ // 2
"""Speech shorter than this in which no word was recognised was none: a cough, a door."""
FINAL_PATIENCE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""How long an ended turn waits for its final; then it counts as not understood."""
HOT_WORD_WINDOW_SAMPLES = 16 * SAMPLE_RATE_HZ // 10
HOT_WORD_HOP_SAMPLES = 32 * SAMPLE_RATE_HZ // 100
"""Audio in which the hot word is looked for, and how often while the caller speaks."""
HOT_WORD_PROBABILITY = 0.5

CheckCompleteness = Callable[[str, Expectation], Completeness]

Heard = (
    SpeechStarted
    | SpeechEnded
    | BargeInCandidate
    | BargeInRejected
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
        bot_text: Callable[[], str] = str,
    ) -> None:
        """`completeness` is the room nlu's judgement of a text against the Expectation.

        `bot_text`: the words of the prompts being played, whose echo may come back.
        """
        self._completeness = completeness
        self._detector = detector
        self._endpointer = endpointer
        self._barge_in = barge_in
        self._agreement = agreement
        self._bot_text = bot_text
        self._utterance = Utterance(partial_interval_ms)
        self._state = _State.IDLE
        self._expectation = Expectation()
        self._speech: SpeechStarted | None = None  # set while the caller speaks
        self._last: tuple[SpeechStarted, SpeechEnded] | None = None  # the latest stretch, if over
        self._echo = EchoState.NONE
        self._of_prompt: BargeInMode | None = None  # mode of the prompt being heard
        self._spotted_at = 0  # where the hot word was last looked for
        self._ended: TurnEnded | None = None

    # ------------------------------------------------------------ the dialogue's side

    def expect(self, expectation: Expectation, at: int) -> list[Heard]:
        """The dialogue has spoken its mind; prompts may still be playing."""
        out: list[Heard] = []
        if self._barge_in.is_pending and self._state is _State.PROMPTING:
            out.append(BargeInRejected(at, "noise"))  # whatever was paused must go on
        self._expectation = expectation
        self._state = _State.PROMPTING
        self._barge_in.prompt(expectation.barge_in)
        self._forget()
        return out

    def prompt_ended(self, at: int) -> list[Heard]:
        """The caller has heard all prompts: silence counts from here."""
        if self._state is not _State.PROMPTING:
            return []
        if self._barge_in.is_pending:
            return self._yielded(self._barge_in.judged("floor", at, is_final=False))
        return self._listen(at)

    # ------------------------------------------------------------ the caller's side

    def hear(
        self,
        at: int,
        probability: float,
        *,
        is_audible: bool,
        echo: EchoState = EchoState.NONE,
        of_prompt: BargeInMode | None = None,
    ) -> list[Heard]:
        """One VAD window that begins at `at`.

        `is_audible`: the caller hears the bot now, a prompt with the mode `of_prompt`. `echo`:
        whether the window may hold the bot's echo.
        """
        self._echo, self._of_prompt = echo, of_prompt
        out: list[Heard] = []
        for event in self._detector.feed(at, probability):
            out.append(event)
            if isinstance(event, SpeechStarted):
                out += self._starts(event)
            else:
                out += self._ends(event)
        if self._state is _State.PROMPTING:
            out += self._over_prompt(at + WINDOW_SAMPLES, is_audible)
        if self._state is _State.LISTENING and self._speech is not None:
            out += self._utterance.partial(at + WINDOW_SAMPLES)
        return out

    def _starts(self, event: SpeechStarted) -> list[Heard]:
        self._speech, self._last = event, None
        self._endpointer.on_speech_started(event)
        if self._state is _State.LISTENING or self._barge_in.is_pending:
            self._open(event.at)
        return []

    def _ends(self, event: SpeechEnded) -> list[Heard]:
        if self._speech is not None:
            self._last = (self._speech, event)
        self._speech = None
        self._endpointer.on_speech_ended(event)
        if self._state is _State.LISTENING or self._barge_in.is_pending:
            # All that the VAD has heard, the silence that told it of the end among it: a final
            # "s" or "t" fades below its threshold.
            return [*self._utterance.whole("speculative", event.detected_at)]
        if self._state is _State.PROMPTING:
            return self._spot(event.detected_at)
        return []

    def key(self, digit: Digit) -> list[Heard]:
        """A DTMF key: it cuts the prompt at once where keys are expected."""
        out: list[Heard] = []
        if self._state is _State.PROMPTING and self._expectation.digits is not None:
            barge_in = self._barge_in.digit(digit, self._of_prompt)
            if barge_in is not None:
                self._utterance.forget()  # what was being said is no answer any more
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
        if self._state is not _State.LISTENING or self._detector.is_rising:
            return []  # the caller may be going on: that is known in less than 100 ms
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
        if kind == "hotword":
            return self._spotted(hypothesis)
        if utterance != self._utterance.number or not self._utterance.is_open:
            return []
        if kind == "partial":
            return self._partial(hypothesis, at)
        final = self._utterance.take(end_at, hypothesis)
        if final is None:
            return []
        if self._state is _State.DECIDING:
            return self._finish(final, at)
        if self._state is _State.PROMPTING:
            return self._weigh(final, at, is_final=hypothesis is not None)
        self._judge(final, at)
        return []

    def _partial(self, hypothesis: Hypothesis | None, at: int) -> list[Heard]:
        if hypothesis is None:
            return []
        if self._state is _State.PROMPTING:
            return self._weigh(hypothesis, at, is_final=False)
        if self._state is not _State.LISTENING:
            return []
        self._judge(hypothesis, at)
        return [hypothesis if self._agreement is None else self._agreement.apply(hypothesis)]

    def transcribed(self, hypothesis: Hypothesis, at: int) -> list[Heard]:
        """A hypothesis of an external recogniser, which chooses its own spans.

        Such services may give a turn in several finals; together they are what was said. What
        comes when no turn is open belongs to one that is over.
        """
        if not self._utterance.is_open or self._state is _State.IDLE:
            return []
        whole = self._utterance.transcribe(hypothesis)
        if self._state is _State.PROMPTING:
            return self._weigh(whole, at, is_final=hypothesis.is_final and self._speech is None)
        if not hypothesis.is_final:
            self._judge(whole, at)
            return [whole]
        if self._state is _State.DECIDING:
            return self._finish(whole, at)
        if self._speech is None:
            self._judge(whole, at)
        return []

    # ------------------------------------------------------------ over a prompt

    def _over_prompt(self, at: int, is_audible: bool) -> list[Heard]:
        event = self._barge_in.heard(
            self._speech, at, is_audible=is_audible, echo=self._echo, of_prompt=self._of_prompt
        )
        if isinstance(event, BargeInCandidate):
            self._open(event.at)
            return [event]
        if isinstance(event, BargeInRejected):
            self._utterance.forget()
            return [event]
        if event is not None:
            return self._yielded(event)
        if self._speech is None:
            return []
        if self._barge_in.is_pending:
            return [*self._utterance.partial(at)]
        is_due = at - max(self._spotted_at, self._speech.at) >= HOT_WORD_HOP_SAMPLES
        return self._spot(at) if is_due else []

    def _weigh(self, heard: Hypothesis, at: int, *, is_final: bool) -> list[Heard]:
        """Words said over a prompt: do they take the floor?"""
        completeness = self._completeness(heard.text, self._expectation)
        is_echo_possible = self._echo is not EchoState.NONE
        found = verdict(
            heard.text,
            completeness,
            self._expectation,
            bot_text=self._bot_text() if is_echo_possible else "",
            is_locked=self._echo is not EchoState.UNLOCKED,
        )
        event = self._barge_in.judged(found, at, is_final=is_final and self._speech is None)
        if isinstance(event, BargeInRejected):
            self._utterance.forget()
            return [event]
        out = self._yielded(event)
        if event is not None:
            self._judge(heard, at)
        return out

    def _yielded(self, barge_in: BargeIn | BargeInRejected | None) -> list[Heard]:
        if not isinstance(barge_in, BargeIn):
            return [] if barge_in is None else [barge_in]
        out = [barge_in, *self._listen(barge_in.at)]
        if self._speech is None and self._last is not None:
            # What took the floor is over: the endpointer heard of neither its begin nor its end.
            self._endpointer.on_speech_started(self._last[0])
            self._endpointer.on_speech_ended(self._last[1])
        return out

    def _spot(self, at: int) -> list[Heard]:
        """Look for the hot word in what was said last."""
        if self._barge_in.mode(self._of_prompt) is not BargeInMode.HOTWORD:
            return []
        self._spotted_at = at
        start = max(0, at - HOT_WORD_WINDOW_SAMPLES)
        return [Recognise(self._utterance.number, "hotword", start, at)]

    def _spotted(self, found: Hypothesis | None) -> list[Heard]:
        is_there = found is not None and (found.hotword_probability or 0) >= HOT_WORD_PROBABILITY
        speech = self._speech or (self._last[0] if self._last else None)
        if self._state is not _State.PROMPTING or not is_there or speech is None:
            return []
        assert found is not None
        return self._yielded(self._barge_in.hot_word(max(speech.at, found.start_at)))

    # ------------------------------------------------------------ inside

    def _listen(self, at: int) -> list[Heard]:
        self._state = _State.LISTENING
        self._endpointer.listen(self._expectation, at)
        if self._speech is not None:
            # What was said over a prompt that may not be interrupted is not part of the answer.
            allowed = at <= self._speech.at or self._expectation.barge_in is BargeInMode.SPEECH
            self._open(self._speech.at if allowed else max(at, self._speech.at))
        return []

    def _open(self, onset_at: int) -> None:
        """Speech belongs to the turn: a new utterance, or the open one goes on."""
        if self._utterance.open(onset_at) and self._agreement is not None:
            self._agreement.reset()

    def _judge(self, heard: Hypothesis, at: int) -> None:
        self._endpointer.on_completeness(self._completeness(heard.text, self._expectation), at)

    def _decide(self, ended: TurnEnded) -> list[Heard]:
        self._state, self._ended = _State.DECIDING, ended
        final = self._utterance.final
        if final is not None:
            return self._finish(final, ended.at)
        if self._utterance.is_asked:
            return []
        return [*self._utterance.whole("final", ended.at)]

    def _finish(self, final: Hypothesis, at: int) -> list[Heard]:
        ended = self._ended
        assert ended is not None, "a turn is finished once"
        self._forget()
        if not final.text and _length(ended) < COUGH_SAMPLES:
            return self._listen(at)  # the caller still has the floor
        self._state = _State.IDLE
        return [final, CallerTurn(ended, final)]

    def _forget(self) -> None:
        self._utterance.forget()
        self._ended = None


def _length(ended: TurnEnded) -> int:
    """Samples from the onset of a turn's speech to its end, pauses included."""
    if ended.speech_start_at is None or ended.speech_end_at is None:
        return 0
    return ended.speech_end_at - ended.speech_start_at
