"""The README and the examples say what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from voicebot.cli import _parser
from voicebot.config import Settings
from voicebot.dialogue.plan import check

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def variables(model: type[BaseModel], prefix: str = "VOICEBOT_") -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


def test_every_setting_stands_in_the_table_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `(VOICEBOT_\w+)` \| (.*) \|$", README, re.MULTILINE))
    settings = dict(variables(Settings))
    assert set(rows) == set(settings)
    for name, field in settings.items():
        default, _, description = rows[name].partition(" | ")
        assert description == field.description, name  # type: ignore[attr-defined]
        value = field.default  # type: ignore[attr-defined]
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            shown = int(value) if isinstance(value, float) and value == int(value) else value
            assert default == f"`{shown}`", name


def test_the_example_environment_names_only_settings_that_exist() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?(VOICEBOT_\w+)=", example, re.MULTILINE))
    assert named
    assert named <= {name for name, _ in variables(Settings)}


def test_every_command_stands_in_the_readme() -> None:
    actions = _parser()._subparsers._group_actions  # type: ignore[union-attr]
    commands = set(actions[0].choices)  # type: ignore[arg-type]
    assert set(re.findall(r"^\| `voicebot ([\w-]+)", README, re.MULTILINE)) == commands


def test_the_readmes_dialplan_is_a_good_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert yaml.safe_load(block)
    plan = tmp_path / "plan.yaml"
    plan.write_text(block)
    assert [str(problem) for problem in check(plan)] == []


def test_the_two_commands_come_first() -> None:
    block = re.search(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = [line.split("#")[0].strip() for line in block.group(1).splitlines()]
    assert lines == ["pip install . && voicebot demo", "pip install '.[dev]' && pytest"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([\w./-]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
