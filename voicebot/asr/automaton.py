"""What may be said as a weighted automaton over characters, laid over the vocabulary's tokens.

Several loops read the text at once: an open one, which takes any word and gives a bonus for its
phrases, and closed ones, which take nothing but theirs. Leaving the closed ones costs the open
one's entry `cost`. The score of a text is that of its best way through (max-plus), so a phrase
begun and not finished gives its bonus back by itself, as the failure arcs of an Aho-Corasick
context graph do (icefall's ContextGraph); deterministic states come into being as they are
visited (subset construction with residual weights, Mohri 1997).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.lexicon import AFRESH, Lexicon, Node, TokenNode, Tokens
from voicebot.asr.written import BREAK

MAX_STATES = 20_000
"""Beyond this the states found so far are forgotten: memory is bounded."""
MAX_CONFIGS = 24
"""Ways followed at once from one state, best first."""
MAX_GAINS = 1_000_000
"""Beyond so many tokens in rows and gains they are forgotten too: 12 bytes each."""
REACH = 8
"""No token closes phrases of more units: 4 and three figures."""
OTHER_WORD = Node(-1, -1, -1)
"""Inside a word that no phrase has; the open loop alone."""
FORBIDDEN = -30.0
"""What a text costs that no loop can read to its end."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Any number of the lexicon's phrases, of least to most units in all (see Entry.count).

    `cost`: of entering it, at the start. `is_open`: it takes other words too. `joins_figures`:
    numbers written in figures may follow each other without a break, as in a digit string.
    `beside`: how many phrases that count nothing it takes. `repeats`: units that may be said in a
    row as one phrase over and over, "0000"; `most` must be given with it.
    """

    lexicon: Lexicon
    cost: float = 0.0
    is_open: bool = False
    joins_figures: bool = False
    least: int = 0
    most: int | None = None
    beside: int | None = None
    repeats: int = 0


class Config(NamedTuple):
    """A place in a loop; `units` counts what has been said of it, `beside` the phrases without."""

    loop: int
    units: int
    node: Node
    beside: int = 0


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


Gains = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Tokens and what each gains."""


def _best(scores: Iterable[float]) -> float:
    return max(scores, default=FORBIDDEN)


