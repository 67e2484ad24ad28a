"""`voicebot chat`: a call on the keyboard, or from a pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from voicebot.config import NO_MODEL, Settings, load_settings
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.errors import PlanError, UserMistake
from voicebot.events import AskModel
from voicebot.server.services import Services
from voicebot.server.typed_call import Answer, TypedCall

Ask = Callable[[AskModel], Awaitable[str]]
HELP = """\
Type what the caller says. Or: /dtmf 12# presses keys, /silence says nothing, /sure 0.4 WORDS is
heard badly, /state shows where the call is and what it holds, /hangup (or the end of input) ends
it."""


def converse(
    path: Path, now: datetime, *, save: Path | None = None, resume: Path | None = None
) -> int:
    """Until the plan, the typist or the end of input ends the call; returns the exit code.

    The call goes on from the file `resume`, and is written to `save` after each turn: then the
    end of input leaves it there."""
    settings = load_settings()
    plan = load_plan(path)
    services = Services(
        plan.services, plan.path.resolve().parent, settings.dialogue.webhook_timeout_s
    )
    # Typing happens outside of the loop: Ctrl-C must reach it.
    with asyncio.Runner() as runner:
        try:
            ask = runner.run(_model(settings)) if _asks_model(plan) else None
            _Chat(runner, _begin(plan, services, now, resume, ask), save).run()
        finally:
            runner.run(services.aclose())
    return 0


def _asks_model(plan: Plan) -> bool:
    return any(form.llm is not None for form in plan.forms.values())


async def _model(settings: Settings) -> Ask | None:
    """The language model of calls, where the settings name one."""
    if settings.dialogue.llm_service == NO_MODEL:
        return None
    from voicebot.server.answering import load_model  # Pipecat, which few chats need

    model = load_model(settings)
    return model.ask if model is not None else None


def _begin(
    plan: Plan, services: Services, now: datetime, resume: Path | None, ask: Ask | None
) -> TypedCall:
    """A new call, or the one that was saved."""
    if resume is None:
        return TypedCall(plan, services, now, ask=ask)
    try:
        return TypedCall(plan, services, now, ask=ask, saved=resume.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"chat: --resume: {resume} cannot be read ({error.strerror})") from None
    except (PlanError, UnicodeDecodeError) as error:
        reason = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UserMistake(
            f"chat: --resume: {resume} holds no call of this plan: {reason}"
        ) from None


class _Chat:
    def __init__(self, runner: asyncio.Runner, call: TypedCall, save: Path | None) -> None:
        self._runner = runner
        self._save = save
        self._call = call
        self._is_typed = sys.stdin is not None and sys.stdin.isatty()
        self._last = Answer()

    def run(self) -> None:
        if self._is_typed:
            print(HELP)
        self._show(self._call.start())
        while not self._call.is_over:
            line = self._line()
            if line is None and self._save is not None:
                print(f"the call waits in {self._save}; go on with --resume {self._save}")
                return
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
        # Half a surrogate stands for a byte that is no text: no file takes it.
        line = line.encode("utf-8", "replace").decode()
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
        if self._save is not None:
            self._keep(self._save)

    def _keep(self, path: Path) -> None:
        """Write the call down whole, or leave what was written before."""
        partial = path.with_name(f".{path.name}.part")
        try:
            partial.write_text(self._call.save(), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise UserMistake(
                f"chat: --save: {path} cannot be written ({error.strerror}); "
                "name a file in a folder that exists"
            ) from None
