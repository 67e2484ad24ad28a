"""The caller's audio stalls, is lost, or never comes: time goes on, in virtual time."""

from pathlib import Path
from typing import Protocol

import pytest
from virtual_time import run

from pipeline.bench import Outcome, Script, call
from voicebot.events import (
    BargeInCandidate,
    BargeInRejected,
    CallerTurn,
    Disconnect,
    KeysEntered,
    NoInput,
    PromptEnded,
    PromptHeard,
)

pytestmark = pytest.mark.pipeline

PLAN = """
forms:
  ask:
    fields:
      card:
        type: digits
        length: 4
        timeouts: {noinput: 2s}
        noinput: [{prompt: Nothing heard.}, {prompt: Again., disconnect: silent}]
        prompt: {say: "This goes on for a while. What is your number?", barge_in: MODE}
    filled:
      - disconnect: {outcome: done, goal: true}
"""
PROMPT_S = 2.3
NEVER = 1e9


class Ask(Protocol):
    def __call__(self, script: Script, mode: str = ..., **values: object) -> Outcome: ...


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def ask(script: Script, mode: str = "speech", **values: object) -> Outcome:
        plan = tmp_path / "plan.yaml"
        plan.write_text(PLAN.replace("MODE", mode), "utf-8")
        return run(call(plan, script, patience_s=60, **values))  # type: ignore[arg-type]

    return ask


def test_silence_counts_from_the_end_of_the_prompt_though_the_audio_comes_late(ask: Ask) -> None:
    done = ask(Script(), hold=(1.0, PROMPT_S + 1.5))
    ended, silence = done.of(PromptEnded)[0], done.of(NoInput)[0]
    assert ended.at >= PROMPT_S * 8000
    assert silence.at - ended.at >= 2 * 8000


@pytest.mark.parametrize("mode", ["none", "speech"])
def test_what_was_said_over_a_prompt_and_came_late_is_treated_as_said_over_it(
    ask: Ask,
    mode: str,
) -> None:
    script = Script(("one two three four", 1.2))
    done = ask(script, mode, hold=(1.0, PROMPT_S + 0.5))
    answers = [turn.hypothesis.text for turn in done.of(CallerTurn)]
    assert answers == ([] if mode == "none" else ["one two three four"])


def test_keys_pressed_while_the_audio_is_held_up_are_one_number(ask: Ask) -> None:
    keys = {2.7: "1", 3.7: "2", 4.2: "3", 4.7: "4"}
    done = ask(Script(), hold=(0.6, 3.4), keys=keys)
    assert [entered.keys for entered in done.of(KeysEntered)] == ["1234"]


def test_a_prompt_that_paused_goes_on_when_no_audio_comes_any_more(ask: Ask) -> None:
    done = ask(Script(("one two three four", 1.0)), drop=(1.2, NEVER))
    assert len(done.of(BargeInCandidate)) == 1
    assert len(done.of(BargeInRejected)) == 1
    assert any(heard.text.endswith("your number?") for heard in done.of(PromptHeard))


def test_keys_are_taken_when_no_audio_comes_any_more(ask: Ask) -> None:
    keys = {3.0: "1", 3.5: "2", 4.0: "3", 4.5: "4"}
    done = ask(Script(), drop=(1.0, NEVER), keys=keys)
    assert [entered.keys for entered in done.of(KeysEntered)] == ["1234"]
    assert done.decision == Disconnect("done", is_goal=True)


def test_a_call_whose_audio_never_comes_is_asked_again_and_let_go(ask: Ask) -> None:
    done = ask(Script(), drop=(0.0, NEVER))
    assert len(done.of(NoInput)) == 2
    assert done.decision == Disconnect("silent", is_goal=False)
    assert any(heard.text.endswith("your number?") for heard in done.of(PromptHeard))


AGAIN = """
forms:
  ask:
    fields:
      ok:
        type: yes_no
        timeouts: {noinput: 5s}
        noinput: [{prompt: Nothing.}, {prompt: Nothing.}, {prompt: No., disconnect: silent}]
        prompt: {say: "Shall we go on with this?", barge_in: MODE}
      more:
        type: yes_no
        noinput: [{prompt: Nothing.}, {prompt: Nothing.}, {prompt: No., disconnect: silent}]
        prompt: {say: "And is that all for today?", barge_in: MODE}
    filled:
      - disconnect: {outcome: done, goal: true}
"""


@pytest.mark.parametrize("mode", ["none", "speech"])
@pytest.mark.parametrize("for_s", [0.9, 3.0, 12.0])
def test_a_sender_that_slept_and_stamps_on_as_if_it_had_not_is_heard_again(
    tmp_path: Path, mode: str, for_s: float
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(AGAIN.replace("MODE", mode), "utf-8")
    script = Script(*[("yes", None)] * 6)
    done = run(call(plan, script, patience_s=60, asleep=(0.3, 0.3 + for_s)))
    assert done.decision == Disconnect("done", is_goal=True)
    assert len(done.of(NoInput)) <= 1 + for_s // 5


def test_after_such_a_sleep_silence_counts_from_the_end_of_the_next_prompt(ask: Ask) -> None:
    done = ask(Script(), asleep=(0.3, 3.3))
    first, second = done.of(NoInput)
    assert 5 * 8000 <= second.at - first.at <= 6 * 8000, "three of prompt and two of silence"
