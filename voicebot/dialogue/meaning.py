"""Checks of what forms, fields, ladders and services mean together."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from voicebot.dialogue import defaults, inherit, texts
from voicebot.dialogue.checks import Checker, did_you_mean, locate
from voicebot.dialogue.expectations import intent_name, slot_spec
from voicebot.dialogue.flow import all_steps, surely_leaves
from voicebot.dialogue.schema import (
    Choices,
    FieldKeys,
    FormKeys,
    Inherited,
    Llm,
    PlanKeys,
    Service,
    Step,
)
from voicebot.dialogue.source import Key
from voicebot.events import SlotSpec, SlotType

_WITH_LENGTH = {SlotType.DIGITS, SlotType.PHONE, SlotType.LETTERS}


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report what contradicts itself or is missing."""
    if not keys.forms:
        checker.report_missing((), "forms", "a plan needs 'forms:' with at least one form")
    if keys.start is not None and keys.start not in keys.forms:
        hint = did_you_mean(keys.start, keys.forms) or f"; forms are {', '.join(keys.forms)}"
        checker.report(("start",), f"unknown form '{keys.start}'{hint}")
    for key, level in levels(keys):
        _check_level(checker, key, level)
    for name, values in keys.lists.items():
        _check_choices(checker, ("lists", name), values)
    for name, form in keys.forms.items():
        _check_form(checker, keys, ("forms", name), form)
    _check_names(checker, keys)
    for name, service in keys.services.items():
        _check_service(checker, ("services", name), service)
    called = {step.call for _, step in all_steps(keys)}
    called |= {tool for form in keys.forms.values() if form.llm for tool in form.llm.tools}
    _check_hours(checker, keys)
    known = {keys.language, *keys.languages}
    for key, step in all_steps(keys):
        if step.language is not None and step.language not in known:
            hint = did_you_mean(step.language, known) or "; declare it under 'languages:'"
            checker.report((*key, "language"), f"unknown language '{step.language}'{hint}")
    for name in keys.services:
        if name not in called:
            checker.report(("services", name), "is never called", is_warning=True)


def levels(keys: PlanKeys) -> Iterator[tuple[Key, Inherited]]:
    """Plan, forms, fields and reviews with their places."""
    yield (), keys
    for name, form in keys.forms.items():
        yield ("forms", name), form
        for field_name, field in form.fields.items():
            yield ("forms", name, "fields", field_name), field
        if form.review is not None:
            yield ("forms", name, "review"), form.review


def _check_level(checker: Checker, key: Key, level: Inherited) -> None:
    for name in ("noinput", "nomatch"):
        counts: list[int] = []
        for index, rung in enumerate(getattr(level, name) or ()):
            count = rung.count or (counts[-1] + 1 if counts else 1)
            if count in counts or (counts and count < counts[-1]):
                checker.report(
                    (*key, name, index), f"'{name}': counts must rise; {count} comes twice or late"
                )
            counts.append(count)
            if rung.prompt is None and not rung.leaves:
                checker.report((*key, name, index), f"'{name}': neither prompt nor exit")
    if level.confirm is not None:
        bounds = inherit.merge([level.confirm], texts.confirmation("en"))
        low = bounds.nomatch_below or 0.0
        middle = bounds.explicit_below or 0.0
        high = bounds.implicit_below or 0.0
        if level.confirm.mode in {None, "by_confidence"} and not low <= middle <= high:
            checker.report(
                (*key, "confirm"),
                "'confirm': bounds must rise: nomatch_below <= explicit_below <= implicit_below "
                f"(they are {low}, {middle}, {high})",
            )


def _check_form(checker: Checker, keys: PlanKeys, key: Key, form: FormKeys) -> None:
    asks = bool(form.fields) or form.menu is not None or form.llm is not None
    if form.menu is not None and form.fields:
        checker.report(key, "has both 'menu' and 'fields'; put the fields in a form of their own")
    if form.llm is not None:
        _check_llm(checker, keys, key, form, form.llm)
    if form.menu is not None:
        _check_menu(checker, keys, key, form)
    parts = ("menu", "fields", "enter", "filled", "llm")
    if any((*locate(checker.data, key), part) in checker.broken for part in parts):
        asks = True  # what it asks is reported already
    if form.prompt and not asks:
        checker.report(
            (*key, "prompt"),
            "'prompt' asks, but there is no 'menu' and no 'fields'; to speak only, use 'enter'",
        )
    if not asks and not form.enter and not form.filled:
        checker.report_missing(
            key, "fields", "is empty; give it 'fields', a 'menu', or 'enter' steps"
        )
    if form.review is not None and not form.review.prompt:
        checker.report_missing((*key, "review"), "prompt", "'review' has no 'prompt'")
    if form.anywhere and not (form.phrases or form.examples):
        checker.report(key, "'anywhere' needs 'phrases' by which callers ask for it")
    for name, field in form.fields.items():
        _check_field(checker, keys, (*key, "fields", name), field)
    for steps_name in ("enter", "filled"):
        _check_after_exit(checker, (*key, steps_name), getattr(form, steps_name))


