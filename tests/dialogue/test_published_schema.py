"""The published JSON Schema calls good what `check` calls good: editors underline nothing else."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from voicebot.dialogue.checks import check_source
from voicebot.dialogue.plan import check, json_schema
from voicebot.dialogue.source import Source, parse_source, read_source
from voicebot.nlu.grammar import problem
from voicebot.server import scenario_schema

pytestmark = pytest.mark.unit

SCHEMA = json_schema()
DIALPLANS = Path(__file__).parents[2] / "dialplans"
TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
    "boolean": bool, "null": type(None),
}  # fmt: skip
PLAN = """\
welcome: {en: Hi., es: Hola.}
languages: {en: {phrases: English}, es: {phrases: español}}
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  main:
    prompt: {en: "Order?", es: "¿Pedir?"}
    menu: [{goto: order, dtmf: "1"}]
  order:
    phrases: {en: order, es: pedir}
    fields:
      kind:
        choices: {a: {phrases: {en: apple, es: manzana}}, b: {phrases: plum}}
        prompt: {en: "Which kind?", es: "¿Cuál?"}
    filled:
      - {say: {en: Done., es: Hecho.}, disconnect: {outcome: done, goal: true}}
"""
BOTH = '{en: "One", es: "Uno"}'


def fits(value: Any, schema: Any, root: Any = SCHEMA) -> bool:
    """Whether a value fits a schema: the words of JSON Schema that ours are made of."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema and not any(fits(value, one, root) for one in schema["anyOf"]):
        return False
    if isinstance(schema.get("type"), list):
        return any(fits(value, {**schema, "type": kind}, root) for kind in schema["type"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kind = schema.get("type")
    if kind is not None and not isinstance(value, TYPES[kind]):
        return False
    if kind in {"integer", "number"} and isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None and (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        )
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            fits(one, schema.get("items", {}), root) for one in value
        )
    if isinstance(value, dict):
        return len(value) >= schema.get("minProperties", 0) and all(
            fits(item, _of(str(name), schema), root) for name, item in value.items()
        ) and set(schema.get("required", ())) <= set(value)  # fmt: skip
    return True


def _of(name: str, schema: Any) -> Any:
    if name in schema.get("properties", {}):
        return schema["properties"][name]
    for pattern, found in schema.get("patternProperties", {}).items():
        if re.search(pattern, name):
            return found
    more = schema.get("additionalProperties", True)
    return {} if more is True else {"enum": []} if more is False else more


@pytest.mark.parametrize("plan", sorted(DIALPLANS.glob("*[!t].yaml")), ids=lambda path: path.stem)
def test_shipped_plans_fit(plan: Path) -> None:
    assert fits(read_source(plan).data, SCHEMA)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("    filled:\n", f"    review: {BOTH}\n    filled:\n"),
        ("universals:", f"noinput: {BOTH}\nuniversals:"),
        ("universals:", f"noinput: [{BOTH}, {{prompt: {BOTH}}}]\nuniversals:"),
        ("universals:", f"help: {BOTH}\nuniversals:"),
        ("universals:", f"hints: {BOTH}\nuniversals:"),
        ("universals:", "hints: {en: [Ann, Bo], es: [Ana]}\nuniversals:"),
        ("universals:", "hints: Ann\nuniversals:"),
        ("    phrases: {en: order", f"    enter: {BOTH}\n    phrases: {{en: order"),
        ('        prompt: {en: "Which', f'        filled: {BOTH}\n        prompt: {{en: "Which'),
        ("    filled:\n", f"    filled:\n      - {BOTH}\n"),
        ("{phrases: {en: apple, es: manzana}}", "{en: apple, es: manzana}"),
        ("{phrases: {en: apple, es: manzana}}", f"{{say: {BOTH}}}"),
        ('prompt: {en: "Which kind?", es: "¿Cuál?"}', f"prompt: [{BOTH}, {BOTH}]"),
        ('prompt: {en: "Which kind?", es: "¿Cuál?"}', f"prompt: [{{say: {BOTH}}}, Hm.]"),
        ('transfer: "+15550100"', f'transfer: {{to: "+15550100", summary: {BOTH}}}'),
        ("    phrases: {en", "    examples: {en: [I want it], es: [lo quiero]}\n    phrases: {en"),
    ],
)
def test_texts_of_several_languages_fit(was: str, now: str, tmp_path: Path) -> None:
    assert PLAN.count(was) == 1
    plan = tmp_path / "p.yaml"
    plan.write_text(PLAN.replace(was, now))
    assert [str(one) for one in check(plan, pattern_problem=problem)] == []
    assert fits(read_source(plan).data, SCHEMA)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("welcome: {en: Hi., es: Hola.}", "welcome: {sai: {a: b}}"),
        ("welcome: {en: Hi., es: Hola.}", "welcome: {English: Hi.}"),
        ("welcome: {en: Hi., es: Hola.}", "welcome: [1]"),
        ('dtmf: "1"', 'dtfm: "1"'),
        ("goal: true", "goal: 7"),
    ],
)
def test_mistakes_do_not_fit(was: str, now: str) -> None:
    data = parse_source(PLAN.replace(was, now), Source("p.yaml")).data
    assert not fits(data, SCHEMA)


