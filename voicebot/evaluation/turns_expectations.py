"""What the bot asks in the evaluation of turns, and what it then waits for."""

from __future__ import annotations

from dataclasses import dataclass

from voicebot.evaluation.turns_corpus import KEYWORDS, Corpus
from voicebot.events import (
    Choice,
    DigitRule,
    Expectation,
    IntentSpec,
    SlotSpec,
    SlotType,
    SpokenPrompt,
)
from voicebot.speech.prompts import Prompts
from voicebot.speech.voices import EspeakVoice

OPERATOR = IntentSpec("operator", ("operator", "agent", "a person"))
UNIVERSALS = (OPERATOR, IntentSpec("help", ("help",)), IntentSpec("repeat", ("repeat", "pardon")))
ACCOUNTS = ("checking account", "savings account", "joint account")
CARD_DIGITS = 16

PROMPTS = {
    "open": "Welcome to the bank. You can ask for your balance, move money between your accounts, "
    "block a card that was lost, or hear when we are open. Please tell me in a few words what "
    "I can do for you today.",
    "menu": "I have found three accounts in your name. There is a checking account, a savings "
    "account and a joint account. For which of them would you like to hear the balance and the "
    "latest transactions?",
    "order": "Welcome to the coffee shop around the corner. We have coffee, espresso, latte, mocha "
    "and cappuccino, small, medium or large, hot or iced, with any kind of milk. What would you "
    "like to order?",
    "digits": "For your security I need the number of your card before we go on. Please read me "
    "the sixteen digits on its front, or enter them on the keypad of your telephone. Take all the "
    "time that you need.",
    "commands": "Here are the lines that I can put you through to. Say operator, voyager, "
    "wildfire, onword or think engine, whenever you like. If you would rather hear first "
    "what each of them can do for you, please wait until I have finished.",
    "yes_no": "I have one large iced coffee with three shots of espresso, a lot of skimmed milk "
    "and a little bit of brown sugar, to be collected at the counter in ten minutes from now. "
    "Is that right?",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and what is expected after it."""

    name: str
    prompt: SpokenPrompt
    expectation: Expectation


def questions(corpus: Corpus) -> dict[str, Question]:
    """By name; the prompts are spoken by the product's own voice."""
    voice = Prompts(EspeakVoice())
    expected = {
        "open": _expectation("open", SlotSpec("request", SlotType.TEXT)),
        "menu": _menu(),
        "commands": keyword(),
        "order": order(corpus),
        "digits": digits(CARD_DIGITS),
        "yes_no": yes_no(),
    }
    return {
        name: Question(name, voice.render((text,)), expected[name])
        for name, text in PROMPTS.items()
    }


def short_prompt(text: str) -> SpokenPrompt:
    """By the product's own voice."""
    return Prompts(EspeakVoice()).render((text,))


def digits(length: int | None, rule: DigitRule | None = None) -> Expectation:
    """A number of so many digits; None: of any length."""
    slot = SlotSpec("number", SlotType.DIGITS, min_length=length, max_length=length)
    keys = rule or DigitRule(max_keys=length or 32)
    return _expectation("digits", slot, digits=keys)


def yes_no() -> Expectation:
    """A yes/no question."""
    return _expectation("yes_no", SlotSpec("right", SlotType.YES_NO))


def keyword() -> Expectation:
    """The five keywords of phone_calls as commands."""
    choices = tuple(Choice(word, (word,)) for word in KEYWORDS)
    return _expectation("keyword", SlotSpec("command", SlotType.CHOICE, choices))


def order(corpus: Corpus) -> Expectation:
    """A coffee order: every slot of the corpus, with the values that it has."""
    slots = tuple(
        SlotSpec(name, SlotType.CHOICE, tuple(Choice(value, (value,)) for value in values))
        for name, values in corpus.order_values.items()
    )
    focus = next((s.name for s in slots if s.name == "coffeeDrink"), None)
    return Expectation(state="order", focus=focus, slots=slots, universals=UNIVERSALS)


def _menu() -> Expectation:
    choices = tuple(Choice(name, (name, name.split()[0])) for name in ACCOUNTS)
    return _expectation("menu", SlotSpec("account", SlotType.CHOICE, choices))


def _expectation(state: str, slot: SlotSpec, digits: DigitRule | None = None) -> Expectation:
    return Expectation(
        state=state, focus=slot.name, slots=(slot,), universals=UNIVERSALS, digits=digits
    )
