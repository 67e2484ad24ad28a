"""English number words in a text: where they are, and the figures that each of them means.

A run is number words in a row, split into the numbers that were said: "twenty five oh one" is 25,
0, 1. How they are to be written (a room, a telephone, a time) is for `itn_english` to say. What
can be read in two ways, or makes no number, is not read here: the words then stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["digit", "oh", "number", "decimal"]

ONES = {
    word: value
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1
    )
}
_TEENS = {
    word: value
    for value, word in enumerate(
        (
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
            *("sixteen", "seventeen", "eighteen", "nineteen"),
        ),
        10,
    )
}
_TENS = {
    word: value
    for value, word in zip(
        range(20, 100, 10),
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
        strict=True,
    )
}
UNITS = {"dollar": "$", "pound": "£", "euro": "€"}
_OH = frozenset({"oh", "o"})
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
UNIT_ORDINALS = {
    **{"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5},
    **{"sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9},
}
_OTHER_ORDINALS = {
    **{"tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14},
    **{"fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18, "nineteenth": 19},
    **{"twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50, "sixtieth": 60},
    **{"seventieth": 70, "eightieth": 80, "ninetieth": 90},
}
_FIGURES = re.compile(r"\d{1,15}|\d{1,3}(?:,\d{3}){1,4}", re.ASCII)
_FIGURE_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)", re.ASCII)
_PART_OF = frozenset({"half", "of", "quarter", "many", "such"})
"""Before "a million" they make a part of it."""
_INTERJECTED = frozenset(
    "wait no sorry my i yes yeah god well actually that it okay ok dear the you and boy".split()  # noqa: SIM905
)
"""After "oh" they say that it was no zero."""
_EDGE = re.compile(r"^([^\w$€£%]*)(.*?)([^\w$€£%]*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A word as it came, its lower-case core without the punctuation around it."""

    raw: str
    lead: str
    core: str
    tail: str


@dataclass(frozen=True, slots=True)
class Group:
    """One number of a run: its `figures` ("5", "05" never, "1.2"), and the words that said it.

    `scale` is the word after a decimal ("1.2 million"), whose figures do not hold it.
    """

    figures: str
    kind: Kind
    end: int
    words: int = 1
    scale: str = ""

    @property
    def value(self) -> int:
        """Of a whole number; -1 for a decimal."""
        return int(self.figures) if self.kind != "decimal" else -1


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers in a row: tokens from `start` to before `end`."""

    groups: tuple[Group, ...]
    start: int
    end: int

    @property
    def figures(self) -> str:
        """All of them, without blanks."""
        return "".join(group.figures for group in self.groups)

    @property
    def only(self) -> Group | None:
        """The number, if it is one alone."""
        return self.groups[0] if len(self.groups) == 1 else None


Tokens = Sequence[Token]
Found = tuple[str, int] | None
"""What a rule wrote, without the punctuation behind it, and where the next word is."""


def tokens_of(text: str) -> list[Token]:
    """The words of a text; "twenty-five" is two."""
    tokens = []
    for raw in text.split():
        parts = raw.split("-")
        is_number = len(parts) > 1 and all(
            _edges(part)[1] in _WORDS or _edges(part)[1] in SCALES for part in parts
        )
        for part in parts if is_number else [raw]:
            lead, core, tail = _edges(part)
            tokens.append(Token(part, lead, core, tail))
    return tokens


def _edges(raw: str) -> tuple[str, str, str]:
    found = _EDGE.match(raw)
    assert found is not None  # every string has edges, if empty ones
    return found[1], found[2].lower(), found[3]


_WORDS = {*ONES, *_TEENS, *_TENS, *UNIT_ORDINALS, *_OTHER_ORDINALS, "hundred", "zero"}


def ordinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(value below 100, end) of the ordinal that begins at a token: "first", "twenty first"."""
    core = core_at(tokens, at)
    if (found := _FIGURE_ORDINAL.fullmatch(core)) is not None:
        return int(found[1]), at + 1
    value = UNIT_ORDINALS.get(core) or _OTHER_ORDINALS.get(core)
    if value is not None:
        return value, at + 1
    unit = UNIT_ORDINALS.get(inside(tokens, at + 1)) if core in _TENS else None
    return None if unit is None else (_TENS[core] + unit, at + 2)


