"""A call whose recogniser is lost: it says so, once, and goes on by keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conversation import NONSENSE, Conversation, plan_of, says

from voicebot.dialogue.plan import all_prompt_parts
from voicebot.events import Hypothesis, Note

pytestmark = pytest.mark.unit

UNHEARD = replace(NONSENSE, text="", is_unheard=True)
ENGLISH = "I cannot understand speech at the moment. Please answer with the keys of your telephone."
SPANISH = "En este momento no puedo entender lo que dice. Responda con las teclas de su teléfono."
PLAN = """\
name: Test
language: {language}
start: menu
{more}
forms:
  menu:
    fields:
      card:
        type: digits
        length: 4
        prompt: Card?
        nomatch: [{{prompt: Say it.}}, {{prompt: Once more.}}]
      pin: {{type: digits, length: 4, prompt: "Pin?"}}
"""


def conversation(tmp_path: Path, language: str = "en", more: str = "") -> Conversation:
    return Conversation(plan_of(tmp_path, PLAN.format(language=language, more=more)))


@pytest.mark.parametrize(("language", "text"), [("en", ENGLISH), ("es-MX", SPANISH)])
def test_it_is_said_once_a_call_and_the_question_goes_on(
    tmp_path: Path, language: str, text: str
) -> None:
    call = conversation(tmp_path, language)
    assert call(UNHEARD) == [text, "Card?"]
    assert [a.kind for a in call.actions if isinstance(a, Note)] == ["recogniser lost"]
    assert call.waits_for is not None
    assert call.waits_for.digits is not None
    assert call(UNHEARD)[0] == "Say it."  # the first of the ladder: it was no miss
    assert call(says(card="1234"))[-1] == "Pin?"
    assert text not in call(UNHEARD)


def test_a_plan_may_say_it_in_its_own_words(tmp_path: Path) -> None:
    call = conversation(tmp_path, more="keys_only: Use your keypad.")
    assert call(UNHEARD) == ["Use your keypad.", "Card?"]
    (tmp_path / "plan.yaml").unlink()
    plan = plan_of(
        tmp_path,
        PLAN.format(language="en", more="").replace(
            "length: 4\n", "length: 4\n        keys_only: 4 keys.\n", 1
        ),
    )
    assert Conversation(plan)(UNHEARD) == ["4 keys.", "Card?"]


def test_a_turn_that_was_recognised_is_no_such_turn(tmp_path: Path) -> None:
    assert conversation(tmp_path)(NONSENSE)[0] == "Say it."
    assert not Hypothesis("").is_unheard


def test_the_words_are_among_those_that_are_spoken_beforehand(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, PLAN.format(language="en", more=""))
    assert ENGLISH in {part.say for part in all_prompt_parts(plan.keys)}


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ("universals: {operator: {transfer: '+4930123456'}}", "Transfer"),
        ("", "Disconnect"),
    ],
)
def test_where_no_key_is_taken_the_call_leaves_as_after_the_last_try(
    tmp_path: Path, more: str, way: str
) -> None:
    text = PLAN.format(language="en", more=f"{more}\ndtmf: {{max: 0}}")
    call = Conversation(plan_of(tmp_path, text))
    said = call(UNHEARD)
    assert ENGLISH not in said
    assert said, "something is said on the way out"
    assert type(call.actions[-1]).__name__ == way
