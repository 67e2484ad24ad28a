"""Spanish text to tokens that the readers of numbers, dates, times, amounts and letters know.

A Spanish value is read once, here, and handed on as a numeral or as the English word of the same
sense ("treinta y cinco" as 35, "las tres y media" as 3:30, "pasado mañana" as overmorrow): the
grammar of dates or amounts exists once. `Token.words` stay Spanish; phrases match those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voicebot.nlu.month_days import DAYS, MONTHS
from voicebot.nlu.spanish_letters import ENYE, spelled
from voicebot.nlu.text import Token, tokenize
from voicebot.nlu.words import word_list

_SMALL = word_list(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece "
    "catorce quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno "
    "veintidos veintitres veinticuatro veinticinco veintiseis veintisiete "
    "veintiocho veintinueve"
)
_SMALL_VALUES = {word: n for n, word in enumerate(_SMALL)} | {"veintiun": 21, "veintiuna": 21}
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
_MAJOR = {
    "dolar": "dollar", "dolares": "dollars", "euro": "euro", "euros": "euros", "libra": "pound",
    "libras": "pounds", "peso": "dollar", "pesos": "dollars",
}  # fmt: skip
_WORDS = _MAJOR | {
    "centavo": "cent", "centavos": "cents", "centimo": "cent", "centimos": "cents",
    "lunes": "monday", "martes": "tuesday", "miercoles": "wednesday", "jueves": "thursday",
    "viernes": "friday", "sabado": "saturday", "domingo": "sunday",
    "enero": "january", "febrero": "february", "marzo": "march", "abril": "april", "mayo": "may",
    "junio": "june", "julio": "july", "agosto": "august", "septiembre": "september",
    "setiembre": "september", "octubre": "october", "noviembre": "november",
    "diciembre": "december",
    "hoy": "today", "manana": "tomorrow", "ayer": "yesterday", "anteayer": "ereyesterday",
    "antier": "ereyesterday", "proximo": "coming", "proxima": "coming", "este": "this",
    "esta": "this", "pasado": "last", "pasada": "last", "ultimo": "last", "ultima": "last",
    "dia": "day", "dias": "days", "semana": "week", "semanas": "weeks", "mes": "month",
    "meses": "months", "hace": "ago", "en": "in", "el": "the", "la": "the", "los": "the",
    "las": "the", "de": "of", "del": "of", "y": "and", "con": "and", "un": "one", "una": "one",
    "hora": "hour", "horas": "hours", "minuto": "minute", "minutos": "minutes", "ahora": "now",
    "medio": "half", "media": "half", "docena": "dozen", "docenas": "dozen", "menos": "minus",
    "mediodia": "noon", "medianoche": "midnight", "doble": "double", "triple": "triple",
    "primero": "first", "primer": "first", "primera": "first", "segundo": "second",
    "segunda": "second", "tercero": "third", "tercer": "third", "tercera": "third",
    "cuarto": "fourth", "cuarta": "fourth", "quinto": "fifth", "quinta": "fifth",
    "sexto": "sixth", "sexta": "sixth", "septimo": "seventh", "septima": "seventh",
    "octavo": "eighth", "octava": "eighth", "noveno": "ninth", "novena": "ninth",
    "decimo": "tenth", "decima": "tenth", "opcion": "option", "numero": "number", "mas": "plus",
    "guion": "dash", "marque": "press", "oprima": "press", "presione": "press",
}  # fmt: skip
_PHRASES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("pasado", "manana"): ("overmorrow",),
    ("antes", "de", "ayer"): ("ereyesterday",),
    ("dentro", "de"): ("in",),
    ("semana", "que", "viene"): ("next", "week"),
    ("proxima", "semana"): ("next", "week"),
    ("semana", "proxima"): ("next", "week"),
    ("que", "viene"): ("coming",),
    ("en", "punto"): ("o'clock",),
    ("ahora", "mismo"): ("right", "now"),
    ("cuarto", "de", "hora"): ("quarter", "of", "hour"),
    ("fin", "de", "mes"): ("end", "of", "month"),
    ("final", "de", "mes"): ("end", "of", "month"),
    ("fin", "de", "semana"): ("this", "weekend"),
    ("un", "par"): ("a", "couple"),
    ("doce", "de", "la", "noche"): ("midnight",),
    ("doce", "del", "mediodia"): ("noon",),
    ("doce", "del", "dia"): ("noon",),
    **{
        (link, "la", part): ("in", "the", english)
        for link in ("de", "por", "en")
        for part, english in (
            ("manana", "morning"), ("madrugada", "morning"), ("tarde", "afternoon"),
            ("noche", "night"),
        )
    },
}  # fmt: skip
_LONGEST_PHRASE = max(map(len, _PHRASES))
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.])")
_DECIMAL = re.compile(r"(?<![\d,])(\d+),(\d{1,2})(?![\d,])")
_DAY_MONTH = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?=/\d{2}|(?![\d/]))")
_ENYE = re.compile(r"\be(?:ñ|n\u0303)e\b|\b(?:ñ|n\u0303)\b", re.IGNORECASE)
MAX_NUMBER = 10**12


def is_spanish(language: str) -> bool:
    """Whether a language such as es-MX is Spanish."""
    return language.lower().startswith("es")


def tokenize_spanish(text: str, *, spelling: bool = False) -> tuple[Token, ...]:
    """Tokens as of `text.tokenize`; `spelling`: letters are expected, so "de" may be a D."""
    plain = _THOUSANDS.sub(lambda found: found[0].replace(".", ""), text)
    plain = _DECIMAL.sub(r"\1.\2", plain)
    plain = _DAY_MONTH.sub(r"\2/\1", plain)  # the day comes first
    if spelling:
        return spelled(tokenize(_ENYE.sub(f" {ENYE} ", plain)))
    tokens = tokenize(plain)
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        made, at = _read(tokens, at)
        out += made
    return tuple(out)


def _read(tokens: Sequence[Token], at: int) -> tuple[list[Token], int]:
    """What stands at `at`, and where it ends."""
    for length in range(_LONGEST_PHRASE, 1, -1):
        english = _PHRASES.get(tuple(token.text for token in tokens[at : at + length]))
        if english is not None:
            return _as(tokens[at : at + length], english), at + length
    found = _time(tokens, at) or _day(tokens, at) or _amount(tokens, at)
    if found is not None:
        text, kind, end = found
        return [_joined(tokens[at:end], text, kind)], end
    token = tokens[at]
    return [_joined([token], _WORDS.get(token.text, token.text), token.kind)], at + 1


def _as(tokens: Sequence[Token], english: Sequence[str]) -> list[Token]:
    """The same stretch with other texts; the last of them takes the words that are left."""
    last = len(english) - 1
    parts = [tokens[i : i + 1] if i < last else tokens[last:] for i in range(len(english))]
    return [_joined(part, text, "word") for part, text in zip(parts, english, strict=True)]


def _joined(tokens: Sequence[Token], text: str, kind: str) -> Token:
    raw = " ".join(token.raw for token in tokens)
    words = tuple(word for token in tokens for word in token.words)
    return Token(raw, text, kind, words, tokens[-1].breaks_after)


# ---------------------------------------------------------------- numbers


def _word(tokens: Sequence[Token], at: int) -> str:
    """The word at `at`; none behind a pause, which ends every number."""
    is_there = 0 <= at < len(tokens) and not (at and tokens[at - 1].breaks_after)
    return tokens[at].text if is_there else ""


def cardinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """(value, end) of the longest Spanish cardinal in words, or of a numeral before "mil"."""
    total, limit, end = 0, MAX_NUMBER, at
    while True:
        group = _group(tokens, end) if end == at else _group_behind(tokens, end)
        after = group[1] if group else end
        word = _word(tokens, after) if after > at else tokens[at].text
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
    return _group(tokens, at) if _word(tokens, at) else None


def _group(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """A number below a thousand."""
    if at >= len(tokens):
        return None
    word, following = tokens[at].text, _word(tokens, at + 1)
    if word == "cien":
        return 100, at + 1
    if word in {"un", "una"}:
        return (1, at + 1) if following in {"millon", "mil"} else None
    if tokens[at].kind == "number":
        is_scaled = following in {"mil", "millon", "millones"} and word.isdigit()
        return (int(word), at + 1) if is_scaled and int(word) < 1000 else None
    if word in _HUNDREDS:
        rest = _below_hundred(tokens, at + 1) if following else None
        return (_HUNDREDS[word] + rest[0], rest[1]) if rest else (_HUNDREDS[word], at + 1)
    return _below_hundred(tokens, at)


def _below_hundred(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    word = tokens[at].text if at < len(tokens) else ""
    if word in _TENS:
        unit = _SMALL_VALUES.get(_word(tokens, at + 2), 0)
        if _word(tokens, at + 1) == "y" and 0 < unit < 10:
            return _TENS[word] + unit, at + 3
        return _TENS[word], at + 1
    return (_SMALL_VALUES[word], at + 1) if word in _SMALL_VALUES else None


def _amount(tokens: Sequence[Token], at: int) -> tuple[str, str, int] | None:
    """A number with what belongs to it: "quince con cincuenta", "dos punto cinco", "un millón de"
    before a currency."""
    found = cardinal(tokens, at)
    if found is None:
        return None
    value, end = found
    joint = _word(tokens, end)
    part = cardinal(tokens, end + 1) if end + 1 < len(tokens) else None
    if joint == "con" and part is not None and 0 < part[0] < 100:
        return f"{value}.{part[0]:02d}", "number", part[1]
    if joint in {"punto", "coma"} and part is not None and part[0] < 1000:
        return f"{value}.{part[0]}", "number", part[1]
    if joint == "de" and value % 10**6 == 0 and value and _word(tokens, end + 1) in _MAJOR:
        end += 1
    return str(value), "number", end


# ---------------------------------------------------------------- days and times


_MONTHS = frozenset(word for word, english in _WORDS.items() if english in MONTHS)
CLOCK = 12
"""A number up to this behind a day of the week is its hour, unless a month follows."""


def _day(tokens: Sequence[Token], at: int) -> tuple[str, str, int] | None:
    """The fifteenth is "el quince", and "viernes quince [de enero]". Behind a day of the week a
    small number is as often the hour, so only what no clock shows, or what a month follows."""
    before = tokens[at - 1].text if at else ""
    is_dated = _WORDS.get(before, "") in DAYS
    if before != "el" and not is_dated:
        return None
    is_numeral = tokens[at].kind == "number" and tokens[at].text.isdigit()
    found = (int(tokens[at].text[:3]), at + 1) if is_numeral else cardinal(tokens, at)
    if found is None or not 1 <= found[0] <= 31:
        return None
    behind = _word(tokens, found[1])
    has_month = behind in {"de", "del"} and _word(tokens, found[1] + 1) in _MONTHS
    if is_dated:
        is_hour = found[0] <= CLOCK or _word(tokens, found[1] + 1) == "la"
        is_day = has_month or (not is_hour and behind in {"", "de", "del", "a"})
    else:
        is_day = behind in {"", "de", "del"}
    return (f"{found[0]}th", "ordinal", found[1]) if is_day else None


def _time(tokens: Sequence[Token], at: int) -> tuple[str, str, int] | None:
    """ "tres y media", "las tres y veinte", "cuatro menos cuarto"."""
    before = tokens[at - 1].text if at else ""
    if tokens[at].text == "una" and before == "la":
        hour, end = 1, at + 1
    elif tokens[at].kind == "number" and tokens[at].text.isdigit():
        hour, end = int(tokens[at].text[:3]), at + 1
    else:
        found = cardinal(tokens, at)
        if found is None:
            return None
        hour, end = found
    joint = _word(tokens, end)
    if not 1 <= hour <= 24 or joint not in {"y", "menos"}:
        return None
    named = {"media": 30, "cuarto": 15}.get(_word(tokens, end + 1))
    part = (named, end + 2) if named else _minutes(tokens, end + 1)
    if part is None or (named is None and before not in {"la", "las"}):
        return None
    minute = part[0]
    if joint == "menos":
        hour, minute = (hour - 2) % 12 + 1, 60 - minute
    return f"{hour % 24}:{minute:02d}", "time", part[1]


def _minutes(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    if at < len(tokens) and tokens[at].kind == "number" and tokens[at].text.isdigit():
        found: tuple[int, int] | None = (int(tokens[at].text[:3]), at + 1)
    else:
        found = cardinal(tokens, at) if at < len(tokens) else None
    return found if found is not None and 1 <= found[0] < 60 else None
