"""Whatever plans, services and models do, a call goes on or ends, and the record says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conversation import NOW, SILENCE, Conversation, plan_of, says, universal

from voicebot.dialogue.defaults import MAX_ALONE
from voicebot.dialogue.machine import Machine
from voicebot.dialogue.plan import check
from voicebot.events import (
    AskModel,
    BargeInMode,
    CallService,
    CallStarted,
    Disconnect,
    Interpretation,
    ModelReply,
    Note,
    Play,
    ServiceReply,
)

pytestmark = pytest.mark.unit


def notes(call: Conversation) -> list[str]:
    return [action.kind for action in call.actions if isinstance(action, Note)]


def fails(**_: str) -> dict[str, object]:
    raise ValueError("down")


RETRIES = """\
services: {look: {webhook: "https://example.org/l"}}
forms:
  main:
    enter: {call: look, assign: found, error: {goto: main}}
    fields: {n: {type: number, prompt: "How many?"}}
    filled: {disconnect: done}
"""


def test_a_call_that_is_made_again_while_it_fails_ends(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, RETRIES), {"look": fails})
    assert len(call.called) == MAX_ALONE + 1
    assert isinstance(call.end, Disconnect)
    assert call.end.outcome == "error"
    assert "endless" in notes(call)


def test_answers_count_only_until_the_caller_is_waited_for(tmp_path: Path) -> None:
    text = RETRIES.replace("error: {goto: main}", "error: {say: It is down.}")
    text = text.replace("{disconnect: done}", "[{when: n == 9, disconnect: done}, {goto: main}]")
    call = Conversation(plan_of(tmp_path, text), {"look": fails})
    for _ in range(MAX_ALONE + 5):
        call(says(n="3"))
        assert call.state == "main/n"


def test_forms_that_never_wait_end_the_call_on_record(tmp_path: Path) -> None:
    text = """\
variables: {v: 1}
forms:
  main: {enter: [{when: v == 1, goto: other}, {disconnect: done}]}
  other: {enter: [{when: v == 1, goto: main}, {disconnect: done}]}
"""
    call = Conversation(plan_of(tmp_path, text))
    assert call.end.outcome == "error"
    assert notes(call) == ["endless"]


def test_what_follows_must_be_there_though_only_cancel_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "next: mor\nforms:\n  main:\n    fields: {n: {type: number, prompt: 'How many?'}}\n"
        "    filled: {disconnect: done}\n"
    )
    assert [str(one).rpartition("p.yaml")[2] for one in check(tmp_path / "p.yaml")] == [
        ":1: 'next': unknown form 'mor'; forms are main"
    ]


def test_a_destination_that_is_none_is_on_record(tmp_path: Path) -> None:
    text = """\
forms:
  main:
    fields: {n: {type: digits, length: 3, prompt: "Which extension?"}}
    filled: {transfer: "{{ n }}"}
"""
    call = Conversation(plan_of(tmp_path, text))
    call(says(n="123"))
    assert call.end.outcome == "error"
    refused = next(action for action in call.actions if isinstance(action, Note))
    assert refused.kind == "hand-over refused"
    assert "'123' is neither a number" in str(refused.data["problem"])


# ---------------------------------------------------------------- values from outside

TAKES = """\
services: {look: {webhook: "https://example.org/l", reply: {found: any}}}
variables: {found: null}
forms:
  main:
    enter:
      - {call: look, assign: found}
      - {when: found > 3, say: "More than three: {{ found }}."}
      - {call: look, with: {again: found}, assign: found}
    fields: {n: {type: number, prompt: "How many?"}}
    filled: {disconnect: done}
"""


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), {1: {(2, 3): 10**5000}}, [10**5000, {"a": b"\xff"}], 1e999, "\0"],
    ids=["huge", "hugely negative", "odd keys", "bytes", "infinite", "nul"],
)
def test_values_that_cannot_be_written_move_nothing(tmp_path: Path, value: Any) -> None:
    machine = Machine(plan_of(tmp_path, TAKES), NOW)
    actions = machine.handle(CallStarted())
    while isinstance(actions[-1], CallService):
        actions = machine.handle(ServiceReply(actions[-1].id, {"found": value}))
        machine = Machine.from_json(machine._plan, NOW, machine.to_json())
    assert machine.state in {"main/n", "main"}


FILLS = """\
services: {look: {webhook: "https://example.org/l"}}
forms:
  main:
    enter: {call: look, assign: it, error: []}
    fields: {it: {type: TYPE, prompt: "Well?"}}
    filled: {disconnect: done}
