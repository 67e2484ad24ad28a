"""A call that was saved goes on elsewhere: at the same question, or with the same request."""

import json
import random
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conversation import DIALPLANS, NOW

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.dialogue.session import Session
from voicebot.errors import PlanError
from voicebot.events import (
    Action,
    AskModel,
    CallerTurn,
    CallService,
    CallStarted,
    DialogueEvent,
    Expectation,
    Hypothesis,
    Interpretation,
    KeysEntered,
    Listen,
    MessageTaken,
    ModelReply,
    NoInput,
    Play,
    ServiceReply,
    TakeMessage,
    TurnEnded,
    TurnEndReason,
)
from voicebot.nlu.interpreter import interpret, interpret_keys

pytestmark = pytest.mark.unit

NIGHT = NOW.replace(hour=23)
BANK, VOICEMAIL = load_plan(DIALPLANS / "bank.yaml"), load_plan(DIALPLANS / "voicemail.yaml")
ADVISED = load_plan(Path(__file__).parent / "advised.yaml")


def session_of(machine: Machine) -> Session:
    understand = partial(interpret, today=date(2026, 11, 20))
    return Session(machine, interpret=understand, interpret_keys=interpret_keys)


class Call:
    """A call through the product's own Session, which `moves` to another one."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.machine = plan, Machine(plan, NIGHT)
        self.session = session_of(self.machine)
        self.actions: list[Action] = []
        self(CallStarted())

    def __call__(self, event: DialogueEvent | CallerTurn | KeysEntered) -> list[str]:
        return self._did(self.session.handle(event))

    def says(self, text: str) -> list[str]:
        ended = TurnEnded(0, TurnEndReason.COMPLETE)
        return self(CallerTurn(ended, Hypothesis(text, confidence=0.95, is_final=True)))

    def moves(self) -> list[str]:
        saved = self.machine.to_json()
        self.machine = Machine.from_json(self.plan, NIGHT, saved)
        self.session = session_of(self.machine)
        said = self._did(self.session.resume())
        assert self.machine.to_json() == saved  # nothing counts as asked again
        return said

    def _did(self, actions: list[Interpretation | Action] | list[Action]) -> list[str]:
        self.actions = [one for one in actions if not isinstance(one, Interpretation)]
        plays = [action for action in self.actions if isinstance(action, Play)]
        return ["".join(part if isinstance(part, str) else part.value for part in play.parts)
                for play in plays]  # fmt: skip


def test_the_answer_is_understood_where_the_call_goes_on() -> None:
    call = Call(BANK)
    asked = call.says("transfer fifty dollars from checking to savings")
    assert call.moves() == asked
    assert call.actions[-1] == Listen(call.session.expectation)
    assert call.session.expectation.state == "transfer/review"
    call.says("yes")
    assert isinstance(call.actions[-1], CallService)


def test_without_asking_again_the_answer_is_understood_too() -> None:
    call = Call(BANK)
    call.says("transfer fifty dollars from checking to savings")
    session = session_of(Machine.from_json(BANK, NOW, call.machine.to_json()))
    assert session.expectation == call.session.expectation
    assert isinstance(session.handle(KeysEntered("1", 0))[-1], CallService)


@pytest.mark.parametrize(
    ("plan", "events", "kind"),
    [
        (BANK, ["savings balance"], CallService),
        (VOICEMAIL, ["leave a message"], TakeMessage),
        (ADVISED, ["what do you sell"], AskModel),
    ],
)
def test_what_was_asked_of_others_is_asked_again_under_its_id(
    plan: Plan, events: list[str], kind: type
) -> None:
    call = Call(plan)
    for text in events:
        call.says(text)
    asked = call.actions[-1]
    assert isinstance(asked, kind), call.actions
    call.moves()
    assert call.actions == [asked]
    replies: dict[type, Callable[[str], DialogueEvent]] = {
        CallService: lambda id: ServiceReply(id, {"balance": "1.00"}),
        TakeMessage: lambda id: MessageTaken(id, 4.0, "x.wav"),
        AskModel: lambda id: ModelReply(id, '{"say": "Bicycles."}'),
    }
    assert call(replies[kind](asked.id)) != []  # type: ignore[attr-defined]


def test_a_tool_of_the_model_is_called_again_and_told_to_it() -> None:
    call = Call(ADVISED)
    saved = json.loads(call.machine.to_json())
    saved["variables"]["is_known"] = True
    call.machine = Machine.from_json(ADVISED, NOW, json.dumps(saved))
    call.session = session_of(call.machine)
    call.says("have you got tyres")
    asked = call.actions[-1]
    assert isinstance(asked, AskModel)
    call(ModelReply(asked.id, '{"tool": "stock", "arguments": {"item": "tyre"}}'))
    wanted = call.actions[-1]
    call.moves()
    assert call.actions == [wanted]
    assert isinstance(wanted, CallService)
    call(ServiceReply(wanted.id, {"left": 3}))
    assert isinstance(call.actions[-1], AskModel)


def test_before_the_beginning_and_after_the_end_there_is_nothing_to_do() -> None:
    assert Machine(BANK, NOW).resume() == []
    call = Call(BANK)
    call.says("goodbye")
    call.moves()
    assert call.actions == []
    assert session_of(Machine(BANK, NOW)).expectation == Expectation()


def changed(**changes: Any) -> str:
    call = Call(BANK)
    call.says("transfer fifty dollars from checking to savings")
    return json.dumps(json.loads(call.machine.to_json()) | changes)


FILLED = {"value": "savings"}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"variables": {"a": ' + "[" * 900 + "]" * 900 + "}}",
        changed(at=None),
        changed(history=[]),
        changed(mode="run"),
        changed(form=""),
        changed(form="balance"),
        changed(at={"form": "transfer", "kind": "field", "field": ""}),
        changed(at={"form": "transfer", "kind": "menu"}),
        changed(slots={"accuont": FILLED}),
        changed(slots={"account": {"value": "gold"}}),
        changed(slots={"amount": {"value": "fifty"}}),
        changed(slots={"account": FILLED | {"confidence": float("nan")}}),
        changed(ahead={"account": {"value": "gold"}}),
        changed(to_confirm=["card"]),
        changed(denied={"accuont": ["savings"]}),
        changed(stack=[{"form": "balance", "slots": {"account": {"value": "gold"}}}]),
        changed(stack=[{"form": "balance", "to_confirm": ["amount"]}]),
        changed(wishes=[{"form": "balance", "slots": [["accuont", "savings", "", 1.0]]}]),
        changed(mode="service"),
        changed(mode="service", pending="service-1"),
        changed(mode="service", pending="service-1", called={"name": "gone"}),
        changed(mode="service", pending="service-1", called={"name": "balance"}),
        changed(mode="message", pending="message-1"),
        changed(mode="model", pending="model-1"),
        changed(frames=[{"address": ["forms", "transfer", "filled"], "index": -1}]),
        changed(mode="ended", outcome="undeclared"),
        changed(mode="ended"),
    ],
)  # fmt: skip
def test_states_that_no_machine_was_in_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"bank\.yaml:1: "):
        Machine.from_json(BANK, NOW, text)


def test_damaged_states_are_refused_or_go_on() -> None:
    """Some value of a saved state is another one: PlanError, or a call that comes to an end."""
    dice, refused = random.Random(5), 0
    for _ in range(400):
        state = json.loads(changed())
        holder, key = dice.choice(list(_leaves(state)))
        holder[key] = dice.choice([None, "", "savings", "transfer", -1, 7, [], {}, True, "listen"])
        try:
            machine = Machine.from_json(BANK, NOW, json.dumps(state))
        except PlanError:
            refused += 1
            continue
        machine.resume()
        for _ in range(40):
            machine.handle(NoInput(0))
        assert machine.outcome in BANK.outcomes() or machine._state.mode != "listen"
    assert 0 < refused < 400


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, item in list(items):
        found.append((value, key))
        if isinstance(item, dict | list):
            found += _leaves(item)
    return found
