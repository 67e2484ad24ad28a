"""What callers answer when all was read back: that it is right, or what is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from voicebot.dialogue import defaults, inherit
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.filling import Filling
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.understanding import Heard
from voicebot.events import SlotValue


class Reviewing:
    """Takes the answer to a review, or to what shall be changed."""

    def __init__(self, performer: Performer, values: Filling) -> None:
        self._performer = performer
        self._values = values
        self._state = performer.state

    def take(self, place: Place, heard: Heard, *, by_key: bool) -> bool:
        """Process an answer; False: nothing fits here (a nomatch)."""
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
        merged = self._values.merge(new, by_key=by_key, others=heard.others)
        changed = self._change(named)
        if self._values.reject_still(taken_back) or merged or changed or is_upheld:
            state.forget_misses(place.state)
            # Who says what is wrong gets on: only "no" upon "no" ends with somebody else.
            state.counts.pop(f"denied {Place(place.form, 'review').state}:", None)
            return True
        if place.kind == "review" and heard.answer == "yes":
            state.is_reviewed = True
            return True
        if place.kind == "review" and (heard.answer == "no" or is_unclear):
            if state.count(f"denied {place.state}:") > defaults.MAX_DENIALS:
                self._values.give_up(place)
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
