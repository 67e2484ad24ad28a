"""`voicebot chat`: a call on the keyboard, or from a pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from voicebot.config import load_settings
from voicebot.dialogue.plan import load_plan
from voicebot.server.services import Services
from voicebot.server.typed_call import Answer, TypedCall

HELP = """\
Type what the caller says. Or: /dtmf 12# presses keys, /silence says nothing, /sure 0.4 WORDS is
heard badly, /state shows where the call is and what it holds, /hangup (or the end of input) ends
it."""


def converse(path: Path, now: datetime) -> int:
    """Until the plan, the typist or the end of input ends the call; returns the exit code."""
    settings = load_settings()
    plan = load_plan(path)
    services = Services(
        plan.services, plan.path.resolve().parent, settings.dialogue.webhook_timeout_s
    )
    # Typing happens outside of the loop: Ctrl-C must reach it.
    with asyncio.Runner() as runner:
        try:
            chat = _Chat(runner, TypedCall(plan, services, now))
            chat.run()
        finally:
            runner.run(services.aclose())
    return 0


class _Chat:
    def __init__(self, runner: asyncio.Runner, call: TypedCall) -> None:
        self._runner = runner
        self._call = call
        self._is_typed = sys.stdin is not None and sys.stdin.isatty()
        self._last = Answer()

    def run(self) -> None:
        if self._is_typed:
            print(HELP)
        self._show(self._call.start())
        while not self._call.is_over:
            line = self._line()
            if line is None:
                self._show(self._call.hang_up())
            elif line:
                self._take(line)
        goal = "goal reached" if self._last.is_goal else "goal not reached"
        slots = ", ".join(f"{name}: {value}" for name, value in self._last.slots.items())
        print(f"outcome {self._last.outcome}, {goal}" + (f"; {slots}" if slots else ""))

    def _line(self) -> str | None:
        """What is typed; None at the end of input."""
        try:
            line = input("you   " if self._is_typed else "").strip()
        except EOFError:
            return None
        except UnicodeDecodeError:
            return ""
        if not self._is_typed and line:
            print(f"you   {line}")
        return line

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if not line.startswith("/"):
            self._show(self._call.say(line))
        elif word == "/dtmf" and rest and not set(rest.upper()) - set("0123456789*#ABCD"):
            self._show(self._call.press(rest.upper()))
        elif word == "/dtmf":
            print("      /dtmf takes keys, 0-9 * # A-D, such as /dtmf 12#")
        elif word == "/silence":
            self._show(self._call.stay_silent())
        elif word == "/hangup":
            self._show(self._call.hang_up())
        elif word == "/state":
            slots = ", ".join(f"{name}: {value}" for name, value in self._last.slots.items())
            print(f"      at {self._last.state}" + (f"; {slots}" if slots else ""))
        elif word == "/sure":
            self._heard_badly(rest)
        else:
            print(HELP)

    def _heard_badly(self, rest: str) -> None:
        number, _, words = rest.partition(" ")
        try:
            sure = float(number)
        except ValueError:
            sure = -1.0
        if 0 <= sure <= 1 and words:
            self._show(self._call.say(words, sure))
        else:
            print("      /sure takes a number from 0 to 1 and words, such as /sure 0.4 savings")

    def _show(self, turn: Coroutine[Any, Any, Answer]) -> None:
        self._last = answer = self._runner.run(turn)
        for note in answer.notes:
            print(f"      ({note})")
        for text in answer.said:
            print(f"bot   {text}")
        if answer.transfer:
            print(f"      (transfer to {answer.transfer})")
