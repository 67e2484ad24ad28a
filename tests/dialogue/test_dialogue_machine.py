"""The form interpretation algorithm: what is asked, taken, confirmed and counted."""

from pathlib import Path

import pytest
from conversation import NO, NONSENSE, SILENCE, YES, Conversation, plan_of, says, universal

from voicebot.dialogue.machine import Machine
from voicebot.errors import PlanError
from voicebot.events import (
    BargeInMode,
    CallerHungUp,
    CallStarted,
    Disconnect,
    Interpretation,
    Listen,
    Note,
    Play,
    PromptHeard,
    Reading,
    Record,
    Say,
    ServiceReply,
    SlotType,
    SlotValue,
    TakeMessage,
    Transfer,
)

pytestmark = pytest.mark.unit

TRIP = """\
welcome: Hello.
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  trip:
    phrases: ["to {town}"]
    fields:
      town: {choices: [Oslo, Rome, Bern], prompt: "Where to?", reprompt: "Where?"}
      day: {type: date, prompt: "When?", confirm: always}
      bags: {type: number, prompt: "How many bags?", when: town == 'Rome'}
      note: {type: text, optional: true}
    filled:
      - say: "To {{ town }} on {{ day }}[ with {{ bags }} bags]."
        disconnect: {outcome: booked, goal: true}
"""


@pytest.fixture
def trip(tmp_path: Path) -> Conversation:
    return Conversation(plan_of(tmp_path, TRIP))


def test_fields_in_order_conditions_and_confirmation(trip: Conversation) -> None:
    assert trip.said == ["Hello.", "Where to?"]
    assert trip.state == "trip/town"
    assert trip(says(town="Rome")) == ["When?"]
    assert trip(says(day="2026-11-21")) == ["2026-11-21. Is that right?"]
    assert trip.state == "trip/day/confirm"
    assert trip(YES) == ["How many bags?"]
    assert trip(says(bags="2")) == ["To Rome on 2026-11-21 with 2 bags."]
    assert trip.end == Disconnect("booked", True)
    assert trip.machine.slots == {"town": "Rome", "day": "2026-11-21", "bags": "2"}


def test_one_answer_fills_several_fields(trip: Conversation) -> None:
    assert trip(says(None, town="Oslo", day="2026-11-21", note="by night")) == [
        "2026-11-21. Is that right?"
    ]
    assert trip(YES) == ["To Oslo on 2026-11-21."]


def test_values_are_said_as_their_type(trip: Conversation) -> None:
    trip(says(town="Oslo", day="2026-11-21"))
    assert Play((Say("2026-11-21", "date"), ". Is that right?")) in trip.actions


def test_explicit_confirmation_denied_then_another(trip: Conversation) -> None:
    trip(says(town="Oslo", day="2026-11-21"))
    assert trip(NO) == ["When?"]
    # What was denied comes second to another reading of the same utterance.
    readings = tuple(
        Reading(None, (SlotValue("day", day, "", 0.9),), 0.9)
        for day in ("2026-11-21", "2026-11-27")
    )
    heard = Interpretation(None, readings[0].slots, 0.9, readings)
    assert trip(heard) == ["2026-11-27. Is that right?"]
    assert trip(says(day="2026-11-28")) == ["2026-11-28. Is that right?"]
    assert trip(says(confirmed="no", day="2026-11-29")) == ["2026-11-29. Is that right?"]
    assert trip(says(day="2026-11-29")) == ["To Oslo on 2026-11-29."]


def test_no_too_often_ends_at_the_operator(trip: Conversation) -> None:
    trip(says(town="Oslo"))
    for _ in range(4):
        trip(says(day="2026-11-21"))
        trip(NO)
    assert trip.end == Transfer("+15550100")


def test_confidence_bounds(tmp_path: Path) -> None:
    text = TRIP.replace("welcome: Hello.", "welcome: Hello.\nconfirm: {nomatch_below: 0.3}")
    trip = Conversation(plan_of(tmp_path, text))
    assert trip(says(sure=0.29, town="Oslo"))[-1] == "Where?"
    assert trip(says(sure=0.35, town="Oslo")) == ["Oslo. Is that right?"]
    assert trip(NO) == ["Where?"]
    assert trip(says(sure=0.5, town="Bern")) == ["Okay, Bern.", "When?"]
    assert trip(NO) == ["Where?"]  # "no" to what was mentioned in passing
    assert trip(says(sure=0.7, town="Rome")) == ["When?"]
    assert trip.waits_for is not None
    assert "confirmed" not in {slot.name for slot in trip.waits_for.slots}


