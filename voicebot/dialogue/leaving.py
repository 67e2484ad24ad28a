""" "Cancel" and "main menu" end what the caller is in, so they count only where they are said in so
many words: "cancer", "start of may", "I forgot it" and "cancel the milk" are something else."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import lru_cache

from voicebot import patterns
from voicebot.events import CONFIRM_SLOT, Expectation, Interpretation

LEAVING = frozenset({"cancel", "main_menu"})
_CARRIERS = frozenset(
    re.findall(
        r"\S+",
        "a actually ah all and but er hey hm i i'd just let's like no nope now of oh okay ok "
        "please right so sorry sure thank thanks that then to uh um want well would yeah yes you "
        "ahora bueno favor gracias mejor no pero perdon por pues quiero quisiera si",
    )
)
"""Words beside them that tell nothing."""
LEFT_OUT = (
    "(none|nothing|without|skip|nada|ninguno|ninguna)",
    "none of (it|them|that)",
    "skip (it|that)",
    "leave (it|that) [out]",
)
"""How callers say that a field shall stay empty."""


def reconsidered(read: Interpretation, expectation: Expectation) -> Expectation | None:
    """What to interpret the words by instead, where a way out was only guessed at: learned from
    its examples at most. None where `read` may stand."""
    if not read.is_universal or read.intent not in LEAVING or read.by == "dtmf":
        return None
    specs = [one for one in expectation.universals if one.name == read.intent]
    if any(_is_said(read.text, tuple(spec.phrases)) for spec in specs):
        return None
    left = [
        replace(one, phrases=()) if one.name in LEAVING else one
        for one in expectation.universals
        if one.name not in LEAVING or one.examples
    ]
    return replace(expectation, universals=tuple(left))


def preferred(read: Interpretation, expectation: Expectation) -> Interpretation:
    """ "Yes, forget it" at a review: the way out that was said, before the yes beside it."""
    if read.intent is not None or any(slot.name != CONFIRM_SLOT for slot in read.slots):
        return read
    for spec in expectation.universals:
        if spec.name in LEAVING and read.slots and _is_said(read.text, tuple(spec.phrases)):
            return replace(read, intent=spec.name, slots=(), nbest=(), is_universal=True)
    return read


def is_left_out(text: str) -> bool:
    """Whether these words ask for nothing: "none", "skip it"."""
    return _is_said(text, LEFT_OUT)


def _is_said(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether a phrase was said, word by word, and nothing telling beside it."""
    words = words_of(text)
    return any(
        words[at : at + len(phrase)] == phrase
        and _CARRIERS.issuperset((*words[:at], *words[at + len(phrase) :]))
        for phrase in _expanded(phrases)
        for at in range(len(words) - len(phrase) + 1)
    )


@lru_cache(maxsize=256)
def _expanded(phrases: tuple[str, ...]) -> tuple[patterns.Words, ...]:
    found = (patterns.expand_leniently(phrase, words_of) for phrase in phrases)
    return tuple(dict.fromkeys(words for one in found for words in one))


def words_of(text: str) -> patterns.Words:
    """Words without accents, which recognisers and plans may leave out."""
    plain = unicodedata.normalize("NFD", text.lower().replace("\u2019", "'"))
    return tuple(re.findall(r"[a-z0-9']+", re.sub(r"[\u0300-\u036f]", "", plain)))
