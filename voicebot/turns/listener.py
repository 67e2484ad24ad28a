"""One caller's ears: VAD windows, keys and hypotheses in; turns, barge-ins and requests out.

It composes the detector, the barge-in policy and the endpointer, and asks the recogniser
for partials while the caller speaks, for a speculative final at the first pause, and for
the final when the turn ends without one. Pure: every method takes `at` and returns events.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    CallerTurn,
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
from voicebot.turns.answer import Agreement, Answer
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.floor import CheckCompleteness, Floor
from voicebot.turns.hotword_head import WINDOW_SAMPLES as HOT_WORD_SAMPLES
from voicebot.turns.hotword_head import HotWordWatch
from voicebot.turns.suspicion import Suspicion
from voicebot.turns.utterance import Kind, Recognise
from voicebot.turns.vad import WINDOW_SAMPLES, SpeechDetector

__all__ = ["Heard", "Kind", "Listener", "Recognise"]

COUGH_SAMPLES = SAMPLE_RATE_HZ // 2
"""Speech shorter than this in which no word was recognised was none: a cough, a door."""
AFTER_COUGH_SAMPLES, COUGHS = 2 * SAMPLE_RATE_HZ, 2
"""After each of the first coughs the caller has so long to answer; the time before them counts, or
a line that crackles would keep a silent caller waiting for ever."""
DEAF_SAMPLES = SAMPLE_RATE_HZ // 2
"""Without windows for so long, hearing has stopped or lags: what waits for them goes on."""
LATE_SAMPLES = SAMPLE_RATE_HZ // 4
"""Audio further behind the end of the prompts than this was held up: it was spoken over them."""
LOST_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Audio that has not come for so long is not waited for any more."""
FINAL_PATIENCE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""How long an ended turn waits for its final; then it counts as not understood."""
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
        hot_word_threshold: float = 0.5,
        looks_ahead: bool = True,
        spells_hot_word: bool = False,
        hears_words: bool = True,
    ) -> None:
        """`completeness` is the room nlu's judgement of a text against the Expectation.

        `bot_text`: the words of the prompts being played, whose echo may come back.
        `hot_word_threshold`: HotWordHead.threshold. `looks_ahead`: a final is asked for before
        the detector is sure that the caller has fallen silent. `spells_hot_word`: it is looked for
        in what another service recognises. `hears_words`: there is a recogniser.
        """
        self._detector = detector
        self._floor = Floor(barge_in, completeness, bot_text, HotWordWatch(hot_word_threshold))
        self._endpointer = endpointer
        self._answer = Answer(endpointer, completeness, agreement, partial_interval_ms)
        self._utterance = self._answer.utterance
        self._state = _State.IDLE
        self._looks_ahead = looks_ahead
        self._spells_hot_word, self._hears_words = spells_hot_word, hears_words
        self._is_spelling = False  # the open utterance is listened to for the hot word alone
        self._expectation = Expectation()
        self._speech: SpeechStarted | None = None  # set while the caller speaks
        self._suspicion = Suspicion()
        self._silent_since = self._coughs = 0
        self._heard_until = 0
        self._ends_at: int | None = None  # of the prompts, while audio until then is on its way
        self._ends_after = 0  # what was heard when that was told
        self._void_until = 0  # what was said until then came too late to count
        self._may_be_echo = False  # whether the bot's echo could be heard when he began
        self._last: tuple[SpeechStarted, SpeechEnded] | None = None  # the latest stretch, if over

    # ------------------------------------------------------------ the dialogue's side

    def expect(
        self, expectation: Expectation, at: int, *, must_be_heard: bool = False
    ) -> list[Heard]:
        """The dialogue has spoken its mind; prompts may still be playing.

        `must_be_heard`: one of them may not be interrupted, and may not have begun to play.
        """
        out: list[Heard] = []
        if self._floor.is_pending and self._state is _State.PROMPTING:
            out.append(BargeInRejected(at, "noise"))  # whatever was paused must go on
        self._expectation = expectation
        self._state, self._ends_at = _State.PROMPTING, None
        self._floor.prompt(expectation, must_be_heard=must_be_heard)
        self._answer.expect(expectation)
        if self._endpointer.has_typed_ahead and not must_be_heard:
            out += self._settled(self._floor.typed_ahead(at))
            out += self.tick(at)
        return out

    def prompt_ended(self, at: int) -> list[Heard]:
        """The caller has heard all prompts: silence counts from here.

        `at` may be well after what was heard so far: what was said meanwhile is heard first.
        """
        if self._state is _State.PROMPTING and at - self._heard_until > LATE_SAMPLES:
            self._ends_at, self._ends_after = at, self._heard_until
            return []
        return self._prompts_over(at)

    def sooner(self, by: int) -> list[Heard]:
        """What is known by the clock, beyond what was heard, was `by` samples earlier in the audio
        than it seemed: the sender had paused, and that much never was on its way. Negative: it was.
        """
        if self._void_until > self._heard_until:
            self._void_until -= by
        self._endpointer.sooner(by, self._heard_until)
        if self._ends_at is None:
            return []
        self._ends_at = max(self._ends_at - by, self._ends_after)
        return self._prompts_over(self._ends_at) if self._ends_at <= self._heard_until else []

    def _prompts_over(self, at: int) -> list[Heard]:
        self._ends_at = None
        if self._state is not _State.PROMPTING:
            return []
        if self._floor.is_pending:
            return self._settled(self._floor.concede(at))
        out = self._listen(at)
        if self._speech is None and self._last is not None and self._last[0].at >= at:
            out += self._take_last(at)  # that they were over is known only now
        return out

    # ------------------------------------------------------------ the caller's side

    def hear(
        self,
        at: int,
        probability: float,
        *,
        is_audible: bool,
        echo: EchoState = EchoState.NONE,
        of_prompt: BargeInMode | None = None,
        speech: float | None = None,
    ) -> list[Heard]:
        """One VAD window that begins at `at`.

        `probability`: that the caller speaks; `speech`: that anybody does, echo included. While
        the echo's delay is not known the first says no for as long as an echo may come. Once the
        prompts are over the second counts then: answers to a short question must not be lost,
        and whether they are the bot's own words is told by the words.
        `is_audible`: the caller hears the bot now, a prompt with the mode `of_prompt`. `echo`:
        what the canceller knows of the bot's echo in the window.
        """
        self._heard_until = at + WINDOW_SAMPLES
        if at < self._void_until:
            probability = speech = 0.0
        echo = self._suspicion.weigh(at, echo, is_audible=is_audible)
        is_listening = self._state is _State.LISTENING
        if speech is not None and is_listening and echo is not EchoState.LOCKED:
            probability = speech
        out: list[Heard] = []
        for event in self._detector.feed(at, probability):
            out.append(event)
            if isinstance(event, SpeechStarted):
                self._may_be_echo = echo is EchoState.UNLOCKED
                out += self._starts(event)
            else:
                out += self._ends(event)
        now = at + WINDOW_SAMPLES
        if self._state is _State.PROMPTING:
            found = self._floor.heard(
                self._speech, now, is_audible=is_audible, echo=echo, of_prompt=of_prompt
            )
            out += self._settled(found)
        if self._ends_at is not None and now >= self._ends_at:
            out += self._prompts_over(self._ends_at)
        if self._state is _State.PROMPTING and not self._floor.is_pending:
            out += self._look_for_hot_word(now)
        elif self._is_heard and self._speech is not None:
            # Over a prompt the first sounds are no words yet that could take the floor.
            is_listening = self._state is _State.LISTENING
            if is_listening and self._looks_ahead:
                out += self._answer.may_have_ended(self._detector.quiet_at, now)
            if not self._utterance.is_asked:
                out += self._utterance.partial(now, is_early=is_listening)
        return out

    @property
    def _is_heard(self) -> bool:
        """Whether what the caller says may be an answer."""
        return self._state is _State.LISTENING or (
            self._state is _State.PROMPTING and self._floor.is_pending
        )

    @property
    def _is_spelled(self) -> bool:
        """Whether a service's words are waited for, of which only the hot word counts."""
        is_asked = self._spells_hot_word and self._state is _State.PROMPTING
        return is_asked and self._floor.waits_for_hot_word

    def _starts(self, event: SpeechStarted) -> list[Heard]:
        self._speech, self._last = event, None
        self._endpointer.on_speech_started(event)
        self._is_spelling = self._is_spelled
        if self._is_heard or self._is_spelling:
            self._answer.open(event.at)
        return []

    def _ends(self, event: SpeechEnded) -> list[Heard]:
        if self._speech is not None:
            self._last = (self._speech, event)
        self._speech = None
        self._endpointer.on_speech_ended(event)
        if not self._is_heard:
            return []
        return [*self._answer.paused(event.detected_at)]

    def key(self, digit: Digit) -> list[Heard]:
        """A DTMF key: it cuts the prompt at once where keys are expected."""
        out: list[Heard] = []
        barge_in = self._floor.digit(digit) if self._state is _State.PROMPTING else None
        if barge_in is not None:
            self._utterance.forget()  # what was being said is no answer any more
            out += [barge_in, *self._listen(digit.at)]
        self._endpointer.on_digit(digit)
        if self._state is _State.LISTENING:
            out += self._ended(self._endpointer.tick_keys(digit.at))
        return out

    def overdue(self, at: int) -> list[Heard]:
        """No audio comes; `at` is the time by the clock. Keys and prompts go on without it.

        Once it counts as lost everything does. For a caller's silence it is waited for until then.
        """
        if self._state is _State.PROMPTING and self._floor.is_pending:
            return self._settled(self._floor.suspend(at))
        if at - self._heard_until > LOST_SAMPLES:
            return self.tick(at)
        if self._state is _State.LISTENING:
            return self._ended(self._endpointer.tick_keys(at))
        return []

    def tick(self, at: int) -> list[Heard]:
        """Time passes; at least every 20 ms."""
        is_deaf = at - self._heard_until > DEAF_SAMPLES
        if self._state is _State.PROMPTING and self._floor.is_pending and is_deaf:
            return self._settled(self._floor.give_up(at))  # nothing will tell any more
        is_lost = at - self._heard_until > LOST_SAMPLES
        if self._ends_at is not None and is_lost:
            self._void_until = self._ends_at
            self._lose()
            return self._prompts_over(self._ends_at)
        if self._state is _State.DECIDING:
            ended = self._answer.ended
            if ended is not None and at - ended.at > FINAL_PATIENCE_SAMPLES:
                return self._finish(Hypothesis("", is_final=True, end_at=at), at)
            return []
        if self._state is not _State.LISTENING or (self._detector.is_rising and not is_deaf):
            return []  # the caller may be going on: that is known in less than 100 ms
        asked = self._lose() if is_lost else []
        hums = self._endpointer.hums(at, self._utterance.hummed_until)
        return [*asked, *self._ended(hums or self._endpointer.tick(at))]

    def _lose(self) -> list[Heard]:
        """No audio is waited for any more: what was being said ended with what was heard of it."""
        self._detector.reset()  # whoever speaks when it comes again begins anew
        if self._speech is None:
            return []
        return self._ends(SpeechEnded(self._heard_until, self._heard_until))

    def _ended(self, event: TurnEnded | NoInput | None) -> list[Heard]:
        """The consequences of the endpointer's decision."""
        if event is None:
            return []
        if isinstance(event, NoInput):
            self._state = _State.IDLE
            return [event]
        if event.reason is TurnEndReason.DTMF:
            self._state = _State.IDLE
            return [event, KeysEntered(self._endpointer.take_keys(), event.at)]
        self._state = _State.DECIDING
        decided = self._answer.decide(event)
        if isinstance(decided, Hypothesis):
            return [event, *self._finish(decided, event.at)]
        return [event, *decided]

    # ------------------------------------------------------------ the recogniser's side

    def recognised(
        self, utterance: int, kind: Kind, end_at: int, hypothesis: Hypothesis | None, at: int
    ) -> list[Heard]:
        """The answer to a Recognise; None when recognition failed."""
        if kind == "hotword":
            speech = self._speech or (self._last[0] if self._last else None)
            is_asked = self._state is _State.PROMPTING
            return self._settled(self._floor.spotted(hypothesis, speech)) if is_asked else []
        if utterance != self._utterance.number or not self._utterance.is_open:
            return []
        if kind == "partial":
            is_wordless = self._hears_words and self._answer.is_wordless(hypothesis)
            self._utterance.take_partial(hypothesis, end_at, is_wordless=is_wordless)
            return self._partial(hypothesis, at)
        if hypothesis is None and self._state is _State.LISTENING:
            if self._utterance.is_newest(end_at):
                self._utterance.resume()  # it is asked for again, at the turn's end at the latest
            return []
        final = self._utterance.take(end_at, hypothesis)
        if final is None:
            return []
        if self._state is _State.DECIDING:
            return self._finish(final, at)
        if self._state is _State.PROMPTING:
            is_final = hypothesis is not None
            return self._weigh(final, at, is_final=is_final, confidence=final.confidence)
        self._answer.judge(final, at, final.confidence)
        return []

    def _partial(self, hypothesis: Hypothesis | None, at: int) -> list[Heard]:
        if hypothesis is None:
            return []
        if self._state is _State.PROMPTING:
            return self._weigh(hypothesis, at, is_final=False, confidence=0.0)
        if self._state is not _State.LISTENING:
            return []
        self._answer.judge(hypothesis, at, 0.0)
        return [self._answer.stable(hypothesis)]

    def transcribed(self, hypothesis: Hypothesis, at: int) -> list[Heard]:
        """A hypothesis of an external recogniser, which chooses its own spans.

        Such services may give a turn in several finals; together they are what was said. What
        comes when no turn is open belongs to one that is over.
        """
        if not self._utterance.is_open or self._state is _State.IDLE:
            return []
        whole = self._utterance.transcribe(hypothesis, is_silent=self._speech is None)
        if self._is_spelled:
            return self._spell(whole, at, is_over=hypothesis.is_final and self._speech is None)
        if self._state is _State.PROMPTING:
            return self._weigh(whole, at, is_final=hypothesis.is_final and self._speech is None)
        if not hypothesis.is_final:
            self._answer.judge(whole, at, None)
            return [whole]
        if self._state is _State.DECIDING:
            return self._finish(whole, at)
        if self._speech is None:
            self._answer.judge(whole, at, None)
        return []

    def end_judged(self, utterance: int, end_at: int, probability: float, at: int) -> list[Heard]:
        """That the caller has finished, judged by voice where words come from elsewhere."""
        self._answer.end_judged(utterance, end_at, probability, at)
        return []

    # ------------------------------------------------------------ over a prompt

    def _settled(self, event: BargeInCandidate | BargeIn | BargeInRejected | None) -> list[Heard]:
        """The consequences of what was found out about the floor."""
        match event:
            case None:
                return []
            case BargeInCandidate():
                self._stop_spelling()
                self._answer.open(event.at)
                return [event]
            case BargeInRejected():
                self._utterance.forget()
                return [event]
        if event.kind == "speech" and self._speech is not None:
            self._answer.open(event.at)  # older words were meant for what was asked before
        out = [event, *self._listen(event.at)]
        if self._speech is None and self._last is not None and event.kind != "dtmf":
            out += self._take_last(event.at)  # what took the floor is over
        return out

    def _take_last(self, at: int) -> list[Heard]:
        """What was said last, from `at` on, is (part of) the answer, though it is over: the
        endpointer heard of neither its begin nor its end."""
        assert self._last is not None
        started, ended = self._last
        self._endpointer.on_speech_started(started)
        self._endpointer.on_speech_ended(ended)
        if self._utterance.is_open:
            return []
        self._answer.open(max(at, started.at))
        return [*self._utterance.whole("speculative", ended.detected_at)]

    def _weigh(
        self, heard: Hypothesis, at: int, *, is_final: bool, confidence: float | None = None
    ) -> list[Heard]:
        """Words said over a prompt: do they take the floor?"""
        is_over = is_final and self._speech is None and self._last is not None
        ended_at = self._last[1].at if self._last is not None and is_over else None
        found = self._floor.words(heard, at, ended_at=ended_at)
        out = self._settled(found)
        if isinstance(found, BargeIn):
            self._answer.judge(heard, at, confidence)
        return out

    def _spell(self, heard: Hypothesis, at: int, *, is_over: bool) -> list[Heard]:
        """Words over a prompt that only the hot word interrupts."""
        speech = self._speech or (self._last[0] if self._last else None)
        found = self._floor.spelled(heard, speech)
        if found is None:
            if is_over:
                self._utterance.forget()  # it was said to nobody
            return []
        self._is_spelling = False  # all of it is the answer
        out = self._settled(found)
        self._answer.judge(heard, at, None)
        return out

    def _stop_spelling(self) -> None:
        """What was said to a prompt that only the hot word interrupts is no answer."""
        if self._is_spelling:
            self._is_spelling = False
            self._utterance.forget()

    def _look_for_hot_word(self, at: int) -> list[Heard]:
        if not self._floor.wants_hot_word(at, is_speaking=self._speech is not None):
            return []
        start = max(0, at - HOT_WORD_SAMPLES)
        return [Recognise(self._utterance.number, "hotword", start, at)]

    # ------------------------------------------------------------ inside

    def _listen(self, at: int, *, silent_since: int | None = None) -> list[Heard]:
        self._state, self._ends_at = _State.LISTENING, None
        self._stop_spelling()
        self._silent_since, self._coughs = at, 0
        self._endpointer.listen(self._expectation, at, silent_since=silent_since)
        if self._speech is not None:
            self._endpointer.on_speech_started(self._speech)  # it may have outlasted a decision
            # What was said over a prompt that may not be interrupted is not part of the answer.
            allowed = at <= self._speech.at or self._floor.takes_speech
            self._answer.open(self._speech.at if allowed else max(at, self._speech.at))
        return []

    def _go_on(self, at: int) -> list[Heard]:
        """Nothing was said in what was taken for a turn: the caller is silent as long as before."""
        self._coughs += 1
        since, coughs = self._silent_since, self._coughs
        if coughs <= COUGHS:
            noinput = self._expectation.timeouts.noinput_ms * SAMPLE_RATE_HZ // 1000
            since = max(since, at - noinput + AFTER_COUGH_SAMPLES)
        out = self._listen(at, silent_since=min(since, at))
        self._silent_since, self._coughs = since, coughs
        return out

    def _finish(self, final: Hypothesis, at: int) -> list[Heard]:
        ended = self._answer.ended
        assert ended is not None, "a turn is finished once"
        self._answer.forget()
        is_cough = not final.text and _length(ended) < COUGH_SAMPLES
        if is_cough or (self._may_be_echo and self._floor.is_own_echo(final)):
            return self._go_on(at)  # the caller still has the floor
        self._state = _State.IDLE
        final = self._answer.settled(final)
        return [final, CallerTurn(ended, final)]


def _length(ended: TurnEnded) -> int:
    """Samples from the onset of a turn's speech to its end, pauses included."""
    if ended.speech_start_at is None or ended.speech_end_at is None:
        return 0
    return ended.speech_end_at - ended.speech_start_at
