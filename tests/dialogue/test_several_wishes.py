"""Several wishes in one breath, learned intents and values only pointed at: words to a machine."""

from pathlib import Path

import pytest
from conversation import DIALPLANS, plan_of
from spoken_line import Line

from voicebot.dialogue.plan import load_plan
from voicebot.events import Disconnect, Note
from voicebot.nlu.interpreter import prepare

pytestmark = pytest.mark.unit

ALSO = "We will come to the other thing in a moment."
THEN = "Now to the other thing that you asked for."


BANK = {"balance": {"balance": "12.50"}, "block_card": {"reference": "77"}}


def test_the_second_wish_is_begun_when_the_first_is_done() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), BANK)
    said = line("check my savings balance and then block my debit card")
    assert said[:3] == [
        ALSO,
        "Your savings account balance is twelve dollars and fifty cents.",
        THEN,
    ]
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


@pytest.mark.parametrize(
    "text",
    [
        "balance of savings and balance of checking",
        "balance of savings and checking",
        "what is my savings balance and also my checking balance",
    ],
)
def test_two_wishes_of_one_kind_are_both_dealt_with(text: str) -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), BANK)
    told = "account balance is twelve dollars and fifty cents."
    assert line(text)[:4] == [ALSO, f"Your savings {told}", THEN, f"Your checking {told}"]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("transfer two hundred and fifty dollars", "250.00"),
        ("transfer fifty dollars and no transfer sixty dollars", "60.00"),
        ("transfer fifty dollars and I mean sixty dollars", "60.00"),
    ],
)
def test_what_belongs_together_is_one_wish(text: str, amount: str) -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), BANK)
    line(text)
    assert line.machine.slots["amount"] == amount
    assert not any(isinstance(one, Note) and one.kind == "further wishes" for one in line.actions)


HOURS = {"branch_hours": {"is_open": True, "opens": "09:00", "closes": "17:00"}, **BANK}
THREE = "I want my savings balance and then block my debit card and what are your hours"


def test_a_bare_value_is_no_wish_at_a_question_for_yes_or_no() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    line(THREE)
    assert line("the airport")[0] == "Sorry, I did not understand that."
    assert line.state == "lost_card/block"


def test_a_wish_that_was_fulfilled_meanwhile_is_not_begun_again() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    line(THREE)
    assert line("is the airport branch open today")[0].startswith("The airport branch is open")
    assert line.state == "lost_card/block"
    line("no")
    assert line.state == "anything_else/more"


def test_the_interrupted_question_comes_before_what_was_wished_for_earlier() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    line("block my debit card and what are your hours")
    said = line("what is my savings balance")
    assert said[0].startswith("Your savings account balance")
    assert line.state == "lost_card/block"
    assert line("no")[1] == THEN
    assert line.state == "hours/branch"


def test_what_was_wished_for_with_a_digression_follows_it() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    line("make a transfer")
    said = line("is the airport branch open today and what is my savings balance")
    assert said[0] == ALSO
    assert said[2:4] == [THEN, "Your savings account balance is twelve dollars and fifty cents."]
    assert line.state == "transfer/from"


def test_what_was_said_with_a_wish_counts_when_it_is_asked_for_again() -> None:
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    line("block my card and what is my savings balance")
    assert line("my balance")[0].startswith("Your savings account balance")


def test_a_wish_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    line = Line(load_plan(DIALPLANS / "barista.yaml"))
    said = line("can I have a latte and can I have a mocha")
    assert said[0] == "I can only do one thing at a time. Please ask for the rest again later."
    assert Note("wishes dropped", {"forms": ["order"]}) in line.actions


def test_more_wishes_than_are_kept_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.dialogue.wishes.MAX_WISHES", 1)
    line = Line(load_plan(DIALPLANS / "bank.yaml"), HOURS)
    said = line(THREE)
    assert said[:2] == [
        ALSO,
        "I can only do one thing at a time. Please ask for the rest again later.",
    ]
    assert Note("wishes dropped", {"forms": ["hours"]}) in line.actions


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
    waits_for = line.machine.expectation
    assert waits_for is not None
    prepare(waits_for)
    assert all(intent.examples for intent in waits_for.intents)
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
    assert said == [
        "November twenty-seventh, twenty twenty-six November twenty-seventh, twenty twenty-six"
    ]
    assert isinstance(line.actions[-1], Disconnect)


def test_the_bank_knows_who_wants_a_new_pin() -> None:
    services = {"identify": {"is_known": True}, "new_pin": {"days": "3"}, **BANK}
    line = Line(load_plan(DIALPLANS / "bank.yaml"), services)
    line("I forgot my pin and please call me back")
    assert line.state == "identify/customer"
    line("one oh oh oh one seven")
    assert line.state == "identify/born"
    said = line("july fourth nineteen eighty four")
    assert "A new PIN is on its way by mail. It reaches you within three days." in said
    assert THEN in said
    assert line.state == "callback/number"
    said = line.presses("2025550199")
    assert said[0] == "Thank you. An adviser calls you within the hour."
    assert Note("task", {"task": "callback", "number": "2025550199"}) in line.record
    assert line.machine.goals == ("pin_ordered", "callback_noted")


def test_the_bank_sends_strangers_to_an_adviser() -> None:
    services = {"identify": {"is_known": False}}
    line = Line(load_plan(DIALPLANS / "bank.yaml"), services)
    line("reset my pin")
    line.presses("111111")
    assert line.presses("07041984")[0].startswith("I could not find you")
    assert line.machine.outcome == "agent"
