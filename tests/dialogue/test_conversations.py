"""Whole calls over the plans that come with voicebot, and callers who do anything at all."""

import importlib.util
from typing import Any

import pytest
from conversation import (
    DIALPLANS,
    NO,
    NONSENSE,
    NOW,
    SILENCE,
    YES,
    Conversation,
    says,
    universal,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import Plan, load_plan
from voicebot.events import (
    BargeInMode,
    CallerHungUp,
    CallService,
    CallStarted,
    DialogueEvent,
    Disconnect,
    Expectation,
    Interpretation,
    Listen,
    NoInput,
    Play,
    PromptHeard,
    Reading,
    ServiceReply,
    SlotType,
    SlotValue,
    Transfer,
)

pytestmark = pytest.mark.unit

BANK = load_plan(DIALPLANS / "bank.yaml")
BARISTA = load_plan(DIALPLANS / "barista.yaml")
PLANS = {"bank": BANK, "barista": BARISTA}


@pytest.fixture
def bank() -> Conversation:
    spec = importlib.util.spec_from_file_location("backend", DIALPLANS / "bank_backend.py")
    assert spec is not None
    assert spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    return Conversation(BANK, backend.FUNCTIONS)


@pytest.fixture
def barista() -> Conversation:
    return Conversation(BARISTA)


# ---------------------------------------------------------------- barista


def test_whole_order_in_one_sentence(barista: Conversation) -> None:
    assert barista.said == ["Welcome to the coffee bar.", "What can I get you?"]
    order = says("orderDrink", coffeeDrink="latte", size="small", milkAmount="a bit of cream")
    assert barista(order) == ["One small latte, with a bit of cream.", "Is that right?"]
    assert barista(YES) == ["Thank you. Your latte will be ready in five minutes. Goodbye."]
    assert barista.end == Disconnect("ordered", True)
    assert barista.machine.slots == {
        "coffeeDrink": "latte",
        "size": "small",
        "milkAmount": "a bit of cream",
    }


def test_only_the_drink_is_asked_for(barista: Conversation) -> None:
    assert barista(says("orderDrink", size="large", roast="dark roast")) == [
        "Which coffee would you like?"
    ]
    assert barista(says(coffeeDrink="mocha")) == ["One large dark roast mocha.", "Is that right?"]


def test_order_without_a_slot(barista: Conversation) -> None:
    assert barista(says("orderDrink")) == ["Which coffee would you like?"]


def test_no_then_what_to_change(barista: Conversation) -> None:
    barista(says("orderDrink", coffeeDrink="latte"))
    assert barista(NO) == ["What would you like to change?"]
    assert barista(SILENCE) == ["Sorry, I did not hear you.", "What would you like to change?"]
    assert barista(says(size="large")) == ["One large latte.", "Is that right?"]
    assert barista(NO) == ["What would you like to change?"]
    assert barista(NO) == ["One large latte.", "Is that right?"]  # nothing after all
    assert barista(YES)[0].startswith("Thank you.")


def test_no_with_the_correction_at_once(barista: Conversation) -> None:
    barista(says("orderDrink", coffeeDrink="latte", size="small"))
    assert barista(says(confirmed="no", size="large")) == ["One large latte.", "Is that right?"]
    denied = (SlotValue("size", "large"),)
    assert barista(Interpretation(None, (), 0.9, denied=denied)) == [
        "One latte.",
        "Is that right?",
    ]


def test_always_no_ends(barista: Conversation) -> None:
    barista(says("orderDrink", coffeeDrink="latte"))
    for _ in range(10):
        if barista.waits_for is not None:
            barista(NO)
    assert barista.machine.outcome == "nomatch"


# ---------------------------------------------------------------- bank


def test_balance(bank: Conversation) -> None:
    assert bank(says("balance")) == ["Which account? Checking, savings, or credit card?"]
    assert bank(says(account="savings")) == [
        "Your savings account balance is 8300.00.",
        "Is there anything else I can do for you?",
    ]
    assert bank(says(more="no")) == ["Thank you for calling Example Bank. Goodbye."]
    assert bank.end == Disconnect("served", True)


def test_transfer_in_one_sentence_with_correction(bank: Conversation) -> None:
    slots = {"from": "checking", "to": "savings", "amount": "50.00"}
    assert bank(says("transfer", **slots)) == [
        "Transfer 50.00 from your checking account to your savings account. Is that right?"
    ]
    assert bank(says(confirmed="no", amount="15.00")) == [
        "Transfer 15.00 from your checking account to your savings account. Is that right?"
    ]
    assert bank(YES)[0] == "Done. I have moved 15.00 to your savings account."
    assert bank.called[-1].arguments == {
        "source": "checking",
        "target": "savings",
        "amount": "15.00",
    }


def test_transfer_step_by_step_with_mistakes(bank: Conversation) -> None:
    bank(says("transfer"))
    assert bank(says(**{"from": "checking"})) == ["And to which account?"]
    assert bank(says(to="checking"))[0] == "These are the same account."
    assert bank(says(to="savings")) == ["How much would you like to transfer?"]
    assert bank(says(amount="0.00"))[0] == "The amount must be more than zero."
    bank(says(amount="9000.00"))
    assert bank(YES) == [
        "There is only 1250.40 in your checking account.",
        "How much? For example, say fifty dollars.",
    ]
    bank(says(amount="100.00"))
    assert bank(YES)[0] == "Done. I have moved 100.00 to your savings account."
    assert bank(CallerHungUp(0)) == []
    assert bank.machine.is_goal


def test_lost_card(bank: Conversation) -> None:
    terms, question = bank(says("lost_card", card="credit"))
    assert "say operator or press zero" in terms
    assert question == "Shall I block your credit card now?"
    # Only the hot word or a key interrupts the terms; any answer the question.
    assert barge_ins(bank) == [BargeInMode.HOTWORD, BargeInMode.SPEECH]
    assert bank.waits_for is not None
    assert bank.waits_for.digits is not None
    assert not bank.waits_for.digits.has_type_ahead
    assert bank(SILENCE)[-1] == "Shall I block your credit card? Please say yes or no."
    assert bank(says(block="yes"))[0] == (
        "Your credit card is blocked. Your reference number is 480017."
    )
    assert barge_ins(bank) == [BargeInMode.DTMF, BargeInMode.SPEECH]
    bank(says(more="yes"))
    bank(says("lost_card", card="debit"))
    assert bank(says(block="no")) == [
        "All right. I have not blocked it.",
        "Is there anything else I can do for you?",
    ]


def barge_ins(call: Conversation) -> list[BargeInMode]:
    """What may interrupt each of the prompts just spoken."""
    return [action.barge_in for action in call.actions if isinstance(action, Play)]


def test_hours_in_the_midst_of_a_transfer(bank: Conversation) -> None:
    bank(says("transfer", **{"from": "checking"}))
    assert bank(says("hours", branch="airport")) == [
        "The airport branch is open today from 07:00 to 21:00.",
        "Now back to your transfer.",
        "To which account? Checking, savings, or credit card?",
    ]
    assert bank.machine.slots == {"from": "checking", "branch": "airport"}


def test_agent(bank: Conversation) -> None:
    assert bank(universal("operator")) == ["I will connect you with one of our advisers."]
    assert bank.end == Transfer("+15550100", "agent")


def test_service_down(bank: Conversation) -> None:
    bank.services = {}
    bank(says("lost_card", card="credit"))
    bank(says(block="yes"))
    assert bank.end == Transfer("+15550100", "agent")


# ---------------------------------------------------------------- anything at all


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("kinds", [(SILENCE,), (NONSENSE,), (SILENCE, NONSENSE)])
def test_who_never_answers_is_let_go(name: str, kinds: tuple[DialogueEvent, ...]) -> None:
    """From every place that a call can be brought to."""
    plan = PLANS[name]
    for prefix in PREFIXES[name]:
        call = Conversation(plan, FAKES)
        for event in prefix:
            call(event)
        for turn in range(20):
            if call.waits_for is None:
                break
            call(kinds[turn % len(kinds)])
        assert call.machine.outcome in plan.outcomes()
        assert call.machine.outcome is not None


FAKES: dict[str, Any] = {
    "balance": lambda account: {"balance": "1.00"},
    "transfer": lambda **_: {"status": "insufficient", "available": "1.00"},
    "branch_hours": lambda **_: {"is_open": False, "opens": "", "closes": ""},
    "block_card": lambda card: {"reference": "1"},
}
PREFIXES: dict[str, list[list[DialogueEvent]]] = {
    "barista": [
        [],
        [says(size="small")],
        [says("orderDrink", coffeeDrink="latte")],
        [says("orderDrink", coffeeDrink="latte"), NO],
    ],
    "bank": [
        [],
        [says("balance")],
        [says("balance", account="savings")],
        [says("transfer")],
        [says("transfer", **{"from": "checking"})],
        [says("transfer", **{"from": "checking", "to": "savings"})],
        [says("transfer", **{"from": "checking", "to": "savings", "amount": "5.00"})],
        [says("transfer", **{"from": "checking", "to": "savings", "amount": "5.00"}), NO],
        [says("transfer", **{"from": "checking", "to": "savings", "amount": "5.00"}), YES],
        [says("transfer"), says("balance")],
        [says(sure=0.3, account="savings"), says("balance"), says(sure=0.3, account="savings")],
        [says("lost_card")],
        [says("lost_card", card="debit")],
        [says("hours")],
    ],
}


def values_of(waits_for: Expectation) -> st.SearchStrategy[SlotValue]:
    """Slot values, mostly of the kind waited for, some of any other."""
    by_type = {SlotType.YES_NO: ["yes", "no"], SlotType.AMOUNT: ["0.00", "5.00", "-1.00"]}
    known = [
        (slot.name, value)
        for slot in waits_for.slots
        for value in [c.value for c in slot.choices] or by_type.get(slot.type, ["1", "x"])
    ]
    pairs = st.sampled_from(known) | st.tuples(st.text(max_size=3), st.text(max_size=3))
    return st.builds(
        lambda pair, sure: SlotValue(pair[0], pair[1], pair[1], sure),
        pairs if known else st.tuples(st.text(max_size=3), st.text(max_size=3)),
        st.floats(allow_nan=True) | st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    )


def utterances(waits_for: Expectation) -> st.SearchStrategy[DialogueEvent]:
    names = [intent.name for intent in (*waits_for.intents, *waits_for.universals)]
    slots = st.lists(values_of(waits_for), max_size=3).map(tuple)
    intents = st.none() | st.sampled_from([*names, "nothing"])
    sure = st.floats(0, 1)
    return st.builds(
        Interpretation,
        intent=intents,
        slots=slots,
        confidence=sure,
        nbest=st.lists(st.builds(Reading, intents, slots, sure), max_size=2).map(tuple),
        text=st.just(""),
        is_universal=st.booleans(),
        denied=slots,
        by=st.sampled_from(["speech", "dtmf"]),
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def next_event(draw: st.DrawFn, waits_for: Expectation, pending: str) -> DialogueEvent:
    keys = ["balance", "status", "available", "is_open", "opens", "closes", "reference"]
    replies = st.builds(
        ServiceReply,
        st.sampled_from([pending, pending, "other"]),
        st.dictionaries(st.sampled_from(keys), JSON | st.just("done")),
        st.none() | st.just("failed"),
    )
    return draw(
        utterances(waits_for)
        | utterances(waits_for)
        | replies
        | st.just(NoInput(0))
        | st.builds(PromptHeard, st.just(0), st.text(max_size=3), st.booleans())
        | st.builds(CallStarted, st.just(0), st.dictionaries(st.text(max_size=3), st.text()))
        | st.sampled_from([CallerHungUp(0), *[NoInput(0)] * 9])
    )


def feed(plan: Plan, data: st.DataObject) -> None:
    machine = Machine(plan, NOW)
    waits_for, pending, states = Expectation(), "", set(plan.states())
    for turn in range(data.draw(st.integers(0, 25))):
        begins = turn == 0 and data.draw(st.integers(0, 9)) > 0
        event = CallStarted() if begins else data.draw(next_event(waits_for, pending))
        actions = machine.handle(event)
        for action in actions[:-1]:
            assert not isinstance(action, Listen | CallService | Disconnect | Transfer)
        for action in actions:
            if isinstance(action, Listen):
                waits_for = action.expectation
                assert machine.state == waits_for.state
                assert waits_for.state in states
                assert waits_for == machine.expectation
            elif isinstance(action, CallService):
                pending = action.id
                assert action.name in plan.services
            elif isinstance(action, Disconnect | Transfer):
                assert (machine.outcome, machine.is_goal) == (action.outcome, action.is_goal)
            elif isinstance(action, Play):
                assert "".join(str(part) for part in action.parts).strip()
        if machine.outcome is not None:
            assert machine.outcome in plan.outcomes()
        saved = machine.to_json()
        machine = Machine.from_json(plan, NOW, saved)
        assert machine.to_json() == saved


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_bank_survives_any_order_of_events(data: st.DataObject) -> None:
    feed(BANK, data)


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_barista_survives_any_order_of_events(data: st.DataObject) -> None:
    feed(BARISTA, data)
