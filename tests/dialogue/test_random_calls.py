"""Random calls: no exception, no dead end, a declared outcome, and the same after a move.

`VOICEBOT_RANDOM_CALLS=100000 pytest -m unit tests/dialogue/test_random_calls.py` makes as many
calls with each plan (some three minutes a plan); by default there are few. VOICEBOT_RANDOM_SEED
asks for other ones.

Each call is one string of bytes drawn by hypothesis: drawing it costs little, and it shrinks to
few bytes, that is few events, and to zeros, which say what is most ordinary. Half of the strings
are long by declaration: of its own accord hypothesis draws some 16 bytes, which is three events.
"""

import json
import os
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest
from conversation import DIALPLANS
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from voicebot.dialogue.expectations import slot_spec
from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.events import (
    Action,
    AskModel,
    CallerHungUp,
    CallService,
    CallStarted,
    DialogueEvent,
    Disconnect,
    Expectation,
    Interpretation,
    Listen,
    MessageTaken,
    ModelReply,
    NoInput,
    PromptHeard,
    Reading,
    ServiceReply,
    SlotSpec,
    SlotType,
    SlotValue,
    TakeMessage,
    Transfer,
)

pytestmark = pytest.mark.unit

T = TypeVar("T")

CALLS = int(os.environ.get("VOICEBOT_RANDOM_CALLS", "40"))
SEED = int(os.environ.get("VOICEBOT_RANDOM_SEED", "5"))
SHIPPED = sorted(path for path in DIALPLANS.glob("*.yaml") if not path.name.endswith(".test.yaml"))
OWN = [Path(__file__).parent / name for name in ("everything.yaml", "advised.yaml")]
PLANS = [*SHIPPED, *OWN]
WAITS = (Listen, CallService, TakeMessage, AskModel)
SECONDS = (0.0, 0.3, 2.0, 90.0)
SURE = (0.05, 0.3, 0.5, 0.65, 0.95)
MIDDAY, NIGHT = datetime(2026, 11, 20, 12), datetime(2026, 11, 20, 23)
AFTER = 150
"""Silences after the random events: by then every call must be over."""
VALUES = {
    SlotType.YES_NO: ("yes", "no"),
    SlotType.DIGITS: ("1", "00000", "12345", "123456", "4111111111111111"),
    SlotType.NUMBER: ("1", "2", "10", "-3", "1e9"),
    SlotType.AMOUNT: ("0.00", "12.50", "99999.99"),
    SlotType.DATE: ("2026-11-21", "2026-02-31", "tomorrow"),
    SlotType.TIME: ("14:30", "99:99"),
    SlotType.PHONE: ("5550199", "+15550199"),
    SlotType.LETTERS: ("ABC", "A1"),
    SlotType.TEXT: ("anything", ""),
}


