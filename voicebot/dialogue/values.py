"""What the names of a plan are worth in a call: slots, variables, the time, its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from voicebot.dialogue import expressions, hours, inherit
from voicebot.dialogue.schema import FieldKeys, FormKeys, PlanKeys
from voicebot.dialogue.short_forms import DAYS
from voicebot.dialogue.state import Filled, State
from voicebot.dialogue.understanding import is_well_formed
from voicebot.events import Action, Note, SlotSpec, SlotType

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan


class Values:
    """Looks names up in a State, and sets them; `actions` collects what this turn does."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan = plan
        self.state = state
        self.now = hours.local(plan.keys, now)
        self.actions: list[Action] = []

    @property
    def keys(self) -> PlanKeys:
        """The plan in the language of the call."""
        return self.plan.in_language(self.state.language)

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

    def note(self, kind: str, data: Mapping[str, object]) -> None:
        """Leave something in the call's record."""
        self.actions.append(Note(kind, data))
