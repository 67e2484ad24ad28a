"""The `voicebot` command: one sub-command, one function.

Exit codes: 0 done, 1 the call or check did not succeed, 2 a mistake in what was asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.config import Settings, load_settings
from voicebot.errors import UserMistake, VoicebotError
from voicebot.monitoring.logs import configure_logging

if TYPE_CHECKING:
    from voicebot.server.placing import Report

OK, FAILED, MISTAKE = 0, 1, 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = _parser().parse_args(arguments)
    try:
        # First of all: libraries (Pipecat) greet on stderr when they are imported.
        configure_logging("warning", "console")
        return int(options.run(options))
    except UserMistake as error:
        print(f"voicebot: {error}", file=sys.stderr)
        return MISTAKE
    except VoicebotError as error:
        print(f"voicebot: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("voicebot: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader left (`| head`): nothing to say, nobody to hear it
        return OK


# ---------------------------------------------------------------- commands


def demo(options: argparse.Namespace) -> int:
    """A whole call on loopback, printed live; exit 0 only if the plan's goal was reached."""
    from voicebot.server.demo import run_demo

    report = asyncio.run(run_demo(_settings(), plan=options.dialplan, runs=options.runs))
    return OK if report.is_goal else FAILED


def serve(options: argparse.Namespace) -> int:
    """Answer calls until SIGTERM or Ctrl-C."""
    from voicebot.server.answering import serve_calls

    overrides: dict[str, Any] = {}
    if options.port is not None or options.host is not None:
        given = {"port": options.port, "host": options.host}
        overrides["server"] = {key: value for key, value in given.items() if value is not None}
    return serve_calls(_settings(overrides), _plan_path(options, _settings(overrides)))


def call(options: argparse.Namespace) -> int:
    """Place a call and print what happened."""
    from rich.console import Console

    from voicebot.server.live_print import LivePrint, summary
    from voicebot.server.placing import caller_turn, place

    if not options.turns:
        raise UserMistake("call: nothing to say; add --audio FILE, --say TEXT or --dtmf KEYS")
    if options.to is None and options.dialplan is None:
        raise UserMistake("call: add --dialplan PATH, or --to URL of a running server")
    console = Console(highlight=False, soft_wrap=True, quiet=options.json)
    live = LivePrint(console)
    report: Report = asyncio.run(
        place(
            _settings(),
            plan=options.dialplan,
            turns=[caller_turn(kind, value, options.over) for kind, value in options.turns],
            url=options.to,
            live=console.print,
            on_event=live.wire,
            tap=live.inside,
        )
    )
    if options.json:
        print(json.dumps(report.as_dict()))
    else:
        summary(console, report)
    return OK if report.is_answered else FAILED


def transcribe(options: argparse.Namespace) -> int:
    """One JSON line (or one line of text) per file."""
    from voicebot.asr.recogniser import Recogniser
    from voicebot.dialogue.plan import load_plan
    from voicebot.evaluation.transcription import transcribe_files
    from voicebot.nlu.interpreter import interpret

    if options.state and not options.dialplan:
        raise UserMistake("transcribe: --state needs --dialplan PATH")
    meaning = None
    if options.dialplan:
        expectation = load_plan(options.dialplan).expectation(options.state)
        today = date.today()  # "tomorrow" is meant where the file is read

        def meaning(heard):  # type: ignore[no-untyped-def]
            return interpret(heard, expectation, today=today)

    settings = _settings()
    recogniser = Recogniser(settings.asr.cache_dir, settings.asr.threads or 2)
    failed = 0
    for result in transcribe_files(recogniser, options.files, interpret=meaning):
        if error := result.get("error"):
            failed += 1
            print(f"voicebot: {error}", file=sys.stderr, flush=True)
        if options.json:
            print(json.dumps(result), flush=True)
        elif not error:
            print(f"{result['file']}\t{result['text']}", flush=True)
    return MISTAKE if failed else OK


