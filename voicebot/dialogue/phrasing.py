"""Checks of prompts, conditions, phrases and steps: every name they use must exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from voicebot.dialogue import expressions, templates
from voicebot.dialogue.checks import Checker, did_you_mean
from voicebot.dialogue.flow import all_steps
from voicebot.dialogue.performer import DESTINATION
from voicebot.dialogue.schema import FormKeys, Keys, PlanKeys, PromptPart, Step, TransferTo
from voicebot.dialogue.source import Key

_NOW = ("now.date", "now.time", "now.hour", "now.weekday", "now.is_open")
_DOING = (
    "say",
    "set",
    "clear",
    "record",
    "goal",
    "language",
    "task",
    "form",
    "voicemail",
    "call",
    "do",
)
_SIGNS = {
    "&&": "write 'and'",
    "||": "write 'or'",
    "{{": "names stand without braces here",
    " not in ": "write not (a in ('b', 'c'))",
    " is ": "compare with == or !=",
    "[": "values stand in round brackets, in ('a', 'b')",
    "!": "write 'not', or !=",
}
_CONSTANTS = {"null": "none", "none": "none", "nil": "none", "undefined": "none"}
_CONSTANTS |= {"true": "true", "false": "false"}
"""How other languages write conditions."""
_EXITS = ("return_", "goto", "transfer", "disconnect")
_WITH = {
    "with_": ("call", "form", "task"),
    "assign": ("call", "form", "voicemail"),
    "error": ("call", "voicemail"),
}
"""Keys of a step, and what they go with."""


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report unknown names, bad templates and conditions, empty steps."""
    known = variables(keys)
    optional = {
        name
        for form in keys.forms.values()
        for name, field in form.fields.items()
        if field.optional
    }
    for key, part in prompt_parts((), keys):
        _check_template(
            checker, (*key, "say"), part.say, known, optional if not part.when else set()
        )
        if part.when is not None:
            _check_condition(checker, (*key, "when"), part.when, known)
    for key, step in all_steps(keys):
        _check_step(checker, keys, key, step, known)
    for key, transfer in _transfers((), keys):
        _check_transfer(checker, key, transfer, known)
    for name, form in keys.forms.items():
        for field_name, field in form.fields.items():
            if field.when is not None:
                key = ("forms", name, "fields", field_name, "when")
                _check_condition(checker, key, field.when, known)
        _check_form_phrases(checker, keys, name, form)
        _check_tools(checker, ("forms", name, "llm", "tools"), form, known)


def variables(keys: PlanKeys) -> set[str]:
    """All names that a template or condition may use."""
    names = {name for form in keys.forms.values() for name in form.fields}
    names |= set(keys.variables)
    names |= {name for form in keys.forms.values() for name in form.variables}
    for _, step in all_steps(keys):
        names |= set(step.set or ()) | set(step.assign or ())
    return names


def prompt_parts(key: Key, value: object) -> Iterator[tuple[Key, PromptPart]]:
    """Every prompt part that stands in the file, with its place."""
    if isinstance(value, PromptPart):
        yield key, value
        return
    for name, item in _inside(value):
        yield from prompt_parts((*key, name), item)


def check_patterns(
    checker: Checker, keys: PlanKeys, pattern_problem: Callable[[str], str | None]
) -> None:
    """Report phrases that `pattern_problem` (nlu.grammar.problem) cannot make sense of."""
    for key, phrase in _phrases((), keys):
        if key in checker.broken:
            continue
        if (problem := pattern_problem(phrase)) is not None:
            checker.report(key, problem)


def _phrases(key: Key, value: object) -> Iterator[tuple[Key, str]]:
    for name, item in _inside(value):
        if name == "phrases" and isinstance(item, list) and isinstance(value, Keys):
            yield from (((*key, name, number), phrase) for number, phrase in enumerate(item))
        else:
            yield from _phrases((*key, name), item)


def _transfers(key: Key, value: object) -> Iterator[tuple[Key, TransferTo]]:
    if isinstance(value, TransferTo):
        yield key, value
        return
    for name, item in _inside(value):
        yield from _transfers((*key, name), item)


