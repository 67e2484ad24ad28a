"""Values that no list of phrases can hold: numbers, amounts, the second one.

Each function returns every place where a value of its kind was said. Digit strings, letters,
dates and times have modules of their own; yes and no are phrases (answers.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from voicebot.nlu.numbers import MAX_NUMBER, UNITS, cardinal, ordinal
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_set


@dataclass(frozen=True, slots=True)
class Span:
    """A value said by tokens start..end. `is_bare`: nothing but context tells its kind."""

    start: int
    end: int
    value: str
    is_bare: bool = False


CENT = Decimal("0.01")
_MAJOR = word_set("dollar dollars buck bucks pound pounds euro euros quid usd")
_MINOR = word_set("cent cents penny pennies pence")
_NEGATIONS = word_set("not isn't wasn't")
_PRONOUNS = word_set("that this which the a any another every each")

_SHARED = word_set("of past to after before till hour hours million billion thousand dozen")
_SIGNS = word_set("minus negative")
ZERO = word_set("oh o zero nought naught")


def digit(text: str) -> str | None:
    """One digit as a character, from its word or numeral."""
    if text in ZERO:
        return "0"
    if text in UNITS:
        return str(UNITS[text])
    return text if len(text) == 1 and text.isascii() and text.isdigit() else None


# ---------------------------------------------------------------- numbers and amounts


def numbers(tokens: Sequence[Token]) -> Iterator[Span]:
    """Cardinals as plain decimals: "forty two" -> "42", "minus two and a half" -> "-2.5"; a sum
    ("ten minus three") is none."""
    at, last = 0, -1
    while at < len(tokens):
        found = _share(tokens, at) or cardinal(tokens, at) or _pair(tokens, at)
        if found is None:
            at += 1
            continue
        value, end = found
        has_sign = _is_negative(tokens, at)
        is_term = end < len(tokens) and tokens[end].text in _SIGNS and cardinal(tokens, end + 1)
        if not is_term and not (has_sign and last == at - 1):
            value = -value if has_sign else value
            yield Span(at - has_sign, end, format(value.normalize(), "f"), is_bare=True)
        at = last = end


def _is_negative(tokens: Sequence[Token], at: int) -> bool:
    """Behind a minus; "plus or minus five", "al menos cinco", "por lo menos" are no such."""
    if at == 0 or tokens[at - 1].text not in _SIGNS:
        return False
    return at < 2 or tokens[at - 2].text not in {"or", "o", "al", "lo"}


def _pair(tokens: Sequence[Token], at: int) -> tuple[Decimal, int] | None:
    """ "a couple", "a pair"."""
    texts = [token.text for token in tokens[at : at + 2]]
    is_one = texts[:1] in (["a"], ["the"]) and texts[1:] in (["couple"], ["pair"])
    return (Decimal(2), at + 2) if is_one else None


_SHARES: dict[tuple[str, ...], Decimal] = {
    ("three", "quarters"): Decimal("0.75"), ("a", "quarter"): Decimal("0.25"),
    ("one", "quarter"): Decimal("0.25"), ("a", "half"): Decimal("0.5"),
    ("one", "half"): Decimal("0.5"),
}  # fmt: skip


def _share(tokens: Sequence[Token], at: int) -> tuple[Decimal, int] | None:
    """ "three quarters", "a half": of nothing named, and no time of day."""
    value = _SHARES.get(tuple(token.text for token in tokens[at : at + 2]))
    behind = tokens[at + 2].text if at + 2 < len(tokens) else ""
    if value is None or behind in _SHARED or cardinal(tokens, at + 2) is not None:
        return None
    return value, at + 2


def amounts(tokens: Sequence[Token]) -> Iterator[Span]:
    """Money with two places; without a currency word the span is bare."""
    at = 0
    while at < len(tokens):
        contrast = _contrast(tokens, at)
        if contrast is not None:
            yield contrast
            at = contrast.end
            continue
        found = _amount(tokens, at)
        if found is None:
            at += 1
            continue
        value, end, is_bare = found
        # Money to be paid has no sign.
        if 0 <= value < MAX_NUMBER and not _is_negative(tokens, at):
            yield Span(at, end, str(value.quantize(CENT)), is_bare)
        at = max(end, at + 1)


def _contrast(tokens: Sequence[Token], at: int) -> Span | None:
    """The first of "not fifty fifteen dollars", which are two amounts, not fifty fifteen; where a
    third follows ("not fifteen fifty, sixteen fifty") the first two are one."""
    if at == 0 or tokens[at - 1].text not in _NEGATIONS:
        return None
    first = cardinal(tokens, at)
    if first is None or _bare_cents(tokens, first[1]) is None:
        return None
    second = cardinal(tokens, first[1])
    behind = second[1] if second is not None else len(tokens)
    if second is None or any(cardinal(tokens, later) for later in range(behind, len(tokens))):
        return None
    return Span(at, first[1], str(first[0].quantize(CENT)))


def _amount(tokens: Sequence[Token], at: int) -> tuple[Decimal, int, bool] | None:
    token = tokens[at]
    if token.kind == "money":
        digits = token.text[1:].strip()
        if len(digits) > 15:
            return None
        value, end = _scaled(Decimal(digits), tokens, at + 1)
        return (*_with_cents(value, tokens, end), False)
    if token.text in {"a", "one"} and at + 1 < len(tokens) and tokens[at + 1].text in _MAJOR:
        return (*_with_cents(Decimal(1), tokens, at + 2), False)
    if token.text == "half":
        end = at + 2 if at + 1 < len(tokens) and tokens[at + 1].text == "a" else at + 1
        if end < len(tokens) and tokens[end].text in _MAJOR:
            return Decimal("0.5"), end + 1, False
    found = cardinal(tokens, at)
    if found is None:
        return None
    value, end = found
    if (with_cents := _named_cents(tokens, end)) is not None and value == int(value):
        return value + with_cents[0], with_cents[1], False
    following = tokens[end].text if end < len(tokens) else ""
    if following in _MAJOR:
        return (*_with_cents(value, tokens, end + 1), False)
    if following in _MINOR or (end < len(tokens) and tokens[end].kind == "cents"):
        return value / 100, end + 1, False
    cents = _bare_cents(tokens, end)
    if cents is not None and value == int(value) and 0 < value < 1000:
        value, end = value + cents[0], cents[1]
        if end < len(tokens) and tokens[end].text in _MAJOR:  # "fifteen fifty dollars"
            return value, end + 1, False
    return value, end, True


def _scaled(value: Decimal, tokens: Sequence[Token], at: int) -> tuple[Decimal, int]:
    scales = {"hundred": 100, "thousand": 1000, "grand": 1000, "k": 1000, "million": 10**6}
    if at < len(tokens) and tokens[at].text in scales:
        return value * scales[tokens[at].text], at + 1
    return value, at


def _with_cents(value: Decimal, tokens: Sequence[Token], at: int) -> tuple[Decimal, int]:
    """Adds "[and] fifty [cents]" or "and a half" to whole dollars already read."""
    if value != int(value):
        return value, at
    texts = [t.text for t in tokens[at : at + 3]]
    if texts == ["and", "a", "half"] or texts == ["and", "a", "quarter"]:
        return value + Decimal("0.5" if texts[2] == "half" else "0.25"), at + 3
    if texts[:2] == ["and", "half"]:
        return value + Decimal("0.5"), at + 2
    begin = at + 1 if texts[:1] == ["and"] else at
    found = cardinal(tokens, begin) if begin < len(tokens) else None
    if found is None or not 0 < found[0] < 100 or found[0] != int(found[0]):
        return value, at
    end = found[1]
    is_named = end < len(tokens) and (tokens[end].text in _MINOR or tokens[end].kind == "cents")
    if is_named:
        return value + found[0] / 100, end + 1
    if end < len(tokens) and tokens[end].text in _MAJOR:
        return value, at
    has_break = tokens[begin - 1].breaks_after
    return (value + found[0] / 100, end) if found[0] >= 10 and not has_break else (value, at)


def _named_cents(tokens: Sequence[Token], at: int) -> tuple[Decimal, int] | None:
    """ "and ten cents" behind a number without a currency of its own."""
    if at + 1 >= len(tokens) or tokens[at].text != "and":
        return None
    found = cardinal(tokens, at + 1)
    if found is None or not 0 < found[0] < 100 or found[1] >= len(tokens):
        return None
    return (found[0] / 100, found[1] + 1) if tokens[found[1]].text in _MINOR else None


def _bare_cents(tokens: Sequence[Token], at: int) -> tuple[Decimal, int] | None:
    """The second half of "fifteen fifty", "seven ninety nine" or "ten oh five"."""
    if at >= len(tokens) or tokens[at - 1].breaks_after:
        return None
    if tokens[at].text in ZERO and at + 1 < len(tokens):
        unit = digit(tokens[at + 1].text)
        return (Decimal(unit) / 100, at + 2) if unit else None
    found = cardinal(tokens, at)
    if found and 10 <= found[0] < 100 and found[0] == int(found[0]):
        return found[0] / 100, found[1]
    return None


def is_idle_number(tokens: Sequence[Token], span: Span) -> bool:
    """True for "one" as in "that one": a number only where a number was asked for."""
    if span.end - span.start > 1:
        return False
    text = tokens[span.start].text
    before = tokens[span.start - 1].text if span.start else ""
    return text in {"one", "oh", "a", "o"} or before in _PRONOUNS


# ---------------------------------------------------------------- choice by place


def _from_end(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(how many from the end, end) of "the second to last one", "the next to last"."""
    texts = [token.text for token in tokens[at : at + 4]] + [""] * 3
    back = {"second": 2, "next": 2, "third": 3}.get(texts[0])
    if back is None:
        return None
    until = 3 if texts[1:3] == ["to", "last"] else 2 if texts[1] == "last" else 0
    if not until or (until == 2 and texts[0] == "next"):
        return None
    return back, at + until + (texts[until] in _NOUNS)


