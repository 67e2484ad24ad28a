"""All mistakes of a plan at once, each with its line and how to mend it.

First the keys and types (`checks_keys`); what is wrong is then left out, so that the checks of
meaning (`meaning`, `phrasing`, `routes`) can go on with the rest.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Collection, Iterable

from voicebot.dialogue.schema import PlanKeys
from voicebot.dialogue.source import SCENARIOS, Key, Source
from voicebot.dialogue.translating import localised


def did_you_mean(word: str, options: Collection[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no option is near."""
    near = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


class Checker:
    """Reports problems at places of the file; knows what was already reported there."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.data = source.data
        self.broken: set[Key] = set()
        """Places where something is reported that then was left out."""

    def report(self, key: Iterable[str | int], message: str, *, is_warning: bool = False) -> None:
        """Add a problem, named after the form, field, ... it stands in."""
        loc = tuple(key)
        subject = _subject(loc)
        at = locate(self.data, loc)
        self.source.report(at, f"{subject}{message}", is_warning=is_warning)

    def is_broken(self, names: Collection[str]) -> bool:
        """Whether something by one of these names is left out: what that entails is no news."""
        return any(str(key[-1]) in names for key in self.broken if key)

    def report_missing(self, key: Key, name: str, message: str) -> None:
        """Report that `name` is missing at `key`, unless what stands there is reported already."""
        if (*locate(self.data, key), name) not in self.broken:
            self.report(key, message)


def check_source(
    source: Source,
    pattern_problem: Callable[[str], str | None] | None = None,
    *,
    language: str | None = None,
) -> PlanKeys | None:
    """Check a source; its `problems` get what is found. None when nothing could be made of it.

    `language`: with the texts of this one of its languages; default: its own.
    """
    from voicebot.dialogue import (
        checks_calls,
        checks_idle,
        checks_keys,
        checks_sense,
        checks_words,
        meaning,
        phrasing,
        routes,
        waiting,
    )

    if not isinstance(source.data, dict):
        return None
    if source.path.endswith(SCENARIOS) and "scenarios" in source.data:
        source.report(("scenarios",), "holds scenarios; name the plan that they belong to")
        return None
    checker = Checker(source)
    checker.data = localised(source, language)
    keys = checks_keys.validate(checker)
    if keys is None:
        return None
    meaning.check(checker, keys)
    phrasing.check(checker, keys)
    checks_calls.check(checker, keys)
    checks_sense.check_conditions(checker, keys)
    if pattern_problem is not None:
        phrasing.check_patterns(checker, keys, pattern_problem)
        checks_words.check(checker, keys)
        checks_sense.check(checker, keys)
    checks_idle.check(checker, keys)
    routes.check(checker, keys)
    waiting.check(checker, keys)
    return keys


def locate(data: object, loc: Key) -> Key:
    """Where a model's place stands in the file, where short forms have fewer levels."""
    found: list[str | int] = []
    for part in loc:
        if isinstance(data, dict):
            if part in data:
                data = data[part]
                found.append(part)
            elif part != 0:
                break
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
            found.append(part)
        else:
            break
    return tuple(found)


_SUBJECTS = {
    "forms": "form",
    "fields": "field",
    "services": "service",
    "lists": "list",
    "variables": "variable",
}


def _subject(loc: Key) -> str:
    subject = ""
    for group, name in itertools.pairwise(loc):
        if group in _SUBJECTS:
            subject = f"{_SUBJECTS[str(group)]} {str(name)!r}: "
    return subject
