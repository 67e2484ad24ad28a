"""What a plan asks of others: services, messages, tasks, people, and when nobody is there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from conversation import NO, SILENCE, YES, Conversation, plan_of, says

from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import check
from voicebot.events import (
    CallerHungUp,
    CallService,
    CallStarted,
    Disconnect,
    Interpretation,
    Listen,
    MessageTaken,
    Note,
    Play,
    Reading,
    Say,
    ServiceReply,
    SlotValue,
    TakeMessage,
    Transfer,
)

pytestmark = pytest.mark.unit

CHOSEN = """\
services: {guess: {webhook: "https://example.org/g"}}
forms:
  main:
    enter: {call: guess, assign: {size: size}, error: []}
    fields: {size: {choices: [small, large], prompt: "Which size?"}}
    filled: {disconnect: done}
"""


@pytest.mark.parametrize(("size", "is_taken"), [("large", True), ("huge", False), ("", False)])
def test_a_choice_takes_no_value_from_outside_that_it_has_not(
    tmp_path: Path, size: str, is_taken: bool
) -> None:
    call = Conversation(plan_of(tmp_path, CHOSEN), {"guess": lambda: {"size": size}})
    notes = [action.kind for action in call.actions if isinstance(action, Note)]
    assert ("value refused" in notes, call.said) == (
        not is_taken,
        [] if is_taken else ["Which size?"],
    )


OFFICE = """\
timezone: America/New_York
hours:
  weekly: {monday-friday: "8:30-17:00", saturday: ["9:00-12:00", "13:00-15:00"]}
  holidays: {"12-25": closed, "12-24": "9:00-12:00", "2026-11-26": closed}
  closed: after_hours
forms:
  main:
    enter: {say: "We are here.", disconnect: open}
  after_hours:
    enter:
      - say: Please leave a message.
        voicemail: {max: 60s, min: 2s, silence: 3s, terminator: "*"}
        assign: {file: file, length: seconds}
        error: {say: "I heard no message.", disconnect: no_message}
      - {say: "Thank you.", disconnect: {outcome: message_left, goal: true}}
"""


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-20T08:29", False),
        ("2026-11-20T08:30", True),
        ("2026-11-20T16:59", True),
        ("2026-11-20T17:00", False),
        ("2026-11-21T12:30", False),  # Saturday's lunch
        ("2026-11-21T13:00", True),
        ("2026-11-22T10:00", False),  # Sunday is not named
        ("2026-11-26T10:00", False),  # a holiday of that year
        ("2027-11-26T10:00", True),
        ("2026-12-25T10:00", False),  # a holiday of every year
        ("2026-12-24T11:59", True),
        ("2026-12-24T13:00", False),
        ("2026-11-20T14:00+00:00", True),  # nine o'clock in New York
        ("2026-11-20T23:00+01:00", False),
        ("2026-07-20T12:30+00:00", True),  # half past eight in summer
        ("2026-11-20T12:30+00:00", False),  # half past seven in winter
    ],
)
def test_opening_hours(tmp_path: Path, moment: str, is_open: bool) -> None:
    machine = Machine(plan_of(tmp_path, OFFICE), datetime.fromisoformat(moment))
    actions = machine.handle(CallStarted())
    assert any(isinstance(action, Disconnect) for action in actions) == is_open
    assert (
        any(isinstance(action, Note) and action.kind == "closed" for action in actions) != is_open
    )


def voicemail(tmp_path: Path) -> tuple[Machine, TakeMessage]:
    machine = Machine(plan_of(tmp_path, OFFICE), datetime(2026, 11, 22, 10, tzinfo=UTC))
    actions = machine.handle(CallStarted())
    assert isinstance(actions[-1], TakeMessage)
    return machine, actions[-1]


def test_a_message_is_recorded_within_its_limits(tmp_path: Path) -> None:
    machine, take = voicemail(tmp_path)
    assert take == TakeMessage("message-1", 60_000, 3000, "*", True)
    assert machine.handle(says("main")) == []  # what is said is the message
    assert machine.handle(MessageTaken("message-9", 5.0, "x.wav")) == []
    actions = machine.handle(MessageTaken("message-1", 5.04, "x.wav", "silence"))
    assert actions[-1] == Disconnect("message_left", True)
    note = next(action for action in actions if isinstance(action, Note))
    assert (note.kind, note.data["file"], note.data["seconds"]) == ("message", "x.wav", 5.0)
    assert machine.handle(MessageTaken("message-1", 5.0, "x.wav")) == []  # told twice


@pytest.mark.parametrize(
    "taken",
    [MessageTaken("message-1", 1.9, "x.wav"), MessageTaken("message-1", 9.0, error="disk full")],
)
def test_no_message_is_an_error(tmp_path: Path, taken: MessageTaken) -> None:
    machine, _ = voicemail(tmp_path)
    actions = machine.handle(taken)
    assert actions[-1] == Disconnect("no_message")
    assert any(isinstance(action, Note) and action.kind == "no message" for action in actions)


def test_who_hangs_up_has_left_the_message(tmp_path: Path) -> None:
    machine, _ = voicemail(tmp_path)
    machine.handle(MessageTaken("message-1", 7.0, "x.wav", "hangup"))
    machine.handle(CallerHungUp(0))
    assert (machine.outcome, machine.is_goal) == ("message_left", True)


CALLBACK = """\
forms:
  callback:
    fields:
      number: {type: phone, prompt: "What is your number?", confirm: always}
      when_to: {type: time, prompt: [{say: "And when?", noinput: 12s}]}
    filled:
      - task: callback
        with: {number: number, time: when_to, caller: call.caller}
      - transfer: {queue: sales, hold_prompt: "You are number {position}.", goal: true}
