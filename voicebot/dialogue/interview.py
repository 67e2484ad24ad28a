"""Selects what to ask next, and asks it: the first half of VoiceXML's form interpretation."""

from __future__ import annotations

from collections.abc import Mapping

from voicebot.dialogue import defaults, inherit, naming, texts
from voicebot.dialogue.activations import Activations
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.flow import next_form
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.schema import PromptPart, Step
from voicebot.dialogue.state import Frame
from voicebot.dialogue.texts import Texts
from voicebot.dialogue.wishes import Wishes


class Interview:
    """Goes through the present form of a State."""

    def __init__(self, performer: Performer, activations: Activations, wishes: Wishes) -> None:
        self._performer = performer
        self._activations = activations
        self._wishes = wishes
        self._state = performer.state

    @property
    def _texts(self) -> Texts:
        return texts.of(self._performer.keys.language)

    def select(self) -> None:
        """VoiceXML's select phase: the next thing to do in the present form."""
        state, form = self._state, self._performer.form
        if state.phase == "enter":
            state.phase = "collect"
        elif state.ahead and self._wishes.take_up():
            pass  # a language model has filled some fields already
        elif state.newly_filled:
            name = state.newly_filled.pop(0)
            if name in form.fields and form.fields[name].filled:
                state.frames.append(Frame(address=["forms", state.form, "fields", name, "filled"]))
        elif state.to_confirm:
            name = state.to_confirm[0]
            self.ask(Place(state.form, "confirm", name))
        elif form.menu is not None and not state.stack and self._wishes.begin():
            pass  # the caller has said already what comes next
        elif form.menu is not None:
            self.ask(Place(state.form, "menu"))
        elif form.llm is not None and not state.is_opened:
            self.ask(Place(state.form, "llm"))
        elif self._has_open_question():
            self.ask(Place(state.form, "open"))
        else:
            self._collect_or_submit()

    def _has_open_question(self) -> bool:
        form = self._performer.form
        nothing_known = not any(name in self._state.slots for name in form.fields)
        return bool(form.prompt and form.fields and nothing_known and not self._state.is_opened)

    def _missing_field(self) -> str | None:
        return next(
            (
                name
                for name, field in self._performer.form.fields.items()
                if name not in self._state.slots
                and (
                    name in self._state.named
                    or (not field.optional and self._performer.is_true(field.when))
                )
            ),
            None,
        )

    def _collect_or_submit(self) -> None:
        state, form = self._state, self._performer.form
        missing = self._missing_field()
        if missing is not None:
            state.phase = "collect"
            self.ask(Place(state.form, "field", missing))
        elif state.phase == "submit":
            self.end_form()
        elif form.review is not None and not state.is_reviewed:
            self.ask(Place(state.form, "change" if state.is_changing else "review"))
        else:
            self._acknowledge()
            state.acknowledged = []
            state.phase = "submit"
            state.frames = [Frame(address=["forms", state.form, "filled"])]

    def end_form(self, values: Mapping[str, object] | None = None) -> None:
        """The form is done: back to the one that waits for it, or on to the next."""
        if self._activations.come_back(values):
            if self._state.is_resumed:
                self._wishes.begin()
            return
        if not self.go_on():
            self._performer.disconnect(defaults.END_OUTCOME)

    def go_on(self) -> bool:
        """To what follows the present form: a wish that waits, or `next`; False: nothing does."""
        if self._wishes.begin():
            return True
        follower = next_form(self._performer.keys, self._state.form)
        if follower is not None:
            self._performer.enter(follower)
        return follower is not None

    def leave(self, way: Step) -> None:
        """Take a step's exit; one to the form that would follow anyway is the form's end, where
        what was wished for comes first."""
        state = self._state
        is_end = way.goto is not None and way.goto == next_form(self._performer.keys, state.form)
        if not (is_end and not state.stack and self._wishes.begin()):
            self._performer.leave(way)

    def ask(self, place: Place) -> None:
        """Ask the question of a place, and listen."""
        state = self._state
        state.visit(place)
        if state.is_resumed:
            self._performer.play(self._performer.form.resume)
            state.is_resumed = False
        self._acknowledge()
        first, again = self._question(place)
        is_again = state.count(f"{place.state}:asked") > 1
        given = place.field if place.kind == "confirm" else None
        review = self._performer.form.review
        if place.kind == "review" and review is not None and review.correction:
            changed, state.corrected = state.corrected, []
            if len(changed) == 1:
                first, is_again, given = review.correction, False, changed[0]
        self._performer.play(again if is_again and again else first, given=given)
        state.mode = "listen"

    def _question(self, place: Place) -> tuple[list[PromptPart] | None, list[PromptPart] | None]:
        """The prompt of a place, and that for asking again."""
        form = self._performer.form
        if place.kind == "field":
            field = form.fields[place.field]
            return naming.question(self._performer.keys, place.field, field), field.reprompt
        if place.kind == "confirm":
            return inherit.confirm(self._performer.keys, place).prompt, None
        if place.kind == "review" and form.review is not None:
            return form.review.prompt, form.review.reprompt
        if place.kind == "change" and form.review is not None:
            return form.review.change or self._texts.change, None
        return form.prompt, form.reprompt

    def _acknowledge(self) -> None:
        """Mention values that were heard less surely; the next answer may reject them."""
        state = self._state
        if not state.to_acknowledge:
            return
        state.acknowledged = [name for name in state.to_acknowledge if name in state.slots]
        state.to_acknowledge = []
        for name in state.acknowledged:
            self._performer.play_text(self._texts.implicit, given=name)
