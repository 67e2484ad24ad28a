"""Which words of a sentence fill which slot, learned from marked examples.

For open slots whose values no grammar can list (names, "me, my wife and two kids"); values that a
grammar knows are read by nlu.entities. A conditional random field marks the first and the further
words of each value; the slots that the dialogue asks for (the Expectation's focus) are features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from voicebot.errors import UserMistake
from voicebot.nlu.spans_crf import Chain, train
from voicebot.nlu.spans_features import Piece, features_of, pieces_of

RARE = 1
"""Features seen no more often than that are dropped: they say nothing of other sentences."""
LOWERED = 0.3
"""Share of the sentences that is learned from in small letters, as a recogniser may write them."""
SEED = 8


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters start..end of a text fill `slot`."""

    start: int
    end: int
    slot: str


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A training example; `asked` are the slots that the question before it was about."""

    text: str
    spans: tuple[Span, ...] = ()
    asked: tuple[str, ...] = ()


class SpanTagger:
    """Trained by `fit_spans`; `tag` takes about a millisecond."""

    def __init__(
        self, labels: Sequence[str], index: dict[str, int], familiar: dict[str, int], chain: Chain
    ) -> None:
        self._labels, self._index, self._familiar, self._chain = labels, index, familiar, chain

    def tag(self, text: str, asked: Sequence[str] = ()) -> tuple[Span, ...]:
        """The values in a text, from left to right. Never raises."""
        pieces = pieces_of(text)
        named = features_of(text, pieces, asked, self._familiar, 0)
        numbered = [[self._index[f] for f in names if f in self._index] for names in named]
        labels = [self._labels[i] for i in self._chain.best(numbered)]
        return tuple(_spans(pieces, labels))


def fit_spans(
    examples: Sequence[MarkedSentence], *, tell: Callable[[int], None] = lambda _: None
) -> SpanTagger:
    """A tagger from marked sentences; UserMistake when none of them marks anything.

    `tell` is given the number of passes over the data done.
    """
    slots = sorted({span.slot for example in examples for span in example.spans})
    if not slots:
        raise UserMistake("slots: no example marks a slot; there is nothing to learn")
    draw = Random(SEED)
    examples = [_lowered(one) if draw.random() < LOWERED else one for one in examples]
    labels = ["O", *(f"{part}-{slot}" for slot in slots for part in "BI")]
    number_of = {label: i for i, label in enumerate(labels)}
    sentences = [pieces_of(example.text) for example in examples]
    familiar = Counter(word for pieces in sentences for word in {p.text.lower() for p in pieces})
    named = [
        list(features_of(example.text, pieces, example.asked, familiar, 1))
        for example, pieces in zip(examples, sentences, strict=True)
    ]
    counts = Counter(feature for sentence in named for token in sentence for feature in token)
    index = {name: i for i, name in enumerate(n for n, c in counts.items() if c > RARE)}
    numbered = [[[index[f] for f in token if f in index] for token in s] for s in named]
    truth = [
        [number_of[label] for label in _labels(pieces, example.spans)]
        for example, pieces in zip(examples, sentences, strict=True)
    ]
    chain = train(numbered, truth, len(index), len(labels), tell=tell)
    used = np.flatnonzero(np.abs(chain.emission).max(axis=1) > 1e-3)
    names = list(index)
    kept = Chain(chain.emission[used], chain.transition, chain.start)
    return SpanTagger(labels, {names[i]: n for n, i in enumerate(used)}, dict(familiar), kept)


def _lowered(example: MarkedSentence) -> MarkedSentence:
    text = example.text.lower()
    # A few letters become two in lower case; the marks would no longer fit.
    return replace(example, text=text) if len(text) == len(example.text) else example


def _labels(pieces: Sequence[Piece], spans: Sequence[Span]) -> list[str]:
    labels = ["O"] * len(pieces)
    for span in spans:
        inside = [i for i, p in enumerate(pieces) if p.start < span.end and p.end > span.start]
        for n, i in enumerate(inside):
            labels[i] = f"{'I' if n else 'B'}-{span.slot}"
    return labels


def _spans(pieces: Sequence[Piece], labels: Sequence[str]) -> list[Span]:
    spans: list[Span] = []
    current = ""  # the slot of the token before
    for piece, label in zip(pieces, labels, strict=True):
        part, _, slot = label.partition("-")
        if part == "I" and slot == current:
            spans[-1] = Span(spans[-1].start, piece.end, slot)
        elif slot:
            spans.append(Span(piece.start, piece.end, slot))
        current = slot
    return spans
