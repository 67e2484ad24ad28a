"""Years as callers say them: "2027", "nineteen eighty four", "twenty oh one", "eighty four"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from voicebot.nlu.entities import ZERO, digit
from voicebot.nlu.numbers import cardinal
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_set

FIRST_YEAR, LAST_YEAR = 1900, 2199
YEARS_AHEAD = 20
"""A year of two digits is at most so far ahead, else of the last century: people are born then."""
CLOCK = 24
"""Two digits up to this behind a day are as often an hour as a year."""
_BEHIND = word_set("please thanks thank and for at in on is sorry no yes i that's")


def full_year(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(year, end) of one with its century."""
    if at >= len(tokens):
        return None
    one_by_one = [digit(token.text) for token in tokens[at : at + 4]]
    if one_by_one[:2] in (["1", "9"], ["2", "0"]) and len(one_by_one) == 4 and all(one_by_one):
        return int("".join(found or "" for found in one_by_one)), at + 4
    first = cardinal(tokens, at)
    if first is None or first[0] != int(first[0]):
        return None
    value, end = int(first[0]), first[1]
    if 19 <= value <= 21 and (rest := _of_century(tokens, end)) is not None:
        value, end = value * 100 + rest[0], rest[1]
    elif value in {1900, 2000} and (unit := _zero_and_unit(tokens, end)) is not None:
        value, end = value + unit[0], unit[1]
    return (value, end) if FIRST_YEAR <= value <= LAST_YEAR else None


def short_year(
    tokens: Sequence[Token], at: int, today: date, *, is_sure: bool = False
) -> tuple[int, int] | None:
    """(year, end) of one without its century, behind a day; one that could be an hour, or has a
    noun behind it, only where `is_sure`."""
    found = _zero_and_unit(tokens, at)
    if found is None:
        number = cardinal(tokens, at) if at < len(tokens) else None
        if number is None or number[0] != int(number[0]) or not 0 <= number[0] < 100:
            return None
        found = int(number[0]), number[1]
        if found[0] <= CLOCK and not is_sure:
            return None
    behind = tokens[found[1]].text if found[1] < len(tokens) else ""
    if behind and behind not in _BEHIND and not is_sure:
        return None
    return century_of(found[0], today), found[1]


def century_of(year: int, today: date) -> int:
    """The year that two digits stand for."""
    return 2000 + year if 2000 + year <= today.year + YEARS_AHEAD else 1900 + year


def _of_century(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """The "eighty four" or "oh one" of a year."""
    second = cardinal(tokens, at) if at < len(tokens) else None
    if second and 10 <= second[0] < 100 and second[0] == int(second[0]):
        return int(second[0]), second[1]
    return _zero_and_unit(tokens, at)


def _zero_and_unit(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    texts = [token.text for token in tokens[at : at + 2]]
    if len(texts) < 2 or texts[0] not in ZERO:
        return None
    unit = digit(texts[1])
    return (int(unit), at + 2) if unit else None