def test_denied_value_is_taken_back(trip: Conversation) -> None:
    trip(says(town="Oslo"))
    denied = (SlotValue("town", "Oslo"),)
    assert trip(Interpretation(None, (), 0.9, denied=denied)) == ["Where?"]
    trip(says(town="Oslo"))  # insists: asked about, for it was denied
    assert trip.said == ["Oslo. Is that right?"]
    slots = (SlotValue("town", "Bern"),)
    assert trip(Interpretation(None, slots, 0.9, denied=denied)) == ["Okay, Bern.", "When?"]
    assert trip.machine.slots == {"town": "Bern"}


def test_correction_of_another_field(trip: Conversation) -> None:
    trip(says(town="Oslo"))
    assert trip(says(town="Bern")) == ["Okay, Bern.", "When?"]  # only this is confirmed again
    assert trip.machine.slots == {"town": "Bern"}
    assert Note("correction", {"slot": "town", "from": "Oslo", "to": "Bern"}) in trip.actions
    assert trip(says(town="Oslo")) == ["Oslo. Is that right?"]  # taken back once: asked about


def test_doubtful_words_beside_a_correction_change_nothing_else(trip: Conversation) -> None:
    trip(says(town="Oslo"))
    heard = (SlotValue("town", "Rome", "", 0.6), SlotValue("day", "2026-11-21", "", 0.95))
    trip(Interpretation(None, heard, 0.8))
    assert trip.machine.slots["town"] == "Oslo"


@pytest.mark.parametrize(
    "heard",
    [
        says(town="Paris"),
        says(day="tomorrow"),
        says(bags="nan"),
        says(unknown="x"),
        says("unknown"),
        says(town=""),
    ],
)
def test_what_does_not_fit_is_a_nomatch(trip: Conversation, heard: Interpretation) -> None:
    assert trip(heard) == ["Sorry, I did not understand that.", "Where?"]


def test_default_ladders_end_at_the_operator(trip: Conversation) -> None:
    assert trip(SILENCE) == ["Sorry, I did not hear you.", "Where?"]
    assert trip(NONSENSE) == ["Sorry, I did not understand that.", "Where?"]
    assert trip(SILENCE) == ["I still did not hear anything.", "Where?"]
    assert trip(SILENCE) == ["I will connect you with someone who can help."]
    assert trip.end == Transfer("+15550100", "transferred")


def test_default_ladders_without_operator_end_the_call(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TRIP.replace('{operator: {transfer: "+15550100", dtmf: "0"}}', "{}"))
    trip = Conversation(plan)
    for _ in range(3):
        trip(NONSENSE)
    assert trip.end == Disconnect("nomatch")
    assert trip.said == ["I am sorry that I could not help. Goodbye."]


def test_declared_ladder_by_count(tmp_path: Path) -> None:
    text = TRIP.replace(
        "    fields:\n",
        """\
    noinput:
      - Hello?
      - {count: 3, prompt: 'Still there?', reprompt: false}
      - {count: 4, prompt: Bye., disconnect: silent}
    fields:
""",
    )
    trip = Conversation(plan_of(tmp_path, text))
    assert trip(SILENCE) == ["Hello?", "Where?"]
    assert trip(SILENCE) == ["Hello?", "Where?"]
    assert trip(SILENCE) == ["Still there?"]
    assert trip.state == "trip/town"
    assert trip(SILENCE) == ["Bye."]
    assert trip.end == Disconnect("silent")


def test_counters_are_per_field(trip: Conversation) -> None:
    trip(SILENCE)
    trip(SILENCE)
    trip(says(town="Oslo"))
    assert trip(SILENCE) == ["Sorry, I did not hear you.", "When?"]