class Choices:
    """Bytes that decide, one by one; afterwards everything is the first of its options."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn, self._at = drawn, 0

    def __bool__(self) -> bool:
        return self._at < len(self._drawn)

    def one_of(self, options: Sequence[T]) -> T:
        if self._at >= len(self._drawn):
            return options[0]
        self._at += 1
        return options[self._drawn[self._at - 1] % len(options)]


class Caller:
    """Turns choices into events that may come where the dialogue stands, sensible or not."""

    def __init__(self, plan: Plan, machine: Machine, choices: Choices) -> None:
        self._plan = plan
        self.machine = machine
        self.one_of = choices.one_of
        self._wishes = choices.one_of((1, 8, 30))
        """Who stays with the question gets further: one wish in so many answers."""

    def event(self, actions: Sequence[Action]) -> DialogueEvent:
        asked = [a for a in actions if isinstance(a, CallService | TakeMessage | AskModel)]
        if asked and self.one_of((True, True, True, False)):
            return self._answer(asked[-1])
        waits_for = self.machine.expectation
        strange = ["silence", "nonsense", "universal", "keys", "heard", "other", "hang up"]
        kind = self.one_of([*["says"] * (7 + self._wishes), *strange])
        if kind == "silence":
            return NoInput(0)
        if kind == "heard":
            return PromptHeard(0, "some words", bool(self.one_of((True, False))))
        if kind == "hang up" and self.one_of((False, False, True)):
            return CallerHungUp(0)
        if kind == "other":
            untimely: list[DialogueEvent] = [
                CallStarted(),
                ServiceReply("service-1", {"code": "1"}),
                MessageTaken("message-1", 3.0, "x"),
                ModelReply("model-1", "{}"),
            ]
            return self.one_of(untimely)
        if kind == "nonsense" or waits_for is None:
            return Interpretation(text="mumble")
        if kind == "universal" and waits_for.universals:
            intent = self.one_of(waits_for.universals)
            return Interpretation(intent.name, confidence=0.9, is_universal=True)  # type: ignore[attr-defined]
        return self._says(waits_for, by_key=kind == "keys")

    def _says(self, waits_for: Expectation, *, by_key: bool) -> Interpretation:
        slots = tuple(self._slot(spec) for spec in self._some(waits_for.slots))
        denied = tuple(self._slot(spec) for spec in self._some(waits_for.slots)[:1])
        intents = [*(intent.name for intent in waits_for.intents), "unheard_of"]
        is_wish = not waits_for.slots or self._wishes == 1 or not self.one_of(range(self._wishes))
        intent = self.one_of([None, None, *intents]) if is_wish else None
        other = Reading(None, tuple(self._slot(spec) for spec in waits_for.slots[:1]), 0.3)
        return Interpretation(
            intent,  # type: ignore[arg-type]
            slots,
            self.one_of(SURE),  # type: ignore[arg-type]
            (Reading(None, slots, 0.5), other) if self.one_of((True, False)) else (),
            "some words",
            denied=denied if self.one_of((False, False, True)) else (),
            also=self._also(waits_for) if self.one_of((False, False, False, True)) else (),
            by="dtmf" if by_key else "speech",
        )

    def _also(self, waits_for: Expectation) -> tuple[Reading, ...]:
        names = [intent.name for intent in waits_for.intents] or ["unheard_of"]
        slots = tuple(self._slot(spec) for spec in self._some(waits_for.slots))
        return (Reading(str(self.one_of(names)), slots, 0.8),)

    def _some(self, specs: Sequence[SlotSpec]) -> list[SlotSpec]:
        how_many = self.one_of((1, 1, 1, 2, 3, 0))
        start = self.one_of((0, 0, 0, *range(len(specs)))) if specs else 0
        return list(specs)[start : start + how_many]  # type: ignore[misc, operator]

    def _slot(self, spec: SlotSpec) -> SlotValue:
        values = [choice.value for choice in spec.choices] or [*VALUES.get(spec.type, ("x",))]
        if spec.min_length and spec.type is SlotType.DIGITS:
            fits = "12345678901234567890"[: spec.min_length]
            values = [fits, fits[::-1], *values]
        return SlotValue(spec.name, str(self.one_of(values)), "", self.one_of(SURE))  # type: ignore[arg-type]

    def _answer(self, asked: CallService | TakeMessage | AskModel) -> DialogueEvent:
        if isinstance(asked, TakeMessage):
            error = self.one_of((None, None, "disk full"))
            return MessageTaken(asked.id, self.one_of(SECONDS), "x.wav", error=error)  # type: ignore[arg-type]
        if isinstance(asked, AskModel):
            replies = [
                {"say": "Well."},
                *self._fills(),
                {"say": "Bye.", "done": True},
                {"tool": "stock", "arguments": {"item": "x"}},
                {"tool": "stock", "arguments": {"price": "x"}},
                {"goto": "booking", "fill": {"day": "friday", "count": 3}},
                {"goto": "main"},
                {"fill": [1]},
            ]
            error = self.one_of((None, None, None, "no language model"))
            return ModelReply(asked.id, json.dumps(self.one_of(replies)), error)  # type: ignore[arg-type]
        if self.one_of((False, False, False, True)):
            return ServiceReply(asked.id, error="it failed")
        names, values = answerable(self._plan.path)
        if self.one_of((False, False, False, True)):
            names = names[:1]
        return ServiceReply(asked.id, {name: self.one_of(values) for name in names})

    def _fills(self) -> list[dict[str, object]]:
        """What the present form lets the model fill, well formed, and where it may go then."""
        form = self._plan.forms[self.machine.state.split("/")[0]]
        if form.llm is None:
            return []
        owners = self._plan.forms.values()
        fields = {name: f for one in owners for name, f in one.fields.items()}
        fill = {
            name: self._slot(slot_spec(self._plan.keys, name, fields[name])).value
            for name in form.llm.slots
        }
        goto = self.one_of(["", *form.llm.goto])
        return [{"fill": fill, "say": "Noted."}, {"fill": fill, "done": True}] + [
            {"fill": {name: value}, "goto": goto} for name, value in fill.items()
        ]


ASSIGNED = re.compile(r"assign: (\[[^]]*\]|\{[^}]*\}|\w+)")
COMPARED = re.compile(r"when: [^'\n]*'(\w+)'")
STRANGE = (True, False, "12", "2026-12-01", "14:30", 0, 1e9, None, "", [1], {"a": 1}, "x" * 300)


@cache
def answerable(path: Path) -> tuple[list[str], list[object]]:
    """Names that services of a plan answer with, and values that its conditions look for."""
    text = path.read_text()
    names = {name for found in ASSIGNED.findall(text) for name in re.findall(r"\w+", found)}
    compared = sorted(set(COMPARED.findall(text)))
    return sorted(names), [*compared, *STRANGE[:5], *compared, *STRANGE]


def conduct(plan: Plan, choices: Choices) -> None:
    """One call; at some events, or at all, it is moved to another process."""
    now = choices.one_of((MIDDAY, NIGHT))
    moves = choices.one_of(((False,) * 7 + (True,), (False,), (True,)))
    machine = Machine(plan, now)
    actions = machine.handle(CallStarted())
    caller = Caller(plan, machine, choices)
    silences = 0
    while machine.outcome is None and silences < AFTER:
        asked = [a for a in actions if isinstance(a, CallService | TakeMessage | AskModel)]
        silences += not choices
        is_silent = not choices and not asked
        event = NoInput(0) if is_silent else caller.event(actions)
        moved = moved_to(plan, now, machine) if choices.one_of(moves) else None
        found = machine.handle(event)
        if moved is not None:
            assert moved.handle(event) == found
            assert moved.to_json() == machine.to_json()
            machine = moved
            caller.machine = moved
        check_actions(machine, found)
        if found or not asked:  # what was asked is still waited for
            actions = found
    assert machine.outcome in outcomes(plan.path), machine.outcome


def moved_to(plan: Plan, now: datetime, machine: Machine) -> Machine:
    """The machine as it goes on elsewhere."""
    saved = machine.to_json()
    moved = Machine.from_json(plan, now, saved)
    resumed = moved.resume()
    assert machine.state == "" or machine.outcome or isinstance(resumed[-1], WAITS), resumed
    assert moved.to_json() == saved
    assert moved.expectation == machine.expectation
    return moved


def check_actions(machine: Machine, actions: Sequence[Action]) -> None:
    """Nothing comes after the end; a call that goes on waits for somebody."""
    ends = [index for index, a in enumerate(actions) if isinstance(a, Disconnect | Transfer)]
    assert ends in ([], [len(actions) - 1])
    if actions and machine.outcome is None:
        assert isinstance(actions[-1], WAITS), actions
    assert machine.handle(PromptHeard(0, "", False)) == []


@cache
def load(path: Path) -> Plan:
    return load_plan(path)


@cache
def outcomes(path: Path) -> frozenset[str]:
    return frozenset(load(path).outcomes())


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
@settings(
    max_examples=CALLS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@seed(SEED)
@given(st.binary(min_size=8, max_size=100) | st.binary(min_size=150, max_size=400))
def test_every_call_ends_well(path: Path, drawn: bytes) -> None:
    conduct(load(path), Choices(drawn))
