"""Typed calls: what backends are told, and what authors see of them."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from voicebot import cli
from voicebot.dialogue.plan import load_plan
from voicebot.server.scenario_reader import load_suite
from voicebot.server.scenario_report import lines
from voicebot.server.scenario_runs import run_text
from voicebot.server.services import Services
from voicebot.server.typed_call import TypedCall

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 10, 30)
PLAN = """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
services:
  price:
    SERVICE
    filler: One moment please.
    filler_after: 50ms
forms:
  order:
    phrases: ["a {size} pizza"]
    fields:
      size: {choices: [small, large], prompt: "Which size?"}
      at: {type: time, prompt: "When?"}
    filled:
      - {call: price, with: size, assign: total, error: {say: Sorry., disconnect: failed}}
      - say: "A {{ size }} one is {{ total | money }}."
        disconnect: {outcome: ordered, goal: true}
"""
BACKEND = """
import asyncio
def fails(size): raise KeyError("no such size")
async def hangs(size): await asyncio.Event().wait()
def wrong(size): return ["8.50"]
def other(size): return {"sum": "8.50"}
async def late(size):
    for _ in range(200):
        await asyncio.sleep(0.001)
    return {"total": "8.50"}
"""


def plan_with(folder: Path, service: str) -> Path:
    (folder / "kitchen.py").write_text(BACKEND)
    path = folder / "shop.yaml"
    path.write_text(PLAN.replace("SERVICE", service))
    return path


async def test_every_typed_call_has_an_idempotency_key_of_its_own(tmp_path: Path) -> None:
    keys, calls = [], []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        calls.append(request.read())
        return httpx.Response(200, json={"total": "8.50"})

    plan = load_plan(plan_with(tmp_path, 'webhook: "https://shop.example/price"'))
    for _ in range(2):
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        services = Services(plan.services, tmp_path, http=http)
        call = TypedCall(plan, services, NOW)
        await call.start()
        assert (await call.say("a small pizza at noon")).outcome == "ordered"
        await services.aclose()
    assert len(set(keys)) == 2
    assert len(set(calls)) == 2


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("python: kitchen:fails", "service price: KeyError: 'no such size'"),
        ("{python: kitchen:hangs, timeout: 100ms}", "service price: no reply in 0.1 s"),
        ("python: kitchen:wrong", "service price: replied with list, not a mapping of names"),
        ("python: kitchen:other", "reply refused: total is missing)"),
    ],
)
def test_why_a_service_failed_shows(
    service: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = service.strip("{}").replace(", ", "\n    ")
    path = plan_with(tmp_path, service)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a small pizza at noon\n"))
    assert cli.main(["chat", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"      ({told}" in said
    assert "bot   Sorry." in said
    (tmp_path / "shop.test.yaml").write_text(
        "scenarios:\n  buy: [{caller: a small pizza at noon, outcome: ordered}]\n"
    )
    suite = load_suite(tmp_path / "shop.test.yaml")
    run = asyncio.run(run_text(suite.plan, suite.scenarios[0]))
    assert any(line.startswith(f"    ({told}") for line in lines(run))


async def test_a_filler_is_heard_where_the_answer_takes_its_time(tmp_path: Path) -> None:
    plan = load_plan(plan_with(tmp_path, "python: kitchen:late"))
    released = asyncio.Event()

    class Late(Services):
        async def call(
            self, name: str, arguments: Mapping[str, str], *, call_sid: str = "", call_id: str = ""
        ) -> Mapping[str, object]:
            await released.wait()
            return {"total": "8.50"}

    call = TypedCall(plan, Late(plan.services, tmp_path), NOW)
    await call.start()
    asked = asyncio.ensure_future(call.say("a small pizza at noon"))
    await asyncio.wait({asked}, timeout=0.3)
    released.set()
    said = (await asked).said
    assert said == ["One moment please.", "A small one is eight dollars and fifty cents."]


@pytest.mark.parametrize(
    ("total", "told"),
    [
        (
            {"sum": 8},
            "'total' is a mapping and cannot be spoken; name a part of it, such as {{ total.sum }}",
        ),
        ([8, 9], "'total' is a list and cannot be spoken"),
    ],
)
async def test_what_is_no_text_is_told_and_not_spoken(
    total: object, told: str, tmp_path: Path
) -> None:
    plan = load_plan(plan_with(tmp_path, "python: kitchen:fails"))
    stand_ins = {"price": lambda **_: {"total": total}}
    call = TypedCall(plan, Services(plan.services, tmp_path, stand_ins=stand_ins), NOW)
    await call.start()
    answer = await call.say("a small pizza at noon")
    assert answer.said == ["A small one is."]
    assert f"value refused: {told}" in answer.notes


AHEAD = """\
forms:
  main:
    fields:
      number: {type: digits, length: 3, prompt: "Which number?"}
      sure: {type: yes_no, prompt: "Delete it?", dtmf: {type_ahead: false}}
    filled: {disconnect: done}
"""


async def test_keys_ahead_of_a_question_that_wants_none_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(AHEAD)
    plan = load_plan(tmp_path / "plan.yaml")
    call = TypedCall(plan, Services({}, tmp_path), NOW)
    await call.start()
    answer = await call.press("1231")
    assert (answer.state, answer.slots) == ("main/sure", {"number": "123"})
    assert answer.notes == ["keys 1 came before the question and do not count"]
    assert (await call.press("2")).outcome == "done"


async def test_times_count_from_the_time_of_the_call(tmp_path: Path) -> None:
    plan = load_plan(plan_with(tmp_path, "python: kitchen:other"))
    call = TypedCall(plan, Services(plan.services, tmp_path), NOW)
    await call.start()
    assert (await call.say("a small pizza in half an hour")).slots["at"] == "11:00"


MODEL_PLAN = """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  ask:
    prompt: What would you like to know?
    llm:
      instructions: Be brief.
      else: {say: I cannot tell., disconnect: failed}
    filled: {disconnect: {outcome: told, goal: true}}
"""


class Telling:
    """Stands for the Pipecat service of a language model."""

    def __init__(self, said: str) -> None:
        self.said = said

    async def run_inference(self, *_: object, **__: object) -> str:
        if not self.said:
            raise ConnectionError("the model is down")
        return self.said


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ('{"say": "At nine.", "done": true}', "bot   At nine."),
        ("", "      (model failed: language model: ConnectionError: the model is down)"),
    ],
)
def test_chat_asks_the_configured_language_model(
    said: str,
    heard: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VOICEBOT_DIALOGUE__LLM_SERVICE", "somewhere:Model")
    monkeypatch.setattr("voicebot.server.answering.load_service", lambda *_: lambda: Telling(said))
    plan = tmp_path / "ask.yaml"
    plan.write_text(MODEL_PLAN)
    monkeypatch.setattr(sys, "stdin", io.StringIO("when do you open\n"))
    assert cli.main(["chat", str(plan)]) == 0
    assert heard in capsys.readouterr().out.splitlines()


def test_bytes_that_are_no_text_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, kept = tmp_path / "ask.yaml", tmp_path / "call.json"
    plan.write_text(MODEL_PLAN)
    typed = io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), "utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", typed)  # as it is without a locale
    assert cli.main(["chat", str(plan), "--save", str(kept)]) == 0
    assert '["caller","caf?"]' in kept.read_text()
