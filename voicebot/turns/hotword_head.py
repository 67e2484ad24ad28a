"""The word that ends any prompt ("operator"), heard in the recogniser's encoder features.

The engine encodes the last WINDOW_SAMPLES of a call now and then while the caller speaks
(`HotWordWatch` says when); a small convolutional head says how probable it is that the word lies
in them. The weights come with the package (`models/operator.safetensors`, their card beside
them); computing with them takes numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from voicebot.errors import ModelUnavailable
from voicebot.events import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

MODELS = Path(__file__).parent / "models"
FEATURE_SIZE = 288
"""Width of the recogniser's encoder (Moonshine tiny)."""
WINDOW_SAMPLES = SAMPLE_RATE_HZ * 8 // 5
"""1.6 s: the longest "operator" of 361 callers lasts 0.97 s; shorter ones the recogniser fills."""
HOP_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
"""300 ms between windows: the word lies in two of them or more (LOG.md)."""
REFRACTORY_SAMPLES = WINDOW_SAMPLES
"""After the word was heard it stays in the window for so long."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A convolution over time: weight [kernel, inputs, outputs], bias [outputs]."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """float32[frames, inputs] to float32[frames, outputs], zeros beyond both ends."""
        kernel, inputs, outputs = self.weight.shape
        if kernel == 1:
            return np.asarray(x @ self.weight[0] + self.bias, np.float32)
        padded = np.pad(x, ((kernel // 2, kernel // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=0)
        rows = windows.transpose(0, 2, 1).reshape(len(x), kernel * inputs)
        return np.asarray(rows @ self.weight.reshape(-1, outputs) + self.bias, np.float32)


class HotWordHead:
    """Probability that a word lies in a window of encoder features. Stateless, thread-safe."""

    def __init__(
        self, tensors: dict[str, NDArray[np.float16]], threshold: float, word: str
    ) -> None:
        """`tensors`: per net `N.LAYER.weight` [kernel, in, out] and `.bias`; several nets vote."""
        nets = sorted({int(name.split(".")[0]) for name in tensors})
        self._nets = [_layers(tensors, net) for net in nets]
        self.word, self.threshold = word, threshold
        """From this probability on the word counts as heard."""

    @classmethod
    def load(cls, word: str = "operator", path: Path | None = None) -> HotWordHead:
        """The shipped weights, or those in `path`; ModelUnavailable without sound ones."""
        path = path or MODELS / f"{word}.safetensors"
        try:
            with safe_open(path, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                threshold = float((file.metadata() or {})["threshold"])
            return cls(tensors, threshold, word)
        except FileNotFoundError:
            known = ", ".join(sorted(item.stem for item in MODELS.glob("*.safetensors"))) or "none"
            raise ModelUnavailable(
                f"hot word {word!r}: {path} is not there; shipped: {known}. Train one: "
                "python -m voicebot.learning.hotword"
            ) from None
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ModelUnavailable(
                f"hot word {word!r}: {path} is damaged ({reason}); reinstall voicebot"
            ) from None

    def probability(self, frames: Array) -> float:
        """0..1 for float32[frames, FEATURE_SIZE] of one window; 0 when there is nothing to hear."""
        if len(frames) == 0:
            return 0.0
        logits = [_logit(layers, frames) for layers in self._nets]
        return float(1 / (1 + np.exp(-np.mean(logits))))


def _layers(tensors: dict[str, NDArray[np.float16]], net: int) -> list[_Layer]:
    count = sum(name.startswith(f"{net}.") for name in tensors) // 2
    layers = []
    inputs = FEATURE_SIZE
    for index in range(count):
        weight = tensors[f"{net}.{index}.weight"].astype(np.float32)
        bias = tensors[f"{net}.{index}.bias"].astype(np.float32)
        if weight.ndim != 3 or weight.shape[1] != inputs or bias.shape != weight.shape[2:]:
            raise ValueError(f"layer {net}.{index} has shape {weight.shape}")
        inputs = weight.shape[2]
        layers.append(_Layer(weight, bias))
    if inputs != 1:
        raise ValueError(f"net {net} gives {inputs} numbers a frame, not 1")
    return layers


def _logit(layers: list[_Layer], frames: Array) -> float:
    x = frames
    for layer in layers[:-1]:
        x = np.maximum(layer(x), 0)
    return float(layers[-1](x).max())


@dataclass(slots=True)
class HotWordWatch:
    """When to look for the word in one call, and whether it was heard. Pure.

    While the caller speaks a window is due at once and every HOP_SAMPLES, and once more when the
    speech has ended.
    """

    threshold: float
    _due_at: int | None = None
    _deaf_until: int = 0

    def due(self, at: int, is_speaking: bool) -> bool:
        """Whether to encode the WINDOW_SAMPLES that end at `at`; call it with each VAD window."""
        if not is_speaking:
            was_speaking, self._due_at = self._due_at is not None, None
            return was_speaking
        if self._due_at is not None and at < self._due_at:
            return False
        self._due_at = at + HOP_SAMPLES
        return True

    def hear(self, at: int, probability: float) -> bool:
        """Whether the word was heard in the window that ended at `at`; once for each word."""
        if not probability >= self.threshold or at < self._deaf_until:  # NaN is not heard
            return False
        self._deaf_until = at + REFRACTORY_SAMPLES
        return True

    def reset(self) -> None:
        """A new call."""
        self._due_at, self._deaf_until = None, 0