"""


def test_a_call_back_is_a_task_in_the_record(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, CALLBACK), caller="+15551234567")
    call(says(number="5550199"))
    call(YES)
    assert call.waits_for is not None
    assert call.waits_for.timeouts.noinput_ms == 12_000  # of this prompt alone
    assert call(SILENCE)[-1] == "And when?"
    assert call.waits_for.timeouts.noinput_ms == 12_000
    call(says(when_to="15:30"))
    data = {"task": "callback", "number": "5550199", "time": "15:30", "caller": "+15551234567"}
    assert Note("task", data) in call.actions
    assert call.end == Transfer(
        "", is_goal=True, queue="sales", hold_prompt="You are number {position}."
    )


def test_a_warm_hand_over_tells_what_it_is_about(tmp_path: Path) -> None:
    text = CALLBACK.replace(
        '{queue: sales, hold_prompt: "You are number {position}.", goal: true}',
        '{to: "+15550100", summary: ["A caller", "{{ number }}[ at {{ when_to }}]"]}',
    )
    call = Conversation(plan_of(tmp_path, text))
    call(says(number="5550199", when_to="15:30"))
    call(YES)
    assert call.end == Transfer(
        "+15550100",
        summary=("A caller", Say("5550199", "phone"), " at ", Say("15:30", "time")),
    )
    assert call.said == []  # not to the caller


SERVICE = """\
universals: {operator: {transfer: "+15550100"}}
services:
  look_up:
    webhook: "https://example.org/x"
    filler: One moment, I am looking up {{ town }}.
    filler_after: 800ms
    reply: {price: amount, status: [free, taken], note: any, is_new: yes_no}
forms:
  main:
    fields: {town: {choices: [Oslo, Rome], prompt: "Where?"}}
    filled:
      - call: look_up
        with: town
        assign: [price, status]
        error: {say: Sorry., disconnect: broken}
      - {say: "{{ price | money }}, {{ status }}.", disconnect: told}
"""
GOOD = {"price": "12.50", "status": "free", "note": {"a": 1}, "is_new": True}


def test_a_filler_goes_with_the_call_out(tmp_path: Path) -> None:
    machine = Machine(plan_of(tmp_path, SERVICE), datetime(2026, 11, 20))
    machine.handle(CallStarted())
    (call,) = machine.handle(says(town="Oslo"))
    assert isinstance(call, CallService)
    assert call.filler == (Play(("One moment, I am looking up Oslo.",)),)
    assert call.filler_after_ms == 800
    assert machine.handle(ServiceReply(call.id, GOOD))[-1] == Disconnect("told")


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": "a lot"},
        {"price": None},
        {"price": {"value": 1}},
        {"price": [1]},
        {"price": "NaN"},
        {"status": "FREE"},
        {"status": ["free"]},
        {"note": None},
        {"is_new": 3},
    ],
)
def test_a_reply_that_is_rubbish_is_an_error_on_record(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    call = Conversation(plan_of(tmp_path, SERVICE), {"look_up": lambda town: {**GOOD, **wrong}})
    assert call(says(town="Oslo")) == ["Sorry."]
    assert call.end == Disconnect("broken")
    assert any(
        isinstance(action, Note) and action.kind == "reply refused" for action in call.actions
    )


# ---------------------------------------------------------------- confirmation


def readings(*values: str, sure: float = 0.3) -> Interpretation:
    """One utterance that may mean several towns."""
    every = tuple(Reading(None, (SlotValue("town", value, value, sure),), sure) for value in values)
    return Interpretation(None, every[0].slots, sure, every)


TOWNS = """\
forms:
  main:
    fields:
      town: {choices: [Oslo, Rome, Bern, Bonn], prompt: "Where?", reprompt: "Where to?"}
    filled: {say: "{{ town }}.", disconnect: told}