def test_inheritance_nearest_wins(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """\
barge_in: none
hints: [plan]
weights: {plan: 2, form: 0.5}
timeouts: {noinput: 3s, complete: 200ms}
dtmf: {interdigit: 1s}
universals: {goodbye: false}
forms:
  a:
    hints: [form]
    weights: {form: 0}
    timeouts: {complete: 400ms}
    fields:
      x: {type: digits, length: {min: 2, max: 4}, prompt: "X?", barge_in: true, hints: [field],
          universals: {help: false, goodbye: {dtmf: "*"}}}
      y: {type: text, prompt: "Y?", dtmf: false}
    filled: {disconnect: done}
""",
    )
    x, y = plan.expectation("a/x"), plan.expectation("a/y")
    assert (x.barge_in, y.barge_in) == (BargeInMode.SPEECH, BargeInMode.NONE)
    assert (x.hints, y.hints) == (("field", "form", "plan"), ("form", "plan"))
    assert x.weights == y.weights == (("form", 0.0), ("plan", 2.0))
    assert (x.timeouts.noinput_ms, x.timeouts.complete_ms) == (3000, 400)
    assert x.digits is not None
    assert (x.digits.min_keys, x.digits.max_keys, x.digits.interdigit_ms) == (2, 4, 1000)
    assert y.digits is None
    assert [u.name for u in x.universals] == ["repeat", "goodbye", "go_back", "main_menu", "cancel"]
    assert [u.name for u in y.universals] == ["help", "repeat", "go_back", "main_menu", "cancel"]
    with pytest.raises(PlanError, match=r"no state 'a/z'.*states are a/x"):
        plan.expectation("a/z")


