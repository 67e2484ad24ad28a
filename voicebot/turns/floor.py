"""Who has the floor while prompts play: speech, its words, the hot word and keys together. Pure."""

from __future__ import annotations

from collections.abc import Callable

from voicebot.events import (
    SAMPLE_RATE_HZ,
    BargeIn,
    BargeInCandidate,
    BargeInMode,
    BargeInRejected,
    Completeness,
    Digit,
    EchoState,
    Expectation,
    Hypothesis,
    SpeechStarted,
)
from voicebot.turns.backchannel import DOUBTFUL, is_backchannel, is_echo, verdict
from voicebot.turns.barge_in import BargeInPolicy
from voicebot.turns.hotword_head import HotWordWatch
from voicebot.turns.hotword_words import says_hot_word

CheckCompleteness = Callable[[str, Expectation], Completeness]


class Floor:
    """One call's prompts and whatever interrupts them; see BargeInPolicy for the rules."""

    def __init__(
        self,
        policy: BargeInPolicy,
        completeness: CheckCompleteness,
        bot_text: Callable[[], str],
        hot_word: HotWordWatch,
    ) -> None:
        """`completeness`: whether a text answers; `bot_text`: what the prompts say."""
        self._policy = policy
        self._completeness = completeness
        self._bot_text = bot_text
        self._hot_word = hot_word
        self._expectation = Expectation()
        self._echo = EchoState.NONE
        self._was_locked = False  # the echo has been followed before
        self._may_be_nod = False  # one of the candidate's hypotheses was a nod
        self._of_prompt: BargeInMode | None = None
        self._heard_mode = BargeInMode.NONE  # of the prompt heard last

    @property
    def is_pending(self) -> bool:
        """A candidate waits for its verdict; the prompt pauses."""
        return self._policy.is_pending

    @property
    def takes_speech(self) -> bool:
        """Whether what was said over the prompt heard last may be (part of) an answer."""
        return self._heard_mode is BargeInMode.SPEECH

    def prompt(self, expectation: Expectation, *, must_be_heard: bool) -> None:
        """Prompts begin, after which `expectation` is waited for; see Listener.expect."""
        self._expectation, self._heard_mode = expectation, expectation.barge_in
        self._policy.prompt(expectation.barge_in, is_guarded=must_be_heard)
        self._hot_word.reset()

    def heard(
        self,
        speech: SpeechStarted | None,
        at: int,
        *,
        is_audible: bool,
        echo: EchoState,
        of_prompt: BargeInMode | None,
    ) -> BargeInCandidate | BargeIn | BargeInRejected | None:
        """A window ended at `at`; arguments as BargeInPolicy.heard."""
        self._of_prompt = of_prompt
        if is_audible:
            self._heard_mode = self._policy.mode(of_prompt)
        found = self._policy.heard(
            speech, at, is_audible=is_audible, echo=echo, of_prompt=of_prompt
        )
        self._was_locked = self._was_locked or echo is EchoState.LOCKED
        if isinstance(found, BargeInCandidate) or echo is EchoState.UNLOCKED:
            # While the prompt pauses its echo fades, and what was heard may be echo nevertheless;
            # that the delay has changed may be found out only now.
            self._echo = echo
        if isinstance(found, BargeInCandidate):
            self._may_be_nod = False
        return found

    def wants_hot_word(self, at: int, *, is_speaking: bool) -> bool:
        """Whether to look for the hot word in what was said until `at`."""
        return self.waits_for_hot_word and self._hot_word.due(at, is_speaking)

    @property
    def waits_for_hot_word(self) -> bool:
        """Whether it alone interrupts the prompt being heard."""
        return self._policy.mode(self._of_prompt) is BargeInMode.HOTWORD

    def spotted(self, found: Hypothesis | None, speech: SpeechStarted | None) -> BargeIn | None:
        """The answer to that; `speech`: what is being said, or was said last."""
        if found is None or speech is None:
            return None
        if not self._hot_word.hear(found.end_at, found.hotword_probability or 0.0):
            return None
        return self._policy.hot_word(max(speech.at, found.start_at))

    def spelled(self, heard: Hypothesis, speech: SpeechStarted | None) -> BargeIn | None:
        """The same where a service's words are all that tells of it."""
        if speech is None or not says_hot_word(heard.text, self._expectation.language):
            return None
        return self._policy.hot_word(speech.at)

    def words(
        self, heard: Hypothesis, at: int, *, ended_at: int | None
    ) -> BargeIn | BargeInRejected | None:
        """What was recognised of a candidate, who fell silent at `ended_at`, if he did."""
        onset_at = self._policy.onset_at
        if onset_at is None:
            return None
        spoken_ms = None if ended_at is None else (ended_at - onset_at) * 1000 / SAMPLE_RATE_HZ
        texts = [heard.text, *(alternative.text for alternative in heard.nbest)]
        self._may_be_nod = self._may_be_nod or any(
            is_backchannel(text, self._expectation.language) for text in texts
        )
        is_echo_possible = self._echo is not EchoState.NONE  # when the candidate was heard
        is_unlocked = self._echo is EchoState.UNLOCKED
        found = verdict(
            heard.text,
            self._completeness(heard.text, self._expectation),
            self._expectation,
            bot_text=self._bot_text() if is_echo_possible else "",
            is_locked=not is_unlocked,
            has_moved=is_unlocked and self._was_locked,
            spoken_ms=spoken_ms,
            may_be_nod=self._may_be_nod,
            confidence=heard.confidence,
        )
        is_doubtful = is_echo_possible and heard.confidence < DOUBTFUL
        is_final = ended_at is not None
        return self._policy.judged(found, at, is_final=is_final, is_doubtful=is_doubtful)

    def is_own_echo(self, heard: Hypothesis) -> bool:
        """Whether an answer is what is left of the prompt before it: no answer, then."""
        completeness = self._completeness(heard.text, self._expectation)
        return completeness is not Completeness.COMPLETE and is_echo(heard.text, self._bot_text())

    def give_up(self, at: int) -> BargeIn | BargeInRejected | None:
        """Hearing has stopped: the prompt goes on."""
        return self._policy.judged("noise", at, is_final=True)

    def suspend(self, at: int) -> BargeInRejected | None:
        """Audio has stopped coming: the prompt goes on, until it comes again."""
        return self._policy.suspend(at)

    def concede(self, at: int) -> BargeIn | BargeInRejected | None:
        """The prompt is over anyway: the candidate has the floor."""
        return self._policy.judged("floor", at, is_final=False)

    def typed_ahead(self, at: int) -> BargeIn | None:
        """Keys wait already: whoever typed them knows the prompts that are about to play."""
        rule = self._expectation.digits
        if rule is None or not rule.has_type_ahead:
            return None
        return self._policy.digit(Digit("", at))

    def digit(self, digit: Digit) -> BargeIn | None:
        """A key cuts the prompt at once where keys are expected."""
        if self._expectation.digits is None:
            return None
        return self._policy.digit(digit, self._of_prompt)
