"""What authors of dialplans use: `voicebot new|check|graph|test|say|chat`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.errors import UserMistake
from voicebot.server.arguments import PLANS, all_plans, ends_in, existing, moment

if TYPE_CHECKING:
    from voicebot.server.scenario_runs import Run
    from voicebot.server.scenarios import Scenario, Suite
    from voicebot.server.terminal import Parser

OK, FAILED, MISTAKE = 0, 1, 2
INTERRUPTED = 130


def add(commands: Any, command: Callable[[str, Any, str], Parser]) -> None:
    """Parsing of all of them."""
    added = command("new", new, "begin a dialplan: a commented plan and scenarios beside it")
    added.add_argument("path", type=Path, metavar="PATH", help="the plan to write, NAME.yaml")

    added = command("check", check, "find the mistakes of dialplans and scenarios")
    added.add_argument(
        "plans", nargs="+", type=Path, metavar="PATH", help="plans, scenarios, folders of them"
    )

    added = command("graph", graph, "draw a dialplan, with real calls painted on it")
    added.add_argument("plan", type=Path, metavar="PATH")
    added.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.svg", help="- for stdout"
    )
    added.add_argument(
        "--calls", type=Path, metavar="JOURNAL", help="the journal whose calls are painted"
    )

    added = command("test", test, "hold the scenarios beside a dialplan against it")
    added.add_argument("plan", type=Path, metavar="PLAN")
    added.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help="names (also with *), or files; default: all of PLAN.test.yaml",
    )
    how = added.add_mutually_exclusive_group()
    how.add_argument(
        "--spoken", action="store_true", help="speak all of them, in a synthetic voice"
    )
    how.add_argument("--text", action="store_true", help="leave those out that must be spoken")
    added.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit's XML, too")
    added.add_argument("--json", action="store_true", help="print one JSON object")

    added = command("say", say, "hear a prompt: a text, or what a plan says at a place")
    added.add_argument("what", nargs="+", metavar="TEXT | PLAN STATE")
    added.add_argument("-o", "--output", type=Path, metavar="FILE.wav", help="write it there")
    added.add_argument(
        "--language", metavar="CODE", help="one of the plan's, such as es; default: its own"
    )

    added = command("chat", chat, "type to a dialplan")
    added.add_argument("plan", type=Path, metavar="PLAN")
    added.add_argument(
        "--now", metavar="TIME", help='the caller\'s time, "2026-11-20 10:30"; default: now'
    )
    added.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the call there, to go on with it later"
    )
    added.add_argument("--resume", type=Path, metavar="FILE", help="go on with a call kept there")


# ---------------------------------------------------------------- new, check, graph


def new(options: argparse.Namespace) -> int:
    """Write a plan to begin with."""
    from voicebot.server.starter import write

    plan, tests = write(options.path)
    print(f"{plan}: written\n{tests}: written")
    name = shlex.quote(str(plan))
    print(f"next: voicebot check {name}; voicebot test {name}; voicebot chat {name}")
    return OK


def check(options: argparse.Namespace) -> int:
    """All problems of the plans, with file and line; 2 when there is an error."""
    paths = all_plans(options.plans)
    from voicebot.dialogue.plan import check as check_plan
    from voicebot.nlu.grammar import problem as pattern_problem
    from voicebot.server.scenario_reader import read_suite
    from voicebot.server.scenarios import is_scenario_file

    errors = 0
    for path in paths:
        if is_scenario_file(path):
            problems = read_suite(path)[1]
        else:
            problems = check_plan(path, pattern_problem=pattern_problem)
        for problem in problems:
            print(problem)
        errors += sum(not problem.is_warning for problem in problems)
        if not problems:
            print(f"{path}: good")
    return MISTAKE if errors else OK


def graph(options: argparse.Namespace) -> int:
    """Draw a plan as SVG."""
    existing("graph", options.plan)
    if str(options.output) != "-":
        ends_in("graph", options.output, ".svg", "a graph is SVG")
    from voicebot.dialogue.graph import draw
    from voicebot.dialogue.plan import load_plan

    plan = load_plan(options.plan)
    ways = None
    if options.calls is not None:
        from voicebot.dialogue.graph_calls import CallWay
        from voicebot.store.visits import read_ways

        ways = [
            CallWay(way.outcome, way.is_goal, way.turns, way.left_at)
            for way in read_ways(options.calls, plan.name)
        ]
        if not ways:
            print(
                f"voicebot: {options.calls} holds no calls of {plan.name!r} that have ended",
                file=sys.stderr,
            )
    svg = draw(plan, ways)
    if str(options.output) == "-":
        print(svg)
        return OK
    try:
        options.output.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise UserMistake(
            f"graph: {options.output} cannot be written ({error.strerror}); "
            "name a file in a folder that exists"
        ) from None
    print(f"{options.output}: written")
    return OK


# ---------------------------------------------------------------- test


def test(options: argparse.Namespace) -> int:
    """Run scenarios; 1 when one does not come as expected."""
    existing("test", options.plan)
    from voicebot.server import scenario_report

    suites = _suites(options)
    runs: list[Run] = []
    if options.junit is not None:  # whether it can be written shows before minutes of calls
        scenario_report.write_junit(runs, options.junit)
    code = OK
    try:
        _run_all(options, suites, runs)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if options.junit is not None:
        scenario_report.write_junit(runs, options.junit)
    if options.json:
        print(json.dumps(scenario_report.as_dict(runs)))
    else:
        print(scenario_report.summary(runs))
    if code == INTERRUPTED:
        print("voicebot: interrupted", file=sys.stderr)
        return code
    return OK if all(run.is_good for run in runs) else FAILED


def _run_all(options: argparse.Namespace, suites: list[Suite], runs: list[Run]) -> None:
    """Appends to `runs`, so that what was run stays when the rest is interrupted."""
    import asyncio

    from voicebot.server.scenario_report import lines
    from voicebot.server.scenario_runs import run_text

    def done(run: Run) -> None:
        runs.append(run)
        if not options.json:
            print("\n".join(lines(run)), flush=True)

    spoken: list[tuple[Suite, Scenario]] = []
    for suite in suites:
        for scenario in suite.scenarios:
            if options.spoken or (scenario.is_spoken and not options.text):
                spoken.append((suite, scenario))
            elif not scenario.is_spoken:
                done(asyncio.run(run_text(suite.plan, scenario)))
    if spoken:
        from voicebot.server.scenario_spoken import run_spoken
        from voicebot.server.terminal import run as run_loop

        run_loop(run_spoken(spoken, done))


def _suites(options: argparse.Namespace) -> list[Suite]:
    """The chosen scenarios. PlanError; UserMistake for names that none has."""
    from dataclasses import replace
    from fnmatch import fnmatch

    from voicebot.dialogue.checks import did_you_mean
    from voicebot.server.scenario_reader import load_suite
    from voicebot.server.scenarios import is_scenario_file, scenario_file

    if is_scenario_file(options.plan):
        suites = [load_suite(options.plan)]
        files: list[str] = []
    else:
        files = [word for word in options.scenarios if word.endswith((".yaml", ".yml"))]
        paths = [Path(word) for word in files] or [scenario_file(options.plan)]
        if not files and not paths[0].is_file():
            raise UserMistake(f"test: {options.plan} has no scenarios; write them to {paths[0]}")
        suites = [load_suite(path, options.plan) for path in paths]
    names = [word for word in options.scenarios if word not in files]
    known = [scenario.name for suite in suites for scenario in suite.scenarios]
    for name in names:
        if not any(fnmatch(one, name) for one in known):
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UserMistake(f"test: no scenario {name!r}{hint}")
    if not names:
        return suites
    return [
        replace(
            suite,
            scenarios=tuple(
                one for one in suite.scenarios if any(fnmatch(one.name, name) for name in names)
            ),
        )
        for suite in suites
    ]


# ---------------------------------------------------------------- say, chat


def say(options: argparse.Namespace) -> int:
    """Speak as callers hear it: 8 kHz, the configured voice."""
    if options.output is not None:
        ends_in("say", options.output, ".wav", "what is written is WAV")
    if options.what[0].endswith(PLANS):
        existing("say", Path(options.what[0]))
    from voicebot.server.saying import audible, play, prompt_of, write_wav
    from voicebot.server.terminal import waiting

    parts, language = prompt_of(options.what, options.language)
    with waiting("speaking"):
        spoken = audible(parts, language)
    print(spoken.text)
    if options.output is not None:
        write_wav(spoken, options.output)
        print(f"{options.output}: written")
        return OK
    play(spoken)
    return OK


def chat(options: argparse.Namespace) -> int:
    """A call on the keyboard, until either side ends it."""
    now = moment(options.now)
    existing("chat", options.plan)
    from voicebot.server.chatting import converse

    return converse(options.plan, now, save=options.save, resume=options.resume)
