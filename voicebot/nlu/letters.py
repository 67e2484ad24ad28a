"""Spelled letters: "B as in boy", "bee", "bravo", "ABC"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voicebot.nlu.entities import Span
from voicebot.nlu.text import Token
from voicebot.nlu.words import word_list, word_set

_LETTER_NAMES = {
    "a": "ay eh", "b": "bee be", "c": "see sea cee", "d": "dee", "e": "ee", "f": "ef eff",
    "g": "gee ji", "h": "aitch haitch age", "i": "eye", "j": "jay", "k": "kay", "l": "el ell",
    "m": "em", "n": "en an", "o": "oh owe", "p": "pee pea", "q": "cue queue kew", "r": "are ar",
    "s": "ess es", "t": "tee tea", "u": "you yew", "v": "vee", "w": "doubleyou", "x": "ex",
    "y": "why wye", "z": "zee zed",
}  # fmt: skip
LETTER_OF = {name: letter for letter, names in _LETTER_NAMES.items() for name in names.split()}
SURE_NAMES = word_set(
    "bee cee dee ef eff gee jay kay el ell em en pee cue queue ess tee vee ex zee zed aitch "
    "haitch"
)  # fmt: skip
MAX_LETTERS = 40
_BETWEEN = word_set("dash hyphen capital uppercase lowercase small guion")
"""Said before a letter, written nowhere in the value; so are "upper case" and "lower case"."""
_ALPHABET = word_list(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november "
    "oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu"
)
ALPHABET = {word: word[0] for word in _ALPHABET} | {
    "alfa": "a", "juliett": "j", "whisky": "w", "quebeck": "q",
}  # fmt: skip


def letter_runs(tokens: Sequence[Token]) -> Iterator[tuple[Span, bool]]:
    """(span, is sure) of runs of spelled letters, upper case."""
    at = 0
    while at < len(tokens):
        begin, letters, is_sure = at, "", False
        while at < len(tokens) and len(letters) < MAX_LETTERS:
            piece = _letter_piece(tokens, at)
            if piece is None:
                break
            letters += piece[0]
            at = piece[1]
            is_sure = is_sure or piece[2]
        if letters:
            yield Span(begin, at, letters.upper()), is_sure
        else:
            at += 1


def _letter_piece(tokens: Sequence[Token], at: int) -> tuple[str, int, bool] | None:
    token = tokens[at]
    texts = [t.text for t in tokens[at : at + 4]] + [""] * 4
    if texts[0] == "double":
        if texts[1] in {"u", "you", "yew"}:
            return "w", at + 2, True
        again = _letter_piece(tokens, at + 1) if at + 1 < len(tokens) else None
        return (again[0][0] + again[0], again[1], again[2]) if again else None
    cased = 2 if texts[0] in {"upper", "lower"} and texts[1] == "case" else 0
    begin = at + (cased or texts[0] in _BETWEEN)
    if begin > at and (follows := _letter_piece(tokens, begin) if tokens[begin:] else None):
        return follows
    if texts[0] == "ñ":
        return "ñ", at + 1, True
    heard = _letter(texts[0])
    if texts[:2] == ["x", "ray"]:
        return "x", at + 2, True
    if heard and texts[1] == "as" and texts[2] in {"in", "an"} and texts[3][:1].isalpha():
        return _initial(texts[3]) or heard, at + 4, True
    if heard and texts[1] in {"for", "like"} and len(texts[2]) > 2 and texts[2][:1] == heard:
        return heard, at + 3, True
    if heard:
        return heard, at + 1, (len(texts[0]) == 1 and texts[0] not in {"a", "i", "o"}) or (
            texts[0] in SURE_NAMES)  # fmt: skip
    if texts[0] in ALPHABET:
        return ALPHABET[texts[0]], at + 1, False
    if token.kind == "word" and token.raw.isascii() and token.raw.isupper() and (
        2 <= len(token.raw) <= 10 and token.raw.isalpha()):  # fmt: skip
        return token.text, at + 1, True
    return None


def _letter(text: str) -> str | None:
    if len(text) == 1 and "a" <= text <= "z":
        return text
    return LETTER_OF.get(text)


def _initial(word: str) -> str | None:
    return word[0] if word and "a" <= word[0] <= "z" else None
