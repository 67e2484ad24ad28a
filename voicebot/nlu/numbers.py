"""Cardinal and ordinal numbers, spoken or written, out of a token sequence."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from voicebot.nlu.text import Token, cardinal_words
from voicebot.nlu.words import word_list, word_set

UNITS = {word: n for n in range(10) for word in cardinal_words(n)}
UNITS |= {"nought": 0, "naught": 0, "nil": 0, "niner": 9}
TEENS = {word: n for n in range(10, 20) for word in cardinal_words(n)}
TENS = {cardinal_words(n)[0]: n for n in range(20, 100, 10)} | {"fourty": 40}
VALUES = UNITS | TEENS | TENS
SCALES = {
    "thousand": 1000,
    "grand": 1000,
    "k": 1000,
    "million": 10**6,
    "billion": 10**9,
}
_FIRST = word_list("first second third fourth fifth sixth seventh eighth ninth tenth")
_TEENTH = word_list(
    "eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
ORDINALS = {word: n for n, word in enumerate((*_FIRST, *_TEENTH), start=1)}
ORDINALS |= {tens[:-1] + "ieth": value for tens, value in TENS.items()}
MAX_NUMBER = Decimal(10) ** 12
_ALONE = word_set("hundred thousand million")
_COUNTED = word_set("few several many some of the these those that this per by point")
"""Words before "hundred" or "point" that leave open how many, or mean something else."""


def plain_number(token: Token) -> Decimal | None:
    """Value of a numeral token without sign or currency, else None."""
    return Decimal(token.text) if token.kind == "number" and len(token.text) <= 18 else None


def ordinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(value, end) of an ordinal at `at`: "3rd", "third", "twenty first"."""
    token = tokens[at]
    if token.kind == "ordinal" and len(token.text) <= 6:
        return int(token.text[:-2]), at + 1
    if token.text in ORDINALS:
        return ORDINALS[token.text], at + 1
    if token.text in TENS and at + 1 < len(tokens):
        unit = ORDINALS.get(tokens[at + 1].text, 99)
        if unit < 10:
            return TENS[token.text] + unit, at + 2
    return None


def cardinal(tokens: Sequence[Token], at: int) -> tuple[Decimal, int] | None:
    """(value, end) of the longest cardinal that begins at `at`, or None."""
    return _Cardinal(tokens, at).parse() if at < len(tokens) else None


_ARTICLES = (
    (("half", "a"), Decimal("0.5")),
    (("a", "half"), Decimal("0.5")),
    (("half",), Decimal("0.5")),
    (("a", "quarter", "of", "a"), Decimal("0.25")),
    (("quarter", "of", "a"), Decimal("0.25")),
    (("a", "quarter"), Decimal("0.25")),
    (("quarter",), Decimal("0.25")),
    (("three", "quarters", "of", "a"), Decimal("0.75")),
    (("a", "couple", "of"), Decimal(2)),
    (("a", "couple"), Decimal(2)),
    (("couple", "of"), Decimal(2)),
    (("couple",), Decimal(2)),
    (("a",), Decimal(1)),
    (("an",), Decimal(1)),
)
"""What stands for a number before a scale, the longest first."""
_BEGIN_ARTICLES = frozenset(words[0] for words, _ in _ARTICLES)


class _Cardinal:
    """Reads left to right: groups below a thousand, each closed by a smaller scale."""

    def __init__(self, tokens: Sequence[Token], at: int) -> None:
        self.tokens, self.at = tokens, at

    def word(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def parse(self) -> tuple[Decimal, int] | None:
        if self.word() == "point" and self.word(-1) not in _COUNTED:
            return self._fraction(Decimal(0), MAX_NUMBER) if self.word(1) in UNITS else None
        total, limit, seen = Decimal(0), MAX_NUMBER, False
        while (group := self._group(is_first=not seen, can_and=seen)) is not None:
            scale = SCALES.get(self.word(), 0)
            if seen and scale == 0 and group >= min(limit, Decimal(1000)):
                break
            if scale >= limit:
                break
            seen = True
            if scale == 0:
                total += group
                return self._fraction(total, limit)
            self.at += 1
            total, limit = total + group * scale, Decimal(scale)
        return self._fraction(total, limit) if seen else None

    def _fraction(self, total: Decimal, limit: Decimal) -> tuple[Decimal, int] | None:
        if self.word() == "and" and self.word(1) == "a" and self.word(2) == "half":
            half = Decimal("0.5") * (limit if limit < MAX_NUMBER else 1)
            self.at, total = self.at + 3, total + half
            if limit == MAX_NUMBER and self.word() in SCALES:  # "two and a half thousand"
                total *= SCALES[self.word()]
                self.at += 1
        elif self.word() == "and" and self.word(1) == "half" and limit == MAX_NUMBER:
            self.at, total = self.at + 2, total + Decimal("0.5")  # "dos y medio"
        elif self.word() == "point" and total == int(total):
            digits = ""
            end = self.at + 1
            while end < len(self.tokens) and len(digits) < 6:
                text = self.tokens[end].text
                if text not in UNITS and not (text.isdigit() and len(text) <= 6):
                    break
                digits += str(UNITS.get(text, text))
                end += 1
            if digits:
                total, self.at = total + Decimal("0." + digits), end
                if self.word() in SCALES:
                    total *= SCALES[self.word()]
                    self.at += 1
        return (total, self.at) if total < MAX_NUMBER else None

    def _group(self, *, is_first: bool, can_and: bool) -> Decimal | None:
        """A number below a thousand (or a numeral); moves on only when found."""
        begin = self.at
        if can_and and self.word() == "and":
            self.at += 1
        value = self._head(is_first)
        if value is None:
            self.at = begin
            return None
        if self.word() == "dozen" and 0 < value < 100:
            self.at += 1
            return value * 12
        if self.word() == "hundred" and 0 < value < 100:
            self.at += 1
            value *= 100
            skip = 1 if self.word() == "and" else 0
            here, self.at = self.at, self.at + skip
            rest = self._below_hundred()
            if rest is None or self.word() == "hundred":  # "two hundred three hundred" are two
                self.at = here
            else:
                value += rest
        return value

    def _head(self, is_first: bool) -> Decimal | None:
        if is_first:
            article = self._article()
            if article is not None:
                return article
            if self.word() in _ALONE and self.word(-1) not in _COUNTED:
                return Decimal(1)  # recognisers lose the "a" of "a hundred"
        if self.at < len(self.tokens):
            numeral = plain_number(self.tokens[self.at])
            if numeral is not None:
                self.at += 1
                return numeral
        return self._below_hundred()

    def _article(self) -> Decimal | None:
        """ "a hundred", "half a million", "a couple thousand": only before a scale."""
        for words, value in _ARTICLES if self.word() in _BEGIN_ARTICLES else ():
            after = self.word(len(words))
            if all(self.word(i) == word for i, word in enumerate(words)) and (
                after in SCALES or after == "dozen" or (after == "hundred" and value >= 1)
            ):
                self.at += len(words)
                return value
        return None

    def _below_hundred(self) -> Decimal | None:
        word = self.word()
        if word in UNITS or word in TEENS:
            self.at += 1
            return Decimal(VALUES[word])
        if word in TENS:
            self.at += 1
            unit = UNITS.get(self.word(), 0)
            if not unit:
                return Decimal(TENS[word])
            self.at += 1
            return Decimal(TENS[word] + unit)
        if self.at < len(self.tokens):
            numeral = plain_number(self.tokens[self.at])
            if numeral is not None and numeral < 100:
                self.at += 1
                return numeral
        return None
