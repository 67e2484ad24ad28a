"""Values as Spanish words, as spoken in the Americas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time

from num2words import num2words

from voicebot.speech import parsing
from voicebot.speech.numerals import Numerals, choice

_ONES = ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve")
_CURRENCIES = {  # sign -> (one, many, one hundredth, hundredths)
    "$": ("dólar", "dólares", "centavo", "centavos"),
    "€": ("euro", "euros", "céntimo", "céntimos"),
    "£": ("libra", "libras", "penique", "peniques"),
}
_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
    "octubre", "noviembre", "diciembre",
)  # fmt: skip
_LETTERS = {
    "b": "be", "c": "ce", "d": "de", "f": "efe", "g": "ge", "h": "hache", "j": "jota", "k": "ka",
    "l": "ele", "m": "eme", "n": "ene", "ñ": "eñe", "p": "pe", "q": "cu", "r": "erre",
    "s": "ese", "t": "te", "v": "uve", "w": "doble u", "x": "equis", "y": "i griega", "z": "zeta",
}  # fmt: skip


def _cardinal(whole: int) -> str:
    return str(num2words(whole, lang="es"))


NUMERALS = Numerals(_ONES, plus="más", minus="menos", point="punto", cardinal=_cardinal)


def _before_noun(whole: int, *, is_feminine: bool = False) -> str:
    """ "un dólar", "veintiún dólares", "una libra", "un millón de dólares"."""
    words = _cardinal(whole)
    if whole % 100 != 11 and words.endswith("uno"):
        if is_feminine:
            return words[:-1] + "a"
        words = words[:-3] + ("ún" if words.endswith("veintiuno") else "un")
    return f"{words} de" if whole and whole % 10**6 == 0 else words


def _ordinal(value: str) -> str | None:
    found = parsing.ordinal(value)
    return None if found is None else str(num2words(found, to="ordinal", lang="es"))


def money(value: str) -> str | None:
    """ "quince dólares con cincuenta centavos"."""
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
        whole = _before_noun(found.whole, is_feminine=found.unit == "£")
        words.append(f"{whole} {one if found.whole == 1 else many}")
    if hundredths:
        words.append(f"{_before_noun(hundredths)} {cent if hundredths == 1 else cents}")
    return minus + " con ".join(words)


def _date(value: str) -> str | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    number = "primero" if day.day == 1 else _cardinal(day.day)
    return f"{number} de {_MONTHS[day.month - 1]} de {_cardinal(day.year)}"


def _time(value: str) -> str | None:
    """ "tres y media de la tarde"; the article stands in the prompt: "a las"."""
    try:
        moment = time.fromisoformat(value)
    except ValueError:
        return None
    if (moment.hour, moment.minute) in {(0, 0), (12, 0)}:
        return "doce del mediodía" if moment.hour else "doce de la noche"
    hour = moment.hour % 12 or 12
    words = ["una" if hour == 1 else _cardinal(hour)]
    if moment.minute:
        named = {15: "cuarto", 30: "media"}
        words += ["y", named.get(moment.minute) or _cardinal(moment.minute)]
    part = "mañana" if moment.hour < 12 else "tarde" if moment.hour < 20 else "noche"
    return " ".join([*words, "de la", part])


def _letters(value: str) -> str | None:
    signs = parsing.signs(value)
    if signs is None:
        return None
    names = (_LETTERS.get(sign.lower(), sign.lower()) for sign in signs)
    return ", ".join(NUMERALS.digit(name) or name for name in names)


def _yes_no(value: str) -> str | None:
    return {"yes": "sí", "no": "no"}.get(value)


SPANISH: Mapping[str, Callable[[str], str | None]] = {
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
    "yes_no": _yes_no,
}
"""Kind of a value -> its words; None where the value is not of that kind."""
