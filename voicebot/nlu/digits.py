"""Digit strings and telephone numbers, spoken or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicebot.nlu.entities import ZERO, Span, digit
from voicebot.nlu.numbers import TEENS, TENS, UNITS, cardinal
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_set
from voicebot.patterns import is_luhn

SOUNDS_LIKE_DIGIT = {
    "to": "2", "too": "2", "for": "4", "won": "1", "ate": "8", "tree": "3", "free": "3",
    "fife": "5", "sex": "6", "sicks": "6", "nein": "9", "nigh": "9", "ow": "0", "owe": "0",
}  # fmt: skip
REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
PLURALS = {
    **{f"{word}s": digit for word, digit in UNITS.items()},
    **dict.fromkeys(("ohs", "zeroes"), 0), "sixes": 6,
}  # fmt: skip
MOST_ALIKE = 6
_SEPARATORS = word_set("dash hyphen then uh um and space point dot")
MAX_READINGS = 12
_USUAL = frozenset((10, 11))
"""Digits of North American numbers, and of many others with their leading 0."""
MAX_DIGITS = 40


@dataclass(frozen=True, slots=True)
class DigitRun:
    """A run of spoken or written digits and what it may mean, likeliest first."""

    start: int
    end: int
    readings: tuple[str, ...]


def digit_runs(tokens: Sequence[Token], *, lenient: bool = False) -> Iterator[DigitRun]:
    """Maximal runs of digits; `lenient` also takes words that sound like digits."""
    at = 0
    while at < len(tokens):
        run = _run(tokens, at, lenient)
        if run is None:
            at += 1
        else:
            yield run
            at = run.end


def _run(tokens: Sequence[Token], begin: int, lenient: bool) -> DigitRun | None:
    readings, at, end = [""], begin, begin
    is_certain = False
    while at < len(tokens):
        piece = _piece(tokens, at, lenient)
        if piece is None:
            if end > begin and at == end and tokens[at].text in _SEPARATORS:
                at += 1
                continue
            break
        options, at, certain = piece
        is_certain = is_certain or certain
        end = at
        readings = [r + o for o in options for r in readings if len(r) + len(o) <= MAX_DIGITS]
        readings = readings[:MAX_READINGS]
    if end == begin or not readings or not (is_certain or lenient):
        return None
    # "a 4 for" lenient: words that only sound like digits do not begin a run by themselves.
    return DigitRun(begin, end, tuple(dict.fromkeys(readings))) if is_certain else None


def _piece(
    tokens: Sequence[Token], at: int, lenient: bool
) -> tuple[tuple[str, ...], int, bool] | None:
    """(readings, end, is certainly digits) of one piece of a digit string."""
    text = tokens[at].text
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if following in PLURALS and (count := digit(text)) and 2 <= int(count) <= MOST_ALIKE:
        return (str(PLURALS[following]) * int(count),), at + 2, True  # "three fives"
    if text in REPEATS:
        repeated = digit(following)
        if repeated is not None:
            return (repeated * REPEATS[text],), at + 2, True
        return None
    digits = "".join(c for c in text if "0" <= c <= "9")
    is_money = lenient and tokens[at].kind == "money"  # recognisers write "$4021" for a code
    if digits and (is_money or tokens[at].kind in {"number", "time", "date"}):
        return (digits,), at + 1, True
    if text in UNITS or text in ZERO:
        if following == "hundred" and _are_digits(tokens, at + 2):  # "eight hundred, 5 5 5 ..."
            return (f"{digit(text)}00",), at + 2, True
        if following in {"hundred", "thousand"} or (text in UNITS and following == "and"):
            spoken = cardinal(tokens, at)
            if spoken is not None and spoken[1] > at + 1 and spoken[0] == int(spoken[0]):
                return (str(int(spoken[0])),), spoken[1], True
        return (digit(text) or "",), at + 1, text != "o"
    if (text in TEENS or text in TENS) and (scaled := _scaled(tokens, at)) is not None:
        return scaled
    if text in TEENS:
        return (str(TEENS[text]),), at + 1, True
    if text in TENS:
        tens = TENS[text]
        unit = digit(following)
        if unit is not None and unit != "0":
            return (str(tens + int(unit)), f"{tens}{unit}"), at + 2, True
        return (str(tens),), at + 1, True
    if text == "a" and following in {"hundred", "thousand"}:
        return _scaled(tokens, at)
    if lenient and text in SOUNDS_LIKE_DIGIT:
        return (SOUNDS_LIKE_DIGIT[text],), at + 1, False
    return None


def _are_digits(tokens: Sequence[Token], at: int) -> bool:
    """Whether two digits, said one by one, stand there: no tail of a number such as 805."""
    texts = [token.text for token in tokens[at : at + 2]]
    return len(texts) == 2 and all(digit(text) or text in REPEATS for text in texts)


def _scaled(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int, bool] | None:
    """ "ninety thousand two hundred ten", "twelve hundred": numbers, where scales are said."""
    spoken = cardinal(tokens, at)
    if spoken is None or spoken[0] != int(spoken[0]):
        return None
    texts = {token.text for token in tokens[at : spoken[1]]}
    if not texts & {"hundred", "thousand"}:
        return None
    return (str(int(spoken[0])),), spoken[1], True


def fitting(
    run: DigitRun, shortest: int | None, longest: int | None, *, has_check: bool = False
) -> str | None:
    """The likeliest reading whose length is allowed, or None; of several one whose check digit is
    right goes first. Who says it all twice in a row, and too much that way, said it once."""

    def fits(one: str) -> bool:
        return (shortest or 1) <= len(one) <= (longest or MAX_DIGITS)

    halves = [(one[: len(one) // 2], one[len(one) // 2 :]) for one in run.readings]
    fit = [one for one in run.readings if fits(one)]
    fit = fit or [one for one, again in halves if one == again and fits(one)]
    right = [one for one in fit if is_luhn(one)] if has_check else []
    return next(iter(right or fit), None)


def phones(tokens: Sequence[Token], shortest: int | None, longest: int | None) -> Iterator[Span]:
    """Telephone numbers: 7 to 15 digits (E.164) unless told otherwise; "plus" is dropped."""
    for run in digit_runs(tokens, lenient=True):
        value = fitting(run, shortest or 7, longest or 15)
        if value is not None and not (shortest or longest):
            usual = [one for one in run.readings if len(one) in _USUAL]
            value = next(iter(usual), value)
        if value is not None:
            has_plus = run.start > 0 and tokens[run.start - 1].text in {"plus", "+"}
            yield Span(run.start - has_plus, run.end, value)
