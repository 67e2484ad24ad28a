"""The plans that come with voicebot, their backend, their documentation and their schema."""

import http.client
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from voicebot.dialogue import texts
from voicebot.dialogue.plan import check, json_schema, load_plan
from voicebot.events import BargeInMode, SlotType

pytestmark = pytest.mark.unit

DIALPLANS = Path(__file__).parents[2] / "dialplans"
LABELS = Path(__file__).parents[2].parent / "shared" / "audio" / "barista" / "labels.json"
README = (DIALPLANS / "README.md").read_text()


@pytest.mark.parametrize("name", ["bank", "barista"])
def test_plans_have_no_problems(name: str) -> None:
    assert check(DIALPLANS / f"{name}.yaml") == []


def test_barista_values() -> None:
    """Those of the public recordings, which are scored against the plan."""
    waits_for = load_plan(DIALPLANS / "barista.yaml").expectation("order")
    values = {slot.name: [choice.value for choice in slot.choices] for slot in waits_for.slots}
    assert {name: len(found) for name, found in values.items()} == {
        "coffeeDrink": 10,
        "size": 7,
        "roast": 3,
        "numberOfShots": 3,
        "milkAmount": 36,  # six kinds, plain or in one of five amounts
        "sugarAmount": 18,
    }
    assert "a little bit of almond milk" in values["milkAmount"]
    assert [intent.name for intent in waits_for.intents] == ["orderDrink"]


@pytest.mark.recordings
@pytest.mark.skipif(not LABELS.exists(), reason="no recordings")
def test_barista_values_are_those_of_the_labels() -> None:
    labels = json.loads(LABELS.read_text()).values()
    waits_for = load_plan(DIALPLANS / "barista.yaml").expectation("order")
    values = {slot.name: {choice.value for choice in slot.choices} for slot in waits_for.slots}
    used: dict[str, set[str]] = {}
    for label in labels:
        assert label["intent"] == waits_for.intents[0].name
        for name, value in label["slots"].items():
            used.setdefault(name, set()).add(value)
    # No recording asks for a lot of almond milk; callers may.
    assert {name: values[name] - used[name] for name in values} == {
        name: {"a lot of almond milk"} if name == "milkAmount" else set() for name in values
    }
    assert all(used[name] <= values[name] for name in used)


def test_bank_menu_expects_what_its_forms_understand() -> None:
    waits_for = load_plan(DIALPLANS / "bank.yaml").expectation()
    assert waits_for.state == "main"
    assert {intent.name: intent.dtmf for intent in waits_for.intents} == {
        "balance": "1",
        "transfer": "2",
        "lost_card": "3",
        "hours": "4",
        "new_pin": "5",
        "callback": None,  # anywhere
    }
    assert {intent.name: intent.dtmf for intent in waits_for.universals}["operator"] == "0"
    assert waits_for.digits is not None
    assert waits_for.digits.max_keys == 1
    types = {slot.name: slot.type for slot in waits_for.slots}
    assert types["amount"] is SlotType.AMOUNT
    assert types["account"] is SlotType.CHOICE
    assert waits_for.barge_in is BargeInMode.SPEECH


def test_static_prompts() -> None:
    plan = load_plan(DIALPLANS / "bank.yaml")
    prompts = plan.static_prompts()
    assert ("Welcome to Example Bank.",) in prompts
    assert ("Is there anything else I can do for you?",) in prompts
    assert ("Goodbye.",) in prompts
    assert ("What would you like to change? The amount, or one of the accounts?",) in prompts
    assert len(prompts) == len(set(prompts))
    assert not any("{{" in text for parts in prompts for text in parts)


# ---------------------------------------------------------------- documentation

