from dataclasses import replace

import pytest
from nlu_expectations import COFFEE, TODAY, TRANSFER, asking, choices, heard, slots

from voicebot.events import (
    Alternative,
    Expectation,
    Hypothesis,
    IntentSpec,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit


# ---------------------------------------------------------------- all slots of one utterance


def test_one_utterance_fills_every_slot() -> None:
    found = heard(
        "Get me a 12-ounce medium roast, triple shot iced coffee with a lot of skim milk "
        "and a little bit of brown sugar.",
        COFFEE,
    )
    assert {s.name: s.value for s in found.slots} == {
        "size": "twelve ounce",
        "roast": "medium roast",
        "numberOfShots": "triple shot",
        "coffeeDrink": "iced coffee",
        "milkAmount": "a lot of skim milk",
        "sugarAmount": "a little bit of brown sugar",
    }
    assert found.intent == "orderDrink"
    assert found.confidence == pytest.approx(0.9)  # as sure as the recogniser is
    assert not found.is_universal


@pytest.mark.parametrize("said", ["a large \t small latte", "two \t small lattes"])
def test_words_may_stand_apart_by_any_white_space(said: str) -> None:
    assert "latte" in slots(said, COFFEE).values()


def test_the_words_behind_a_value_are_reported_as_written() -> None:
    (slot,) = heard("A Dark Roast, please", COFFEE).slots
    assert slot.text == "Dark Roast"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("a small medium roast mocker", {"size": "small", "roast": "medium roast",
                                         "coffeeDrink": "mocha"}),
        ("coffee with skin milk", {"coffeeDrink": "coffee", "milkAmount": "skim milk"}),
        ("a strip coffee", {"coffeeDrink": "drip coffee"}),
        ("double shark latte", {"numberOfShots": "double shot", "coffeeDrink": "latte"}),
        ("an expresso", {"coffeeDrink": "espresso"}),
        ("a cappucino", {"coffeeDrink": "cappuccino"}),
        ("light roast of maricano", {"roast": "light roast", "coffeeDrink": "americano"}),
        ("a troubleshot large ice coffee", {"numberOfShots": "triple shot", "size": "large",
                                            "coffeeDrink": "iced coffee"}),
        ("a sixty-nounce house copy", {"size": "sixteen ounce", "coffeeDrink": "house coffee"}),
        ("medium rose to drip coffee", {"roast": "medium roast", "coffeeDrink": "drip coffee"}),
    ],
)  # fmt: skip
def test_what_the_recogniser_misheard_is_repaired(said: str, expected: dict[str, str]) -> None:
    assert slots(said, COFFEE) == expected


def test_a_misheard_value_is_less_sure_than_one_said_exactly() -> None:
    (exact,) = heard("mocha", COFFEE).slots
    (misheard,) = heard("mocker", COFFEE).slots
    (rougher,) = heard("maker", replace(COFFEE, focus="coffeeDrink")).slots
    assert exact.confidence > misheard.confidence > rougher.confidence > 0


@pytest.mark.parametrize(
    "text",
    [
        "the weather was fine and we went to the park",
        "my son plays football every evening",
        "how do I change the language of my telephone",
        "hello",
        "uh",
        "",
        "...",
        "日本語のテキスト",
    ],
)
def test_unrelated_words_match_nothing(text: str) -> None:
    found = heard(text, COFFEE)
    assert found.is_nomatch
    assert found.confidence == 0
    assert found.text == text


def test_the_longest_phrase_wins_and_words_are_used_once() -> None:
    assert slots("medium roast", COFFEE) == {"roast": "medium roast"}
    assert slots("a medium medium roast", COFFEE) == {"size": "medium", "roast": "medium roast"}
    assert slots("a lot of milk", COFFEE) == {"milkAmount": "a lot of milk"}


def test_bare_values_go_to_the_slot_that_was_asked_for() -> None:
    sizes = SlotSpec("size", SlotType.CHOICE, choices("small", "medium", "large"))
    roasts = SlotSpec("roast", SlotType.CHOICE, choices("light", "medium", "dark"))
    for focus in ("size", "roast"):
        expectation = Expectation(focus=focus, slots=(sizes, roasts))
        assert slots("medium", expectation) == {focus: "medium"}
    number = SlotSpec("shares", SlotType.NUMBER)
    amount = SlotSpec("price", SlotType.AMOUNT)
    assert slots("fifty", Expectation(focus="price", slots=(number, amount))) == {"price": "50.00"}
    assert slots("fifty", Expectation(focus="shares", slots=(amount, number))) == {"shares": "50"}


