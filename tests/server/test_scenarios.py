"""Scenarios beside plans: the shipped ones hold, mistakes in them are found, failures shown."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from voicebot import cli
from voicebot.dialogue.plan import check
from voicebot.nlu.grammar import problem
from voicebot.server import scenario_spoken
from voicebot.server.scenario_reader import load_suite, read_suite
from voicebot.server.scenario_report import lines
from voicebot.server.scenario_runs import Mismatch, Run, run_text
from voicebot.server.scenarios import TURN_KEYS, Suite

pytestmark = pytest.mark.unit

DIALPLANS = Path(__file__).parents[2] / "dialplans"
FILES = sorted(DIALPLANS.glob("*.test.yaml"))
SHIPPED = {file.name: load_suite(file) for file in FILES}

PLAN = """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
services: {price: {webhook: "https://shop.example/price"}}
forms:
  order:
    phrases: ["a {size} pizza"]
    fields:
      size: {choices: [small, large], prompt: "Which size?"}
    filled:
      - {call: price, with: size, assign: total, error: {say: Sorry., disconnect: failed}}
      - say: "A {{ size }} one is {{ total | money }}."
        disconnect: {outcome: ordered, goal: true}
"""


def suite_of(folder: Path, text: str, plan: str = PLAN) -> Path:
    (folder / "shop.yaml").write_text(plan)
    path = folder / "shop.test.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    path = suite_of(folder, text)
    return [str(one).removeprefix(f"{folder}/") for one in read_suite(path)[1]]


def runs_of(suite: Suite) -> list[Run]:
    return [asyncio.run(run_text(suite.plan, one)) for one in suite.scenarios]


# ---------------------------------------------------------------- the shipped ones


def test_every_shipped_plan_has_scenarios() -> None:
    plans = {path.name for path in DIALPLANS.glob("*.yaml")} - set(SHIPPED)
    assert {f"{name.removesuffix('.yaml')}.test.yaml" for name in plans} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_plans_have_no_problems(name: str) -> None:
    plan = SHIPPED[name].plan.path
    assert [str(one) for one in check(plan, pattern_problem=problem)] == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (file, scenario.name)
        for file, suite in SHIPPED.items()
        for scenario in suite.scenarios
        if not scenario.is_spoken
    ],
)
def test_shipped_scenarios_hold(file: str, name: str) -> None:
    suite = SHIPPED[file]
    scenario = next(one for one in suite.scenarios if one.name == name)
    run = asyncio.run(run_text(suite.plan, scenario))
    assert run.is_good, "\n".join(lines(run))


def test_every_key_of_a_turn_is_documented() -> None:
    readme = (DIALPLANS / "README.md").read_text()
    section = readme.split("## Scenarios")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)) == TURN_KEYS


def test_the_example_of_the_documentation_holds(tmp_path: Path) -> None:
    readme = (DIALPLANS / "README.md").read_text()
    plan = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)[0]
    scenarios = readme.split("## Scenarios")[1].split("```yaml\n")[1].split("```")[0]
    for run in runs_of(load_suite(suite_of(tmp_path, scenarios, plan))):
        assert run.is_good, "\n".join(lines(run))


@pytest.mark.parametrize("file", SHIPPED)
def test_every_plan_reaches_goals_and_misses_some_and_is_spoken(file: str) -> None:
    """Scenarios that never fail to reach anything would not tell a plan that always succeeds."""
    turns = [turn for one in SHIPPED[file].scenarios for turn in one.turns]
    expected = {turn.expected["goal"] for turn in turns if "goal" in turn.expected}
    assert expected == {True, False}
    assert any(one.is_spoken for one in SHIPPED[file].scenarios)


# ---------------------------------------------------------------- mistakes in them


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("{coller: hello}", "unknown key 'coller'; did you mean 'caller'?"),
        ("{caller: yes, state: order/sise}", "unknown state 'order/sise'; did you mean"),
        ("{caller: x, outcome: orderd}", "unknown outcome 'orderd'; did you mean 'ordered'?"),
        ("{caller: x, slots: {sise: small}}", "unknown slot 'sise'; did you mean 'size'?"),
        ("{caller: x, slots: small}", "'slots' is a mapping of slots and their values"),
        ("{caller: true}", "'caller' must be text, not true; put it in quotes"),
        ("{caller: x, keys: 1}", "a turn has one of caller, keys; make it several turns"),
        ("{keys: 1x}", "'X' in 'keys': keys are 0-9, *, # and A-D"),
        ("{audio: gone.wav}", "gone.wav does not exist"),
        ("{silence: 3s}", "'silence' is written 'silence: true'"),
        ("{caller: x, over: 1}", "'over': a duration is written like 2s or 500ms, not 1"),
        ("{caller: x, sure: 2}", "'sure' is between 0 and 1, not 2"),
        ("{caller: x, goal: maybe}", "'goal' must be true or false, not 'maybe'"),
        ("{caller: x, within_ms: soon}", "'within_ms' is a number of milliseconds"),
        ("{caller: x, matches: '('}", "'matches': '(' is no regular expression"),
        ("{caller: x, matches: 'a{99999999999999}'}", "is no regular expression"),
        ("{caller: x, said: {a: b}}", "'said' must be a text or a list of texts"),
        ("[a, b]", "a turn is a mapping"),
    ],
)
def test_a_mistake_in_a_turn(tmp_path: Path, turn: str, expected: str) -> None:
    found = problems(tmp_path, f"scenarios:\n  one:\n    - {{said: a}}\n    - {turn}\n")
    assert len(found) == 1, found
    assert found[0].startswith("shop.test.yaml:4: scenario 'one': ")
    assert expected in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "shop.test.yaml:1: the file is empty"),
        ("scenarios: []\n", "shop.test.yaml:1: 'scenarios' holds scenarios by name"),
        ("scenario: {}\n", "shop.test.yaml:1: unknown key 'scenario'; did you mean 'scenarios'?"),
        ("scenarios:\n  one: []\n", "shop.test.yaml:2: scenario 'one': has no turns"),
        ("scenarios:\n  one: 5\n", "shop.test.yaml:2: scenario 'one': is a list of turns"),
        ("plan: gone.yaml\nscenarios: {}\n", "gone.yaml' does not exist"),
        (
            "now: tomorrow\nscenarios: {one: [hello]}\n",
            "shop.test.yaml:1: 'now' is written \"2026-11-20 10:30\", not 'tomorrow'",
        ),
        (
            "services: {prise: {total: 3}}\nscenarios: {one: [hello]}\n",
            "shop.test.yaml:1: unknown service 'prise'; did you mean 'price'?",
        ),
        (
            "services: {price: 3}\nscenarios: {one: [hello]}\n",
            "shop.test.yaml:1: a reply is a mapping, or {error: what went wrong}",
        ),
        (
            "scenarios:\n  one:\n    - {hangup: true}\n    - hello\n",
            "shop.test.yaml:4: scenario 'one': a turn after the caller hung up; remove one of them",
        ),
    ],
)
def test_a_mistake_around_the_turns(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(expected in one for one in found), found


# ---------------------------------------------------------------- runs

GOOD = """\
services: {price: [{total: "8.00"}, {total: "9.00"}]}
scenarios:
  ordered:
    - {said: "Which size?", state: order/size, slots: {size: null}}
    - {caller: a large pizza, said: [large one, eight dollars], matches: "eight dollars.$",
       not_said: small, slots: {size: large}, outcome: ordered, goal: true}
  no price:
    services: {price: {error: timed out}}
    turns:
      - {caller: small, said: Sorry., outcome: failed, goal: false}
