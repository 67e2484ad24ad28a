"""Mistakes in files of scenarios, and words behind options."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot import cli
from voicebot.server.scenario_reader import load_suite, read_suite

pytestmark = pytest.mark.unit

PLAN = """\
universals: {operator: {transfer: "+15550100", dtmf: "0"}}
forms:
  order:
    fields:
      size: {choices: [small, large], prompt: "Which size?"}
    filled: [{disconnect: {outcome: ordered, goal: true}}]
"""
ONE = "  one: [{caller: small, outcome: ordered}]\n"
TWO = "  two: [{caller: large, outcome: ordered}]\n"


def written(folder: Path, text: str) -> Path:
    (folder / "shop.yaml").write_text(PLAN)
    path = folder / "shop.test.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    found = read_suite(written(folder, text))[1]
    return [str(one).replace(f"{folder}/", "") for one in found]


def test_a_time_that_nobody_measures_is_told(tmp_path: Path) -> None:
    text = "scenarios:\n  one: [{caller: small, within_ms: 900, outcome: ordered}]\n"
    assert problems(tmp_path, text) == [
        "shop.test.yaml:2: warning: scenario 'one': 'within_ms' is not measured in typed runs; "
        "add 'spoken: true'"
    ]
    (scenario,) = load_suite(tmp_path / "shop.test.yaml").scenarios  # it is run all the same
    assert scenario.turns[0].expected["within_ms"] == 900
    spoken = text.replace("one: [", "one: {spoken: true, turns: [").replace("]", "]}")
    assert problems(tmp_path, spoken) == []


def test_an_intent_that_there_is_not_is_told(tmp_path: Path) -> None:
    text = "scenarios:\n  one: [{caller: help, intent: INTENT}]\n"
    assert problems(tmp_path, text.replace("INTENT", "help")) == []
    assert problems(tmp_path, text.replace("INTENT", "helpp")) == [
        "shop.test.yaml:2: scenario 'one': unknown intent 'helpp'; did you mean 'help'?"
    ]


def test_scenarios_in_the_place_of_their_plan_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, f"scenarios:\n{ONE}")
    assert cli.main(["chat", str(tmp_path / "shop.test.yaml")]) == 2
    told = "shop.test.yaml:1: holds scenarios; name the plan that they belong to"
    assert capsys.readouterr().err.endswith(f"{told}\n")


@pytest.mark.parametrize("sound", [b"", b"no sound at all", b"RIFF\x24\0\0\0WAVEfmt "])
def test_a_recording_that_cannot_be_read_is_told(sound: bytes, tmp_path: Path) -> None:
    (tmp_path / "it.wav").write_bytes(sound)
    (told,) = problems(tmp_path, "scenarios:\n  one: [{audio: it.wav, outcome: ordered}]\n")
    assert told.startswith("shop.test.yaml:2: scenario 'one': 'audio': it.wav")


def test_names_may_stand_behind_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, f"scenarios:\n{ONE}{TWO}")
    assert cli.main(["test", "shop.yaml", "--junit", "j.xml", "two"]) == 0
    said = capsys.readouterr().out
    assert "two" in said
    assert "one" not in said
    assert cli.main(["test", "shop.yaml", "one", "--junit", "j.xml", "two"]) == 0
    assert "2 scenarios: all as expected" in capsys.readouterr().out
    assert cli.main(["test", "shop.yaml", "--text", "one", "--no-such"]) == 2
    assert "test: does not know '--no-such'" in capsys.readouterr().err
    assert cli.main(["graph", "shop.yaml", "-o", "g.svg", "more"]) == 2
    assert "graph: does not know 'more'" in capsys.readouterr().err
