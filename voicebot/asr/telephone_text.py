"""What a device said of a whole batch, in words and how sure they are: all utterances at once.

The same as `moonshine_device`, `confidence` and `hypotheses` make of greedy sentences one by one.
Thousands come back together, and the host's time for them is what binds then: what numpy can do
for all tokens together is done so, and a word's spelling is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voicebot.asr import confidence, confidence_features
from voicebot.asr.confidence import INVENTED, INVENTED_WORD
from voicebot.asr.confidence_features import EDGE
from voicebot.asr.decoder import LONGEST_LOOP, MAX_REPEATS, loop_start
from voicebot.asr.moonshine import END
from voicebot.asr.telephone_places import Heard
from voicebot.asr.vocabulary import SPACE, Vocabulary
from voicebot.events import Alternative, Hypothesis, Word

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Place = tuple[int, int]
_FARTHEST = -np.log(EDGE)
_KEPT_SPELLINGS = 1 << 17


@dataclass(frozen=True, slots=True)
class _Words:
    """Word w has `letters[w]` of them, is row `row[w]`'s, and its tokens are `sizes[w]` from
    `begins[w]` on among those that spell something: `speaks`, of all that are kept."""

    texts: list[str]
    letters: Ints
    row: Ints
    speaks: Ints
    begins: Ints
    sizes: Ints


class Speller:
    """Of one vocabulary. Call it from as many threads as there are."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        tokens = vocabulary.tokens
        self._opens = np.array([token.startswith(SPACE) for token in tokens])
        self._is_silent = np.array([vocabulary.is_silent(index) for index in range(len(tokens))])
        self._spellings: dict[tuple[int, ...], tuple[str, int]] = {}

    def hypotheses(self, heard: Heard, at: Sequence[Place] | None = None) -> list[Hypothesis]:
        """One for each row; empty where there was nothing to hear, or what is told is invented.
        `at`: where each begins and ends."""
        at = at or [(0, 0)] * len(heard.limits)
        found = [Hypothesis("", (), 0.0, (), *place) for place in at]
        (rows,) = heard.is_audible.nonzero()
        if not len(rows):
            return found
        tokens, log_probs = heard.tokens[rows], heard.log_probs[rows].astype(np.float64)
        counts, ends = _sentences(tokens, log_probs, heard.limits[rows])
        words = self._words(tokens, counts)
        if not words.texts:
            return found
        features = _Features(log_probs, counts, ends, words, heard.sound[rows])
        of_search = confidence.shipped()["greedy"]
        chances = of_search.word(features.words())
        wholes = of_search.utterance(features.utterances(chances))
        sure = np.add.reduceat(chances, features.begins) / features.counts
        is_said = (wholes >= INVENTED) | (sure >= INVENTED_WORD)
        told = [*map(Word, words.texts, chances.tolist())]
        bounds = [*features.begins.tolist(), len(told)]
        for index in np.flatnonzero(is_said).tolist():
            span = slice(bounds[index], bounds[index + 1])
            text, whole = " ".join(words.texts[span]), float(wholes[index])
            row = int(rows[features.rows[index]])
            best = (Alternative(text, whole),)
            found[row] = Hypothesis(text, tuple(told[span]), whole, best, *at[row])
        return found

    def _words(self, tokens: Ints, counts: Ints) -> _Words:
        """Of all rows; what nobody can read is left out."""
        kept = np.arange(tokens.shape[1]) < counts[:, None]
        row_of, flat = kept.nonzero()[0], tokens[kept]
        (speaks,) = (~self._is_silent[flat]).nonzero()
        row_of, flat = row_of[speaks], flat[speaks]
        is_first = np.ones(len(flat), bool)
        is_first[1:] = self._opens[flat[1:]] | (row_of[1:] != row_of[:-1])
        (begins,) = is_first.nonzero()
        ids, bounds = flat.tolist(), [*begins.tolist(), len(flat)]
        known, spelt = self._spellings, []
        for begin, end in pairwise(bounds):
            key = tuple(ids[begin:end])
            spelt.append(known.get(key) or self._spell(key))
        readable = np.array([bool(word) for word, _ in spelt], bool)
        return _Words(
            [word for word, _ in spelt if word],
            np.array([count for word, count in spelt if word], np.int64),
            row_of[begins][readable],
            speaks,
            begins[readable],
            np.diff(bounds)[readable],
        )

    def _spell(self, key: tuple[int, ...]) -> tuple[str, int]:
        """What the tokens of a word spell, and its letters."""
        word = self._vocabulary.text(key)
        spelt = word, len(confidence_features.plain(word))
        if len(self._spellings) >= _KEPT_SPELLINGS:
            self._spellings.clear()
        self._spellings[key] = spelt
        return spelt


