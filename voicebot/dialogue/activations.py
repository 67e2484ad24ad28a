"""Forms within forms: what a step calls, and what callers digress to, come back from both."""

from __future__ import annotations

from collections.abc import Mapping

from voicebot.dialogue import defaults, expressions
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.state import Activation, plain


class Activations:
    """Sets the present form aside for another one, and goes on with it afterwards."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._state = performer.state

    def call(self, form: str, arguments: Mapping[str, object], assign: Mapping[str, str]) -> None:
        """Go through `form` with `arguments`, for the running step."""
        if self._set_aside(form, is_call=True, assign=assign):
            for name, value in arguments.items():
                self._performer.assign(name, plain(value))

    def digress(self, form: str) -> None:
        """The caller asks for another form, which comes back here."""
        self._performer.note("digression", {"from": self._state.form, "to": form})
        self._set_aside(form, is_call=False, assign={})

    def _set_aside(self, form: str, *, is_call: bool, assign: Mapping[str, str]) -> bool:
        state, keys = self._state, self._performer.keys
        if len(state.stack) >= defaults.MAX_DEPTH:
            self._performer.note("too deep", {"form": form})
            self._performer.fail()
            return False
        mine, theirs = self._performer.form.fields, keys.forms[form].variables
        state.stack.append(
            Activation(
                form=state.form,
                is_call=is_call,
                phase=state.phase,
                is_opened=state.is_opened,
                is_reviewed=state.is_reviewed,
                to_confirm=state.to_confirm,
                to_acknowledge=state.to_acknowledge,
                newly_filled=state.newly_filled,
                named=state.named,
                held=state.held,
                slots={name: state.slots[name] for name in mine if name in state.slots},
                variables={name: state.variables.get(name) for name in theirs},
                frames=state.frames,
                assign=dict(assign),
            )
        )
        self._performer.enter(form)
        return True

    def come_back(self, values: Mapping[str, object] | None = None) -> bool:
        """End the present form for the one that waits for it; False when none does.

        A called form gives back `values`, by default all that its fields and variables hold.
        """
        state = self._state
        if not state.stack:
            return False
        form = self._performer.form
        if values is None:
            values = {
                name: self._performer.look_up(name) for name in (*form.fields, *form.variables)
            }
        before = state.stack.pop()
        state.variables |= before.variables
        state.form, state.phase = before.form, before.phase
        state.is_opened, state.is_reviewed = before.is_opened, before.is_reviewed
        state.to_confirm, state.to_acknowledge = before.to_confirm, before.to_acknowledge
        state.newly_filled, state.frames = before.newly_filled, before.frames
        state.named, state.held = before.named, before.held
        state.acknowledged, state.is_changing = [], False
        for name in self._performer.form.fields:
            state.slots.pop(name, None)
        state.slots |= before.slots
        state.mode = "run"
        if before.is_call:
            for name, path in before.assign.items():
                self._performer.assign(name, plain(expressions.look_up(values, path)))
        else:
            state.phase = "collect"
            state.is_resumed = True
        return True

    def undo_to(self, form: str) -> bool:
        """Back to the questions of `form`, which waits, also where a step of its called another:
        that is called again once it is answered. False where it does not wait."""
        if not any(before.form == form for before in self._state.stack):
            return False
        while self._state.form != form and self.come_back({}):
            pass
        self._state.frames = []
        return True

    def back_to(self, form: str) -> bool:
        """Give up the forms above `form`; False where it does not wait."""
        if not any(before.form == form and not before.is_call for before in self._state.stack):
            return False
        while self._state.form != form or self._state.frames:
            if not self.come_back({}):
                return False
        return True
