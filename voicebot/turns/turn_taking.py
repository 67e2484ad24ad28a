"""Whose turn it is: how the caller's begins, how it ends, and what it told the dialogue. Pure."""

from __future__ import annotations

from enum import Enum

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInRejected,
    CallerTurn,
    Expectation,
    Hypothesis,
    KeysEntered,
    NoInput,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEndReason,
)
from voicebot.turns.answer import Answer
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.floor import Floor
from voicebot.turns.utterance import Recognise

COUGH_SAMPLES = SAMPLE_RATE_HZ // 2
"""Speech shorter than this in which no word was recognised was none: a cough, a door."""
AFTER_COUGH_SAMPLES, COUGHS = 2 * SAMPLE_RATE_HZ, 2
"""After each of the first coughs the caller has so long to answer; the time before them counts, or
a line that crackles would keep a silent caller waiting for ever."""
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


class State(Enum):
    """Of one call."""

    IDLE = "the dialogue waits for nothing"
    PROMPTING = "a prompt plays; the caller may interrupt"
    LISTENING = "the caller's turn"
    DECIDING = "the turn has ended; its final hypothesis is awaited"


class TurnTaking:
    """One call's turns, and the stretches of speech in them."""

    def __init__(self, floor: Floor, endpointer: Endpointer, answer: Answer) -> None:
        """The dialogue waits for nothing yet."""
        self._floor = floor
        self._endpointer = endpointer
        self._answer = answer
        self._utterance = answer.utterance
        self._expectation = Expectation()
        self._silent_since = self._coughs = 0
        self._may_be_echo = False  # whether the bot's echo could be heard when he began
        self.state = State.IDLE
        self.is_spelling = False
        """The open utterance is listened to for the hot word alone."""
        self.speech: SpeechStarted | None = None
        """Set while the caller speaks."""
        self.last: tuple[SpeechStarted, SpeechEnded] | None = None
        """The latest stretch of speech, if over."""
        self.prompts_end_at: int | None = None
        """Set once that is known, while audio until then is on its way."""

    @property
    def latest(self) -> SpeechStarted | None:
        """What is being said, or was said last."""
        return self.speech or (self.last[0] if self.last else None)

    @property
    def is_interrupting(self) -> bool:
        """Whether what the caller says over a prompt may take the floor; it pauses."""
        return self.state is State.PROMPTING and self._floor.is_pending

    @property
    def is_heard(self) -> bool:
        """Whether what the caller says may be an answer."""
        return self.state is State.LISTENING or self.is_interrupting

    # ------------------------------------------------------------ it begins

    def prompt(self, expectation: Expectation) -> None:
        """Prompts begin, after which `expectation` is waited for."""
        self._expectation = expectation
        self.state, self.prompts_end_at = State.PROMPTING, None
        self._answer.expect(expectation)

    def listen(self, at: int, *, silent_since: int | None = None) -> list[Heard]:
        """The caller's turn begins, perhaps in the midst of what he says."""
        self.state, self.prompts_end_at = State.LISTENING, None
        self.stop_spelling()
        self._silent_since, self._coughs = at, 0
        self._endpointer.listen(self._expectation, at, silent_since=silent_since)
        if self.speech is not None:
            self._endpointer.on_speech_started(self.speech)  # it may have outlasted a decision
            # What was said over a prompt that may not be interrupted is not part of the answer.
            allowed = at <= self.speech.at or self._floor.takes_speech
            self._answer.open(self.speech.at if allowed else max(at, self.speech.at))
        return []

    def take_last(self, at: int) -> list[Heard]:
        """What was said last, from `at` on, is (part of) the answer, though it is over: the
        endpointer heard of neither its begin nor its end."""
        assert self.last is not None
        started, ended = self.last
        self._endpointer.on_speech_started(started)
        self._endpointer.on_speech_ended(ended)
        if self._utterance.is_open:
            return []
        self._answer.open(max(at, started.at))
        return [*self._utterance.whole("speculative", ended.detected_at)]

    # ------------------------------------------------------------ the caller speaks

    def starts(self, event: SpeechStarted, *, may_be_echo: bool, is_spelled: bool) -> None:
        """`may_be_echo`: the bot's echo can be heard now. `is_spelled`: see Interruption."""
        self._may_be_echo = may_be_echo
        self.speech, self.last = event, None
        self._endpointer.on_speech_started(event)
        self.is_spelling = is_spelled
        if self.is_heard or self.is_spelling:
            self._answer.open(event.at)

    def ends(self, event: SpeechEnded) -> list[Heard]:
        """He has fallen silent: asks for what he said, if it may be an answer."""
        if self.speech is not None:
            self.last = (self.speech, event)
        self.speech = None
        self._endpointer.on_speech_ended(event)
        if not self.is_heard:
            return []
        return [*self._answer.paused(event.detected_at)]

    def stop_spelling(self) -> None:
        """What was said to a prompt that only the hot word interrupts is no answer."""
        if self.is_spelling:
            self.is_spelling = False
            self._utterance.forget()

    # ------------------------------------------------------------ it ends

    def ended(self, event: TurnEnded | NoInput | None) -> list[Heard]:
        """The consequences of the endpointer's decision."""
        if event is None:
            return []
        if isinstance(event, NoInput):
            self.state = State.IDLE
            return [event]
        if event.reason is TurnEndReason.DTMF:
            self.state = State.IDLE
            return [event, KeysEntered(self._endpointer.take_keys(), event.at)]
        self.state = State.DECIDING
        decided = self._answer.decide(event)
        if isinstance(decided, Hypothesis):
            return [event, *self.finish(decided, event.at)]
        return [event, *decided]

    def finish(self, final: Hypothesis, at: int) -> list[Heard]:
        """The final of an ended turn is there: it goes to the dialogue, unless nothing was said."""
        ended = self._answer.ended
        assert ended is not None, "a turn is finished once"
        self._answer.forget()
        is_cough = not final.text and _length(ended) < COUGH_SAMPLES
        if is_cough or (self._may_be_echo and self._floor.is_own_echo(final)):
            return self._go_on(at)  # the caller still has the floor
        self.state = State.IDLE
        final = self._answer.settled(final)
        return [final, CallerTurn(ended, final)]

    def unheard(self, at: int) -> list[Heard]:
        """What may have been said so far is no answer, as nobody hears the rest of it."""
        if self.state not in {State.PROMPTING, State.LISTENING}:
            return []
        self._answer.forget()
        self.speech, self.prompts_end_at = None, None
        self._endpointer.stop_listening()
        self.state = State.IDLE
        nothing = Hypothesis("", is_final=True, start_at=at, end_at=at, is_unheard=True)
        return [CallerTurn(TurnEnded(at, TurnEndReason.NOINPUT), nothing)]

    def _go_on(self, at: int) -> list[Heard]:
        """Nothing was said in what was taken for a turn: the caller is silent as long as before."""
        self._coughs += 1
        since, coughs = self._silent_since, self._coughs
        if coughs <= COUGHS:
            noinput = self._expectation.timeouts.noinput_ms * SAMPLE_RATE_HZ // 1000
            since = max(since, at - noinput + AFTER_COUGH_SAMPLES)
        out = self.listen(at, silent_since=min(since, at))
        self._silent_since, self._coughs = since, coughs
        return out


def _length(ended: TurnEnded) -> int:
    """Samples from the onset of a turn's speech to its end, pauses included."""
    if ended.speech_start_at is None or ended.speech_end_at is None:
        return 0
    return ended.speech_end_at - ended.speech_start_at
