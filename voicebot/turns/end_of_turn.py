"""Has the caller finished? Judged from what the recogniser's encoder makes of the last 3 s.

The recogniser encodes an utterance at each pause anyway; a small head on those features costs a
fraction of a millisecond and hears both how something was said and what. It was trained by
`voicebot train end-of-turn` for the first sign of silence and more, on the telephone;
models/end_of_turn.md is its model card. Computing with it takes numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from voicebot.errors import ModelUnavailable

Array = NDArray[np.float32]

MODEL_PATH = Path(__file__).parent / "models" / "end_of_turn.safetensors"
TRAINED_ON = "trained_on"
"""Of the file's metadata: names, one a line."""
FRAMES = 128
"""Frames that count, the last ones: 3.1 s."""
FRAME_SAMPLES = 384
"""Samples at 16 kHz in a frame of the encoder."""
SPANS = (2, 4, 8, 16, 32, 64, 128)
"""The head sees means over the last so many frames."""
WHOLE_SAMPLES = 24000
"""Shorter audio is set in the middle of so much by the recogniser (asr.utterance); the quiet
added after it is left out here."""
_NORM_FLOOR = np.float32(1e-5)


@dataclass(frozen=True, eq=False)
class Weights:
    """Of M nets that vote, float32: P channels of S spans, H hidden units."""

    norm_gain: Array  # [M, dim]
    norm_bias: Array  # [M, dim]
    project: Array  # [M, dim, P]
    project_bias: Array  # [M, P]
    hidden: Array  # [M, S * P, H]
    hidden_bias: Array  # [M, H]
    out: Array  # [M, H]
    out_bias: Array  # [M]
    calibration: Array  # [2]: slope and offset of the mean log-odds

    @cached_property
    def dim(self) -> int:
        """Width of the encoder's frames."""
        return int(self.norm_gain.shape[1])


def load_weights(path: Path = MODEL_PATH) -> Weights:
    """ModelUnavailable, one line, when the file is missing or no such model."""
    arrays = _opened(path)[0]
    try:
        found = {field.name: arrays[field.name].astype(np.float32) for field in fields(Weights)}
        weights = Weights(**found)
        _logits(weights, np.zeros((1, weights.dim), np.float32))  # the shapes fit each other
    except (KeyError, ValueError, IndexError) as error:
        raise _no_model(path, error) from None
    return weights


def trained_on(path: Path = MODEL_PATH) -> frozenset[str]:
    """Names of sessions, speakers and recordings that the model has seen, as corpora name them."""
    try:
        return frozenset(_opened(path)[1][TRAINED_ON].splitlines())
    except KeyError as error:
        raise _no_model(path, error) from None


def _opened(path: Path) -> tuple[dict[str, NDArray[np.float16]], dict[str, str]]:
    """Arrays by name, and what the file tells beside them."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except FileNotFoundError:
        raise ModelUnavailable(
            f"end-of-turn model: {path}: no such file; reinstall voicebot, or train it: "
            "python -m voicebot.learning.end_of_turn"
        ) from None
    except (OSError, SafetensorError, ValueError) as error:
        raise _no_model(path, error) from None


def _no_model(path: Path, error: Exception) -> ModelUnavailable:
    reason = " ".join(str(error).split())
    return ModelUnavailable(f"end-of-turn model: {path}: is not one ({reason}); reinstall voicebot")


class EndOfTurn:
    """The head. Stateless, thread-safe."""

    def __init__(self, weights: Weights | None = None) -> None:
        """With the shipped weights unless others are given; ModelUnavailable without them."""
        self._weights = load_weights() if weights is None else weights

    def probabilities(self, frames: Sequence[Array], samples: Sequence[int]) -> list[float | None]:
        """That each caller has finished, 0..1; None where there is nothing to judge.

        `frames`: the encoder's, float32[T, dim], of audio that ends some time after the caller
        fell silent; `samples`: how long that audio was, at 16 kHz.
        """
        return [
            self._probability(of_one, length)
            for of_one, length in zip(frames, samples, strict=True)
        ]

    def _probability(self, frames: Array, samples: int) -> float | None:
        heard = spoken_frames(frames, samples)
        if not len(heard) or heard.shape[1] != self._weights.dim or not np.isfinite(heard).all():
            return None
        slope, offset = self._weights.calibration
        log_odds = slope * _logits(self._weights, heard).mean() + offset
        return float(1.0 / (1.0 + np.exp(-log_odds)))


def spoken_frames(frames: Array, samples: int) -> Array:
    """At most the last FRAMES, without the quiet that the recogniser sets short audio in."""
    missing = max(0, WHOLE_SAMPLES - samples)
    before = missing // 2
    end = len(frames) - (missing - before) // FRAME_SAMPLES
    return frames[max(before // FRAME_SAMPLES, end - FRAMES, 0) : max(end, 0)]


def _logits(weights: Weights, frames: Array) -> Array:
    """Log-odds of each net, float32[M], from frames float32[T, dim]."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + _NORM_FLOOR)
    normal = (centred / scale)[None] * weights.norm_gain[:, None] + weights.norm_bias[:, None]
    channels = np.tanh(normal @ weights.project + weights.project_bias[:, None])
    means = [channels[:, -span:].mean(axis=1) for span in SPANS]
    hidden = np.einsum("mi,mih->mh", np.concatenate(means, axis=1), weights.hidden)
    hidden = np.maximum(hidden + weights.hidden_bias, 0)
    return np.asarray(np.sum(hidden * weights.out, axis=1) + weights.out_bias, np.float32)
