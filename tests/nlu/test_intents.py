"""Intents learned from examples: found, robust, sure only where they may be."""

from dataclasses import replace

import pytest
from nlu_expectations import TODAY

from voicebot.errors import UserMistake
from voicebot.events import (
    Choice,
    Expectation,
    Hypothesis,
    IntentSpec,
    Interpretation,
    SlotSpec,
    SlotType,
)
from voicebot.nlu.intents import IntentClassifier, fit
from voicebot.nlu.intents_calibration import Calibration
from voicebot.nlu.intents_fallback import FLOOR, classifier_of
from voicebot.nlu.interpreter import interpret

pytestmark = pytest.mark.unit

EXAMPLES = {
    "balance": (
        "how much money do I have",
        "what is left in my account",
        "tell me my balance please",
        "I want to know what is in my current account",
        "am I overdrawn at the moment",
        "can you check how much is in my savings",
    ),
    "lost_card": (
        "I can't find my card anywhere",
        "somebody stole my purse with the card in it",
        "my debit card is gone",
        "I need to block my card it was stolen",
        "I have misplaced my credit card",
        "please freeze the card I left in a taxi",
    ),
    "opening_hours": (
        "when do you open tomorrow",
        "are you open on sundays",
        "what time does the branch close",
        "until what time can I come to the branch",
        "is the office open on bank holidays",
        "what are your hours on saturday",
    ),
    "complaint": (
        "I am very unhappy with your service",
        "I want to complain about a member of staff",
        "nobody ever called me back that is outrageous",
        "your adviser was rude to me",
        "I would like to make a formal complaint",
        "this is the third time you got it wrong",
    ),
}
PAIRS = [(text, name) for name, texts in EXAMPLES.items() for text in texts]
BANK = Expectation(
    state="main",
    slots=(SlotSpec("amount", SlotType.AMOUNT),),
    intents=(
        *(IntentSpec(name, (), examples=texts) for name, texts in EXAMPLES.items()),
        IntentSpec("transfer", ("(transfer|move|send) [some] money", "(transfer|move) {amount}")),
    ),
    universals=(IntentSpec("operator", ("operator", "(speak|talk) to (a|an) (person|agent)")),),
)


@pytest.fixture(scope="module")
def classifier() -> IntentClassifier:
    return fit(PAIRS)


def heard(text: str, expectation: Expectation = BANK) -> Interpretation:
    return interpret(Hypothesis(text=text, confidence=1.0), expectation, today=TODAY)


# ---------------------------------------------------------------- the classifier


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("could you tell me how much is on my account", "balance"),
        ("my card has been stolen", "lost_card"),
        ("when are you open on friday", "opening_hours"),
        ("I'd like to complain", "complaint"),
        ("what tyme does the bran close", "opening_hours"),  # sounds survive misrecognition
        ("I can find my car anywhere it was stole in", "lost_card"),
    ],
)
def test_new_wordings_and_misheard_ones_are_understood(
    classifier: IntentClassifier, said: str, meant: str
) -> None:
    assert classifier.classify(said)[0].name == meant


def test_confidences_are_ordered_and_leave_room_for_none(classifier: IntentClassifier) -> None:
    for text in ("my card is lost", "a latte", "x", "7", "open card balance"):
        scores = classifier.classify(text)
        values = [score.confidence for score in scores]
        assert values == sorted(values, reverse=True)
        assert {score.name for score in scores} == set(EXAMPLES)
        assert 0.0 <= sum(values) <= 1.0001


def test_strangers_are_less_sure_than_any_new_wording(classifier: IntentClassifier) -> None:
    strangers = ("a large latte with oat milk", "turn the television down", "tell me a joke")
    known = ("my card has been stolen", "how much is left on my account", "are you open today")
    highest = max(classifier.classify(text)[0].confidence for text in strangers)
    assert highest < min(classifier.classify(text)[0].confidence for text in known)


@pytest.mark.parametrize("text", ["", "  ", "?!", "¿", "🙂"])
def test_no_words_no_intents(classifier: IntentClassifier, text: str) -> None:
    assert classifier.classify(text) == ()


def test_of_a_very_long_text_the_beginning_counts(classifier: IntentClassifier) -> None:
    text = "my card was stolen " * 20
    assert classifier.classify(text + "are you open " * 5000) == classifier.classify(text)


def test_training_twice_gives_the_same() -> None:
    one, other = fit(PAIRS), fit(PAIRS)
    assert one.classify("is my card there") == other.classify("is my card there")


def test_without_vectors_words_letters_and_sounds_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.nlu.intents.load_vectors", lambda: None)
    assert fit(PAIRS).classify("my card has been stolen")[0].name == "lost_card"


@pytest.mark.parametrize("examples", [[], [("hello", "a")], [("hello", "a"), ("...", "b")]])
def test_one_intent_cannot_be_told_apart(examples: list[tuple[str, str]]) -> None:
    with pytest.raises(UserMistake, match="two intents"):
        fit(examples)


def test_one_example_each_is_enough_to_begin_with() -> None:
    two = fit([("lost my card", "card"), ("opening hours", "hours")])
    assert two.classify("I have lost my card")[0].name == "card"


