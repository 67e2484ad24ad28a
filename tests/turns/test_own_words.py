"""Words of the prompt, heard over it: the bot's echo, or a caller who chooses one of them."""

from __future__ import annotations

import pytest

from voicebot.events import Choice, Completeness, Expectation, SlotSpec, SlotType
from voicebot.turns.backchannel import verdict

pytestmark = pytest.mark.unit

SAID = "You can say savings account or joint account"
MENU = Expectation(
    focus="account",
    slots=(SlotSpec("account", SlotType.CHOICE, (Choice("savings account"),)),),
)


@pytest.mark.parametrize(
    ("confidence", "completeness", "is_locked", "expected"),
    [
        (0.7, Completeness.COMPLETE, True, "floor"),  # the caller chooses it
        (0.5, Completeness.COMPLETE, True, "echo"),
        (0.7, Completeness.NONE, True, "echo"),  # nobody is asked for it
        (0.9, Completeness.NONE, True, "floor"),
        (0.7, Completeness.COMPLETE, False, "echo"),  # the canceller does not remove it
        (0.9, Completeness.COMPLETE, False, "floor"),
    ],
)
def test_few_words_of_the_prompt(
    confidence: float, completeness: Completeness, is_locked: bool, expected: str
) -> None:
    found = verdict(
        "account" if not is_locked else "savings account",
        completeness,
        MENU,
        bot_text=SAID,
        is_locked=is_locked,
        spoken_ms=700.0,
        confidence=confidence,
    )
    assert found == expected
