"""Examples out of recordings and synthetic speech: what the student hears, what the teacher
hears, what is said; batched by length.

Every example depends on the seed, its pool and its place in it alone, so that a run resumed at any
step goes on with the examples it would have had (synthetic speech but for espeak's flutter).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.utterance import WINDOW_SAMPLES, set_in_quiet
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning import asr_speech
from voicebot.learning.asr_channel import Telephone, masked
from voicebot.learning.asr_config import JOINED_DIGITS, JOINED_SENTENCES, RECORDED, Data
from voicebot.learning.asr_corpora import RATE_HZ, Item, read
from voicebot.learning.asr_phrases import Texts
from voicebot.learning.asr_tokens import Encoder

Signal = NDArray[np.float32]
Rng = np.random.Generator

LONGEST = 18 * RATE_HZ
"""Longer recordings are left out: what they say exceeds one window of the network with padding."""
_SYNTHETIC = "synthetic "


@dataclass(frozen=True, slots=True)
class Example:
    """`heard` and `clean` are equally long, 16 kHz; `tokens` without begin and end.

    `teaches`: the untouched model is to be followed on it (nobody speaks: it is not).
    """

    heard: Signal
    clean: Signal
    tokens: tuple[int, ...]
    teaches: bool


class Library:
    """Recordings with their targets, read once and kept as int16."""

    def __init__(self, items: Sequence[tuple[Item, str]]) -> None:
        self._sets: dict[str, list[tuple[Item, str]]] = {}
        for item, text in items:
            self._sets.setdefault(item.kind, []).append((item, text))
        self._speakers = {
            JOINED_DIGITS: _by_speaker(self._sets.get("digits", [])),
            JOINED_SENTENCES: _by_speaker(
                [*self._sets.get("learners", []), *self._sets.get("phone sentences", [])]
            ),
        }
        self._kept: dict[str, NDArray[np.int16]] = {}

    def has(self, kind: str) -> bool:
        """Whether there is anything of that set."""
        return bool(self._speakers.get(kind) or self._sets.get(kind))

    def counts(self) -> dict[str, int]:
        """Recordings by set."""
        return {kind: len(items) for kind, items in self._sets.items()}

    def draw(self, kind: str, rng: Rng) -> tuple[Signal, str, bool]:
        """(samples at 16 kHz, target, whether a telephone carried it already)."""
        items = self._sets[kind]
        item, text = items[int(rng.integers(len(items)))]
        return self._read(item), text, item.corpus == "phone_calls"

    def draw_digits(self, rng: Rng) -> list[tuple[Signal, str]]:
        """Two to ten single digits of one speaker."""
        items = self._of_one(JOINED_DIGITS, rng)
        chosen = rng.integers(0, len(items), int(rng.integers(2, 11)))
        return [(self._read(items[i][0]), items[i][1]) for i in chosen]

    def draw_sentences(self, rng: Rng) -> tuple[Signal, str, bool]:
        """Sentences of one speaker until the next would be too long, as `draw` gives one."""
        items = self._of_one(JOINED_SENTENCES, rng)
        wanted = rng.uniform(0.4, 1.0) * LONGEST
        samples, texts = np.zeros(0, np.float32), list[str]()
        for i in rng.permutation(len(items)):
            more = self._read(items[i][0])
            if len(samples) + len(more) < wanted or not texts:
                samples = np.concatenate([samples, more])
                texts.append(items[i][1])
        return samples, " ".join(texts), items[0][0].corpus == "phone_calls"

    def _of_one(self, kind: str, rng: Rng) -> list[tuple[Item, str]]:
        speakers = sorted(self._speakers[kind])
        return self._speakers[kind][speakers[int(rng.integers(len(speakers)))]]

    def _read(self, item: Item) -> Signal:
        kept = self._kept.get(item.key)
        if kept is None:
            kept = np.asarray(np.clip(read(item) * 32767, -32768, 32767), np.int16)
            self._kept[item.key] = kept
        return kept.astype(np.float32) / np.float32(32767)


class Source:
    """Batches without end, by number of pool and batch."""

    def __init__(
        self,
        data: Data,
        library: Library,
        texts: Texts,
        voices: Sequence[str],
        telephone: Telephone,
        encoder: Encoder,
        seed: int,
    ) -> None:
        """UserMistake when a set of the mixture has no recordings."""
        self._data, self._library, self._texts, self._voices = data, library, texts, voices
        self._telephone, self._encoder, self._seed = telephone, encoder, seed
        weights = {name: weight for name, weight in data.mixture.items() if weight > 0}
        for name in weights:
            if name in {*RECORDED, JOINED_DIGITS, JOINED_SENTENCES} and not library.has(name):
                raise UserMistake(
                    f"data.mixture: no recordings for {name!r}; set it to 0 or check "
                    "data.recordings"
                )
        self._names = list(weights)
        self._chances = np.array(list(weights.values())) / sum(weights.values())

    def batches(self, pool: int) -> list[list[Example]]:
        """The batches of a pool: items of similar length together, in random order."""
        examples = self._examples(pool)
        examples.sort(key=lambda example: len(example.heard))
        cuts = _cuts([len(e.heard) for e in examples], int(self._data.batch_seconds * RATE_HZ))
        batches = [examples[a:b] for a, b in pairwise(cuts)]
        order = np.random.default_rng((self._seed, pool)).permutation(len(batches))
        return [batches[i] for i in order]

    def stream(
        self, pool: int, batch: int
    ) -> Generator[tuple[int, int, list[Example]], None, None]:
        """(pool, batch, examples) from there on; the next pool is prepared meanwhile if there
        are workers."""
        executor = ThreadPoolExecutor(1) if self._data.workers else None
        try:
            coming = executor.submit(self.batches, pool) if executor else None
            while True:
                batches = coming.result() if coming else self.batches(pool)
                coming = executor.submit(self.batches, pool + 1) if executor else None
                for number in range(batch, len(batches)):
                    yield pool, number, batches[number]
                pool, batch = pool + 1, 0
        finally:
            if executor:
                executor.shutdown(wait=False, cancel_futures=True)

    def _examples(self, pool: int) -> list[Example]:
        numbers = range(self._data.pool)
        if self._data.workers > 1:
            with ThreadPoolExecutor(self._data.workers) as executor:
                return list(executor.map(lambda number: self.example(pool, number), numbers))
        return [self.example(pool, number) for number in numbers]

    def example(self, pool: int, number: int) -> Example:
        """That example."""
        rng = np.random.default_rng((self._seed, pool, number))
        if rng.random() < self._data.empty:
            samples = int(rng.uniform(0.6, 5) * SAMPLE_RATE_HZ)
            heard = _wide(self._telephone.nothing(samples, rng))
            return Example(set_in_quiet(heard), set_in_quiet(heard), (), False)
        clean, text, was_telephone = self._drawn(rng)
        while len(clean) > LONGEST:
            clean, text, was_telephone = self._drawn(rng)
        clean = _with_margins(clean, rng)
        narrow = resample(clean, RATE_HZ, SAMPLE_RATE_HZ)
        carried = self._telephone.carry(narrow, rng, was_telephone=was_telephone)
        if rng.random() < self._data.masks:
            carried = masked(carried, rng)
        heard = _wide(carried)
        heard = np.pad(heard, (0, max(0, len(clean) - len(heard))))[: len(clean)]
        tokens = tuple(self._encoder.encode(text))
        return Example(set_in_quiet(heard), set_in_quiet(clean), tokens, True)

    def _drawn(self, rng: Rng) -> tuple[Signal, str, bool]:
        name = self._names[int(rng.choice(len(self._names), p=self._chances))]
        if name.startswith(_SYNTHETIC):
            phrase = asr_speech.phrase(name.removeprefix(_SYNTHETIC), rng, self._texts)
            voice = self._voices[int(rng.integers(len(self._voices)))]
            return asr_speech.speak(phrase.spoken, voice, rng), phrase.written, False
        was_telephone = False
        if name == JOINED_DIGITS:
            samples, text = asr_speech.joined_digits(self._library.draw_digits(rng), rng)
        elif name == JOINED_SENTENCES:
            samples, text, was_telephone = self._library.draw_sentences(rng)
        else:
            samples, text, was_telephone = self._library.draw(name, rng)
        if rng.random() < self._data.speed:
            change = rng.uniform(1 - self._data.speed_range, 1 + self._data.speed_range)
            samples = resample(samples, round(RATE_HZ * change), RATE_HZ)
        return samples, text, was_telephone


def usable(items: Sequence[Item], texts: Mapping[str, str]) -> list[tuple[Item, str]]:
    """Items that may be trained on, with their targets by key; unclear ones may not."""
    return [(item, texts[item.key]) for item in items if item.is_clear and item.key in texts]


def _by_speaker(items: Sequence[tuple[Item, str]]) -> dict[str, list[tuple[Item, str]]]:
    found: dict[str, list[tuple[Item, str]]] = {}
    for item, text in items:
        found.setdefault(f"{item.corpus} {item.group}", []).append((item, text))
    return found


def _cuts(lengths: Sequence[int], budget: int) -> list[int]:
    """Where to cut ascending `lengths` into the fewest batches of at most `budget` (padded), none
    much smaller than the others."""
    fewest = len(_greedy_cuts(lengths, budget))
    low, high = 0, budget
    while high - low > RATE_HZ:
        middle = (low + high) // 2
        low, high = (middle, high) if len(_greedy_cuts(lengths, middle)) > fewest else (low, middle)
    return _greedy_cuts(lengths, high)


def _greedy_cuts(lengths: Sequence[int], budget: int) -> list[int]:
    cuts = [0]
    for place, length in enumerate(lengths):
        if place > cuts[-1] and length * (place + 1 - cuts[-1]) > budget:
            cuts.append(place)
    return [*cuts, len(lengths)]


def _wide(narrow: Signal) -> Signal:
    return resample(narrow, SAMPLE_RATE_HZ, RATE_HZ)


def _with_margins(samples: Signal, rng: Rng) -> Signal:
    """Silence before and after, as the end of a turn is found late and its start early."""
    before, after = (int(rng.uniform(0, 0.4) * RATE_HZ) for _ in range(2))
    return np.pad(samples, (before, after))[:WINDOW_SAMPLES]
