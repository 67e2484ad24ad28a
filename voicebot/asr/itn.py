"""How what was said is written: "two hundred and fifty dollars" -> "$250" (inverse text
normalisation). For the record alone: understanding reads the words as they were recognised.

`text2num` finds the numbers in the words; tables of rules per language, applied in order, make
digit strings, dates, times, money and spelled words of them. What no rule knows stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from text_to_num import alpha2digit

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
LONGEST = 5000
"""Characters; more than a caller says in a turn. Longer text stays as it is."""
MIN_DIGITS = 3
"""Single digits in a row that make a string: "two, three" may as well be a guess at a number."""


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is text2num's, `rules` follow its conversion. `digits`: words of single digits;
    `repeats`: "double" and the like."""

    code: str
    digits: Mapping[str, str]
    repeats: Mapping[str, int]
    rules: Sequence[Rule]


def written(text: str, language: str = "en") -> str:
    """The text as a person would write it down; as it is in a language without rules."""
    rules = LANGUAGES.get(re.split(r"[-_]", language.lower())[0])
    if rules is None or len(text) > LONGEST:
        return text
    text = _digit_strings(text, rules)
    text = alpha2digit(text, rules.code)
    for pattern, replace in rules.rules:
        text = pattern.sub(replace, text)
    return text


# ---------------------------------------------------------------- digit strings


def _digit_strings(text: str, rules: Language) -> str:
    """ "five five five, oh one double nine" -> "555-0199": runs of MIN_DIGITS digits or more."""
    tokens = text.split()
    out: list[str] = []
    at = 0
    while at < len(tokens):
        digits, end = _run(tokens, at, rules)
        if len(digits) >= MIN_DIGITS:
            tail = re.search(r"[^\w]*$", tokens[end - 1])
            out.append(_grouped(digits) + (tail[0] if tail else ""))
            at = end
        else:
            out.append(tokens[at])
            at += 1
    return " ".join(out)


def _run(tokens: Sequence[str], at: int, rules: Language) -> tuple[str, int]:
    """The digits that begin at a token, and where they end. A sentence's end closes them."""
    digits, times = "", 1
    while at < len(tokens):
        word = tokens[at].lower().strip(",.?!;:-")
        if times == 1 and word in rules.repeats:
            times = rules.repeats[word]
            if not _is_digit(tokens[at + 1 : at + 2], rules):
                break
        elif (digit := rules.digits.get(word) or _figure(word)) is not None:
            digits += digit * times
            times = 1
        else:
            break
        at += 1
        if tokens[at - 1][-1] in ".?!;:":
            break
    return digits, at


def _is_digit(tokens: Sequence[str], rules: Language) -> bool:
    word = tokens[0].lower().strip(",.?!;:-") if tokens else ""
    return word in rules.digits or _figure(word) is not None


def _figure(word: str) -> str | None:
    return word if len(word) == 1 and word.isdecimal() and word.isascii() else None


def _grouped(digits: str) -> str:
    """Telephone numbers of seven, ten and eleven digits in groups, as in North America."""
    if len(digits) == 7:
        return f"{digits[:3]}-{digits[3:]}"
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11 and digits[0] == "1":
        return f"1-{digits[1:4]}-{digits[4:7]}-{digits[7:]}"
    return digits


def _rule(pattern: str, replace: Callable[[re.Match[str]], str]) -> Rule:
    return re.compile(pattern, re.IGNORECASE), replace


# ---------------------------------------------------------------- English