def run(tokens: Sequence[Token], at: int) -> Run | None:
    """The run that begins at a token, None where none does."""
    groups: list[Group] = []
    start = at
    while not groups or _goes_on(tokens, at, groups[-1]):
        found = _groups(tokens, at)
        if not found:
            break
        groups += found
        at = found[-1].end
    while groups and groups[-1].kind == "oh" and (len(groups) == 1 or _is_interjected(tokens, at)):
        groups.pop()
        at -= 1
    return Run(tuple(groups), start, at) if groups else None


def core_at(tokens: Sequence[Token], at: int) -> str:
    """The token's core, "" beyond the text."""
    return tokens[at].core if 0 <= at < len(tokens) else ""


def inside(tokens: Sequence[Token], at: int) -> str:
    """The core of a token that follows the one before it without punctuation, otherwise ""."""
    if not 0 < at < len(tokens) or tokens[at].lead or tokens[at - 1].tail:
        return ""
    return tokens[at].core


def unit_after(tokens: Sequence[Token], numbers: Run) -> str:
    """The unit behind a run: a currency's sign, "%", or "" where there is none."""
    word = inside(tokens, numbers.end)
    if word == "percent" or (word == "per" and inside(tokens, numbers.end + 1) == "cent"):
        return "%"
    return UNITS.get(word.removesuffix("s"), "")


def _is_interjected(tokens: Sequence[Token], at: int) -> bool:
    """Whether the "oh" before a token is no zero: "one two three, oh wait"."""
    return tokens[at - 2].tail != "" or core_at(tokens, at) in _INTERJECTED


def _goes_on(tokens: Sequence[Token], at: int, last: Group) -> bool:
    """Whether the word after a number may belong to the same run: digits pass a comma."""
    if inside(tokens, at):
        return True
    if at >= len(tokens) or tokens[at].lead or tokens[at - 1].tail != ",":
        return False
    is_digit = _digit(core_at(tokens, at)) != "" or core_at(tokens, at) in _REPEATS
    return is_digit and last.kind in {"digit", "oh"}


def _groups(tokens: Sequence[Token], at: int) -> list[Group]:
    """The number that begins at a token; several digits where "double" repeats one."""
    core = core_at(tokens, at)
    if core in _REPEATS:
        digit = _digit(inside(tokens, at + 1))
        return [Group(digit, "digit", at + 2)] * _REPEATS[core] if digit else []
    if ordinal(tokens, at) is not None:
        return []
    cardinal = _cardinal(tokens, at)
    if cardinal is None:
        group = Group(_digit(core), "oh" if core in _OH else "digit", at + 1)
        return [_with_point(tokens, group, at)] if group.figures else []
    value, end = cardinal
    figures = core.replace(",", "") if end == at + 1 and _is_figure(core) else str(value)
    is_digit = end == at + 1 and len(figures) == 1
    group = Group(figures, "digit" if is_digit else "number", end, end - at)
    return [_with_point(tokens, group, at)]


def _with_point(tokens: Sequence[Token], whole: Group, at: int) -> Group:
    """The number with what follows "point", and the scale after that."""
    figures, end = whole.figures, whole.end
    while whole.kind != "oh" and inside(tokens, end) == "point":
        part, after = _after_point(tokens, end + 1)
        if not part:
            break
        figures, end = f"{figures}.{part}", after
    if end == whole.end:
        return whole
    if (scale := inside(tokens, end)) in {*SCALES, "hundred"}:
        return Group(figures, "decimal", end + 1, end + 1 - at, scale)
    return Group(figures, "decimal", end, end - at)