# ---------------------------------------------------------------- roles, denials, corrections


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("savings", {"from": "savings"}),
        ("to savings", {"to": "savings"}),
        ("into my checking account", {"from": "checking"}),
        ("from savings to checking", {"from": "savings", "to": "checking"}),
        ("to checking from my savings account", {"to": "checking", "from": "savings"}),
        ("Move $20 from credit card to savings next Friday",
         {"amount": "20.00", "from": "credit_card", "to": "savings", "when": "2026-11-27"}),
    ],
)  # fmt: skip
def test_the_word_before_a_value_names_its_slot(said: str, expected: dict[str, str]) -> None:
    assert slots(said, TRANSFER) == expected


@pytest.mark.parametrize(
    ("said", "kept", "denied"),
    [
        ("No, not savings, checking", {"from": "checking"}, ["savings"]),
        ("not fifty, fifteen dollars", {"amount": "15.00"}, ["50.00"]),
        ("checking instead of savings", {"from": "checking"}, ["savings"]),
        ("savings, no, checking", {"from": "checking"}, ["savings"]),
        ("savings, I mean checking", {"from": "checking"}, ["savings"]),
        ("no, checking", {"from": "checking"}, []),
        ("not savings", {}, ["savings"]),
        ("I don't want savings", {}, ["savings"]),
    ],
)
def test_denied_and_corrected_values(said: str, kept: dict[str, str], denied: list[str]) -> None:
    found = heard(said, TRANSFER)
    assert {s.name: s.value for s in found.slots} == kept
    assert [s.value for s in found.denied] == denied
    assert not found.is_nomatch


def test_no_answers_the_question_and_the_rest_corrects() -> None:
    confirm = replace(
        TRANSFER,
        focus="confirmed",
        slots=(SlotSpec("confirmed", SlotType.YES_NO), *TRANSFER.slots),
    )
    assert slots("No, from checking", confirm) == {"confirmed": "no", "from": "checking"}
    assert slots("no sixty", confirm) == {"confirmed": "no", "amount": "60.00"}
    assert slots("make it sixty dollars", confirm) == {"amount": "60.00"}


def test_a_yes_no_slot_that_was_not_asked_for_is_not_answered() -> None:
    form = Expectation(
        focus="size",
        slots=(
            SlotSpec("size", SlotType.CHOICE, choices("small")),
            SlotSpec("gift", SlotType.YES_NO),
        ),
    )
    assert heard("yes", form).is_nomatch


# ---------------------------------------------------------------- yes and no


@pytest.mark.parametrize(
    "text",
    ["yes", "Yeah.", "yep", "yup", "Sure!", "that's right", "That is correct", "correct", "uh-huh",
     "Uh huh", "mm-hmm", "okay", "OK", "yes please", "of course", "absolutely", "go ahead",
     "I think so", "right", "it is", "yes that's right", "uh yes", "no, yes", "sounds good"],
)  # fmt: skip
def test_yes_in_all_its_forms(text: str) -> None:
    assert slots(text, asking(SlotType.YES_NO)) == {"slot": "yes"}


@pytest.mark.parametrize(
    "text",
    ["no", "Nope.", "nah", "No, thanks", "no thank you", "not really", "I don't think so",
     "that's not right", "that is wrong", "wrong", "incorrect", "absolutely not", "of course not",
     "it isn't", "yeah no", "not correct", "know", "uh no", "no, that's not it", "not at all"],
)  # fmt: skip
def test_no_in_all_its_forms(text: str) -> None:
    assert slots(text, asking(SlotType.YES_NO)) == {"slot": "no"}


@pytest.mark.parametrize("text", ["maybe", "what", "my aunt Mary", "tomorrow", "seven"])
def test_neither_yes_nor_no(text: str) -> None:
    assert slots(text, asking(SlotType.YES_NO)) == {}


# ---------------------------------------------------------------- intents and universals


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("transfer", "transfer"),
        ("I'd like to send some money please", "transfer"),
        ("could you, uh, check my balance", "balance"),
        ("from savings to checking", "transfer"),
        ("the balance of savings", "balance"),
        ("transver money", "transfer"),
    ],
)
def test_intents_with_and_without_carrier_words(said: str, intent: str) -> None:
    found = heard(said, TRANSFER)
    assert found.intent == intent
    assert not found.is_universal


