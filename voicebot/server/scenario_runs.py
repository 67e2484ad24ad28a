"""Runs scenarios in text, and says where what came differs from what was expected."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicebot.dialogue.plan import Plan
from voicebot.errors import VoicebotError
from voicebot.nlu.text import tokenize
from voicebot.server.scenarios import Scenario, Turn
from voicebot.server.services import Services
from voicebot.server.typed_call import Answer, TypedCall, stand_in

SERVICE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One expectation that was not met."""

    line: int
    turn: int  # counted from 1
    title: str
    what: str
    expected: str
    came: str


@dataclass(slots=True)
class Run:
    """What came of one scenario. `problem`: it could not be run."""

    scenario: Scenario
    answers: list[Answer] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    seconds: float = 0.0
    is_spoken: bool = False
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """Whether all came as expected."""
        return not (self.mismatches or self.problem)


async def run_text(plan: Plan, scenario: Scenario) -> Run:
    """The scenario, typed: in milliseconds, and with nothing that hears or speaks."""
    run = Run(scenario)
    began_s = time.perf_counter()
    stand_ins = {name: stand_in(replies) for name, replies in scenario.services.items()}
    services = Services(
        plan.services, plan.path.resolve().parent, SERVICE_TIMEOUT_S, stand_ins=stand_ins
    )
    try:
        call = TypedCall(
            plan,
            services,
            scenario.now,
            parameters=scenario.parameters,
            model=scenario.model,
        )
        answer = await call.start()
        for index, turn in enumerate(scenario.turns):
            if turn.kind:
                if call.is_over and turn.kind != "hangup":
                    run.mismatches.append(_too_late(index, turn, answer))
                    break
                answer = await _take(call, turn)
            run.answers.append(answer)
            run.mismatches += judge(index, turn, answer)
    except Exception as error:  # the other scenarios are run all the same
        run.problem = crash(error)
    finally:
        await services.aclose()
    run.seconds = time.perf_counter() - began_s
    return run


def crash(error: Exception) -> str:
    """A mistake of voicebot's own in one line: where it happened, for whoever mends it."""
    if isinstance(error, VoicebotError):
        return " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the call crashed: {type(error).__name__}: {' '.join(str(error).split())}{where}"


async def _take(call: TypedCall, turn: Turn) -> Answer:
    if turn.over_ms is not None:
        call.cut(is_key=turn.kind == "keys")
    if turn.kind == "caller":
        return await call.say(turn.value, turn.sure)
    if turn.kind == "keys":
        return await call.press(turn.value)
    if turn.kind == "silence":
        return await call.stay_silent()
    return await call.hang_up()


def _too_late(index: int, turn: Turn, answer: Answer) -> Mismatch:
    ended = f"the call had ended as '{answer.outcome}'"
    return Mismatch(turn.line, index + 1, turn.title, "call", "goes on", ended)


# ---------------------------------------------------------------- judging


def judge(index: int, turn: Turn, answer: Answer) -> list[Mismatch]:
    """What of a turn's expectations the answer does not meet."""
    found: list[Mismatch] = []
    for name, expected in turn.expected.items():
        came = _CHECKS[name](expected, answer)
        if came is not None:
            found.append(
                Mismatch(turn.line, index + 1, turn.title, name, _shown(expected), _shown(came))
            )
    return found


def words(text: str) -> str:
    """The words alone: neither case nor punctuation nor spelled numbers tell texts apart."""
    return " ".join(word for token in tokenize(text) for word in token.words)


def _said(expected: list[str], answer: Answer) -> object:
    came = f" {words(answer.text)} "
    return None if all(f" {words(text)} " in came for text in expected) else answer.text


def _not_said(expected: list[str], answer: Answer) -> object:
    came = f" {words(answer.text)} "
    return answer.text if any(f" {words(text)} " in came for text in expected) else None


def _matches(expected: list[str], answer: Answer) -> object:
    found = all(re.search(pattern, answer.text, re.IGNORECASE) for pattern in expected)
    return None if found else answer.text


def _state(expected: str, answer: Answer) -> object:
    return None if answer.state == expected else answer.state or "waits for nobody"


def _slots(expected: dict[str, str | None], answer: Answer) -> object:
    came = {name: answer.slots.get(name) for name in expected}
    return None if came == expected else came


def _within(expected: int, answer: Answer) -> object:
    if answer.response_ms is None or answer.response_ms <= expected:
        return None
    return f"{answer.response_ms:.0f}"


def _goal(expected: bool, answer: Answer) -> object:
    return None if answer.is_goal == expected else answer.is_goal


_CHECKS: dict[str, Callable[[Any, Answer], object]] = {
    "said": _said,
    "matches": _matches,
    "not_said": _not_said,
    "state": _state,
    "slots": _slots,
    "intent": lambda expected, answer: None if answer.intent == expected else answer.intent or "-",
    "transfer": lambda expected, answer: (
        None if answer.transfer == expected else answer.transfer or "-"
    ),
    "outcome": lambda expected, answer: (
        None if answer.outcome == expected else answer.outcome or "the call goes on"
    ),
    "goal": _goal,
    "within_ms": _within,
}
"""What came instead, by expectation; None where it was met."""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ... ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one or '(empty)'}" for key, one in value.items())
    return str(value)
