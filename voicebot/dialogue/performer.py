"""Does what a plan's steps and exits say: speaks, assigns, calls services, leaves."""

from __future__ import annotations

import re
from dataclasses import replace

from pydantic import JsonValue

from voicebot.dialogue import defaults, hours, inherit, templates, texts
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.schema import (
    Exit,
    PlanKeys,
    PromptPart,
    Step,
    TransferTo,
)
from voicebot.dialogue.state import Frame, plain
from voicebot.dialogue.values import Values
from voicebot.events import (
    BargeInMode,
    Disconnect,
    Play,
    Record,
    Say,
    SlotType,
    Transfer,
)

DESTINATION = re.compile(r"\+[1-9]\d{5,14}|sips?:[^\s@]+@[^\s@]+")
"""E.164 or a SIP URI."""


class Performer(Values):
    """Carries out steps on a State."""

    # ------------------------------------------------------------ speaking

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
