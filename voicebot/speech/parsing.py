"""What is the same in every language about values that are spoken: how they are written, and where
groups of digits end."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_NUMBER = 15
"""Digits; longer numbers are read digit by digit."""
AMOUNT_IN_TEXT = re.compile(r"(?<!\w)-?[$€£](?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d{2})?(?![\d.,]*\d)")
_AMOUNT = re.compile(
    r"(?P<minus>-)?\s*(?P<unit>[$€£]|USD|EUR|GBP)?\s*(?P<minus2>-)?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?\s*(?P<unit2>USD|EUR|GBP)?"
)
_CODES = {"USD": "$", "EUR": "€", "GBP": "£"}
_GROUPS = {7: (3, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4)}


class Amount(NamedTuple):
    """Money: `part` holds the digits after the point, `unit` is $, € or £."""

    is_negative: bool
    whole: int
    part: str
    unit: str

    @property
    def hundredths(self) -> int | None:
        """Cents; None where the amount has fractions of them."""
        return int(f"{self.part:0<2}"[:2]) if len(self.part.rstrip("0")) <= 2 else None


class Number(NamedTuple):
    """A number; `part` holds the digits after the point."""

    is_negative: bool
    whole: str
    part: str


def amount(value: str) -> Amount | None:
    """ "$1,250.50", "-3 EUR", "12.5": dollars unless said otherwise."""
    found = _AMOUNT.fullmatch(value)
    if found is None or not re.sub(r"[€£]", "", value).isascii():
        return None
    if found["unit"] and found["unit2"]:
        return None
    unit = found["unit"] or found["unit2"] or "$"
    digits = found["whole"].replace(",", "")
    if len(digits) > LONGEST_NUMBER:
        return None
    is_negative = bool(found["minus"] or found["minus2"])
    return Amount(is_negative, int(digits), found["part"] or "", _CODES.get(unit, unit))


def number(value: str) -> Number | None:
    """ "1,250", "-3.5"."""
    found = re.fullmatch(r"(-?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?", value)
    if found is None or not value.isascii():
        return None
    sign, whole, part = found.groups()
    return Number(bool(sign), whole.replace(",", ""), part or "")


def digits(value: str) -> str | None:
    """The digits of a string of digits, blanks and hyphens."""
    found = re.sub(r"[\s-]", "", value)
    return found if re.fullmatch(r"[0-9]+", found) else None


def phone(value: str) -> str | None:
    """The digits of a telephone number, with its plus."""
    found = re.sub(r"[\s().-]", "", value)
    return found if re.fullmatch(r"\+?[0-9]{1,20}", found) else None


def ordinal(value: str) -> int | None:
    """ "2", "2nd"."""
    found = re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", value.lower())
    if found is None or not value.isascii() or len(found[1]) > LONGEST_NUMBER:
        return None
    return int(found[1])


def signs(value: str) -> str | None:
    """Letters and digits to be spelled."""
    found = re.sub(r"[\s,.-]", "", value)
    return found if found.isalnum() else None


def grouped(digits: str) -> list[str]:
    """Groups as people read them: 555 0199; 202 555 0199; card numbers in fours."""
    sizes = _GROUPS.get(len(digits))
    if sizes is None:
        if len(digits) <= 4:
            sizes = (len(digits),)
        elif len(digits) % 4 == 0:
            sizes = (4,) * (len(digits) // 4)
        else:  # threes, and never a single digit left over
            threes, rest = divmod(len(digits), 3)
            sizes = (3,) * (threes - (rest == 1)) + {0: (), 1: (4,), 2: (2,)}[rest]
    groups = []
    for size in sizes:
        groups.append(digits[:size])
        digits = digits[size:]
    return groups
