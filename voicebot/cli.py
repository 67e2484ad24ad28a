"""The `voicebot` command: one sub-command, one function.

Exit codes: 0 done, 1 the call or check did not succeed, 2 a mistake in what was asked,
130 interrupted, 141 whoever read the output left before its end.
"""

from __future__ import annotations

# What takes long to import is imported where it is used: help and mistakes come at once.
import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.errors import UserMistake, VoicebotError

if TYPE_CHECKING:
    from voicebot.config import Settings
    from voicebot.events import Expectation, Hypothesis, Interpretation
    from voicebot.server.placing import Report
    from voicebot.server.terminal import Parser

OK, FAILED, MISTAKE = 0, 1, 2
INTERRUPTED, READER_LEFT = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    # Before numpy is imported: for matrices as small as those of hearing, BLAS threads only spin
    # and cost a core of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return _run(arguments)
    except UserMistake as error:
        print(f"voicebot: {_one_line(error)}", file=sys.stderr)
        return MISTAKE
    except VoicebotError as error:
        print(f"voicebot: {_one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("voicebot: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        from voicebot.server.terminal import let_reader_go

        let_reader_go()  # `| head`: nothing to say, nobody to hear it
        return READER_LEFT
    except OSError as error:  # a full disk, too many open files, ...
        from voicebot.server.terminal import let_reader_go

        let_reader_go()  # what is left to print would fail again, at exit
        print(f"voicebot: {_one_line(error)}", file=sys.stderr)
        return FAILED


def _run(arguments: Sequence[str] | None) -> int:
    from voicebot.server.terminal import prepare_output

    prepare_output()
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        asked: Parser = options.parser
        if unknown := asked.take_late(options, unknown):
            asked.refuse_unknown(unknown)
    from voicebot.monitoring.logs import configure_logging

    # First of all: libraries (Pipecat) greet on stderr when they are imported.
    configure_logging("warning", "console")
    code = int(options.run(options))
    if sys.stdout is not None:
        sys.stdout.flush()  # a reader who has left is noticed here, not at exit
    return code


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


# ---------------------------------------------------------------- commands


def demo(options: argparse.Namespace) -> int:
    """A whole call on loopback, printed live; exit 0 only if the plan's goal was reached."""
    from voicebot.server.terminal import LiveConsole, run, waiting

    with waiting("starting"):
        from voicebot.server.demo import run_demo

    report = run(run_demo(_settings(), LiveConsole(), plan=options.dialplan, runs=options.runs))
    return OK if report.is_goal else FAILED


def serve(options: argparse.Namespace) -> int:
    """Answer calls until SIGTERM or Ctrl-C."""
    overrides: dict[str, Any] = {}
    if options.port is not None or options.host is not None:
        given = {"port": options.port, "host": options.host}
        overrides["server"] = {key: value for key, value in given.items() if value is not None}
    settings = _settings(overrides)
    plan = _plan_path(options, settings)
    if _is_terminal(sys.stderr):
        print("loading the recogniser and the voice ...", file=sys.stderr)
    from voicebot.server.answering import serve_calls

    return serve_calls(settings, plan)


def call(options: argparse.Namespace) -> int:
    """Place a call and print what happened."""
    from voicebot.server.terminal import LiveConsole, run, waiting

    if not options.turns:
        raise UserMistake("call: nothing to say; add --audio FILE, --say TEXT or --dtmf KEYS")
    if options.to is None and options.dialplan is None:
        raise UserMistake("call: add --dialplan PATH, or --to URL of a running server")
    with waiting("starting"):
        from voicebot.asr.record_text import RecordText
        from voicebot.server.live_print import LivePrint, summary
        from voicebot.server.placing import caller_turn, place

        settings = _settings()
        turns = [caller_turn(kind, value, options.over) for kind, value in options.turns]
    console = LiveConsole(quiet=options.json)
    live = LivePrint(console, RecordText(settings.asr.text, settings.asr.profanity))

    def placed(tell: Callable[[str], object]) -> Report:
        return run(
            place(
                settings,
                plan=options.dialplan,
                turns=turns,
                url=options.to,
                live=tell,
                on_event=live.wire,
                tap=live.inside,
            ),
            console,
        )

    if options.json:
        with waiting("calling") as tell:
            report = placed(tell)
        print(json.dumps(report.as_dict()))
    else:
        # "calling ..." is for those who watch; "loading ..." tells a log why nothing happens.
        report = placed(console.print if options.to is None or console.is_terminal else _nothing)
        summary(console, report, with_bot=options.to is not None)
    if console.is_gone:
        raise BrokenPipeError
    return OK if report.is_answered else FAILED


def transcribe(options: argparse.Namespace) -> int:
    """One JSON line (or one line of text) per file."""
    from voicebot.server.terminal import waiting

    if options.state and not options.dialplan:
        raise UserMistake("transcribe: --state needs --dialplan PATH")
    settings = _settings()
    expectation, meaning = _meaning(options.dialplan, options.state)
    with waiting("loading the recogniser"):
        from voicebot.asr.record_text import RecordText
        from voicebot.evaluation.transcription import transcribe_files
        from voicebot.server.recognisers import load_recogniser

        recogniser = load_recogniser(settings)
    failed = 0
    # On one terminal the lines themselves show the progress.
    with waiting("recognising", is_shown=not _is_terminal(sys.stdout)) as tell:
        results = transcribe_files(
            recogniser, options.files, interpret=meaning, expectation=expectation
        )
        shown = RecordText(settings.asr.text, settings.asr.profanity)
        language = expectation.language if expectation is not None else "en"
        for number, result in enumerate(results, 1):
            tell(f"{number} of {len(options.files)} files")
            if error := result.get("error"):
                failed += 1
                print(f"voicebot: {error}", file=sys.stderr, flush=True)
            else:
                result["written"] = shown(result["text"], language)
            if options.json:
                print(json.dumps(result), flush=True)
            elif not error:
                print(f"{result['file']}\t{result['written']}", flush=True)
                for word in result["words"] if options.words else ():
                    print(_timed(word), flush=True)
    return MISTAKE if failed else OK


def _timed(word: Mapping[str, Any]) -> str:
    """A line of `transcribe --words`: seconds in the file, confidence, the word."""
    times = (word["start_s"], word["end_s"])
    start, end = ("?" if at is None else f"{at:.2f}" for at in times)
    return f"\t{start:>6} to {end:>6} s  {word['confidence']:4.0%}  {word['text']}"


def _meaning(
    plan: Path | None, state: str | None
) -> tuple[Expectation | None, Callable[[Hypothesis], Interpretation] | None]:
    """What a state of the plan waits for, and what an answer to it means."""
    if plan is None:
        return None, None
    from datetime import date

    from voicebot.dialogue.plan import load_plan
    from voicebot.nlu.interpreter import interpret

    expectation = load_plan(plan).expectation(state)
    today = date.today()  # "tomorrow" is meant where the file is read
    return expectation, lambda heard: interpret(heard, expectation, today=today)


def doctor(options: argparse.Namespace) -> int:
    """What works on this machine and what does not, line by line."""
    from voicebot.server.doctor import examine

    is_good = True
    for finding in examine():
        is_good = is_good and finding.is_good
        print(f"{'ok  ' if finding.is_good else 'BAD '} {finding.what}: {finding.detail}")
    return OK if is_good else FAILED


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


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"voicebot {version('voicebot')}")
        except PackageNotFoundError:
            print("voicebot, from a folder that is not installed")
        parser.exit()


