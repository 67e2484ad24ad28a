"""Shipped plans reach their goals on a real line: a synthetic caller, the server, the engine.

Response times depend on the machine that tests run on: they are measured here, not asserted.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from voicebot.server.saying import audible, write_wav
from voicebot.server.scenario_reader import load_suite
from voicebot.server.scenario_report import lines
from voicebot.server.scenario_runs import Run
from voicebot.server.scenario_spoken import run_spoken
from voicebot.server.scenarios import Suite

pytestmark = pytest.mark.e2e

DIALPLANS = Path(__file__).parents[2] / "dialplans"


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setenv("VOICEBOT_ASR__CACHE_DIR", str(weights))


def spoken(suite: Suite) -> list[Run]:
    runs: list[Run] = []
    chosen = [(suite, one) for one in suite.scenarios if one.is_spoken]
    asyncio.run(run_spoken(chosen, runs.append))
    assert runs
    for run in runs:
        run.mismatches = [miss for miss in run.mismatches if miss.what != "within_ms"]
    return runs


@pytest.mark.parametrize("name", ["bank", "barista", "clinic", "parcel", "voicemail"])
def test_a_spoken_call(name: str) -> None:
    (run,) = spoken(load_suite(DIALPLANS / f"{name}.test.yaml"))
    assert run.is_good, "\n".join(lines(run))
    assert run.answers[-1].is_goal
    timed = [
        answer.response_ms
        for turn, answer in zip(run.scenario.turns, run.answers, strict=True)
        if turn.kind == "caller" and answer.said
    ]
    assert all(ms is not None and ms > 0 for ms in timed), timed


def test_recorded_turns_silence_barge_in_and_what_came_instead(tmp_path: Path) -> None:
    """A recording beside the scenarios; a stand-in for a service; a text that does not come."""
    write_wav(audible(("I would like to check my balance.",), "en"), tmp_path / "balance.wav")
    path = tmp_path / "bank.test.yaml"
    path.write_text(
        f"plan: {DIALPLANS / 'bank.yaml'}\n"
        'services: {balance: {balance: "17.00"}}\n'
        "scenarios:\n"
        "  recorded:\n"
        "    - {silence: true, said: I did not hear you., state: main}\n"
        "    - {audio: balance.wav, over: 1s, state: balance/account}\n"
        '    - {keys: "2", said: [seventeen dollars, nineteen dollars]}\n'
        "    - {hangup: true, outcome: hung_up, goal: true}\n"
    )
    (run,) = spoken(load_suite(path))
    (miss,) = run.mismatches
    assert (miss.line, miss.what) == (7, "said")
    assert "seventeen dollars" in miss.came
    assert not replace(run, mismatches=[]).problem