@pytest.mark.parametrize(
    ("said", "intent"),
    [("operator please", "operator"), ("I want to talk to a human", "operator"), ("Help!", "help"),
     ("could you repeat that", "repeat"), ("bye bye", "goodbye"), ("yes, operator", "operator")],
)  # fmt: skip
def test_universals_are_flagged(said: str, intent: str) -> None:
    found = heard(said, asking(SlotType.YES_NO))
    assert found.intent == intent
    assert found.is_universal
    assert found.slots == ()


def test_a_universal_inside_a_request_does_not_win() -> None:
    found = heard("can you help me transfer fifty dollars to savings", TRANSFER)
    assert found.intent == "transfer"
    assert {s.name: s.value for s in found.slots} == {"amount": "50.00", "to": "savings"}


def test_slots_alone_mean_the_only_intent_that_speaks_of_them() -> None:
    menu = Expectation(
        slots=(
            SlotSpec("branch", SlotType.CHOICE, choices("downtown", "airport")),
            SlotSpec("account", SlotType.CHOICE, choices("savings")),
        ),
        intents=(
            IntentSpec("hours", ("is [the] {branch} open",)),
            IntentSpec("balance", ("balance of {account}",)),
        ),
    )
    assert heard("the downtown one", menu).intent == "hours"
    assert heard("downtown savings", menu).intent is None
    assert heard("downtown", replace(menu, focus="branch")).intent is None


def test_free_words_fill_only_a_text_slot_that_was_asked_for() -> None:
    assert slots("my name is Ada Lovelace", asking(SlotType.TEXT)) == {"slot": "Ada Lovelace"}
    assert heard("operator", asking(SlotType.TEXT)).is_universal
    assert slots("Ada Lovelace", replace(asking(SlotType.TEXT), focus=None)) == {}


def test_a_pattern_takes_free_words() -> None:
    expectation = Expectation(
        slots=(SlotSpec("name", SlotType.TEXT),),
        intents=(IntentSpec("introduce", ("my name is {name}",)),),
    )
    found = heard("hello my name is Ada Lovelace", expectation)
    assert found.intent == "introduce"
    assert {s.name: s.value for s in found.slots} == {"name": "Ada Lovelace"}


# ---------------------------------------------------------------- confidence, n-best


def test_confidence_follows_the_recogniser() -> None:
    sure, unsure = heard("savings", TRANSFER, 1.0), heard("savings", TRANSFER, 0.2)
    assert sure.confidence == 1.0
    assert 0 < unsure.confidence < sure.confidence


def test_other_readings_come_after_the_best_and_are_less_sure() -> None:
    found = heard("savings", TRANSFER)
    assert (found.intent, found.slots) == (found.nbest[0].intent, found.nbest[0].slots)
    assert found.nbest[0].slots[0].name == "from"
    assert any(r.slots and r.slots[0].name == "to" for r in found.nbest[1:])
    confidences = [reading.confidence for reading in found.nbest]
    assert confidences == sorted(confidences, reverse=True)


def test_an_alternative_that_makes_sense_beats_a_first_text_that_does_not() -> None:
    hypothesis = Hypothesis(
        "cheque in",
        confidence=0.6,
        nbest=(Alternative("cheque in", 0.6), Alternative("from checking", 0.5)),
    )
    found = interpret(hypothesis, TRANSFER, today=TODAY)
    assert found.slots[0].value == "checking"
    sensible = replace(hypothesis, text="savings", nbest=(Alternative("checking", 0.6),))
    assert interpret(sensible, TRANSFER, today=TODAY).slots[0].value == "savings"


def test_an_empty_expectation_understands_nothing() -> None:
    assert heard("savings", Expectation()).is_nomatch


def test_broken_patterns_and_lists_for_tuples_do_not_end_a_call() -> None:
    broken = Expectation(
        slots=[SlotSpec("x", SlotType.CHOICE, choices("(red", "[", ""))],  # type: ignore[arg-type]
        intents=(IntentSpec("paint", ("paint {unknown}", "{x", "(paint")),),
    )
    assert slots("red", broken) == {"x": "(red"}
    assert heard("paint", broken).intent == "paint"


def test_a_resemblance_behind_no_denies_nothing() -> None:
    assert heard("no saplings", TRANSFER).denied == ()
