"""Values as English words."""

from __future__ import annotations

from calendar import month_name
from collections.abc import Callable, Mapping
from datetime import date, time

from num2words import num2words

from voicebot.speech import parsing
from voicebot.speech.numerals import Numerals, choice

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_CURRENCIES = {  # sign -> (one, many, one hundredth, hundredths)
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
}


def _cardinal(whole: int) -> str:
    """ "one thousand two hundred thirty-four": no "and", which belongs before the cents."""
    words = str(num2words(whole, lang="en"))
    return words.replace(",", "").replace(" and ", " ")


NUMERALS = Numerals(_ONES, plus="plus", minus="minus", point="point", cardinal=_cardinal)


def _ordinal(value: str) -> str | None:
    found = parsing.ordinal(value)
    if found is None:
        return None
    words = str(num2words(found, to="ordinal", lang="en"))
    return words.replace(",", "").replace(" and ", " ")


def money(value: str) -> str | None:
    """ "fifteen dollars and fifty cents"."""
    found = parsing.amount(value)
    if found is None:
        return None
    one, many, cent, cents = _CURRENCIES[found.unit]
    minus = NUMERALS.signed(found.is_negative)
    hundredths = found.hundredths
    if hundredths is None:
        return f"{minus}{NUMERALS.decimal(found.whole, found.part)} {many}"
    words = []
    if found.whole or not hundredths:
        words.append(f"{_cardinal(found.whole)} {one if found.whole == 1 else many}")
    if hundredths:
        words.append(f"{_cardinal(hundredths)} {cent if hundredths == 1 else cents}")
    return minus + " and ".join(words)


def _year(year: int) -> str:
    """ "nineteen oh-five", "two thousand one", "twenty twenty-six"."""
    if 2000 <= year < 2010 or not 1000 <= year < 10000:
        return _cardinal(year)
    return str(num2words(year, to="year", lang="en"))


def _date(value: str) -> str | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return f"{month_name[day.month]} {_ordinal(str(day.day))}, {_year(day.year)}"


def _time(value: str) -> str | None:
    try:
        moment = time.fromisoformat(value)
    except ValueError:
        return None
    if (moment.hour, moment.minute) in {(0, 0), (12, 0)}:
        return "noon" if moment.hour else "midnight"
    words = [_cardinal(moment.hour % 12 or 12)]
    if 0 < moment.minute < 10:
        words.append("oh")
    if moment.minute:
        words.append(_cardinal(moment.minute))
    return " ".join([*words, "PM" if moment.hour >= 12 else "AM"])


def _letters(value: str) -> str | None:
    """Each letter alone, since "A B" would be spoken as a word."""
    signs = parsing.signs(value)
    if signs is None:
        return None
    return ", ".join(NUMERALS.digit(sign) or sign.upper() for sign in signs)


ENGLISH: Mapping[str, Callable[[str], str | None]] = {
    "money": money,
    "amount": money,
    "digits": NUMERALS.digits,
    "number": NUMERALS.number,
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "phone": NUMERALS.phone,
    "letters": _letters,
    "choice": choice,
}
"""Kind of a value -> its words; None where the value is not of that kind."""
