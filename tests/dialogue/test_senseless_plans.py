"""Plans that are written well and cannot mean what their authors want."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.dialogue.plan import check, load_plan
from voicebot.errors import PlanError
from voicebot.nlu.grammar import problem

pytestmark = pytest.mark.unit

GOOD = """\
welcome: Hi.
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
services: {look: {python: "shop:look"}, find: {python: "shop:find", arguments: {kind: text}}}
forms:
  main:
    prompt: "Order, or hours, or ask?"
    menu: [{goto: order, dtmf: "1"}, {goto: hours, dtmf: "2"}, {goto: ask, dtmf: "3"}]
  order:
    phrases: ["order [{kind}]"]
    fields:
      kind: {choices: [apple, banana], prompt: "Which kind?"}
      qty: {type: number, prompt: "How many?"}
    filled:
      - {call: look, with: [kind, qty], assign: x}
      - {say: "It is {{ x | money }}.", disconnect: {outcome: done, goal: true}}
  hours: {phrases: ["hours"], enter: "Nine to five.", next: main}
  ask:
    phrases: ["I have a question"]
    prompt: "What would you like to know?"
    llm: {instructions: "Be brief.", tools: [find]}
    next: main
"""
SHOP = """
import functools
def look(kind, qty, discount="0", call_sid=""): return {"x": 1}
async def find(kind, *, sort="name"): return {}
def anything(**values): return {}
@functools.cache
def wrapped(one): return {}
"""


def problems(folder: Path, was: str = "", now: str = "") -> list[str]:
    (folder / "shop.py").write_text(SHOP)
    plan = folder / "p.yaml"
    assert was in GOOD
    plan.write_text(GOOD.replace(was, now) if was else GOOD)
    found = check(plan, pattern_problem=problem)
    return [str(one).removeprefix(f"{folder}/") for one in found]


def test_the_plan_that_the_others_are_made_of_is_good(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (
            "with: [kind, qty]",
            "with: [kind]",
            "p.yaml:14: form 'order': service 'look': look(kind, qty, discount) in shop.py needs "
            "'qty'; add it to 'with'",
        ),
        (
            "with: [kind, qty]",
            "with: {kind: kind, quty: qty}",
            "p.yaml:14: form 'order': service 'look': look(kind, qty, discount) in shop.py needs "
            "'qty'; add it to 'with'; it is given 'quty'",
        ),
        (
            "arguments: {kind: text}",
            "arguments: {kind: text, colour: text}",
            "p.yaml:20: form 'ask': service 'find': find(kind, sort) in shop.py takes no 'colour'; "
            "it may take sort",
        ),
        (
            'qty: {type: number, prompt: "How',
            "qty: {type: number, when: kind == 'appel', prompt: \"How",
            "p.yaml:12: field 'qty': in \"kind == 'appel'\": 'kind' is never 'appel'; did you mean "
            "'apple'?",
        ),
        (
            "{call: look, with: [kind, qty], assign: x}",
            "{when: \"kind in ('apple', 'pear')\", say: Hm.}\n"
            "      - {call: look, with: [kind, qty], assign: x}",
            "p.yaml:14: form 'order': in \"kind in ('apple', 'pear')\": 'kind' is never 'pear'; it "
            "holds apple, banana, or none",
        ),
        (
            "choices: [apple, banana]",
            'choices: {apple: {dtmf: "1"}, banana: {dtmf: "0"}}',
            "p.yaml:11: warning: field 'kind': key 0 stands for the universal 'operator' already; "
            "it cannot be keyed at 'order/kind'; take another one",
        ),
        (
            '"shop:look"',
            '"shop:look", timeout: 0s',
            "p.yaml:3: service 'look': 'timeout': between 100ms and 10 minutes, not '0s'",
        ),
        (
            '"shop:look"',
            '"shop:look", headers: {X-Line: bank}',
            "p.yaml:3: service 'look': 'headers' go with 'webhook'; a function gets none",
        ),
        (
            'python: "shop:look"',
            'webhook: "https://shop.example", headers: {Authorization: Bearer 123}',
            "p.yaml:3: warning: service 'look': header 'Authorization' holds a secret that whoever "
            "reads the plan sees; write env:NAME for a variable of the server's environment",
        ),
        (
            'python: "shop:look"',
            'webhook: "https://shop.example", headers: {Idempotency-Key: "1"}',
            "p.yaml:3: service 'look': header 'Idempotency-Key' is voicebot's own; take another "
            "one",
        ),
        (
            '"Be brief."',
            '"You talk to {{ customer }}."',
            "p.yaml:20: warning: form 'ask': '{{ customer }}' is sent to the model as it stands; "
            "instructions hold no values, a model gets them from 'tools'",
        ),
        (
            '"How many?"',
            '"So {{ qty }} pieces?"',
            "p.yaml:12: warning: field 'qty': 'qty' is empty when it is asked for; put the part "
            "that speaks it in [...], or ask for it in the form's 'review'",
        ),
        (
            '["hours"]',
            '["hours.*"]',
            "p.yaml:16: warning: form 'hours': 'hours.*': a phrase is no regular expression, '*' "
            "means nothing in it; words around a phrase do not matter, [...] may be left out, "
            "(a|b) is one of several",
        ),
        (
            '["hours"]',
            '["[opening] [hours]"]',
            "p.yaml:16: warning: form 'hours': '[opening] [hours]': all of it may be left out; "
            "write what callers must say without [...]",
        ),
        (
            'dtmf: "0"}}',
            'dtmf: "0"}, help: "Say it."}',
            "p.yaml:2: 'help' takes keys here, such as {prompt: ...}; the answer itself is "
            "'help: Say it.'",
        ),
        (
            "welcome: Hi.",
            "welcome: {en: Hi., es: Hola.}",
            "p.yaml:1: a text for each language; declare them in the plan, "
            "languages: {en: {}, es: {}}",
        ),
        (
            "welcome: Hi.",
            'timezone: UTC\nhours: {weekly: {monday: "22:00-06:00"}}',
            "p.yaml:2: 'weekly': '22:00-06:00' goes past midnight; write 22:00-24:00 for the one "
            "day and 0:00-06:00 for the next",
        ),
    ],
)
def test_what_authors_are_told(was: str, now: str, told: str, tmp_path: Path) -> None:
    assert problems(tmp_path, was, now) == [told]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("with: [kind, qty]", "with: {kind: kind, qty: qty, discount: 5}"),
        ("shop:look", "shop:anything"),
        (
            'python: "shop:look"',
            'webhook: "https://shop.example", headers: {Authorization: "Bearer env:CRM_TOKEN"}',
        ),
        ("shop:look", "shop:wrapped"),  # what the decorator makes of it is not known
        (
            'qty: {type: number, prompt: "How',
            "qty: {type: number, when: kind != 'apple' and qty != '7', prompt: \"How",
        ),
        ('"How many?"', '"[So {{ qty }} pieces?] How many?"'),
    ],
)
def test_what_is_right(was: str, now: str, tmp_path: Path) -> None:
    assert problems(tmp_path, was, now) == []


def test_a_plan_whose_call_never_succeeds_is_not_served(tmp_path: Path) -> None:
    problems(tmp_path, "with: [kind, qty]", "with: [kind]")
    with pytest.raises(PlanError, match=r"p\.yaml:14: .* needs 'qty'"):
        load_plan(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "s.test.yaml:1: the file is empty; a file of scenarios begins with 'scenarios:'"),
        (
            "- a\n",
            "s.test.yaml:1: a file of scenarios is a mapping of keys; it begins with 'scenarios:'",
        ),
    ],
)
def test_files_of_scenarios_are_no_plans(text: str, told: str, tmp_path: Path) -> None:
    from voicebot.dialogue.source import read_source

    (tmp_path / "s.test.yaml").write_text(text)
    (found,) = read_source(tmp_path / "s.test.yaml").problems
    assert str(found) == f"{tmp_path}/{told}"
