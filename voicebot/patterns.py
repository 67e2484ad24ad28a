"""Phrase patterns: what dialogues write, and what understanding and recognition read alike.

    pattern  = sequence
    sequence = item*
    item     = word | "[" options "]" | "(" options ")" | "{" slot "}"
    options  = sequence ("|" sequence)*

`[...]` may be left out, `(a|b)` is one of several, `{slot}` stands for a value of that slot.
Case and punctuation do not matter. "[some|a (bit|lot) of] milk" stands for "milk", "some
milk", "a bit of milk" and "a lot of milk". What counts as a word each room says itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

MAX_EXPANSIONS = 512
"""Word sequences that one pattern may stand for."""
MAX_DEPTH = 40
"""Brackets within brackets; nobody reads even ten."""

Words = tuple[str, ...]
SplitWords = Callable[[str], Words]

_LEXEME = re.compile(r"\{\s*([^{}\s]*)\s*\}|([\[\](){}|])|([^\[\](){}|]+)")
_CLOSING = {"[": "]", "(": ")"}


class PatternError(ValueError):
    """What is wrong with a pattern, in one line."""


def expand(pattern: str, split: SplitWords) -> tuple[Words, ...]:
    """All word sequences of a pattern, at most MAX_EXPANSIONS; slots appear as "{name}".

    `split` makes words of plain text. Raises PatternError when brackets do not match, a slot has
    no name, or the pattern stands for nothing.
    """
    sequences = _Parser(pattern, split).options(None)
    found = tuple(dict.fromkeys(islice((s for s in sequences if s), MAX_EXPANSIONS + 1)))
    if not found:
        raise PatternError(f"pattern {pattern!r} stands for no words")
    if len(found) > MAX_EXPANSIONS:
        raise _too_many(pattern)
    return found


def expand_leniently(pattern: str, split: SplitWords) -> tuple[Words, ...]:
    """As `expand`, but a broken pattern stands for its plain words: a live call goes on."""
    try:
        return expand(pattern, split)
    except PatternError:
        words = split(pattern)
        return (words,) if words else ()


def slots_in(pattern: str) -> Words:
    """Names of the slots that a pattern mentions."""
    return tuple(re.findall(r"\{\s*([^{}\s]+)\s*\}", pattern))


def _too_many(pattern: str) -> PatternError:
    return PatternError(
        f"pattern {pattern!r} stands for more than {MAX_EXPANSIONS} phrases; split it"
    )


class _Parser:
    """Recursive descent; expansions are bounded while they are built."""

    def __init__(self, pattern: str, split: SplitWords) -> None:
        self.pattern, self.split = pattern, split
        self.lexemes = [m.groups() for m in _LEXEME.finditer(pattern)]
        self.at = self.depth = 0

    def options(self, closing: str | None) -> list[Words]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise PatternError(f"a pattern has more than {MAX_DEPTH} brackets within brackets")
        found = self._sequence(closing)
        while self._peek() == "|":
            self.at += 1
            found = found + self._sequence(closing)
            self._bound(found)
        if self._peek() != closing:
            wrong = self._peek()
            raise PatternError(
                f"pattern {self.pattern!r}: {closing!r} is missing"
                if closing
                else f"pattern {self.pattern!r}: {wrong!r} closes nothing"
            )
        self.depth -= 1
        return found

    def _peek(self) -> str | None:
        return self.lexemes[self.at][1] if self.at < len(self.lexemes) else None

    def _sequence(self, closing: str | None) -> list[Words]:
        found: list[Words] = [()]
        while self.at < len(self.lexemes):
            slot, sign, words = self.lexemes[self.at]
            if sign in {"|", "]", ")"}:
                break
            self.at += 1
            if sign in {"{", "}"} or slot == "":
                raise PatternError(f"pattern {self.pattern!r}: a slot is written {{name}}")
            if sign is not None:
                inner = self.options(_CLOSING[sign])
                self.at += 1
                choices = [(), *inner] if sign == "[" else inner
            elif slot is not None:
                choices = [("{" + slot + "}",)]
            else:
                choices = [self.split(words)]
            found = [head + tail for head in found for tail in choices]
            self._bound(found)
        return found

    def _bound(self, found: list[Words]) -> None:
        if len(found) > 2 * MAX_EXPANSIONS:
            raise _too_many(self.pattern)


TITLES = ("doctor", "dr", "mister", "mr", "missus", "mrs", "miss", "ms", "professor")


def name_forms(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """How people in a list are called besides, without a title: all of a name, the parts that
    belong to no other name of the list, the parts the other way round.

    A name is a value of two words or more, each with a capital: "John Smith", "Dr. Wei Chen".
    """
    parts = {value: found for value in values if (found := _name_parts(value))}
    counts = Counter(part.lower() for found in parts.values() for part in set(found))
    forms: dict[str, tuple[str, ...]] = {}
    for value, found in parts.items():
        own = [part for part in found if counts[part.lower()] == 1]
        turned = [f"{found[-1]} {' '.join(found[:-1])}"] if len(found) > 1 else []
        forms[value] = (" ".join(found), *own, *turned)
    return forms


def _name_parts(value: str) -> list[str]:
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", value)
    is_name = len(words) > 1 and all(word[0].isupper() for word in words)
    return [word for word in words if word.lower() not in TITLES] if is_name else []


def is_luhn(digits: str) -> bool:
    """Whether the last of `digits` is right by Luhn's formula (ISO/IEC 7812-1), as on cards."""
    if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
        return False
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    total = sum(map(int, digits[::-2])) + sum(two - 9 if two > 9 else two for two in doubled)
    return total % 10 == 0


