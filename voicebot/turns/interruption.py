"""What is said over a prompt, and what follows from what was found out about it. Pure.

`floor` decides who has the floor; here the words reach it, and a turn begins, or none does.
"""

from __future__ import annotations

from voicebot.events import BargeIn, BargeInCandidate, BargeInRejected, Hypothesis
from voicebot.turns.answer import Answer
from voicebot.turns.floor import Floor
from voicebot.turns.hotword_head import WINDOW_SAMPLES as HOT_WORD_SAMPLES
from voicebot.turns.turn_taking import Heard, State, TurnTaking
from voicebot.turns.utterance import Recognise


class Interruption:
    """One call's interruptions, prompt by prompt."""

    def __init__(
        self, floor: Floor, answer: Answer, turn: TurnTaking, *, spells_hot_word: bool
    ) -> None:
        """`spells_hot_word`: it is looked for in what another service recognises."""
        self._floor = floor
        self._answer = answer
        self._utterance = answer.utterance
        self._turn = turn
        self._spells_hot_word = spells_hot_word

    @property
    def is_spelled(self) -> bool:
        """Whether a service's words are waited for, of which only the hot word counts."""
        is_asked = self._spells_hot_word and self._turn.state is State.PROMPTING
        return is_asked and self._floor.waits_for_hot_word

    def settled(self, event: BargeInCandidate | BargeIn | BargeInRejected | None) -> list[Heard]:
        """The consequences of what was found out about the floor."""
        match event:
            case None:
                return []
            case BargeInCandidate():
                self._turn.stop_spelling()
                self._answer.open(event.at)
                return [event]
            case BargeInRejected():
                self._utterance.forget()
                return [event]
        turn = self._turn
        if event.kind == "speech" and turn.speech is not None:
            self._answer.open(event.at)  # older words were meant for what was asked before
        out = [event, *turn.listen(event.at)]
        if turn.speech is None and turn.last is not None and event.kind != "dtmf":
            out += turn.take_last(event.at)  # what took the floor is over
        return out

    def prompts_over(self, at: int) -> list[Heard]:
        """The caller has heard all prompts: he has the floor, whether he speaks or not."""
        turn = self._turn
        turn.prompts_end_at = None
        if turn.state is not State.PROMPTING:
            return []
        if self._floor.is_pending:
            return self.settled(self._floor.concede(at))
        out = turn.listen(at)
        if turn.speech is None and turn.last is not None and turn.last[0].at >= at:
            out += turn.take_last(at)  # that they were over is known only now
        return out

    def weigh(
        self, heard: Hypothesis, at: int, *, is_final: bool, confidence: float | None = None
    ) -> list[Heard]:
        """Words said over a prompt: do they take the floor?"""
        last = self._turn.last
        is_over = is_final and self._turn.speech is None and last is not None
        ended_at = last[1].at if last is not None and is_over else None
        found = self._floor.words(heard, at, ended_at=ended_at)
        out = self.settled(found)
        if isinstance(found, BargeIn):
            self._answer.judge(heard, at, confidence)
        return out

    # ------------------------------------------------------------ the hot word

    def look_for_hot_word(self, at: int) -> list[Heard]:
        """Asks for it, where it alone interrupts, as often as it is due."""
        if not self._floor.wants_hot_word(at, is_speaking=self._turn.speech is not None):
            return []
        start = max(0, at - HOT_WORD_SAMPLES)
        return [Recognise(self._utterance.number, "hotword", start, at)]

    def spotted(self, found: Hypothesis | None) -> list[Heard]:
        """The answer to that; None when recognition failed."""
        if self._turn.state is not State.PROMPTING:
            return []
        return self.settled(self._floor.spotted(found, self._turn.latest))

    def spell(self, heard: Hypothesis, at: int, *, is_over: bool) -> list[Heard]:
        """Words over a prompt that only the hot word interrupts."""
        found = self._floor.spelled(heard, self._turn.latest)
        if found is None:
            if is_over:
                self._utterance.forget()  # it was said to nobody
            return []
        self._turn.is_spelling = False  # all of it is the answer
        out = self.settled(found)
        self._answer.judge(heard, at, None)
        return out
