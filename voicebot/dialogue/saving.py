"""A dialogue's state as JSON text, so that a call can go on elsewhere at the same question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from voicebot.dialogue.performer import steps_at
from voicebot.dialogue.state import State
from voicebot.errors import PlanError

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan


def restored(plan: Plan, text: str) -> State:
    """The state that was saved as `text`; PlanError when the plan has changed since."""
    try:
        state = State.model_validate(json.loads(text))
    except (ValidationError, ValueError):
        raise PlanError(f"{plan.path}:1: not a saved dialogue state") from None
    if not _fits(plan, state):
        raise PlanError(f"{plan.path}:1: the saved dialogue belongs to another plan")
    return state


def _fits(plan: Plan, state: State) -> bool:
    """Whether everything that a saved state names is in the plan."""
    forms = plan.forms
    if state.language and state.language not in plan.languages:
        return False
    waiting = [*(one.form for one in state.stack), *(wish.form for wish in state.wishes)]
    if not {state.form, *waiting, *(visit.form for visit in state.history)} - {""} <= set(forms):
        return False
    visits = [*state.history, *([state.at] if state.at is not None else [])]
    if any(visit.field and visit.field not in forms[visit.form].fields for visit in visits):
        return False
    if not set(state.ahead) <= {name for form in forms.values() for name in form.fields}:
        return False
    every = [state.frames, *(before.frames for before in state.stack)]
    try:
        return all(
            frame.index <= len(steps_at(plan.keys, frame.address))
            for frames in every
            for frame in frames
        )
    except (KeyError, IndexError, AttributeError):
        return False