# Yes and no in all their forms.
YES = (
    "(yes|yeah|yep|yup|yah|ya|yea|aye) [please|sir|ma'am|indeed|of course|it is|i do|that's right|"
    "that's correct|i am|definitely]",
    "(sure|sure thing|of course|certainly|definitely|absolutely|indeed|exactly|affirmative)",
    "(that's|that is|it's|it is|this is|you're|you are|all|perfectly|quite) "
    "(right|correct|true|fine|good|it|perfect|exactly right|okay)",
    "(correct|right|true|okay|ok|fine|perfect|alright|all right|great|confirmed|confirm|agreed)",
    "(uh huh|mm hmm|mhm|uhuh|mmhmm|u-huh|aha|mm-hm)",
    "(sounds|looks) (good|right|great|fine|correct)",
    "(go ahead|please do|i do|i would|i am|it is|it does|by all means|you got it|do it|why not)",
    "i (think|believe|guess|suppose) so",
    "(you bet|go for it|roger|roger that)",
)
NO = (
    "(no|nope|nah|naw|nay|never|negative) [thanks|thank you|sir|ma'am|please|not really|it isn't|"
    "it's not|it is not|i don't|i do not|that's wrong|that's not right|that is wrong|way]",
    "not (really|at all|quite|exactly|correct|right|true|yet|now|today|that|this time|"
    "at the moment)",
    "(that's|that is|it's|it is|this is) (wrong|incorrect|not right|not correct|not it|not true|"
    "not what i (said|want|wanted)|false)",
    "(that|it|this) (isn't|is not|wasn't|ain't) (right|correct|it|true|what i (said|want|wanted))",
    "(wrong|incorrect|false)",
    "(uh uh|nuh uh|mm mm)",
    "i (don't|do not) (think|believe) so",
    "(i (don't|do not|wouldn't|would not)|it isn't|it is not|it doesn't|please don't|don't)",
    "of course not",
    "(absolutely|definitely|certainly) not",
    "i'd rather not",
    "forget it",
)
UNSURE = (
    "(i'm|i am|we're|i'm really|i'm still|i am still) (not|not really|not quite|not so) "
    "(sure|certain|positive)",
    "not (sure|certain|positive|so sure|really sure|quite sure)",
    "i (don't|do not|wouldn't|really don't) (know|remember|recall)",
    "(maybe|perhaps|possibly|no idea|i have no idea|it depends|that depends)",
)
"""Neither yes nor no, whatever they resemble."""
