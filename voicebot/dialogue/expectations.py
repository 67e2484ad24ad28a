"""What the dialogue waits for at each place of a plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from voicebot.dialogue import inherit, naming
from voicebot.dialogue.schema import FieldKeys, FormKeys, PlanKeys
from voicebot.events import (
    CONFIRM_SLOT,
    Choice,
    DigitRule,
    Expectation,
    IntentSpec,
    SlotSpec,
    SlotType,
)

Kind = Literal["menu", "open", "field", "confirm", "review", "change", "llm"]

YES_NO = SlotSpec(CONFIRM_SLOT, SlotType.YES_NO)
LANGUAGE = "language "
"""Begins the intents by which callers ask for another language."""
SAID = SlotSpec("said", SlotType.TEXT)
"""Whatever the caller says to a language model."""
_MAX_KEYS = {
    SlotType.YES_NO: 1,
    SlotType.DIGITS: 20,
    SlotType.NUMBER: 6,
    SlotType.AMOUNT: 9,
    SlotType.DATE: 8,
    SlotType.TIME: 4,
    SlotType.PHONE: 15,
}
"""Keys that a type can take without `dtmf: {max: ...}`: mmddyyyy for a date, hhmm for a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the dialogue waits: a form's menu, open question or review, or one of its fields."""

    form: str
    kind: Kind
    field: str = ""

    @property
    def state(self) -> str:
        """Name for journal and logs, `form/field`."""
        is_plain = self.kind in {"menu", "open", "field", "llm"}
        parts = [self.form, self.field, "" if is_plain else self.kind]
        return "/".join(part for part in parts if part)


def places(keys: PlanKeys) -> Iterator[Place]:
    """All places of a plan, in the file's order."""
    for name, form in keys.forms.items():
        if form.menu is not None:
            yield Place(name, "menu")
        elif form.prompt is not None and form.fields:
            yield Place(name, "open")
        elif form.llm is not None:
            yield Place(name, "llm")
        for field, field_keys in form.fields.items():
            if not field_keys.optional or form.review is not None:  # there it may be named
                yield Place(name, "field", field)
            if inherit.confirm(keys, Place(name, "field", field)).mode != "never":
                yield Place(name, "confirm", field)
        if form.review is not None:
            yield Place(name, "review")
            yield Place(name, "change")


@inherit.remembered
def expectation(keys: PlanKeys, place: Place, *, with_yes_no: bool = False) -> Expectation:
    """What is waited for; `with_yes_no` lets "no" reject what was confirmed in passing."""
    slots = list(_slots(keys, place))
    asks_yes_no = any(slot.type is SlotType.YES_NO for slot in slots[:1])
    is_asked = with_yes_no and place.kind in {"menu", "open", "field"} and not asks_yes_no
    if is_asked or place.kind == "change":
        slots.append(YES_NO)
    digits = digit_rule(keys, place)
    zero_is_free = digits is not None and not _may_be_one_key(place, digits, slots)
    return Expectation(
        state=place.state,
        focus=_focus(place),
        slots=tuple(slots),
        intents=tuple(_intents(keys, place)),
        universals=tuple(_universals(keys, place, zero_is_free=zero_is_free)),
        digits=digits,
        barge_in=inherit.barge_in(keys, place),
        timeouts=inherit.timeouts(keys, place),
        hints=inherit.hints(keys, place),
        language=keys.language,
        weights=inherit.weights(keys, place),
    )


def slot_spec(keys: PlanKeys, name: str, field: FieldKeys) -> SlotSpec:
    """A field as a slot."""
    return SlotSpec(
        name,
        inherit.slot_type(field),
        tuple(
            Choice(value, (value.replace("_", " "), *(choice.phrases or ())), choice.dtmf)
            for value, choice in inherit.choices(keys, field).items()
        ),
        field.length.min if field.length else None,
        field.length.max if field.length else None,
        field.check or "",
    )


def intent_name(form_name: str, form: FormKeys) -> str:
    """A form's intent: declared, or the form's own name."""
    return form.intent or form_name


def offered_forms(keys: PlanKeys, place: Place) -> dict[str, tuple[str, ...]]:
    """Forms that an utterance here may lead to, with the phrases a menu adds to theirs."""
    offered: dict[str, tuple[str, ...]] = {}
    form = keys.forms[place.form]
    if place.kind == "menu":
        for entry in form.menu or ():
            offered[entry.goto] = (*offered.get(entry.goto, ()), *(entry.phrases or ()))
    elif form.phrases or form.examples:
        offered[place.form] = ()
    for name, other in keys.forms.items():
        if other.anywhere and (other.phrases or other.examples):
            offered.setdefault(name, ())
    return offered


def _focus(place: Place) -> str | None:
    if place.kind in {"confirm", "review"}:
        return CONFIRM_SLOT
    if place.kind == "llm":
        return SAID.name
    return place.field or None


