"""Several wishes in one breath, learned intents and values only pointed at: words to a machine."""

from datetime import date
from functools import partial
from pathlib import Path

import pytest
from conversation import DIALPLANS, NOW, plan_of

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.dialogue.session import Session
from voicebot.events import (
    Action,
    CallerTurn,
    CallService,
    CallStarted,
    Disconnect,
    Hypothesis,
    Interpretation,
    Note,
    Play,
    ServiceReply,
    TurnEnded,
    TurnEndReason,
    Word,
)
from voicebot.nlu.interpreter import interpret, interpret_keys, prepare

pytestmark = pytest.mark.unit

ALSO = "We will come to the other thing in a moment."
THEN = "Now to the other thing that you asked for."


class Line:
    """Words to a plan through the interpreter; services answer at once."""

    def __init__(self, plan: Plan, answers: dict[str, dict[str, object]] | None = None) -> None:
        self.plan, self.machine = plan, Machine(plan, NOW)
        self._answers = answers or {}
        self.actions: list[Interpretation | Action] = []
        self._attach()
        self._take(self.session.handle(CallStarted()))

    def _attach(self) -> None:
        self.session = Session(
            self.machine,
            interpret=partial(interpret, today=date(2026, 11, 20)),
            interpret_keys=interpret_keys,
        )

    def __call__(self, text: str, sure: float = 0.9) -> list[str]:
        expectation = self.session.expectation
        self.machine = Machine.from_json(self.plan, NOW, self.machine.to_json())
        self._attach()
        self.session._expectation = expectation
        words = tuple(Word(word, sure) for word in text.split())
        heard = Hypothesis(text, words, sure, is_final=True)
        self._take(self.session.handle(CallerTurn(TurnEnded(0, TurnEndReason.COMPLETE), heard)))
        return self.said

    def _take(self, found: list[Interpretation | Action]) -> None:
        self.actions, pending = [], list(found)
        while pending:
            action = pending.pop(0)
            self.actions.append(action)
            if isinstance(action, CallService):
                reply = ServiceReply(action.id, self._answers[action.name])
                pending += self.session.handle(reply)
        self.state = self.session.expectation.state

    @property
    def said(self) -> list[str]:
        return [
            "".join(part if isinstance(part, str) else part.value for part in action.parts)
            for action in self.actions
            if isinstance(action, Play)
        ]


BANK = {"balance": {"balance": "12.50"}, "block_card": {"reference": "77"}}


def test_the_second_wish_is_begun_when_the_first_is_done() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), BANK)
    said = line("check my savings balance and then block my debit card")
    assert said[:3] == [ALSO, "Your savings account balance is 12.50.", THEN]
    assert line.state == "lost_card/block"
    assert line.machine.slots["card"] == "debit"
    assert Note("further wishes", {"forms": ["lost_card"]}) in line.actions


def test_the_first_wish_may_ask_before_the_second() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), BANK)
    assert line("I lost my card and what is my balance")[0] == ALSO
    assert line.state == "lost_card/card"
    line("debit")
    said = line("yes")
    assert THEN in said
    assert line.state == "balance/account"
    line("checking")
    assert line.state == "anything_else/more"
    assert line.machine.outcome is None


LEARNED = """\
universals: {operator: {transfer: "+15550100"}}
forms:
  main:
    prompt: "How can I help you?"
    menu: [order, refund]
  order:
    phrases: [order]
    examples: [I want to buy something, can I purchase an item, put a thing in my basket,
      I would like to get a new one, please sell me one]
    fields:
      item: {choices: [shirt, hat], prompt: "Which item?"}
      day: {type: date, prompt: "Which day?"}
      back: {type: date, prompt: "And the return?"}
    filled: {say: "{{ day }} {{ back }}", disconnect: {outcome: ordered, goal: true}}
  refund:
    phrases: [refund]
    examples: [I want my money back, give me back what I paid, return my purchase and pay me,
      it is broken and I want to be repaid, reimburse me please]
    filled: {say: "Refunded.", disconnect: {outcome: refunded, goal: true}}
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [("could you reimburse what I paid", None), ("I'd love to purchase a new item", "order/item")],
)
def test_examples_are_learned_from(tmp_path: Path, text: str, state: str | None) -> None:
    line = Line(plan_of(tmp_path, LEARNED))
    prepare(line.session.expectation)
    assert all(intent.examples for intent in line.session.expectation.intents)
    line(text)
    if state is None:
        assert line.actions[-1] == Disconnect("refunded", is_goal=True)
    else:
        assert line.state == state


def test_a_value_may_be_pointed_at(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, LEARNED))
    line("order")
    line("a hat")
    line("next friday")
    assert line.state == "order/back"
    said = line("on the same day")
    assert "2026-11-27 2026-11-27" in said
    assert isinstance(line.actions[-1], Disconnect)
