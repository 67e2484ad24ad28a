"""What an Interpretation means at a place: values to take, values denied, a form asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Literal

from voicebot.dialogue import defaults, inherit, leaving, naming
from voicebot.dialogue.expectations import Place, intent_name, offered_forms
from voicebot.dialogue.schema import PlanKeys
from voicebot.events import CONFIRM_SLOT, Expectation, Interpretation, SlotSpec, SlotType, SlotValue
from voicebot.patterns import is_luhn

_FORMS_OF = {
    SlotType.YES_NO: r"yes|no",
    SlotType.DIGITS: r"\d+",
    SlotType.NUMBER: r"-?\d+(\.\d+)?",
    SlotType.AMOUNT: r"-?\d+(\.\d+)?",
    SlotType.DATE: r"\d{4}-\d{2}-\d{2}",
    SlotType.TIME: r"\d{2}:\d{2}",
    SlotType.PHONE: r"\+?\d+",
    SlotType.LETTERS: r"[A-Za-z]+",
}


MAX_OTHERS = 3
LEFT_OUT = 0.85
"""How sure "none" and "skip it" are: no grammar expects them."""
COMPARABLE = 0.8
"""Of the first reading's confidence: what another one needs to come before it."""
_CARRIERS = frozenset(
    re.findall(
        r"\S+",
        "a an and at for from in is it it's my of on please the to uh um with "
        "con de del el en es la las los mi para por una un y",
    )
)
"""Words beside a value that make no request of it."""
_MEANT = frozenset({"mean", "meant", "digo", "decía", "decir"})


@dataclass(frozen=True, slots=True)
class Heard:
    """`answer` is the caller's yes or no to the machine's own question.

    `others`: values of further readings for the slots of `values`, the likeliest first; `named`:
    fields that shall be changed, without a value; `has_contrast`: a "yes" is not all of it.
    """

    values: tuple[SlotValue, ...] = ()
    denied: tuple[SlotValue, ...] = ()
    answer: Literal["yes", "no"] | None = None
    form: str | None = None
    others: Mapping[str, tuple[SlotValue, ...]] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    has_contrast: bool = False

    @property
    def is_nothing(self) -> bool:
        """Nothing that could be used here."""
        return not (self.values or self.denied or self.answer or self.form or self.named)


def understand(
    keys: PlanKeys,
    place: Place,
    expectation: Expectation,
    interpretation: Interpretation,
    denied: Mapping[str, list[str]],
) -> Heard:
    """Keep what is expected here, well formed, sure enough and not denied before."""
    specs = {slot.name: slot for slot in expectation.slots}
    floor = inherit.confirm(keys, place).nomatch_below or 0.0
    slots = _reading(interpretation, denied)
    taken = [
        slot
        for slot in slots
        if slot.name in specs and is_well_formed(slot.value, specs[slot.name])
    ]
    if interpretation.by == "speech":
        taken = [slot for slot in taken if slot.confidence >= floor]
    answers = [slot.value for slot in taken if slot.name == CONFIRM_SLOT]
    values = tuple(slot for slot in taken if slot.name != CONFIRM_SLOT)
    is_sure = interpretation.by == "dtmf" or interpretation.confidence >= floor
    form = _form(keys, place, interpretation, values) if is_sure or values else None
    if form != place.form and _asks_yes_no(expectation) and _is_bare(interpretation):
        form = None  # "the airport" is no answer to "shall I block it?", and no wish either
    if form is None and _is_repair(expectation, interpretation, answers or _asked(place, values)):
        form = _meant(keys, place, values)
    return Heard(
        values,
        tuple(slot for slot in interpretation.denied if slot.name in specs),
        ("yes" if answers[-1] == "yes" else "no") if answers else None,
        form,
        _others(interpretation, values, specs, floor),
        _named(keys, place, interpretation) if is_sure else (),
        naming.has_contrast(interpretation.text),
    )


