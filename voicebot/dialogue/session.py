"""One call's dialogue: turns and keys are interpreted, the machine answers with actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from voicebot.dialogue import leaving
from voicebot.events import (
    Action,
    CallerTurn,
    DialogueEvent,
    Expectation,
    Hypothesis,
    Interpretation,
    KeysEntered,
    Listen,
    SlotValue,
)

InterpretKeys = Callable[[str, Expectation], Interpretation]


class Interpret(Protocol):
    """What the session needs of the room nlu."""

    def __call__(
        self, hypothesis: Hypothesis, expectation: Expectation, *, recent: Sequence[SlotValue]
    ) -> Interpretation:
        """What was said, by a caller who may point at `recent` values (last one last)."""


class Dialogue(Protocol):
    """What the session needs of a machine."""

    @property
    def recent(self) -> Sequence[SlotValue]:
        """Values that the caller gave."""

    @property
    def expectation(self) -> Expectation | None:
        """What is waited for: at once, where the call began elsewhere."""

    def handle(self, event: DialogueEvent) -> list[Action]:
        """The actions that answer an event."""

    def resume(self) -> list[Action]:
        """The actions with which a call goes on that began elsewhere."""


class Session:
    """Remembers what the dialogue waits for, and understands the caller in its light."""

    def __init__(
        self, machine: Dialogue, *, interpret: Interpret, interpret_keys: InterpretKeys
    ) -> None:
        """`interpret` and `interpret_keys` are the room nlu's, with the call's date bound."""
        self._machine = machine
        self._interpret = interpret
        self._interpret_keys = interpret_keys
        self._expectation = machine.expectation or Expectation()

    @property
    def expectation(self) -> Expectation:
        """What the dialogue waited for last."""
        return self._expectation

    def handle(
        self, event: DialogueEvent | CallerTurn | KeysEntered
    ) -> list[Interpretation | Action]:
        """The interpretation of a turn or key sequence, then the actions that answer it."""
        if isinstance(event, CallerTurn):
            heard = event.hypothesis
            event = self._understood(heard)
            if heard.is_unheard:
                event = replace(event, is_unheard=True)
        elif isinstance(event, KeysEntered):
            event = self._interpret_keys(event.keys, self._expectation)
        answer = self._waiting(self._machine.handle(event))
        return [event, *answer] if isinstance(event, Interpretation) else [*answer]

    def resume(self) -> list[Action]:
        """What a restored machine begins with, in the place of CallStarted."""
        return self._waiting(self._machine.resume())

    def _understood(self, heard: Hypothesis) -> Interpretation:
        recent = self._machine.recent
        read = self._interpret(heard, self._expectation, recent=recent)
        instead = leaving.reconsidered(read, self._expectation)
        if instead is None:
            return leaving.preferred(read, self._expectation)
        return self._interpret(heard, instead, recent=recent)

    def _waiting(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, Listen):
                self._expectation = action.expectation
        return actions
