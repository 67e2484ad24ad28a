"""One plan in several languages: texts side by side, and callers who change over."""

from pathlib import Path

import pytest
from conversation import NONSENSE, Conversation, plan_of, says, universal

from voicebot.dialogue import texts
from voicebot.dialogue.plan import check, load_plan
from voicebot.events import Note, Play

pytestmark = pytest.mark.unit

PLAN = """\
language: en
languages:
  en: {phrases: English}
  es: {phrases: [español, en español], dtmf: "9"}
welcome: {en: Hello., es: Hola.}
forms:
  main:
    phrases: {en: [ticket], es: [billete, un billete]}
    fields:
      town:
        prompt: {en: "Where to?", es: "¿Adónde?"}
        reprompt: {en: "Where?", es: "¿Dónde?"}
        choices:
          Oslo: {phrases: {en: oslo, es: [oslo, la capital]}}
          Roma: {say: {en: Rome, es: Roma}}
    filled:
      - say: {say: {en: "To {{ town }}.", es: "A {{ town }}."}}
      - when: call.stay
        language: en
      - {say: "OK.", disconnect: done}
"""


def test_callers_change_the_language_and_are_asked_in_it(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, PLAN))
    assert call.said == ["Hello.", "Where to?"]
    assert call.waits_for is not None
    assert call.waits_for.language == "en"
    wishes = {intent.name: intent for intent in call.waits_for.universals}
    assert wishes["language es"].phrases == ("español", "en español")
    assert wishes["language es"].dtmf == "9"
    assert "language en" not in wishes
    assert call(universal("language es")) == ["¿Adónde?"]
    assert Note("language", {"to": "es"}) in call.actions
    assert Play(("¿Adónde?",), language="es") in call.actions
    assert call.waits_for.language == "es"
    assert call.waits_for.intents[0].phrases == ("billete", "un billete")
    assert call(NONSENSE)[-1] == "¿Dónde?"
    assert call(universal("repeat"))[-1] == "¿Dónde?"
    assert call(says(town="Roma")) == ["A Roma.", "OK."]
    assert call.actions[-2].language == "es"  # type: ignore[union-attr]


def test_and_back(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, PLAN))
    call(universal("language es"))
    assert call(universal("language en")) == ["Where to?"]
    assert call(says(town="Roma")) == ["To Rome.", "OK."]


def test_a_step_changes_the_language(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, PLAN), stay="yes")
    call(universal("language es"))
    call(says(town="Roma"))
    assert [play.language for play in call.actions if isinstance(play, Play)] == ["es", ""]


def test_a_language_that_the_plan_has_not_is_a_nomatch(tmp_path: Path) -> None:
    call = Conversation(plan_of(tmp_path, PLAN))
    assert call(universal("language de"))[-1] == "Where?"


def test_a_missing_text_is_the_plans_own_and_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PLAN.replace(', es: "¿Dónde?"', ""))
    found = [str(problem) for problem in check(path)]
    assert any(":12: warning: no text for 'es' here; callers hear 'en'" in one for one in found), (
        found
    )
    assert load_plan(path).languages == ["en", "es"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("language: en\n      - {say", "language: fr\n      - {say", "unknown language 'fr'"),
        ('es: "A {{ town }}."', 'es: "A {{ twon }}."', "unknown name 'twon' in the prompt"),
        ('es: "¿Adónde?"', 'de: "Wohin?"', "unknown language 'de'; declare it under 'languages:'"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PLAN.replace(old, new))
    found = [str(problem) for problem in check(path)]
    assert any(expected in problem for problem in found), found


def test_what_a_language_has_not_is_english() -> None:
    assert texts.of("en-US") is texts.ENGLISH
    assert texts.of("xx") is texts.ENGLISH