def _after_point(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    figures = ""
    while digit := _digit(inside(tokens, at)):
        figures += digit
        at += 1
    if not figures and inside(tokens, at) and (found := _below_hundred(tokens, at)) is not None:
        return str(found[0]), found[1]
    return figures, at


# ---------------------------------------------------------------- cardinals


def _cardinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(value, end): thousands and more in falling order, hundreds, tens."""
    found = _below_thousand(tokens, at, is_first=True)
    if found is None:
        return None
    (part, end), total, last = found, 0, 0
    if tokens[at].core.startswith("0"):  # a figure that is no number: "007"
        return found
    while True:
        scale = SCALES.get(inside(tokens, end), 0)
        if not scale or (last and scale >= last):
            return total + part, end
        total, end, last = total + part * scale, end + 1, scale
        more = _more(tokens, at, end, last)
        if more is None:
            return total, end
        part, end = more


def _more(tokens: Sequence[Token], start: int, end: int, last: int) -> tuple[int, int] | None:
    """What follows a scale and is a part of the same number: "two thousand (and) five"."""
    at = end + (inside(tokens, end) == "and" and not _is_range(tokens, start))
    has_comma = at == end and tokens[end - 1].tail == ","
    if not has_comma and not inside(tokens, at):
        return None
    found = _below_thousand(tokens, at, is_first=False)
    if found is None:
        return None
    part, after = found
    scale = SCALES.get(inside(tokens, after), 0)
    if scale >= last or (has_comma and not scale and part < 100):
        return None
    return found if scale or not _is_next(tokens, part, after) else None


def _below_thousand(tokens: Sequence[Token], at: int, *, is_first: bool) -> tuple[int, int] | None:
    core = core_at(tokens, at)
    following = inside(tokens, at + 1)
    if _is_figure(core):
        if not is_first:
            return None
        value = int(core.replace(",", ""))
        is_hundreds = following == "hundred" and 0 < value < 100 and core[0] != "0"
        return _with_rest(tokens, at, value * 100, at + 2) if is_hundreds else (value, at + 1)
    if core == "a":
        if not is_first or core_at(tokens, at - 1) in _PART_OF:
            return None
        if following in SCALES:
            return 1, at + 1
        return _with_rest(tokens, at, 100, at + 2) if following == "hundred" else None
    found = _below_hundred(tokens, at)
    if found is not None and inside(tokens, found[1]) == "hundred" and found[0] % 10:
        return _with_rest(tokens, at, found[0] * 100, found[1] + 1)
    return found


def _with_rest(tokens: Sequence[Token], start: int, value: int, end: int) -> tuple[int, int]:
    """The hundreds and what follows them: "two hundred and fifty"."""
    at = end + (inside(tokens, end) == "and" and not _is_range(tokens, start))
    found = _below_hundred(tokens, at) if inside(tokens, at) else None
    if found is None or ordinal(tokens, at) is not None or _is_next(tokens, *found):
        return value, end
    return value + found[0], found[1]


def _is_next(tokens: Sequence[Token], part: int, end: int) -> bool:
    """Whether what may end a number begins the next one instead: "one hundred | five five"."""
    follows = inside(tokens, end)
    if follows == "hundred":
        return True
    return part < 10 and (follows in _WORDS or follows in _OH or follows in _REPEATS)


def _is_range(tokens: Sequence[Token], at: int) -> bool:
    return core_at(tokens, at - 1) == "between"


def _below_hundred(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """1 to 99 in words."""
    core = core_at(tokens, at)
    if core in _TENS:
        unit = ONES.get(inside(tokens, at + 1))
        return (_TENS[core], at + 1) if unit is None else (_TENS[core] + unit, at + 2)
    value = ONES.get(core) or _TEENS.get(core)
    return None if value is None else (value, at + 1)


def _digit(core: str) -> str:
    """The figure of a single digit, "" if it is none."""
    if core in ONES:
        return str(ONES[core])
    if core == "zero" or core in _OH:
        return "0"
    return core if len(core) == 1 and core in "0123456789" else ""


def _is_figure(core: str) -> bool:
    return _FIGURES.fullmatch(core) is not None