"""


def test_stand_ins_answer_for_services(tmp_path: Path) -> None:
    assert [run.is_good for run in runs_of(load_suite(suite_of(tmp_path, GOOD)))] == [True, True]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("eight dollars]", "nine dollars]", "said"),
        ("dollars.$", "^dollars", "matches"),
        ("not_said: small", "not_said: large", "not_said"),
        ("{size: large}, outcome", "{size: small}, outcome", "slots"),
        ("outcome: ordered", "outcome: failed", "outcome"),
        ("goal: true}", "goal: false}", "goal"),
        ("slots: {size: large}", "state: order/size", "state"),
        ("slots: {size: large}", "intent: help", "intent"),
        ("slots: {size: large}", 'transfer: "+15550100"', "transfer"),
    ],
)
def test_what_came_instead(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert GOOD.count(old) == 1
    run = runs_of(load_suite(suite_of(tmp_path, GOOD.replace(old, new))))[0]
    assert [miss.what for miss in run.mismatches] == [what]
    shown = list(lines(run))
    assert shown[0].startswith("FAILED ordered")
    assert shown[1].endswith("shop.test.yaml:5: turn 2, caller 'a large pizza'")
    assert shown[2].startswith(f"    {what} expected: ")
    assert shown[3].lstrip().startswith("came: ")


def test_a_crash_is_that_scenarios_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handle(*_: object) -> None:
        raise KeyError("size")

    path = suite_of(tmp_path, GOOD)
    monkeypatch.setattr("voicebot.dialogue.machine.Machine._interpret", handle)
    assert cli.main(["test", str(path), "--junit", str(tmp_path / "junit.xml")]) == 1
    shown = capsys.readouterr().out
    assert "the call crashed: KeyError: 'size' in test_scenarios.py:" in shown
    assert "2 scenarios: 2 failed" in shown
    assert ElementTree.parse(tmp_path / "junit.xml").getroot()[0].get("errors") == "2"


def test_a_turn_after_the_end_of_the_call(tmp_path: Path) -> None:
    text = "scenarios:\n  one:\n    - large\n    - {caller: hello, said: x}\n"
    run = runs_of(load_suite(suite_of(tmp_path, text)))[0]
    assert "the call had ended as 'failed'" in "\n".join(lines(run))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite_of(tmp_path, GOOD.replace("eight dollars]", "nine dollars]"))
    plan, junit = str(tmp_path / "shop.yaml"), tmp_path / "junit.xml"
    assert cli.main(["test", plan, "--json", "--junit", str(junit)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["failed"]) == (1, 1)
    first = found["scenarios"][0]
    assert first["mismatches"][0]["expected"] == "large one ... nine dollars"
    assert first["turns"][1]["slots"] == {"size": "large"}
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert "nine dollars" in (suite[0][0].text or "")
    assert cli.main(["test", plan, "no p*"]) == 0
    assert "1 scenario: all as expected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gone.yaml"], "gone.yaml: there is no such plan"),
        (["shop.yaml", "orderd"], "no scenario 'orderd'; did you mean 'ordered'?"),
        (["shop.yaml", "--junit", "gone/junit.xml"], "gone/junit.xml cannot be written"),
        (["other.yaml"], "other.yaml has no scenarios; write them to other.test.yaml"),
        (["shop.yaml", "--spoken", "--text"], "not allowed with"),
    ],
)
def test_mistakes_at_the_keyboard(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    suite_of(tmp_path, GOOD)
    (tmp_path / "other.yaml").write_text(PLAN)
    assert cli.main(["test", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was run is told, and written for the build server."""
    junit = tmp_path / "junit.xml"
    calls = []

    async def run(plan: object, scenario: object) -> Run:
        calls.append(scenario)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return Run(scenario)  # type: ignore[arg-type]

    monkeypatch.setattr("voicebot.server.scenario_runs.run_text", run)
    suite_of(tmp_path, GOOD)
    assert cli.main(["test", str(tmp_path / "shop.yaml"), "--junit", str(junit)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert ElementTree.parse(junit).getroot()[0].get("tests") == "1"


def test_check_reads_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = suite_of(tmp_path, GOOD.replace("caller: small", "coller: small"))
    assert cli.main(["check", str(path)]) == 2
    assert ":10: scenario 'no price': unknown key 'coller'; did you mean" in capsys.readouterr().out


# ---------------------------------------------------------------- spoken runs


@pytest.mark.parametrize(
    ("missed", "calls", "is_good"),
    [
        ([["within_ms"], []], 2, True),
        ([["within_ms"]] * 3, 3, False),
        ([["within_ms", "said"]], 1, False),
        ([["said"]], 1, False),
        ([[]], 1, True),
    ],
)
def test_a_call_in_which_only_a_time_was_missed_is_placed_again(
    missed: list[list[str]], calls: int, is_good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = SHIPPED["bank.test.yaml"].scenarios[-1]
    placed: list[Run] = []

    async def place(*_: object) -> Run:
        what = missed[len(placed)]
        late = [Mismatch(1, 1, "caller", one, "3000", "3182") for one in what]
        placed.append(Run(scenario, mismatches=late, is_spoken=True))
        return placed[-1]

    monkeypatch.setattr(scenario_spoken, "_run", place)
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 9.0, 9.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    runs: list[Run] = []
    asyncio.run(scenario_spoken.run_spoken([(SHIPPED["bank.test.yaml"], scenario)], runs.append))
    assert len(placed) == calls
    assert [run.is_good for run in runs] == [is_good]
    if calls == 3:
        (mismatch,) = runs[0].mismatches
        assert mismatch.came == (
            "3182 in the last of 3 calls; this machine is busy: load 9.0 on 2 cores"
        )
