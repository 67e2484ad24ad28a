"""How the hot word is looked for in a stretch of a call: shipped head or openWakeWord models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebot.audio.pcm import to_int16
from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.asr.recogniser import Recogniser
    from voicebot.turns.hotword import OpenWakeWord
    from voicebot.turns.hotword_head import HotWordHead

    Audio = Sequence[NDArray[np.float32]]


class Spotter(Protocol):
    """Looks for the hot word in windows of audio."""

    lead_samples: int
    """Audio at 8 kHz wanted before the window."""
    threshold: float
    """From this probability on the word counts as heard."""

    def spot(self, recogniser: Recogniser | None, audio: Audio) -> list[float]:
        """Probability that the word is in each array (float32, 16 kHz, the lead before it)."""


class EncoderSpotter:
    """The shipped head on what the recogniser encodes."""

    lead_samples = 0

    def __init__(self, head: HotWordHead) -> None:
        self._head = head
        self.threshold = head.threshold

    def spot(self, recogniser: Recogniser | None, audio: Audio) -> list[float]:
        """See Spotter; nothing is heard without our own recogniser."""
        if recogniser is None:
            return [0.0 for _ in audio]
        return [self._head.probability(frames) for frames in recogniser.encode(audio)]


class ModelSpotter:
    """openWakeWord models, which need two seconds of a call to settle."""

    lead_samples = 21 * SAMPLE_RATE_HZ // 10
    threshold = 0.5  # openWakeWord's own

    def __init__(self, models: OpenWakeWord) -> None:
        self._models = models

    def spot(self, recogniser: Recogniser | None, audio: Audio) -> list[float]:
        """See Spotter; the highest of all words and steps after the lead."""
        return [self._highest(samples) for samples in audio]

    def _highest(self, samples: NDArray[np.float32]) -> float:
        from voicebot.turns.hotword import STEP_SAMPLES

        slot = np.zeros(1, np.intp)
        self._models.reset(0)
        steps = to_int16(samples[len(samples) % STEP_SAMPLES :]).reshape(-1, STEP_SAMPLES)
        settled = min(2 * self.lead_samples // STEP_SAMPLES, len(steps) - 1)
        heard = [float(self._models.probabilities(slot, step[None]).max()) for step in steps]
        return max(heard[settled:], default=0.0)
