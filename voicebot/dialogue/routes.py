"""Checks of the way through a plan: unknown forms, unreachable ones, loops without exit."""

from __future__ import annotations

from collections.abc import Iterable

from voicebot.dialogue import defaults
from voicebot.dialogue.checks import Checker, did_you_mean
from voicebot.dialogue.flow import (
    PLAN,
    Edge,
    all_steps,
    called,
    edges,
    falls_off,
    next_form,
    surely_leaves,
    waits,
)
from voicebot.dialogue.schema import PlanKeys
from voicebot.dialogue.source import Key

_DELIBERATE = {"menu", "step", "end"}
"""Edges that the plan's own course takes; ladders and universals are emergency exits."""


_WAYS = frozenset(
    {"menu", "goto", "next", "fields", "enter", "filled", "do", "error", "transfer", "disconnect"}
    | {"return", "form", "anywhere", "phrases", "llm", "else", "forms"}
)
"""Keys by which forms are reached and left."""


def check(checker: Checker, keys: PlanKeys) -> None:
    """Report what can never be reached, or never left."""
    ways = edges(keys)
    for edge in ways:
        if edge.target and edge.target not in keys.forms:
            hint = did_you_mean(edge.target, keys.forms) or f"; forms are {', '.join(keys.forms)}"
            checker.report(edge.key, f"'{edge.key[-1]}': unknown form '{edge.target}'{hint}")
    _check_next(checker, keys)
    if not keys.forms or (keys.start is not None and keys.start not in keys.forms):
        return
    first = {keys.start or next(iter(keys.forms))}
    if keys.hours is not None and keys.hours.closed in keys.forms:
        first.add(keys.hours.closed)
    reached = _closure(first, ways)
    inner = called(keys)
    _check_calls(checker, keys, ways)
    if checker.is_broken(_WAYS):
        return  # the way may be what is missing
    for name, form in keys.forms.items():
        if name not in reached:
            checker.report(("forms", name), "cannot be reached from the start", is_warning=True)
        elif (
            falls_off(form)
            and name not in inner
            and not form.anywhere
            and next_form(keys, name) is None
        ):
            checker.report(
                ("forms", name),
                "can end without goto, transfer or disconnect; the call then ends as 'completed'",
                is_warning=True,
            )
    _check_endless(checker, keys, reached, ways)
    _check_instant_loops(checker, keys)
    _check_failing_loops(checker, keys)
    _check_silent_loops(checker, keys, ways)


def _check_next(checker: Checker, keys: PlanKeys) -> None:
    """What follows a form must be there also where only "cancel" leads to it."""
    given: list[tuple[Key, str | None]] = [(("next",), keys.next)]
    given += [(("forms", name, "next"), form.next) for name, form in keys.forms.items()]
    for key, follower in given:
        if follower is not None and follower not in keys.forms:
            hint = did_you_mean(follower, keys.forms) or f"; forms are {', '.join(keys.forms)}"
            checker.report(key, f"'next': unknown form '{follower}'{hint}")


def outcomes(keys: PlanKeys) -> set[str]:
    """Every outcome that a call can end with."""
    always = {
        "noinput",
        "nomatch",
        defaults.GOODBYE_OUTCOME,
        defaults.HANG_UP_OUTCOME,
        defaults.ERROR_OUTCOME,
    }
    if any(falls_off(form) and not next_form(keys, name) for name, form in keys.forms.items()):
        always.add(defaults.END_OUTCOME)
    return always | {edge.outcome for edge in edges(keys) if edge.outcome}


def _closure(start: Iterable[str], ways: list[Edge]) -> set[str]:
    reached = {*start, PLAN}
    while True:
        more = {edge.target for edge in ways if edge.form in reached and edge.target} - reached
        if not more:
            return reached
        reached |= more


