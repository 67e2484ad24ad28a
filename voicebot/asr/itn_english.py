"""English as it is written: telephone numbers, dates, times, money, spelled words.

The text is read once, from left to right: at each word the first rule that knows what begins
there writes it, and no rule sees what another wrote. Every figure is of a number that was said;
what no rule is sure of stays in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from voicebot.asr.itn_numbers import (
    SCALES,
    UNIT_ORDINALS,
    Found,
    Group,
    Run,
    Tokens,
    core_at,
    inside,
    ordinal,
    run,
    tokens_of,
    unit_after,
)
from voicebot.asr.itn_when import PLACES, clock_at, date_at, is_time, time_at, year_of

_CENTS = frozenset({"cent", "cents", "penny", "pennies", "pence"})
_PRICE_AFTER = frozenset(
    "please to from for into in on and or thanks thank today tomorrow now each per off a".split()  # noqa: SIM905
)
_PAID = frozenset("pay paid pays cost costs charged spend spent owe owed worth price for".split())  # noqa: SIM905
_STREET = frozenset(
    "street st avenue ave road rd drive lane boulevard court place terrace highway".split()  # noqa: SIM905
)
_WEIGHED = frozenset("weigh weighs weighed weighing lose lost gain gained".split())  # noqa: SIM905
SMALL = 3
"""Alone they stay words: "one moment", "two sugars"."""
MIN_DIGITS = 3
"""Single digits in a row that make a string: "two, three" may as well be a guess at a number."""


def write_english(text: str) -> str:
    """The text as a person would write it down."""
    tokens = tokens_of(text)
    out: list[str] = []
    at = 0
    while at < len(tokens):
        for rule in _RULES:
            if (found := rule(tokens, at)) is not None:
                text, end = found
                out.append(tokens[at].lead + text + _tail(tokens, text, end))
                break
        else:
            end = at + 1
            out.append(tokens[at].raw)
        at = end
    return " ".join(out)


def _tail(tokens: Tokens, text: str, end: int) -> str:
    """The punctuation behind what was written; the dot of "p.m." is none."""
    tail = tokens[end - 1].tail
    is_dotted = "." in tokens[end - 1].core or (tokens[end - 1].core == "m" and tail == ".")
    return tail.removeprefix(".") if text.endswith((" AM", " PM")) and is_dotted else tail


def grouped(digits: str) -> str:
    """Telephone numbers of seven, ten and eleven digits in groups, as in North America."""
    if len(digits) == 7:
        return f"{digits[:3]}-{digits[3:]}"
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11 and digits[0] == "1":
        return f"1-{digits[1:4]}-{digits[4:7]}-{digits[7:]}"
    return digits


def _raw(tokens: Tokens, start: int, end: int) -> tuple[str, int]:
    """The words as they came."""
    words = " ".join(token.raw for token in tokens[start:end])
    lead, tail = len(tokens[start].lead), len(tokens[end - 1].tail)
    return words[lead : len(words) - tail], end


# ---------------------------------------------------------------- money and other measures


def _amount(tokens: Tokens, at: int, numbers: Run) -> Found:
    """ "$250", "$1.2 million", "$200.50", "12.5%"; None where the number may be several."""
    if numbers.only is None:
        return None
    halved = _and_a_half(tokens, numbers)
    numbers = halved or numbers
    group = numbers.groups[0]
    sign = unit_after(tokens, numbers)
    scale = f" {group.scale}" if group.scale else ""
    if not sign:
        return (f"{group.figures}{scale}", numbers.end) if halved else None
    if sign == "%":
        end = numbers.end + (1 if inside(tokens, numbers.end) == "percent" else 2)
        return None if scale else (f"{_commas(group.figures)}%", end)
    if sign == "£" and _is_weight(tokens, at, numbers.end):
        return None
    if scale == " hundred" or group.figures.count(".") > 1:
        return None
    end = numbers.end + 1
    if scale or group.kind == "decimal":
        head, _, part = group.figures.partition(".")
        return f"{sign}{_commas(head)}.{part if scale else part.ljust(2, '0')}{scale}", end
    cents = _cents(tokens, end)
    whole = f"{sign}{_commas(group.figures)}"
    return (f"{whole}.{cents[0]:02d}", cents[1]) if cents else (whole, end)


def _and_a_half(tokens: Tokens, numbers: Run) -> Run | None:
    """ "one and a half million", "three and a half dollars" as a decimal, where a unit follows."""
    only = numbers.groups[0]
    words = [inside(tokens, numbers.end + step) for step in range(4)]
    if words[:3] != ["and", "a", "half"] or only.kind not in {"digit", "number"}:
        return None
    scale = words[3] if words[3] in SCALES else ""
    end = numbers.end + 3 + bool(scale)
    group = Group(f"{only.figures}.5", "decimal", end, end - numbers.start, scale)
    found = Run((group,), numbers.start, end)
    return found if scale or unit_after(tokens, found) else None


def _is_weight(tokens: Tokens, at: int, unit: int) -> bool:
    return inside(tokens, unit + 1) == "of" or any(
        core_at(tokens, at - back) in _WEIGHED for back in (1, 2)
    )


def _cents(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """(cents, end) that follow "dollars": "and fifty cents", or "fifty" where nothing follows."""
    first = at + (inside(tokens, at) == "and")
    numbers = run(tokens, first) if inside(tokens, first) else None
    only = numbers.only if numbers is not None else None
    if numbers is None or only is None or not 1 <= only.value <= 99:
        return None
    following = inside(tokens, numbers.end)
    if following in _CENTS:
        return only.value, numbers.end + 1
    is_over = not following or following in _PRICE_AFTER
    return (only.value, numbers.end) if first == at and only.value >= 10 and is_over else None


def _commas(digits: str) -> str:
    """Thousands parted, but no zeros lost."""
    whole, point, part = digits.partition(".")
    is_plain = whole.isdecimal() and whole[0] != "0" and "." not in part
    return f"{int(whole):,}{point}{part}" if is_plain else digits


# ---------------------------------------------------------------- numbers


def _number(tokens: Tokens, at: int) -> Found:
    """What begins with a number and is no date: time, amount, range, string of digits, number."""
    numbers = run(tokens, at)
    if numbers is None:
        return None
    if ordinal(tokens, numbers.end) is not None and inside(tokens, numbers.end):  # "two thirds"
        return _raw(tokens, at, numbers.end + 1)
    for found in (time_at(tokens, at, numbers), _amount(tokens, at, numbers)):
        if found is not None:
            return found
    if len(numbers.groups) > 1 and unit_after(tokens, numbers):  # $1,999 or $19.99
        return _raw(tokens, at, numbers.end)
    if (shared := _shared_scale(tokens, numbers)) is not None:
        return shared
    if numbers.only is not None:
        return _single(tokens, numbers)
    return _several(tokens, numbers)


def _shared_scale(tokens: Tokens, numbers: Run) -> Found:
    """ "one or two hundred dollars" may be 1 or 100: it stays as it was said."""
    if numbers.only is None or numbers.only.value not in range(1, 100):
        return None
    if inside(tokens, numbers.end) not in {"to", "or", "and"}:
        return None
    other = run(tokens, numbers.end + 1) if inside(tokens, numbers.end + 1) else None
    is_round = other is not None and core_at(tokens, other.end - 1) in {*SCALES, "hundred"}
    return _raw(tokens, numbers.start, other.end) if other is not None and is_round else None


def _single(tokens: Tokens, numbers: Run) -> tuple[str, int]:
    group = numbers.groups[0]
    is_small = 0 < group.value <= SMALL and not _in_range(tokens, numbers)
    if group.figures == "0" or is_small or tokens[numbers.start].core[0].isdecimal():
        return _raw(tokens, numbers.start, numbers.end)
    return _shown(group), numbers.end


def _shown(group: Group) -> str:
    if group.scale:
        return f"{group.figures} {group.scale}"
    is_large = group.kind == "number" and group.words > 1 and group.value >= 10_000
    return _commas(group.figures) if is_large else group.figures


def _in_range(tokens: Tokens, numbers: Run) -> bool:
    """Whether a number beyond SMALL, a time or an amount is set against this one."""
    links = {"to", "or"}
    after = run(tokens, numbers.end + 1) if inside(tokens, numbers.end) in links else None
    if after is not None and (unit_after(tokens, after) or is_time(tokens, after)):
        return True
    if after is not None and after.only is not None and after.only.value > SMALL:
        return True
    before = run(tokens, numbers.start - 2) if core_at(tokens, numbers.start - 1) in links else None
    return before is not None and before.only is not None and before.only.value > SMALL


def _several(tokens: Tokens, numbers: Run) -> tuple[str, int]:
    """Numbers in a row: a year, a string of digits, the number of a house or a room, or each."""
    groups, before = numbers.groups, core_at(tokens, numbers.start - 1)
    year = year_of(groups)
    if year is not None and before not in _PAID:
        return year, numbers.end
    is_whole = all(group.kind != "decimal" and len(group.figures) <= 3 for group in groups)
    digits = [group for group in groups if group.kind in {"digit", "oh"}]
    if is_whole and len(groups) >= MIN_DIGITS and digits and not _is_counted(groups):
        is_phone = len(digits) == len(groups) or len(numbers.figures) >= 10
        return grouped(numbers.figures) if is_phone else numbers.figures, numbers.end
    if any(group.kind == "oh" for group in groups):
        return _raw(tokens, numbers.start, numbers.end)
    if is_whole and len(groups) == 2 and (before in PLACES or _is_house(tokens, numbers.end)):
        return numbers.figures, numbers.end
    return " ".join(_shown(group) for group in groups), numbers.end


def _is_counted(groups: Sequence[Group]) -> bool:
    """ "eight nine ten": nobody tells a string of digits like that."""
    values = [group.value for group in groups]
    return values[-1] >= 10 and values == list(range(values[0], values[0] + len(values)))


def _is_house(tokens: Tokens, at: int) -> bool:
    """Whether a street's name follows: "one twenty three main street"."""
    for step in range(4):
        word = inside(tokens, at + step)
        if not word:
            return False
        if step and word in _STREET:
            return True
    return False


