"""Forms that steps go through, and digressions: both come back to where they left."""

from pathlib import Path

import pytest
from conversation import NONSENSE, Conversation, plan_of, says, universal

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import check
from voicebot.errors import PlanError
from voicebot.events import Disconnect, Note

pytestmark = pytest.mark.unit

ORDER = """\
universals: {operator: {transfer: "+15550100"}}
forms:
  order:
    resume: Now, back to your order.
    fields:
      item: {choices: [book, map], prompt: "Which item?", reprompt: "Item?"}
      gift: {type: yes_no, prompt: "Is it a gift?"}
    filled:
      - form: address
        with: {kind: "'delivery'"}
        assign: {ship_to: zip}
      - when: gift
        form: address
        with: {kind: "'billing'"}
        assign: {bill_to: zip, is_urgent: urgent}
      - say: "{{ item }} to {{ ship_to }}[, bill to {{ bill_to }}][, urgent {{ is_urgent }}]."
        disconnect: ordered

  address:
    variables: {kind: none}
    fields:
      zip: {type: digits, length: 5, prompt: "What is the {{ kind }} zip?", confirm: never}
      urgent: {type: yes_no, optional: true}
    filled:
      - when: zip == '00000'
        say: That one does not exist.
        clear: zip
      - when: zip == '99999'
        return: {zip: "'pick up'"}

  hours:
    anywhere: true
    phrases: hours
    fields:
      item: {choices: [book, map], prompt: "Hours for which item?"}
    filled: "We are open all day for a {{ item }}."
"""


@pytest.fixture
def order(tmp_path: Path) -> Conversation:
    return Conversation(plan_of(tmp_path, ORDER))


def test_a_form_is_gone_through_twice_with_arguments_and_results(order: Conversation) -> None:
    order(says(item="map"))
    assert order(says(gift="yes")) == ["What is the delivery zip?"]
    assert order.state == "address/zip"
    assert order(says(zip="00000")) == ["That one does not exist.", "What is the delivery zip?"]
    assert order(says(zip="12345")) == ["What is the billing zip?"]
    assert order(says(zip="54321", urgent="yes")) == ["map to 12345, bill to 54321, urgent yes."]
    assert order.end == Disconnect("ordered")


def test_return_ends_a_form_with_values_of_its_own(order: Conversation) -> None:
    order(says(item="map"))
    order(says(gift="no"))
    assert order(says(zip="99999")) == ["map to pick up."]


def test_a_digression_keeps_what_was_said_and_asks_shortly_again(order: Conversation) -> None:
    order(says(item="map"))
    assert order.state == "order/gift"
    # The digression asks for an item of its own, and that of the order survives it.
    assert order(says("hours")) == ["Hours for which item?"]
    assert Note("digression", {"from": "order", "to": "hours"}) in order.actions
    assert order(says(item="book")) == [
        "We are open all day for a book.",
        "Now, back to your order.",
        "Is it a gift?",
    ]
    assert order.machine.slots["item"] == "map"


def test_a_digression_within_a_form_that_a_step_goes_through(order: Conversation) -> None:
    order(says(item="map"))
    order(says(gift="no"))
    assert order(says("hours", item="map"))[-1] == "What is the delivery zip?"
    assert order(says(zip="12345")) == ["map to 12345."]


def test_go_back_out_of_a_digression(order: Conversation) -> None:
    order(says(item="map"))
    order(says("hours"))
    assert order(universal("go_back"))[-1] == "Is it a gift?"
    assert order.machine.slots["item"] == "map"
    assert order(says(gift="no")) == ["What is the delivery zip?"]


def test_go_back_out_of_a_form_that_a_step_goes_through(order: Conversation) -> None:
    order(says(item="map"))
    order(says(gift="yes"))
    assert order(universal("go_back")) == ["Is it a gift?"]
    assert order.machine.slots == {"item": "map"}
    assert order(says(gift="no")) == ["What is the delivery zip?"]
    assert order(says(zip="12345")) == ["map to 12345."]


def test_go_back_from_a_digression_within_such_a_form(order: Conversation) -> None:
    order(says(item="map"))
    order(says(gift="no"))
    order(says("hours"))
    assert order(universal("go_back")) == ["What is the delivery zip?"]
    assert order(universal("go_back")) == ["Is it a gift?"]
    assert order.machine.slots["item"] == "map"


def test_asking_again_for_the_digression_one_is_in_starts_it_once(order: Conversation) -> None:
    order(says("hours"))
    order(says("hours"))
    assert order(says(item="book"))[-1] == "Item?"


def test_the_ladders_exit_leaves_all_forms(order: Conversation) -> None:
    order(says(item="map"))
    order(says(gift="no"))
    for _ in range(3):
        order(NONSENSE)
    assert order.end.outcome == "transferred"


def test_a_saved_call_needs_the_forms_it_waits_for(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ORDER)
    call = Conversation(plan)
    call(says(item="map"))
    call(says(gift="no"))
    saved = call.machine.to_json()
    other = plan_of(tmp_path, ORDER.replace("address", "place"))
    with pytest.raises(PlanError, match="another plan"):
        Machine.from_json(other, call.machine._now, saved)
    shorter = plan_of(tmp_path, ORDER.replace("zip:", "code:").replace(": zip", ": code"))
    with pytest.raises(PlanError, match="another plan"):
        Machine.from_json(shorter, call.machine._now, saved)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("form: address", "form: adress", "unknown form 'adress'; did you mean 'address'?"),
        ("with: {kind", "with: {kin", "form 'address' has no 'kin' to fill; did you mean 'kind'?"),
        ("ship_to: zip", "ship_to: zap", "form 'address' gives back no 'zap'; did you mean 'zip'?"),
        ("variables: {kind: none}", "enter: {form: address}", "'address' goes through itself"),
        ("form: address\n", "form: address\n        call: x\n", "a step has one of call, form and"),
        ("variables: {kind: none}", "variables: {item: none}", "'item' is a field or a variable"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(ORDER.replace(old, new, 1))
    found = [str(problem) for problem in check(path)]
    assert any(expected in problem for problem in found), found