def check(options: argparse.Namespace) -> int:
    """All problems of the plans, with file and line; 2 when there is an error."""
    from voicebot.dialogue.plan import check as check_plan

    errors = 0
    for path in options.plans:
        problems = check_plan(path)
        for problem in problems:
            print(problem)
        errors += sum(not problem.is_warning for problem in problems)
        if not problems:
            print(f"{path}: good")
    return MISTAKE if errors else OK


def graph(options: argparse.Namespace) -> int:
    """Draw a plan as SVG."""
    from voicebot.dialogue.graph import draw
    from voicebot.dialogue.plan import load_plan

    svg = draw(load_plan(options.plan))
    try:
        options.output.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise UserMistake(f"{options.output}: cannot be written ({error.strerror})") from None
    print(f"{options.output}: written")
    return OK


def doctor(options: argparse.Namespace) -> int:
    """What works on this machine and what does not, line by line."""
    from voicebot.server.doctor import examine

    findings = examine()
    for finding in findings:
        print(f"{'ok  ' if finding.is_good else 'BAD '} {finding.what}: {finding.detail}")
    return OK if all(finding.is_good for finding in findings) else FAILED


# ---------------------------------------------------------------- arguments


class _Turns(argparse.Action):
    """--audio, --say and --dtmf may be mixed: the caller's turns keep the order given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        given = [values] if isinstance(values, str) else list(values or [])
        turns = getattr(namespace, "turns", None) or []
        namespace.turns = [*turns, *((self.dest, value) for value in given)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voicebot", description="Answers a company's telephone.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    added = command("demo", demo, "a whole call on this machine, without any account")
    added.add_argument("--dialplan", type=Path, help="another plan than the shipped barista")
    added.add_argument("--runs", type=Path, default=Path("runs"), help="where it leaves its files")

    added = command("serve", serve, "answer calls from Twilio")
    added.add_argument("--dialplan", type=Path, metavar="PATH")
    added.add_argument("--port", type=int)
    added.add_argument("--host")

    added = command("call", call, "place a call to a dialplan or to a running server")
    added.add_argument("--dialplan", type=Path, metavar="PATH")
    added.add_argument("--audio", nargs="+", action=_Turns, metavar="FILE", help="spoken turns")
    added.add_argument("--say", nargs="+", action=_Turns, metavar="TEXT", help="synthetic turns")
    added.add_argument("--dtmf", action=_Turns, metavar="KEYS", help="a turn of keys")
    added.add_argument(
        "--over", type=float, metavar="SECONDS", help="speak so long into the bot's prompt"
    )
    added.add_argument("--to", metavar="URL", help="a running server; without it one is started")
    added.add_argument("--json", action="store_true")
    added.set_defaults(turns=[])

    added = command("transcribe", transcribe, "recognise speech in files")
    added.add_argument("files", nargs="+", type=Path, metavar="FILE")
    added.add_argument("--json", action="store_true")
    added.add_argument("--dialplan", type=Path, metavar="PATH", help="also say what it means")
    added.add_argument("--state", metavar="NAME", help="where in the dialplan (form/field)")

    added = command("check", check, "find the mistakes of dialplans")
    added.add_argument("plans", nargs="+", type=Path, metavar="PATH")

    added = command("graph", graph, "draw a dialplan")
    added.add_argument("plan", type=Path, metavar="PATH")
    added.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.svg")

    command("doctor", doctor, "examine this installation")
    return parser


def _settings(overrides: dict[str, Any] | None = None) -> Settings:
    return load_settings(**(overrides or {}))


def _plan_path(options: argparse.Namespace, settings: Settings) -> Path:
    path: Path | None = options.dialplan or settings.dialogue.dialplan
    if path is None:
        raise UserMistake(
            "serve: no dialplan; add --dialplan PATH or set VOICEBOT_DIALOGUE__DIALPLAN"
        )
    return path


if __name__ == "__main__":
    sys.exit(main())
