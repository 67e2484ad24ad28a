"""What callers say that asks for nothing, language by language, and how words are told apart. Pure.

A nod ("uh-huh", "ajá") tells the speaker to go on (Yngve 1970).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_NO_WORD = re.compile(r"[^\w' ]|_")


@dataclass(frozen=True, slots=True)
class Nods:
    """One language's. `phrases` are nods of several words."""

    words: frozenset[str]
    phrases: tuple[str, ...]
    hallucinations: frozenset[str] = frozenset()


# fmt: off
ENGLISH = Nods(
    frozenset(
        [
            "ah", "aha", "alright", "cool", "good", "great", "hm", "hmm", "huh", "mhm", "mhmm",
            "mm", "mmhm", "mmhmm", "mmm", "oh", "ok", "okay", "perfect", "really", "right", "sure",
            "uh", "uhhuh", "uhuh", "um", "wonderful", "wow", "ya", "yeah", "yep", "yes", "yup",
        ]
    ),
    (
        "i see", "i c", "i know", "got it", "go on", "all right", "of course", "uh huh", "mm hmm",
    ),
    frozenset(
        [
            "you", "thank you", "thank you for watching", "thanks for watching",
            "thank you very much",
        ]
    ),
)
"""`words`: those of which alone no caller wants the floor; "no" and "what" are not among them, nor
"fine" and "nice", as which five and nine are heard. `hallucinations`: what our recogniser hears in
hums and music; from a caller, nothing to stop a prompt for."""
SPANISH = Nods(
    frozenset(
        [
            "ah", "aha", "ahá", "ajá", "bien", "bueno", "claro", "correcto", "eh", "entiendo",
            "entendido", "exacto", "genial", "hm", "hmm", "mhm", "mm", "mmhm", "mmm", "oh", "ok",
            "okay", "okey", "perfecto", "sí", "si", "sip", "sep", "seguro", "uh", "um", "vale",
            "ya", "exactamente", "listo", "gracias",
        ]
    ),
    (
        "de acuerdo", "por supuesto", "muy bien", "está bien", "ya veo", "lo sé", "ya sé",
        "claro que sí", "muchas gracias", "uh huh", "uh hum",
    ),
)
# fmt: on
"""The same in Spanish; "no", "qué" and "cómo" ask for the floor, and so does "dígame"."""
_BY_LANGUAGE = {"en": ENGLISH, "es": SPANISH}


def nods_of(language: str) -> Nods:
    """The lists of a plan's language ("es-MX" is Spanish); English for any other."""
    return _BY_LANGUAGE.get(language.split("-")[0].casefold(), ENGLISH)


def words_of(text: str) -> list[str]:
    """Words in small letters of any alphabet, digits and apostrophes; "uh-huh" is one."""
    plain = unicodedata.normalize("NFC", text).casefold().replace("-", "").replace("’", "'")
    return _NO_WORD.sub(" ", plain).split()
