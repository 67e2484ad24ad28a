"""How soon it is known that a caller begins to speak, the bot being silent.

Keywords and the beginnings of sentences, on a quiet line, as recorded and again at -46 dBFS.
A caller's onset is that of echo_corpus.speech_onset; from it to `SpeechStarted` becoming known.
One that does not become known within a second is a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voicebot.evaluation.turns_corpus import Clip, Corpus, levelled
from voicebot.evaluation.turns_trace import TracedCall, TracedTelephone
from voicebot.evaluation.turns_track import line_noise, say, seconds, whole_chunks
from voicebot.evaluation.virtual_call import VirtualCalls
from voicebot.events import SAMPLE_RATE_HZ, SpeechEnded, SpeechStarted

if TYPE_CHECKING:
    from voicebot.engine.runner import Runner

SOFT_DBFS = -46.0
KEPT_S, GAP_S = 1.0, (1.2, 2.0)
"""Heard of each recording from its onset on, and the silence after it."""
EARLY_S, MISS_S = 0.2, 1.0


@dataclass(frozen=True, slots=True)
class Onset:
    """`latency_ms` None: missed."""

    clip: Clip
    is_soft: bool
    latency_ms: float | None


def measure(
    runner: Runner,
    slots: int,
    corpus: Corpus,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Onset]:
    """All keywords and sentences at both levels; `quick`: a quarter of them."""
    rng = np.random.default_rng(seed)
    tell("onsets")
    every = [*corpus.keywords, *corpus.sentences]
    every = [every[int(i)] for i in rng.permutation(len(every))]
    chosen = [_beginning(clip) for clip in every[: len(every) // 4 if quick else None]]
    said = [(clip, soft) for clip in chosen for soft in (False, True)]
    shares = [said[slot::slots] for slot in range(min(slots, len(said)))]
    plans = [_plan([clip for clip, _ in share], rng) for share in shares]
    samples = whole_chunks(max(plan[-1] for plan in plans) + seconds(KEPT_S + MISS_S))
    calls: list[TracedCall] = []
    for share, plan in zip(shares, plans, strict=True):
        track = line_noise(samples, None, rng)
        for (clip, soft), at in zip(share, plan, strict=True):
            say(track, at, _soft(clip) if soft else clip)
        calls.append(TracedCall(TracedTelephone(track)))
    VirtualCalls(runner, calls).run(samples)
    return [
        Onset(clip, soft, _latency(call, at))
        for call, share, plan in zip(calls, shares, plans, strict=True)
        for (clip, soft), at in zip(share, plan, strict=True)
    ]


def _beginning(clip: Clip) -> Clip:
    end = min(clip.end, clip.onset + seconds(KEPT_S))
    return replace(clip, samples=clip.samples[: end + seconds(0.1)], end=end)


def _soft(clip: Clip) -> Clip:
    return replace(clip, samples=levelled(clip.samples, SOFT_DBFS))


def _plan(clips: Sequence[Clip], rng: np.random.Generator) -> list[int]:
    at, onsets = seconds(1.0), []
    for clip in clips:
        onsets.append(at + clip.onset)
        at += len(clip.samples) + seconds(rng.uniform(*GAP_S))
    return onsets


def _latency(call: TracedCall, onset: int) -> float | None:
    """0 where it was noticed a little before; what began earlier still is another's speech."""
    is_speaking = False
    for note in call.notes:
        if note.now < onset - seconds(EARLY_S):
            if isinstance(note.event, SpeechStarted | SpeechEnded):
                is_speaking = isinstance(note.event, SpeechStarted)
        elif note.now > onset + seconds(MISS_S) or is_speaking:
            break
        elif isinstance(note.event, SpeechStarted):
            return max(0.0, (note.now - onset) * 1000 / SAMPLE_RATE_HZ)
    return None
