"""How the head does at its work: recordings streamed through it as the engine streams a call.

Each recording, set in its own background noise and coded as mu-law, goes through Silero window by
window; `HotWordWatch` says when the last WINDOW_SAMPLES are encoded and what counts as heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_float, to_int16
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning.hotword_corpus import Clip, Samples, background
from voicebot.turns.hotword_head import WINDOW_SAMPLES, HotWordWatch
from voicebot.turns.vad import WINDOW_SAMPLES as VAD_SAMPLES
from voicebot.turns.vad import SileroVad, SpeechDetector

AROUND = SAMPLE_RATE_HZ
"""Background before and after a recording."""
SLOTS = 64


@dataclass(frozen=True, slots=True)
class Spot:
    """A window that the engine would encode: the clip's number, and where it ends in the clip."""

    clip: int
    at: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a threshold gives: words missed of those said, false alarms and the hours they took.

    `hours` of recordings (the word's own included, its utterance too), `speech_hours` of what
    the voice activity detector took for speech.
    """

    words: int
    missed: int
    false_alarms: int
    hours: float
    delay_ms: float

    @property
    def miss_rate(self) -> float:
        """Share of the words that were said."""
        return self.missed / max(1, self.words)

    @property
    def false_alarms_per_hour(self) -> float:
        """Of recordings."""
        return self.false_alarms / self.hours if self.hours else 0.0

    def __str__(self) -> str:
        return (
            f"missed {self.missed} of {self.words} ({100 * self.miss_rate:.1f} %), "
            f"{self.false_alarms} false alarms in {self.hours:.2f} h "
            f"({self.false_alarms_per_hour:.2f} per hour), "
            f"heard {self.delay_ms:.0f} ms after the word's end (median)"
        )


def stream(clip: Clip) -> Samples:
    """The clip as a call brings it: AROUND of background on both sides, mu-law coded."""
    rng = np.random.default_rng(len(clip.samples))
    floor = background(clip.samples)
    before, after = rng.normal(0, floor, (2, AROUND)).astype(np.float32)
    joined = np.concatenate((before, clip.samples, after))
    return to_float(mulaw.decode(mulaw.encode(to_int16(joined))))


def window(samples: Samples, at: int) -> Samples:
    """The WINDOW_SAMPLES of a `stream` that end at clip sample `at`."""
    end = at + AROUND
    return np.pad(samples[max(0, end - WINDOW_SAMPLES) : end], (max(0, WINDOW_SAMPLES - end), 0))


def spots(clips: Sequence[Clip]) -> list[Spot]:
    """Every window that the engine would encode, by clip and time."""
    vad = SileroVad(SLOTS)
    order = sorted(range(len(clips)), key=lambda index: len(clips[index].samples))
    found: list[Spot] = []
    for at in range(0, len(order), SLOTS):
        found += _spots(vad, {index: stream(clips[index]) for index in order[at : at + SLOTS]})
    return sorted(found, key=lambda spot: (spot.clip, spot.at))


def _spots(vad: SileroVad, streams: Mapping[int, Samples]) -> Iterator[Spot]:
    for slot in range(len(streams)):
        vad.reset(slot)
    longest = max(len(samples) for samples in streams.values()) // VAD_SAMPLES * VAD_SAMPLES
    heard = np.zeros((len(streams), longest), np.float32)
    for row, samples in zip(heard, streams.values(), strict=True):
        row[: len(samples)] = samples[:longest]
    detectors = [(SpeechDetector(), HotWordWatch(1.0)) for _ in streams]
    for start in range(0, longest, VAD_SAMPLES):
        end = start + VAD_SAMPLES
        probabilities = vad.probabilities(np.arange(len(streams)), heard[:, start:end])
        for (detector, watch), probability, (clip, samples) in zip(
            detectors, probabilities, streams.items(), strict=True
        ):
            if end > len(samples):
                continue
            detector.feed(start, float(probability))
            if watch.due(end, detector.is_speaking):
                yield Spot(clip, end - AROUND)


def judge(
    clips: Sequence[Clip],
    places: Sequence[Spot],
    probabilities: NDArray[np.float32],
    threshold: float,
) -> Result:
    """What would have been heard, and whether it was said."""
    watches = {index: HotWordWatch(threshold) for index in range(len(clips))}
    heard: dict[int, int] = {}
    false_alarms = 0
    for spot, probability in zip(places, probabilities, strict=True):
        # From the stream's beginning: a watch begins with a call, at 0.
        if not watches[spot.clip].hear(spot.at + AROUND, float(probability)):
            continue
        words = clips[spot.clip].words
        if any(start < spot.at < end + WINDOW_SAMPLES for start, end in words):
            heard.setdefault(spot.clip, spot.at)
        else:
            false_alarms += 1
    said = [index for index, clip in enumerate(clips) if clip.words]
    delays = [heard[index] - clips[index].words[0][1] for index in said if index in heard]
    return Result(
        len(said),
        sum(index not in heard for index in said),
        false_alarms,
        sum(len(clip.samples) for clip in clips) / SAMPLE_RATE_HZ / 3600,
        float(np.median(delays)) * 1000 / SAMPLE_RATE_HZ if delays else 0.0,
    )


def label(clip: Clip, at: int) -> bool | None:
    """Whether the window that ends at `at` holds the word; None where it holds a part of it."""
    held = [(start, end) for start, end in clip.words if start < at and end > at - WINDOW_SAMPLES]
    if not held:
        return False
    is_whole = any(start >= at - WINDOW_SAMPLES and end <= at for start, end in held)
    return True if is_whole else None
