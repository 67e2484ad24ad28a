"""Coarse words masked in the record: whole words of a list, so that names stay what they are.

The list is short on purpose: a mild word masked in a complaint costs the reader more than it
spares him. Libraries for this match letters in the midst of words, or hundreds of harmless ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_STEMS = {
    "en": (
        r"(?:mother[ -]?)?fuck(?:s|ed|er|ers|in|ing|wit|head)?",
        r"(?:bull|horse)?shit(?:s|ty|ting|head|heads)?",
        r"cunts?|bitch(?:es|y)?|bastards?|twats?|whores?|sluts?|cocksuckers?",
        r"(?:dick|ass|arse)(?:hole|holes|head|heads|wipe)",
        r"wank(?:er|ers|ing)?|n[i1]gg(?:er|ers|a|as)|fagg?ots?|goddamn(?:ed|it)?",
    ),
    "es": (
        r"mierdas?|put[ao]s?|joder|jodid[ao]s?|coños?|gilipollas|cabr[oó]n(?:es|a|as)?",
        r"pendej[ao]s?|chinga(?:r|da|do|te)?|maric[oó]n(?:es)?|hijos? de puta",
    ),
}
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    language: re.compile(rf"(?<!\w)(?:{'|'.join(stems)})(?!\w)", re.IGNORECASE)
    for language, stems in _STEMS.items()
}


def masked(text: str, language: str = "en") -> str:
    """Coarse words as their first letter and asterisks; "Scunthorpe" and "Dick" stay."""
    pattern = _PATTERNS.get(re.split(r"[-_]", language.lower())[0])
    if pattern is None:
        return text
    return pattern.sub(lambda found: _stars(found[0]), text)


def _stars(words: str) -> str:
    return " ".join(word[0] + "*" * (len(word) - 1) for word in words.split(" "))