class Automaton:
    """Loops, read together; states are numbers, 0 the start. For one thread at a time."""

    def __init__(self, loops: Sequence[Loop], tokens: Tokens) -> None:
        self.loops, self.tokens = loops, tokens
        self._clear()

    def _clear(self) -> None:
        self._states: list[_State] = []
        self._known: dict[tuple[tuple[Config, int], ...], int] = {}
        self._known_gains: dict[tuple[Config, bool], Gains] = {}
        self._size = 0
        start = {
            Config(index, 0, loop.lexicon.root): -loop.cost for index, loop in enumerate(self.loops)
        }
        self._intern(start)

    def trim(self) -> None:
        """Forget the states when there are too many; between searches only."""
        if len(self._states) > MAX_STATES:
            self._clear()
        elif self._size > MAX_GAINS:
            for state in self._states:
                state.row = None
            self._size = 0

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

    def answering(self, tokens: Sequence[int]) -> float | None:
        """Bonus of a sentence that a closed loop can read to its end; None: none can."""
        state, total = 0, 0.0
        for token in tokens:
            state, gain = self.advance(state, token)
            total += gain
        is_read = any(
            units >= self.loops[config.loop].least
            for config, _ in self._states[state].ways
            if not self.loops[config.loop].is_open
            for (units, _), _ in self._closings(config)
        )
        return total + self.ending(state) if is_read else None

    def may_repeat(self, tokens: Sequence[int], begin: int, times: int) -> bool:
        """Whether a closed loop can read the tokens, of which those from `begin` on are one phrase
        `times` times, as units that count each time, no more of them than it takes in a row."""
        state, before = 0, self._units(0)
        for place, token in enumerate(tokens):
            if place == begin:
                before = self._units(state)
            state, _ = self.advance(state, token)
        for index, units in self._units(state).items():
            grown = units - before.get(index, 0)
            # The last unit counts where its word ends, which is behind the last token.
            if times - 1 <= grown < self.loops[index].repeats:
                return True
        return False

    def _units(self, state: int) -> dict[int, int]:
        """Closed loops that can read what was said so far -> the most units it may be."""
        found: dict[int, int] = {}
        for config, _ in self._states[state].ways:
            if not self.loops[config.loop].is_open:
                found[config.loop] = max(config.units, found.get(config.loop, 0))
        return found

    def ending(self, state: int) -> float:
        """Change of bonus by ending here; nothing said is always allowed."""
        if state == 0:
            return 0.0
        ended = [
            score + bonus
            for config, score in self._states[state].ways
            for (units, _), bonus in self._closings(config)
            if units >= self.loops[config.loop].least
        ]
        return max(ended, default=FORBIDDEN)

    def row(self, state: int) -> Row:
        """The change of bonus by every token from there; found once per state."""
        known = self._states[state]
        if known.row is None:
            known.row = self._row(state)
            self._size += len(known.row.ids)
        return known.row

    # ------------------------------------------------------------ tokens

    def _row(self, state: int) -> Row:
        """The best over the ways: what each may gain is found once, wherever it occurs."""
        ways = self._states[state].ways
        starts = [
            (score, after, bonus) for config, score in ways for after, bonus in self._parted(config)
        ]
        inside = _best(score for config, score in ways if self._takes_others(config))
        parted = _best(score + bonus + self._partial(after) for score, after, bonus in starts)
        begins = _best(score + bonus for score, after, bonus in starts if self._takes_others(after))
        kinds = np.array([0.0, inside, parted, begins], np.float32)
        usual = kinds[self.tokens.kind]
        gains = usual.copy()
        found = [(score, self._gains(config, False)) for config, score in ways]
        found += [(score + bonus, self._gains(after, True)) for score, after, bonus in starts]
        for score, (ids, more) in found:
            gains[ids] = np.maximum(gains[ids], more + np.float32(score))
        gains[self.tokens.end] = self.ending(state)
        tokens = np.flatnonzero(gains != usual)
        return Row(kinds, tokens, gains[tokens] - usual[tokens])

    def _takes_others(self, config: Config) -> bool:
        """Whether the first letter of a word that is in no phrase may come."""
        is_free = config.node == OTHER_WORD or config.node.depth == 0
        return is_free and self.loops[config.loop].is_open

    def _parted(self, config: Config) -> list[tuple[Config, float]]:
        """What a way becomes by a break, and the bonus."""
        return list(self._follow(config, BREAK))

    def _gains(self, config: Config, has_parted: bool) -> Gains:
        """The tokens along which a phrase goes on from there, and the gains by them.

        `has_parted`: those that part words, behind the break. What counts units without coming
        near their most gains alike wherever it is: it is found once.
        """
        most, beside = self.loops[config.loop].most, self.loops[config.loop].beside
        units = 0 if most is None else max(config.units, most - REACH)
        others = 0 if beside is None else max(config.beside, beside - REACH)
        key = (config._replace(units=units, beside=others), has_parted)
        if key not in self._known_gains:
            start = self.tokens.root.children.get(BREAK) if has_parted else self.tokens.root
            ids: list[int] = []
            gains: list[float] = []
            if start is not None and config.node != OTHER_WORD:
                self._match({key[0]: 0.0}, start, ids, gains, is_first=True)
            self._known_gains[key] = np.array(ids, np.int64), np.array(gains, np.float32)
        return self._known_gains[key]

    def _match(
        self,
        ways: dict[Config, float],
        node: TokenNode,
        ids: list[int],
        gains: list[float],
        *,
        is_first: bool = False,
    ) -> None:
        """Tokens below a node along which some way goes on, into `ids` and `gains`."""
        for character, child in node.children.items():
            if is_first and character == BREAK:
                continue
            after: dict[Config, float] = {}
            for config, score in ways.items():
                for place, more in self._follow(config, character):
                    if place.node != OTHER_WORD and score + more > after.get(place, -np.inf):
                        after[place] = score + more
            if not after:
                continue
            if child.ids:
                gain = max(score + self._partial(place) for place, score in after.items())
                ids += child.ids
                gains += [gain] * len(child.ids)
            if child.children:
                self._match(after, child, ids, gains)

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
            for (units, beside), bonus in self._closings(config):
                yield Config(config.loop, units, root, beside), bonus
        elif loop.joins_figures and character.isdecimal() and lexicon.is_figure(node):
            for (units, beside), bonus in self._closings(config):
                begun = lexicon.child(root, character)
                if begun is not None:
                    yield Config(config.loop, units, begun, beside), bonus
        if loop.is_open and character != BREAK and node.depth == 0:
            yield config._replace(node=OTHER_WORD), 0.0
        child = lexicon.child(node, character)
        if child is not None:
            yield config._replace(node=child), 0.0

    def _closings(self, config: Config) -> Iterator[tuple[tuple[int, int], float]]:
        """((units, beside), bonus) with which the text may be parted here."""
        loop, node = self.loops[config.loop], config.node
        if node == OTHER_WORD or node.depth == 0:
            yield (config.units, config.beside), 0.0
            return
        for count, bonus in loop.lexicon.ends(node):
            units = 0 if count == AFRESH else config.units + count
            beside = config.beside + (count <= 0 and loop.beside is not None)
            if loop.most is not None and units > loop.most:
                continue
            if loop.beside is None or beside <= loop.beside:
                yield (units if loop.most is not None else min(units, loop.least), beside), bonus

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
