"""What a scenario's turn expects, read and checked against the plan (see scenario_reader)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from voicebot.dialogue import phrasing
from voicebot.dialogue.checks import did_you_mean
from voicebot.dialogue.plan import Plan
from voicebot.dialogue.source import Key
from voicebot.server.scenarios import EXPECTED

Report = Callable[[Key, str], None]


class Expected:
    """Reads what the turns of scenarios expect of `plan`; mistakes go to `report`."""

    def __init__(self, plan: Plan, report: Report) -> None:
        self._plan = plan
        self._report = report

    @cached_property
    def _intents(self) -> set[str]:
        """What callers may want: forms, universals, languages, fields to change."""
        waits = [self._plan.expectation(state) for state in self._plan.states()]
        return {one.name for wait in waits for one in (*wait.intents, *wait.universals)}

    def read(self, key: Key, value: Mapping[str, Any]) -> dict[str, Any]:
        """The expectations of the turn at `key`, by name."""
        found: dict[str, Any] = {}
        for name in EXPECTED:
            if name in value:
                check: Callable[[Key, str, Any], Any] = getattr(self, f"_{_HOW_READ[name]}")
                found[name] = check((*key, name), name, value[name])
        return found

    def _texts(self, key: Key, name: str, value: Any) -> list[str]:
        texts = [str(text) for text in (value if isinstance(value, list) else [value])]
        if value is None or isinstance(value, dict | bool) or not all(map(str.strip, texts)):
            self._report(key, f"'{name}' must be a text or a list of texts{no_boolean(value)}")
        if name == "matches":
            for text in texts:
                try:
                    re.compile(text)
                except (re.error, OverflowError, RecursionError) as error:
                    self._report(key, f"'matches': {text!r} is no regular expression: {error}")
                    return []
        return texts

    def _name(self, key: Key, name: str, value: Any) -> str:
        known: dict[str, Collection[str]] = {
            "state": {*self._plan.states(), *self._plan.forms},
            "outcome": self._plan.outcomes(),
            "intent": self._intents,
        }
        text = str(value)
        if name in known and text not in known[name]:
            options = sorted(known[name])
            hint = did_you_mean(text, options) or f"; there are {', '.join(options)}"
            self._report(key, f"unknown {name} '{text}'{hint}")
        return text

    def _slots(self, key: Key, _: str, value: Any) -> dict[str, str | None]:
        if not isinstance(value, dict):
            self._report(key, "'slots' is a mapping of slots and their values")
            return {}
        known = phrasing.variables(self._plan.keys)
        found: dict[str, str | None] = {}
        for slot, wanted in value.items():
            if slot not in known:
                self._report((*key, slot), f"unknown slot '{slot}'{did_you_mean(slot, known)}")
            if isinstance(wanted, bool):
                self._report((*key, slot), f"'{slot}': a slot holds text{no_boolean(wanted)}")
            found[slot] = None if wanted is None else str(wanted)
        return found

    def _flag(self, key: Key, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self._report(key, f"'{name}' must be true or false, not {value!r}")
        return value is True

    def _ms(self, key: Key, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            self._report(key, f"'{name}' is a number of milliseconds, such as 1500, not {value!r}")
            return 0
        return value


_HOW_READ = {
    "said": "texts",
    "matches": "texts",
    "not_said": "texts",
    "state": "name",
    "slots": "slots",
    "intent": "name",
    "transfer": "name",
    "outcome": "name",
    "goal": "flag",
    "within_ms": "ms",
}


def no_boolean(value: object) -> str:
    """How to mend a boolean that stands where text belongs."""
    return f", not {str(value).lower()}; put it in quotes" if isinstance(value, bool) else ""
