"""What means nothing on any line fills nothing, however much it sounds like something."""

from dataclasses import replace

import pytest
from nlu_expectations import COFFEE, TRANSFER, UNIVERSALS, asking, heard, slots

from voicebot.events import (
    CONFIRM_SLOT,
    Choice,
    Expectation,
    IntentSpec,
    SlotSpec,
    SlotType,
)

pytestmark = pytest.mark.unit
BRANCHES = Expectation(
    slots=(SlotSpec("branch", SlotType.CHOICE, (Choice("downtown"), Choice("airport"))),),
    intents=(IntentSpec("hours", ("[opening] hours", "is {branch} open")),),
    universals=UNIVERSALS,
)
CONFIRMING = replace(
    TRANSFER, focus=CONFIRM_SLOT, slots=(SlotSpec(CONFIRM_SLOT, SlotType.YES_NO), *TRANSFER.slots)
)


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("I don't know", BRANCHES),
        ("I don't understand that", BRANCHES),
        ("are you a robot", BRANCHES),
        ("talk to you soon", BRANCHES),
        ("this is taking too long", TRANSFER),
        ("sorry I was talking to my wife", TRANSFER),
        ("let me think", COFFEE),
        ("shut up", COFFEE),
        ("I already told you", COFFEE),
        ("thank you very much", CONFIRMING),
        ("you know what", CONFIRMING),
        ("oh my god", CONFIRMING),
        ("I can't find it", CONFIRMING),
        ("be quiet", CONFIRMING),
        ("what the hell is wrong with you", CONFIRMING),
        ("can I do that later", CONFIRMING),
        ("are you sure about that", CONFIRMING),
        ("I'm at work right now", CONFIRMING),
        ("I don't give that out", CONFIRMING),
        ("you don't listen to me", CONFIRMING),
    ],
)
def test_it_means_nothing(text: str, expectation: Expectation) -> None:
    assert heard(text, expectation).is_nomatch


@pytest.mark.parametrize(
    ("text", "expectation", "filled"),
    [
        ("I don't know maybe the airport", BRANCHES, {"branch": "airport"}),
        ("good morning the downtown one please", BRANCHES, {"branch": "downtown"}),
        ("let me think a latte please", COFFEE, {"coffeeDrink": "latte"}),
        ("hang on yes that's right", CONFIRMING, {CONFIRM_SLOT: "yes"}),
        ("no thank you very much", CONFIRMING, {CONFIRM_SLOT: "no"}),
        ("yes I do", CONFIRMING, {CONFIRM_SLOT: "yes"}),
        ("no I don't thanks", CONFIRMING, {CONFIRM_SLOT: "no"}),
        ("I don't want to", CONFIRMING, {CONFIRM_SLOT: "no"}),
        ("sure right away", CONFIRMING, {CONFIRM_SLOT: "yes"}),
        ("of course I do", CONFIRMING, {CONFIRM_SLOT: "yes"}),
    ],
)
def test_what_is_said_beside_it_counts(
    text: str, expectation: Expectation, filled: dict[str, str]
) -> None:
    assert slots(text, expectation) == filled


def test_a_plan_may_wait_for_such_words() -> None:
    greeting = replace(asking(SlotType.CHOICE), slots=(
        SlotSpec("slot", SlotType.CHOICE, (Choice("good morning"), Choice("i don't know"))),
    ))  # fmt: skip
    assert slots("good morning", greeting) == {"slot": "good morning"}
    assert slots("I don't know", greeting) == {"slot": "i don't know"}


@pytest.mark.parametrize("text", ["hang on", "good afternoon", "thank you very much"])
def test_what_ends_a_call_is_not_learned_from_a_few_phrases(text: str) -> None:
    examples = ("how much is left", "am I overdrawn", "did my salary come")
    learned = replace(
        BRANCHES, intents=(*BRANCHES.intents, IntentSpec("balance", (), examples=examples))
    )
    hang_up = replace(
        learned, universals=(IntentSpec("goodbye", ("goodbye", "hang up", "I'm done")),)
    )
    assert heard(text, hang_up).is_nomatch
