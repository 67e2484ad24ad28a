"""What is said and understood where a plan says nothing, in each language.

A language is one `Texts` in `LANGUAGES`; what a language has not is English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from voicebot.dialogue import defaults
from voicebot.dialogue.schema import Confirm, LadderEntry, PromptPart, Universal
from voicebot.events import SlotType


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
    which: str
    """Asks for an optional field that the caller named; `{name}` is its name."""
    nouns: Mapping[SlotType, tuple[str, ...]]
    """What callers call the only field of a type in a form."""
    help: list[PromptPart]
    keys_only: list[PromptPart]
    """Said once where there is no recogniser any more."""
    nothing_before: list[PromptPart]
    also: list[PromptPart]
    """Said when a further wish of the same breath is kept for later."""
    no_more: list[PromptPart]
    """Said when a further wish is not kept: too many wait, or the call ends with the first."""
    then: list[PromptPart]
    """Before that wish is turned to."""
    universals: Mapping[str, Universal]


def prompt(text: str) -> list[PromptPart]:
    """A prompt of one text."""
    return [PromptPart(say=text)]


def _rungs(**kinds: tuple[str, ...]) -> dict[str, list[LadderEntry]]:
    """Ladders that say one text after the other."""
    return {kind: [LadderEntry(prompt=prompt(text)) for text in on] for kind, on in kinds.items()}


def _prompts(**named: str) -> dict[str, list[PromptPart]]:
    """A prompt of one text each."""
    return {name: prompt(text) for name, text in named.items()}


ENGLISH = Texts(
    ladders=_rungs(
        noinput=("Sorry, I did not hear you.", "I still did not hear anything."),
        nomatch=(
            "Sorry, I did not understand that.",
            "I did not get that either. Please say it in other words.",
        ),
    ),
    last_words=_prompts(
        noinput="I cannot hear you. Please call again. Goodbye.",
        nomatch="I am sorry that I could not help. Goodbye.",
        operator="I will connect you with someone who can help.",
        error="Something went wrong on our side. I am sorry. Please call again later.",
    ),
    confirm=prompt("{{ value }}. Is that right?"),
    implicit="Okay, {{ value }}.",
    change=prompt("What would you like to change?"),
    which="What {name} would you like?",
    nouns={
        SlotType.AMOUNT: ("amount",),
        SlotType.DATE: ("date", "day"),
        SlotType.TIME: ("time",),
        SlotType.PHONE: ("(phone|telephone) [number]",),
    },
    help=prompt("Please answer the question, or say goodbye to end the call."),
    keys_only=prompt(
        "I cannot understand speech at the moment. Please answer with the keys of your telephone."
    ),
    nothing_before=prompt("This is where we began."),
    also=prompt("We will come to the other thing in a moment."),
    no_more=prompt("I can only do one thing at a time. Please ask for the rest again later."),
    then=prompt("Now to the other thing that you asked for."),
    universals={
        "operator": Universal(
            phrases=[
                "[I want to|I'd like to|I need to|can I|could I|let me] (speak|talk) (to|with) "
                "(an operator|the operator|an agent|a human|a person|a human being|someone|"
                "somebody)",
                "(get|give) me (an operator|the operator|an agent|a human|a person|a human being)",
                "[a|the] (operator|agent|representative|customer service|real person) [please]",
            ],
        ),
        "help": Universal(
            phrases=["help [me] [please]", "what can I (say|do)", "what are my options"]
        ),
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
        "main_menu": Universal(
            phrases=[
                "[[please] [go] back to] [the] main menu [please]",
                "(start|begin) (over|again|from the beginning) [please]",
            ]
        ),
        "cancel": Universal(
            phrases=[
                "[please] cancel [it|this|that] [please]",
                "(never mind|forget it|forget that)",
            ],
            prompt=prompt("All right."),
        ),
    },
)
SPANISH = Texts(
    ladders=_rungs(
        noinput=("Perdone, no le he oído.", "Sigo sin oír nada."),
        nomatch=(
            "Perdone, no le he entendido.",
            "Tampoco lo he entendido. Dígalo con otras palabras.",
        ),
    ),
    last_words=_prompts(
        noinput="No le oigo. Por favor, llame de nuevo. Adiós.",
        nomatch="Siento no haber podido ayudarle. Adiós.",
        operator="Le comunico con alguien que puede ayudarle.",
        error="Algo ha fallado por nuestra parte. Lo siento. Llame más tarde.",
    ),
    confirm=prompt("{{ value }}. ¿Es correcto?"),
    implicit="De acuerdo, {{ value }}.",
    change=prompt("¿Qué desea cambiar?"),
    which="¿Qué {name} desea?",
    nouns={
        SlotType.AMOUNT: ("(cantidad|importe)",),
        SlotType.DATE: ("(fecha|día)",),
        SlotType.TIME: ("hora",),
        SlotType.PHONE: ("[número de] teléfono",),
    },
    help=prompt("Responda a la pregunta, o diga adiós para terminar la llamada."),
    keys_only=prompt(
        "En este momento no puedo entender lo que dice. Responda con las teclas de su teléfono."
    ),
    nothing_before=prompt("Aquí es donde empezamos."),
    also=prompt("Enseguida vemos también lo otro."),
    no_more=prompt("Solo puedo hacer una cosa a la vez. Pida lo demás más tarde, por favor."),
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
        "main_menu": Universal(
            phrases=[
                "[volver al] menú principal",
                "(empezar|comenzar) de nuevo",
                "desde el principio",
            ]
        ),
        "cancel": Universal(
            phrases=["(cancelar|cancele|cancelarlo|cancélelo) [por favor]", "(olvídelo|déjelo)"],
            prompt=prompt("De acuerdo."),
        ),
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