def test_contradicting_examples_are_doubted() -> None:
    plain = fit([*PAIRS, ("where is my post", "lost_card")])
    torn = fit([*PAIRS, ("where is my post", "lost_card"), ("where is my post", "complaint")])
    one, other = (c.classify("where is my post")[0].confidence for c in (plain, torn))
    assert other < one


def test_calibration_gives_the_best_intent_the_most() -> None:
    import numpy as np

    shares = Calibration((-3.0, 4.0, 2.0, 2.0)).confidences(
        np.array([0.1, 0.9, 0.88], np.float32), 0.7
    )
    assert shares.argmax() == 1
    assert shares.sum() <= 1.0
    assert shares[2] > shares[0]


# ---------------------------------------------------------------- behind the grammar


def test_what_no_phrase_foresaw_is_understood_from_examples() -> None:
    found = heard("someone has nicked my bank card")
    assert found.intent == "lost_card"
    assert found.confidence >= FLOOR
    assert found.nbest[0].intent == "lost_card"


def test_the_grammar_comes_first() -> None:
    found = heard("move 50 dollars")
    assert (found.intent, found.slots[0].value) == ("transfer", "50.00")
    assert heard("operator").is_universal


def test_phrases_teach_universals_and_intents_too() -> None:
    classifier = classifier_of(BANK)
    assert classifier is not None
    assert set(classifier.names) == {*EXAMPLES, "transfer", "operator"}


@pytest.mark.parametrize("text", ["a large latte with oat milk", "um", "what", "tell me a joke"])
def test_strangers_stay_nomatch(text: str) -> None:
    assert heard(text).is_nomatch


def test_a_doubtful_recogniser_makes_the_intent_doubtful() -> None:
    text = "someone has nicked my bank card"
    unsure = interpret(Hypothesis(text=text, confidence=0.2), BANK, today=TODAY)
    assert unsure.confidence == pytest.approx(0.2 * heard(text).confidence, abs=1e-4)


def test_an_answer_to_the_question_needs_no_intent() -> None:
    asked = replace(BANK, focus="amount")
    found = heard("fifty dollars", asked)
    assert (found.intent, found.slots[0].value) == (None, "50.00")


def test_without_examples_nothing_is_guessed() -> None:
    silent = replace(BANK, intents=tuple(replace(i, examples=()) for i in BANK.intents))
    assert heard("someone has nicked my bank card", silent).is_nomatch
    assert classifier_of(silent) is None


# ---------------------------------------------------------------- several wishes


def test_two_wishes_in_one_breath() -> None:
    found = heard("tell me my balance and then I need to block my card it was stolen")
    assert found.intent == "balance"
    assert [reading.intent for reading in found.also] == ["lost_card"]


def test_wishes_of_grammar_and_examples_mix_and_keep_their_slots() -> None:
    found = heard("transfer 30 dollars and when do you open tomorrow")
    assert found.intent == "transfer"
    assert [slot.value for slot in found.slots] == ["30.00"]
    assert [reading.intent for reading in found.also] == ["opening_hours"]


@pytest.mark.parametrize(
    "text",
    [
        "my card was lost and stolen",
        "please, tell me my balance",
        "hello, um, and what is left in my account",
        "and",
        ", , ,",
    ],
)
def test_one_wish_is_not_cut_in_two(text: str) -> None:
    assert heard(text).also == ()


CARDS = Expectation(
    slots=(
        SlotSpec("card", SlotType.CHOICE, (Choice("debit card"), Choice("credit card"))),
        SlotSpec("account", SlotType.CHOICE, (Choice("savings"), Choice("credit card"))),
    ),
    intents=(
        IntentSpec("lost_card", ("I lost [my] {card}", "block [my] {card}")),
        IntentSpec("balance", ("[my] {account} [balance]",)),
        IntentSpec("hours", ("when are you open",)),
        IntentSpec("pin", ("I forgot my pin",)),
        IntentSpec("callback", ("call me back",)),
        IntentSpec("address", ("[my] address has changed",)),
        IntentSpec("loan", ("I need a loan",)),
    ),
)


def test_no_wish_of_many_is_lost() -> None:
    found = heard(
        "my address has changed and I lost my debit card and when are you open and I need a loan "
        "and my savings balance and I forgot my pin and call me back",
        CARDS,
    )
    assert [found.intent, *(one.intent for one in found.also)] == [
        "address", "lost_card", "hours", "loan", "balance", "pin", "callback",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("I lost my debit card and my credit card", ("lost_card", "card", "credit card")),
        ("block my debit card and also the credit card", ("lost_card", "card", "credit card")),
        ("I lost my debit card and my credit card balance", ("balance", "account", "credit card")),
        ("I lost my debit card and savings", ("balance", "account", "savings")),
    ],
)
def test_a_bare_second_choice_is_of_the_first_wish(text: str, second: tuple[str, str, str]) -> None:
    found = heard(text, CARDS)
    assert found.intent == "lost_card"
    assert [(slot.name, slot.value) for slot in found.slots] == [("card", "debit card")]
    assert [(w.intent, s.name, s.value) for w in found.also for s in w.slots] == [second]
