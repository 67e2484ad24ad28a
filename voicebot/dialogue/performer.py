"""Does what a plan's steps and exits say: speaks, assigns, calls services, leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from voicebot.dialogue import defaults, expressions, hours, inherit, templates, texts
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.schema import (
    Exit,
    FieldKeys,
    FormKeys,
    PlanKeys,
    PromptPart,
    Step,
    TransferTo,
)
from voicebot.dialogue.short_forms import DAYS
from voicebot.dialogue.state import Filled, Frame, State, plain
from voicebot.dialogue.understanding import is_well_formed
from voicebot.events import (
    Action,
    BargeInMode,
    Disconnect,
    Note,
    Play,
    Record,
    Say,
    SlotSpec,
    SlotType,
    Transfer,
)

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan

DESTINATION = re.compile(r"\+[1-9]\d{5,14}|sips?:[^\s@]+@[^\s@]+")
"""E.164 or a SIP URI."""


class Performer:
    """Carries out steps on a State; `actions` collects what this turn does."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan = plan
        self.state = state
        self.now = hours.local(plan.keys, now)
        self.actions: list[Action] = []

    @property
    def keys(self) -> PlanKeys:
        """The plan in the language of the call."""
        return self.plan.in_language(self.state.language)

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
            "weekday": DAYS[self.now.weekday()],
            "is_open": hours.is_open(self.keys.hours, self.now),
        }

    def spoken(self, value: templates.Value, given: str | None = None) -> Say | str | None:
        """A template value as a part; `given` is what `{{ value }}` stands for: a slot's name."""
        part = self._spoken(value, given)
        if value.pace and isinstance(part, str):
            part = Say(part)
        return replace(part, pace=value.pace) if isinstance(part, Say) and value.pace else part

    def _spoken(self, value: templates.Value, given: str | None) -> Say | str | None:
        name = given if given is not None and value.name == "value" else value.name
        found = self.look_up(name)
        if found is None or found == "":
            return None
        if isinstance(found, dict | list):
            self._note_unspoken(name, found)
            return None
        text = str(found).lower() if isinstance(found, bool) else str(found)
        field = self.field_of(name)
        if value.kind is not None:
            kind = "letters" if value.kind == "spell" else value.kind
            return Say(templates.priced(self.keys.currency, text, kind), kind)
        if field is None:
            return Say(text, "number" if _is_number(found) else "text")
        slot_type = inherit.slot_type(field)
        if slot_type is SlotType.CHOICE:
            choice = inherit.choices(self.keys, field).get(text)
            return choice.say if choice is not None and choice.say else text.replace("_", " ")
        return Say(templates.priced(self.keys.currency, text, slot_type.value), slot_type.value)

    def _note_unspoken(self, name: str, found: dict[str, JsonValue] | list[JsonValue]) -> None:
        """A service's mapping or list is nothing to say: the prompt goes on without it."""
        parts = [one for one in found if one.isidentifier()] if isinstance(found, dict) else []
        hint = f"; name a part of it, such as {{{{ {name}.{parts[0]} }}}}" if parts else ""
        what = "a mapping" if isinstance(found, dict) else "a list"
        self.note("value refused", {"problem": f"'{name}' is {what} and cannot be spoken{hint}"})

    # ------------------------------------------------------------ speaking

    def play(self, prompt: list[PromptPart] | None, *, given: str | None = None) -> None:
        """Speak those parts of a prompt whose conditions hold, each as a Play of its own."""
        for part in prompt or ():
            if self.is_true(part.when):
                self.play_text(part.say, given=given, barge_in=part.barge_in)
                self.state.noinput_ms = part.noinput

    def play_text(
        self, text: str, *, given: str | None = None, barge_in: BargeInMode | None = None
    ) -> None:
        """Speak one template; `barge_in` is its own, else the place's counts."""
        parts = templates.parse(text).render(lambda value: self.spoken(value, given))
        if parts:
            self._play(parts, barge_in)

    def speak_text(self, text: str) -> None:
        """Speak words that are no template: a language model's."""
        self._play((text,), None)

    def _play(self, parts: templates.Parts, barge_in: BargeInMode | None) -> None:
        mode = self._barge_in() if barge_in is None else barge_in
        self.actions.append(Play(parts, mode, self.state.language))

    def _barge_in(self) -> BargeInMode:
        form = self.state.form or self.plan.start
        at = self.state.at
        place = at.place if at is not None and at.form == form else Place(form, "open")
        return inherit.barge_in(self.keys, place)

    def speak(self, language: str) -> None:
        """Go on in another language of the plan."""
        if language != (self.state.language or self.plan.language):
            self.note("language", {"to": language})
        self.state.language = "" if language == self.plan.language else language

    def note(self, kind: str, data: Mapping[str, object]) -> None:
        """Leave something in the call's record."""
        self.actions.append(Note(kind, data))

    # ------------------------------------------------------------ leaving

    @property
    def start(self) -> str:
        """The form to begin with at the time of the call."""
        opening = self.keys.hours
        is_closed = opening is not None and not hours.is_open(opening, self.now)
        return (is_closed and opening is not None and opening.closed) or self.plan.start

    def drop_wishes(self) -> None:
        """What waits is not dealt with any more: on record."""
        if self.state.wishes:
            self.note("wishes dropped", {"forms": [wish.form for wish in self.state.wishes]})
            self.state.wishes = []

    def enter(self, form: str) -> None:
        """Begin a form afresh: its fields are empty, its counters zero."""
        state = self.state
        state.form = form
        state.phase = "enter"
        state.is_opened = state.is_reviewed = state.is_changing = False
        state.acknowledged, state.named, state.held = [], [], {}
        state.forget_counts(form)
        state.forget_counts(f"denied {form}")
        for name in self.form.fields:
            state.slots.pop(name, None)
            state.denied.pop(name, None)
        state.to_confirm, state.to_acknowledge, state.newly_filled = [], [], []
        state.variables |= self.form.variables
        state.talk, state.model_turns, state.is_resumed = [], 0, False
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
            self.transfer(way.transfer)
        elif way.disconnect is not None:
            self.disconnect(way.disconnect.outcome, is_goal=way.disconnect.goal)

    def transfer(self, way: TransferTo) -> None:
        """Hand the call over; a destination that turns out wrong ends the call as an error."""
        destination = self._words(way.to).strip()
        if way.queue is None and DESTINATION.fullmatch(destination) is None:
            problem = f"{destination[:200]!r} is neither a number like '+15550123456' nor a SIP URI"
            self.note("hand-over refused", {"problem": problem})
            self.fail()
            return
        said, self.actions = self.actions, []
        self.play(way.summary)
        summary = [
            part for action in self.actions if isinstance(action, Play) for part in action.parts
        ]
        self.actions = said
        is_goal = self._end(way.outcome, is_goal=way.goal)
        kind = "queue" if way.queue else "warm" if summary else "cold"
        self.note("hand-over", {"kind": kind, "to": way.queue or destination})
        hold = self._words(way.hold_prompt)
        self.actions.append(
            Transfer(
                destination,
                way.outcome,
                is_goal,
                tuple(summary),
                way.queue or "",
                hold,
                way.hold_music,
            )
        )

    def _words(self, text: str) -> str:
        parts = templates.parse(text).render(lambda value: _as_text(self.spoken(value)))
        return "".join(part for part in parts if isinstance(part, str))

    def disconnect(self, outcome: str, *, is_goal: bool = False) -> None:
        """End the call."""
        is_goal = self._end(outcome, is_goal=is_goal)
        self.actions.append(Disconnect(outcome, is_goal))

    def hang_up(self) -> None:
        """The caller is gone: nothing more to say."""
        self._end(defaults.HANG_UP_OUTCOME, is_goal=False)

    def fail(self) -> None:
        """Something is broken on our side: apologise, and end the call."""
        self.play(texts.of(self.keys.language).last_words["error"])
        self.disconnect(defaults.ERROR_OUTCOME)

    def _end(self, outcome: str, *, is_goal: bool) -> bool:
        state = self.state
        self.drop_wishes()
        state.mode = "ended"
        state.frames = []
        state.outcome = outcome
        state.is_goal = is_goal or bool(state.goals)
        return state.is_goal

    # ------------------------------------------------------------ steps

    def begin(self, step: Step) -> None:
        """The first part of a step: what is done at once."""
        self.play(step.say)
        for name, value in self.values(step.set).items():
            self.assign(name, plain(value))
        for name in step.clear or ():
            self.clear(name)
        if step.language is not None:
            self.speak(step.language)
        if step.record is not None:
            self.actions.append(Record(step.record))
        if step.goal is not None and step.goal not in self.state.goals:
            self.state.goals.append(step.goal)
        if step.task is not None:
            values = {name: plain(value) for name, value in self.values(step.with_).items()}
            self.note("task", {"task": step.task, **values})

    def values(self, given: Mapping[str, str] | None) -> dict[str, object]:
        """Names and what their expressions are worth now."""
        return {
            name: expressions.parse(text).value(self.look_up)
            for name, text in (given or {}).items()
        }

    def assign(self, name: str, value: JsonValue) -> None:
        """Set a variable; a field's name fills the field."""
        field = self.field_of(name)
        if field is None:
            self.state.variables[name] = value
        elif value is None:
            self.state.slots.pop(name, None)
        else:
            self._assign_field(name, field, value)

    def _assign_field(self, name: str, field: FieldKeys, value: JsonValue) -> None:
        """A field takes what callers could have given it, of whatever length: all else is on
        record, and the field stays empty."""
        kind = inherit.slot_type(field)
        if isinstance(value, bool) and kind is SlotType.YES_NO:
            value = "yes" if value else "no"
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if kind is SlotType.CHOICE:
            is_one = text in inherit.choices(self.keys, field)
        else:
            is_one = is_well_formed(text, SlotSpec(name, kind)) and not isinstance(
                value, dict | list
            )
        if is_one:
            self.state.slots[name] = Filled(value=text, is_confirmed=True)
            return
        self.state.slots.pop(name, None)
        problem = f"{text[:100]!r} is no {kind.value.replace('_', '/')} for '{name}'"
        self.note("value refused", {"slot": name, "value": text[:200], "problem": problem})

    def clear(self, name: str) -> None:
        """Empty a field or a variable; the field will be asked again."""
        state = self.state
        state.slots.pop(name, None)
        state.ahead.pop(name, None)
        if name in state.variables:
            state.variables[name] = None
        state.is_reviewed = False
        for queue in (state.to_confirm, state.to_acknowledge, state.newly_filled):
            if name in queue:
                queue.remove(name)


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
