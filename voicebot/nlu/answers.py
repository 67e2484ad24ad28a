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
    "[sí] (no hay problema|sin problema|sin problemas|supongo|órale|ándale)",
    "(muy bien|me parece bien|me parece|creo que sí|supongo que sí|eso mismo|ya lo creo)",
)
_NO_ES = (
    "(no|nop|nunca|jamás|negativo|tampoco) [gracias|señor|señora|señorita|por favor|para nada|"
    "no es eso|no quiero|no es correcto|así no]",
    "no (es correcto|es cierto|es verdad|es eso|es así|está bien|quiero|todavía|ahora|"
    "por ahora|lo haga|lo hagas|exactamente|del todo)",
    "(para nada|de ninguna manera|en absoluto|de ningún modo|nada de eso|ni hablar|qué va)",
    "(todo|eso|todo eso) (está|es) (mal|incorrecto|equivocado)",
    "nada (está|es) (bien|correcto|cierto)",
    "(incorrecto|equivocado|está mal|es incorrecto|está equivocado|falso|es falso)",
    "(claro que no|por supuesto que no|desde luego que no|creo que no|mejor no|todavía no)",
)
_YES_EN = (
    "[yes|yeah|yep|sure] no (problem|worries)",
    "(no doubt [about it]|without [a] doubt|no yeah|totally|naturally|precisely|that's the one)",
    "[yes] i'd (like|love) that",
    "[yes] (that would|that will|that'd|that'll) be (great|good|nice|fine|lovely|perfect|it)",
    "(i (suppose|guess|agree)|yessir)",
    "[it] (everything|all of it|all of that|it all|all) (is|looks|sounds) "
    "(right|correct|fine|good|great|okay|perfect)",
    "(nothing's|nothing is|nothing) wrong [with (that|it)]",
    "i'm (good|fine|okay) with (it|that|this)",
)
_NO_EN = (
    "(probably|i guess|i suppose|i think|i hope|hardly|maybe|better|rather|perhaps) not",
    "[(that's|that is|it's|it is|this is|they're)] all (wrong|incorrect|messed up|mixed up)",
    "(sure|surely) not",
    "(i disagree|i don't agree|[that's|it's|there's|you made] a mistake)",
    "(everything|all of it|all of that|it all) (is|was) (wrong|incorrect|messed up)",
    "(nothing|none of (it|that|this)) is (right|correct|true)",
)
_ENOUGH_EN = (
    "[no] (i'm|i am|we're|we are) (good|fine|okay|ok|all right|all set|set|done) "
    "[thanks|thank you|for now]",
    "no (that's|that is|it's|it is) (okay|ok|fine|all right|alright|good) [thanks|thank you]",
    "[no] nothing [else|more|further] [for now|for today] [thanks|thank you]",
    "[no] (that will|that would|that'd|that'll) be (all|everything) [thanks|thank you]",
    "[no] (that's|that is) (all|everything) [i need|i needed] [for now|for today]",
    "[no] (that's|that is) it (thanks|thank you|for now|for today)",
)
_UNSURE_EN = (
    "i (don't|do not) [really] (mind|care)",
    "(it|that) (doesn't|does not) [really] matter [to me]",
    "either [one|way] [is fine|works]",
    "(whatever|whichever)",
    "(kind|sort) of",
    "not (bad|too bad)",
)
_ENOUGH_ES = (
    "[no] (estoy|estamos) bien [gracias|así]",
    "[no] (nada|nada más|ninguna otra cosa) [por ahora] [gracias]",
    "[no] (eso|con eso) es todo [por ahora] [gracias]",
)
_UNSURE_ES = (
    "(me da igual|me da lo mismo|da igual|no me importa|lo que sea)",
    "no (sé|lo sé|estoy seguro|estoy segura|me acuerdo|recuerdo|tengo idea)",
    "(quizás|quizá|tal vez|a lo mejor|depende|puede ser)",
)
Patterns = tuple[str, ...]
ANSWERS: dict[str, tuple[Patterns, Patterns, Patterns]] = {
    "en": ((*YES, *_YES_EN), (*NO, *_NO_EN), (*UNSURE, *_UNSURE_EN)),
    "es": (_YES_ES, _NO_ES, _UNSURE_ES),
}

_COMPLETE_EN = (
    "[yes|yeah|yep|right|correct] (that's|that is|that'll be|that will be) (all|everything) "
    "[thanks|thank you|please]",
)
_COMPLETE_ES = ("[sí|correcto] (eso es todo|nada más|es todo) [gracias|por favor]",)
COMPLETE = {"en": _COMPLETE_EN, "es": _COMPLETE_ES}
ENOUGH = {"en": _ENOUGH_EN, "es": _ENOUGH_ES}


def answers(language: str) -> tuple[Patterns, Patterns, Patterns]:
    """The patterns of yes, of no, and of neither in a language such as es-MX (default: English)."""
    return ANSWERS.get(re.split(r"[-_]", language.lower())[0], ANSWERS["en"])


def declining(language: str) -> Patterns:
    """How callers decline what a plan asks them: "nothing else", "I'm good", which after "is that
    right?" is no no."""
    return ENOUGH.get(re.split(r"[-_]", language.lower())[0], _ENOUGH_EN)


def completing(language: str) -> Patterns:
    """How callers say yes to what is read back to them: "that's all"."""
    return COMPLETE.get(re.split(r"[-_]", language.lower())[0], _COMPLETE_EN)