_EN_DIGITS = {
    "zero": "0", "oh": "0", "o": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_MONTH = "|".join(_MONTHS)
_SURE_MONTH = "|".join(month for month in _MONTHS if month not in {"May", "March"})
"""Those two are verbs as well: a day must follow as an ordinal."""
_SMALL = {"one": 1, "two": 2, "three": 3, "a": 1}
_FEW = r"(?:\d{1,2}|one|two|three)"
_YEAR = r"(?P<year>(?:19|20) ?\d\d|20 oh \d|200\d)"
_HOUR = rf"(?P<hour>{_FEW})"
_HALF = r"(?P<half>[ap])\.? ?m\b\.?(?=\W|$)"
_UNITS = {"dollar": "$", "pound": "£", "euro": "€"}
_SIGNS = "|".join(_UNITS)
_AMOUNT = r"(?P<whole>(?:\d+(?:\.\d+)?|one|two|three|a))"


def _number(word: str) -> str:
    return str(_SMALL.get(word.lower(), word))


def _date(found: re.Match[str]) -> str:
    month = found["month"].capitalize()
    year = (found.groupdict().get("year") or "").replace(" oh ", "0").replace(" ", "")
    day = int(re.sub(r"\D", "", found["day"]) or _ORDINAL_WORDS.get(found["day"].lower(), 0))
    if not 1 <= day <= 31:
        return found[0]
    return f"{month} {day}, {year}" if year else f"{month} {day}"


_ORDINAL_WORDS = {"first": 1, "second": 2, "third": 3}
_DAY = r"(?P<day>\d{1,2}(?:st|nd|rd|th)|first|second|third)"


def _year(found: re.Match[str]) -> str:
    return found["c"] + found["y"]


def _clock(minutes: int) -> Callable[[re.Match[str]], str]:
    def replace(found: re.Match[str]) -> str:
        hour = int(_number(found["hour"]))
        if minutes < 0:
            hour = hour - 1 or 12
        return f"{hour}:{minutes % 60:02d}" if 1 <= hour <= 12 else found[0]

    return replace


def _time(found: re.Match[str]) -> str:
    hour, minute = int(_number(found["hour"])), found.groupdict().get("minute")
    if not 1 <= hour <= 12 or (minute and int(minute) > 59):
        return found[0]
    half = f" {found['half'].upper()}M" if found.groupdict().get("half") else ""
    return f"{hour}:{int(minute):02d}{half}" if minute else f"{hour}{half}"


def _money(found: re.Match[str]) -> str:
    sign = _UNITS[found["unit"].lower().rstrip("s")]
    whole = _number(found["whole"])
    if cents := found.groupdict().get("cents"):
        return (
            f"{sign}{_thousands(whole)}.{int(_number(cents)):02d}" if whole.isdigit() else found[0]
        )
    if "." in whole:  # "two point five dollars"
        head, part = whole.split(".")
        return f"{sign}{_thousands(head)}.{part.ljust(2, '0')}"
    return f"{sign}{_thousands(whole)}"


def _thousands(digits: str) -> str:
    return f"{int(digits):,}" if digits.isdigit() else digits


def _spelled(found: re.Match[str]) -> str:
    return re.sub(r"[\W_]", "", found[0]).upper()


def _pieces(found: re.Match[str]) -> str:
    """A number told partly in pairs: "415 22 10"."""
    digits = found[0].replace(" ", "")
    return _grouped(digits) if len(digits) >= 10 else digits


_ENGLISH = Language(
    "en",
    _EN_DIGITS,
    {"double": 2, "triple": 3, "treble": 3},
    (
        _rule(rf"\b(?:the )?{_DAY} (?:of )?(?P<month>{_MONTH})\b(?:,? {_YEAR}\b)?", _date),
        _rule(rf"\b(?P<month>{_MONTH}) (?:the )?{_DAY}(?!\w)(?:,? {_YEAR}\b)?", _date),
        _rule(rf"\b(?P<month>{_SURE_MONTH}) (?P<day>\d{{1,2}})(?![\d:])(?:,? {_YEAR}\b)?", _date),
        _rule(r"(?<![\d.:$] )\b(?P<c>19|20) (?P<y>[1-9]\d)\b(?! \d| [ap]\.? ?m)", _year),
        _rule(rf"\bhalf past {_HOUR}\b", _clock(30)),
        _rule(rf"\b(?:a )?quarter past {_HOUR}\b", _clock(15)),
        _rule(rf"\b(?:a )?quarter to {_HOUR}\b", _clock(-15)),
        _rule(rf"\b{_HOUR} o'?clock\b", _clock(0)),
        _rule(rf"\b{_HOUR}(?: |:)(?:oh )?(?P<minute>\d{{1,2}}) {_HALF}", _time),
        _rule(rf"\b{_HOUR} {_HALF}", _time),
        _rule(
            rf"(?<=\bat ){_HOUR} (?P<minute>[1-5]\d)\b(?! ?[\d%]| (?:{_SIGNS}|cent|minute|hour))",
            _time,
        ),
        _rule(
            rf"(?<!half )(?<!half a )\b(?:a )?{_AMOUNT} (?P<unit>{_SIGNS})s? (?:and )?"
            rf"(?P<cents>\d{{1,2}}|one|two|three) (?:cent|penn(?:y|ie)|pence)s?\b",
            _money,
        ),
        _rule(rf"(?<!half )(?<!half a )\b(?:a )?{_AMOUNT} (?P<unit>{_SIGNS})s?\b", _money),
        _rule(r"\b(\d+(?:\.\d+)?) ?per ?cent\b", lambda found: f"{found[1]}%"),
        _rule(r"(?<![\w'])(?:[b-hj-z] [a-z]|[a-z](?:,? [a-z]){2})(?:,? [a-z])*(?![\w'])", _spelled),
        _rule(r"(?<![\w.$])\d{1,4}(?: \d{1,4}){2,}(?![\w.%]*\w)", _pieces),
    ),
)

# ---------------------------------------------------------------- Spanish

_ES_DIGITS = {
    "cero": "0", "uno": "1", "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6",
    "siete": "7", "ocho": "8", "nueve": "9",
}  # fmt: skip
_ES_UNITS = {"dólar": "$", "dólares": "$", "dolares": "$", "euro": "€", "euros": "€"}


def _importe(found: re.Match[str]) -> str:
    return f"{found[1]} {_ES_UNITS[found[2].lower()]}"


_SPANISH = Language(
    "es",
    _ES_DIGITS,
    {"doble": 2, "triple": 3},
    (
        _rule(rf"\b(\d+(?:,\d+)?) ({'|'.join(_ES_UNITS)})\b", _importe),
        _rule(r"\b(\d+(?:,\d+)?) por (?:ciento|100)\b", lambda found: f"{found[1]} %"),
    ),
)

LANGUAGES: Mapping[str, Language] = {"en": _ENGLISH, "es": _SPANISH}
