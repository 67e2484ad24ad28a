"""A value set at the plan, overridden by a form, overridden by a field."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec, TypeVar

from voicebot.dialogue import texts
from voicebot.dialogue.schema import (
    Choices,
    Confirm,
    Dtmf,
    FieldKeys,
    Inherited,
    Keys,
    LadderEntry,
    PlanKeys,
    PromptPart,
    TimeoutKeys,
    Universal,
)
from voicebot.events import BargeInMode, SlotType, Timeouts

if TYPE_CHECKING:
    from voicebot.dialogue.expectations import Place


_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def remembered(
    function: Callable[Concatenate[PlanKeys, Place, _Given], _Found],
) -> Callable[Concatenate[PlanKeys, Place, _Given], _Found]:
    """What holds at a place never changes: it is worked out once for each plan."""

    @functools.wraps(function)
    def look_up(
        keys: PlanKeys, place: Place, /, *args: _Given.args, **kwargs: _Given.kwargs
    ) -> _Found:
        key = (function, place, args, *kwargs.items())
        memory = keys.memory
        if key not in memory:
            memory[key] = function(keys, place, *args, **kwargs)
        found: _Found = memory[key]
        return found

    return look_up


def remembered_by_form(
    function: Callable[[PlanKeys, str], _Found],
) -> Callable[[PlanKeys, str], _Found]:
    """The same for what holds in a whole form."""

    @functools.wraps(function)
    def look_up(keys: PlanKeys, form: str, /) -> _Found:
        key = (function, form)
        if key not in keys.memory:
            keys.memory[key] = function(keys, form)
        found: _Found = keys.memory[key]
        return found

    return look_up


_Model = TypeVar("_Model", bound=Keys)


def levels(keys: PlanKeys, place: Place) -> Iterator[Inherited]:
    """The levels that a place inherits from, the nearest first."""
    form = keys.forms[place.form]
    if place.field:
        yield form.fields[place.field]
    if place.kind in {"review", "change"} and form.review is not None:
        yield form.review
    yield form
    yield keys


def merge(found: list[_Model | None], bottom: _Model) -> _Model:
    """Key by key the nearest value; `found` begins with the nearest."""
    values = {name: getattr(bottom, name) for name in type(bottom).model_fields}
    for level in reversed([level for level in found if level is not None]):
        for name in level.model_fields_set:
            values[name] = getattr(level, name)
    return bottom.model_copy(update=values)


@remembered
def ladder(keys: PlanKeys, place: Place, kind: Literal["noinput", "nomatch"]) -> list[LadderEntry]:
    """The nearest ladder, each rung with its count; it always ends in an exit."""
    found = [getattr(level, kind) for level in levels(keys, place)]
    chosen: list[LadderEntry] = next(
        (entry for entry in found if entry), texts.of(keys.language).ladders[kind]
    )
    rungs: list[LadderEntry] = []
    for entry in chosen:
        count = entry.count or (rungs[-1].count or 0) + 1 if rungs else entry.count or 1
        rungs.append(entry.model_copy(update={"count": count}))
    rungs.sort(key=lambda rung: rung.count or 0)
    if not rungs[-1].leaves:
        rungs.append(last_rung(keys, place, kind, (rungs[-1].count or 0) + 1))
    return rungs


def last_rung(
    keys: PlanKeys, place: Place, kind: Literal["noinput", "nomatch"], count: int
) -> LadderEntry:
    """The exit of a ladder that declares none: the operator, or else the end of the call."""
    operator = universals(keys, place).get("operator")
    if operator is not None and operator.leaves:
        entry = LadderEntry(
            prompt=operator_words(keys, operator),
            goto=operator.goto,
            transfer=operator.transfer,
            disconnect=operator.disconnect,
        )
    else:
        words = {"prompt": texts.of(keys.language).last_words[kind], "disconnect": kind}
        entry = LadderEntry.model_validate(words)
    # Not given to the model, which allows authors fewer rungs than they may write unnumbered.
    return entry.model_copy(update={"count": count})


def operator_words(keys: PlanKeys, operator: Universal) -> list[PromptPart] | None:
    """What is said on the way to the operator. A form that is gone to speaks for itself: there may
    be nobody to connect the caller with."""
    is_person = operator.transfer is not None
    default = texts.of(keys.language).last_words["operator"] if is_person else None
    return operator.prompt or default


@remembered
def universals(keys: PlanKeys, place: Place) -> dict[str, Universal]:
    """The universals in force; operator only where the plan says where to go."""
    found: dict[str, Universal] = {}
    for name, default in texts.of(keys.language).universals.items():
        own = [
            level.universals[name]
            for level in levels(keys, place)
            if level.universals is not None and name in level.universals
        ]
        if (own and own[0] is None) or (name == "cancel" and place.kind in {"menu", "llm"}):
            continue
        universal = merge(own, default)
        if name != "operator" or universal.leaves:
            found[name] = universal
    return found


@remembered
def confirm(keys: PlanKeys, place: Place) -> Confirm:
    """Bounds and prompt in force; under a review only the field's own setting counts."""
    found = [level.confirm for level in levels(keys, place)]
    if keys.forms[place.form].review is not None and not (found and found[0]):
        found = [Confirm(mode="never"), *found]
    return merge(found, texts.confirmation(keys.language))


def help_prompt(keys: PlanKeys, place: Place) -> list[PromptPart]:
    """The nearest help text."""
    return next(
        (level.help for level in levels(keys, place) if level.help), texts.of(keys.language).help
    )


def keys_only_prompt(keys: PlanKeys, place: Place) -> list[PromptPart]:
    """The nearest text that asks for keys where speech cannot be recognised."""
    found = (level.keys_only for level in levels(keys, place))
    return next((prompt for prompt in found if prompt), texts.of(keys.language).keys_only)


@remembered
def barge_in(keys: PlanKeys, place: Place) -> BargeInMode:
    """What may interrupt prompts here."""
    found = (level.barge_in for level in levels(keys, place))
    return next((mode for mode in found if mode is not None), BargeInMode.SPEECH)


@remembered
def hints(keys: PlanKeys, place: Place) -> tuple[str, ...]:
    """The hints of all levels: the nearest first."""
    words = [word for level in levels(keys, place) for word in level.hints or []]
    return tuple(dict.fromkeys(words))


@remembered
def weights(keys: PlanKeys, place: Place) -> tuple[tuple[str, float], ...]:
    """How likely phrases are, of all levels; of one phrase the nearest weight counts."""
    found: dict[str, float] = {}
    for level in levels(keys, place):
        found = {**(level.weights or {}), **found}
    return tuple(sorted(found.items()))


@remembered
def dtmf(keys: PlanKeys, place: Place) -> Dtmf:
    """Key collection in force; None where nobody says."""
    return merge([level.dtmf for level in levels(keys, place)], Dtmf())


@remembered
def timeouts(keys: PlanKeys, place: Place) -> Timeouts:
    """Timeouts in force."""
    merged = merge([level.timeouts for level in levels(keys, place)], TimeoutKeys())
    given = {
        f"{name}_ms": getattr(merged, name)
        for name in TimeoutKeys.model_fields
        if getattr(merged, name) is not None
    }
    return Timeouts(**given)


def choices(keys: PlanKeys, field: FieldKeys) -> Choices:
    """A field's choices, its own or those of its list."""
    if field.choices is not None:
        return field.choices
    return keys.lists.get(field.list or "", {})


def slot_type(field: FieldKeys) -> SlotType:
    """A field's type: choice where choices stand and no type."""
    if field.type is not None:
        return field.type
    return SlotType.CHOICE if field.choices or field.list else SlotType.TEXT
