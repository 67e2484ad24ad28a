"""Puts values into slots, and takes them out: filled, confirmed, corrected, denied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voicebot.dialogue import defaults, inherit
from voicebot.dialogue.expectations import Place
from voicebot.dialogue.performer import Performer
from voicebot.dialogue.state import Filled
from voicebot.dialogue.understanding import Heard
from voicebot.events import SlotValue


class Filling:
    """The slots of a State."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._state = performer.state

    def merge(
        self,
        slots: Iterable[SlotValue],
        *,
        by_key: bool = False,
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
            self.deny(name, before.value)
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

    def confirm(self, name: str) -> None:
        """The caller has said that the value is right."""
        state = self._state
        state.to_confirm = [other for other in state.to_confirm if other != name]
        state.slots[name] = state.slots[name].model_copy(update={"is_confirmed": True})
        state.newly_filled.append(name)

    def offer(self, name: str, others: list[tuple[str, float]]) -> None:
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

    def taken_back(self, heard: Heard) -> dict[str, str]:
        """Slots whose values the caller takes back: those named, or what was just mentioned."""
        found = {slot.name: slot.value for slot in self._matching(heard.denied)}
        if heard.answer == "no" and not found:
            given, slots = {slot.name for slot in heard.values}, self._state.slots
            names = [name for name in self._state.acknowledged if name not in given]
            found = {name: slots[name].value for name in names if name in slots}
        return found

    def reject_still(self, taken_back: Mapping[str, str]) -> bool:
        """Empty slots that hold what was taken back; those corrected hold something else."""
        slots = self._state.slots
        names = [
            name
            for name, value in taken_back.items()
            if name in slots and slots[name].value == value
        ]
        return self.reject(names)

    def reject(self, names: list[str]) -> bool:
        """Empty these slots and remember their values as denied."""
        state = self._state
        for name in names:
            filled = state.slots.get(name)
            if filled is None:
                continue
            self.deny(name, filled.value)
            state.recent = [one for one in state.recent if one != (name, filled.value)]
            self._performer.clear(name)
            place = Place(state.form, "field", name)
            if state.count(f"denied {state.form}/{name}:") > defaults.MAX_DENIALS:
                self.give_up(place)
                return True
        return bool(names)

    def _matching(self, denied: Iterable[SlotValue]) -> list[SlotValue]:
        slots = self._state.slots
        return [
            slot for slot in denied if slot.name in slots and slots[slot.name].value == slot.value
        ]

    def deny(self, name: str, value: str) -> None:
        """Remember a value as one that the caller has denied."""
        values = self._state.denied.setdefault(name, [])
        if value not in values:
            values.append(value)

    def give_up(self, place: Place) -> None:
        """The caller said no too often: the nomatch ladder's end."""
        rungs = inherit.ladder(self._performer.keys, place, "nomatch")
        self._performer.leave(next(rung for rung in reversed(rungs) if rung.leaves))
