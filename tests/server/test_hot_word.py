"""Whether anything can hear the hot word that a plan waits for."""

from pathlib import Path

import pytest

from voicebot.config import Settings, load_settings
from voicebot.dialogue.plan import load_plan
from voicebot.errors import SettingsError
from voicebot.server import doctor
from voicebot.server.hot_word import examine

pytestmark = pytest.mark.unit

PLAN = """\
LANGUAGE
forms:
  card:
    fields:
      card: {type: digits, length: 4, prompt: {say: Card number, barge_in: MODE}}
    filled:
      - disconnect: done
"""


def settings(service: str, plan: Path, *models: str) -> Settings:
    return load_settings(
        _env_file=None,
        asr={"service": service},
        turns={"hot_word_models": list(models)},
        dialogue={"dialplan": plan},
    )


def write(folder: Path, mode: str, language: str = "en") -> Path:
    plan = folder / "plan.yaml"
    plan.write_text(PLAN.replace("MODE", mode).replace("LANGUAGE", f"language: {language}"))
    return plan


@pytest.mark.parametrize(
    ("service", "models", "mode", "language", "expected"),
    [
        ("local", (), "hotword", "en", "operator, by the recogniser"),
        ("some.stt:Service", (), "hotword", "es", "operador or operadora, among the words"),
        ("none", ("hey_bot.onnx",), "hotword", "en", "by hey_bot"),
        ("none", (), "dtmf", "en", "not heard"),
    ],
)
def test_it_is_said_how_it_is_heard(
    tmp_path: Path,
    service: str,
    models: tuple[str, ...],
    mode: str,
    language: str,
    expected: str,
) -> None:
    plan = write(tmp_path, mode, language)
    assert expected in examine(settings(service, plan, *models), load_plan(plan))


def test_a_prompt_that_nothing_could_interrupt_is_a_mistake(tmp_path: Path) -> None:
    plan = write(tmp_path, "hotword")
    with pytest.raises(SettingsError, match=r"plan\.yaml: 'barge_in: hotword', but") as caught:
        examine(settings("none", plan), load_plan(plan))
    assert "\n" not in str(caught.value)
    finding = doctor._try("hot word", doctor._hot_word, settings("none", plan))
    assert not finding.is_good
    assert finding.detail == str(caught.value)
