"""A loaded dialplan: what stands in the file, with inherited values resolved.

`load_plan` reads and checks, `check` finds all problems at once, `json_schema` is what editors
complete keys with. The keys themselves are in `schema`, the checks in `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voicebot.dialogue import checks, naming, routes, schema, templates, texts
from voicebot.dialogue.expectations import expectation, places
from voicebot.dialogue.inherit import ladder
from voicebot.dialogue.schema import FormKeys, PlanKeys, PromptPart, Service
from voicebot.dialogue.source import Problem, read_source
from voicebot.errors import PlanError
from voicebot.events import Expectation

__all__ = ["Plan", "Problem", "check", "json_schema", "load_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan without mistakes. `keys` is the file, `path` where it was read.

    `translations` are the same keys with the texts of its other languages.
    """

    path: Path
    keys: PlanKeys
    translations: Mapping[str, PlanKeys] = field(default_factory=dict)

    @property
    def languages(self) -> list[str]:
        """The languages of the plan, its own first."""
        return [self.language, *self.translations]

    def in_language(self, language: str) -> PlanKeys:
        """The plan's keys with their texts in one of its languages; "" is its own."""
        return self.translations.get(language, self.keys)

    @property
    def name(self) -> str:
        """What the plan is called."""
        return self.keys.name or self.path.stem

    @property
    def language(self) -> str:
        """Language of prompts and callers, such as `en`."""
        return self.keys.language

    @property
    def start(self) -> str:
        """The form to begin with."""
        return self.keys.start or next(iter(self.keys.forms))

    @property
    def forms(self) -> Mapping[str, FormKeys]:
        """The forms by name, in the file's order."""
        return self.keys.forms

    @property
    def services(self) -> dict[str, dict[str, object]]:
        """Declared call-outs by name: `python` (module:function, the module beside the plan) or
        `webhook` (URL), and `timeout_s` where the plan says so."""
        return {name: _definition(service) for name, service in self.keys.services.items()}

    def states(self) -> list[str]:
        """Names of all places where the plan waits for the caller, as in Expectation.state."""
        return [place.state for place in places(self.keys)]

    def expectation(self, state: str | None = None) -> Expectation:
        """What is waited for in a state (default: where a call first listens); PlanError."""
        known = {place.state: place for place in places(self.keys)}
        if state is None:
            first = [name for name in known if name.split("/")[0] == self.start]
            state = (first or list(known))[0]
        if state not in known:
            raise PlanError(
                f"{self.path}:1: no state {state!r}{checks.did_you_mean(state, list(known))}; "
                f"states are {', '.join(known)}"
            )
        return expectation(self.keys, known[state])

    def outcomes(self) -> set[str]:
        """Every outcome that a call can end with."""
        return routes.outcomes(self.keys)

    def static_prompts(self, language: str = "") -> list[tuple[str, ...]]:
        """Prompts in a language (default: the plan's own) that hold no value, as parts, without
        repetition: they can be rendered ahead."""
        found: dict[tuple[str, ...], None] = {}
        for part in all_prompt_parts(self.in_language(language)):
            template = templates.parse(part.say)
            if not template.values:
                texts = tuple(str(text) for text in template.render(lambda value: None))
                found.setdefault(texts)
        return list(found)


def _definition(service: Service) -> dict[str, object]:
    definition: dict[str, object] = {}
    if service.python is not None:
        definition["python"] = service.python
    if service.webhook is not None:
        definition["webhook"] = service.webhook
    if service.headers is not None:
        definition["headers"] = dict(service.headers)
    if service.timeout is not None:
        definition["timeout_s"] = service.timeout / 1000
    if service.retries is not None:
        definition["retries"] = service.retries
    if service.backoff is not None:
        definition["backoff_s"] = service.backoff / 1000
    return definition


def all_prompt_parts(keys: PlanKeys) -> Iterator[PromptPart]:
    """Every prompt part that a call may hear, the defaults in force included."""
    yield from _parts_in(keys)
    yield from _default_parts(keys)


def _parts_in(value: object) -> Iterator[PromptPart]:
    if isinstance(value, PromptPart):
        yield value
    elif isinstance(value, schema.Keys):
        for name in type(value).model_fields:
            yield from _parts_in(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from _parts_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _parts_in(item)


def _default_parts(keys: PlanKeys) -> Iterator[PromptPart]:
    kinds: tuple[Literal["noinput", "nomatch"], ...] = ("noinput", "nomatch")
    for place in places(keys):
        if place.kind == "field":
            field = keys.forms[place.form].fields[place.field]
            yield from naming.question(keys, place.field, field)
        for kind in kinds:
            yield from _parts_in(ladder(keys, place, kind))
    spoken = texts.of(keys.language)
    for words in spoken.last_words.values():
        yield from words
    yield from [*spoken.change, *spoken.help, *spoken.nothing_before, *spoken.also, *spoken.then]
    yield from spoken.no_more
    yield from spoken.keys_only
    yield from spoken.universals["goodbye"].prompt or []


def load_plan(path: Path | str) -> Plan:
    """Read and check a plan; PlanError names the first mistake in one line."""
    source = read_source(path)
    keys = checks.check_source(source)
    others = {
        language: checks.check_source(source, language=language)
        for language in (keys.languages if keys is not None else {})
        if keys is not None and language != keys.language
    }
    errors = [problem for problem in source.problems if not problem.is_warning]
    if errors or keys is None:
        more = f" (and {len(errors) - 1} more: voicebot check {path})" if len(errors) > 1 else ""
        raise PlanError(f"{errors[0]}{more}")
    return Plan(Path(path), keys, {name: other for name, other in others.items() if other})


def check(
    path: Path | str, *, pattern_problem: Callable[[str], str | None] | None = None
) -> list[Problem]:
    """All problems of a plan file, in the order of its lines; warnings are marked.

    `pattern_problem` says what is wrong with a phrase, or None; phrases are another room's
    affair, so it is handed in (nlu.grammar.problem).
    """
    source = read_source(path)
    keys = checks.check_source(source, pattern_problem)
    for language in keys.languages if keys is not None else ():
        if keys is not None and language != keys.language:
            checks.check_source(source, pattern_problem, language=language)
    return sorted(set(source.problems), key=lambda problem: (problem.line, problem.message))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of plan files."""
    document = PlanKeys.model_json_schema(by_alias=True)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "voicebot dialplan"
    _close(document)
    return document


def _close(value: Any) -> None:
    """Names that fit no pattern are mistakes to editors, too."""
    if isinstance(value, dict):
        if "patternProperties" in value:
            value.setdefault("additionalProperties", False)
        for item in value.values():
            _close(item)
    elif isinstance(value, list):
        for item in value:
            _close(item)
