"""Reads `PLAN.test.yaml` (see scenarios).

Every mistake is found at once, with its line; states, slots and outcomes must be the plan's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from voicebot.dialogue import short_forms
from voicebot.dialogue.checks import did_you_mean
from voicebot.dialogue.plan import Plan, Problem, load_plan
from voicebot.dialogue.source import Key, Source, read_source
from voicebot.errors import PlanError, VoicebotError
from voicebot.server.scenario_expected import Expected, no_boolean
from voicebot.server.scenarios import (
    INPUTS,
    NOW,
    SCENARIO_KEYS,
    SUFFIX,
    SUITE_KEYS,
    TURN_KEYS,
    Scenario,
    Suite,
    Turn,
)


def load_suite(path: Path, plan: Path | None = None) -> Suite:
    """Read a file of scenarios; PlanError names the first mistake."""
    suite, problems = read_suite(path, plan)
    if suite is None:
        problems = [problem for problem in problems if not problem.is_warning]
        more = f" (and {len(problems) - 1} more: voicebot check {path})" if problems[1:] else ""
        raise PlanError(f"{problems[0]}{more}")
    return suite


def read_suite(path: Path, plan: Path | None = None) -> tuple[Suite | None, list[Problem]]:
    """The scenarios, or else all problems in the order of lines. PlanError: the plan has some."""
    source = read_source(path)
    reader = _Reader(source, path)
    suite = reader.suite(plan) if isinstance(source.data, dict) and not source.problems else None
    problems = sorted(set(source.problems), key=lambda problem: (problem.line, problem.message))
    has_errors = any(not problem.is_warning for problem in problems)
    return (None if has_errors else suite), problems


class _Reader:
    """Checks values while it reads; problems go to the source."""

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._path = path
        self._plan: Plan | None = None
        self._expected: Expected | None = None

    def suite(self, plan: Path | None) -> Suite | None:
        data = self._source.data
        assert isinstance(data, dict)
        self._known((), data, SUITE_KEYS)
        name = self._text((), data, "plan")
        own = self._path.name.removesuffix(SUFFIX) + ".yaml"
        path = plan or self._path.parent / (name or own)
        if not path.is_file():
            hint = "; name it with 'plan:'" if not name else ""
            self._source.report(("plan",), f"plan {str(path)!r} does not exist{hint}")
            return None
        self._plan = load_plan(path)
        self._expected = Expected(self._plan, self._report)
        found = data.get("scenarios")
        if not isinstance(found, dict) or not found:
            self._source.report(
                ("scenarios",), "'scenarios' holds scenarios by name, each a list of turns"
            )
            return None
        common = {name: data[name] for name in SUITE_KEYS if name in data and name != "scenarios"}
        scenarios = tuple(self._scenario(str(name), one, common) for name, one in found.items())
        return Suite(self._path, self._plan, scenarios)

    # ------------------------------------------------------------ scenarios

    def _scenario(self, name: str, value: object, common: Mapping[str, Any]) -> Scenario:
        key: Key = ("scenarios", name)
        if isinstance(value, list):
            value = {"turns": value}
        if not isinstance(value, dict):
            self._report(key, "is a list of turns")
            value = {"turns": []}
        self._known(key, value, SCENARIO_KEYS)
        turns: Any = value.get("turns")
        at: Key = (*key, "turns") if (*key, "turns") in self._source.lines else key
        if not isinstance(turns, list) or not turns:
            self._report(key, "has no turns")
            turns = []
        read = tuple(self._turn((*at, index), turn) for index, turn in enumerate(turns))
        self._check_course(at, read)
        services = {**self._replies((), common), **self._replies(key, value)}
        is_spoken = value.get("spoken") is True or any(turn.kind == "audio" for turn in read)
        self._check_measured(at, read, is_spoken=is_spoken)
        return Scenario(
            name=name,
            path=self._path,
            line=self._source.line(key),
            turns=read,
            now=self._now(key, value) or self._now((), common) or NOW,
            parameters={**self._texts((), common), **self._texts(key, value)},
            services=services,
            model=self._model(key, value),
            voice=self._text(key, value, "voice") or self._text((), common, "voice"),
            is_spoken=is_spoken,
        )

    def _check_course(self, key: Key, turns: tuple[Turn, ...]) -> None:
        for index, turn in enumerate(turns[:-1]):
            if turn.kind == "hangup" or "outcome" in turn.expected:
                what = "the caller hung up" if turn.kind == "hangup" else "the call has ended"
                self._report((*key, index + 1), f"a turn after {what}; remove one of them")
                return

    def _check_measured(self, key: Key, turns: tuple[Turn, ...], *, is_spoken: bool) -> None:
        """A typed call takes no time that a caller would notice."""
        for index, turn in enumerate(turns if not is_spoken else ()):
            if turn.expected.get("within_ms"):
                self._source.report(
                    (*key, index, "within_ms"),
                    f"scenario '{key[1]}': 'within_ms' is not measured in typed runs; add "
                    "'spoken: true'",
                    is_warning=True,
                )

    def _turn(self, key: Key, value: object) -> Turn:
        line = self._source.line(key)
        if isinstance(value, str):
            value = {"caller": value}
        if not isinstance(value, dict) or not value:
            self._report(key, "a turn is a mapping, such as {caller: yes, said: Thank you}")
            return Turn(line)
        self._known(key, value, tuple(TURN_KEYS))
        given = [name for name in INPUTS if name in value]
        if len(given) > 1:
            self._report(key, f"a turn has one of {', '.join(given)}; make it several turns")
        kind = given[0] if given else ""
        return Turn(
            line,
            kind,
            self._input(key, kind, value.get(kind)) if kind else "",
            self._over(key, value),
            self._sure(key, value),
            self._expected.read(key, value) if self._expected is not None else {},
        )

    def _input(self, key: Key, kind: str, value: object) -> str:
        text = str(short_forms.number_text(value)) if not isinstance(value, bool) else ""
        if kind in {"silence", "hangup"}:
            if value is not True:
                self._report((*key, kind), f"'{kind}' is written '{kind}: true'")
            return ""
        if not isinstance(value, str | int) or isinstance(value, bool) or not text.strip():
            self._report((*key, kind), f"'{kind}' must be text{no_boolean(value)}")
        elif kind == "keys" and (wrong := sorted(set(text.upper()) - set("0123456789*#ABCD"))):
            self._report((*key, kind), f"'{''.join(wrong)}' in 'keys': keys are 0-9, *, # and A-D")
        elif kind == "audio" and not (self._path.parent / text).is_file():
            self._report((*key, kind), f"'audio': {self._path.parent / text} does not exist")
        elif kind == "audio":
            self._check_audio((*key, kind), self._path.parent / text)
        return text.upper() if kind == "keys" else text

    def _check_audio(self, key: Key, path: Path) -> None:
        from voicebot.audio.files import read_mulaw  # numpy and more, which few scenarios need

        try:
            has_sound = bool(read_mulaw(path))
        except VoicebotError as error:
            self._report(key, f"'audio': {' '.join(str(error).split())}")
        else:
            if not has_sound:
                self._report(key, f"'audio': {path} holds no sound")

    def _over(self, key: Key, value: Mapping[str, Any]) -> int | None:
        if "over" not in value:
            return None
        try:
            return int(str(short_forms.silence(value["over"])))
        except ValueError as error:
            self._report((*key, "over"), f"'over': {error}, not {value['over']!r}")
            return None

    def _sure(self, key: Key, value: Mapping[str, Any]) -> float:
        sure = value.get("sure", 0.95)
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1:
            self._report((*key, "sure"), f"'sure' is between 0 and 1, not {sure!r}")
            return 0.95
        return float(sure)

    # ------------------------------------------------------------ around the turns

    def _replies(
        self, key: Key, value: Mapping[str, Any]
    ) -> dict[str, tuple[Mapping[str, object], ...]]:
        assert self._plan is not None
        found: dict[str, tuple[Mapping[str, object], ...]] = {}
        given = value.get("services", {})
        if not isinstance(given, dict):
            self._report((*key, "services"), "'services' is a mapping of services and replies")
            return found
        for name, reply in given.items():
            here: Key = (*key, "services", name)
            if name not in self._plan.services:
                hint = did_you_mean(name, self._plan.services)
                self._report(here, f"unknown service '{name}'{hint}")
            replies = reply if isinstance(reply, list) else [reply]
            if not replies or not all(isinstance(one, dict) for one in replies):
                self._report(here, "a reply is a mapping, or {error: what went wrong}")
                continue
            found[name] = tuple(replies)
        return found

    def _model(self, key: Key, value: Mapping[str, Any]) -> tuple[str, ...]:
        given = value.get("model", [])
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            self._report((*key, "model"), "'model' is a list of the model's replies, as JSON text")
            return ()
        return tuple(given)

    def _now(self, key: Key, value: Mapping[str, Any]) -> datetime | None:
        if "now" not in value:
            return None
        try:
            return datetime.fromisoformat(str(value["now"])).replace(tzinfo=None)
        except ValueError:
            self._report(
                (*key, "now"), f"'now' is written \"2026-11-20 10:30\", not {value['now']!r}"
            )
            return None

    def _texts(self, key: Key, value: Mapping[str, Any]) -> dict[str, str]:
        given = value.get("parameters", {})
        if not isinstance(given, dict):
            self._report((*key, "parameters"), "'parameters' is a mapping of names and texts")
            return {}
        return {str(name): str(text) for name, text in given.items()}

    def _text(self, key: Key, value: Mapping[str, Any], name: str) -> str:
        text = value.get(name, "")
        if not isinstance(text, str):
            self._report((*key, name), f"'{name}' must be text")
            return ""
        return text

    def _known(self, key: Key, value: Mapping[str, Any], names: tuple[str, ...]) -> None:
        for name in value:
            if name not in names:
                hint = did_you_mean(name, names) or f"; keys here are {', '.join(names)}"
                self._report((*key, name), f"unknown key '{name}'{hint}")

    def _report(self, key: Key, message: str) -> None:
        subject = f"scenario '{key[1]}': " if len(key) > 1 and key[0] == "scenarios" else ""
        self._source.report(key, f"{subject}{message}")