class _Features:
    """See confidence_features.word_features and utterance_features: of sentences without rivals."""

    def __init__(
        self,
        log_probs: Floats,
        counts: Ints,
        ends: Floats,
        words: _Words,
        sound: NDArray[np.float32],
    ) -> None:
        """`rows`: those with words; others do not count from here on."""
        self.rows, self.begins, self.counts = np.unique(
            words.row, return_index=True, return_counts=True
        )
        kept = np.arange(log_probs.shape[1]) < counts[:, None]
        flat = log_probs[kept][words.speaks]
        begin, size = words.begins, words.sizes
        ranges = np.stack([begin, begin + size], axis=1).ravel()
        padded = np.append(flat, 0.0)  # an end may lie behind the last
        self._least = _logit(np.minimum.reduceat(padded, ranges)[::2])
        self._mean = _logit(np.add.reduceat(padded, ranges)[::2] / size)
        self._first = _logit(flat[begin])
        self._tokens, self._letters = size, words.letters
        mine = np.where(kept, log_probs, 0.0)[self.rows]
        self._sum, number = mine.sum(1), counts[self.rows]
        self._all = _logit(self._sum / number)
        self._all_least = _logit(mine.min(1))
        end = ends[self.rows]
        self._is_cut = np.isnan(end)
        self._end = np.where(self._is_cut, 0.0, _logit(np.nan_to_num(end)))
        self._seconds, self._level, self._snr = sound[self.rows].astype(np.float64).T

    def words(self) -> Floats:
        """float64[words, WORD_FEATURES]."""
        of_row = np.repeat(np.arange(len(self.rows)), self.counts)
        before, after = np.zeros_like(self._least), np.zeros_like(self._least)
        same = of_row[1:] == of_row[:-1]
        before[1:] = np.where(same, self._least[:-1], 0.0)
        after[:-1] = np.where(same, self._least[1:], 0.0)
        count = self.counts.astype(np.float64)
        own = [
            *(self._least, self._mean, self._first),
            np.full_like(self._least, _logit_of(np.ones(1))[0]),
            *(before, after),
        ]
        common = [self._all, self._end, np.full_like(count, _FARTHEST)]
        shared = [
            *((count == 1).astype(float), np.log(count)),
            np.log((count + 1) / (self._seconds + 0.3)),
            *(self._snr, self._level, self._is_cut.astype(float)),
            *(np.zeros_like(count), np.zeros_like(count), self._all_least, self._all),
        ]
        return np.stack(
            [
                *own,
                *(values[of_row] for values in common),
                np.log(1.0 + self._letters),
                self._tokens.astype(float),
                *(values[of_row] for values in shared),
            ],
            axis=1,
        )

    def utterances(self, chances: Floats) -> Floats:
        """float64[rows with words, UTTERANCE_FEATURES]; `chances`: of the words."""
        count = self.counts.astype(np.float64)
        all_words = np.add.reduceat(np.log(np.maximum(chances, EDGE)), self.begins)
        zero = np.zeros_like(count)
        return np.stack(
            [
                _logit_of(np.minimum.reduceat(chances, self.begins)),
                _logit(all_words),
                *(self._all_least, self._all, _logit(self._sum)),
                *(self._end, np.full_like(count, _FARTHEST), _logit_of(np.ones_like(count))),
                *(np.log(count), (count == 1).astype(float)),
                np.log(self._seconds + 0.3),
                np.log((count + 1) / (self._seconds + 0.3)),
                *(self._snr, self._level, self._is_cut.astype(float)),
                *(zero, zero, self._all_least, self._all),
            ],
            axis=1,
        )


def _sentences(tokens: Ints, log_probs: Floats, limits: Ints) -> tuple[Ints, Floats]:
    """How many tokens of each row are kept, up to its end, its limit, or where it begins to go
    round in circles; and the log-probability of its end, NaN where it has none."""
    rows, width = tokens.shape
    place = np.arange(width)
    is_end = tokens == END
    ends = np.where(is_end.any(1), is_end.argmax(1), width)
    counts = np.minimum(ends, limits)
    chances = log_probs[np.arange(rows), np.minimum(ends, width - 1)]
    sure = np.where(ends < np.minimum(limits, width), chances, np.nan)
    for row in np.flatnonzero(_may_loop(tokens, place < counts[:, None])).tolist():
        said = tokens[row, : counts[row]].tolist()
        for count in range(1, len(said) + 1):
            loop = loop_start(said[:count])
            if loop is not None:
                counts[row], sure[row] = loop, np.nan
                break
    return counts, sure


def _may_loop(tokens: Ints, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows in which enough tokens are the same as some before them."""
    found = np.zeros(len(tokens), bool)
    for period in range(1, min(LONGEST_LOOP, tokens.shape[1] - 1) + 1):
        same = (tokens[:, period:] == tokens[:, :-period]) & kept[:, period:]
        found |= same.sum(1) >= period * MAX_REPEATS
    return found


def _logit(log_probabilities: Floats) -> Floats:
    return _logit_of(np.exp(np.minimum(0.0, log_probabilities)))


def _logit_of(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, EDGE, 1 - EDGE)
    return np.asarray(np.log(inside / (1 - inside)))
