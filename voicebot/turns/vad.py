"""Speech or silence: one neural net for all calls, one small state machine for each.

The net is Silero VAD (MIT), run at the telephone's own 8 kHz from the ONNX file of the
`silero_vad` package: windows of 256 samples, each preceded by the last 32 samples of the window
before, and a recurrent state float32[2, n, 128] (silero_vad/utils_vad.py, OnnxWrapper).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from voicebot.errors import ModelUnavailable
from voicebot.events import SAMPLE_RATE_HZ, SpeechEnded, SpeechStarted

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_SAMPLES = 256
"""Samples in one window: 32 ms at 8 kHz."""

END_LAG_SAMPLES = 3 * WINDOW_SAMPLES
"""Silero goes on hearing speech when it is over: for 90 to 180 ms (p10, p90) after the loudness of
keywords, sentences and orders has fallen, 140 ms in the median (LOG.md). Two thirds of that are
taken off, so that silence is not counted before it begins."""

_CONTEXT_SAMPLES = 32
_STATE_SIZE = 128
_QUIET_PROBABILITY = 0.3
_QUIET_WINDOWS = 2 * SAMPLE_RATE_HZ // WINDOW_SAMPLES
_FADE = np.float32(0.5)


def _model_path() -> Path:
    """The ONNX file, found without importing silero_vad (which would load torch)."""
    spec = find_spec("silero_vad")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    path = Path(folder) / "data" / "silero_vad.onnx" if folder else None
    if path is None or not path.is_file():
        where = f"{path}: no such file" if path else "package silero_vad is not installed"
        raise ModelUnavailable(f"voice activity model: {where}; pip install 'silero-vad>=6.2,<7'")
    return path


class SileroVad:
    """Speech probability of many calls at once; each call keeps its state in a slot.

    Each 2 s of quiet halve a slot's state: long noise or music otherwise deafens the net to the
    speech that follows, and a state set to zero makes it start at noise (LOG.md). Not
    thread-safe: one engine thread uses it.
    """

    def __init__(self, slots: int) -> None:
        """Loads the net once (about 0.1 s); ModelUnavailable when it is not installed."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its graph warnings would go to stderr
        self._session: Any = onnxruntime.InferenceSession(
            str(_model_path()), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(SAMPLE_RATE_HZ, dtype=np.int64)
        self._state = np.zeros((2, slots, _STATE_SIZE), dtype=np.float32)
        self._context = np.zeros((slots, _CONTEXT_SAMPLES), dtype=np.float32)
        self._quiet_windows = np.zeros(slots, dtype=np.int32)

    def probabilities(
        self, slots: NDArray[np.intp], windows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Probability of speech, float32[n] in 0..1, in the next window of each call.

        `slots`: intp[n], distinct. `windows`: float32[n, 256], full scale +-1.
        """
        if len(slots) == 0:
            return np.zeros(0, dtype=np.float32)
        heard = np.concatenate((self._context[slots], windows), axis=1, dtype=np.float32)
        inputs = {"input": heard, "state": self._state[:, slots], "sr": self._rate}
        output, state = self._session.run(None, inputs)
        probabilities: NDArray[np.float32] = output[:, 0]
        self._context[slots] = windows[:, -_CONTEXT_SAMPLES:]
        self._state[:, slots] = state
        self._fade_quiet(slots, probabilities)
        return probabilities

    def _fade_quiet(self, slots: NDArray[np.intp], probabilities: NDArray[np.float32]) -> None:
        is_quiet = probabilities < _QUIET_PROBABILITY
        self._quiet_windows[slots] = np.where(is_quiet, self._quiet_windows[slots] + 1, 0)
        expired = slots[self._quiet_windows[slots] >= _QUIET_WINDOWS]
        self._state[:, expired] *= _FADE
        self._quiet_windows[expired] = 0

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._state[:, slot] = 0.0
        self._context[slot] = 0.0
        self._quiet_windows[slot] = 0


@dataclass(slots=True)
class SpeechDetector:
    """Turns one call's probabilities into speech started and ended. Pure.

    A window at or above `start_probability` may begin speech or prolong it, one below
    `stop_probability` may end it; what lies between changes nothing. Speech counts once it
    lasted `min_speech_ms`, its end once silence lasted `min_silence_ms`. Loudness plays no
    part: gating by it loses a soft "yes" (design page, VAD).
    """

    start_probability: float = 0.4
    stop_probability: float = 0.25
    min_speech_ms: int = 96
    min_silence_ms: int = 128
    is_speaking: bool = False
    _onset_at: int | None = None
    _quiet_at: int | None = None

    @property
    def is_rising(self) -> bool:
        """Speech may have begun; the next windows will tell."""
        return not self.is_speaking and self._onset_at is not None

    @property
    def quiet_at(self) -> int | None:
        """Where the silence began that may end the speech going on; None while there is none."""
        return self._quiet_at if self.is_speaking else None

    def feed(self, at: int, probability: float) -> list[SpeechStarted | SpeechEnded]:
        """One window, whose first sample is `at`; at most one event comes of it."""
        known_at = at + WINDOW_SAMPLES
        if self.is_speaking:
            return self._watch_for_end(at, known_at, probability)
        if probability < self.stop_probability:
            self._onset_at = None
        elif probability >= self.start_probability and self._onset_at is None:
            self._onset_at = at
        if self._onset_at is None or known_at - self._onset_at < _samples(self.min_speech_ms):
            return []
        self.is_speaking, self._quiet_at = True, None
        return [SpeechStarted(self._onset_at, known_at)]

    def _watch_for_end(
        self, at: int, known_at: int, probability: float
    ) -> list[SpeechStarted | SpeechEnded]:
        if probability >= self.start_probability:
            self._quiet_at = None
        elif probability < self.stop_probability and self._quiet_at is None:
            self._quiet_at = at
        if self._quiet_at is None or known_at - self._quiet_at < _samples(self.min_silence_ms):
            return []
        earliest = (self._onset_at or 0) + WINDOW_SAMPLES
        ended_at = max(self._quiet_at - END_LAG_SAMPLES, earliest) - 1
        self.is_speaking, self._onset_at = False, None
        return [SpeechEnded(ended_at, known_at)]

    def reset(self) -> None:
        """Forget speech that is going on or beginning, without an event."""
        self.is_speaking, self._onset_at, self._quiet_at = False, None, None


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000
