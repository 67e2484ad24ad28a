"""One caller's ears: VAD windows, keys and hypotheses in; turns, barge-ins and requests out.

It composes the detector, whose turn it is and what interrupts, and asks the recogniser for
partials while the caller speaks, for a speculative final at the first pause, and for the final
when the turn ends without one. Audio may come late, or never: then the clock decides. Pure: every
method takes `at` and returns events.
"""

from __future__ import annotations

from collections.abc import Callable

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeInMode,
    BargeInRejected,
    Digit,
    EchoState,
    Expectation,
    Hypothesis,
    SpeechEnded,
    SpeechStarted,
)
from voicebot.turns.answer import Agreement, Answer
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.floor import CheckCompleteness, Floor
from voicebot.turns.hotword_head import HotWordWatch
from voicebot.turns.interruption import Interruption
from voicebot.turns.suspicion import Suspicion
from voicebot.turns.turn_taking import Heard, State, TurnTaking
from voicebot.turns.utterance import Kind, Recognise
from voicebot.turns.vad import WINDOW_SAMPLES, SpeechDetector

__all__ = ["Heard", "Kind", "Listener", "Recognise"]

DEAF_SAMPLES = SAMPLE_RATE_HZ // 2
"""Without windows for so long, hearing has stopped or lags: what waits for them goes on."""
LATE_SAMPLES = SAMPLE_RATE_HZ // 4
"""Audio further behind the end of the prompts than this was held up: it was spoken over them."""
LOST_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Audio that has not come for so long is not waited for any more."""
FINAL_PATIENCE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""How long an ended turn waits for its final; then what is known of it stands, or nothing does."""


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
        self._turn = TurnTaking(self._floor, endpointer, self._answer)
        self._interruption = Interruption(
            self._floor, self._answer, self._turn, spells_hot_word=spells_hot_word
        )
        self._looks_ahead, self._hears_words = looks_ahead, hears_words
        self._suspicion = Suspicion()
        self._heard_until = 0
        self._ends_after = 0  # what was heard when the end of the prompts was told
        self._void_until = 0  # what was said until then came too late to count

    # ------------------------------------------------------------ the dialogue's side

    def expect(
        self, expectation: Expectation, at: int, *, must_be_heard: bool = False
    ) -> list[Heard]:
        """The dialogue has spoken its mind; prompts may still be playing.

        `must_be_heard`: one of them may not be interrupted, and may not have begun to play.
        """
        out: list[Heard] = []
        if self._turn.is_interrupting:
            out.append(BargeInRejected(at, "noise"))  # whatever was paused must go on
        self._floor.prompt(expectation, must_be_heard=must_be_heard)
        self._turn.prompt(expectation)
        if self._endpointer.has_typed_ahead and not must_be_heard:
            out += self._interruption.settled(self._floor.typed_ahead(at))
            out += self.tick(at)
        return out

    def prompt_ended(self, at: int) -> list[Heard]:
        """The caller has heard all prompts: silence counts from here.

        `at` may be well after what was heard so far: what was said meanwhile is heard first.
        """
        if self._turn.state is State.PROMPTING and at - self._heard_until > LATE_SAMPLES:
            self._turn.prompts_end_at, self._ends_after = at, self._heard_until
            return []
        return self._interruption.prompts_over(at)

    def sooner(self, by: int) -> list[Heard]:
        """What is known by the clock, beyond what was heard, was `by` samples earlier in the audio
        than it seemed: the sender had paused, and that much never was on its way. Negative: it was.
        """
        if self._void_until > self._heard_until:
            self._void_until -= by
        self._endpointer.sooner(by, self._heard_until)
        if self._turn.prompts_end_at is None:
            return []
        ends_at = max(self._turn.prompts_end_at - by, self._ends_after)
        self._turn.prompts_end_at = ends_at
        return self._interruption.prompts_over(ends_at) if ends_at <= self._heard_until else []

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
        is_listening = self._turn.state is State.LISTENING
        if speech is not None and is_listening and echo is not EchoState.LOCKED:
            probability = speech
        out: list[Heard] = []
        for event in self._detector.feed(at, probability):
            out.append(event)
            if isinstance(event, SpeechStarted):
                self._turn.starts(
                    event,
                    may_be_echo=echo is EchoState.UNLOCKED,
                    is_spelled=self._interruption.is_spelled,
                )
            else:
                out += self._turn.ends(event)
        now = at + WINDOW_SAMPLES
        if self._turn.state is State.PROMPTING:
            found = self._floor.heard(
                self._turn.speech, now, is_audible=is_audible, echo=echo, of_prompt=of_prompt
            )
            out += self._interruption.settled(found)
        ends_at = self._turn.prompts_end_at
        if ends_at is not None and now >= ends_at:
            out += self._interruption.prompts_over(ends_at)
        if self._turn.state is State.PROMPTING and not self._floor.is_pending:
            out += self._interruption.look_for_hot_word(now)
        elif self._turn.is_heard and self._turn.speech is not None:
            # Over a prompt the first sounds are no words yet that could take the floor.
            is_listening = self._turn.state is State.LISTENING
            if is_listening and self._looks_ahead:
                out += self._answer.may_have_ended(self._detector.quiet_at, now)
            if not self._utterance.is_asked:
                out += self._utterance.partial(now, is_early=is_listening)
        return out

    def key(self, digit: Digit) -> list[Heard]:
        """A DTMF key: it cuts the prompt at once where keys are expected."""
        out: list[Heard] = []
        barge_in = self._floor.digit(digit) if self._turn.state is State.PROMPTING else None
        if barge_in is not None:
            self._utterance.forget()  # what was being said is no answer any more
            out += [barge_in, *self._turn.listen(digit.at)]
        self._endpointer.on_digit(digit)
        if self._turn.state is State.LISTENING:
            out += self._turn.ended(self._endpointer.tick_keys(digit.at))
        return out

    def unheard(self, at: int) -> list[Heard]:
        """Nobody hears the call any more. If the dialogue waits for the caller it is told, as by a
        turn that nobody recognised; else nothing happens."""
        rejected = [BargeInRejected(at, "noise")] if self._turn.is_interrupting else []
        return [*rejected, *self._turn.unheard(at)]

    def overdue(self, at: int) -> list[Heard]:
        """No audio comes; `at` is the time by the clock. Keys and prompts go on without it.

        Once it counts as lost everything does. For a caller's silence it is waited for until then.
        """
        if self._turn.is_interrupting:
            return self._interruption.settled(self._floor.suspend(at))
        if at - self._heard_until > LOST_SAMPLES:
            return self.tick(at)
        if self._turn.state is State.LISTENING:
            return self._turn.ended(self._endpointer.tick_keys(at))
        return []

    def tick(self, at: int) -> list[Heard]:
        """Time passes; at least every 20 ms."""
        is_deaf = at - self._heard_until > DEAF_SAMPLES
        if self._turn.is_interrupting and is_deaf:
            return self._interruption.settled(self._floor.give_up(at))  # nothing will tell any more
        is_lost = at - self._heard_until > LOST_SAMPLES
        ends_at = self._turn.prompts_end_at
        if ends_at is not None and is_lost:
            self._void_until = ends_at
            self._lose()
            return self._interruption.prompts_over(ends_at)
        if self._turn.state is State.DECIDING:
            ended = self._answer.ended
            if ended is not None and at - ended.at > FINAL_PATIENCE_SAMPLES:
                unknown = Hypothesis("", is_final=True, end_at=at)
                return self._turn.finish(self._utterance.final or unknown, at)
            return []
        if self._turn.state is not State.LISTENING or (self._detector.is_rising and not is_deaf):
            return []  # the caller may be going on: that is known in less than 100 ms
        asked = self._lose() if is_lost else []
        hums = self._endpointer.hums(at, self._utterance.hummed_until)
        return [*asked, *self._turn.ended(hums or self._endpointer.tick(at))]

    def _lose(self) -> list[Heard]:
        """No audio is waited for any more: what was being said ended with what was heard of it."""
        self._detector.reset()  # whoever speaks when it comes again begins anew
        if self._turn.speech is None:
            return []
        return self._turn.ends(SpeechEnded(self._heard_until, self._heard_until))

    # ------------------------------------------------------------ the recogniser's side

    def recognised(
        self, utterance: int, kind: Kind, end_at: int, hypothesis: Hypothesis | None, at: int
    ) -> list[Heard]:
        """The answer to a Recognise; None when recognition failed."""
        if kind == "hotword":
            return self._interruption.spotted(hypothesis)
        if utterance != self._utterance.number or not self._utterance.is_open:
            return []
        if kind == "partial":
            is_wordless = self._hears_words and self._answer.is_wordless(hypothesis)
            self._utterance.take_partial(hypothesis, end_at, is_wordless=is_wordless)
            return self._partial(hypothesis, at)
        if hypothesis is None and self._turn.state is State.LISTENING:
            if self._utterance.is_newest(end_at):
                self._utterance.resume()  # it is asked for again, at the turn's end at the latest
            return []
        final = self._utterance.take(end_at, hypothesis)
        if final is None:
            return []
        if self._turn.state is State.DECIDING:
            return self._turn.finish(final, at)
        sure = final.confidence
        if self._turn.state is State.PROMPTING:
            is_final = hypothesis is not None
            return self._interruption.weigh(final, at, is_final=is_final, confidence=sure)
        self._answer.judge(final, at, sure)
        return []

    def _partial(self, hypothesis: Hypothesis | None, at: int) -> list[Heard]:
        if hypothesis is None:
            return []
        if self._turn.state is State.PROMPTING:
            return self._interruption.weigh(hypothesis, at, is_final=False, confidence=0.0)
        if self._turn.state is not State.LISTENING:
            return []
        self._answer.judge(hypothesis, at, 0.0)
        return [self._answer.stable(hypothesis)]

    def transcribed(self, hypothesis: Hypothesis, at: int) -> list[Heard]:
        """A hypothesis of an external recogniser, which chooses its own spans.

        Such services may give a turn in several finals; together they are what was said. What
        comes when no turn is open belongs to one that is over.
        """
        if not self._utterance.is_open or self._turn.state is State.IDLE:
            return []
        is_silent = self._turn.speech is None
        is_over = hypothesis.is_final and is_silent
        whole = self._utterance.transcribe(hypothesis, is_silent=is_silent)
        if self._interruption.is_spelled:
            return self._interruption.spell(whole, at, is_over=is_over)
        if self._turn.state is State.PROMPTING:
            return self._interruption.weigh(whole, at, is_final=is_over)
        if not hypothesis.is_final:
            self._answer.judge(whole, at, None)
            return [whole]
        if self._turn.state is State.DECIDING:
            return self._turn.finish(whole, at)
        if is_silent:
            self._answer.judge(whole, at, None)
        return []

    def end_judged(self, utterance: int, end_at: int, probability: float, at: int) -> list[Heard]:
        """That the caller has finished, judged by voice where words come from elsewhere."""
        self._answer.end_judged(utterance, end_at, probability, at)
        return []
