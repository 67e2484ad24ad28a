"""Spanish as it is written: digit strings, numbers (`text2num`), money, percentages."""

from __future__ import annotations

import re

from text_to_num import alpha2digit

from voicebot.asr.itn_english import MIN_DIGITS, grouped

_DIGITS = {
    "cero": "0", "uno": "1", "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6",
    "siete": "7", "ocho": "8", "nueve": "9",
}  # fmt: skip
_REPEATS = {"doble": 2, "triple": 3}
_UNITS = {"dólar": "$", "dólares": "$", "dolares": "$", "euro": "€", "euros": "€"}
_CLAUSE = re.compile(r"([.;?!]+\s+)")
_SCALE = r"(?:mil|mill[oó]n(?:es)?|bill[oó]n(?:es)?)\b"
_PARTS = re.compile(
    rf"\b(?:medio|media|cuartos?|tercios?)\b[\w ]*\b{_SCALE}|\b(?:coma|punto)\b[\w ]*\b{_SCALE}"
    rf"|\b(?:mil|bi)ll[oó]n \w*ill[oó]n",
    re.IGNORECASE,
)
"""Parts of a million: `text2num` would write "1,2" and "1000000" side by side."""
_LARGER = re.compile(
    r"(?:y|cien|ciento|\w+cient[oa]s|quinient[oa]s|mil|mill[oó]n(?:es)?|treinta|cuarenta|"
    r"cincuenta|sesenta|setenta|ochenta|noventa|coma|punto)"
)
"""Before a digit they make one number with it."""
_MONEY = re.compile(rf"\b(\d+(?:,\d+)?) ({'|'.join(_UNITS)})\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(\d+(?:,\d+)?) por (?:ciento|100)\b", re.IGNORECASE)


def write_spanish(text: str) -> str:
    """The text as a person would write it down."""
    parts = _CLAUSE.split(text)
    return "".join(part if at % 2 else _clause(part) for at, part in enumerate(parts))


def _clause(text: str) -> str:
    if _PARTS.search(text):
        return text
    text = alpha2digit(_digit_strings(text), "es")
    text = _MONEY.sub(lambda found: f"{found[1]} {_UNITS[found[2].lower()]}", text)
    return _PERCENT.sub(lambda found: f"{found[1]} %", text)


def _digit_strings(text: str) -> str:
    """ "cinco cinco cinco" -> "555": runs of MIN_DIGITS digits or more."""
    tokens = text.split()
    out: list[str] = []
    at = 0
    while at < len(tokens):
        digits, end = _run(tokens, at)
        if len(digits) >= MIN_DIGITS and not (at and _LARGER.fullmatch(tokens[at - 1].lower())):
            tail = re.search(r"[^\w]*$", tokens[end - 1])
            out.append(grouped(digits) + (tail[0] if tail else ""))
            at = end
        else:
            end = max(end, at + 1)
            out += tokens[at:end]
            at = end
    return " ".join(out)


def _run(tokens: list[str], at: int) -> tuple[str, int]:
    """The digits that begin at a token, and where they end. A sentence's end closes them."""
    digits = ""
    while at < len(tokens):
        word = tokens[at].lower().strip(",.?!;:-")
        times = _REPEATS.get(word, 1)
        step = 1 if times == 1 else 2
        digit = _digit(tokens, at + step - 1)
        if not digit:
            break
        digits += digit * times
        at += step
        if tokens[at - 1][-1] in ".?!;:":
            break
    return digits, at


def _digit(tokens: list[str], at: int) -> str:
    word = tokens[at].lower().strip(",.?!;:-") if at < len(tokens) else ""
    is_figure = len(word) == 1 and word in "0123456789"
    return word if is_figure else _DIGITS.get(word, "")
