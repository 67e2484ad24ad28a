"""What works everywhere: help, repeat, go back, goodbye, operator, another language."""

from __future__ import annotations

from voicebot.dialogue import defaults, inherit, texts
from voicebot.dialogue.activations import Activations
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.interview import Interview
from voicebot.dialogue.performer import Performer
from voicebot.events import Play, Say


class Universals:
    """Answers the universals at a place of a State."""

    def __init__(
        self, performer: Performer, activations: Activations, interview: Interview
    ) -> None:
        self._performer = performer
        self._activations = activations
        self._interview = interview
        self._state = performer.state

    def take(self, place: Place, name: str) -> None:
        """help, repeat, go_back, main_menu, cancel, goodbye, operator."""
        universal = inherit.universals(self._performer.keys, place)[name]
        self._state.misses = 0
        if name == "goodbye" and not universal.leaves:
            self._performer.play(universal.prompt)
            self._performer.disconnect(defaults.GOODBYE_OUTCOME)
        elif name == "operator":
            self._performer.play(inherit.operator_words(self._performer.keys, universal))
            self._performer.leave(universal, with_prompt=False)
        elif universal.leaves:
            self._performer.leave(universal)
        elif name == "repeat":
            self.repeat()
        elif name == "go_back":
            self._go_back(place)
        elif name == "main_menu":
            self._performer.play(universal.prompt)
            self._begin_again()
        elif name == "cancel":
            self._performer.play(universal.prompt)
            self._cancel()
        else:
            self._performer.play(
                universal.prompt or inherit.help_prompt(self._performer.keys, place)
            )
            self._interview.ask(place)

    def change_language(self, place: Place, language: str) -> None:
        """The caller wants another language: the question again, in full."""
        self._state.misses = 0
        self._performer.speak(language)
        self._state.counts.pop(f"{place.state}:asked", None)
        self._interview.ask(place)

    def repeat(self) -> None:
        """Say again what was said last."""
        for said in self._state.last_plays:
            parts = tuple(part if isinstance(part, str) else Say(*part) for part in said.parts)
            self._performer.actions.append(Play(parts, said.barge_in, said.language))

    def _begin_again(self) -> None:
        """To where the call began, whatever waits."""
        self._performer.drop_wishes()
        self._state.stack = []
        self._performer.enter(self._performer.start)

    def _cancel(self) -> None:
        """Leave what the caller is in: a digression for the form that waits, another form for what
        follows it."""
        state = self._state
        self._performer.note("cancelled", {"form": state.form})
        waiting = [before.form for before in state.stack if not before.is_call]
        state.mode = "run"
        if waiting and self._activations.back_to(waiting[-1]):
            return
        while state.stack and self._activations.come_back({}):
            pass  # what called this form is left as well: its `next` follows
        state.stack, state.frames = [], []
        state.is_resumed = False
        if not self._interview.go_on():
            self._begin_again()

    def _go_back(self, place: Place) -> None:
        """Undo the last answer: its question is asked again."""
        state = self._state
        state.history.pop()
        if place.kind == "field" and place.field in state.named:
            self._keep_as_it_was()
            return
        while state.history and state.history[-1].kind not in {"menu", "open", "field"}:
            state.history.pop()
        if not state.history:
            self._performer.play(texts.of(self._performer.keys.language).nothing_before)
            self._interview.ask(place)
            return
        before = state.history.pop()
        state.mode = "run"
        if before.form != state.form and not self._activations.undo_to(before.form):
            state.stack = []
            self._performer.enter(before.form)
            return
        state.phase = "collect"
        state.acknowledged = []
        state.is_opened = state.is_changing = False
        for name in [before.field] if before.field else self._performer.form.fields:
            self._performer.clear(name)

    def _keep_as_it_was(self) -> None:
        """Back to the review: the fields that were to be changed hold what they held."""
        state = self._state
        state.slots |= {name: state.held[name] for name in state.named if name in state.held}
        state.named, state.held = [], {}
        state.mode, state.phase, state.acknowledged = "run", "collect", []
        state.is_reviewed = state.is_changing = False
