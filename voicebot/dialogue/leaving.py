""" "Cancel", "main menu" and "go back" end or undo what the caller is in, so they count only where
they are said in so many words: "cancer", "start of may", "I forgot it", "cancel the milk" and "I
want my money back" are something else. What they end may be called by its name: "cancel the
transfer"."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import lru_cache

from voicebot import patterns
from voicebot.events import CONFIRM_SLOT, Expectation, Interpretation

LEAVING = frozenset({"cancel", "main_menu", "go_back"})
_CARRIERS = frozenset(
    re.findall(
        r"\S+",
        "a actually ah all and but er hey hm i i'd just let's like no nope now of oh okay ok "
        "please right so sorry sure thank thanks that then to uh um wait want well would yeah yes "
        "you "
        "ahora bueno favor gracias mejor no pero perdon por pues quiero quisiera si",
    )
)
"""Words beside them that tell nothing."""
_BESIDE = {
    "go_back": frozenset(
        re.findall(
            r"\S+",
            "a again before can could do for from last me my one previous question step take the "
            "there up us was we where you la pregunta",
        )
    )
}
_CANCELS = (
    "cancel (everything|the whole thing|all of it|the request|my request)",
    "(i|i've|i have) changed my mind",
    "i (don't|do not) want [to do] (that|this|it) (any more|anymore|after all)",
    "let's (not do|forget|leave) (that|this|it)",
    "forget about it",
    "[he] (cambie|cambiado) de (opinion|idea)",
    "ya no (quiero|lo quiero|quiero hacerlo)",
    "(cancele|cancelar|cancela) todo",
)
"""Other ways of saying that what was begun shall not be done."""
_VERBS = ("cancel", "drop", "forget", "stop", "cancele", "cancelar", "cancela")
_THE = "[the|this|that|my|our|el|la|mi|este|esta]"
CERTAIN = 0.95
"""A wish that was less surely heard is a guess; a way out that was said goes before it."""
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
    beside = _BESIDE.get(read.intent, frozenset())
    if any(_is_said(read.text, tuple(spec.phrases), beside) for spec in specs):
        return None
    if read.intent == "cancel" and _is_called_off(read.text, expectation):
        return None
    left = [
        replace(one, phrases=()) if one.name in LEAVING else one
        for one in expectation.universals
        if one.name not in LEAVING or one.examples
    ]
    return replace(expectation, universals=tuple(left))


def preferred(read: Interpretation, expectation: Expectation) -> Interpretation:
    """ "Yes, forget it" at a review: the way out that was said, before the yes beside it; and
    "cancel the transfer", before the transfer that is under way."""
    is_other = read.intent is not None and read.intent not in _names(expectation)
    if read.is_universal or (is_other and read.confidence >= CERTAIN):
        return read
    values = [slot for slot in read.slots if slot.name != CONFIRM_SLOT]
    for spec in expectation.universals:
        if spec.name not in LEAVING:
            continue
        beside = _BESIDE.get(spec.name, frozenset())
        # "The last" of "back to the last question" is no value, "back" may be one.
        if any(not (_CARRIERS | beside).issuperset(words_of(slot.text)) for slot in values):
            continue
        is_said = bool(read.slots or is_other)
        is_said = is_said and _is_said(read.text, tuple(spec.phrases), beside)
        if is_said or (spec.name == "cancel" and _is_called_off(read.text, expectation)):
            return replace(read, intent=spec.name, slots=(), nbest=(), denied=(), is_universal=True)
    return read


def _is_called_off(text: str, expectation: Expectation) -> bool:
    """Whether what is under way shall not be done, in other words than "cancel"."""
    if expectation.focus is None:
        return False
    called = sorted({word for words in _names(expectation).values() for word in words})
    by_name = (f"{verb} {_THE} ({'|'.join(called)})" for verb in _VERBS if called)
    return _is_said(text, (*_CANCELS, *by_name))


def _names(expectation: Expectation) -> dict[str, set[str]]:
    """The intent of the form that is gone through, and the words that its phrases call it by."""
    form = expectation.state.split("/")[0]
    found: dict[str, set[str]] = {}
    for spec in expectation.intents:
        if form and form in spec.name.lower():
            said = [form, *(word for one in _expanded(tuple(spec.phrases)) for word in one)]
            names = {word for word in said if len(word) > 3 and word.isalpha()}
            found[spec.name] = names - _CARRIERS
    return found


def is_left_out(text: str) -> bool:
    """Whether these words ask for nothing: "none", "skip it"."""
    return _is_said(text, LEFT_OUT)


def _is_said(text: str, phrases: tuple[str, ...], beside: frozenset[str] = frozenset()) -> bool:
    """Whether a phrase was said, word by word, and nothing telling beside it; `beside`: further
    words that tell nothing."""
    words = words_of(text)
    return any(
        words[at : at + len(phrase)] == phrase
        and (_CARRIERS | beside).issuperset((*words[:at], *words[at + len(phrase) :]))
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