def _slots(keys: PlanKeys, place: Place) -> Iterable[SlotSpec]:
    found: dict[str, SlotSpec] = {}
    if place.kind in {"confirm", "review"}:
        found[YES_NO.name] = YES_NO
    if place.kind == "llm":
        found[SAID.name] = SAID
    form = keys.forms[place.form]
    if place.field:
        found[place.field] = slot_spec(keys, place.field, form.fields[place.field])
    for name in dict.fromkeys([place.form, *offered_forms(keys, place)]):
        for field_name, field in keys.forms[name].fields.items():
            found.setdefault(field_name, slot_spec(keys, field_name, field))
    return found.values()


def _intents(keys: PlanKeys, place: Place) -> Iterator[IntentSpec]:
    if place.kind in {"review", "change"}:
        yield from naming.intents(keys, place.form)
    entries = keys.forms[place.form].menu or () if place.kind == "menu" else ()
    dtmf = {entry.goto: entry.dtmf for entry in entries if entry.dtmf is not None}
    for name, added in offered_forms(keys, place).items():
        form = keys.forms[name]
        phrases = tuple(dict.fromkeys([*(form.phrases or ()), *added]))
        here = [entry.examples or [] for entry in entries if entry.goto == name]
        examples = tuple(dict.fromkeys([*(form.examples or ()), *itertools.chain(*here)]))
        yield IntentSpec(intent_name(name, form), phrases, dtmf.get(name), examples=examples)


def _universals(keys: PlanKeys, place: Place, *, zero_is_free: bool) -> Iterator[IntentSpec]:
    for name, universal in inherit.universals(keys, place).items():
        key = universal.dtmf if zero_is_free or universal.dtmf == "*" else None
        examples = tuple(universal.examples or ())
        yield IntentSpec(name, tuple(universal.phrases or ()), key, examples=examples)
    for language, how in keys.languages.items():
        if language != keys.language and how.phrases:
            yield IntentSpec(f"{LANGUAGE}{language}", tuple(how.phrases), how.dtmf)


def language_of(intent: str | None) -> str | None:
    """The language that a caller asks for, where the intent is such a wish."""
    is_one = intent is not None and intent.startswith(LANGUAGE)
    return intent.removeprefix(LANGUAGE) if is_one and intent is not None else None


def _may_be_one_key(place: Place, digits: DigitRule, slots: list[SlotSpec]) -> bool:
    """Whether a single key such as 0 can itself be the answer, and so cannot call the operator."""
    focus = next((slot for slot in slots if slot.name == _focus(place)), None)
    numeric = {SlotType.NUMBER, SlotType.DIGITS}
    return focus is not None and focus.type in numeric and digits.min_keys == 1


@inherit.remembered
def digit_rule(keys: PlanKeys, place: Place) -> DigitRule | None:
    """How keys are collected here; None where none are of use, or the plan ignores them."""
    settings = inherit.dtmf(keys, place)
    focus = asked_slot(keys, place)
    longest = settings.max if settings.max is not None else _longest_input(keys, place, focus)
    if longest == 0:
        return None
    rule = DigitRule()
    shortest = focus.min_length if focus is not None else None
    terminator = rule.terminator if settings.terminator is None else settings.terminator
    return DigitRule(
        max_keys=longest,
        min_keys=min(settings.min or shortest or rule.min_keys, longest),
        terminator=terminator or None,
        interdigit_ms=settings.interdigit or rule.interdigit_ms,
        term_ms=settings.term or rule.term_ms,
        has_type_ahead=settings.type_ahead is not False,
    )


def asked_slot(keys: PlanKeys, place: Place) -> SlotSpec | None:
    """The slot that a place asks for."""
    if _focus(place) == CONFIRM_SLOT:
        return YES_NO
    if not place.field:
        return None
    return slot_spec(keys, place.field, keys.forms[place.form].fields[place.field])


def offered_keys(keys: PlanKeys, place: Place) -> dict[str, str]:
    """Key sequences that mean something of their own here, and what they mean."""
    offered: dict[str, str] = {}
    focus = asked_slot(keys, place)
    if place.kind == "menu":
        entries = keys.forms[place.form].menu or ()
        offered |= {entry.dtmf: entry.goto for entry in entries if entry.dtmf}
    elif focus is not None and focus.type is SlotType.CHOICE:
        offered |= {choice.dtmf: choice.value for choice in focus.choices if choice.dtmf}
    for name, universal in inherit.universals(keys, place).items():
        if universal.dtmf:
            offered.setdefault(universal.dtmf, name)
    for language, how in keys.languages.items():
        if language != keys.language and how.dtmf:
            offered.setdefault(how.dtmf, f"{LANGUAGE}{language}")
    return offered


def _longest_input(keys: PlanKeys, place: Place, focus: SlotSpec | None) -> int:
    longest = max(map(len, offered_keys(keys, place)), default=0)
    if focus is None or focus.type is SlotType.CHOICE:
        return longest
    if focus.type in {SlotType.DIGITS, SlotType.PHONE} and focus.max_length is not None:
        return max(longest, focus.max_length)
    return max(longest, _MAX_KEYS.get(focus.type, 0))