def _inside(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, Keys):
        for name, info in type(value).model_fields.items():
            yield info.alias or name, getattr(value, name)
    elif isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from value.items()


def _check_template(
    checker: Checker, key: Key, text: str, known: set[str], optional: set[str]
) -> None:
    try:
        template = templates.parse(text)
    except templates.TemplateError as error:
        checker.report(key, str(error))
        return
    allowed = {*known, "value"} if {"confirm", "correction"} & set(key) else known
    for value in template.values:
        _check_name(checker, key, value.name, allowed, "in the prompt")
        if value.kind is not None and value.kind not in templates.KINDS:
            kinds = sorted(templates.KINDS)
            hint = did_you_mean(value.kind, kinds) or f"; one of {', '.join(kinds)}"
            checker.report(key, f"unknown kind '{value.kind}'{hint}")
    for value in template.needed:
        if value.name in optional:
            checker.report(
                key,
                f"'{value.name}' is optional; put the part that speaks it in [...]",
                is_warning=True,
            )


def _check_condition(checker: Checker, key: Key, text: str, known: set[str]) -> None:
    try:
        expression = expressions.parse(text)
    except expressions.ExpressionError as error:
        hint = next((f"; {hint}" for sign, hint in _SIGNS.items() if sign in text), "")
        checker.report(key, f"condition {text!r}: {error}{hint}")
        return
    for name in expression.names:
        _check_name(checker, key, name, known, f"in {text!r}", may_be_text=True)


def _check_name(
    checker: Checker, key: Key, name: str, known: set[str], where: str, *, may_be_text: bool = False
) -> None:
    first = name.split(".")[0]
    if first in known or (first == "call" and name != "call") or name in _NOW:
        return
    options = [*known, *_NOW] if first == "now" else known
    hint = did_you_mean(name, options)
    if not hint and may_be_text:
        word = _CONSTANTS.get(name.lower())
        hint = f"; write {word}" if word else f"; put text in quotes: '{name}'"
    checker.report(key, f"unknown name '{name}' {where}{hint}")


def _check_step(checker: Checker, keys: PlanKeys, key: Key, step: Step, known: set[str]) -> None:
    done = [name for name in (*_DOING, *_EXITS) if getattr(step, name) is not None]
    names = [name.removesuffix("_") for name in (*_DOING, *_EXITS)]
    if not done and not any((*key, name) in checker.broken for name in names):
        checker.report(key, f"a step does nothing; give it one of {', '.join(names[:-1])}, ...")
    if sum(name in done for name in _EXITS) > 1:
        checker.report(key, "a step has one exit: return, goto, transfer or disconnect")
    asked = [name for name in ("call", "form", "voicemail") if name in done]
    if len(asked) > 1 or ("task" in done and "form" in done and step.with_):
        checker.report(key, "a step has one of call, form and voicemail; take a step for each")
    if step.when is not None:
        _check_condition(checker, (*key, "when"), step.when, known)
    for part, values in (("set", step.set), ("with", step.with_), ("return", step.return_)):
        for name, text in (values or {}).items():
            _check_condition(checker, (*key, part, name), text, known)
    if step.form is not None and step.form in keys.forms:
        _check_form_call(checker, keys, key, step, keys.forms[step.form])
    for name in step.clear or ():
        if name not in known:
            hint = did_you_mean(name, known)
            checker.report((*key, "clear"), f"unknown name '{name}' in 'clear'{hint}")
    if step.call is not None and step.call not in keys.services:
        hint = did_you_mean(step.call, keys.services) or "; declare it under 'services:'"
        checker.report((*key, "call"), f"unknown service '{step.call}'{hint}")
    for name, partners in _WITH.items():
        if getattr(step, name) is not None and not any(other in done for other in partners):
            ways = " or ".join(f"'{other}'" for other in partners)
            checker.report_missing(key, partners[0], f"'{name.rstrip('_')}' goes with {ways} only")


