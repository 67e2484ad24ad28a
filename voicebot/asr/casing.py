"""Capitals that the recogniser left out: it was trained on lower-case texts too.

Capitals that are there stay. Names of people and places are left to the recogniser.
"""

from __future__ import annotations

import re

_ALWAYS = re.compile(
    r"\b(?:i(?=$|[\s,.;:?!]|'(?:m|d|ll|ve)\b)|monday|tuesday|wednesday|thursday|friday|saturday|"
    r"sunday|january|february|april|june|july|august|september|october|november|december)\b"
    r"(?!\.\w)",
)
_OPENING = re.compile(r"(?:^|(?<=\w\w[.?!]\s))([^\w$€£]*)([a-z])")


def cased(text: str, language: str = "en") -> str:
    """English: sentences begin with a capital; so do "I", days and months that are no verbs.

    Other languages: sentences alone."""
    if language.lower().startswith("en"):
        text = _ALWAYS.sub(lambda found: found[0][0].upper() + found[0][1:], text)
    return _OPENING.sub(lambda found: found[1] + found[2].upper(), text)
