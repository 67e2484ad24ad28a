"""Yes and no in all their forms, as phrase patterns, in each language."""

from __future__ import annotations

import re

from voicebot.patterns import NO, UNSURE, YES

_YES_ES = (
    "(sí|sip|ajá|claro|claro que sí|cómo no|dale|vale|okay|ok|bueno|seguro|afirmativo|exacto|"
    "exactamente|efectivamente|así es|eso es|correcto|cierto|perfecto) [por favor|señor|señora|"
    "señorita|gracias|claro|exacto|correcto|así es|eso es|está bien|es correcto|de acuerdo]",
    "(por supuesto|desde luego|de acuerdo|conforme|adelante|confirmo|confirmado|hágalo|hazlo)",
    "(es|eso es|está|está todo|todo) (correcto|cierto|bien|verdad|exacto)",
    "(muy bien|me parece bien|me parece|creo que sí|supongo que sí|eso mismo|ya lo creo)",
)
_NO_ES = (
    "(no|nop|nunca|jamás|negativo|tampoco) [gracias|señor|señora|señorita|por favor|para nada|"
    "no es eso|no quiero|no es correcto|así no]",
    "no (es correcto|es cierto|es verdad|es eso|es así|está bien|quiero|todavía|ahora|"
    "por ahora|lo haga|lo hagas|exactamente|del todo)",
    "(para nada|de ninguna manera|en absoluto|de ningún modo|nada de eso|ni hablar|qué va)",
    "(incorrecto|equivocado|está mal|es incorrecto|está equivocado|falso|es falso)",
    "(claro que no|por supuesto que no|desde luego que no|creo que no|mejor no|todavía no)",
)
_YES_EN = ("[yes|yeah|yep|sure] no (problem|worries)",)
_UNSURE_EN = (
    "i (don't|do not) [really] (mind|care)",
    "(it|that) (doesn't|does not) [really] matter [to me]",
    "either [one|way] [is fine|works]",
    "(whatever|whichever)",
)
_UNSURE_ES = (
    "(me da igual|me da lo mismo|da igual|no me importa|lo que sea)",
    "no (sé|lo sé|estoy seguro|estoy segura|me acuerdo|recuerdo|tengo idea)",
    "(quizás|quizá|tal vez|a lo mejor|depende|puede ser)",
)
Patterns = tuple[str, ...]
ANSWERS: dict[str, tuple[Patterns, Patterns, Patterns]] = {
    "en": ((*YES, *_YES_EN), NO, (*UNSURE, *_UNSURE_EN)),
    "es": (_YES_ES, _NO_ES, _UNSURE_ES),
}


def answers(language: str) -> tuple[Patterns, Patterns, Patterns]:
    """The patterns of yes, of no, and of neither in a language such as es-MX (default: English)."""
    return ANSWERS.get(re.split(r"[-_]", language.lower())[0], ANSWERS["en"])
