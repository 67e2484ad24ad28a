"""What the product's ears make of simulated calls, window by window, and what they should.

The calls run through engine.hearing with the real canceller and Silero, in chunks of 20 ms, so a
net is trained on what it will be shown: only windows in which an echo is possible, with
the lock state of the moment. The truth is what Silero says of the caller's voice alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voicebot.audio import mulaw
from voicebot.audio.echo_path import active_rms
from voicebot.audio.pcm import to_float, to_int16
from voicebot.engine.hearing import Chunk, Hearing, VadResult
from voicebot.engine.hearing_rooms import Canceller
from voicebot.events import CHUNK_SAMPLES, SpeechEnded, SpeechStarted
from voicebot.learning.near_end_calls import Call
from voicebot.turns.near_end_features import (
    FEATURES,
    WINDOW_SAMPLES,
    NearEndFeatures,
    Windows,
)
from voicebot.turns.vad import SileroVad, SpeechDetector

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_RISE_WINDOWS = 1  # the truth begins so much before Silero does where the voice is there already
_VOICE_DB = 24.0  # below its active level a caller's recording holds breath and background


@dataclass(frozen=True, slots=True)
class Heard:
    """One call as heard; arrays of W windows, those of `features` of the K shown to the net.

    `shown`: intp[K], which windows. `speech`: Silero on the cleaned signal. `caller`: Silero on
    the caller alone. `truth`: 1 where the caller speaks. `bot`: the bot is being sent.
    """

    call: Call
    features: Floats
    shown: NDArray[np.intp]
    speech: Floats
    caller: Floats
    truth: Floats
    bot: Flags

    @property
    def windows(self) -> int:
        """W."""
        return len(self.speech)

    def without_sound(self) -> Heard:
        """The same without its audio, which is large and not needed for training."""
        none = np.zeros(0, np.float32)
        return replace(self, call=replace(self.call, near=none, far=none, caller=none))

    def gated(self, probability: Floats) -> Floats:
        """What the rest of the product gets: `probability` [K] where shown, else Silero's."""
        merged = self.speech.copy()
        merged[self.shown] = probability
        return merged


class _Recorder:
    """Stands in the detector's place, keeps what it is shown and lets Silero's answer pass."""

    def __init__(self, slots: int) -> None:
        self._features = NearEndFeatures(slots)
        self.kept: list[list[Floats]] = [[] for _ in range(slots)]
        self.shown: list[list[int]] = [[] for _ in range(slots)]

    def probabilities(self, slots: NDArray[np.intp], windows: Windows) -> Floats:
        computed = self._features.compute(slots, windows)
        for slot, row in zip(slots.tolist(), computed, strict=True):
            self.kept[slot].append(row)
        return windows.speech

    def place(self, slot: int, window: int) -> None:
        """`window` of the call was advanced: it is the one shown last, if any was shown now."""
        if len(self.kept[slot]) > len(self.shown[slot]):
            self.shown[slot].append(window)

    def reset(self, slot: int) -> None:
        self._features.reset(slot)
        self.kept[slot], self.shown[slot] = [], []


class Ears:
    """The product's front end for up to `slots` simulated calls at once."""

    def __init__(self, slots: int, canceller: Canceller) -> None:
        self.slots = slots
        self._vad, self._truth_vad = SileroVad(slots), SileroVad(slots)
        self._recorder = _Recorder(slots)
        self._hearing = Hearing(slots, self._vad, canceller=canceller, near_end=self._recorder)

    def hear(self, calls: Sequence[Call]) -> list[Heard]:
        """All calls from their beginning to their end; at most `slots`, of the same length."""
        for slot in range(len(calls)):
            self._hearing.reset(slot)
            self._truth_vad.reset(slot)
        results = self._run(calls)
        alone = np.stack([to_float(mulaw.decode(_coded(call.caller))) for call in calls])
        windows = alone.shape[1] // WINDOW_SAMPLES
        cut = alone[:, : windows * WINDOW_SAMPLES].reshape(len(calls), windows, WINDOW_SAMPLES)
        rows = np.arange(len(calls))
        caller = np.stack(
            [self._truth_vad.probabilities(rows, cut[:, at]) for at in range(windows)], axis=1
        )
        return [
            self._gather(call, results[slot], caller[slot], cut[slot])
            for slot, call in enumerate(calls)
        ]

    def _run(self, calls: Sequence[Call]) -> list[list[VadResult]]:
        near = [_coded(call.near) for call in calls]
        far = [_coded(call.far) for call in calls]
        results: list[list[VadResult]] = [[] for _ in calls]
        for at in range(0, len(near[0]), CHUNK_SAMPLES):
            end = at + CHUNK_SAMPLES
            chunks = [
                Chunk(slot, at, near[slot][at:end], far[slot][at:end]) for slot in range(len(calls))
            ]
            for result in self._hearing.hear(chunks):
                if isinstance(result, VadResult):  # one at most, a chunk is less than a window
                    results[result.slot].append(result)
                    self._recorder.place(result.slot, len(results[result.slot]) - 1)
        return results

    def _gather(self, call: Call, results: list[VadResult], caller: Floats, alone: Floats) -> Heard:
        slot = results[0].slot if results else 0
        kept, shown = self._recorder.kept[slot], self._recorder.shown[slot]
        features = np.stack(kept) if kept else np.zeros((0, FEATURES), np.float32)
        speech = np.array([result.probability for result in results], np.float32)
        count = len(speech)
        sent = call.far[: count * WINDOW_SAMPLES].reshape(count, WINDOW_SAMPLES)
        bot = np.abs(sent).max(axis=1) > 1e-3
        truth = truth_of(caller[:count], alone[:count])
        return Heard(call, features, np.array(shown, np.intp), speech, caller[:count], truth, bot)


def truth_of(caller: Floats, alone: Floats) -> Floats:
    """1.0 where the caller speaks: Silero on the caller alone, as the product's detector reads it.

    `caller`: f32[W]; `alone`: f32[W, 256]. Each stretch is cut to where it is loud enough to be
    the voice (Silero also starts at the hiss before it), and may begin one window earlier than
    Silero does: that needs a little speech to know it, a net that is to be as fast does not.
    """
    truth = np.zeros(len(caller), np.float32)
    level = active_rms(alone.ravel()) * 10 ** (-_VOICE_DB / 20)
    loud = np.mean(np.square(alone), axis=1) > max(level**2, 1e-10)
    length = len(caller) * WINDOW_SAMPLES
    events = [*spoken(caller), SpeechEnded(length, length)]
    for start, end in itertools.pairwise(events):
        if isinstance(start, SpeechStarted):
            begin = max(0, start.at // WINDOW_SAMPLES - _RISE_WINDOWS)
            voiced = begin + np.flatnonzero(loud[begin : end.detected_at // WINDOW_SAMPLES])
            if len(voiced):
                truth[voiced[0] : voiced[-1] + 1] = 1.0
    return truth


def spoken(probability: Floats) -> list[SpeechStarted | SpeechEnded]:
    """What the product's detector makes of a call's windows."""
    detector = SpeechDetector()
    return [
        event
        for window, chance in enumerate(probability.tolist())
        for event in detector.feed(window * WINDOW_SAMPLES, chance)
    ]


def _coded(signal: Floats) -> bytes:
    return mulaw.encode(to_int16(signal))