def repaired(heard: Heard, place: Place, held: Mapping[str, str]) -> Heard:
    """ "No, the credit card" to "shall I block your debit card?" corrects what was asked with: its
    "no" belongs to that, and the question comes again. `held`: what the form's slots hold."""
    others = [one for one in heard.values if one.name != place.field]
    is_corrected = any(held.get(one.name, one.value) != one.value for one in others)
    is_no = [one.value for one in heard.values if one.name == place.field] == ["no"]
    if place.kind != "field" or not (is_no and is_corrected):
        return heard
    return replace(heard, values=tuple(others))


def _named(keys: PlanKeys, place: Place, interpretation: Interpretation) -> tuple[str, ...]:
    """Fields that the caller named at a review, in each of his wishes; none that he calls right."""
    if place.kind not in {"review", "change"} or interpretation.is_universal:
        return ()
    complained_of = naming.complained_of(keys, place.form, interpretation.text)
    if complained_of is not None:
        return complained_of
    intents = [interpretation.intent, *(reading.intent for reading in interpretation.also)]
    found = [name for intent in intents for name in naming.fields_of(intent)]
    return tuple(dict.fromkeys(found))


def declined(
    keys: PlanKeys, place: Place, interpretation: Interpretation, *, may_leave_out: bool
) -> Interpretation:
    """ "Cancel" is no answer to a form's yes or no, and no way out of it: "do you smell gas?" is
    asked again. Where a field may be left out, it means just that, as "none" and "skip it" do."""
    field = keys.forms[place.form].fields.get(place.field)
    is_cancel = interpretation.is_universal and interpretation.intent == "cancel"
    nothing = replace(interpretation, intent=None, slots=(), nbest=(), is_universal=False)
    if may_leave_out and (
        is_cancel or (interpretation.is_nomatch and leaving.is_left_out(interpretation.text))
    ):
        sure = interpretation.confidence if is_cancel else LEFT_OUT
        no = SlotValue(CONFIRM_SLOT, "no", interpretation.text, sure)
        return replace(nothing, slots=(no,), confidence=sure)
    is_asked = place.kind == "field" and field is not None
    if is_cancel and is_asked and field is not None:
        is_yes_no = inherit.slot_type(field) is SlotType.YES_NO
        return nothing if is_yes_no else interpretation
    return interpretation


def why_refused(
    keys: PlanKeys,
    place: Place,
    expectation: Expectation,
    interpretation: Interpretation,
    heard: Heard,
) -> str:
    """Why what was heard is of no use at a place, for the record."""
    specs = {slot.name: slot for slot in expectation.slots}
    slots = [slot for slot in interpretation.slots if slot.name in specs]
    if not (interpretation.intent or interpretation.slots or interpretation.denied):
        return "nothing understood"
    if heard.denied and not (heard.values or heard.answer or heard.form):
        return "denies what is not held"
    if any(not is_well_formed(slot.value, specs[slot.name]) for slot in slots):
        return "no such value"
    floor = inherit.confirm(keys, place).nomatch_below or 0.0
    sure = [slot.confidence for slot in slots] or [interpretation.confidence]
    if interpretation.by == "speech" and min(sure) < floor:
        return "too unsure"
    return "fits nowhere here"


def _asks_yes_no(expectation: Expectation) -> bool:
    focus = next((slot for slot in expectation.slots if slot.name == expectation.focus), None)
    return focus is not None and focus.type is SlotType.YES_NO


def _asked(place: Place, values: Iterable[SlotValue]) -> list[str]:
    return [slot.value for slot in values if slot.name == place.field]


def _is_repair(expectation: Expectation, said: Interpretation, answers: list[str]) -> bool:
    """Whether a "no" is about what was told before: "no, I mean checking" to "anything else?"."""
    is_no = _asks_yes_no(expectation) and answers[-1:] == ["no"]
    return is_no and not _MEANT.isdisjoint(_words(said.text))


