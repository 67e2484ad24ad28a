"""Spanish numbers in words, and the amounts that they are part of."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.nlu.text import Token
from voicebot.nlu.words import word_list

_SMALL = word_list(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece "
    "catorce quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno "
    "veintidos veintitres veinticuatro veinticinco veintiseis veintisiete "
    "veintiocho veintinueve"
)
_SMALL_VALUES = {word: n for n, word in enumerate(_SMALL)} | {"veintiun": 21, "veintiuna": 21}
_UNITS = {word: _SMALL_VALUES[word] for word in _SMALL[:10]} | {"un": 1, "una": 1}
_TENS = {
    word: n * 10
    for n, word in enumerate(
        word_list("veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"),
        start=2,
    )
}
_HUNDREDS = {
    f"{word}{end}": n * 100
    for n, word in enumerate(
        word_list(
            "doscient trescient cuatrocient quinient seiscient setecient ochocient novecient"
        ),
        start=2,
    )
    for end in ("os", "as")
}
_HUNDREDS["ciento"] = 100
MAJOR = {
    "dolar": "dollar", "dolares": "dollars", "euro": "euro", "euros": "euros", "libra": "pound",
    "libras": "pounds", "peso": "dollar", "pesos": "dollars",
}  # fmt: skip
MAX_NUMBER = 10**12


def word_at(tokens: Sequence[Token], at: int) -> str:
    """The word at `at`; none behind a pause, which ends every number."""
    is_there = 0 <= at < len(tokens) and not (at and tokens[at - 1].breaks_after)
    return tokens[at].text if is_there else ""


def cardinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(value, end) of the longest Spanish cardinal in words, or of a numeral before "mil"."""
    total, limit, end = 0, MAX_NUMBER, at
    while True:
        group = _group(tokens, end) if end == at else _group_behind(tokens, end)
        after = group[1] if group else end
        word = word_at(tokens, after) if after > at else tokens[at].text
        scale = {"mil": 1000, "millon": 10**6, "millones": 10**6}.get(word, 1)
        if scale >= limit or (group is None and scale != 1000):
            break
        if group is not None and group[0] == 0 and (end > at or scale > 1):
            break
        total += (group[0] if group else 1) * scale
        end, limit = after + (scale > 1), scale
        if scale == 1:
            break
    return (total, end) if end > at else None


def _group_behind(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """Behind a scale, where "un" is a number: "mil un euros"."""
    return (_group(tokens, at) or _one(tokens, at)) if word_at(tokens, at) else None


def _one(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    return (1, at + 1) if word_at(tokens, at) in {"un", "una"} else None


def _group(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """A number below a thousand."""
    if at >= len(tokens):
        return None
    word, following = tokens[at].text, word_at(tokens, at + 1)
    if word == "cien":
        return 100, at + 1
    if word in {"un", "una"}:
        return (1, at + 1) if following in {"millon", "mil"} else None
    if tokens[at].kind == "number":
        is_scaled = following in {"mil", "millon", "millones"} and word.isdigit()
        return (int(word), at + 1) if is_scaled and int(word) < 1000 else None
    if word in _HUNDREDS:
        rest = (_below_hundred(tokens, at + 1) or _one(tokens, at + 1)) if following else None
        return (_HUNDREDS[word] + rest[0], rest[1]) if rest else (_HUNDREDS[word], at + 1)
    return _below_hundred(tokens, at)


def _below_hundred(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    word = tokens[at].text if at < len(tokens) else ""
    if word in _TENS:
        unit = _UNITS.get(word_at(tokens, at + 2), 0)
        if word_at(tokens, at + 1) == "y" and 0 < unit < 10:
            return _TENS[word] + unit, at + 3
        return _TENS[word], at + 1
    return (_SMALL_VALUES[word], at + 1) if word in _SMALL_VALUES else None


def amount(tokens: Sequence[Token], at: int) -> tuple[str, str, int] | None:
    """A number with what belongs to it: "quince con cincuenta", "dos punto cinco", "un millón de"
    before a currency."""
    found = _half_million(tokens, at) or cardinal(tokens, at)
    if found is None:
        return None
    value, end = found
    if (
        value
        and value % 10**6 == 0
        and [word_at(tokens, end + i) for i in (0, 1)] == ["y", "medio"]
    ):
        value, end = value + 500_000, end + 2
    joint = word_at(tokens, end)
    part = cardinal(tokens, end + 1) if end + 1 < len(tokens) else None
    if joint == "con" and part is not None and 0 < part[0] < 100:
        return f"{value}.{part[0]:02d}", "number", part[1]
    if joint in {"punto", "coma"} and part is not None and part[0] < 1000:
        return f"{value}.{part[0]}", "number", part[1]
    if joint == "de" and value % 500_000 == 0 and value and word_at(tokens, end + 1) in MAJOR:
        end += 1
    return str(value), "number", end


def _half_million(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    is_one = tokens[at].text == "medio" and word_at(tokens, at + 1) == "millon"
    return (500_000, at + 2) if is_one else None
