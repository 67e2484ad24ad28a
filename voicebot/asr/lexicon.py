"""Phrases as a sorted list that reads as a trie: a node is a range of those with one beginning.

Twenty thousand phrases take no more room than their letters, and compile in the time of sorting.
The recogniser's tokens lie in a trie too, in the same normal form.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from voicebot.asr.written import BREAK, of_token

DEPTH_OF_RUNS = 12
"""No token has more characters that matter."""


class Node(NamedTuple):
    """Phrases [low, high) share their first `depth` characters."""

    low: int
    high: int
    depth: int


AFRESH = -1
"""As a count: what was said before does not count ("no, sorry")."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A phrase in normal form, the bonus in nats for saying it, and the units it counts for."""

    text: str
    bonus: float
    count: int = 0


class Lexicon:
    """What may be said at one place of a grammar."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Of equal entries (text and count) the best bonus holds."""
        best: dict[tuple[str, int], float] = {}
        for entry in entries:
            text = entry.text.strip(BREAK)
            if text:
                key = (text, entry.count)
                best[key] = max(entry.bonus, best.get(key, entry.bonus))
        ordered = sorted(best.items())
        self._texts = [text for (text, _), _ in ordered]
        self._ends = [(count, bonus) for (_, count), bonus in ordered]
        lengths = np.array([len(text) for text in self._texts] or [1])
        self._rates = np.array([bonus for _, bonus in self._ends] or [0.0]) / lengths
        self.root = Node(0, len(self._texts), 0)

    def __len__(self) -> int:
        return len(self._texts)

    def child(self, node: Node, character: str) -> Node | None:
        """The node that one more character leads to."""
        texts, (low, high, depth) = self._texts, node
        if low >= high:
            return None
        start = texts[low][:depth] + character
        first = bisect_left(texts, start, low, high)
        if first == high or not texts[first].startswith(start):
            return None
        last = bisect_left(texts, start + "\U0010ffff", first, high)
        return Node(first, last, depth + 1)

    def ends(self, node: Node) -> list[tuple[int, float]]:
        """(count, bonus) of the phrases that end here."""
        found, at = [], node.low
        while at < node.high and len(self._texts[at]) == node.depth:
            found.append(self._ends[at])
            at += 1
        return found

    def is_figure(self, node: Node) -> bool:
        """Whether the last character is a figure: another may follow without a break."""
        return node.depth > 0 and self._texts[node.low][node.depth - 1].isdecimal()

    def after_break(self, node: Node) -> bool:
        """Whether the last character parts words (or none was said)."""
        return node.depth == 0 or self._texts[node.low][node.depth - 1] == BREAK

    def partial(self, node: Node) -> float:
        """Bonus so far of the best phrase that may come: in proportion to its letters said."""
        if node.depth == 0:
            return 0.0
        return node.depth * float(self._rates[node.low : node.high].max())


class TokenNode:
    """A trie node of the tokens' normal forms."""

    __slots__ = ("children", "ids")

    def __init__(self) -> None:
        self.children: dict[str, TokenNode] = {}
        self.ids: list[int] = []


class Tokens:
    """The vocabulary in normal form, once per vocabulary.

    kind: int64[V]: 0 says nothing, 1 goes on with a word, 2 parts words, 3 begins a word.
    """

    def __init__(self, tokens: Sequence[bytes], end: int) -> None:
        self.texts = [of_token(token) for token in tokens]
        self.end = end
        self.kind = np.array([_kind(text) for text in self.texts], np.int64)
        self.root = TokenNode()
        for token, text in enumerate(self.texts):
            node = self.root
            for character in text[:DEPTH_OF_RUNS]:
                node = node.children.setdefault(character, TokenNode())
            if text:
                node.ids.append(token)


def _kind(text: str) -> int:
    if not text:
        return 0
    if text[0] != BREAK:
        return 1
    return 2 if text == BREAK else 3