def test_zero_calls_the_operator_only_where_it_is_no_answer(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  a:
    fields:
      pin: {type: digits, length: 4, prompt: "P?"}
      count: {type: number, prompt: "C?"}
    filled: {disconnect: done}
""",
    )

    def key(state: str) -> str | None:
        return {u.name: u.dtmf for u in plan.expectation(state).universals}["operator"]

    assert (key("a/pin"), key("a/count")) == ("0", None)


def test_universals(trip: Conversation) -> None:
    assert trip(universal("repeat")) == ["Hello.", "Where to?"]
    assert trip(universal("help"))[-1] == "Where?"
    assert trip(universal("go_back"))[-1] == "Where?"
    trip(says(town="Oslo"))
    assert trip(universal("go_back")) == ["Where?"]
    assert trip.machine.slots == {}
    assert trip(universal("unheard_of"))[0] == "Sorry, I did not understand that."
    trip(universal("operator"))
    assert trip.end == Transfer("+15550100")


def test_goodbye_is_not_interrupted(trip: Conversation) -> None:
    trip(universal("goodbye"))
    assert trip.actions == [Play(("Goodbye.",), BargeInMode.NONE), Disconnect("goodbye")]


def test_keys_need_no_confidence(trip: Conversation) -> None:
    heard = Interpretation(None, (SlotValue("town", "Oslo", "1", 0.0),), by="dtmf")
    assert trip(heard) == ["When?"]


SHOP = """\
variables: {tries: 0, limit: 2}
services:
  stock: {webhook: "https://shop.example/stock"}
forms:
  main:
    prompt: "Order, or hours?"
    menu:
      - {goto: order, dtmf: "1", phrases: [buy]}
      - {goto: hours, dtmf: "2"}
  order:
    phrases: ["order [{size}]"]
    enter:
      - record: true
      - set: {tries: 1, vip: call.tier == 'gold'}
        when: tries == 0
    fields:
      size: {choices: {s: {say: small, dtmf: "1"}, l: {say: large, dtmf: "2"}}, prompt: "Size?"}
      certain: {type: yes_no, prompt: "Sure?"}
    filled:
      - {when: not certain, clear: [certain, size], say: All right.}
      - when: certain
        do:
          - call: stock
            with: {size: size, at: now.time}
            assign: {left: data.left}
            error:
              - {when: vip, say: Sorry, dear guest.}
              - {say: No stock., goto: main}
          - {when: left < limit, say: "Only {{ left }} left."}
          - {say: "{{ size }} it is.", goal: sold, disconnect: sold}
  hours:
    anywhere: true
    phrases: [hours]
    enter: Open till nine.
    next: main
"""


@pytest.fixture
def shop_text() -> str:
    return SHOP.replace("Sorry, dear guest.", "'Sorry, dear guest.'")


def test_menu_steps_and_services(tmp_path: Path, shop_text: str) -> None:
    plan = plan_of(tmp_path, shop_text)
    shop = Conversation(plan, {"stock": lambda size, at: {"data": {"left": 1}}}, tier="gold")
    assert shop.said == ["Order, or hours?"]
    assert shop(says("order", size="s")) == ["Sure?"]
    assert Record(True) in shop.actions
    assert shop(says(certain="no")) == ["All right.", "Size?"]
    assert shop(says(size="l")) == ["Sure?"]
    assert shop(says(certain="yes")) == ["Only 1 left.", "large it is."]
    assert shop.called[0].arguments == {"size": "l", "at": "10:30"}
    assert shop.end == Disconnect("sold", True)
    assert shop.machine.goals == ("sold",)


@pytest.mark.parametrize("reply", [{}, {"data": 3}, {"data": {}}])
def test_error_branch_also_for_incomplete_replies(
    tmp_path: Path, shop_text: str, reply: dict[str, object]
) -> None:
    shop = Conversation(plan_of(tmp_path, shop_text), {"stock": lambda size, at: reply})
    shop(says("order", size="s"))
    assert shop(says(certain="yes")) == ["No stock.", "Order, or hours?"]
    vip = Conversation(plan_of(tmp_path, shop_text), {}, tier="gold")
    vip(says("order", size="s"))
    assert vip(says(certain="yes"))[0] == "Sorry, dear guest."


def test_only_the_reply_waited_for_counts(tmp_path: Path, shop_text: str) -> None:
    machine = Machine(
        plan_of(tmp_path, shop_text), Conversation(plan_of(tmp_path, shop_text)).machine._now
    )
    machine.handle(CallStarted())
    machine.handle(says("order", size="s"))
    (call,) = machine.handle(says(certain="yes"))
    assert machine.expectation is None
    assert machine.handle(SILENCE) == []
    assert machine.handle(says(size="l")) == []
    assert machine.handle(ServiceReply("other", {"data": {"left": 9}})) == []
    assert call.id  # type: ignore[union-attr]
    actions = machine.handle(ServiceReply(call.id, {"data": {"left": 9}}))  # type: ignore[union-attr]
    assert actions[-1] == Disconnect("sold", True)
    assert machine.handle(ServiceReply(call.id)) == []  # type: ignore[union-attr]


def test_digression_returns_to_the_field(tmp_path: Path, shop_text: str) -> None:
    shop = Conversation(plan_of(tmp_path, shop_text))
    assert shop(says("hours")) == ["Open till nine.", "Order, or hours?"]
    shop(says("order", size="s"))
    assert shop(says("hours")) == ["Open till nine.", "Sure?"]
    assert shop.state == "order/certain"
    assert shop.machine.slots == {"size": "s"}


def test_menu_takes_slots_that_only_one_form_has(tmp_path: Path, shop_text: str) -> None:
    shop = Conversation(plan_of(tmp_path, shop_text))
    assert shop(says(size="l")) == ["Sure?"]


def test_failed_call_without_error_branch(tmp_path: Path, shop_text: str) -> None:
    start, _, rest = shop_text.partition("            error:\n")
    rest = rest.split("          - {when: left", 1)[1]
    shop = Conversation(plan_of(tmp_path, f"{start}          - {{when: left{rest}"))
    shop(says("order", size="s"))
    shop(says(certain="yes"))
    assert shop.end == Disconnect("error")


def test_endless_steps_end_the_call(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "forms:\n"
        "  a: {enter: [{when: call.stop, disconnect: x}, {when: not call.stop, goto: b}]}\n"
        "  b: {enter: [{when: call.stop, disconnect: x}, {when: not call.stop, goto: a}]}\n",
    )
    assert Conversation(plan, stop="yes").end == Disconnect("x")
    assert Conversation(plan).end == Disconnect("error")


def test_transfer_to_a_computed_number(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, 'forms:\n  a: {enter: {transfer: {to: "{{ call.desk }}", goal: true}}}\n'
    )
    assert Conversation(plan, desk="+15550123").end == Transfer("+15550123", "transferred", True)
    assert Conversation(plan, desk="nowhere").end == Disconnect("error")


def test_hang_up_keeps_the_goal(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "forms:\n  a:\n    enter: {goal: told}\n    fields: {x: {type: text, prompt: 'X?'}}\n"
        "    filled: {disconnect: x}\n",
    )
    call = Conversation(plan)
    assert call(CallerHungUp(0)) == []
    assert (call.machine.outcome, call.machine.is_goal) == ("hung_up", True)
    assert call(says(x="late")) == []


def test_events_out_of_order_do_nothing(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, TRIP))
    assert call.machine.handle(CallStarted()) == []
    assert call.machine.handle(PromptHeard(0, "Hello.", True)) == []
    assert call.machine.handle(ServiceReply("x")) == []
    fresh = Machine(call.plan, call.machine._now)
    assert fresh.handle(SILENCE) == []
    assert fresh.handle(says(town="Oslo")) == []


def test_the_plan_knows_what_was_heard_of_its_prompts(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
forms:
  a:
    fields: {x: {type: text, prompt: "What is it?"}}
    filled:
      - {when: call.was_cut, say: "You heard {{ call.heard | text }}.", disconnect: cut}
      - {say: "All of it.", disconnect: whole}
""",
    )
    cut = Conversation(plan)
    cut(PromptHeard(0, "What is", True))
    assert "You heard What is." in "".join(map(str, cut(says(x="it"))))
    whole = Conversation(plan)
    whole(PromptHeard(0, "What is it?", False))
    whole(says(x="it"))
    assert whole.machine.outcome == "whole"


