"""Values as the words a person would say, with pauses where groups end.

A value that is not of its kind is spoken as the text it is: a caller hears an odd word rather
than nothing. Languages are tables of functions; a language without a table leaves values to
the voice, which reads them as plain text.
"""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal

from num2words import num2words

from voicebot.events import Say

PAUSE = "pause"
"""Kind of a Say that is a silence of so many milliseconds."""
_ONE_BY_ONE = frozenset({"digits", "phone", "letters"})
"""Kinds of which each sign is a word: spoken slowly, a pause follows each."""
_LONGEST_NUMBER = 15  # digits; longer ones are read digit by digit
_LONGEST_VALUE = 500  # characters; a service may answer anything
_DIGIT_WORDS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
}
_CURRENCIES = {  # sign or code -> (one, many, one hundredth, hundredths)
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
}
_CODES = {"USD": "$", "EUR": "€", "GBP": "£"}
_AMOUNT = re.compile(
    r"(?P<minus>-)?\s*(?P<unit>[$€£]|USD|EUR|GBP)?\s*(?P<minus2>-)?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?\s*(?P<unit2>USD|EUR|GBP)?"
)
_AMOUNT_IN_TEXT = re.compile(r"(?<!\w)-?[$€£](?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d{2})?(?![\d.,]*\d)")
_GROUPS = {7: (3, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4)}
_UNSPOKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]+")


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
    if _base(language) != "en":
        return text
    return _AMOUNT_IN_TEXT.sub(lambda found: _money(found[0]) or found[0], text)


# ---------------------------------------------------------------- English


def _cardinal(whole: int) -> str:
    """ "one thousand two hundred thirty-four": no "and", which belongs before the cents."""
    words = str(num2words(whole, lang="en"))
    return words.replace(",", "").replace(" and ", " ")


def _spoken_digits(digits: str) -> str:
    return " ".join(_DIGIT_WORDS[digit] for digit in digits)


def _digits(value: str) -> str | None:
    digits = re.sub(r"[\s-]", "", value)
    if not re.fullmatch(r"[0-9]+", digits):
        return None
    return ", ".join(_spoken_digits(group) for group in _grouped(digits))


def _grouped(digits: str) -> list[str]:
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


def _phone(value: str) -> str | None:
    """Digits in groups; a leading + is said, and North America's country code stands alone."""
    number = re.sub(r"[\s().-]", "", value)
    if not re.fullmatch(r"\+?[0-9]{1,20}", number):
        return None
    if number.startswith("+1") and len(number) > 2:
        return f"plus one, {_digits(number[2:])}"
    spoken = _digits(number.removeprefix("+"))
    return f"plus {spoken}" if number.startswith("+") else spoken


def _number(value: str) -> str | None:
    found = re.fullmatch(r"(-?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?", value)
    if found is None or not value.isascii():
        return None
    sign, whole, part = found.groups()
    whole = whole.replace(",", "")
    if len(whole) > _LONGEST_NUMBER:
        return _digits(whole)
    words = ("minus " if sign else "") + _cardinal(int(whole))
    return f"{words} point {_spoken_digits(part)}" if part else words


def _ordinal(value: str) -> str | None:
    found = re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", value.lower())
    if found is None or not value.isascii() or len(found[1]) > _LONGEST_NUMBER:
        return None
    words = str(num2words(int(found[1]), to="ordinal", lang="en"))
    return words.replace(",", "").replace(" and ", " ")


def _money(value: str) -> str | None:
    found = _AMOUNT.fullmatch(value)
    if found is None or not re.sub(r"[€£]", "", value).isascii():
        return None
    if found["unit"] and found["unit2"]:
        return None
    unit = found["unit"] or found["unit2"] or "$"
    one, many, cent, cents = _CURRENCIES[_CODES.get(unit, unit)]
    digits, part = found["whole"].replace(",", ""), found["part"] or ""
    if len(digits) > _LONGEST_NUMBER:
        return None
    minus = "minus " if found["minus"] or found["minus2"] else ""
    if len(part.rstrip("0")) > 2:
        return f"{minus}{_cardinal(int(digits))} point {_spoken_digits(part)} {many}"
    amount = Decimal(f"{digits}.{part or 0}")
    whole, hundredths = divmod(int(amount * 100), 100)
    words = []
    if whole or not hundredths:
        words.append(f"{_cardinal(whole)} {one if whole == 1 else many}")
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
    signs = re.sub(r"[\s,.-]", "", value)
    if not signs.isalnum():
        return None
    return ", ".join(_DIGIT_WORDS.get(sign, sign.upper()) for sign in signs)


def _choice(value: str) -> str | None:
    """Choice values are identifiers: flat_white."""
    return _clean(value.replace("_", " "))


_Speak = Callable[[str], str | None]
_ENGLISH: dict[str, _Speak] = {
    "money": _money,
    "amount": _money,
    "digits": _digits,
    "number": _number,
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "phone": _phone,
    "letters": _letters,
    "choice": _choice,
}
_LANGUAGES: Mapping[str, Mapping[str, _Speak]] = {"en": _ENGLISH}
