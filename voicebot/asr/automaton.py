"""What may be said as a weighted automaton over characters, laid over the vocabulary's tokens.

Several loops read the text at once: an open one, which takes any word and gives a bonus for its
phrases, and closed ones, which take nothing but theirs. Leaving the closed ones costs the open
one's entry `cost`. The score of a text is that of its best way through (max-plus), so a phrase
begun and not finished gives its bonus back by itself, as the failure arcs of an Aho-Corasick
context graph do (icefall's ContextGraph); deterministic states come into being as they are
visited (subset construction with residual weights, Mohri 1997).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.lexicon import Lexicon, Node
from voicebot.asr.written import BREAK, of_token

MAX_STATES = 20_000
"""Beyond this the states found so far are forgotten: memory is bounded."""
MAX_CONFIGS = 24
"""Ways followed at once from one state, best first."""
DEPTH_OF_RUNS = 12
"""No token has more characters that matter."""
OTHER_WORD = Node(-1, -1, -1)
"""Inside a word that no phrase has; the open loop alone."""
FORBIDDEN = -30.0
"""What a text costs that no loop can read to its end."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Any number of the lexicon's phrases, of least to most units in all (see Entry.count).

    `cost`: of entering it, at the start. `is_open`: it takes other words too. `joins_figures`:
    numbers written in figures may follow each other without a break, as in a digit string.
    """

    lexicon: Lexicon
    cost: float = 0.0
    is_open: bool = False
    joins_figures: bool = False
    least: int = 0
    most: int | None = None


class Config(NamedTuple):
    """A place in a loop; `units` counts what has been said of it."""

    loop: int
    units: int
    node: Node


@dataclass(slots=True)
class _State:
    """Ways and their scores, the best way's bonus so far counting as 0."""

    ways: tuple[tuple[Config, float], ...]
    steps: dict[str, tuple[int, float]]
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The change of bonus by each token: that of its kind, and for some more or less.

    kinds: float32[4] by Tokens.kind; ids: int64[N]; extras: float32[N], on top of the kind's.
    """

    kinds: NDArray[np.float32]
    ids: NDArray[np.int64]
    extras: NDArray[np.float32]


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


class Automaton:
    """Loops, read together; states are numbers, 0 the start. For one thread at a time."""

    def __init__(self, loops: Sequence[Loop], tokens: Tokens) -> None:
        self.loops, self.tokens = loops, tokens
        self._clear()

    def _clear(self) -> None:
        self._states: list[_State] = []
        self._known: dict[tuple[tuple[Config, int], ...], int] = {}
        start = {
            Config(index, 0, loop.lexicon.root): -loop.cost for index, loop in enumerate(self.loops)
        }
        self._intern(start)

    def trim(self) -> None:
        """Forget the states when there are too many; between searches only."""
        if len(self._states) > MAX_STATES:
            self._clear()

    def advance(self, state: int, token: int) -> tuple[int, float]:
        """(next state, change of bonus) by a token."""
        if token == self.tokens.end:
            return state, self.ending(state)
        gain = 0.0
        for character in self.tokens.texts[token]:
            state, change = self._step(state, character)
            gain += change
        return state, gain

    def read(self, text: str) -> float:
        """Bonus of a whole text in normal form."""
        state, total = 0, 0.0
        for character in text:
            state, change = self._step(state, character)
            total += change
        return total + self.ending(state)

    def is_inside(self, state: int) -> bool:
        """Whether a closed loop can read what was said so far."""
        return any(not self.loops[config.loop].is_open for config, _ in self._states[state].ways)

    def ending(self, state: int) -> float:
        """Change of bonus by ending here; nothing said is always allowed."""
        if state == 0:
            return 0.0
        ended = [
            score + bonus
            for config, score in self._states[state].ways
            for units, bonus in self._closings(config)
            if units >= self.loops[config.loop].least
        ]
        return max(ended, default=FORBIDDEN)

    def row(self, state: int) -> Row:
        """The change of bonus by every token from there; found once per state."""
        known = self._states[state]
        if known.row is None:
            known.row = self._row(state)
        return known.row

    # ------------------------------------------------------------ tokens

    def _row(self, state: int) -> Row:
        broken, parted = self._step(state, BREAK)
        inside, begins = self._other(state), parted + self._other(broken)
        kinds = np.array([0.0, inside, parted, begins], np.float32)
        ids: list[int] = [self.tokens.end]
        gains: list[float] = [self.ending(state)]
        for found, gain in self._matching(state, self.tokens.root, 0.0):
            ids += found
            gains += [gain] * len(found)
        tokens = np.array(ids, np.int64)
        extras = np.array(gains, np.float32) - kinds[self.tokens.kind[tokens]]
        return Row(kinds, tokens, extras)

    def _other(self, state: int) -> float:
        """Change of bonus by the first letter of a word that is in no phrase."""
        scores = [
            score
            for config, score in self._states[state].ways
            if self.loops[config.loop].is_open and self._takes_others(config)
        ]
        return max(scores, default=FORBIDDEN)

    def _takes_others(self, config: Config) -> bool:
        return config.node == OTHER_WORD or config.node.depth == 0

    def _matching(
        self, state: int, node: TokenNode, gain: float
    ) -> Iterator[tuple[list[int], float]]:
        """Tokens along which some phrase goes on, and their gains."""
        for character, child in node.children.items():
            after, change = self._step(state, character)
            if character != BREAK and self._is_lost(after):
                continue
            if child.ids and character != BREAK:
                yield child.ids, gain + change
            if child.children:
                yield from self._matching(after, child, gain + change)

    def _is_lost(self, state: int) -> bool:
        return all(config.node == OTHER_WORD for config, _ in self._states[state].ways)

    # ------------------------------------------------------------ characters

    def _step(self, state: int, character: str) -> tuple[int, float]:
        known = self._states[state].steps.get(character)
        if known is None:
            following: dict[Config, float] = {}
            for config, score in self._states[state].ways:
                for after, more in self._follow(config, character):
                    if score + more > following.get(after, -np.inf):
                        following[after] = score + more
            known = self._states[state].steps[character] = self._intern(following)
        return known

    def _follow(self, config: Config, character: str) -> Iterator[tuple[Config, float]]:
        """Where a way leads; the score is that of whole phrases, partial bonuses apart."""
        loop = self.loops[config.loop]
        lexicon, node = loop.lexicon, config.node
        root = lexicon.root
        if node == OTHER_WORD:
            yield config._replace(node=root if character == BREAK else OTHER_WORD), 0.0
            return
        if character == BREAK:
            if lexicon.after_break(node):
                yield config, 0.0
                return
            for units, bonus in self._closings(config):
                yield Config(config.loop, units, root), bonus
        elif loop.joins_figures and character.isdecimal() and lexicon.is_figure(node):
            for units, bonus in self._closings(config):
                begun = lexicon.child(root, character)
                if begun is not None:
                    yield Config(config.loop, units, begun), bonus
        if loop.is_open and character != BREAK and node.depth == 0:
            yield config._replace(node=OTHER_WORD), 0.0
        child = lexicon.child(node, character)
        if child is not None:
            yield config._replace(node=child), 0.0

    def _closings(self, config: Config) -> Iterator[tuple[int, float]]:
        """(units, bonus) with which the text may be parted here."""
        loop, node = self.loops[config.loop], config.node
        if node == OTHER_WORD or node.depth == 0:
            yield config.units, 0.0
            return
        for count, bonus in loop.lexicon.ends(node):
            units = config.units + count
            if loop.most is None or units <= loop.most:
                yield (units if loop.most is not None else min(units, loop.least)), bonus

    def _intern(self, ways: dict[Config, float]) -> tuple[int, float]:
        """(state, the best way's bonus) of ways with scores."""
        if not ways:
            return self._number((), {}), FORBIDDEN
        shown = {config: score + self._partial(config) for config, score in ways.items()}
        best = max(shown.values())
        kept = sorted(shown, key=lambda config: (-shown[config], config))[:MAX_CONFIGS]
        scores = {config: ways[config] - best for config in kept}
        key = tuple(sorted((config, round(score * 256)) for config, score in scores.items()))
        return self._number(key, scores), best

    def _number(self, key: tuple[tuple[Config, int], ...], scores: dict[Config, float]) -> int:
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._states)
            self._states.append(_State(tuple(scores.items()), {}))
        return number

    def _partial(self, config: Config) -> float:
        if config.node == OTHER_WORD:
            return 0.0
        return self.loops[config.loop].lexicon.partial(config.node)