"""


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("date", "2026-12-24", "2026-12-24"),
        ("date", "12/24/2026", None),
        ("time", "9:30", None),
        ("yes_no", True, "yes"),
        ("yes_no", "perhaps", None),
        ("number", 12, "12"),
        ("number", "a dozen", None),
        ("amount", -2.5, "-2.5"),
        ("amount", "1,200.00", None),
        ("digits", "0042", "0042"),
        ("text", {"a": 1}, None),
    ],
)
def test_a_field_takes_no_value_from_outside_that_is_none(
    tmp_path: Path, kind: str, value: object, held: str | None
) -> None:
    plan = plan_of(tmp_path, FILLS.replace("TYPE", kind))
    call = Conversation(plan, {"look": lambda: {"it": value}})
    assert call.machine.slots == ({} if held is None else {"it": held})
    assert notes(call) == (["value refused"] if held is None else [])
    assert call.said == (["Well?"] if held is None else [])


def test_half_a_character_can_be_kept(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, FILLS.replace("TYPE", "number")), caller="\ud83d")
    assert call.machine._state.call == {"caller": "?"}


# ---------------------------------------------------------------- a model's words

ADVICE = """\
languages: {en: {phrases: English}, es: {phrases: español}}
barge_in: dtmf
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  main:
    prompt: {en: "What is it?", es: "¿Qué es?"}
    llm: {instructions: Help., else: {say: {en: No., es: No.}, disconnect: failed}}
    filled: {disconnect: done}
"""


def test_a_model_speaks_the_callers_language_and_is_interrupted_as_the_plan_says(
    tmp_path: Path,
) -> None:
    machine = Machine(plan_of(tmp_path, ADVICE), NOW)
    machine.handle(CallStarted())
    machine.handle(universal("language es"))
    ask = machine.handle(Interpretation(None, (), 0.9, text="hola"))[-1]
    assert isinstance(ask, AskModel)
    said = machine.handle(ModelReply(ask.id, json.dumps({"say": "Hola."})))[0]
    assert said == Play(("Hola.",), BargeInMode.DTMF, "es")


# ---------------------------------------------------------------- names like languages

LETTERS = """\
languages: {en: {phrases: English}, es: {phrases: español}}
lists: {tongues: {en: English, es: [Spanish, español]}}
forms:
  main:
    fields:
      letters:
        prompt: {en: "In which language?", es: "¿En qué idioma?"}
        choices: {en: English, es: [Spanish, español]}
      other: {list: tongues, prompt: {en: "And else?", es: "¿Y si no?"}}
    filled: {set: {en: letters}, disconnect: done}
"""


def test_choices_may_be_called_like_languages(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(LETTERS)
    assert check(tmp_path / "plan.yaml") == []
    call = Conversation(plan_of(tmp_path, LETTERS))
    call(says(letters="es"))
    assert call.state == "main/other"
    call(SILENCE)
    call(says(other="en"))
    assert call.end.outcome == "done"


# ---------------------------------------------------------------- opening hours


@pytest.mark.parametrize("first", ["friday", "monday-friday"])
def test_a_day_of_its_own_comes_before_a_span_of_days(tmp_path: Path, first: str) -> None:
    entries = {"friday": '"9:00-10:00"', "monday-friday": '"9:00-17:00"'}
    weekly = ", ".join(
        f"{day}: {entries[day]}" for day in sorted(entries, key=lambda d: d != first)
    )
    text = f"""\
timezone: Europe/Madrid
hours: {{weekly: {{{weekly}}}, closed: shut}}
forms:
  main: {{enter: {{disconnect: open}}}}
  shut: {{enter: {{disconnect: closed}}}}
"""
    call = Conversation(plan_of(tmp_path, text))  # NOW is a Friday, half past ten
    assert call.end.outcome == "closed"


# ---------------------------------------------------------------- functions

BACKEND = """\
from elsewhere import looked_up as look, other
try:
    from fast import quick
except ImportError:
    def quick(): return {}
made = other()
def plain(): return {}
"""


@pytest.mark.parametrize("function", ["look", "quick", "made", "plain"])
def test_a_function_may_come_from_elsewhere(tmp_path: Path, function: str) -> None:
    (tmp_path / "shop.py").write_text(BACKEND)
    text = f"services: {{s: {{python: 'shop:{function}'}}}}\n"
    text += "forms: {main: {enter: [{call: s}, {disconnect: done}]}}\n"
    (tmp_path / "p.yaml").write_text(text)
    assert check(tmp_path / "p.yaml") == []
    (tmp_path / "p.yaml").write_text(text.replace(f":{function}", f":{function}x"))
    assert "has no function" in str(check(tmp_path / "p.yaml")[0])
