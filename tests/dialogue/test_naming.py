"""At a review callers name what is wrong, without the new value: that alone is asked for."""

from pathlib import Path

import pytest
from conversation import DIALPLANS, plan_of
from spoken_line import Line

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.naming import CHANGE, intents
from voicebot.dialogue.plan import check, load_plan
from voicebot.events import CallService, Note
from voicebot.nlu.grammar import problem

pytestmark = pytest.mark.unit

TRANSFER = "transfer fifty dollars from checking to savings"
ANSWERS = {
    "transfer": {"status": "done", "available": "100.00"},
    "branch_hours": {"is_open": True, "opens": "09:00", "closes": "17:00"},
}
LATTE = "can I have a large latte with soy milk please"


def at_review(name: str, *said: str) -> Line:
    line = Line(load_plan(DIALPLANS / f"{name}.yaml"), ANSWERS)
    for text in said:
        line(text)
    assert line.machine.state.endswith("/review")
    return line


@pytest.mark.parametrize(
    ("text", "state", "left"),
    [
        ("the amount", "transfer/amount", {"from", "to"}),
        ("no, the amount is wrong", "transfer/amount", {"from", "to"}),
        ("change the amount please", "transfer/amount", {"from", "to"}),
        ("yes but the amount is wrong", "transfer/amount", {"from", "to"}),
        ("no, the second account", "transfer/to", {"from", "amount"}),
        ("one of the accounts", "transfer/from", {"amount"}),
        ("the amount and the second account", "transfer/to", {"from"}),
    ],
)
def test_what_is_named_is_asked_for_alone(text: str, state: str, left: set[str]) -> None:
    line = at_review("bank", TRANSFER)
    line(text)
    assert (line.machine.state, set(line.machine.slots)) == (state, left)
    (note,) = [action for action in line.actions if isinstance(action, Note)]
    assert note.kind == "change"


def test_at_the_question_what_shall_be_changed_too() -> None:
    line = at_review("bank", TRANSFER)
    line("no")
    assert line.machine.state == "transfer/change"
    line("the amount")
    assert line("sixty dollars")[0].startswith("Transfer sixty dollars from your checking account")
    line("yes")
    assert any(isinstance(action, CallService) for action in line.record)


def test_who_gets_on_is_not_sent_to_the_operator() -> None:
    """Only "no" upon "no", without a word about what is wrong, is."""
    line = at_review("bank", TRANSFER)
    for amount in ("ten", "twenty", "thirty", "forty", "sixty"):
        line("no")
        line("the amount")
        assert line(f"{amount} dollars")[0].startswith(f"Transfer {amount} dollars")
    for _ in range(4):
        line("no")
        line("no")
    assert line.machine.outcome == "agent"


def test_a_value_beside_the_name_is_the_new_one() -> None:
    line = at_review("bank", TRANSFER)
    line("no, the amount should be sixty")
    assert line.machine.state == "transfer/review"
    assert line.machine.slots["amount"] == "60.00"


def test_yes_is_yes_whatever_is_named_beside_it() -> None:
    line = at_review("bank", TRANSFER)
    assert (
        "I have moved fifty dollars to your savings account" in line("yes the amount is right")[0]
    )


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("the size", "order/size"),
        ("no, the size is wrong", "order/size"),
        ("the shots", "order/numberOfShots"),
        ("not the milk", "order/milkAmount"),
        ("the drink", "order/coffeeDrink"),
    ],
)
def test_optional_fields_are_asked_for_where_they_are_named(text: str, state: str) -> None:
    line = at_review("barista", LATTE)
    line(text)
    assert line.machine.state == state


def test_no_leaves_an_optional_field_empty() -> None:
    line = at_review("barista", LATTE)
    assert line("the size") == ["What size would you like?"]
    assert line("no") == ["One latte, with soy milk.", "Is that right?"]
    line("the drink")
    line("no")
    assert line.machine.state == "order/coffeeDrink"  # nobody orders nothing


def test_it_outlasts_another_machine_and_a_digression() -> None:
    line = at_review("bank", TRANSFER)
    line("the amount and the second account")
    line("is the airport branch open today")
    assert line.machine.state == "transfer/to"
    machine = Machine.from_json(line.plan, line.machine._now, line.machine.to_json())
    assert machine.expectation == line.machine.expectation


PLAN = """\
forms:
  main:
    fields:
      coffee_size: {choices: [small, large], prompt: "Which size?"}
      cup_size: {choices: [paper, mug], prompt: "Which cup?"}
      on: {type: date, prompt: "When?", phrases: "delivery [date]"}
      extra: {type: number, prompt: "How many?", when: cup_size == 'mug'}
    review: "Is that right?"
    filled: {disconnect: done}
"""


