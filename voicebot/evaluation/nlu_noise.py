"""Recognition errors for text: what a telephone recogniser might have made of a sentence.

Three errors, in the proportions usual for conversational telephone speech (substitutions most,
then deletions, then insertions): a word becomes one that sounds like it, or breaks into two; a
word is lost, short unstressed ones first; a word that nobody said is heard. Substitutes come from
the words given, which is harder than a dictionary at large: wrong words are words of the matter.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from voicebot.nlu.phonetics import DELETION, INSERTION, SUBSTITUTION, sounds_of, weight_of
from voicebot.nlu.text import tokenize
from voicebot.nlu.words import word_list

SUBSTITUTED, DELETED = 0.65, 0.22
"""Shares of the errors; the rest are insertions."""
BROKEN = 0.08
"""Share of the substitutions that break a word into two."""
CANDIDATES = 8
"""Words that one word may be taken for."""
SHARPNESS = 6.0
"""How strongly closer sounds are preferred: weight exp(-SHARPNESS * cost per sound)."""
SHORT_WORD = 3.0
"""How much likelier a word of up to three letters is lost than a longer one."""
FILLERS = ("uh", "um", "the", "a", "and", "so", "to", "i", "it", "oh", "you", "that", "is", "in")
"""What is heard where nobody spoke."""
COMMON = word_list(
    "the of and to in a is that for it as was with be by on not he i this are or his from at "
    "which but have an had they you were their one all we can her has there been if more when "
    "will would who so no said what up its about into than them only other new some could "
    "time these two may then do first any my now such like our over man me even most made "
    "after also did many before must through back years where much your way well down should "
    "because each just those people mister how too little state good very make world still "
    "own see men work long get here between both life being under never day same another know "
    "while last might us great old year off come since against go came right used take three "
    "say she please thanks hello yes yeah okay call tell need want thing things really why"
)
"""Words that any recogniser knows well."""


class Corruptor:
    """Imposes recognition errors on sentences; the same seed gives the same errors."""

    def __init__(self, vocabulary: Iterable[str], *, seed: int = 0) -> None:
        """`vocabulary`: sentences or words whose words may be heard in place of others."""
        words = {word for text in vocabulary for word in spoken_words(text)}
        self._words = sorted(words | set(COMMON))
        self._sounds = {word: sounds_of(word) for word in self._words}
        self._pairs = {word: _pairs(sounds) for word, sounds in self._sounds.items()}
        self._random = random.Random(seed)
        self._kept: dict[str, tuple[list[str], list[float]]] = {}

    def corrupt(self, text: str, rate: float) -> str:
        """The sentence as heard at a word error rate of about `rate` (0..1) on average."""
        heard: list[str] = []
        words = spoken_words(text)
        weights = [SHORT_WORD if len(word) <= 3 else 1.0 for word in words]
        mean = sum(weights) / len(weights) if weights else 1.0
        for word, weight in zip(words, weights, strict=True):
            draw = self._random.random()
            lost = rate * DELETED * weight / mean
            if draw < lost:
                continue
            if draw < lost + rate * SUBSTITUTED:
                heard.extend(self._misheard(word))
            else:
                heard.append(word)
            if self._random.random() < rate * (1.0 - SUBSTITUTED - DELETED):
                heard.append(self._random.choice(FILLERS))
        return " ".join(heard)

    def _misheard(self, word: str) -> list[str]:
        if len(word) >= 6 and self._random.random() < BROKEN:
            cut = self._random.randint(2, len(word) - 2)
            return [self._like(word[:cut]), self._like(word[cut:])]
        return [self._like(word)]

    def _like(self, word: str) -> str:
        if word not in self._kept:
            self._kept[word] = self._candidates(word)
        words, weights = self._kept[word]
        return self._random.choices(words, weights)[0]

    def _candidates(self, word: str) -> tuple[list[str], list[float]]:
        sounds = sounds_of(word)
        pairs = _pairs(sounds)

        def overlap(other: str) -> float:
            theirs = self._pairs[other]
            return len(pairs & theirs) / (1 + len(pairs | theirs))

        others = (o for o in self._words if o != word)
        near = [o for o in others if abs(len(self._sounds[o]) - len(sounds)) <= 3]
        near = sorted(near, key=overlap, reverse=True)[: 10 * CANDIDATES]
        scale = max(1.0, weight_of(sounds))
        scored = sorted((_distance(sounds, self._sounds[o]) / scale, o) for o in near)
        best = scored[:CANDIDATES] or [(0.0, word)]
        nearest = best[0][0]
        return [o for _, o in best], [2.718 ** (-SHARPNESS * (cost - nearest)) for cost, _ in best]


def spoken_words(text: str) -> list[str]:
    """The words of a text as a caller would say them, numerals spelled out."""
    return [word for token in tokenize(text) for word in token.words]


def error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Word error rate of the sentences altogether."""
    errors = words = 0
    for one, other in zip(said, heard, strict=True):
        reference = spoken_words(one)
        errors += _edits(reference, other.split())
        words += len(reference)
    return errors / max(1, words)


def _edits(reference: Sequence[str], heard: Sequence[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            cost = min(diagonal + (expected != word), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], cost
    return row[-1]


def _pairs(sounds: str) -> frozenset[str]:
    marked = f"<{sounds}>"
    return frozenset((*(a + b for a, b in pairwise(marked)), *sounds))


@lru_cache(maxsize=65536)
def _distance(expected: str, other: str) -> float:
    """Weighted edit distance of two sound strings."""
    row = [0.0]
    for sound in other:
        row.append(row[-1] + INSERTION[sound])
    for sound in expected:
        diagonal, row[0] = row[0], row[0] + DELETION[sound]
        for j, heard in enumerate(other, 1):
            cost = min(
                diagonal + SUBSTITUTION[sound][heard],
                row[j] + DELETION[sound],
                row[j - 1] + INSERTION[heard],
            )
            diagonal, row[j] = row[j], cost
    return row[-1]
