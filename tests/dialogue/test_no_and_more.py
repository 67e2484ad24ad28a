"""Who says "no" to a question and more beside it; and what is said on the way to the operator."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversation import DIALPLANS, Conversation, plan_of, says, universal
from spoken_line import Line

from voicebot.dialogue.plan import load_plan

pytestmark = pytest.mark.unit

BANK = load_plan(DIALPLANS / "bank.yaml")
ANSWERS = {
    "balance": {"balance": "12.00"},
    "block_card": {"reference": "480017"},
    "branch_hours": {"opens": "09:00", "closes": "17:00", "is_open": True},
}


@pytest.mark.parametrize("text", ["no the credit card", "no I mean the credit card"])
def test_a_no_that_corrects_is_no_answer(text: str) -> None:
    line = Line(BANK, ANSWERS)
    line("I lost my debit card")
    said = line(text)
    assert line.machine.slots == {"card": "credit"}
    assert said == ["Okay, credit.", "Shall I block your credit card? Please say yes or no."]
    assert line("yes")[0].startswith("Your credit card is blocked.")


def test_a_plain_no_is_one() -> None:
    line = Line(BANK, ANSWERS)
    line("I lost my debit card")
    assert line("no")[0] == "All right. I have not blocked it."


def test_who_meant_something_else_is_not_hung_up_on() -> None:
    line = Line(BANK, ANSWERS)
    line("what is the balance of savings")
    assert line.state == "anything_else/more"
    said = line("no I mean checking")
    assert said[0] == "Your checking account balance is twelve dollars."
    assert line.state == "anything_else/more"
    line("no that's all")
    assert line.machine.outcome == "served"


NOBODY = """\
hours: {weekly: {friday: "9:00-10:00"}}
timezone: America/New_York
universals: {operator: {goto: desk, dtmf: "0"}}
services: {look: {webhook: "https://example.org/l"}}
forms:
  main:
    enter: {call: look, assign: found}
    fields: {n: {type: number, prompt: "How many?"}}
    filled: {disconnect: done}
  desk:
    enter: {say: Nobody is here now., disconnect: nobody}
"""


def test_a_form_that_stands_for_the_operator_speaks_for_itself(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, NOBODY)
    services = {"look": lambda: {"found": "1"}}
    call = Conversation(plan, services)
    assert call(universal("operator")) == ["Nobody is here now."]
    call = Conversation(plan, services)
    for _ in range(2):
        call(says())
    assert call(says()) == ["Nobody is here now."]
    assert Conversation(plan).said == ["Nobody is here now."]  # the service fails
