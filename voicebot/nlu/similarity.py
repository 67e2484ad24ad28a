"""Where the words that the dialogue expects sound in what was heard.

Two steps. A bit-parallel approximate search (Wu and Manber, "Fast text searching allowing
errors", 1992) over all expected words at once, on coarse sound classes, finds where a word
may end. A weighted edit distance on the sounds then says how well it fits. Words may begin or
end inside a heard word, at a cost: recognisers move word boundaries ("troubleshot").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from voicebot.nlu.phonetics import (
    CLASS_OF,
    DELETION,
    INSERTION,
    SUBSTITUTION,
    WEIGHT,
    sounds_of,
    weight_of,
)
from voicebot.nlu.words import word_set

INSIDE_WORD = 0.45
"""Cost of beginning or ending inside a heard word."""
HOMOPHONE = 0.03
"""Cost, per unit of weight, of the same sounds spelled differently."""
WORST = 0.42
"""A word that costs more than this share of its weight was not heard."""
STOP_WORDS = word_set(
    "a an the i i'd i'm i'll it it's is to of for with and or my me you your he she we they "
    "do did can could would will like want need have has get got give make may please "
    "in on at that this be was are am so if what when how just "
    "el la los las un una de del y que en por para con mi su es al lo le se favor quiero quisiera"
)
"""Words that a recogniser rarely gets wrong and that carry no value by themselves."""
WEAK = "R"
"""The sound that the fast search passes over."""
STOLEN_STOP_WORD = 0.35
"""Cost of hearing an expected word in a stop word that was recognised as such."""


class Heard:
    """The sounds of an utterance with its word boundaries.

    `words[i]` covers sounds `starts[i]` to `starts[i + 1]`; `token_of[i]` is the token that
    word came from.
    """

    def __init__(self, words: Sequence[str], token_of: Sequence[int]) -> None:
        self.words, self.token_of = tuple(words), tuple(token_of)
        spelled = [sounds_of(word) for word in self.words]
        self.sounds = "".join(spelled)
        self.starts = [0]
        for part in spelled:
            self.starts.append(self.starts[-1] + len(part))
        self.weight_until = [0.0]
        for sound in self.sounds:
            self.weight_until.append(self.weight_until[-1] + WEIGHT[sound])

    @cached_property
    def boundaries(self) -> frozenset[int]:
        """Sound positions where a word begins or ends."""
        return frozenset(self.starts)

    @cached_property
    def word_at(self) -> list[int]:
        """Word index of each sound."""
        return [
            i for i in range(len(self.words)) for _ in range(self.starts[i + 1] - self.starts[i])
        ]

    @cached_property
    def stolen_until(self) -> list[float]:
        """Cumulated cost of stop words that end at or before each sound position."""
        cost = [0.0] * (len(self.sounds) + 1)
        for i, word in enumerate(self.words):
            if word in STOP_WORDS and self.starts[i] < self.starts[i + 1]:
                cost[self.starts[i + 1]] += STOLEN_STOP_WORD
        for position in range(1, len(cost)):
            cost[position] += cost[position - 1]
        return cost

    def stolen(self, start: int, end: int) -> float:
        """Cost of the stop words that lie wholly inside a span."""
        if start not in self.boundaries:
            start = self.starts[self.word_at[start] + 1]
        return self.stolen_until[end] - self.stolen_until[start] if end > start else 0.0

    def weight(self, start: int, end: int) -> float:
        """Weight of the sounds of a span."""
        return self.weight_until[end] - self.weight_until[start]


@dataclass(frozen=True, slots=True)
class Hit:
    """An expected word heard at sounds start..end; `cost` 0 when spelled the same."""

    word: str
    start: int
    end: int
    cost: float


class Lexicon:
    """The distinct words that an Expectation's phrases use, ready to be searched for."""

    def __init__(self, words: Iterable[str]) -> None:
        self.sounds = {word: sounds_of(word) for word in words}
        self.weight = {word: weight_of(sounds) for word, sounds in self.sounds.items()}
        # Words that sound alike are searched for once.
        spellings: dict[str, list[str]] = {}
        for word, sounds in self.sounds.items():
            spellings.setdefault(sounds, []).append(word)
        self._patterns = [
            (s, tuple(w)) for s, w in spellings.items() if len(s.replace(WEAK, "")) > 1
        ]
        self._compile()

    def _compile(self) -> None:
        """Bit i of each mask is sound i of all patterns written one after the other."""
        self._masks: dict[str, int] = {}
        self._first = 0
        ends: list[tuple[int, int, int]] = []
        bit = 0
        for index, (sounds, _) in enumerate(self._patterns):
            self._first |= 1 << bit
            for sound in sounds.replace(WEAK, ""):
                group = CLASS_OF[sound]
                self._masks[group] = self._masks.get(group, 0) | 1 << bit
                bit += 1
            ends.append((1 << (bit - 1), index, errors_allowed(sounds.replace(WEAK, ""))))
        self._all = (1 << bit) - 1
        self._end_of = {mask: index for mask, index, _ in ends}
        levels = range(1 + max((k for *_, k in ends), default=0))
        self._ends = [sum(mask for mask, _, k in ends if k >= level) for level in levels]

    def hits(self, heard: Heard) -> list[Hit]:
        """Every place where an expected word was heard, exactly or nearly."""
        found: dict[tuple[str, int], Hit] = {}
        for i, word in enumerate(heard.words):
            if word in self.sounds:
                start = heard.starts[i]
                found[word, start] = Hit(word, start, heard.starts[i + 1], 0.0)
        exact = {(hit.word, hit.end) for hit in found.values()}
        exact |= {(word, end + shift) for word, end in exact for shift in (-1, 1)}
        closed = self._closed(heard)
        for end, index in self._ends_heard(heard):
            if end in closed:
                continue
            sounds, spellings = self._patterns[index]
            if all((word, end) in exact for word in spellings):
                continue
            fit = _fit(sounds, heard, end)
            if fit is None:
                continue
            start, cost = fit
            weight = self.weight[spellings[0]]
            cost = max(cost + heard.stolen(start, end), HOMOPHONE * weight)
            if cost > WORST * weight:
                continue
            for word in spellings:
                best = found.get((word, start))
                if best is None or cost < best.cost:
                    found[word, start] = Hit(word, start, end, cost)
        return list(found.values())

    def _closed(self, heard: Heard) -> set[int]:
        """Positions inside words that were recognised as expected or everyday ones: nothing ends
        there."""
        return {
            position
            for i, word in enumerate(heard.words)
            if word in self.sounds or word in STOP_WORDS
            for position in range(heard.starts[i] + 1, heard.starts[i + 1])
        }

    def _ends_heard(self, heard: Heard) -> Iterable[tuple[int, int]]:
        """(end, pattern index) wherever a pattern ends within its allowed errors."""
        levels = len(self._ends)
        first, full = self._first, self._all
        # Row k: bit i is set when pattern sounds up to i match with at most k errors.
        rows = [0] * levels
        for k in range(1, levels):
            rows[k] = (rows[k - 1] << 1 | first) & full
        ended = 0
        for position, sound in enumerate(heard.sounds, start=1):
            if sound == WEAK:  # coming and going freely, it ends what ended before it
                yield from self._at(position, ended)
                continue
            mask = self._masks.get(CLASS_OF[sound], 0)
            before_above, above = 0, 0
            ended = 0
            for k in range(levels):
                before = rows[k]
                row = (before << 1 | first) & mask
                if k:
                    # inserted | substituted | deleted sound
                    row |= before_above | (before_above << 1) | (above << 1) | first
                row &= full
                rows[k] = row
                before_above, above = before, row
                ended |= row & self._ends[k]
            yield from self._at(position, ended)

    def _at(self, position: int, ended: int) -> Iterable[tuple[int, int]]:
        while ended:
            lowest = ended & -ended
            ended ^= lowest
            yield position, self._end_of[lowest]