def _check_form_call(
    checker: Checker, keys: PlanKeys, key: Key, step: Step, form: FormKeys
) -> None:
    """Arguments and results of a form that a step goes through."""
    own = {*form.fields, *form.variables}
    for name in step.with_ or {}:
        if name not in own:
            hint = did_you_mean(name, own) or "; declare it under the form's 'variables:'"
            checker.report((*key, "with"), f"form '{step.form}' has no '{name}' to fill{hint}")
    returned = set(own)
    for place, inner in all_steps(keys):
        if place[:2] == ("forms", step.form):
            returned |= set(inner.return_ or {})
    for path in (step.assign or {}).values():
        if path.split(".")[0] not in returned:
            hint = did_you_mean(path, returned)
            checker.report((*key, "assign"), f"form '{step.form}' gives back no '{path}'{hint}")


def _check_tools(checker: Checker, key: Key, form: FormKeys, known: set[str]) -> None:
    for name, tool in (form.llm.tools if form.llm is not None else {}).items():
        if tool.when is not None:
            _check_condition(checker, (*key, name, "when"), tool.when, known)
        for argument, text in (tool.with_ or {}).items():
            _check_condition(checker, (*key, name, "with", argument), text, known)


def _check_transfer(checker: Checker, key: Key, transfer: TransferTo, known: set[str]) -> None:
    to = transfer.to
    if transfer.queue is not None:
        if to:
            checker.report(key, "'transfer' has both 'to' and 'queue'; keep one")
        if transfer.hold_prompt:
            _check_template(checker, (*key, "hold_prompt"), transfer.hold_prompt, known, set())
        return
    if transfer.hold_prompt or transfer.hold_music:
        checker.report_missing(key, "queue", "'hold_prompt' and 'hold_music' go with 'queue'")
    if "{{" in to:
        _check_template(checker, (*key, "to"), to, known, set())
    elif not to:
        checker.report_missing(key, "to", "'transfer' needs 'to', a number or SIP URI")
    elif DESTINATION.fullmatch(to) is None:
        checker.report(
            (*key, "to"),
            f"'{to}' is neither a number like '+15550123456' (quoted) nor sip:name@host",
        )


def _check_form_phrases(checker: Checker, keys: PlanKeys, name: str, form: FormKeys) -> None:
    slots = set(form.fields)
    for index, phrase in enumerate(form.phrases or ()):
        _check_phrase(checker, ("forms", name, "phrases", index), phrase, slots)
    for index, entry in enumerate(form.menu or ()):
        target = keys.forms.get(entry.goto)
        for number, phrase in enumerate(entry.phrases or ()):
            key: Key = ("forms", name, "menu", index, "phrases", number)
            _check_phrase(checker, key, phrase, set(target.fields) if target else None)
    for field_name, field in form.fields.items():
        for number, phrase in enumerate(field.phrases or ()):
            _check_phrase(
                checker, ("forms", name, "fields", field_name, "phrases", number), phrase, set()
            )
        for value, choice in (field.choices or {}).items():
            for number, phrase in enumerate(choice.phrases or ()):
                key = ("forms", name, "fields", field_name, "choices", value, "phrases", number)
                _check_phrase(checker, key, phrase, set())


def _check_phrase(checker: Checker, key: Key, phrase: str, slots: set[str] | None) -> None:
    """Brackets must match and slots exist; what a phrase matches is the room nlu's affair."""
    closing = {"[": "]", "(": ")", "{": "}"}
    open_brackets: list[tuple[str, int]] = []
    for position, char in enumerate(phrase):
        if char in closing:
            open_brackets.append((char, position))
        elif char in closing.values():
            if not open_brackets or closing[open_brackets[-1][0]] != char:
                checker.report(key, f"phrase {phrase!r}: '{char}' closes nothing")
                checker.broken.add(key)
                return
            opened, start = open_brackets.pop()
            slot = phrase[start + 1 : position].strip()
            if opened == "{" and slots is not None and slot not in slots:
                checker.report(
                    key,
                    f"phrase {phrase!r}: no field '{slot}' in this form{did_you_mean(slot, slots)}",
                )
                checker.broken.add(key)
    if open_brackets:
        checker.report(key, f"phrase {phrase!r}: '{open_brackets[-1][0]}' is never closed")
        checker.broken.add(key)
