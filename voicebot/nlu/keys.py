"""What keys mean, given what the dialogue waits for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from voicebot.events import Expectation, Interpretation, Reading, SlotSpec, SlotType, SlotValue

_ANSWERS = {"1": "yes", "2": "no"}
"""The telephone's convention for yes and no."""


def interpret_keys(keys: str, expectation: Expectation) -> Interpretation:
    """Keys to a slot or intent: those that the plan names first, then the focus slot's value.

    A closing terminator is dropped. Dates are keyed MMDDYYYY, times HHMM, amounts in whole
    dollars or with `*` as the point; 1 is yes and 2 is no. Nomatch when nothing fits.
    """
    terminator = expectation.digits.terminator if expectation.digits else None
    typed = keys.removesuffix(terminator) if terminator and len(keys) > 1 else keys
    focus = next((s for s in expectation.slots if s.name == expectation.focus), None)
    if focus is not None and (value := _named(focus, typed)) is not None:
        return _slot(focus.name, value, keys)
    for intent in expectation.intents:
        if intent.dtmf == typed:
            return _intent(intent.name, keys, is_universal=False)
    if focus is not None and (value := _typed(focus, typed)) is not None:
        return _slot(focus.name, value, keys)
    for intent in expectation.universals:
        if intent.dtmf == typed:
            return _intent(intent.name, keys, is_universal=True)
    for slot in expectation.slots:
        if slot is not focus and (value := _named(slot, typed)) is not None:
            return _slot(slot.name, value, keys)
    return Interpretation(text=keys, by="dtmf")


def _named(slot: SlotSpec, typed: str) -> str | None:
    return next((c.value for c in slot.choices if c.dtmf is not None and c.dtmf == typed), None)


def _typed(slot: SlotSpec, typed: str) -> str | None:
    """The value that the keys spell in a slot's own form, or None."""
    if slot.type is SlotType.YES_NO:
        return _ANSWERS.get(typed)
    if slot.type is SlotType.AMOUNT:
        return _amount(typed)
    if not typed or not all("0" <= key <= "9" for key in typed):
        return None
    if slot.type is SlotType.DIGITS:
        return typed if (slot.min_length or 1) <= len(typed) <= (slot.max_length or 99) else None
    if slot.type is SlotType.PHONE:
        return typed if (slot.min_length or 7) <= len(typed) <= (slot.max_length or 15) else None
    if slot.type is SlotType.NUMBER:
        return str(int(typed)) if len(typed) <= 12 else None
    if slot.type is SlotType.DATE and len(typed) == 8:
        try:
            return date(int(typed[4:]), int(typed[:2]), int(typed[2:4])).isoformat()
        except ValueError:
            return None
    if slot.type is SlotType.TIME and len(typed) in {3, 4}:
        hour, minute = int(typed[:-2]), int(typed[-2:])
        return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else None
    return None


def _amount(typed: str) -> str | None:
    whole, _, cents = typed.partition("*")
    digits = whole + cents
    if not digits or not all("0" <= key <= "9" for key in digits) or len(whole) > 12:
        return None
    if len(cents) not in {0, 2} or not whole:
        return None
    return str(Decimal(f"{int(whole)}.{cents or '00'}"))


def _slot(name: str, value: str, keys: str) -> Interpretation:
    slots = (SlotValue(name, value, keys, 1.0),)
    return Interpretation(
        slots=slots, confidence=1.0, nbest=(Reading(None, slots, 1.0),), text=keys, by="dtmf"
    )


def _intent(name: str, keys: str, *, is_universal: bool) -> Interpretation:
    return Interpretation(
        intent=name,
        confidence=1.0,
        nbest=(Reading(name, (), 1.0),),
        text=keys,
        is_universal=is_universal,
        by="dtmf",
    )
