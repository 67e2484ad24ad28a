"""What a confidence is made of: readings of a piece of audio, and their features.

What the search leaves behind anyway (log-probabilities of tokens and of the end, the other beams)
and what the audio shows (level, noise, pace).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.decoder import Decoded
from voicebot.asr.moonshine import SAMPLE_RATE_HZ
from voicebot.asr.utterance import Samples, frame_levels, spread
from voicebot.asr.vocabulary import Vocabulary

Vector = NDArray[np.float64]

WORD_FEATURES = (
    "least token", "mean token", "first token", "beams agree", "word before", "word after",
    "all tokens", "end", "lead", "letters", "tokens", "is alone", "words", "pace", "snr", "level",
    "is cut", "over free", "bias", "least free", "free tokens",
)  # fmt: skip
UTTERANCE_FEATURES = (
    "least word", "all words", "least token", "all tokens", "sum of tokens", "end", "lead",
    "beams agree", "words", "is alone", "seconds", "pace", "snr", "level", "is cut",
    "over free", "bias", "least free", "free tokens",
)  # fmt: skip
EDGE = 1e-4
"""Probabilities nearer to 0 or 1 count as this; logits stay within +-9.2."""
_FARTHEST = -math.log(EDGE)
SPEECH_DB = 20.0
"""Frames so far below the loudest count as speech, for the pace."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What the audio of a piece shows: seconds of speech, its level in dBFS, dB above its floor."""

    seconds: float
    level_db: float
    snr_db: float

    @classmethod
    def of(cls, samples: Samples) -> Sound:
        """Of a piece as the network gets it."""
        levels = 20 * np.log10(np.maximum(frame_levels(samples), 1e-4))
        if not len(levels):
            return cls(0.0, -80.0, 0.0)
        low, high = spread(levels)
        frames = int(np.count_nonzero(levels > high - SPEECH_DB))
        return cls(frames * len(samples) / len(levels) / SAMPLE_RATE_HZ, high, high - low)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One reading of a piece: its words, the tokens' indices of each, what the search says."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, ...], ...]
    decoded: Decoded

    @property
    def plain(self) -> tuple[str, ...]:
        """Words without case and punctuation, in which readings may not merely differ."""
        return tuple(plain(word) for word in self.words)

    @classmethod
    def of(cls, decoded: Decoded, vocabulary: Vocabulary) -> Sentence:
        """What the search found, in words."""
        found = vocabulary.words(decoded.tokens)
        return cls(
            tuple(word for word, _ in found), tuple(tuple(span) for _, span in found), decoded
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """What was made of one piece of audio: sentences, the chosen one first."""

    sentences: Sequence[Sentence]
    sound: Sound


def plain(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(character for character in text.casefold() if character.isalnum())


def word_features(piece: Piece) -> Vector:
    """float64[words, WORD_FEATURES] of the chosen sentence, which has words."""
    best, sound = piece.sentences[0], piece.sound
    log_probs = best.decoded.log_probs
    per_word = [[log_probs[index] for index in span] for span in best.spans]
    least = [_logit(min(of_one)) for of_one in per_word]
    agree = [_logit_of(share) for share in word_shares(piece.sentences)]
    lead = _lead(piece.sentences)
    common = _common(piece)
    count = len(best.words)
    rows = []
    for place, of_one in enumerate(per_word):
        rows.append(
            (
                least[place],
                _logit(sum(of_one) / len(of_one)),
                _logit(of_one[0]),
                agree[place],
                least[place - 1] if place else 0.0,
                least[place + 1] if place + 1 < count else 0.0,
                common["all tokens"],
                common["end"],
                lead,
                math.log(1 + len(plain(best.words[place]))),
                len(of_one),
                float(count == 1),
                math.log(count),
                math.log((count + 1) / (sound.seconds + 0.3)),
                sound.snr_db,
                sound.level_db,
                common["is cut"],
                common["over free"],
                common["bias"],
                common["least free"],
                common["free tokens"],
            )
        )
    return np.array(rows, np.float64)


def utterance_features(pieces: Sequence[Piece], words: Sequence[float]) -> Vector:
    """float64[UTTERANCE_FEATURES]; `words`: the chances of its words."""
    ends = [_common(piece) for piece in pieces]
    log_probs = [x for piece in pieces for x in piece.sentences[0].decoded.log_probs]
    seconds = sum(piece.sound.seconds for piece in pieces)
    count = len(words)
    shares = [texts_share(piece.sentences) for piece in pieces]
    return np.array(
        [
            _logit_of(min(words)),
            _logit(sum(math.log(max(word, EDGE)) for word in words)),
            _logit(min(log_probs)),
            _logit(sum(log_probs) / len(log_probs)),
            _logit(sum(log_probs)),
            min(end["end"] for end in ends),
            min(_lead(piece.sentences) for piece in pieces),
            _logit_of(math.prod(shares)),
            math.log(count),
            float(count == 1),
            math.log(seconds + 0.3),
            math.log((count + 1) / (seconds + 0.3)),
            min(piece.sound.snr_db for piece in pieces),
            min(piece.sound.level_db for piece in pieces),
            max(end["is cut"] for end in ends),
            min(end["over free"] for end in ends),
            max(end["bias"] for end in ends),
            min(end["least free"] for end in ends),
            min(end["free tokens"] for end in ends),
        ]
    )


def _common(piece: Piece) -> Mapping[str, float]:
    decoded = piece.sentences[0].decoded
    free = free_of(piece).decoded.log_probs or (0.0,)
    end = decoded.end_log_prob
    return {
        "all tokens": _logit(sum(decoded.log_probs) / len(decoded.log_probs)),
        "end": _logit(end) if end is not None else 0.0,
        "is cut": float(end is None),
        "over free": min(0.0, max(-_FARTHEST, decoded.free_margin or 0.0)),
        "bias": min(_FARTHEST, decoded.bias),
        "least free": _logit(min(free)),
        "free tokens": _logit(sum(free) / len(free)),
    }


def free_of(piece: Piece) -> Sentence:
    """What would be heard if nothing were expected."""
    of_free = (one for one in piece.sentences if one.decoded.free_margin == 0.0)
    return next(of_free, piece.sentences[0])


def word_shares(sentences: Sequence[Sentence]) -> list[float]:
    """Of each word of the first sentence, the probability of the sentences that have it there."""
    if len(sentences) == 1:
        return [1.0] * len(sentences[0].words)
    best = sentences[0].plain
    weights = _weights(sentences)
    shares = [weights[0]] * len(best)
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(best)
    for weight, other in zip(weights[1:], sentences[1:], strict=True):
        matcher.set_seq1(other.plain)
        for block in matcher.get_matching_blocks():
            for place in range(block.b, block.b + block.size):
                shares[place] += weight
    return [min(1.0, share) for share in shares]


def texts_share(sentences: Sequence[Sentence]) -> float:
    """The probability of the sentences that say the same as the first."""
    if len(sentences) == 1:
        return 1.0
    best = sentences[0].plain
    pairs = zip(_weights(sentences), sentences, strict=True)
    return min(1.0, sum(weight for weight, other in pairs if other.plain == best))


def _lead(sentences: Sequence[Sentence]) -> float:
    """By how much the first is more probable than the next that says something else, in nats."""
    if len(sentences) == 1:
        return _FARTHEST
    best = sentences[0].plain
    others = [other.decoded.total for other in sentences[1:] if other.plain != best]
    if not others:
        return _FARTHEST
    same = [one.decoded.total for one in sentences if one.plain == best]
    return min(_FARTHEST, max(-_FARTHEST, max(same) - max(others)))


def _weights(sentences: Sequence[Sentence]) -> list[float]:
    """Probabilities of the sentences among each other."""
    totals = np.array([sentence.decoded.total for sentence in sentences])
    weights = np.exp(totals - totals.max())
    return [float(weight) for weight in weights / weights.sum()]


def _logit(log_probability: float) -> float:
    return _logit_of(math.exp(min(0.0, log_probability)))


def _logit_of(probability: float) -> float:
    inside = min(1 - EDGE, max(EDGE, probability))
    return math.log(inside / (1 - inside))
