"""A dialogue's state as JSON text, so that a call can go on elsewhere at the same question."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from voicebot.dialogue import inherit
from voicebot.dialogue.expectations import Place, places
from voicebot.dialogue.performer import steps_at
from voicebot.dialogue.schema import FieldKeys, PlanKeys, Step
from voicebot.dialogue.state import Filled, Frame, State
from voicebot.dialogue.understanding import is_well_formed
from voicebot.errors import PlanError
from voicebot.events import SlotSpec, SlotType

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan


def restored(plan: Plan, text: str) -> State:
    """The state that was saved as `text`; PlanError when the plan has changed since, or when no
    machine has ever been in such a state."""
    try:
        state = State.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        raise PlanError(f"{plan.path}:1: not a saved dialogue state") from None
    if not _fits(plan, state):
        raise PlanError(f"{plan.path}:1: the saved dialogue belongs to another plan")
    if not _waits(plan, state):
        raise PlanError(f"{plan.path}:1: the saved dialogue waits for nothing that there is")
    return state


def _fits(plan: Plan, state: State) -> bool:
    """Whether everything that a saved state names is in the plan."""
    forms = plan.forms
    if state.language and state.language not in plan.languages:
        return False
    waiting = [*(one.form for one in state.stack), *(wish.form for wish in state.wishes)]
    if not {state.form, *waiting} - {""} <= set(forms):
        return False
    visits = {visit.place for visit in (*state.history, *([state.at] if state.at else []))}
    if not visits <= _places(plan.keys):
        return False
    return _slots_fit(plan, state) and all(
        _has_step(plan, frame, -1)
        for frames in (state.frames, *(before.frames for before in state.stack))
        for frame in frames
    )


def _places(keys: PlanKeys) -> set[Place]:
    """All places of a plan, worked out once."""
    memory: dict[Any, Any] = keys.memory
    if _places not in memory:
        memory[_places] = set(places(keys))
    found: set[Place] = memory[_places]
    return found


def _slots_fit(plan: Plan, state: State) -> bool:
    """Whether all slots are fields of the plan, and hold what these can hold."""
    fields = {name: field for form in plan.forms.values() for name, field in form.fields.items()}
    held: list[tuple[str, Filled]] = [
        *state.slots.items(),
        *state.ahead.items(),
        *state.held.items(),
        *(item for one in state.stack for item in (*one.slots.items(), *one.held.items())),
    ]
    named = {name for name, *_ in (*state.recent, *held)} | set(state.denied)
    named |= {name for wish in state.wishes for name, *_ in wish.slots}
    if not named <= set(fields):
        return False
    queued = [(state.form, [*state.to_confirm, *state.to_acknowledge, *state.named])]
    queued += [
        (one.form, [*one.to_confirm, *one.to_acknowledge, *one.named]) for one in state.stack
    ]
    if any(set(names) - set(plan.forms[form].fields if form else ()) for form, names in queued):
        return False
    return all(_holds(plan.keys, fields[name], filled.value) for name, filled in held)


def _holds(keys: PlanKeys, field: FieldKeys, value: str) -> bool:
    kind = inherit.slot_type(field)
    if kind is SlotType.CHOICE:
        return value in inherit.choices(keys, field)
    return is_well_formed(value, SlotSpec("", kind))


def _waits(plan: Plan, state: State) -> bool:
    """Whether what the state waits for can come: an answer, a service, a message, a model's."""
    if state.mode == "new":
        return True
    if state.mode == "ended":
        return state.outcome in plan.outcomes()
    if not state.form:
        return False
    if state.mode == "listen":
        return state.at is not None and state.at.form == state.form and bool(state.history)
    step = _running(plan, state.frames)
    has_model = plan.forms[state.form].llm is not None
    if not state.pending:
        return False
    if state.mode == "message":
        return step is not None and step.voicemail is not None
    if state.mode == "model":
        return has_model
    if state.mode == "service" and state.called is not None:
        is_steps = step is not None and step.call == state.called.name
        return state.called.name in plan.services and (has_model if state.is_tool else is_steps)
    return False


def _running(plan: Plan, frames: Iterable[Frame]) -> Step | None:
    """The step that runs in the innermost list."""
    *_, last = (None, *frames)
    if last is None or not _has_step(plan, last, 0):
        return None
    return steps_at(plan.keys, last.address)[last.index]


def _has_step(plan: Plan, frame: Frame, beyond: int) -> bool:
    """Whether a frame's address leads to a step list that is longer than index + `beyond`."""
    try:
        steps = steps_at(plan.keys, frame.address)
    except (KeyError, IndexError, AttributeError, TypeError):
        return False
    is_steps = all(isinstance(step, Step) for step in steps)
    return is_steps and frame.index >= 0 and frame.index + beyond < len(steps)
