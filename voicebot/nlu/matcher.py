"""From heard sounds to candidates: phrases of the Expectation that were, nearly, said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voicebot.nlu.grammar import Node, Trie
from voicebot.nlu.phonetics import WEIGHT
from voicebot.nlu.similarity import STOP_WORDS, Heard, Hit, Lexicon
from voicebot.nlu.words import word_set

FILLERS = word_set("uh um er erm hmm hm oh well so like just please okay ok")
STOP_SHARE = 0.3
"""A stop word inside a phrase counts this share of its weight: carriers prove little."""
MISSING_STOP_WORD = 0.15
SKIPPED_STOP_WORD = 0.15
SKIPPED_SOUND = 0.5
"""Cost of an unheard stop word, of a heard one in the way, and per weight of other sounds."""
MAX_GAP = 1.6
"""Costliest interruption between two words of a phrase."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase stands for: a value of a slot, or an intent."""

    slot: str | None = None
    value: str = ""
    intent: str | None = None
    is_universal: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """A slot value heard at sounds start..end; `quality` 0..1."""

    slot: str
    value: str
    start: int
    end: int
    quality: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """Part of an utterance with a meaning.

    `weight` of what was expected there, `cost` of how it differed. `fills` may be several when
    an intent's pattern names slots.
    """

    start: int
    end: int
    weight: float
    cost: float
    fills: tuple[Fill, ...] = ()
    intent: str | None = None
    is_universal: bool = False
    is_denied: bool = False

    @property
    def quality(self) -> float:
        """1 for the very words, towards 0 as they differ."""
        return max(0.0, 1.0 - self.cost / self.weight) if self.weight > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Path:
    """A walk through the trie so far."""

    start: int
    end: int
    weight: float
    cost: float
    fills: tuple[Fill, ...] = ()


class PhraseMatcher:
    """Walks a trie of phrases along the words that were heard."""

    def __init__(self, trie: Trie[Meaning], lexicon: Lexicon) -> None:
        self.trie = trie
        self._weight = {
            word: weight * (STOP_SHARE if word in STOP_WORDS else 1.0)
            for word, weight in lexicon.weight.items()
        }

    def match(
        self,
        heard: Heard,
        hits: Mapping[str, list[Hit]],
        slots: Mapping[str, list[Candidate]] | None = None,
    ) -> list[Candidate]:
        """Candidates for every phrase; `slots` gives the candidates that "{name}" may take."""
        walk = _Walk(heard, hits, slots or {}, self._weight)
        walk.descend(self.trie.root, None)
        return list(walk.found.values())


class _Walk:
    def __init__(
        self,
        heard: Heard,
        hits: Mapping[str, list[Hit]],
        slots: Mapping[str, list[Candidate]],
        weights: Mapping[str, float],
    ) -> None:
        self.heard, self.hits, self.slots, self.weights = heard, hits, slots, weights
        self.found: dict[tuple[Meaning, int, int], Candidate] = {}
        self._gaps: dict[tuple[int, int], float] = {}

    def descend(self, node: Node[Meaning], path: _Path | None) -> None:
        """Extend `path` (None before the first word) by every child that was heard."""
        for word, child in node.children.items():
            if word[0] == "{":
                if path is not None and path.start < 0:
                    continue  # a slot after nothing but unheard carrier words proves no intent
                for filler in self.slots.get(word[1:-1], ()):
                    self._step(child, path, filler.start, filler.end, filler.weight, filler.cost,
                               filler.fills)  # fmt: skip
                continue
            weight = self.weights[word]
            for hit in self.hits.get(word, ()):
                self._step(child, path, hit.start, hit.end, weight, hit.cost, ())
            if word in STOP_WORDS and child.children:
                self._skip(child, path)

    def _skip(self, child: Node[Meaning], path: _Path | None) -> None:
        """Go on as if the stop word had been said; what was not heard explains nothing."""
        at = path or _Path(-1, -1, 0.0, 0.0)
        self.descend(
            child, _Path(at.start, at.end, at.weight, at.cost + MISSING_STOP_WORD, at.fills)
        )

    def _step(
        self,
        child: Node[Meaning],
        path: _Path | None,
        start: int,
        end: int,
        weight: float,
        cost: float,
        fills: tuple[Fill, ...],
    ) -> None:
        if path is None:
            path = _Path(start, end, weight, cost, fills)
        elif path.start < 0:
            path = _Path(start, end, path.weight + weight, path.cost + cost, fills)
        else:
            if start < path.end:
                return
            gap = self._gap(path.end, start)
            if gap > MAX_GAP:
                return
            path = _Path(path.start, end, path.weight + weight, path.cost + cost + gap,
                         path.fills + fills)  # fmt: skip
        for meaning in child.meanings:
            self._emit(meaning, path)
        if child.children:
            self.descend(child, path)

    def _emit(self, meaning: Meaning, path: _Path) -> None:
        key = (meaning, path.start, path.end)
        known = self.found.get(key)
        score = path.cost - 0.4 * path.weight
        if known is not None and known.cost - 0.4 * known.weight <= score:
            return
        candidate = Candidate(path.start, path.end, path.weight, path.cost, path.fills,
                              meaning.intent, meaning.is_universal)  # fmt: skip
        if meaning.slot is not None:
            fill = Fill(meaning.slot, meaning.value, path.start, path.end, candidate.quality)
            candidate = Candidate(path.start, path.end, path.weight, path.cost, (fill,))
        self.found[key] = candidate

    def _gap(self, start: int, end: int) -> float:
        if start == end:
            return 0.0
        key = (start, end)
        if key not in self._gaps:
            self._gaps[key] = gap_cost(self.heard, start, end)
        return self._gaps[key]


def gap_cost(heard: Heard, start: int, end: int) -> float:
    """Cost of what was heard between two words of a phrase."""
    cost, at = 0.0, start
    while at < end and cost <= MAX_GAP:
        index = heard.word_at[at]
        begin, stop = heard.starts[index], heard.starts[index + 1]
        word = heard.words[index]
        if at == begin and stop <= end and (word in STOP_WORDS or word in FILLERS):
            cost += SKIPPED_STOP_WORD
            at = stop
            continue
        cost += SKIPPED_SOUND * WEIGHT[heard.sounds[at]]
        at += 1
    return cost


def by_word(hits: Iterable[Hit]) -> dict[str, list[Hit]]:
    """Hits grouped by the word they are of."""
    grouped: dict[str, list[Hit]] = {}
    for hit in hits:
        grouped.setdefault(hit.word, []).append(hit)
    return grouped
