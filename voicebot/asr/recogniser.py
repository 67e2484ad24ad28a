"""Audio of many callers in, hypotheses out: what the engine calls."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voicebot.asr import checkpoint, language, quantise
from voicebot.asr.alignment import Said, timed
from voicebot.asr.automaton import Automaton
from voicebot.asr.batches import (
    NO_FRAMES,
    Frames,
    frames_of,
    frames_of_last,
    padded_frames,
    similar,
)
from voicebot.asr.biasing import Biasing
from voicebot.asr.confidence_features import Piece, Sentence, Sound
from voicebot.asr.decoder import Decoded, search, token_limit
from voicebot.asr.greedy import LIKELY, SURE, greedy, is_sure
from voicebot.asr.hypotheses import hypothesis_of, readings
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, Encoded, Moonshine
from voicebot.asr.stream import Draft
from voicebot.asr.utterance import Samples, prepare
from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import GOES_ON, Expectation, Hypothesis

JudgeEnd = Callable[[Sequence[Frames], Sequence[int]], Sequence[float | None]]
"""The room turns' judgement of whether callers have finished, from the encoder's frames
float32[T, dim] of each and the length of its audio in samples."""
Precision = Literal["auto", "float32", "int8"]
WARM_UP_SHAPES = ((20, 1), (12, 2), (6, 4), (3, 8))
"""Seconds and utterances of the largest batches: 24 s of audio, as the engine forms them."""
BEAMS = 8
"""Beams behind an n-best list: a little better than four for a little more time (LOG.md)."""


class Recogniser:
    """Moonshine for many callers. Call it from one thread at a time.

    `threads`: CPU threads; 0 takes all cores but one. `precision`: "auto" computes in int8
    where the CPU has instructions for it, else in float32. `model`: a checkpoint in place of the
    shipped one. `cache_problem` says in one line why converted weights could not be kept in
    `cache_dir`, if so. `checksum`: that of the checkpoint, empty for what is none.
    """

    def __init__(
        self,
        cache_dir: Path | str,
        threads: int = 0,
        *,
        precision: Precision = "auto",
        model: Path | None = None,
    ) -> None:
        torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
        stored, self.cache_problem = checkpoint.load(cache_dir, model)
        is_int8 = precision == "int8" or (precision == "auto" and quantise.is_worthwhile())
        network = checkpoint.build_int8(stored) if is_int8 else checkpoint.build(stored.weights())
        self._setup(network, Vocabulary(stored.tokens))
        self.checksum = stored.checksum
        self._language = language.fitted_to(stored.checksum)

    @classmethod
    def of(cls, model: Moonshine, vocabulary: Vocabulary) -> Recogniser:
        """A recogniser on a network in memory, as it is."""
        recogniser = cls.__new__(cls)
        recogniser._setup(model, vocabulary)
        recogniser.cache_problem = None
        return recogniser

    def _setup(self, model: Moonshine, vocabulary: Vocabulary) -> None:
        self.model, self.vocabulary = model, vocabulary
        self._biasing = Biasing(vocabulary.tokens)
        self.checksum = ""
        self._language = None  # it is for the weights of one checkpoint

    def warm_up(self) -> None:
        """Run at every size that calls will bring, so that no caller waits for memory or kernels.

        What torch takes from the system here it keeps: memory hardly grows with calls after it.
        """
        self._biasing.warm_up()
        noise = np.random.default_rng(0).normal(0, 0.05, 20 * SAMPLE_RATE_HZ).astype(np.float32)
        for seconds, size in WARM_UP_SHAPES:
            self._decode([noise[: seconds * SAMPLE_RATE_HZ]] * size, nbest=2, max_tokens=None)
        self._decode([noise[:SAMPLE_RATE_HZ]], nbest=1, max_tokens=4)

    @torch.inference_mode()
    def transcribe(
        self,
        batch: Sequence[Samples],
        *,
        nbest: int = 1,
        max_tokens: int | None = None,
        judge: JudgeEnd | None = None,
        expectations: Sequence[Expectation | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[Hypothesis]:
        """One hypothesis per array (float32 mono, 16 kHz), `at` fields 0.

        Words carry times, in samples at 8 kHz from the array's first, where nbest > 1 (and a
        draft does not say that nobody wants them).

        `nbest=1` decodes greedily, the cheap way for partials. More searches with a beam where the
        greedy sentence is not sure, and fills `Hypothesis.nbest`. Empty, silent or too short audio
        gives an empty text; longer than 20 s is cut at a quiet point and joined again. Samples
        that are not finite count as zero. `judge` fills `Hypothesis.end_probability` from what was
        encoded anyway; who goes on by it, of whom nothing is expected, is heard greedily.
        `expectations`: what the dialogue waits for, one per array; the search with
        a beam prefers it, and what would be heard without it is among the alternatives. `drafts`:
        what was read before, one per array; they are renewed.
        """
        pieces = [prepare(samples) for samples in batch]
        flat = [piece for of_one in pieces for piece in of_one]
        if not flat:
            return [Hypothesis("") for _ in batch]
        automata = self._automata(pieces, expectations) if nbest > 1 else None
        begun = _of_pieces(drafts, pieces)
        lengths = [len(of) for of, of_one in zip(batch, pieces, strict=True) for _ in of_one]
        encoded = self._encode_new(flat, lengths, begun)
        ended = _ended(judge, encoded, pieces, batch)
        beams = [
            1 if chance is not None and chance < GOES_ON else nbest
            for chance, of_one in zip(ended, pieces, strict=True)
            for _ in of_one
        ]
        searched = self._found(encoded, flat, beams, max_tokens, automata, begun)
        for draft, [best, *_] in zip(begun, searched, strict=True):
            if draft is not None:
                draft.tokens = best.tokens
        decoded = iter(searched)
        found = [[next(decoded) for _ in of_one] for of_one in pieces]
        read = [
            readings([self._piece(*one) for one in zip(*of_one, strict=True)])
            for of_one in zip(found, pieces, strict=True)
        ]
        heard = [hypothesis_of(of_one, nbest) for of_one in read]
        if nbest > 1:
            heard = self._english(
                heard, encoded, pieces, ended, expectations or [None] * len(heard)
            )
        if nbest > 1 and any(draft is None or draft.is_timed for draft in drafts or [None]):
            said = [
                [
                    self._said(one.sentences[0].decoded, samples)
                    for one, samples in zip(*of_one, strict=True)
                ]
                for of_one in zip(read, pieces, strict=True)
            ]
            heard = timed(self.model.decoder, encoded, heard, batch, said)
        if judge is None:
            return heard
        return [
            replace(hypothesis, end_probability=probability)
            for hypothesis, probability in zip(heard, ended, strict=True)
        ]

    @torch.inference_mode()
    def evidence(
        self,
        batch: Sequence[Samples],
        *,
        nbest: int = 1,
        expectations: Sequence[Expectation | None] | None = None,
    ) -> list[list[Piece]]:
        """What `transcribe` makes hypotheses of and judges its confidence by, piece by piece;
        where `nbest` > 1 searched with beams, however sure."""
        pieces = [prepare(samples) for samples in batch]
        flat = [piece for of_one in pieces for piece in of_one]
        if not flat:
            return [[] for _ in batch]
        automata = self._automata(pieces, expectations) if nbest > 1 else None
        find = self._search if nbest > 1 else self._find
        decoded = iter(find(self._encode(flat), flat, nbest, None, automata))
        return [[self._piece(next(decoded), samples) for samples in of_one] for of_one in pieces]

    def _english(
        self,
        heard: list[Hypothesis],
        encoded: Encoded,
        pieces: Sequence[Sequence[Samples]],
        ended: Sequence[float | None],
        expected: Sequence[Expectation | None],
    ) -> list[Hypothesis]:
        """What is doubtful and sounds like another language is nothing; but who goes on, and was
        heard greedily for it, is asked for again."""
        if self._language is None:
            return heard
        found, row = [], 0
        for hypothesis, of_one, chance, asked in zip(heard, pieces, ended, expected, strict=True):
            rows, row = range(row, row + len(of_one)), row + len(of_one)
            is_cheap = len(hypothesis.nbest) <= 1 and chance is not None and chance < GOES_ON
            if language.is_doubtful(hypothesis, asked is not None) and not is_cheap:
                frames = np.concatenate([frames_of(encoded, one) for one in rows])
                if language.is_foreign(frames, self._language):
                    hypothesis = Hypothesis("")
            found.append(hypothesis)
        return found

    def _said(self, decoded: Decoded, samples: Samples) -> Said:
        words = [indices for _, indices in self.vocabulary.words(decoded.tokens)]
        return Said(decoded.tokens, words, samples)

    def _piece(self, decoded: Sequence[Decoded], samples: Samples) -> Piece:
        sentences = [Sentence.of(one, self.vocabulary) for one in decoded]
        return Piece(sentences, Sound.of(samples))

    @torch.inference_mode()
    def encode(self, batch: Sequence[Samples]) -> list[Frames]:
        """The encoder's features of each array (float32 mono, 16 kHz): float32[frames, dim].

        About 41.7 frames a second. Audio beyond 20 s is not looked at; empty audio has none.
        """
        pieces = [prepare(samples) for samples in batch]
        last = [of_one[-1:] for of_one in pieces]
        flat = [piece for of_one in last for piece in of_one]
        return frames_of_last(self._encode(flat), last) if flat else [NO_FRAMES for _ in batch]

    @torch.inference_mode()
    def _decode(
        self, pieces: list[Samples], nbest: int, max_tokens: int | None
    ) -> list[list[Decoded]]:
        return self._search(self._encode(pieces), pieces, nbest, max_tokens)

    def _automata(
        self,
        pieces: Sequence[Sequence[Samples]],
        expectations: Sequence[Expectation | None] | None,
    ) -> list[Automaton | None] | None:
        """One for each piece; what is too long for one piece is no answer, and heard freely."""
        if expectations is None:
            return None
        return [
            self._biasing.automaton(expectation) if len(of_one) == 1 else None
            for of_one, expectation in zip(pieces, expectations, strict=True)
            for _ in of_one
        ]

    def _found(
        self,
        encoded: Encoded,
        pieces: list[Samples],
        nbest: Sequence[int],
        max_tokens: int | None,
        automata: Sequence[Automaton | None] | None,
        drafts: Sequence[Draft | None],
    ) -> list[list[Decoded]]:
        """As `_find`, with so many for each piece; where something is expected, the most."""
        most = max(nbest)
        wanted = [
            count if automata is None or automata[row] is None else most
            for row, count in enumerate(nbest)
        ]
        found: list[list[Decoded]] = [[]] * len(pieces)
        for count in set(wanted):
            rows = [row for row, of_one in enumerate(wanted) if of_one == count]
            sentences = self._find(
                encoded if len(rows) == len(pieces) else encoded.of(rows),
                [pieces[row] for row in rows],
                count,
                max_tokens,
                [automata[row] for row in rows] if automata else None,
                [drafts[row] for row in rows],
            )
            for row, of_one in zip(rows, sentences, strict=True):
                found[row] = of_one
        return found

    def _find(
        self,
        encoded: Encoded,
        pieces: list[Samples],
        nbest: int,
        max_tokens: int | None,
        automata: Sequence[Automaton | None] | None = None,
        drafts: Sequence[Draft | None] | None = None,
    ) -> list[list[Decoded]]:
        """The best sentences of each piece: the greedy one alone where that is enough."""
        limits = token_limits(pieces, max_tokens)
        least = -math.inf if nbest <= 1 else LIKELY
        drafts = drafts or [None] * len(limits)
        found = [[one] for one in self._greedy(encoded, limits, drafts, least)]
        if nbest <= 1:
            return found
        found = [
            _if_sure(one, automaton)
            for [one], automaton in zip(found, automata or [None] * len(found), strict=True)
        ]
        doubtful = [index for index, of_one in enumerate(found) if not of_one]
        if doubtful:
            searched = self._search(
                encoded.of(doubtful),
                [pieces[index] for index in doubtful],
                nbest,
                max_tokens,
                [automata[index] for index in doubtful] if automata else None,
            )
            for index, sentences in zip(doubtful, searched, strict=True):
                found[index] = sentences
        return found

    def _greedy(
        self,
        encoded: Encoded,
        limits: Sequence[int],
        drafts: Sequence[Draft | None],
        least: float,
    ) -> list[Decoded]:
        """Greedy sentences; what drafts have is not decoded again. `least`: see `greedy`."""
        new = [row for row, draft in enumerate(drafts) if draft is None or draft.sentence is None]
        decoded: list[Decoded] = []
        if new:
            some = encoded if len(new) == len(limits) else encoded.of(new)
            begun = [draft.tokens if (draft := drafts[row]) else () for row in new]
            asked = [limits[row] for row in new]
            decoded = greedy(self.model.decoder, some, asked, begun, least=least)
        found = dict(zip(new, decoded, strict=True))
        for row, draft in enumerate(drafts):
            if draft is None:
                continue
            if draft.sentence is not None:
                found[row] = draft.sentence
            elif least == -math.inf or found[row].end_log_prob is not None:
                draft.sentence = found[row]
        return [found[row] for row in range(len(limits))]

    def _search(
        self,
        encoded: Encoded,
        pieces: list[Samples],
        nbest: int,
        max_tokens: int | None,
        automata: Sequence[Automaton | None] | None = None,
    ) -> list[list[Decoded]]:
        """With beams."""
        limits = token_limits(pieces, max_tokens)
        return search(self.model.decoder, encoded, limits, max(nbest, BEAMS), automata)

    def _encode_new(
        self, pieces: list[Samples], lengths: Sequence[int], drafts: Sequence[Draft | None]
    ) -> Encoded:
        """All pieces; what drafts have read is not encoded again. `lengths`: of the audio."""
        known = [
            draft.frames_of(length) if draft else None
            for draft, length in zip(drafts, lengths, strict=True)
        ]
        new = [row for row, frames in enumerate(known) if frames is None]
        fresh = self._encode([pieces[row] for row in new]) if new else None
        for at, row in enumerate(new):
            assert fresh is not None
            frames = fresh.frames[at, : fresh.lengths[at]]
            known[row] = frames
            if (draft := drafts[row]) is not None:
                draft.samples, draft.frames, draft.sentence = lengths[row], frames.clone(), None
        if fresh is not None and len(new) == len(pieces):
            return fresh
        return padded_frames([frames for frames in known if frames is not None])

    def _encode(self, pieces: list[Samples]) -> Encoded:
        """All pieces, those of similar length together, as one padded whole."""
        frames: list[Tensor] = [torch.empty(0)] * len(pieces)
        for group in similar([len(piece) for piece in pieces]):
            padded = torch.zeros(len(group), max(len(pieces[index]) for index in group))
            for row, index in zip(padded, group, strict=True):
                row[: len(pieces[index])] = torch.from_numpy(pieces[index])
            encoded = self.model.encoder(padded, [len(pieces[index]) for index in group])
            for row, index in enumerate(group):
                frames[index] = encoded.frames[row, : encoded.lengths[row]]
        return padded_frames(frames)


def token_limits(pieces: Sequence[Samples], max_tokens: int | None) -> list[int]:
    """The most tokens that each piece may take."""
    limits = [token_limit(len(piece) / SAMPLE_RATE_HZ) for piece in pieces]
    return limits if max_tokens is None else [min(limit, max_tokens) for limit in limits]


def _ended(
    judge: JudgeEnd | None,
    encoded: Encoded,
    pieces: Sequence[Sequence[Samples]],
    batch: Sequence[Samples],
) -> Sequence[float | None]:
    """That each caller has finished; None where nobody judges it."""
    if judge is None:
        return [None] * len(batch)
    lengths = [
        len(of_one[-1]) if len(of_one) > 1 else len(samples)
        for of_one, samples in zip(pieces, batch, strict=True)
    ]
    return judge(frames_of_last(encoded, pieces), lengths)


def _if_sure(decoded: Decoded, automaton: Automaton | None) -> list[Decoded]:
    """The greedy sentence, if no search would find a better one; else nothing.

    Where something is expected it must be just that: a phrase may pay for a less probable text.
    """
    if not is_sure(decoded, LIKELY if automaton is None else SURE):
        return []
    if automaton is None or not decoded.tokens:
        return [decoded if automaton is None else replace(decoded, free_margin=0.0)]
    bias = automaton.answering(decoded.tokens)
    return [] if bias is None else [replace(decoded, bias=bias, free_margin=0.0)]


def _of_pieces(
    drafts: Sequence[Draft | None] | None, pieces: Sequence[Sequence[Samples]]
) -> list[Draft | None]:
    """One for each piece; where it was cut may have moved in what is longer than one."""
    if drafts is None:
        return [None for of_one in pieces for _ in of_one]
    return [
        draft if len(of_one) == 1 else None
        for of_one, draft in zip(pieces, drafts, strict=True)
        for _ in of_one
    ]
