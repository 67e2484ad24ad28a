"""Text as the search compares it: letters and figures in lower case, words parted by "_".

Case, accents, apostrophes and punctuation do not matter: " Four", "four" and "Four." are one word.
A number may be written in figures or in words, both are readings of the same phrase.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from voicebot.asr.vocabulary import SPACE

BREAK = "_"
"""Between words; several count as one."""
_SILENT = "'\u2019\u02bc`"


def word_list(text: str) -> tuple[str, ...]:
    """The words of a blank-separated string, in order."""
    return tuple(text.split())


ONES = word_list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS = word_list("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINALS = word_list(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_WORD_OF = {str(n): word for n, word in enumerate(ONES)} | {
    str(n): word for n, word in zip(range(20, 100, 10), TENS, strict=True)
}
_FIGURE_OF = {word: figure for figure, word in _WORD_OF.items()}


def plain(text: str) -> str:
    """Normal form: "I'd like 12.50" -> "id_like_12_50"; may begin or end with "_"."""
    if text.isascii():
        folded = text.lower()
    else:
        parts = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(c for c in parts if not unicodedata.combining(c))
    signs = [c if c.isalnum() else BREAK for c in folded if c not in _SILENT]
    return "".join(c for i, c in enumerate(signs) if c != BREAK or not i or signs[i - 1] != BREAK)


def of_token(token: bytes) -> str:
    """Normal form of a token of the vocabulary; control and stray bytes have none."""
    if token.startswith(b"<") and token.endswith(b">") and len(token) > 2:
        return ""
    return plain(token.replace(SPACE, b" ").decode("utf-8", "ignore"))


def words(text: str) -> tuple[str, ...]:
    """The words of a phrase, in normal form."""
    return tuple(word for word in plain(text).split(BREAK) if word)


def figure(number: int) -> str:
    """Words of 0..99, e.g. "twenty_two"."""
    if number < len(ONES):
        return ONES[number]
    tens, unit = TENS[number // 10 - 2], number % 10
    return f"{tens}{BREAK}{ONES[unit]}" if unit else tens


def readings(phrase: Sequence[str]) -> Iterable[str]:
    """How a phrase may be written: its numbers in words, in figures, or as they are."""
    yield BREAK.join(phrase)
    if any(word in _FIGURE_OF for word in phrase):
        yield BREAK.join(_figures(phrase))
    if any(word.isdecimal() and len(word) <= 2 for word in phrase):
        yield BREAK.join(_spelt(word) for word in phrase)


def _spelt(word: str) -> str:
    return figure(int(word)) if word.isdecimal() and len(word) <= 2 else word


def _figures(phrase: Sequence[str]) -> list[str]:
    found: list[str] = []
    open_tens = False
    for word in phrase:
        number = _FIGURE_OF.get(word, "")
        if number and open_tens and 0 < int(number) < 10:
            found[-1] = str(int(found[-1]) + int(number))
            open_tens = False
            continue
        open_tens = word in TENS
        found.append(number or word)
    return found