"""


def test_after_no_the_next_reading_is_offered(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, TOWNS))
    assert call(readings("Oslo", "Rome", "Bern")) == ["Oslo. Is that right?"]
    assert call(NO) == ["Rome. Is that right?"]
    assert Note("offer", {"slot": "town", "value": "Rome"}) in call.actions
    assert call(NO) == ["Where to?"]  # two, as `offers` says; then the question comes again
    assert call(readings("Oslo", "Rome", "Bern")) == ["Bern. Is that right?"]  # not those denied
    assert call(YES) == ["Bern."]


def test_offers_can_be_more_or_none(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, "confirm: {offers: 1}\n" + TOWNS))
    call(readings("Oslo", "Rome"))
    assert call(NO) == ["Where to?"]
    call = Conversation(plan_of(tmp_path, "confirm: {offers: 3}\n" + TOWNS))
    call(readings("Oslo", "Rome", "Bern"))
    call(NO)
    assert call(NO) == ["Bern. Is that right?"]


def test_a_reading_under_the_floor_is_not_offered(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, TOWNS))
    likely = Reading(None, (SlotValue("town", "Oslo", "", 0.35),), 0.35)
    unlikely = Reading(None, (SlotValue("town", "Rome", "", 0.1),), 0.1)
    call(Interpretation(None, likely.slots, 0.35, (likely, unlikely)))
    assert call(NO) == ["Where to?"]


# ---------------------------------------------------------------- mistakes

HOURS = "forms: {main: {enter: {disconnect: x}}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timezone: Mars\n", "'timezone': is not a time zone; write one like America/New_York"),
        ("hours: {weekly: {moonday: '9:00-17:00'}}\n", "'moonday' is no day; write monday, or"),
        ("hours: {weekly: {monday: '9-17'}}\n", "'9-17' are no hours; write 9:00-17:00"),
        ("hours: {weekly: {monday: '17:00-9:00'}}\n", "'17:00-9:00' goes past midnight; write"),
        ("hours: {weekly: {monday: '9:00-5:00'}}\n", "9 to 5 in the afternoon is 9:00-17:00"),
        ("hours: {weekly: {monday: '9:00-25:00'}}\n", "'9:00-25:00' are no hours"),
        ("hours: {holidays: [christmas]}\n", "'christmas' is no date; write 2026-12-25"),
        ("hours: {closed: main}\n", "'hours' has no 'weekly'; nobody is ever there"),
        ("hours: {weekly: {monday: '9:00-17:00'}}\n", "'hours' without 'timezone' follows the"),
        ("hours: {weekly: {monday: closed}, closed: nain}\n", "unknown form 'nain'; did you mean"),
    ],
)
def test_mistakes_in_hours(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "p.yaml").write_text(text + HOURS)
    found = [str(problem) for problem in check(tmp_path / "p.yaml")]
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{voicemail: {max: 2m}}", "a duration is written like 2s or 500ms"),
        ("{voicemail: {lenght: 2s}}", "unknown key 'lenght'"),
        ("{say: Hi., error: Bye.}", "'error' goes with 'call' or 'voicemail' only"),
        ("{say: Hi., with: {a: 1}}", "'with' goes with 'call' or 'form' or 'task' only"),
        ("{transfer: {to: '+15550100', queue: a}}", "'transfer' has both 'to' and 'queue'"),
        ("{transfer: {to: '+15550100', hold_prompt: a}}", "'hold_prompt' and 'hold_music' go with"),
        ("{transfer: {queue: a, hold_music: x.mp3}}", "'hold_music'"),
        ("{task: call back}", "'task'"),
    ],
)
def test_mistakes_in_steps(tmp_path: Path, step: str, expected: str) -> None:
    (tmp_path / "p.yaml").write_text(f"forms: {{main: {{enter: [{step}, {{disconnect: x}}]}}}}\n")
    found = [str(problem) for problem in check(tmp_path / "p.yaml")]
    assert any(expected in problem for problem in found), found


def test_listening_comes_last(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, TOWNS))
    assert isinstance(call.actions[-1], Listen)


REVIEW = """\
forms:
  main:
    fields:
      town: {choices: [Oslo, Rome], prompt: "Where?"}
      day: {choices: [monday, friday], prompt: "When?"}
    review:
      prompt: "{{ town }} on {{ day }}. Right?"
      correction: "{{ value }}. And the rest as before?"
    filled: {say: "{{ town }} on {{ day }}.", disconnect: told}
"""


def test_a_correction_at_the_review_confirms_only_that(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, REVIEW))
    assert call(says(town="Oslo", day="monday")) == ["Oslo on monday. Right?"]
    assert call(says(confirmed="no", day="friday")) == ["friday. And the rest as before?"]
    assert call.state == "main/review"
    assert call(SILENCE)[-1] == "Oslo on friday. Right?"  # later everything again
    assert call(says(town="Rome", day="monday")) == ["Rome on monday. Right?"]  # two at once
    assert call(YES) == ["Rome on monday."]