SECTIONS = {
    "PlanKeys": ["Plan", "Inherited keys"],
    "LanguageKeys": ["Languages"],
    "Hours": ["Opening hours"],
    "FormKeys": ["Form", "Inherited keys"],
    "MenuEntry": ["Menu entry"],
    "FieldKeys": ["Field", "Inherited keys"],
    "ChoiceKeys": ["Choice"],
    "Length": ["Length"],
    "Review": ["Review", "Inherited keys"],
    "Step": ["Step"],
    "Voicemail": ["Voicemail"],
    "LadderEntry": ["Rung of a ladder"],
    "Universal": ["Universal"],
    "PromptPart": ["Prompt part"],
    "TransferTo": ["Transfer"],
    "DisconnectAs": ["Disconnect"],
    "Confirm": ["Confirmation"],
    "Dtmf": ["Key collection"],
    "TimeoutKeys": ["Timeouts"],
    "Service": ["Service"],
    "Llm": ["Language model"],
    "LlmTool": ["Tool"],
}


def documented(section: str) -> set[str]:
    body = README.split(f"### {section}\n")[1].split("\n### ")[0]
    return set(re.findall(r"^\| `(\w+)` \| \S", body, re.MULTILINE))


def test_every_key_is_documented_and_nothing_else() -> None:
    schema = json_schema()
    objects = {"PlanKeys": schema, **schema["$defs"]}
    objects = {name: found for name, found in objects.items() if "properties" in found}
    assert set(objects) == set(SECTIONS)
    for name, found in objects.items():
        keys = set().union(*(documented(section) for section in SECTIONS[name]))
        assert keys == set(found["properties"]), name
    assert re.findall(r"^### (.+)$", README, re.MULTILINE) == list(
        dict.fromkeys(section for sections in SECTIONS.values() for section in sections)
    )


def test_published_schema_is_current() -> None:
    assert json.loads((DIALPLANS / "schema.json").read_text()) == json_schema()


def test_readme_names_types_kinds_and_outcomes() -> None:
    for word in [*SlotType, "money", "ordinal", *texts.ENGLISH.universals]:
        assert f"`{word}`" in README
    for outcome in ("noinput", "nomatch", "goodbye", "hung_up", "error", "completed"):
        assert f"`{outcome}`" in README


def test_readme_example_is_a_plan(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert example is not None
    (tmp_path / "example.yaml").write_text(example[1])
    assert check(tmp_path / "example.yaml") == []


# ---------------------------------------------------------------- backend


@pytest.fixture
def backend() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bank_backend", DIALPLANS / "bank_backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_transfers_move_money(backend: ModuleType) -> None:
    assert backend.transfer("checking", "savings", "250.40") == {
        "status": "done",
        "available": "1000.00",
    }
    assert backend.balance("savings") == {"balance": "8550.40"}
    assert backend.transfer("checking", "savings", "1000.01") == {
        "status": "insufficient",
        "available": "1000.00",
    }
    assert backend.balance("checking") == {"balance": "1000.00"}


def test_cards_and_branches(backend: ModuleType) -> None:
    assert backend.block_card("debit") == backend.block_card("debit")
    assert backend.block_card("debit") != backend.block_card("credit")
    assert backend.branch_hours("airport", "sunday") == {
        "is_open": True,
        "opens": "08:00",
        "closes": "20:00",
    }
    assert backend.branch_hours("downtown", "sunday")["is_open"] is False


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/balance", b'{"arguments": {"account": "savings"}}', 200),
        ("/nothing", b"{}", 404),
        ("/balance", b'{"arguments": {"account": "gold"}}', 400),
        ("/balance", b'{"arguments": {}}', 400),
        ("/balance", b"{}", 400),
        ("/balance", b"[]", 400),
        ("/balance", b"\xff", 400),
        ("/balance", b"[" * 50_000, 400),
        (
            "/transfer",
            b'{"arguments": {"source": "savings", "target": "checking", "amount": "nan"}}',
            400,
        ),
    ],
)
def test_webhook_answers(backend: ModuleType, path: str, body: bytes, status: int) -> None:
    found, reply = backend.answer(path, body)
    assert found == status
    assert ("error" in reply) == (status != 200)


def test_webhook_server() -> None:
    process = subprocess.Popen(
        [sys.executable, str(DIALPLANS / "bank_backend.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            body = json.dumps({"service": "balance", "arguments": {"account": "savings"}})
            connection.request("POST", "/balance", body)
            response = connection.getresponse()
            assert response.status == 200
            assert json.loads(response.read()) == {"balance": "8300.00"}
            connection.close()
        finally:
            process.terminate()
