"""Takes what the caller answered: values, corrections, yes and no, another form."""

from __future__ import annotations

from collections.abc import Iterable

from voicebot.dialogue.activations import Activations
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.filling import Filling
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.reviewing import Reviewing
from voicebot.dialogue.understanding import Heard
from voicebot.events import SlotValue


class Taker:
    """Puts what was heard into a State; `take` says whether it was of any use. `values`: the slots
    that it fills."""

    def __init__(self, performer: Performer, activations: Activations) -> None:
        self._performer = performer
        self._activations = activations
        self._state = performer.state
        self.values = Filling(performer)
        self._reviewing = Reviewing(performer, self.values)

    def take(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        """Process an answer at a place; False: nothing fits here (a nomatch)."""
        self._state.corrected = []
        if heard.form is not None and heard.form != place.form:
            wished = self._fulfil(heard.form, heard.values)
            self._go(place, heard.form)
            self.values.merge(wished, by_key=by_key)
            self.values.merge(heard.values, by_key=by_key, others=heard.others)
            return True
        if place.kind == "menu":
            return self._take_at_menu(heard, by_key=by_key)
        if place.kind == "confirm":
            return self._take_confirmation(place, heard, by_key=by_key)
        if place.kind in {"review", "change"}:
            return self._reviewing.take(place, heard, by_key=by_key)
        taken_back = self.values.taken_back(heard)
        left_out = self._leave_out(place, heard)
        merged = self.values.merge(heard.values, by_key=by_key, others=heard.others)
        rejected = self.values.reject_still(taken_back)
        if merged or rejected or left_out or heard.form is not None:
            self._state.acknowledged = []
            self._state.is_opened = self._state.is_opened or merged or heard.form is not None
            return True
        return False

    def _go(self, place: Place, form: str) -> None:
        """To another form: from a menu for good, from elsewhere as a digression that returns."""
        state, target = self._state, self._performer.keys.forms[form]
        waits = any(before.form == form for before in state.stack)
        if target.anywhere and place.kind != "menu" and not waits:
            self._activations.digress(form)
        else:
            state.stack = []
            self._performer.enter(form)
        state.is_opened = target.llm is None

    def _fulfil(self, form: str, values: Iterable[SlotValue]) -> list[SlotValue]:
        """Drop the wishes that wait for a form which the caller asks for now; what he said with
        them, and not now, counts. One with another value is another wish: it goes on waiting."""
        said = {slot.name: slot.value for slot in values}
        found: list[SlotValue] = []
        for wish in list(self._state.wishes):
            slots = [SlotValue(*slot) for slot in wish.slots]
            if wish.form == form and all(said.get(s.name, s.value) == s.value for s in slots):
                self._state.wishes.remove(wish)
                found += [slot for slot in slots if slot.name not in said]
                said |= {slot.name: slot.value for slot in slots}
        return found

    def may_leave_out(self, place: Place) -> bool:
        """Whether an optional field is asked for, because the caller named it."""
        fields = self._performer.form.fields
        is_asked = place.kind == "field" and place.field in self._state.named
        return is_asked and fields[place.field].optional

    def _leave_out(self, place: Place, heard: Heard) -> bool:
        """Whether "no" means that the field stays empty."""
        is_left = self.may_leave_out(place) and heard.answer == "no" and not heard.values
        if is_left:
            self._state.named.remove(place.field)
        return is_left

    def _take_at_menu(self, heard: Heard, *, by_key: bool) -> bool:
        if heard.form is None:
            return False
        wished = self._fulfil(heard.form, heard.values)
        self._performer.enter(heard.form)
        self.values.merge(wished, by_key=by_key)
        self.values.merge(heard.values, by_key=by_key, others=heard.others)
        return True

    def _take_confirmation(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        state, name = self._state, place.field
        before = state.slots.get(name)
        if before is None:
            state.to_confirm = [other for other in state.to_confirm if other != name]
            return True
        corrected = [slot.value for slot in heard.values if slot.name == name]
        if corrected and corrected[-1] != before.value:
            self.values.deny(name, before.value)
            return self.values.merge(heard.values, by_key=by_key, others=heard.others)
        merged = self.values.merge(
            [slot for slot in heard.values if slot.name != name], by_key=by_key
        )
        if heard.answer == "yes" or (corrected and heard.answer is None):
            self.values.confirm(name)
        elif heard.answer == "no" or any(slot.name == name for slot in heard.denied):
            others = before.others
            self.values.reject([name])
            self.values.offer(name, others)
        else:
            return merged
        return True