_LAST = frozenset(("last", "latter"))
_NOUNS = word_set("one option choice item")


def places(tokens: Sequence[Token], count: int) -> Iterator[tuple[int, int, int]]:
    """(index, start, end) of "the second one", "option two", "number 3", "the last one"."""
    for at, token in enumerate(tokens):
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.text in {"option", "number", "choice", "item"} and at + 1 < len(tokens):
            found = cardinal(tokens, at + 1)
            if found and found[0] == int(found[0]) and 1 <= found[0] <= count:
                yield int(found[0]) - 1, at, found[1]
            continue
        before = tokens[at - 1].text if at else ""
        if (from_end := _from_end(tokens, at)) is not None:
            back, until = from_end
            if back <= count:
                yield count - back, at - 1 if before == "the" else at, until
            continue
        is_referring = following in _NOUNS or before == "the" or len(tokens) == 1
        if not is_referring:
            continue
        start = at - 1 if before == "the" else at
        end = at + 2 if following in _NOUNS else at + 1
        place = ordinal(tokens, at)
        if place and place[1] == at + 1 and 1 <= place[0] <= count:
            yield place[0] - 1, start, end
        elif token.text in _LAST:
            yield count - 1, start, end
        elif token.text == "former" and count >= 1:
            yield 0, start, end
        elif token.text == "middle" and count % 2:
            yield count // 2, start, end