def _check_endless(checker: Checker, keys: PlanKeys, reached: set[str], ways: list[Edge]) -> None:
    """A form from which the plan's own course never comes to an end."""
    course = [edge for edge in ways if edge.kind in _DELIBERATE]
    ending = {edge.form for edge in course if edge.outcome}
    ending |= {name for name, form in keys.forms.items() if form.anywhere and falls_off(form)}
    ending |= called(keys)
    ending |= {str(key[1]) for key, step in all_steps(keys) if step.return_ is not None}
    if any(edge.target and edge.target not in keys.forms for edge in course):
        return  # an unknown form is reported already, and may be the way out
    while True:
        more = {edge.form for edge in course if edge.target in ending} - ending
        if not more:
            break
        ending |= more
    endless = [name for name in keys.forms if name in reached and name not in ending]
    if endless:
        names = ", ".join(f"'{name}'" for name in endless)
        come = "come" if len(endless) > 1 else "comes"
        checker.report(
            ("forms", endless[0]),
            f"loop without exit: {names} never {come} to transfer or disconnect; add one",
        )


def _check_calls(checker: Checker, keys: PlanKeys, ways: list[Edge]) -> None:
    """A form that goes through itself never ends."""
    calls = [edge for edge in ways if edge.kind == "call" and edge.target in keys.forms]
    for edge in calls:
        inside, more = {edge.target}, {edge.target}
        while more:
            more = {other.target for other in calls if other.form in more} - inside
            inside |= more
        if edge.form in inside:
            checker.report(edge.key, f"'form': '{edge.form}' goes through itself for ever")


def _check_instant_loops(checker: Checker, keys: PlanKeys) -> None:
    """Forms that hand over to each other at once, without ever waiting for the caller."""
    onward: dict[str, str] = {}
    for name, form in keys.forms.items():
        steps = form.enter if surely_leaves(form.enter) else form.filled
        if surely_leaves(form.enter) or not waits(form):
            exits = [step.goto for step in steps or () if step.when is None and step.leaves]
            if exits and exits[0] is not None:
                onward[name] = exits[0]
            elif falls_off(form) and (follower := next_form(keys, name)) is not None:
                onward[name] = follower
    for name in keys.forms:
        seen = [name]
        while seen[-1] in onward and onward[seen[-1]] not in seen:
            seen.append(onward[seen[-1]])
        if onward.get(seen[-1]) == name and name == min(seen, key=list(keys.forms).index):
            path = " -> ".join([*seen, name])
            checker.report(("forms", name), f"loop that waits for nobody: {path}")


def _check_failing_loops(checker: Checker, keys: PlanKeys) -> None:
    """A service that fails is called again at once, and again, and nobody hears anything."""
    onward: dict[str, tuple[Key, str]] = {}
    for name, form in keys.forms.items():
        at: Key = ("forms", name)
        steps = [((*at, "enter", n), step) for n, step in enumerate(form.enter or ())]
        if not waits(form):
            steps += [((*at, "filled", n), step) for n, step in enumerate(form.filled or ())]
        for key, step in steps:
            ways = [way.goto for way in step.error or () if way.when is None and way.leaves]
            if step.when is None and step.call is not None and ways and ways[0] is not None:
                onward.setdefault(name, ((*key, "error"), ways[0]))
    for name, (key, target) in onward.items():
        seen = [name]
        while target in onward and target not in seen:
            seen.append(target)
            target = onward[target][1]
        if target == name and name == min(seen, key=list(keys.forms).index):
            checker.report(
                key,
                "loop that waits for nobody while the service fails: "
                f"{' -> '.join([*seen, name])}; go to a form that asks the caller something first",
                is_warning=True,
            )


def _check_silent_loops(checker: Checker, keys: PlanKeys, ways: list[Edge]) -> None:
    """A silent caller must not be sent round for ever."""
    for kind in ("noinput", "nomatch"):
        onward = {edge.form: edge for edge in ways if edge.kind == kind and edge.target}
        for name in keys.forms:
            seen = [name]
            while (edge := onward.get(seen[-1])) is not None and edge.target not in seen:
                seen.append(edge.target)
            if edge is not None and edge.target == name and name == min(seen):
                path = " -> ".join([*seen, name])
                checker.report(
                    edge.key, f"loop without exit on {kind}: {path}; end it in transfer/disconnect"
                )
