"""What a plan need not say: phrases of universals, prompts of ladders, bounds (English)."""

from __future__ import annotations

from voicebot.dialogue.schema import Confirm, Exit, LadderEntry, PromptPart, Universal
from voicebot.events import CONFIRM_SLOT

RESERVED = frozenset({CONFIRM_SLOT, "said", "value", "call", "now", "review", "change"})
"""Names that no field and no variable may have."""

NOMATCH_BELOW = 0.2
EXPLICIT_BELOW = 0.4
IMPLICIT_BELOW = 0.6
OVERWRITE_BELOW = 0.7
"""Less sure than this, a value beside a surer one does not replace what a slot holds."""
MAX_DENIALS = 3
"""So many times "no" to the same value, then the nomatch ladder's end."""
MAX_MISSES = 12
"""So many noinputs and nomatches in a row, wherever, end the call: no plan loops for ever."""
MAX_DEPTH = 8
"""Forms that wait for one another; beyond is a plan that calls itself for ever."""
FILLER_AFTER_MS = 1500
"""Longer silences make callers ask whether somebody is there."""
MODEL_CONFIDENCE = 0.5
"""What a language model understood is mentioned or asked about, as the bounds say."""
MAX_STEPS = 500
"""Steps without waiting for anyone; beyond is a loop that the checks could not see."""


def prompt(text: str) -> list[PromptPart]:
    """A prompt of one text."""
    return [PromptPart(say=text)]


LADDERS = {
    "noinput": [
        LadderEntry(prompt=prompt("Sorry, I did not hear you.")),
        LadderEntry(prompt=prompt("I still did not hear anything.")),
    ],
    "nomatch": [
        LadderEntry(prompt=prompt("Sorry, I did not understand that.")),
        LadderEntry(prompt=prompt("I did not get that either. Please say it in other words.")),
    ],
}
LAST_WORDS = {
    "noinput": prompt("I cannot hear you. Please call again. Goodbye."),
    "nomatch": prompt("I am sorry that I could not help. Goodbye."),
    "operator": prompt("I will connect you with someone who can help."),
    "error": prompt("Something went wrong on our side. I am sorry. Please call again later."),
}
CONFIRM = Confirm(
    mode="by_confidence",
    nomatch_below=NOMATCH_BELOW,
    explicit_below=EXPLICIT_BELOW,
    implicit_below=IMPLICIT_BELOW,
    offers=2,
    prompt=prompt("{{ value }}. Is that right?"),
)
IMPLICIT = "Okay, {{ value }}."
CHANGE = prompt("What would you like to change?")
CORRECTED = prompt("Okay, not that.")
HELP = prompt("Please answer the question, or say goodbye to end the call.")
NOTHING_BEFORE = prompt("This is where we began.")

UNIVERSALS: dict[str, Universal] = {
    "operator": Universal(
        phrases=[
            "[I want to|I'd like to|I need to|can I|could I|let me] (speak|talk) (to|with) "
            "(an operator|the operator|an agent|a human|a person|someone|somebody)",
            "[a|the] (operator|agent|representative|customer service|real person) [please]",
        ],
    ),
    "help": Universal(phrases=["help [me] [please]", "what can I (say|do)", "what are my options"]),
    "repeat": Universal(
        phrases=[
            "[please|can you|could you] repeat [that] [please]",
            "[please|can you|could you] say that again [please]",
            "(what|pardon|pardon me|sorry what) [did you say]",
            "come again",
        ],
    ),
    "goodbye": Universal(
        phrases=["(goodbye|bye|bye bye|good bye)", "(hang up|I'm done|that's all) [goodbye]"],
        prompt=prompt("Goodbye."),
    ),
    "go_back": Universal(
        phrases=["[please] go back [please]", "(back|previous|previous question)"]
    ),
}
GOODBYE_OUTCOME = "goodbye"
HANG_UP_OUTCOME = "hung_up"
ERROR_OUTCOME = "error"
END_OUTCOME = "completed"


def as_exit(keys: Exit) -> Exit:
    """The exit part of a rung or universal."""
    return Exit(
        prompt=keys.prompt, goto=keys.goto, transfer=keys.transfer, disconnect=keys.disconnect
    )