REFUSING = """\
forms:
  main:
    fields:
      card: {type: digits, length: 4, check: luhn, prompt: "Card?"}
      day: {type: date, prompt: "Day?"}
    review: Right?
    filled: {disconnect: done}
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (NONSENSE, "nothing understood"),
        (says(card="1234"), "no such value"),
        (says(None, 0.1, card="0000"), "too unsure"),
        (says("unheard_of"), "fits nowhere here"),
        (Interpretation(denied=(SlotValue("day", "2026-11-21"),)), "denies what is not held"),
    ],
)
def test_what_is_refused_is_on_record(tmp_path: Path, said: Interpretation, why: str) -> None:
    call = Conversation(plan_of(tmp_path, REFUSING))
    call(said)
    assert [one for one in call.actions if isinstance(one, Note)] == [
        Note("nomatch", {"state": "main/card", "why": why})
    ]
    call(says(card="0000"))
    assert not any(isinstance(one, Note) for one in call.actions)


def test_saved_state_of_another_plan_is_refused(tmp_path: Path, shop_text: str) -> None:
    saved = Conversation(plan_of(tmp_path, TRIP)).machine.to_json()
    other = plan_of(tmp_path, shop_text)
    for text in (saved, "{}x", '{"form": 3}'):
        with pytest.raises(PlanError, match=r"plan\.yaml:1: "):
            Machine.from_json(other, Conversation(other).machine._now, text)


def test_slot_types_are_those_of_events(tmp_path: Path) -> None:
    fields = "".join(
        f"      f_{kind}: {{type: {kind}, prompt: 'Q?'"
        + (", choices: [a]" if kind == "choice" else "")
        + "}\n"
        for kind in SlotType
    )
    plan = plan_of(tmp_path, f"forms:\n  a:\n    fields:\n{fields}    filled: {{disconnect: x}}\n")
    assert {slot.type for slot in plan.expectation().slots} == set(SlotType)


def test_a_long_ladder_without_an_exit_gets_one(tmp_path: Path) -> None:
    rungs = "\n".join(f"  - Rung {number}." for number in range(10))
    plan = plan_of(
        tmp_path,
        f"noinput:\n{rungs}\nforms:\n  a:\n    fields: {{x: {{type: text, prompt: 'X?'}}}}\n"
        "    filled: {disconnect: done}\n",
    )
    call = Conversation(plan)
    for _ in range(10):
        call(SILENCE)
        assert call.machine.outcome is None
    call(SILENCE)
    assert call.machine.outcome == "noinput"


def test_one_no_too_many_leaves_the_form_though_other_readings_are_left(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "nomatch: [Pardon, {prompt: Leave a message., goto: message}]\n"
        "forms:\n"
        "  call:\n"
        "    fields: {phone: {type: phone, confirm: always, prompt: Your number}}\n"
        "    filled: {disconnect: call}\n"
        "  message: {enter: {voicemail: true}, next: call}\n",
    )
    talk = Conversation(plan)
    for last in "1234":
        numbers = [f"555010{last}", f"555020{last}"]
        readings = tuple(Reading(None, (SlotValue("phone", n),), 0.5) for n in numbers)
        heard = Interpretation(None, readings[0].slots, 0.6, readings, "some digits")
        if not any(isinstance(action, Listen) for action in talk.actions):
            break
        talk(heard)
        talk(NO)
    assert talk.said == ["Leave a message."]
    assert isinstance(talk.actions[-1], TakeMessage)