@pytest.mark.parametrize(
    "added",
    [
        'hours: {weekly: {mon-fri: "9:00-17:00"}}',
        'hours: {weekly: {monday: "9-17"}}',
        "hours: {weekly: {}, holidays: [20261225]}",
        "hours: {weekly: {}, holidays: {12/25: closed}}",
        "confirm: {implicit_below: '0.5'}",
        "dtmf: {terminator: star}",
        "dtmf: {max: 3, type_ahead: yes}",
        "services: {a service: {webhook: 'https://a.example/b'}}",
        "lists: {one: [[]]}",
        "lists: {one: [true]}",
        "hints: {English: [Ann]}",
        "weights: {plum: true}",
        "currency: euro",
        "next: main menu",
    ],
)
def test_editors_and_check_refuse_the_same(added: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(f"{added}\n{PLAN}")
    told = [str(one) for one in check(tmp_path / "p.yaml") if not one.is_warning]
    assert any("p.yaml:1: " in one for one in told), told
    assert not fits(read_source(tmp_path / "p.yaml").data, SCHEMA)


VALUES: list[Any] = [
    None, True, False, 0, 1, 7, -1, 2.5, "", "x", "yes", "1", "2s", "#", "main", "{{ kind }}",
    "9:00-17:00", "en", "kind == 'a'", [], {}, ["a", "b"], [1, 2], [None], {"en": "A", "es": "B"},
    {"say": "x"}, {"prompt": "x"}, [{"say": "a"}], {"goto": "main"}, {"min": 1, "max": 2},
]  # fmt: skip


def places_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((*at, key))
        if isinstance(item, dict | list):
            found += places_in(item, (*at, key))
    return found


def test_editors_underline_nothing_that_check_calls_good() -> None:
    """Values of a plan are replaced by others, one at a time."""
    source = read_source(DIALPLANS / "voicemail.yaml")
    dice, good = random.Random(8), 0
    for _ in range(150):
        changed = copy.deepcopy(source.data)
        *way, last = dice.choice(places_in(changed))
        holder: Any = changed
        for part in way:
            holder = holder[part]
        holder[last] = copy.deepcopy(dice.choice(VALUES))
        one = Source(source.path, changed)
        check_source(one)
        if all(problem.is_warning for problem in one.problems):
            good += 1
            assert fits(changed, SCHEMA), (way, last, holder[last])
    assert good > 10


# ---------------------------------------------------------------- files of scenarios

SCENARIOS = scenario_schema.json_schema()


def test_published_schema_of_scenarios_is_current() -> None:
    published = json.loads((DIALPLANS / "scenarios.schema.json").read_text())
    assert published == SCENARIOS


@pytest.mark.parametrize("file", sorted(DIALPLANS.glob("*.test.yaml")), ids=lambda path: path.name)
def test_shipped_scenarios_fit(file: Path) -> None:
    assert fits(read_source(file).data, SCENARIOS, SCENARIOS)


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("scenarios: {one: [{caller: x, said: [a, b], slots: {n: 4, m: null}}]}", True),
        ("scenarios: {one: [hello, {keys: 12}, {silence: true}, {over: 2s, caller: x}]}", True),
        ("scenarios: {one: {spoken: true, turns: [{hangup: true}]}}", True),
        ("services: {s: [{a: 1}, {error: x}]}\nscenarios: {one: [x]}", True),
        ("scenarios: {}", False),
        ("scenarios: {one: []}", False),
        ("scenarios: {one: [{calller: x}]}", False),
        ("scenarios: {one: [{caller: x, goal: maybe}]}", False),
        ("scenarios: {one: [{caller: x, over: 2}]}", False),
        ("scenarios: {one: [{silence: false}]}", False),
        ("- a", False),
    ],
)
def test_scenarios_fit_where_they_are_good(text: str, is_good: bool) -> None:
    data = parse_source(text, Source("s.test.yaml")).data
    assert fits(data, SCENARIOS, SCENARIOS) is is_good
