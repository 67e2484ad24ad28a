"""Where each form of a plan can lead: what the checks walk and the picture shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voicebot.dialogue import defaults
from voicebot.dialogue.schema import Exit, FormKeys, Inherited, PlanKeys, Step
from voicebot.dialogue.source import Key

PLAN = ""
"""Stands for the plan itself where an edge holds in every form."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One way out of `form` (at `field` where that says so): to a form or to an outcome."""

    form: str
    field: str
    kind: str  # menu, step, call, noinput, nomatch, universal, anywhere, end
    label: str
    key: Key
    target: str = ""
    outcome: str = ""
    is_goal: bool = False
    is_transfer: bool = False


def edges(keys: PlanKeys) -> list[Edge]:
    """All edges that a plan declares, in the file's order, plan-wide ones last."""
    found: list[Edge] = []
    inner = called(keys)
    for name, form in keys.forms.items():
        found.extend(_form_edges(name, form, next_form(keys, name), is_called=name in inner))
        for other, other_form in keys.forms.items():
            if other_form.anywhere and other != name:
                found.append(
                    Edge(name, "", "anywhere", "asked for", ("forms", other, "anywhere"), other)
                )
    found.extend(_inherited_edges(PLAN, "", keys, ()))
    return found


def _form_edges(
    name: str, form: FormKeys, follower: str | None, *, is_called: bool
) -> Iterator[Edge]:
    at: Key = ("forms", name)
    yield from _step_edges(name, "", form.enter or [], (*at, "enter"))
    for index, entry in enumerate(form.menu or ()):
        label = f"key {entry.dtmf}" if entry.dtmf else "said"
        yield Edge(name, "", "menu", label, (*at, "menu", index, "goto"), entry.goto)
    for field, field_keys in form.fields.items():
        here: Key = (*at, "fields", field)
        yield from _step_edges(name, field, field_keys.filled or [], (*here, "filled"))
        yield from _inherited_edges(name, field, field_keys, here)
    if form.review is not None:
        yield from _inherited_edges(name, "", form.review, (*at, "review"))
    yield from _step_edges(name, "", form.filled or [], (*at, "filled"))
    if form.llm is not None:
        for index, target in enumerate(form.llm.goto):
            yield Edge(name, "", "menu", "said", (*at, "llm", "goto", index), target)
        yield from _step_edges(name, "", form.llm.else_ or [], (*at, "llm", "else"))
    yield from _inherited_edges(name, "", form, at)
    if is_called:
        return  # at its end it comes back
    if falls_off(form) and follower is not None:
        yield Edge(name, "", "end", "", (*at, "next") if form.next else ("next",), follower)
    elif falls_off(form) and not form.anywhere:
        yield Edge(name, "", "end", "", at, outcome=defaults.END_OUTCOME)


def _step_edges(form: str, field: str, steps: list[Step], key: Key) -> Iterator[Edge]:
    for index, step in enumerate(steps):
        here = (*key, index)
        label = step.when or ""
        if step.form is not None:
            yield Edge(form, field, "call", label, (*here, "form"), step.form)
        if step.leaves and step.return_ is None:
            yield _edge(form, field, "step", label, here, step)
        for branch, inner in (("error", step.error), ("do", step.do)):
            for edge in _step_edges(form, field, inner or [], (*here, branch)):
                outer = f"{step.call or 'voicemail'} failed" if branch == "error" else label
                yield _relabel(edge, " and ".join(part for part in (outer, edge.label) if part))


def _inherited_edges(form: str, field: str, level: Inherited, key: Key) -> Iterator[Edge]:
    for kind, ladder in (("noinput", level.noinput), ("nomatch", level.nomatch)):
        for index, rung in enumerate(ladder or ()):
            if rung.leaves:
                label = f"{kind} {rung.count or index + 1}"
                yield _edge(form, field, kind, label, (*key, kind, index), rung)
    for name, universal in (level.universals or {}).items():
        if universal is not None and universal.leaves:
            here = (*key, "universals", name)
            yield _edge(form, field, "universal", name.replace("_", " "), here, universal)


def _edge(form: str, field: str, kind: str, label: str, key: Key, way: Exit | Step) -> Edge:
    if way.goto is not None:
        return Edge(form, field, kind, label, (*key, "goto"), way.goto)
    if way.transfer is not None:
        to = way.transfer
        return Edge(
            form, field, kind, label, (*key, "transfer"), "", to.outcome, to.goal, is_transfer=True
        )
    end = way.disconnect
    assert end is not None
    return Edge(form, field, kind, label, (*key, "disconnect"), "", end.outcome, end.goal)


def _relabel(edge: Edge, label: str) -> Edge:
    return Edge(
        edge.form,
        edge.field,
        edge.kind,
        label,
        edge.key,
        edge.target,
        edge.outcome,
        edge.is_goal,
        edge.is_transfer,
    )


def next_form(keys: PlanKeys, form: str) -> str | None:
    """The form that follows where `form` ends without an exit; none follows itself."""
    follower = keys.forms[form].next or keys.next
    return None if follower == form else follower


def called(keys: PlanKeys) -> set[str]:
    """Forms that steps of other forms go through."""
    return {step.form for _, step in all_steps(keys) if step.form is not None}


def all_steps(keys: PlanKeys) -> Iterator[tuple[Key, Step]]:
    """Every step with its place, nested ones too."""
    for name, form in keys.forms.items():
        key: Key = ("forms", name)
        yield from _walk((*key, "enter"), form.enter)
        for field_name, field in form.fields.items():
            yield from _walk((*key, "fields", field_name, "filled"), field.filled)
        yield from _walk((*key, "filled"), form.filled)
        if form.llm is not None:
            yield from _walk((*key, "llm", "else"), form.llm.else_)


def _walk(key: Key, steps: list[Step] | None) -> Iterator[tuple[Key, Step]]:
    for index, step in enumerate(steps or ()):
        yield (*key, index), step
        yield from _walk((*key, index, "error"), step.error)
        yield from _walk((*key, index, "do"), step.do)


def surely_leaves(steps: list[Step] | None) -> bool:
    """Whether a step list always ends in an exit."""
    return any(
        step.when is None and (step.leaves or surely_leaves(step.do)) for step in steps or ()
    )


def ends_the_call(form: FormKeys) -> bool:
    """Whether a form that is gone through always ends the call, as far as its steps show."""
    steps = [*(form.enter or ()), *(form.filled or ())]
    return any(
        step.when is None and (step.disconnect is not None or step.transfer is not None)
        for step in steps
    )


def falls_off(form: FormKeys) -> bool:
    """Whether a form can come to its end without an exit."""
    return form.menu is None and not surely_leaves(form.enter) and not surely_leaves(form.filled)


def waits(form: FormKeys) -> bool:
    """Whether a form surely waits for the caller, once entered, before it is left."""
    asks = any(not field.optional and field.when is None for field in form.fields.values())
    return asks or any(way is not None for way in (form.menu, form.review, form.llm))