# ---------------------------------------------------------------- words


def _ordinal(tokens: Tokens, at: int) -> Found:
    """ "the 21st"; "first" to "ninth" stay words, and so does "thirty second", half a minute."""
    found = ordinal(tokens, at)
    if found is None or tokens[at].core in UNIT_ORDINALS:
        return None
    value, end = found
    if (value % 10 == 2 and value > 20) or (end == at + 1 and tokens[at].core[0].isdecimal()):
        return _raw(tokens, at, end)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{'th' if value // 10 == 1 else ending}", end


_LETTERS = re.compile(r"(?:[b-hj-z] [a-z]|[a-z](?: [a-z]){2})(?: [a-z])*")


def _spelled(tokens: Tokens, at: int) -> Found:
    """Letters one by one: "s m i t h" -> "SMITH"."""
    end = at
    while end < len(tokens) and re.fullmatch("[a-z]", tokens[end].core):
        if end > at and (tokens[end].lead or tokens[end - 1].tail not in {"", ","}):
            break
        if tokens[end].core == "o" and (found := run(tokens, end)) and len(found.groups) > 2:
            break
        end += 1
    letters = " ".join(token.core for token in tokens[at:end])
    if _LETTERS.fullmatch(letters) is None:
        return None
    if end - at == 2 and tokens[at].tail:
        return None
    return letters.replace(" ", "").upper(), end


_RULES: Sequence[Callable[[Tokens, int], Found]] = (date_at, clock_at, _number, _spelled, _ordinal)