def _meant(keys: PlanKeys, place: Place, values: Iterable[SlotValue]) -> str | None:
    """The one other form to which the values that were surely heard belong."""
    sure = {one.name for one in values if one.confidence >= defaults.OVERWRITE_BELOW}
    sure -= {place.field}
    fitting = [n for n in offered_forms(keys, place) if sure and sure <= set(keys.forms[n].fields)]
    return fitting[0] if len(fitting) == 1 else None


def _is_bare(interpretation: Interpretation) -> bool:
    """Whether nothing was said but values: no phrase of the intent that they belong to."""
    said = {word for slot in interpretation.slots for word in _words(slot.text)}
    return bool(said) and not _words(interpretation.text) - said - _CARRIERS


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower()))


def _others(
    interpretation: Interpretation,
    values: tuple[SlotValue, ...],
    specs: Mapping[str, SlotSpec],
    floor: float,
) -> dict[str, tuple[SlotValue, ...]]:
    taken = {slot.name: slot.value for slot in values}
    found: dict[str, dict[str, SlotValue]] = {name: {} for name in taken}
    for slot in (slot for reading in interpretation.nbest for slot in reading.slots):
        if (
            slot.name in taken
            and slot.value != taken[slot.name]
            and slot.confidence >= floor
            and is_well_formed(slot.value, specs[slot.name])
        ):
            found[slot.name].setdefault(slot.value, slot)
    return {name: tuple(slots.values())[:MAX_OTHERS] for name, slots in found.items() if slots}


def _reading(
    interpretation: Interpretation, denied: Mapping[str, list[str]]
) -> Iterable[SlotValue]:
    """The first reading without a denied value; the best one when all have some. A clear answer is
    no other value for that: who says "savings" again means it."""
    candidates = [
        interpretation.slots,
        *(
            reading.slots
            for reading in interpretation.nbest
            if reading.intent == interpretation.intent
            and reading.slots
            and _sureness(reading.slots) >= COMPARABLE * _sureness(interpretation.slots)
        ),
    ]
    for slots in candidates:
        if not any(slot.value in denied.get(slot.name, ()) for slot in slots):
            return slots
    return interpretation.slots


def _sureness(slots: Iterable[SlotValue]) -> float:
    return min((slot.confidence for slot in slots), default=0.0)


def _form(
    keys: PlanKeys,
    place: Place,
    interpretation: Interpretation,
    values: tuple[SlotValue, ...],
) -> str | None:
    offered = list(offered_forms(keys, place))
    if interpretation.intent is not None and not interpretation.is_universal:
        for name in offered:
            if intent_name(name, keys.forms[name]) == interpretation.intent:
                return name
    if place.kind == "menu" and values:
        names = {value.name for value in values}
        fitting = [name for name in offered if names <= set(keys.forms[name].fields)]
        # "two hundred to savings" at the menu says what is wanted only where one form fits.
        return fitting[0] if len(fitting) == 1 else None
    return None


def is_well_formed(value: str, spec: SlotSpec) -> bool:
    """Whether a value has the form of its slot's type (events.SlotType)."""
    if spec.type is SlotType.CHOICE:
        return any(choice.value == value for choice in spec.choices)
    pattern = _FORMS_OF.get(spec.type)
    if pattern is not None and re.fullmatch(pattern, value, re.ASCII) is None:
        return False
    if spec.type in {SlotType.NUMBER, SlotType.AMOUNT} and not _is_number(value):
        return False
    if spec.type in {SlotType.DIGITS, SlotType.PHONE, SlotType.LETTERS}:
        is_right = spec.check != "luhn" or is_luhn(value)
        return is_right and (spec.min_length or 1) <= len(value) <= (spec.max_length or 40)
    return 0 < len(value) <= 1000


def _is_number(value: str) -> bool:
    try:
        return Decimal(value).is_finite()
    except InvalidOperation:
        return False
