"""Does what a plan's steps and exits say: speaks, assigns, calls services, leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from voicebot.dialogue import defaults, expressions, inherit, templates
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.schema import Exit, FieldKeys, FormKeys, PlanKeys, PromptPart, Step
from voicebot.dialogue.state import Filled, Frame, State, plain
from voicebot.events import (
    Action,
    BargeInMode,
    CallService,
    Disconnect,
    Play,
    Record,
    Say,
    ServiceReply,
    SlotType,
    Transfer,
)

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan

DESTINATION = re.compile(r"\+[1-9]\d{5,14}|sips?:[^\s@]+@[^\s@]+")
"""E.164 or a SIP URI."""
_ABSENT = object()


class Performer:
    """Carries out steps on a State; `actions` collects what this turn does."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan = plan
        self.keys: PlanKeys = plan.keys
        self.state = state
        self.now = now
        self.actions: list[Action] = []

    # ------------------------------------------------------------ values

    @property
    def form(self) -> FormKeys:
        """The present form."""
        return self.keys.forms[self.state.form]

    def field_of(self, name: str) -> FieldKeys | None:
        """The field that a slot belongs to, in the present form first."""
        forms = [self.form, *self.keys.forms.values()] if self.state.form else []
        return next((form.fields[name] for form in forms if name in form.fields), None)

    def look_up(self, name: str) -> object:
        """A slot's or variable's value; None when it has none."""
        first = name.split(".")[0]
        if first in self.state.slots:
            return self.state.slots[first].value if first == name else None
        if first == "now":
            return expressions.look_up({"now": self._clock()}, name)
        if first == "call":
            known = {**self.state.call, "heard": self.state.heard, "was_cut": self.state.was_cut}
            return expressions.look_up({"call": known}, name)
        return expressions.look_up(self.state.variables, name)

    def is_true(self, condition: str | None) -> bool:
        """Whether a `when:` holds; no condition holds always."""
        return condition is None or expressions.parse(condition).is_true(self.look_up)

    def _clock(self) -> dict[str, object]:
        return {
            "date": self.now.date().isoformat(),
            "time": f"{self.now:%H:%M}",
            "hour": self.now.hour,
            "weekday": self.now.strftime("%A").lower(),
        }

    def spoken(self, value: templates.Value, given: str | None = None) -> Say | str | None:
        """A template value as a part; `given` is what `{{ value }}` stands for: a slot's name."""
        name = given if given is not None and value.name == "value" else value.name
        found = self.look_up(name)
        if found is None or found == "":
            return None
        text = str(found).lower() if isinstance(found, bool) else str(found)
        field = self.field_of(name)
        if value.kind is not None:
            return Say(text, value.kind)
        if field is None:
            return Say(text, "number" if _is_number(found) else "text")
        slot_type = inherit.slot_type(field)
        if slot_type is SlotType.CHOICE:
            choice = inherit.choices(self.keys, field).get(text)
            return choice.say if choice is not None and choice.say else text.replace("_", " ")
        return text if slot_type is SlotType.YES_NO else Say(text, slot_type.value)

    # ------------------------------------------------------------ speaking

    def play(self, prompt: list[PromptPart] | None, *, given: str | None = None) -> None:
        """Speak those parts of a prompt whose conditions hold, each as a Play of its own."""
        for part in prompt or ():
            if self.is_true(part.when):
                self.play_text(part.say, given=given, barge_in=part.barge_in)

    def play_text(
        self, text: str, *, given: str | None = None, barge_in: BargeInMode | None = None
    ) -> None:
        """Speak one template; `barge_in` is its own, else the place's counts."""
        parts = templates.parse(text).render(lambda value: self.spoken(value, given))
        if parts:
            mode = self._barge_in() if barge_in is None else barge_in
            self.actions.append(Play(parts, mode))

    def _barge_in(self) -> BargeInMode:
        form = self.state.form or self.plan.start
        at = self.state.at
        place = at.place if at is not None and at.form == form else Place(form, "open")
        return inherit.barge_in(self.keys, place)

    # ------------------------------------------------------------ leaving

    def enter(self, form: str) -> None:
        """Begin a form afresh: its fields are empty, its counters zero."""
        state = self.state
        state.form = form
        state.phase = "enter"
        state.is_opened = state.is_reviewed = state.is_changing = False
        state.acknowledged = []
        state.forget_counts(form)
        state.forget_counts(f"denied {form}")
        for name in self.form.fields:
            state.slots.pop(name, None)
            state.denied.pop(name, None)
        state.to_confirm, state.to_acknowledge, state.newly_filled = [], [], []
        state.frames = [Frame(address=["forms", form, "enter"])] if self.form.enter else []
        state.mode = "run"

    def leave(self, way: Exit | Step, *, with_prompt: bool = True) -> None:
        """Take an exit: goto, transfer or disconnect."""
        if with_prompt and isinstance(way, Exit):
            self.play(way.prompt)
        if way.goto is not None:
            self.state.stack = []
            self.enter(way.goto)
        elif way.transfer is not None:
            transfer = way.transfer
            self.transfer(transfer.to, transfer.outcome, is_goal=transfer.goal)
        elif way.disconnect is not None:
            self.disconnect(way.disconnect.outcome, is_goal=way.disconnect.goal)

    def transfer(self, to: str, outcome: str, *, is_goal: bool) -> None:
        """Hand the call over; a destination that turns out wrong ends the call as an error."""
        parts = templates.parse(to).render(lambda value: _as_text(self.spoken(value)))
        destination = "".join(part for part in parts if isinstance(part, str)).strip()
        if DESTINATION.fullmatch(destination) is None:
            self.fail()
            return
        is_goal = self._end(outcome, is_goal=is_goal)
        self.actions.append(Transfer(destination, outcome, is_goal))

    def disconnect(self, outcome: str, *, is_goal: bool = False) -> None:
        """End the call."""
        is_goal = self._end(outcome, is_goal=is_goal)
        self.actions.append(Disconnect(outcome, is_goal))

    def hang_up(self) -> None:
        """The caller is gone: nothing more to say."""
        self._end(defaults.HANG_UP_OUTCOME, is_goal=False)

    def fail(self) -> None:
        """Something is broken on our side: apologise, and end the call."""
        self.play(defaults.LAST_WORDS["error"])
        self.disconnect(defaults.ERROR_OUTCOME)

    def _end(self, outcome: str, *, is_goal: bool) -> bool:
        state = self.state
        state.mode = "ended"
        state.frames = []
        state.outcome = outcome
        state.is_goal = is_goal or bool(state.goals)
        return state.is_goal

    # ------------------------------------------------------------ steps

    def step(self) -> None:
        """Advance the innermost running step list by one stage of one step."""
        frame = self.state.frames[-1]
        steps = steps_at(self.keys, frame.address)
        if frame.index >= len(steps):
            self.state.frames.pop()
            return
        step = steps[frame.index]
        if frame.stage == "begin":
            if self.is_true(step.when):
                frame.stage = "call"
                self._begin(step)
            else:
                frame.index += 1
        elif frame.stage == "call":
            frame.stage = "do"
            if step.call is not None:
                self._call(step.call, step.with_ or {})
        elif frame.stage == "do":
            frame.stage = "exit"
            if step.do:
                self._push([*frame.address, frame.index, "do"])
        else:
            frame.stage = "begin"
            frame.index += 1
            self.leave(step)

    def _begin(self, step: Step) -> None:
        self.play(step.say)
        for name, expression in (step.set or {}).items():
            self.assign(name, plain(expressions.parse(expression).value(self.look_up)))
        for name in step.clear or ():
            self.clear(name)
        if step.record is not None:
            self.actions.append(Record(step.record))
        if step.goal is not None and step.goal not in self.state.goals:
            self.state.goals.append(step.goal)

    def _push(self, address: list[str | int]) -> None:
        self.state.frames.append(Frame(address=address))

    def assign(self, name: str, value: JsonValue) -> None:
        """Set a variable; a field's name fills the field."""
        if self.field_of(name) is None:
            self.state.variables[name] = value
        elif value is None:
            self.state.slots.pop(name, None)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self.state.slots[name] = Filled(value=text, is_confirmed=True)

    def clear(self, name: str) -> None:
        """Empty a field or a variable; the field will be asked again."""
        state = self.state
        state.slots.pop(name, None)
        if name in state.variables:
            state.variables[name] = None
        state.is_reviewed = False
        for queue in (state.to_confirm, state.to_acknowledge, state.newly_filled):
            if name in queue:
                queue.remove(name)

    def _call(self, service: str, arguments: Mapping[str, str]) -> None:
        state = self.state
        state.services_called += 1
        state.pending_service = f"service-{state.services_called}"
        state.mode = "service"
        values: dict[str, str] = {}
        for name, expression in arguments.items():
            value = expressions.parse(expression).value(self.look_up)
            if value is not None:
                values[name] = str(value).lower() if isinstance(value, bool) else str(value)
        self.actions.append(CallService(state.pending_service, service, values))

    def reply(self, reply: ServiceReply) -> None:
        """Take a service's answer: assign, or run the error branch."""
        state = self.state
        state.mode = "run"
        state.pending_service = ""
        frame = state.frames[-1]
        step = steps_at(self.keys, frame.address)[frame.index]
        assign = step.assign or {}
        found = {
            name: expressions.look_up(reply.value, path, _ABSENT) for name, path in assign.items()
        }
        if reply.error is None and _ABSENT not in found.values():
            for name, value in found.items():
                self.assign(name, plain(value))
            return
        index, frame.index, frame.stage = frame.index, frame.index + 1, "begin"
        if step.error is not None:
            self._push([*frame.address, index, "error"])
            return
        operator = inherit.universals(self.keys, Place(state.form, "open")).get("operator")
        if operator is None:
            self.fail()
        else:
            self.play(operator.prompt or defaults.LAST_WORDS["operator"])
            self.leave(operator, with_prompt=False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_text(part: Say | str | None) -> str | None:
    return part.value if isinstance(part, Say) else part


def steps_at(keys: PlanKeys, address: list[str | int]) -> list[Step]:
    """The step list at an address such as ["forms", "order", "filled", 0, "do"]."""
    found: object = keys
    for part in address:
        is_inside = isinstance(found, dict | list)
        found = found[part] if is_inside else getattr(found, str(part))  # type: ignore[index]
    return found if isinstance(found, list) else []
