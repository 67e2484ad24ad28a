"""From the sentences that the search found to what was said, with confidence and alternatives."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.asr.confidence import (
    Judgement,
    is_foreign,
    is_invented,
    judge,
    mean_probability,
    searched,
    unexpected,
)
from voicebot.asr.confidence_features import Piece, Sentence
from voicebot.events import Alternative, Hypothesis, Word


def readings(pieces: list[Piece]) -> list[Piece]:
    """As they are, or what nobody expected in front."""
    return unexpected(pieces) or pieces


def hypothesis_of(pieces: list[Piece], nbest: int) -> Hypothesis:
    """Of an utterance, from the sentences of its pieces; empty where they are invented."""
    chosen = [piece.sentences[0] for piece in pieces]
    said = _said(chosen)
    judged = judge(pieces)
    if not said or _is_nothing(pieces, judged):
        return Hypothesis("")
    words = tuple(Word(*word) for word in zip(said, judged.words, strict=True))
    text = " ".join(said)
    probability = mean_probability([sentence.decoded for sentence in chosen])
    alternatives = {_plain(text): Alternative(text, judged.utterance)}
    for rank in range(1, max((len(piece.sentences) for piece in pieces), default=0)):
        chosen = [piece.sentences[min(rank, len(piece.sentences) - 1)] for piece in pieces]
        other = " ".join(_said(chosen))
        if _plain(other):
            likeness = mean_probability([sentence.decoded for sentence in chosen])
            confidence = judged.utterance * min(1.0, likeness / probability)
            alternatives.setdefault(_plain(other), Alternative(other, confidence))
    best, *others = tuple(alternatives.values())[:nbest]
    others.sort(key=lambda other: other.confidence, reverse=True)
    return Hypothesis(text, words, judged.utterance, (best, *others))


def _is_nothing(pieces: Sequence[Piece], judged: Judgement) -> bool:
    spoken = [piece for piece in pieces if piece.sentences[0].words]
    if is_foreign(judged, searched(spoken)):
        return True
    return is_invented(judged) and unexpected(pieces) is None


def _said(sentences: Sequence[Sentence]) -> list[str]:
    return [word for sentence in sentences for word in sentence.words]


def _plain(text: str) -> str:
    """Without case and punctuation, in which alternatives may not merely differ."""
    return " ".join("".join(c for c in word if c.isalnum()) for word in text.casefold().split())
