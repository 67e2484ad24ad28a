"""Phrase patterns (voicebot.patterns) in this room's words, and the trie they compile to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from voicebot import patterns
from voicebot.nlu.text import tokenize
from voicebot.patterns import MAX_EXPANSIONS, PatternError, slots_in

__all__ = [
    "MAX_EXPANSIONS",
    "Node",
    "PatternError",
    "Trie",
    "expand",
    "expand_leniently",
    "problem",
    "slots_in",
]

Sequence_ = tuple[str, ...]
M = TypeVar("M")


@lru_cache(maxsize=4096)
def expand(pattern: str) -> tuple[Sequence_, ...]:
    """All word sequences of a pattern; see patterns.expand."""
    return patterns.expand(pattern, _words)


def expand_leniently(pattern: str) -> tuple[Sequence_, ...]:
    """As `expand`, but a broken pattern stands for its plain words: a live call goes on."""
    try:
        return expand(pattern)
    except PatternError:
        return patterns.expand_leniently(pattern, _words)


def problem(pattern: str) -> str | None:
    """What is wrong with a pattern, or None; for those who check dialplans."""
    try:
        expand(pattern)
    except PatternError as error:
        return str(error)
    return None


def _words(text: str) -> Sequence_:
    return tuple(word for token in tokenize(text) for word in token.words)


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
