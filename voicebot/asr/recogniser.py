"""Audio of many callers in, hypotheses out: what the engine calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from voicebot.asr import checkpoint, confidence
from voicebot.asr.decoder import Decoded, greedy, token_limit
from voicebot.asr.moonshine import SAMPLE_RATE_HZ, Encoded
from voicebot.asr.vocabulary import Vocabulary
from voicebot.events import Alternative, Hypothesis, Word

Samples = NDArray[np.float32]
MIN_SAMPLES = SAMPLE_RATE_HZ // 10
SILENCE_RMS = 10 ** (-60 / 20)


class Recogniser:
    """Moonshine on one thread's behalf: call it from a single thread."""

    def __init__(self, cache_dir: Path | str, threads: int = 1) -> None:
        torch.set_num_threads(max(1, threads))
        weights = checkpoint.load_weights(cache_dir)
        self.model = checkpoint.build(weights)
        self.vocabulary = Vocabulary(weights.tokens)

    def warm_up(self) -> None:
        """Run once, so that the first caller does not wait for allocations."""
        noise = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE_HZ).astype(np.float32)
        self.transcribe([noise, noise[: SAMPLE_RATE_HZ // 2]])

    @torch.inference_mode()
    def transcribe(
        self,
        batch: Sequence[Samples],
        *,
        nbest: int = 1,
        max_tokens: int | None = None,
    ) -> list[Hypothesis]:
        """One hypothesis per array (float32 mono, 16 kHz); empty for silence."""
        cleaned = [_cleaned(samples) for samples in batch]
        audible = [index for index, samples in enumerate(cleaned) if samples is not None]
        found = [Hypothesis("")] * len(batch)
        if audible:
            decoded = self._decode([s for s in cleaned if s is not None], max_tokens)
            for index, best in zip(audible, decoded, strict=True):
                found[index] = self._hypothesis(best)
        return found

    def _decode(self, batch: list[Samples], max_tokens: int | None) -> list[Decoded]:
        limits = [token_limit(len(samples) / SAMPLE_RATE_HZ) for samples in batch]
        if max_tokens is not None:
            limits = [min(limit, max_tokens) for limit in limits]
        return greedy(self.model.decoder, self._encode(batch), limits)

    def _encode(self, batch: list[Samples]) -> Encoded:
        padded = torch.zeros(len(batch), max(map(len, batch)))
        for row, samples in zip(padded, batch, strict=True):
            row[: len(samples)] = torch.from_numpy(samples)
        encoded: Encoded = self.model.encoder(padded, [len(samples) for samples in batch])
        return encoded

    def _hypothesis(self, best: Decoded) -> Hypothesis:
        words = tuple(
            Word(text, confidence.word_confidence([best.log_probs[i] for i in indices]))
            for text, indices in self.vocabulary.words(best.tokens)
        )
        text = " ".join(word.text for word in words)
        score = confidence.utterance_confidence([*best.log_probs, best.end_log_prob])
        return Hypothesis(text, words, score, (Alternative(text, score),))


def _cleaned(samples: Samples) -> Samples | None:
    """The samples made finite, None when there is nothing to hear."""
    if len(samples) < MIN_SAMPLES:
        return None
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    if float(np.sqrt(np.mean(clean**2))) < SILENCE_RMS:
        return None
    return clean