def _parser() -> Parser:
    from voicebot.server import (
        commands_asr_serve,
        commands_authoring,
        commands_bench,
        commands_learning,
        commands_models,
        evaluating,
    )
    from voicebot.server.terminal import Parser, adder, port, seconds

    parser = Parser(
        prog="voicebot", description="Answers a company's telephone.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = adder(commands)

    added = command("demo", demo, "a whole call on this machine, without any account")
    added.add_argument("--dialplan", type=Path, help="another plan than the shipped barista")
    added.add_argument("--runs", type=Path, default=Path("runs"), help="where it leaves its files")

    added = command("serve", serve, "answer calls from Twilio")
    added.add_argument("--dialplan", type=Path, metavar="PATH", help="the plan to answer with")
    added.add_argument("--port", type=port, metavar="N", help="0 picks a free one")
    added.add_argument("--host", metavar="ADDRESS", help="address to listen on")

    added = command("call", call, "place a call to a dialplan or to a running server")
    added.add_argument("--dialplan", type=Path, metavar="PATH", help="the plan to answer with")
    added.add_argument("--audio", nargs="+", action=_Turns, metavar="FILE", help="spoken turns")
    added.add_argument("--say", nargs="+", action=_Turns, metavar="TEXT", help="synthetic turns")
    added.add_argument("--dtmf", action=_Turns, metavar="KEYS", help="a turn of keys")
    added.add_argument(
        "--over",
        type=seconds,
        metavar="SECONDS",
        help="speak so long into the bot's prompts, without waiting for their end",
    )
    added.add_argument("--to", metavar="URL", help="a running server; without it one is started")
    added.add_argument("--json", action="store_true", help="print one JSON object")
    added.set_defaults(turns=[])

    added = command("transcribe", transcribe, "recognise speech in files")
    added.add_argument("files", nargs="+", type=Path, metavar="FILE")
    added.add_argument("--json", action="store_true", help="print a JSON object per file")
    added.add_argument("--dialplan", type=Path, metavar="PATH", help="also say what it means")
    added.add_argument("--state", metavar="NAME", help="where in the dialplan (form/field)")
    added.add_argument(
        "--words", action="store_true", help="also each word, when it was said and how sure it is"
    )

    commands_asr_serve.add(commands, command)
    commands_authoring.add(commands, command)
    evaluating.add(commands, command)

    commands_bench.add(commands, command)
    commands_models.add(commands, command)
    commands_learning.add(commands, command)

    command("doctor", doctor, "examine this installation")
    return parser


def _nothing(text: str) -> None:
    pass


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _settings(overrides: dict[str, Any] | None = None) -> Settings:
    from voicebot.config import load_settings

    return load_settings(**(overrides or {}))


def _plan_path(options: argparse.Namespace, settings: Settings) -> Path:
    path: Path | None = options.dialplan or settings.dialogue.dialplan
    if path is None:
        raise UserMistake(
            "serve: no dialplan; add --dialplan PATH or set VOICEBOT_DIALOGUE__DIALPLAN"
        )
    from voicebot.server.arguments import existing

    return existing("serve", path)


if __name__ == "__main__":
    sys.exit(main())
