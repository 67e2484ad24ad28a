"""Recogniser text to tokens: case, punctuation, accents and numerals out of the way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from voicebot.nlu.words import word_list

MAX_TOKENS = 80
"""Longer texts are cut: no caller says more in one turn, and time grows with length."""

_TOKEN = re.compile(
    r"""
      (?P<date>\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}(?:/\d{4}|/\d{2})?)(?![\d/])
    | (?P<time>\d{1,2}:\d{2})(?!\d)
    | (?P<money>[$£€]\s?\d[\d,]*(?:\.\d+)?)
    | (?P<ordinal>\d+(?:st|nd|rd|th)\b)
    | (?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)
    | (?P<cents>¢)
    | (?P<plus>\+(?=\s?\d))
    | (?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# re.ASCII keeps \d and \w to ASCII; letters beyond it are folded before matching.
_MERIDIEM = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)
_INITIALS = re.compile(r"(?<![A-Za-z])([A-Za-z])\.(?=[A-Za-z](?![a-z]))")
_BREAK = re.compile(r"[,.;:!?—–]")

_ONES = word_list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = word_list("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINAL_ENDS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
CURRENCY = {"$": "dollars", "£": "pounds", "€": "euros"}


@dataclass(frozen=True, slots=True)
class Token:
    """One written word or numeral.

    `raw` as written, `text` folded (lower case, no accents, "1250" for "1,250"), `kind` the
    group of the pattern that matched, `words` as it would be spoken, `breaks_after` true when
    punctuation follows.
    """

    raw: str
    text: str
    kind: str
    words: tuple[str, ...]
    breaks_after: bool = False


class Words:
    """Texts of tokens by index, "" where there is none."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens

    def __getitem__(self, at: int) -> str:
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""


def tokenize(text: str) -> tuple[Token, ...]:
    """At most MAX_TOKENS tokens; symbols that nobody speaks are dropped."""
    plain = unicodedata.normalize("NFKD", text[: MAX_TOKENS * 24])
    plain = "".join(c for c in plain if not unicodedata.combining(c)).replace("’", "'")
    plain = _INITIALS.sub(r"\1 ", _MERIDIEM.sub(r"\1m ", plain))
    return tuple(_tokens(plain))[:MAX_TOKENS]


def _tokens(plain: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(plain):
        raw, kind = match.group(), match.lastgroup or "word"
        folded = raw.lower().replace(",", "") if kind in {"number", "money"} else raw.lower()
        following = plain[match.end() : match.end() + 1]
        yield Token(raw, folded, kind, spoken(folded, kind), bool(_BREAK.match(following)))


def spoken(text: str, kind: str) -> tuple[str, ...]:
    """The words of one token: "12" -> twelve, "$5" -> five dollars, "2:30" -> two thirty."""
    if kind == "number":
        return _spoken_decimal(text)
    if kind == "money":
        return (*_spoken_decimal(text[1:].strip()), CURRENCY[text[0]])
    if kind == "ordinal":
        *head, last = _spoken_decimal(text[:-2])
        return (*head, _ordinal_word(last))
    if kind == "time":
        hour, minute = text.split(":")
        return (*cardinal_words(int(hour)), *(cardinal_words(int(minute)) if int(minute) else ()))
    if kind == "date":
        return tuple(w for part in re.split(r"[-/]", text) for w in cardinal_words(int(part)))
    if kind == "cents":
        return ("cents",)
    return (text,)


def _spoken_decimal(text: str) -> tuple[str, ...]:
    whole, _, fraction = text.partition(".")
    if len(whole) > 6 or (len(whole) > 1 and whole[0] == "0"):
        words: tuple[str, ...] = tuple(_ONES[int(d)] for d in whole)
    else:
        words = cardinal_words(int(whole or "0"))
    return (*words, "point", *(_ONES[int(d)] for d in fraction)) if fraction else words


@lru_cache(maxsize=1024)
def cardinal_words(number: int) -> tuple[str, ...]:
    """American cardinal words of 0..999999, without "and"."""
    if number < 20:
        return (_ONES[number],)
    if number < 100:
        rest = (_ONES[number % 10],) if number % 10 else ()
        return (_TENS[number // 10], *rest)
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    below = cardinal_words(number % unit) if number % unit else ()
    return (*cardinal_words(number // unit), name, *below)


def _ordinal_word(word: str) -> str:
    if word in _ORDINAL_ENDS:
        return _ORDINAL_ENDS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"
