"""Takes what the caller answered: values, corrections, yes and no, another form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from voicebot.dialogue import defaults, inherit
from voicebot.dialogue.activations import Activations
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.state import Filled
from voicebot.dialogue.understanding import Heard
from voicebot.events import SlotValue


class Taker:
    """Puts what was heard into a State; `take` says whether it was of any use."""

    def __init__(self, performer: Performer, activations: Activations) -> None:
        self._performer = performer
        self._activations = activations
        self._state = performer.state

    def take(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        """Process an answer at a place; False: nothing fits here (a nomatch)."""
        self._state.corrected = []
        if heard.form is not None and heard.form != place.form:
            wished = self._fulfil(heard.form, heard.values)
            self._go(place, heard.form)
            self._merge(wished, by_key=by_key)
            self._merge(heard.values, by_key=by_key, others=heard.others)
            return True
        if place.kind == "menu":
            return self._take_at_menu(heard, by_key=by_key)
        if place.kind == "confirm":
            return self._take_confirmation(place, heard, by_key=by_key)
        if place.kind in {"review", "change"}:
            return self._take_review(place, heard, by_key=by_key)
        taken_back = self._rejected(heard)
        left_out = self._leave_out(place, heard)
        merged = self._merge(heard.values, by_key=by_key, others=heard.others)
        rejected = self._reject_still(taken_back)
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
        self._merge(wished, by_key=by_key)
        self._merge(heard.values, by_key=by_key, others=heard.others)
        return True

    def _take_confirmation(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        state, name = self._state, place.field
        before = state.slots.get(name)
        if before is None:
            state.to_confirm = [other for other in state.to_confirm if other != name]
            return True
        corrected = [slot.value for slot in heard.values if slot.name == name]
        if corrected and corrected[-1] != before.value:
            self._deny(name, before.value)
            return self._merge(heard.values, by_key=by_key, others=heard.others)
        merged = self._merge([slot for slot in heard.values if slot.name != name], by_key=by_key)
        if heard.answer == "yes" or (corrected and heard.answer is None):
            self._confirmed(name)
        elif heard.answer == "no" or any(slot.name == name for slot in heard.denied):
            others = before.others
            self._reject([name])
            self._offer(name, others)
        else:
            return merged
        return True

    def _take_review(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        state = self._state
        state.is_changing = False
        values = self._where_denied(heard)
        # What is held already is no change: "no, fifty" is a no.
        new = [
            slot
            for slot in values
            if slot.name not in state.slots or state.slots[slot.name].value != slot.value
        ]
        taken_back, others, is_unclear = self._denials(heard.denied)
        again = {slot.name for slot in values} - {slot.name for slot in new}
        settled = {slot.name for slot in new} | set(taken_back)
        settled |= again if heard.answer != "no" else set()  # "is the amount fifty?"
        is_change = heard.answer != "yes" or heard.has_contrast or place.kind == "change"
        named = [name for name in (*heard.named, *others) if is_change and name not in settled]
        # "Not almond, soy", which it is.
        is_upheld = any(slot.name in again for slot in heard.denied)
        named = [] if is_upheld else named
        merged = self._merge(new, by_key=by_key, others=heard.others)
        changed = self._change(named)
        if self._reject_still(taken_back) or merged or changed or is_upheld:
            state.forget_misses(place.state)
            # Who says what is wrong gets on: only "no" upon "no" ends with somebody else.
            state.counts.pop(f"denied {Place(place.form, 'review').state}:", None)
            return True
        if place.kind == "review" and heard.answer == "yes":
            state.is_reviewed = True
            return True
        if place.kind == "review" and (heard.answer == "no" or is_unclear):
            if state.count(f"denied {place.state}:") > defaults.MAX_DENIALS:
                self._give_up(place)
            else:
                state.is_changing = True
            return True
        # "no" to "what would you like to change?" means nothing: read it back again.
        return heard.answer == "no"

    def _denials(self, denied: Iterable[SlotValue]) -> tuple[dict[str, str], list[str], bool]:
        """Slots that hold what is denied; else the fields that this names ("not the milk", where
        soy milk is held); and whether some denial may speak of several fields.

        Fields with the same choices cannot be told apart by a value: "not savings" means the
        account that is savings, whichever of them was understood."""
        slots, fields = self._state.slots, self._performer.form.fields
        taken_back: dict[str, str] = {}
        named: list[str] = []
        is_unclear = False
        for slot in (slot for slot in denied if slot.name in fields):
            alike = [name for name in fields if self._are_alike(name, slot.name)]
            own = slot.name in slots and slots[slot.name].value == slot.value
            holders = [slot.name] if own else alike
            held = [n for n in holders if n in slots and slots[n].value == slot.value]
            taken_back |= dict.fromkeys(held, slot.value)
            if not held and alike == [slot.name] and slot.name in slots:
                named.append(slot.name)
            is_unclear = is_unclear or not (held or alike == [slot.name])
        return taken_back, named, is_unclear

    def _where_denied(self, heard: Heard) -> list[SlotValue]:
        """The values heard; "not savings but credit card" is one for the field that is savings."""
        slots, fields = self._state.slots, self._performer.form.fields
        values = {slot.name: slot for slot in heard.values}
        for slot in (slot for slot in heard.denied if slot.name in fields and slot.name in values):
            alike = [name for name in fields if self._are_alike(name, slot.name)]
            held = [n for n in alike if n in slots and slots[n].value == slot.value]
            if len(held) == 1 and held[0] not in values:
                values[held[0]] = replace(values.pop(slot.name), name=held[0])
        return list(values.values())

    def _are_alike(self, name: str, other: str) -> bool:
        """Whether two of the form's fields take the same values."""
        keys, fields = self._performer.keys, self._performer.form.fields
        one, two = fields[name], fields[other]
        return inherit.slot_type(one) is inherit.slot_type(two) and set(
            inherit.choices(keys, one)
        ) == set(inherit.choices(keys, two))

    def _change(self, names: Iterable[str]) -> bool:
        """Empty the fields that the caller wants to change, to be asked for one by one; False where
        none is to be asked for. Their values are not denied: he may have named the wrong one."""
        state, fields = self._state, self._performer.form.fields
        found = [
            name
            for name in names
            if name in fields
            and (name in state.slots or self._performer.is_true(fields[name].when))
        ]
        for name in found:
            state.held.pop(name, None)
            if name in state.slots:
                state.held[name] = state.slots[name]
            self._performer.clear(name)
        if found:
            self._performer.note("change", {"slots": found})
            state.named = list(dict.fromkeys([*state.named, *found]))
            state.is_opened = True
        return bool(found)

    # ------------------------------------------------------------ values

    def merge(self, slots: Iterable[SlotValue]) -> bool:
        """Fill the present form's fields with what was said for it before."""
        return self._merge(slots, by_key=False)

    def _merge(
        self,
        slots: Iterable[SlotValue],
        *,
        by_key: bool,
        others: Mapping[str, Iterable[SlotValue]] | None = None,
    ) -> bool:
        """Fill the form's fields; whether any was filled."""
        fields = self._performer.form.fields
        taken = self._without_weak_overwrites([slot for slot in slots if slot.name in fields])
        for slot in taken:
            self.fill(slot, by_key=by_key, others=(others or {}).get(slot.name, ()))
        if taken:
            self._state.is_reviewed = False
            self._state.acknowledged = []
        return bool(taken)

    def _without_weak_overwrites(self, slots: list[SlotValue]) -> list[SlotValue]:
        """Doubtful words beside a sure correction change no other slot: in "make it a large one"
        the recogniser's "mocha" for "make it a" is not what the caller came to say."""
        place = Place(self._state.form, "open")
        bound = inherit.confirm(self._performer.keys, place).implicit_below or 0.0
        bound = max(bound, defaults.OVERWRITE_BELOW)
        if all(slot.confidence < bound for slot in slots):
            return slots
        return [
            slot for slot in slots if slot.confidence >= bound or slot.name not in self._state.slots
        ]

    def fill(
        self, slot: SlotValue, *, by_key: bool = False, others: Iterable[SlotValue] = ()
    ) -> None:
        """Fill a slot: to be confirmed, mentioned or taken as it is, by its confidence.

        A value in place of another one is a correction: the old one is denied, the new one at
        least mentioned.
        """
        state, name = self._state, slot.name
        before = state.slots.get(name)
        if before is not None and before.value == slot.value and before.is_confirmed:
            return
        is_correction = before is not None and before.value != slot.value
        if is_correction and before is not None:
            state.corrected = [*state.corrected, name]
            self._performer.note(
                "correction", {"slot": name, "from": before.value, "to": slot.value}
            )
        for queue in (state.to_confirm, state.to_acknowledge, state.newly_filled):
            if name in queue:
                queue.remove(name)
        if name in state.named:
            state.named.remove(name)
            state.corrected = [*state.corrected, name]
        state.slots[name] = Filled(
            value=slot.value,
            text=slot.text,
            confidence=slot.confidence if 0.0 <= slot.confidence <= 1.0 else 0.0,  # NaN too
            others=[(other.value, other.confidence) for other in others],
        )
        state.remember(name, slot.value)
        place = Place(state.form, "field", name)
        state.forget_misses(place.state)
        rule = inherit.confirm(self._performer.keys, place)
        was_denied = slot.value in state.denied.get(name, ())
        if is_correction and before is not None:
            self._deny(name, before.value)
        bounded = rule.mode == "by_confidence" and not by_key
        if (
            rule.mode == "always"
            or (bounded and slot.confidence < (rule.explicit_below or 0.0))
            or (was_denied and rule.mode != "never")
        ):
            state.to_confirm.append(name)
            return
        is_doubtful = bounded and slot.confidence < (rule.implicit_below or 0.0)
        if is_doubtful or (is_correction and rule.mode == "by_confidence"):
            state.to_acknowledge.append(name)
        state.newly_filled.append(name)

    def fill_ahead(self, slot: SlotValue) -> None:
        """Keep a value for the form whose field it is, until that is gone through."""
        filled = Filled(value=slot.value, text=slot.text, confidence=slot.confidence)
        self._state.slots[slot.name] = self._state.ahead[slot.name] = filled
        self._state.remember(slot.name, slot.value)

    def take_up(self) -> bool:
        """Fill the present form's empty fields with what was kept for them; False: nothing was."""
        state, fields = self._state, self._performer.form.fields
        kept = {name: state.ahead.pop(name) for name in list(state.ahead) if name in fields}
        empty = {name: one for name, one in kept.items() if state.slots.get(name) in (None, one)}
        for name, one in empty.items():
            state.slots.pop(name, None)
            self.fill(SlotValue(name, one.value, one.text, one.confidence))
        return bool(empty)

    def _offer(self, name: str, others: list[tuple[str, float]]) -> None:
        """Ask about the next reading of what was heard, before the question comes again."""
        state = self._state
        denied = state.denied.get(name, [])
        left = [other for other in others if other[0] not in denied]
        # The denial may have been one too many: then the call is elsewhere, or has begun again.
        is_asked_here = bool(denied) and name in self._performer.form.fields
        if not left or not is_asked_here or name in state.slots or state.mode != "run":
            return
        rule = inherit.confirm(self._performer.keys, Place(state.form, "field", name))
        if len(denied) >= (rule.offers or 1):
            return
        value, confidence = left[0]
        state.slots[name] = Filled(value=value, confidence=confidence, others=left[1:])
        state.to_confirm.insert(0, name)
        self._performer.note("offer", {"slot": name, "value": value})

    def _confirmed(self, name: str) -> None:
        state = self._state
        state.to_confirm = [other for other in state.to_confirm if other != name]
        state.slots[name] = state.slots[name].model_copy(update={"is_confirmed": True})
        state.newly_filled.append(name)

    def _rejected(self, heard: Heard) -> dict[str, str]:
        """Slots whose values the caller takes back: those named, or what was just mentioned."""
        found = {slot.name: slot.value for slot in self._matching(heard.denied)}
        if heard.answer == "no" and not found:
            given, slots = {slot.name for slot in heard.values}, self._state.slots
            names = [name for name in self._state.acknowledged if name not in given]
            found = {name: slots[name].value for name in names if name in slots}
        return found

    def _reject_still(self, taken_back: Mapping[str, str]) -> bool:
        """Empty slots that hold what was taken back; those corrected hold something else."""
        slots = self._state.slots
        names = [
            name
            for name, value in taken_back.items()
            if name in slots and slots[name].value == value
        ]
        return self._reject(names)

    def _matching(self, denied: Iterable[SlotValue]) -> list[SlotValue]:
        slots = self._state.slots
        return [
            slot for slot in denied if slot.name in slots and slots[slot.name].value == slot.value
        ]

    def _deny(self, name: str, value: str) -> None:
        values = self._state.denied.setdefault(name, [])
        if value not in values:
            values.append(value)

    def _reject(self, names: list[str]) -> bool:
        """Empty these slots and remember their values as denied."""
        state = self._state
        for name in names:
            filled = state.slots.get(name)
            if filled is None:
                continue
            self._deny(name, filled.value)
            state.recent = [one for one in state.recent if one != (name, filled.value)]
            self._performer.clear(name)
            place = Place(state.form, "field", name)
            if state.count(f"denied {state.form}/{name}:") > defaults.MAX_DENIALS:
                self._give_up(place)
                return True
        return bool(names)

    def _give_up(self, place: Place) -> None:
        """The caller said no too often: the nomatch ladder's end."""
        rungs = inherit.ladder(self._performer.keys, place, "nomatch")
        self._performer.leave(next(rung for rung in reversed(rungs) if rung.leaves))
