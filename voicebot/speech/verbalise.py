"""Values as the words a person would say, with pauses where groups end.

A value that is not of its kind is spoken as the text it is: a caller hears an odd word rather
than nothing. Languages are tables of functions; a language without a table leaves values to
the voice, which reads them as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from voicebot.events import Say
from voicebot.speech import english, spanish
from voicebot.speech.parsing import AMOUNT_IN_TEXT

PAUSE = "pause"
"""Kind of a Say that is a silence of so many milliseconds."""
_ONE_BY_ONE = frozenset({"digits", "phone", "letters"})
"""Kinds of which each sign is a word: spoken slowly, a pause follows each."""
_LONGEST_VALUE = 500  # characters; a service may answer anything
_UNSPOKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]+")

_Speak = Callable[[str], str | None]
_LANGUAGES: Mapping[str, Mapping[str, _Speak]] = {"en": english.ENGLISH, "es": spanish.SPANISH}


def verbalise(part: str | Say, language: str = "en") -> str:
    """Words for one part of a prompt; `language` is "en", "en-US", ...; never raises."""
    if isinstance(part, str):
        return _text(part, language)
    value = _clean(part.value)[:_LONGEST_VALUE]
    speak = _LANGUAGES.get(_base(language), {}).get(part.kind)
    words = speak(value) if speak is not None else None
    if words is not None and part.pace == "slow" and part.kind in _ONE_BY_ONE:
        words = ", ".join(word for word in re.split(r"[\s,]+", words) if word)
    return words if words is not None else _text(value, language)


def join(parts: tuple[str | Say, ...], language: str = "en") -> str:
    """The whole text of a prompt: parts one space apart, none before punctuation."""
    spoken = (part for part in parts if isinstance(part, str) or part.kind != PAUSE)
    text = " ".join(verbalise(part, language) for part in spoken)
    return re.sub(r"\s+([,.;:?!])(?=\s|$)", r"\1", " ".join(text.split()))


def _base(language: str) -> str:
    return re.split(r"[-_]", language.lower())[0]


def _clean(text: str) -> str:
    return " ".join(_UNSPOKEN.sub(" ", text).split())


def _text(text: str, language: str) -> str:
    text = _clean(text)
    money = _LANGUAGES.get(_base(language), {}).get("money")
    if money is None:
        return text
    return AMOUNT_IN_TEXT.sub(lambda found: money(found[0]) or found[0], text)