def test_names_are_what_tells_fields_apart(tmp_path: Path) -> None:
    found = {one.name: one.phrases for one in intents(plan_of(tmp_path, PLAN).keys, "main")}
    assert found == {
        f"{CHANGE}coffee_size": ("coffee size", "coffee"),
        f"{CHANGE}cup_size": ("cup size", "cup"),
        f"{CHANGE}on": ("delivery [date]", "date", "day"),  # "on" is said all the time
        f"{CHANGE}extra": ("extra",),
    }


def test_what_need_not_be_known_is_not_asked_for(tmp_path: Path) -> None:
    line = Line(plan_of(tmp_path, PLAN))
    for text in ("small", "paper", "december third"):
        line(text)
    line("no the extra")
    assert line.machine.state == "main/change"


def test_mistakes_in_a_fields_phrases(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.replace("delivery [date]", "delivery [date"))
    assert "plan.yaml:6:" in str(check(path, pattern_problem=problem)[0])
    path.write_text(PLAN.replace("delivery [date]", "delivery {cup}"))
    assert "no field 'cup' in this form" in str(check(path)[0])


def test_who_named_the_wrong_field_keeps_its_value() -> None:
    """A clear answer is no other value because the field was called wrong."""
    line = at_review("bank", TRANSFER)
    line("no, the from account")
    assert line("checking")[0].startswith("Transfer fifty dollars from your checking account to")
    assert line.state == "transfer/review"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("that amount is wrong", "transfer/amount"),
        ("that account is wrong", "transfer/from"),
        ("no, fifty", "transfer/change"),
        ("yes, fifty", "anything_else/more"),
        ("yes but change the amount", "transfer/amount"),
        ("okay but a different account", "transfer/from"),
        ("the amount is right but not the account", "transfer/from"),
        ("the accounts are right but the amount is wrong", "transfer/amount"),
        ("the amount is right and the second account is wrong", "transfer/to"),
        ("the amount is fine", "anything_else/more"),
        ("no not savings", "transfer/to"),
        ("no not checking", "transfer/from"),
        ("not my credit card", "transfer/change"),
    ],
)
def test_what_is_wrong_is_asked_for(text: str, state: str) -> None:
    """No value is taken for another field's, nothing moves where something is to be changed, and
    what is said again is no change."""
    line = at_review("bank", TRANSFER)
    line(text)
    assert line.state == state
    assert state != "transfer/change" or len(line.machine.slots) == 3


def test_a_value_beside_a_denial_is_for_the_field_that_holds_it() -> None:
    line = at_review("bank", TRANSFER)
    line("not savings but credit card")
    assert line.state == "transfer/review"
    assert line.machine.slots == {"from": "checking", "to": "credit card", "amount": "50.00"}


def test_what_is_upheld_is_read_back() -> None:
    line = at_review("barista", LATTE)
    line("not almond milk, soy milk")
    assert (line.state, line.machine.slots["milkAmount"]) == ("order/review", "soy milk")


def test_in_spanish_too(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """\
language: es
forms:
  cita:
    fields:
      dia: {type: date, prompt: "¿Qué día?"}
      hora: {type: time, prompt: "¿A qué hora?"}
    review: "¿Es correcto?"
    filled: {disconnect: done}
""",
    )
    line = Line(plan)
    for text in ("el lunes", "a las siete", "sí pero cambia la hora"):
        line(text)
    assert line.state == "cita/hora"


@pytest.mark.parametrize("text", ["never mind", "none", "skip it", "No, skip that please.", "no"])
def test_an_optional_field_may_be_left_out(text: str) -> None:
    line = at_review("barista", LATTE)
    line("the size")
    assert line(text) == ["One latte, with soy milk.", "Is that right?"]


def test_who_goes_back_is_at_the_review_again() -> None:
    """With what was held, also after a digression."""
    line = at_review("bank", TRANSFER)
    line("the amount and the second account")
    line("is the airport branch open today")
    saved = line.machine.to_json()
    assert Machine.from_json(line.plan, line.machine._now, saved).to_json() == saved
    assert line("go back")[0].startswith("Transfer fifty dollars from your checking account to")
    held = {"from": "checking", "to": "savings", "amount": "50.00"}
    assert held.items() <= line.machine.slots.items()


def test_the_same_account_twice_is_noticed_from_either_side() -> None:
    line = at_review("bank", TRANSFER)
    line("no, the from account")
    assert line("savings")[0] == "These are the same account."
    assert line.state == "transfer/to"
