"""The person at the keyboard: mistakes in one line, progress, Ctrl-C, readers who leave."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn, TypeVar

from rich.console import Console

from voicebot.errors import UserMistake

INTERRUPTED = 130
READER_LEFT = 141
"""What a shell reports for a program that SIGPIPE ended."""

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and what was probably meant; raises UserMistake."""

    def error(self, message: str) -> NoReturn:
        """In place of argparse's usage and exit."""
        message = message.removeprefix("argument ")
        if found := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            word, options = found[1], re.findall(r"[\w-]+", found[2])
            message = f"{word!r} is no command{_did_you_mean(word, options)}"
        elif message.startswith("the following arguments are required: "):
            message = f"{message.partition(': ')[2]} is missing"
        raise UserMistake(f"{self._command()}{message}; see {self.prog} --help")

    def take_late(self, options: argparse.Namespace, words: list[str]) -> list[str]:
        """Words behind options that belong to a list before them ("test PLAN --json NAME"), which
        argparse leaves over; returns those that do not."""
        lists = [a for a in self._actions if not a.option_strings and a.nargs in {"*", "+"}]
        if not lists:
            return words
        late = [word for word in words if not word.startswith("-")]
        action = lists[0]
        make = action.type if callable(action.type) else str
        known = list(getattr(options, action.dest) or [])
        setattr(options, action.dest, [*known, *(make(word) for word in late)])
        return [word for word in words if word.startswith("-")]

    def refuse_unknown(self, words: list[str]) -> NoReturn:
        """What was left over when everything known was taken."""
        options = [option for action in self._actions for option in action.option_strings]
        name = words[0].split("=")[0]
        self.error(f"does not know {words[0]!r}{_did_you_mean(name, options)}")

    def _command(self) -> str:
        _, _, command = self.prog.partition(" ")
        return f"{command}: " if command else ""


def adder(commands: Any) -> Callable[[str, Any, str], Parser]:
    """Adds a command (name, the function it runs, what it is for) to a parser's subparsers."""

    def command(name: str, run: Any, text: str) -> Parser:
        made: Parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(run=run, parser=made)
        return made

    return command


def _did_you_mean(word: str, options: list[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(options)}" if not word.startswith("-") else ""


def seconds(text: str) -> float:
    """A time that is not negative, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return value


def port(text: str) -> int:
    """A port number, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535, 0 for a free one")
    return int(text)


# ---------------------------------------------------------------- output


class LiveConsole(Console):
    """Prints what happens. Goes quiet when the reader has left (`| head`); calls `when_gone`."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(highlight=False, soft_wrap=True, quiet=quiet)
        self.is_gone = False
        self.when_gone: Callable[[], object] = lambda: None

    def on_broken_pipe(self) -> None:
        """In place of rich's SystemExit, which would be raised inside of a call's task."""
        self.is_gone = self.quiet = True
        let_reader_go()
        self.when_gone()


def let_reader_go() -> None:
    """Whatever is still printed goes nowhere, without a complaint at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def prepare_output() -> None:
    """Each line leaves at once, also into a pipe; a poor encoding spoils letters, not the run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


@contextlib.contextmanager
def waiting(text: str, *, is_shown: bool = True) -> Iterator[Callable[[str], None]]:
    """Shows on a terminal's stderr that something takes a while, until the block ends.

    Yields a function that changes the text; it prints nothing where stderr is no terminal.
    """
    console = Console(stderr=True)
    if not (is_shown and console.is_terminal):
        yield lambda text: None
        return
    with console.status(f"{text} ...") as status:
        yield lambda text: status.update(f"{text} ...")


# ---------------------------------------------------------------- running


def run(work: Coroutine[Any, Any, T], console: LiveConsole | None = None) -> T:
    """As asyncio.run, but Ctrl-C does not wait for threads that load a model.

    With a console: BrokenPipeError when its reader has left; the work is cancelled then.
    """

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        if console is not None:
            console.when_gone = task.cancel
        try:
            return await task
        except asyncio.CancelledError:
            if console is not None and console.is_gone:
                raise BrokenPipeError from None
            raise

    runner = asyncio.Runner()
    try:
        result = runner.run(watched())
    except KeyboardInterrupt:
        # The work has been cancelled and has cleaned up; what is left are threads.
        leave("interrupted", INTERRUPTED)
    except BaseException:
        runner.close()
        raise
    runner.close()
    return result


def leave(message: str, code: int) -> NoReturn:
    """End this process now."""
    with contextlib.suppress(OSError, ValueError):
        print(f"voicebot: {message}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os._exit(code)