def _check_after_exit(checker: Checker, key: Key, steps: list[Step] | None) -> None:
    for index, _ in enumerate(steps or ()):
        if index and surely_leaves((steps or [])[:index]):
            checker.report(
                (*key, index), "this step is never reached; the one before leaves", is_warning=True
            )
            return


def _check_menu(checker: Checker, keys: PlanKeys, key: Key, form: FormKeys) -> None:
    if not form.prompt:
        checker.report_missing(key, "prompt", "has no 'prompt'; add the menu's question")
    if not form.menu:
        checker.report_missing(key, "menu", "'menu' is empty; list the forms to choose from")
    seen: set[str] = set()
    for index, entry in enumerate(form.menu or ()):
        here: Key = (*key, "menu", index)
        if not entry.goto:
            checker.report_missing(here, "goto", "menu entry without 'goto'")
            continue
        if entry.dtmf is not None and entry.dtmf in seen:
            checker.report(here, f"key {entry.dtmf} stands twice in the menu")
        seen.add(entry.dtmf or "")
        target = keys.forms.get(entry.goto)
        said = target and (target.phrases or target.examples or entry.phrases or entry.examples)
        if target is not None and not (said or entry.dtmf):
            checker.report(
                here,
                f"'{entry.goto}' cannot be chosen; add 'phrases' to that form or a 'dtmf' key here",
            )


def _check_field(checker: Checker, keys: PlanKeys, key: Key, field: FieldKeys) -> None:
    slot_type = inherit.slot_type(field)
    if not field.prompt and not field.optional:
        checker.report_missing(
            key, "prompt", "has no 'prompt'; add one, or 'optional: true' if it is never asked for"
        )
    if field.choices is not None and field.list is not None:
        checker.report(key, "has both 'choices' and 'list'; keep one")
    if field.list is not None and field.list not in keys.lists:
        hint = did_you_mean(field.list, keys.lists) or "; declare it under 'lists:'"
        checker.report((*key, "list"), f"unknown list '{field.list}'{hint}")
    elif slot_type is SlotType.CHOICE and not inherit.choices(keys, field):
        checker.report_missing(key, "choices", "a choice needs 'choices'")
    if slot_type is not SlotType.CHOICE and (field.choices or field.list):
        checker.report((*key, "type"), f"'choices' do not go with type '{slot_type.value}'")
    if field.check is not None and slot_type is not SlotType.DIGITS:
        checker.report((*key, "check"), f"'check' is for digits, not for {slot_type.value}")
    if field.length is not None and slot_type not in _WITH_LENGTH:
        checker.report((*key, "length"), "'length' goes with digits, letters and phone only")
    if field.length is not None and field.length.min > field.length.max:
        checker.report((*key, "length"), "'length': min is larger than max")
    if field.choices is not None:
        _check_choices(checker, (*key, "choices"), field.choices)


def _check_choices(checker: Checker, key: Key, choices: Choices) -> None:
    if not choices:
        checker.report(key, "has no choices")
    by_dtmf: dict[str, str] = {}
    for value, choice in choices.items():
        other = by_dtmf.setdefault(choice.dtmf, value) if choice.dtmf else value
        if other != value:
            checker.report((*key, value), f"key {choice.dtmf} stands for '{other}' already")


def _check_names(checker: Checker, keys: PlanKeys) -> None:
    """Names are plan-wide: one slot name, one meaning."""
    specs: dict[str, tuple[str, SlotSpec]] = {}
    intents: dict[str, str] = {}
    for name, form in keys.forms.items():
        intent = intent_name(name, form)
        if intents.setdefault(intent, name) != name:
            checker.report(
                ("forms", name), f"intent '{intent}' belongs to form '{intents[intent]}' already"
            )
        for field_name, field in form.fields.items():
            key: Key = ("forms", name, "fields", field_name)
            _check_reserved(checker, key, field_name)
            spec = slot_spec(keys, field_name, field)
            first, known = specs.setdefault(field_name, (name, spec))
            if known != spec:
                checker.report(
                    key,
                    f"differs from field '{field_name}' of form '{first}' in type or choices; "
                    "rename one, or share the choices through 'lists:'",
                )
    for form_name, form in keys.forms.items():
        for name in form.variables:
            key = ("forms", form_name, "variables", name)
            _check_reserved(checker, key, name)
            if name in specs or name in keys.variables:
                checker.report(key, f"'{name}' is a field or a variable of the plan already")
    for name in keys.variables:
        _check_reserved(checker, ("variables", name), name)
        if name in specs:
            checker.report(("variables", name), f"is a field of form '{specs[name][0]}' already")


