"""Smart Turn v3.2: has the caller finished? Judged from the last eight seconds of sound alone.

The net (Daily, BSD-2-Clause) ships as ONNX with Pipecat; it is read from there without importing
Pipecat. Its input are Whisper's log-mel features (Radford et al. 2022, arXiv:2212.04356) as
`transformers.WhisperFeatureExtractor` computes them. It costs 30 to 100 ms of CPU a call,
and on the telephone it is little better than silence alone: the head in `end_of_turn` is nearly
free and far better (LOG.md). This is for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soxr
from numpy.typing import NDArray

from voicebot.errors import ModelUnavailable

MODEL_HZ = 16000
WINDOW_SAMPLES = 8 * MODEL_HZ
"""What the net hears: the last 8 s, zeros before shorter audio."""

_FFT = 400
_HOP = 160
_MELS = 80
_MEL_FLOOR = 1e-10
_VARIANCE_FLOOR = 1e-7
_DYNAMIC_RANGE = 8.0  # in powers of ten below the loudest bin


def model_path() -> Path:
    """The ONNX file, found without importing Pipecat; ModelUnavailable when it is not there."""
    spec = find_spec("pipecat")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    inside = Path("audio") / "turn" / "smart_turn" / "data" / "smart-turn-v3.2-cpu.onnx"
    path = Path(folder) / inside if folder else None
    if path is None or not path.is_file():
        where = f"{path}: no such file" if path else "package pipecat is not installed"
        raise ModelUnavailable(f"Smart Turn: {where}; pip install 'pipecat-ai==1.14.*'")
    return path


class SmartTurn:
    """The net, for a batch of callers at a time; one thread of its own."""

    def __init__(self) -> None:
        """Loads the net (about 0.2 s); ModelUnavailable when it is not installed."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(model_path()), options, providers=["CPUExecutionProvider"]
        )

    def probabilities(
        self, batch: Sequence[NDArray[np.float32]], rate_hz: int = MODEL_HZ
    ) -> NDArray[np.float32]:
        """Probability that the caller has finished, float32[n] in 0..1.

        `batch`: mono arrays at `rate_hz` (8000 or 16000), full scale +-1, that end a little
        after the caller fell silent. Samples that are not finite count as zero.
        """
        if rate_hz not in {MODEL_HZ // 2, MODEL_HZ}:
            raise ValueError(f"Smart Turn hears 8000 or 16000 Hz, not {rate_hz}")
        if not batch:
            return np.zeros(0, np.float32)
        features = log_mel(np.stack([_window(samples, rate_hz) for samples in batch]))
        output: NDArray[np.float32] = self._session.run(None, {"input_features": features})[0]
        return output.reshape(len(batch))


def _window(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """float32[WINDOW_SAMPLES] at 16 kHz that ends where `samples` end."""
    kept = samples[-WINDOW_SAMPLES * rate_hz // MODEL_HZ :]
    clean = np.nan_to_num(np.asarray(kept, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if rate_hz != MODEL_HZ and len(clean):
        clean = soxr.resample(clean, rate_hz, MODEL_HZ)
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    if len(clean):
        window[-len(clean) :] = clean[-WINDOW_SAMPLES:]
    return window


def log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whisper's features of float32[n, samples] at 16 kHz: float32[n, 80, samples / 160].

    Each row is brought to zero mean and unit variance first (`do_normalize`), its power in
    80 Slaney mel bands per 10 ms is taken to log10, cut 8 below its maximum, and scaled.
    """
    spread = np.sqrt(windows.var(axis=1, keepdims=True) + _VARIANCE_FLOOR)
    level = (windows - windows.mean(axis=1, keepdims=True)) / spread
    padded = np.pad(level, ((0, 0), (_FFT // 2, _FFT // 2)), mode="reflect").astype(np.float64)
    # The last frame is dropped, as the reference does.
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP][:, :-1]
    hann = np.hanning(_FFT + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * hann, axis=-1)) ** 2
    logs = np.log10(np.maximum(power @ mel_filters(), _MEL_FLOOR))
    logs = np.maximum(logs, logs.max(axis=(1, 2), keepdims=True) - _DYNAMIC_RANGE)
    return np.ascontiguousarray(((logs + 4.0) / 4.0).transpose(0, 2, 1), dtype=np.float32)


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """float64[201, 80]: triangles of equal area on Slaney's mel scale, 0 to 8 kHz.

    Linear below 1 kHz (15 mels), then 27 steps to each factor 6.4 (Auditory Toolbox, 1998).
    """
    edges = _hertz(np.linspace(0.0, _mel(MODEL_HZ / 2), _MELS + 2))
    bins = np.linspace(0.0, MODEL_HZ / 2, _FFT // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    return np.asarray(triangles * 2.0 / (edges[2:] - edges[:-2]), np.float64)


_LOG_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    """Slaney's mel of a frequency from 1 kHz up."""
    return float(15.0 + np.log(hertz / 1000.0) / _LOG_STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000.0 * np.exp(_LOG_STEP * (mels - 15.0))
    return np.asarray(np.where(mels < 15.0, mels * 200.0 / 3.0, above), np.float64)
