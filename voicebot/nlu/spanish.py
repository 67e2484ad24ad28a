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
from voicebot.nlu.spanish_numbers import MAJOR, amount, cardinal, word_at
from voicebot.nlu.text import Token, tokenize
from voicebot.nlu.words import word_set

_WORDS = MAJOR | {
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
    "guion": "dash", "ceros": "zeros", "unos": "ones", "doses": "twos", "treses": "threes",
    "cuatros": "fours", "cincos": "fives", "seises": "sixes", "sietes": "sevens",
    "ochos": "eights", "nueves": "nines", "marque": "press", "oprima": "press", "presione": "press",
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


_HESITATIONS = word_set("eh em ehm mm mmm uh um")
"""Within a number as between words ("doscientos, eh, cincuenta")."""


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
    tokens = [token for token in tokenize(plain) if token.text not in _HESITATIONS]
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
    found = _time(tokens, at) or _day(tokens, at) or amount(tokens, at)
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
    behind = word_at(tokens, found[1])
    has_month = behind in {"de", "del"} and word_at(tokens, found[1] + 1) in _MONTHS
    if is_dated:
        is_hour = found[0] <= CLOCK or word_at(tokens, found[1] + 1) == "la"
        is_day = has_month or (not is_hour and behind in {"", "de", "del", "a"})
    else:
        is_day = behind in {"", "de", "del"}
    return (f"{found[0]}th", "ordinal", found[1]) if is_day else None


def _time(tokens: Sequence[Token], at: int) -> tuple[str, str, int] | None:
    """ "tres y media", "las tres y veinte", "cuatro menos cuarto"."""
    before = tokens[at - 1].text if at else ""
    if (until := _until(tokens, at, before)) is not None:
        return until
    if tokens[at].text == "una" and before == "la":
        hour, end = 1, at + 1
    elif tokens[at].kind == "number" and tokens[at].text.isdigit():
        hour, end = int(tokens[at].text[:3]), at + 1
    else:
        found = cardinal(tokens, at)
        if found is None:
            return None
        hour, end = found
    joint = word_at(tokens, end)
    if not 1 <= hour <= 24 or joint not in {"y", "menos"}:
        return None
    named = {"media": 30, "cuarto": 15}.get(word_at(tokens, end + 1))
    part = (named, end + 2) if named else _minutes(tokens, end + 1)
    if part is None or (named is None and before not in {"la", "las"}):
        return None
    minute = part[0]
    if joint == "menos":
        hour, minute = (hour - 2) % 12 + 1, 60 - minute
    return f"{hour % 24}:{minute:02d}", "time", part[1]


_TO_THE_HOUR = {"cuarto": 15, "cinco": 5, "diez": 10, "veinte": 20, "veinticinco": 25}
_OF_PEOPLE = frozenset(("de", "para", "somos", "seremos"))


def _until(tokens: Sequence[Token], at: int, before: str) -> tuple[str, str, int] | None:
    """ "cuarto para las cuatro", "diez para la una"; "mesa de diez para las cuatro" is none."""
    begin = at + 1 if tokens[at].text == "un" else at
    minutes = _TO_THE_HOUR.get(word_at(tokens, begin) if begin > at else tokens[at].text)
    end = begin + 2 if word_at(tokens, begin + 1) == "minutos" else begin + 1
    is_until = word_at(tokens, end) == "para" and word_at(tokens, end + 1) in {"la", "las"}
    if minutes is None or not is_until or before in _OF_PEOPLE:
        return None
    is_one = word_at(tokens, end + 2) == "una"
    found = (1, end + 3) if is_one else _number(tokens, end + 2)
    if found is None or not 1 <= found[0] <= 12:
        return None
    return f"{(found[0] - 2) % 12 + 1}:{60 - minutes:02d}", "time", found[1]


def _number(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    if at < len(tokens) and tokens[at].kind == "number" and tokens[at].text.isdigit():
        return int(tokens[at].text[:3]), at + 1
    return cardinal(tokens, at) if at < len(tokens) else None


def _minutes(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    found = _number(tokens, at)
    return found if found is not None and 1 <= found[0] < 60 else None
