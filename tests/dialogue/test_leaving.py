"""Callers leave what they are in: "cancel", "never mind", "main menu", "start over"."""

from pathlib import Path

import pytest
from conversation import DIALPLANS, plan_of
from spoken_line import Line

from voicebot.dialogue.plan import load_plan
from voicebot.events import Note

pytestmark = pytest.mark.unit

BANK = load_plan(DIALPLANS / "bank.yaml")


@pytest.mark.parametrize(
    ("said", "states"),
    [
        (["make a transfer", "cancel"], ["transfer/from", "anything_else/more"]),
        (["make a transfer", "savings", "never mind"], ["transfer/to", "anything_else/more"]),
        (["make a transfer", "branch hours", "cancel that"], ["hours/branch", "transfer/from"]),
        (["I forgot my pin", "forget it"], ["identify/customer", "anything_else/more"]),
        (["make a transfer", "main menu"], ["transfer/from", "main"]),
        (["make a transfer", "branch hours", "please start over"], ["hours/branch", "main"]),
        (["cancel"], ["main"]),
    ],
)
def test_the_caller_leaves_what_he_is_in(said: list[str], states: list[str]) -> None:
    line = Line(BANK)
    came = []
    for text in said:
        line(text)
        came.append(line.state)
    assert came[-len(states) :] == states


def test_nothing_is_done_by_a_card_that_shall_not_be_blocked() -> None:
    """Where yes or no is asked for, "never mind" is a no: the plan says what follows."""
    line = Line(BANK)
    line("I lost my debit card")
    assert line("never mind")[0] == "All right. I have not blocked it."
    line("cancel")
    assert line.machine.outcome == "served"


def test_who_begins_again_has_given_up_what_he_wished_for() -> None:
    line = Line(BANK)
    line("block my debit card and what is my savings balance")
    line("main menu")
    assert line.state == "main"
    assert Note("wishes dropped", {"forms": ["balance"]}) in line.actions
    assert line.machine.slots == {"card": "debit"}


def test_a_plan_may_switch_them_off(tmp_path: Path) -> None:
    text = (DIALPLANS / "barista.yaml").read_text()
    plan = plan_of(tmp_path, f"universals: {{cancel: false, main_menu: false}}\n{text}")
    names = {one.name for one in plan.expectation().universals}
    assert names == {"help", "repeat", "goodbye", "go_back"}
