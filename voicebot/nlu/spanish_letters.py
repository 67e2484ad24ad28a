"""Letters as they are spelled in Spanish: "be", "ene de nada", "doble u"."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.nlu.text import Token

ENYE = "enye"
"""Stands for ñ, which folding would make an n."""
_NAMES = {
    "a": "a", "be": "b", "be larga": "b", "be grande": "b", "ce": "c", "de": "d", "e": "e",
    "efe": "f", "ge": "g", "hache": "h", "i": "i", "i latina": "i", "jota": "j", "ka": "k",
    "ca": "k", "ele": "l", "eme": "m", "ene": "n", "o": "o", "pe": "p", "cu": "q", "erre": "r",
    "ere": "r", "ese": "s", "te": "t", "u": "u", "uve": "v", "ve": "v", "ve corta": "v",
    "ve chica": "v", "be corta": "v", "uve doble": "w", "doble uve": "w", "doble u": "w",
    "doble ve": "w", "ve doble": "w", "equis": "x", "ye": "y", "i griega": "y", "zeta": "z",
    "ceta": "z", ENYE: "ñ",
}  # fmt: skip
_AS_IN = frozenset(("de", "como"))


def spelled(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The tokens with letters in place of their names, and of "ene de nada"."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        letter, end = _letter(tokens, at)
        made = tokens[at:end]
        raw = " ".join(token.raw for token in made)
        words = tuple(word for token in made for word in token.words)
        text = letter or ("double" if tokens[at].text == "doble" else tokens[at].text)
        out.append(Token(raw, text, made[-1].kind, words, made[-1].breaks_after))
        at = end
    return tuple(out)


def _letter(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    """The letter at `at`, "" where there is none, and the end of its name."""
    texts = [token.text for token in tokens[at : at + 4]]
    for length in (2, 1):
        name = " ".join(texts[:length])
        letter = _NAMES.get(name) or (name if len(name) == 1 and name.isalpha() else "")
        if not letter or length > len(texts):
            continue
        rest = texts[length:]
        # "be de burro", "be como burro": the word tells the letter, if it is one's beginning.
        is_told = len(rest) >= 2 and rest[0] in _AS_IN and len(rest[1]) > 2
        if is_told and rest[1] not in _NAMES and rest[1][0].isalpha():
            return letter if letter == "ñ" else rest[1][0], at + length + 2
        return letter, at + length
    return "", at + 1
