"""Checks of what is written well and cannot mean what its author wants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from voicebot.dialogue import expressions, inherit, templates
from voicebot.dialogue.checks import Checker, did_you_mean
from voicebot.dialogue.flow import all_steps
from voicebot.dialogue.phrasing import prompt_parts
from voicebot.dialogue.schema import FieldKeys, Keys, PlanKeys
from voicebot.dialogue.source import Key
from voicebot.events import SlotType

_REGEX = re.compile(r"[*\\^/]|\.\+|\.\?|\$$|\(\?")
_TAG = re.compile(r"<\s*(\w+)\s*>")
_OPTIONAL = re.compile(r"\[[^\[\]]*\]")


def check_conditions(checker: Checker, keys: PlanKeys) -> None:
    """Report comparisons of a choice with what it never is."""
    values = _values(keys)
    for key, text in _written(keys):
        try:
            tree = expressions.parse(text).tree
        except expressions.ExpressionError:
            continue  # reported as such
        for name, other in dict.fromkeys(_compared(tree)):
            if name in values and not _is_one_of(other, values[name]):
                hint = did_you_mean(other, values[name])
                hint = hint or f"; it holds {', '.join(values[name])}, or none"
                checker.report(key, f"in {text!r}: '{name}' is never '{other}'{hint}")


def check(checker: Checker, keys: PlanKeys) -> None:
    """Warn of keys that two things take, phrases that are none, values that are not there yet."""
    _check_keys(checker, keys)
    for key, phrase in _phrases((), keys):
        _check_phrase(checker, key, phrase)
    for name, form in keys.forms.items():
        if form.llm is not None and (found := re.search(r"\{\{.*?\}\}", form.llm.instructions)):
            checker.report(
                ("forms", name, "llm", "instructions"),
                f"'{found[0]}' is sent to the model as it stands; instructions hold no values, a "
                "model gets them from 'tools'",
                is_warning=True,
            )
        for field_name, field in form.fields.items():
            _check_own_value(checker, ("forms", name, "fields", field_name), field_name, field)


# ---------------------------------------------------------------- conditions


def _values(keys: PlanKeys) -> dict[str, list[str]]:
    """What each choice field may hold."""
    return {
        name: list(inherit.choices(keys, field))
        for form in keys.forms.values()
        for name, field in form.fields.items()
        if inherit.slot_type(field) is SlotType.CHOICE and inherit.choices(keys, field)
    }


def _written(keys: PlanKeys) -> Iterator[tuple[Key, str]]:
    """Every expression of the plan, with its place."""
    for key, part in prompt_parts((), keys):
        if part.when is not None:
            yield (*key, "when"), part.when
    for key, step in all_steps(keys):
        if step.when is not None:
            yield (*key, "when"), step.when
        for group, found in (("set", step.set), ("with", step.with_), ("return", step.return_)):
            for name, text in (found or {}).items():
                yield (*key, group, name), text
    for name, form in keys.forms.items():
        for field_name, field in form.fields.items():
            if field.when is not None:
                yield ("forms", name, "fields", field_name, "when"), field.when
        for tool, how in (form.llm.tools if form.llm is not None else {}).items():
            if how.when is not None:
                yield ("forms", name, "llm", "tools", tool, "when"), how.when


def _compared(tree: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    """(name, text) of each name that is held against a text of the plan's."""
    inner = [part for part in tree[1:] if isinstance(part, tuple)]
    if tree[0] in {"==", "!="} and len(inner) == 2:
        for one, other in (inner, inner[::-1]):
            if one[0] == "name" and other[0] == "constant" and isinstance(other[1], str):
                yield str(one[1]), other[1]
    for part in inner:
        yield from _compared(part)


def _is_one_of(text: str, values: list[str]) -> bool:
    return text in values or any(
        number is not None and number == _number(value)
        for number in (_number(text),)
        for value in values
    )


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


# ---------------------------------------------------------------- keys, phrases, prompts


def _check_keys(checker: Checker, keys: PlanKeys) -> None:
    """A choice's key goes before that of a universal: the operator is out of reach there."""
    for form_name, form in keys.forms.items():
        for name, field in form.fields.items():
            levels = [keys.universals, form.universals, field.universals]
            taken = {
                universal.dtmf: universal_name
                for level in levels
                for universal_name, universal in (level or {}).items()
                if universal is not None and universal.dtmf is not None
            }
            for value, choice in inherit.choices(keys, field).items():
                if choice.dtmf is None or choice.dtmf not in taken:
                    continue
                place: Key = ("forms", form_name, "fields", name, "choices", value)
                if field.choices is None:
                    place = ("lists", field.list or "", value)
                checker.report(
                    place,
                    f"key {choice.dtmf} stands for the universal '{taken[choice.dtmf]}' already; "
                    f"it cannot be keyed at '{form_name}/{name}'; take another one",
                    is_warning=True,
                )


def _phrases(key: Key, value: object) -> Iterator[tuple[Key, str]]:
    if isinstance(value, Keys):
        inside: list[tuple[str | int, object]] = [
            (info.alias or name, getattr(value, name))
            for name, info in type(value).model_fields.items()
        ]
    elif isinstance(value, list):
        inside = list(enumerate(value))
    elif isinstance(value, dict):
        inside = list(value.items())
    else:
        return
    for name, item in inside:
        if name == "phrases" and isinstance(item, list) and isinstance(value, Keys):
            yield from (((*key, name, number), phrase) for number, phrase in enumerate(item))
        else:
            yield from _phrases((*key, name), item)


def _check_phrase(checker: Checker, key: Key, phrase: str) -> None:
    if (sign := _REGEX.search(phrase)) is not None:
        checker.report(
            key,
            f"{phrase!r}: a phrase is no regular expression, '{sign[0]}' means nothing in it; "
            "words around a phrase do not matter, [...] may be left out, (a|b) is one of several",
            is_warning=True,
        )
        return
    if (tag := _TAG.search(phrase)) is not None:
        checker.report(
            key, f"{phrase!r}: a value is written {{{tag[1]}}}, not {tag[0]}", is_warning=True
        )
        return
    rest = phrase
    while (shorter := _OPTIONAL.sub(" ", rest)) != rest:
        rest = shorter
    if "[" in phrase and not rest.strip():
        checker.report(
            key,
            f"{phrase!r}: all of it may be left out; write what callers must say without [...]",
            is_warning=True,
        )


def _check_own_value(checker: Checker, key: Key, name: str, field: FieldKeys) -> None:
    """A field is asked for while it is empty: its question cannot speak what it holds."""
    for group in ("prompt", "reprompt"):
        for index, part in enumerate(getattr(field, group) or ()):
            try:
                needed = templates.parse(part.say).needed
            except templates.TemplateError:
                continue  # reported as such
            if part.when is None and any(value.name == name for value in needed):
                checker.report(
                    (*key, group, index),
                    f"'{name}' is empty when it is asked for; put the part that speaks it in "
                    "[...], or ask for it in the form's 'review'",
                    is_warning=True,
                )
