"""A caller's words and keys to a machine, through the interpreter; services answer at once."""

from collections.abc import Mapping
from datetime import date
from functools import partial

from conversation import NOW

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan
from voicebot.dialogue.session import Session
from voicebot.events import (
    Action,
    AskModel,
    CallerTurn,
    CallService,
    CallStarted,
    DialogueEvent,
    Hypothesis,
    Interpretation,
    KeysEntered,
    ModelReply,
    NoInput,
    Play,
    ServiceReply,
    TurnEnded,
    TurnEndReason,
    Word,
)
from voicebot.nlu.interpreter import interpret, interpret_keys
from voicebot.speech.verbalise import join


class Line:
    """`said` are the prompts of the last turn as they are spoken, `record` everything so far."""

    def __init__(
        self,
        plan: Plan,
        answers: Mapping[str, Mapping[str, object]] | None = None,
        model: tuple[str, ...] = (),
    ) -> None:
        self.plan, self.machine = plan, Machine(plan, NOW)
        self._answers, self._model = answers or {}, list(model)
        self._session = Session(
            self.machine,
            interpret=partial(interpret, today=date(2026, 11, 20)),
            interpret_keys=interpret_keys,
        )
        self.actions: list[Interpretation | Action] = []
        self.record: list[Interpretation | Action] = []
        self._take(CallStarted())

    def __call__(self, text: str, sure: float = 0.9) -> list[str]:
        """The caller speaks."""
        words = tuple(Word(word, sure) for word in text.split())
        heard = Hypothesis(text, words, sure, is_final=True)
        return self._take(CallerTurn(TurnEnded(0, TurnEndReason.COMPLETE), heard))

    def presses(self, keys: str) -> list[str]:
        """The caller presses keys."""
        return self._take(KeysEntered(keys, 0))

    def is_silent(self) -> list[str]:
        """The caller says nothing."""
        return self._take(NoInput(0))

    def _take(self, event: DialogueEvent | CallerTurn | KeysEntered) -> list[str]:
        self.actions = []
        pending = list(self._session.handle(event))
        while pending:
            action = pending.pop(0)
            self.actions.append(action)
            if isinstance(action, CallService):
                reply = ServiceReply(action.id, self._answers[action.name])
                pending += self._session.handle(reply)
            elif isinstance(action, AskModel):
                error = None if self._model else "no language model"
                text = self._model.pop(0) if self._model else ""
                pending += self._session.handle(ModelReply(action.id, text, error))
        self.record += self.actions
        return self.said

    @property
    def said(self) -> list[str]:
        return [
            join(action.parts, action.language or self.plan.language)
            for action in self.actions
            if isinstance(action, Play)
        ]

    @property
    def state(self) -> str:
        return self._session.expectation.state
