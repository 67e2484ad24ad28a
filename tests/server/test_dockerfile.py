"""The image runs what the project pins, as nobody special, with nothing secret inside."""

import re
import tomllib
from pathlib import Path

import pytest

from voicebot.config import Settings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
# Instructions alone: comments go, continued lines are joined.
CODE = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE))


def test_torch_is_the_pinned_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = [pin for pin in project["dependencies"] if pin.startswith("torch==")]
    assert re.findall(r"torch==[\d.]+", CODE) == pins


def test_it_does_not_run_as_root() -> None:
    final_stage = CODE.split("FROM ")[-1]
    assert re.search(r"(?m)^USER voicebot$", final_stage)
    assert final_stage.index("USER voicebot") < final_stage.index("ENTRYPOINT")


def test_health_is_checked_and_signals_reach_the_process() -> None:
    assert "/healthz" in CODE
    assert re.search(r'(?m)^ENTRYPOINT \["voicebot"\]$', CODE), "exec form: no shell in between"


def test_every_setting_it_gives_exists_and_none_is_secret() -> None:
    names = re.findall(r"(VOICEBOT_\w+)=", CODE)
    assert names
    for name in names:
        room, _, field = name.removeprefix("VOICEBOT_").lower().partition("__")
        model = Settings.model_fields[room].annotation
        assert model is not None
        assert "Secret" not in str(model.model_fields[field].annotation)


def test_the_checkout_is_not_copied_whole() -> None:
    sources = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", CODE)
    copied = {name for line in sources for name in line.split()}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "voicebot", "dialplans"}