def _check_hours(checker: Checker, keys: PlanKeys) -> None:
    hours = keys.hours
    if hours is None:
        return
    if not hours.weekly:
        checker.report_missing(
            ("hours",), "weekly", "'hours' has no 'weekly'; nobody is ever there"
        )
    if hours.closed is not None and hours.closed not in keys.forms:
        hint = did_you_mean(hours.closed, keys.forms)
        checker.report(("hours", "closed"), f"unknown form '{hours.closed}'{hint}")
    if keys.timezone in {"EST", "MST", "HST"}:
        checker.report(
            ("timezone",),
            f"'{keys.timezone}' has no daylight saving time; write one like America/New_York",
            is_warning=True,
        )
    if keys.timezone is None and ("timezone",) not in checker.broken:
        checker.report(
            ("hours",),
            "'hours' without 'timezone' follows the server's clock; add 'timezone:'",
            is_warning=True,
        )


def _check_llm(checker: Checker, keys: PlanKeys, key: Key, form: FormKeys, node: Llm) -> None:
    if form.menu is not None or form.fields:
        checker.report(key, "has 'llm' and 'menu' or 'fields'; put them in forms of their own")
    if not form.prompt:
        checker.report_missing(key, "prompt", "has no 'prompt'; add the open question")
    here: Key = (*key, "llm")
    for name in node.tools:
        service = keys.services.get(name)
        if service is None:
            hint = did_you_mean(name, keys.services) or "; declare it under 'services:'"
            checker.report((*here, "tools"), f"unknown service '{name}'{hint}")
        elif service.arguments is None:
            checker.report(
                (*here, "tools"),
                f"service '{name}' has no 'arguments'; a model's values are held to them "
                "(arguments: {} where it takes none)",
            )
    fields = {name for other in keys.forms.values() for name in other.fields}
    for name in node.slots:
        if name not in fields:
            checker.report((*here, "slots"), f"unknown field '{name}'{did_you_mean(name, fields)}")
    if node.else_ is None and not has_operator(keys):
        checker.report_missing(
            here, "else", "'llm' has no 'else'; say what is done without a language model"
        )


def has_operator(keys: PlanKeys) -> bool:
    """Whether callers can be handed to somebody from every place."""
    operator = (keys.universals or {}).get("operator")
    return operator is not None and operator.leaves


def _check_reserved(checker: Checker, key: Key, name: str) -> None:
    if name in defaults.RESERVED:
        checker.report(key, "this name is reserved; take another one")


def _check_service(checker: Checker, key: Key, service: Service) -> None:
    is_told = any((*key, name) in checker.broken for name in ("python", "webhook"))
    if (service.python is None) == (service.webhook is None) and not is_told:
        checker.report_missing(key, "python", "needs either 'python: module:function' or 'webhook'")
    if service.python is not None and (service.retries or service.backoff is not None):
        checker.report(key, "'retries' and 'backoff' go with 'webhook'; a function is called once")
    if service.filler_after is not None and not service.filler:
        checker.report_missing(key, "filler", "'filler_after' goes with 'filler'")
    if service.python is not None:
        _check_function(checker, key, *service.python.split(":"))


def _check_function(checker: Checker, key: Key, module: str, function: str) -> None:
    """The function must be there; the module is read, not run."""
    file = Path(checker.source.path).parent / f"{module.replace('.', '/')}.py"
    here = (*key, "python")
    if not file.is_file():
        hint = f"; write '{module[:-3]}:{function}'" if module.endswith(".py") else ""
        checker.report(here, f"{file} does not exist{hint or '; put the module beside the plan'}")
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        checker.report(here, f"{file} cannot be read as Python: {error}")
        return
    names = [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    if function not in {*names, *_bound(tree)}:
        checker.report(here, f"{file} has no function '{function}'{did_you_mean(function, names)}")


def _bound(tree: ast.Module) -> set[str]:
    """Names that a module gets otherwise than by `def` at its top: imports, assignments, `if`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(name.asname or name.name).partition(".")[0] for name in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    blocks = [node for node in tree.body if isinstance(node, ast.If | ast.Try)]
    inside = [part for block in blocks for part in ast.walk(block)]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return found | {part.name for part in inside if isinstance(part, functions)}