def errors_allowed(sounds: str) -> int:
    """Coarse errors within which the fast search looks for a word."""
    length = len(sounds)
    return 0 if length <= 2 else 1 if length <= 4 else 2 if length <= 7 else 3


def _fit(sounds: str, heard: Heard, end: int) -> tuple[int, float] | None:
    """(start, cost) of the best span that ends at `end`; None when hopeless."""
    costs = _alignment(sounds, heard.sounds[max(0, end - len(sounds) - 2) : end])
    if costs is None:
        return None
    boundaries = heard.boundaries
    tail = 0.0 if end in boundaries else INSIDE_WORD
    best: tuple[int, float] | None = None
    for j, aligned in enumerate(costs, start=1):
        cost = aligned + tail + (0.0 if end - j in boundaries else INSIDE_WORD)
        if best is None or cost < best[1]:
            best = (end - j, cost)
    return best


@lru_cache(maxsize=32768)
def _alignment(expected: str, window: str) -> tuple[float, ...] | None:
    """Edit cost of `expected` against the last 1, 2, ... sounds of `window`.

    Runs backwards, a row per expected sound; None as soon as all are worse than WORST. Kept,
    since the words of a dialogue come again and again.
    """
    backwards = window[::-1]
    insertions = [INSERTION[sound] for sound in backwards]
    row = [0.0, *accumulate(insertions)]
    limit = WORST * weight_of(expected)
    for sound in reversed(expected):
        substitution, deletion = SUBSTITUTION[sound], DELETION[sound]
        diagonal = row[0]
        left = lowest = row[0] = diagonal + deletion
        for j, (heard_sound, insertion) in enumerate(zip(backwards, insertions, strict=True), 1):
            above = row[j]
            cost = diagonal + substitution[heard_sound]
            if above + deletion < cost:
                cost = above + deletion
            if left + insertion < cost:
                cost = left + insertion
            diagonal = above
            row[j] = left = cost
            if cost < lowest:
                lowest = cost
        if lowest > limit:
            return None
    return tuple(row[1:])
