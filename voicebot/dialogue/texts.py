"""What is said and understood where a plan says nothing, in each language.

A language is one `Texts` in `LANGUAGES`; what a language has not is English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from voicebot.dialogue import defaults
from voicebot.dialogue.schema import Confirm, LadderEntry, PromptPart, Universal


@dataclass(frozen=True, slots=True)
class Texts:
    """Prompts, and phrases of the universals, of one language."""

    ladders: Mapping[str, list[LadderEntry]]
    """Rungs of `noinput` and `nomatch`, without the exit."""
    last_words: Mapping[str, list[PromptPart]]
    """Before an exit nobody declared: noinput, nomatch, operator, error."""
    confirm: list[PromptPart]
    """`{{ value }}` is what was heard."""
    implicit: str
    change: list[PromptPart]
    help: list[PromptPart]
    nothing_before: list[PromptPart]
    also: list[PromptPart]
    """Said when a further wish of the same breath is kept for later."""
    then: list[PromptPart]
    """Before that wish is turned to."""
    universals: Mapping[str, Universal]


def prompt(text: str) -> list[PromptPart]:
    """A prompt of one text."""
    return [PromptPart(say=text)]


_LADDERS = {
    "noinput": [
        LadderEntry(prompt=prompt("Sorry, I did not hear you.")),
        LadderEntry(prompt=prompt("I still did not hear anything.")),
    ],
    "nomatch": [
        LadderEntry(prompt=prompt("Sorry, I did not understand that.")),
        LadderEntry(prompt=prompt("I did not get that either. Please say it in other words.")),
    ],
}
_LAST_WORDS = {
    "noinput": prompt("I cannot hear you. Please call again. Goodbye."),
    "nomatch": prompt("I am sorry that I could not help. Goodbye."),
    "operator": prompt("I will connect you with someone who can help."),
    "error": prompt("Something went wrong on our side. I am sorry. Please call again later."),
}
_IMPLICIT = "Okay, {{ value }}."
_CHANGE = prompt("What would you like to change?")
_HELP = prompt("Please answer the question, or say goodbye to end the call.")
_ALSO = prompt("We will come to the other thing in a moment.")
_THEN = prompt("Now to the other thing that you asked for.")
_NOTHING_BEFORE = prompt("This is where we began.")

_UNIVERSALS: dict[str, Universal] = {
    "operator": Universal(
        phrases=[
            "[I want to|I'd like to|I need to|can I|could I|let me] (speak|talk) (to|with) "
            "(an operator|the operator|an agent|a human|a person|a human being|someone|somebody)",
            "(get|give) me (an operator|the operator|an agent|a human|a person|a human being)",
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

ENGLISH = Texts(
    ladders=_LADDERS,
    last_words=_LAST_WORDS,
    confirm=prompt("{{ value }}. Is that right?"),
    implicit=_IMPLICIT,
    change=_CHANGE,
    help=_HELP,
    nothing_before=_NOTHING_BEFORE,
    also=_ALSO,
    then=_THEN,
    universals=_UNIVERSALS,
)
SPANISH = Texts(
    ladders={
        "noinput": [
            LadderEntry(prompt=prompt("Perdone, no le he oído.")),
            LadderEntry(prompt=prompt("Sigo sin oír nada.")),
        ],
        "nomatch": [
            LadderEntry(prompt=prompt("Perdone, no le he entendido.")),
            LadderEntry(prompt=prompt("Tampoco lo he entendido. Dígalo con otras palabras.")),
        ],
    },
    last_words={
        "noinput": prompt("No le oigo. Por favor, llame de nuevo. Adiós."),
        "nomatch": prompt("Siento no haber podido ayudarle. Adiós."),
        "operator": prompt("Le comunico con alguien que puede ayudarle."),
        "error": prompt("Algo ha fallado por nuestra parte. Lo siento. Llame más tarde."),
    },
    confirm=prompt("{{ value }}. ¿Es correcto?"),
    implicit="De acuerdo, {{ value }}.",
    change=prompt("¿Qué desea cambiar?"),
    help=prompt("Responda a la pregunta, o diga adiós para terminar la llamada."),
    nothing_before=prompt("Aquí es donde empezamos."),
    also=prompt("Enseguida vemos también lo otro."),
    then=prompt("Ahora, lo otro que pidió."),
    universals={
        "operator": Universal(
            phrases=[
                "[quiero|quisiera|necesito|puedo|me gustaría|déjeme] hablar con (un operador|"
                "una operadora|el operador|la operadora|un agente|una persona|alguien)",
                "[un|el|una|la] (operador|operadora|agente|representante|atención al cliente) "
                "[por favor]",
            ]
        ),
        "help": Universal(phrases=["ayuda [por favor]", "qué puedo decir", "qué opciones hay"]),
        "repeat": Universal(
            phrases=[
                "(repita|repítalo|repite|repetir) [por favor]",
                "[puede|podría|me puede|me lo puede] repetir [por favor]",
                "(cómo|cómo dice|cómo dijo|mande|otra vez|qué dijo)",
            ]
        ),
        "goodbye": Universal(
            phrases=["(adiós|hasta luego|chao|hasta pronto)", "(eso es todo|nada más) [gracias]"],
            prompt=prompt("Adiós."),
        ),
        "go_back": Universal(phrases=["[por favor] (volver|atrás|volver atrás|anterior)"]),
    },
)
LANGUAGES: dict[str, Texts] = {"en": ENGLISH, "es": SPANISH}
"""By the language without its region: "es" for es-MX."""


def of(language: str) -> Texts:
    """The texts of a language such as en or en-US; English where there are none."""
    return LANGUAGES.get(re.split(r"[-_]", language.lower())[0], ENGLISH)


def confirmation(language: str) -> Confirm:
    """Bounds and question of confirmations."""
    return Confirm(
        mode="by_confidence",
        nomatch_below=defaults.NOMATCH_BELOW,
        explicit_below=defaults.EXPLICIT_BELOW,
        implicit_below=defaults.IMPLICIT_BELOW,
        offers=defaults.OFFERS,
        prompt=of(language).confirm,
    )
