"""Phrase patterns and the trie they compile to.

    pattern  = sequence
    sequence = item*
    item     = word | "[" options "]" | "(" options ")" | "{" slot "}"
    options  = sequence ("|" sequence)*

`[...]` may be left out, `(a|b)` is one of several, `{slot}` stands for a value of that slot.
Case and punctuation do not matter. "[some|a (bit|lot) of] milk" stands for "milk", "some
milk", "a bit of milk" and "a lot of milk".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Generic, TypeVar

from voicebot.nlu.text import tokenize

MAX_EXPANSIONS = 512
"""Word sequences that one pattern may stand for."""

Sequence_ = tuple[str, ...]
M = TypeVar("M")

_LEXEME = re.compile(r"\{\s*([^{}\s]*)\s*\}|([\[\](){}|])|([^\[\](){}|]+)")
_CLOSING = {"[": "]", "(": ")"}


class PatternError(ValueError):
    """What is wrong with a pattern, in one line."""


@lru_cache(maxsize=4096)
def expand(pattern: str) -> tuple[Sequence_, ...]:
    """All word sequences of a pattern, at most MAX_EXPANSIONS; slots appear as "{name}".

    Raises PatternError when brackets do not match, a slot has no name, or the pattern stands
    for nothing.
    """
    parser = _Parser(pattern)
    sequences = parser.options(None)
    found = tuple(dict.fromkeys(islice((s for s in sequences if s), MAX_EXPANSIONS + 1)))
    if not found:
        raise PatternError(f"pattern {pattern!r} stands for no words")
    if len(found) > MAX_EXPANSIONS:
        raise PatternError(
            f"pattern {pattern!r} stands for more than {MAX_EXPANSIONS} phrases; split it"
        )
    return found


def expand_leniently(pattern: str) -> tuple[Sequence_, ...]:
    """As `expand`, but a broken pattern stands for its plain words: a live call goes on."""
    try:
        return expand(pattern)
    except PatternError:
        words = tuple(w for token in tokenize(pattern) for w in token.words)
        return (words,) if words else ()


def problem(pattern: str) -> str | None:
    """What is wrong with a pattern, or None; for those who check dialplans."""
    try:
        expand(pattern)
    except PatternError as error:
        return str(error)
    return None


def slots_in(pattern: str) -> tuple[str, ...]:
    """Names of the slots that a pattern mentions."""
    return tuple(re.findall(r"\{\s*([^{}\s]+)\s*\}", pattern))


class _Parser:
    """Recursive descent; expansions are bounded while they are built."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.lexemes = [m.groups() for m in _LEXEME.finditer(pattern)]
        self.at = 0

    def options(self, closing: str | None) -> list[Sequence_]:
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
        return found

    def _peek(self) -> str | None:
        return self.lexemes[self.at][1] if self.at < len(self.lexemes) else None

    def _sequence(self, closing: str | None) -> list[Sequence_]:
        found: list[Sequence_] = [()]
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
                choices = [tuple(w for token in tokenize(words) for w in token.words)]
            found = [head + tail for head in found for tail in choices]
            self._bound(found)
        return found

    def _bound(self, found: list[Sequence_]) -> None:
        if len(found) > 2 * MAX_EXPANSIONS:
            raise PatternError(
                f"pattern {self.pattern!r} stands for more than {MAX_EXPANSIONS} phrases; split it"
            )


@dataclass(slots=True)
class Node(Generic[M]):
    """A trie node: what may follow, and what the words so far mean."""

    children: dict[str, Node[M]] = field(default_factory=dict)
    meanings: list[M] = field(default_factory=list)


class Trie(Generic[M]):
    """Word sequences and their meanings, sharing beginnings."""

    def __init__(self) -> None:
        self.root: Node[M] = Node()

    def add(self, sequence: Iterable[str], meaning: M) -> None:
        node = self.root
        for word in sequence:
            node = node.children.setdefault(word, Node())
        if meaning not in node.meanings:
            node.meanings.append(meaning)

    def words(self) -> Iterator[str]:
        """Every distinct word, slots excluded."""
        seen: set[str] = set()
        nodes = [self.root]
        while nodes:
            for word, child in nodes.pop().children.items():
                nodes.append(child)
                if not word.startswith("{") and word not in seen:
                    seen.add(word)
                    yield word

    def find(self, sequence: Iterable[str]) -> Node[M] | None:
        """The node that an exact word sequence leads to."""
        node: Node[M] | None = self.root
        for word in sequence:
            node = node.children.get(word) if node else None
        return node
