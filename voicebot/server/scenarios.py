"""Scenarios beside a plan: what callers do, and what must come of it. Read from `PLAN.test.yaml`.

    plan: bank.yaml                  # default: the plan of the same name
    now: "2026-11-20 10:30"          # the caller's local time
    services:                        # stand-ins for call-outs; others are really made
      balance: {balance: "8300.00"}
    scenarios:
      savings balance:
        - said: Welcome              # a turn in which the caller does nothing: the greeting
          state: main
        - caller: how much is in my savings
          said: eight thousand three hundred dollars
        - {caller: no, outcome: served, goal: true}

scenario_reader reads such a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebot.dialogue.plan import Plan

SUFFIX = ".test.yaml"
NOW = datetime(2026, 11, 20, 10, 30)
"""A Friday morning: scenarios that say nothing mean the same every day."""

INPUTS = {
    "caller": "what the caller says",
    "audio": "recording of what the caller says, beside the scenarios; spoken runs only",
    "keys": "keys that the caller presses",
    "silence": "the caller says nothing until the bot asks again",
    "hangup": "the caller hangs up",
}
"""What a turn may begin with; one without any of them is about what the bot says by itself."""
HOW = {
    "over": "so long into the bot's prompt, without waiting for its end",
    "sure": "how sure the recogniser is of the words; 0.95 in text runs",
}
EXPECTED = {
    "said": "texts that the bot says, whatever the case and punctuation",
    "matches": "regular expressions that what the bot says must match",
    "not_said": "texts that it must not say",
    "state": "place where it waits then, form/field",
    "slots": "values filled by then; null: must be empty",
    "intent": "what was understood",
    "transfer": "where the call is handed to",
    "outcome": "how the call ended",
    "goal": "whether a goal was reached by then",
    "within_ms": "longest time to the answer; in spoken runs only, and the call is placed up to "
    "three times where nothing but that is missed",
}
TURN_KEYS = {**INPUTS, **HOW, **EXPECTED}
SUITE_KEYS = ("plan", "now", "parameters", "services", "model", "voice", "scenarios")
SCENARIO_KEYS = ("turns", "now", "parameters", "services", "model", "voice", "spoken")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: at most one input, how it is given, and what is `expected` of the answer."""

    line: int
    kind: str = ""  # of INPUTS
    value: str = ""
    over_ms: int | None = None
    sure: float = 0.95
    expected: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For reports."""
        words = {"": "the bot", "silence": "silence", "hangup": "caller hangs up"}
        return words.get(self.kind) or f"{self.kind} {self.value!r}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call. `services`: stand-ins' replies by name, in order; `model` likewise."""

    name: str
    path: Path
    line: int
    turns: tuple[Turn, ...]
    now: datetime = NOW
    parameters: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, tuple[Mapping[str, object], ...]] = field(default_factory=dict)
    model: tuple[str, ...] = ()
    voice: str = ""
    is_spoken: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """The scenarios of one file and the plan that they are about."""

    path: Path
    plan: Plan
    scenarios: tuple[Scenario, ...]


def scenario_file(plan: Path) -> Path:
    """Where a plan's scenarios stand."""
    return plan.with_name(plan.stem + SUFFIX)


def is_scenario_file(path: Path) -> bool:
    """Whether a file holds scenarios rather than a plan."""
    return path.name.endswith(SUFFIX)
