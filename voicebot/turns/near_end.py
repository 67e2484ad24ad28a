"""Does the caller speak in this window, or is it the bot's own voice coming back?

Voice activity alone cannot tell: what an echo canceller leaves of a loudspeaker that saturates is
speech too, only not the caller's. `NearEndDetector` runs a small recurrent net (dense, GRU, one
probability) over what near_end_features.py says of each window. It was trained by
`python -m voicebot.learning.near_end`; models/near_end.md is its model card.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from voicebot.compiled import compiled
from voicebot.errors import ModelUnavailable
from voicebot.turns.near_end_features import FEATURES, NearEndFeatures, Windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MODEL_PATH = Path(__file__).parent / "models" / "near_end.npz"


class NearEndDetector:
    """Probability that the caller speaks although the bot's echo may be heard; a slot per call.

    Not thread-safe: one engine thread uses it. Windows in which no echo is possible need not be
    shown; the state waits.
    """

    def __init__(self, slots: int, model: Path = MODEL_PATH) -> None:
        """ModelUnavailable when the weights are missing or damaged."""
        self._features = NearEndFeatures(slots)
        self._net = NearEndNet(load_weights(model), slots)

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._features.reset(slot)
        self._net.reset(slot)

    def probabilities(self, slots: NDArray[np.intp], windows: Windows) -> NDArray[np.float32]:
        """float32[n] in 0..1 for the next window of each call in `slots` (intp[n], distinct)."""
        if len(slots) == 0:
            return np.zeros(0, dtype=np.float32)
        return self._net.advance(slots, self._features.compute(slots, windows))


class NearEndNet:
    """Normalisation, dense (ReLU), GRU (Cho 2014, PyTorch's gate order r, z, n), logistic."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], slots: int) -> None:
        self._w = {name: np.ascontiguousarray(value) for name, value in weights.items()}
        self._state = np.zeros((slots, len(self._w["recurrent_bias"]) // 3), np.float32)

    def reset(self, slot: int) -> None:
        """Forget the call in `slot`."""
        self._state[slot] = 0.0

    def advance(
        self, slots: NDArray[np.intp], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32[n] probabilities of one more window, from float32[n, FEATURES]."""
        w, probabilities = self._w, np.empty(len(slots), np.float32)
        first = w["mean"], w["scale"], w["dense"], w["dense_bias"]
        second = w["input"], w["input_bias"], w["recurrent"], w["recurrent_bias"]
        last = w["output"], w["skip"], w["output_bias"], w["sharpness"], w["shift"]
        slots, features = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(features)
        _advance(slots, features, *first, *second, *last, self._state, probabilities)
        return probabilities


@compiled("float32(float32)")
def _logistic(x: np.float32) -> np.float32:
    bounded = min(max(x, np.float32(-30.0)), np.float32(30.0))
    return np.float32(np.float32(1.0) / (np.float32(1.0) + np.exp(-bounded)))


@compiled(
    "void(int64[::1], float32[:,::1], float32[::1], float32[::1], float32[:,::1], float32[::1],"
    "float32[:,::1], float32[::1], float32[:,::1], float32[::1], float32[::1], float32[::1],"
    "float32[::1], float32[::1], float32[::1], float32[:,::1], float32[::1])"
)
def _advance(
    slots: NDArray[np.int64],
    features: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    dense: NDArray[np.float32],
    dense_bias: NDArray[np.float32],
    into: NDArray[np.float32],
    into_bias: NDArray[np.float32],
    again: NDArray[np.float32],
    again_bias: NDArray[np.float32],
    output: NDArray[np.float32],
    skip: NDArray[np.float32],
    output_bias: NDArray[np.float32],
    sharpness: NDArray[np.float32],
    shift: NDArray[np.float32],
    states: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> None:
    """See NearEndNet.advance."""
    units = states.shape[1]
    for row in range(len(slots)):
        state = states[slots[row]]
        hidden = dense_bias.copy()
        for index in range(features.shape[1]):
            x = (features[row, index] - mean[index]) * scale[index]
            x = min(max(x, np.float32(-5.0)), np.float32(5.0))
            for unit in range(len(hidden)):
                hidden[unit] += x * dense[index, unit]
        gates, recurrent = into_bias.copy(), again_bias.copy()
        logit = output_bias[0]
        for index in range(len(hidden)):
            x = max(hidden[index], np.float32(0.0))
            logit += x * skip[index]
            for gate in range(3 * units):
                gates[gate] += x * into[index, gate]
        for index in range(units):
            for gate in range(3 * units):
                recurrent[gate] += state[index] * again[index, gate]
        for unit in range(units):
            reset = _logistic(gates[unit] + recurrent[unit])
            update = _logistic(gates[units + unit] + recurrent[units + unit])
            candidate = np.tanh(gates[2 * units + unit] + reset * recurrent[2 * units + unit])
            state[unit] = candidate + update * (state[unit] - candidate)
            logit += state[unit] * output[unit]
        probabilities[row] = _logistic(logit * sharpness[0] + shift[0])


def load_weights(path: Path = MODEL_PATH) -> dict[str, NDArray[np.float32]]:
    """The arrays of a .npz file (no pickle). ModelUnavailable when it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            weights = {name: arrays[name].astype(np.float32) for name in arrays.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise ModelUnavailable(
            f"near-end detector: {path} cannot be read ({error}); reinstall voicebot or train it:"
            " python -m voicebot.learning.near_end DIR"
        ) from None
    if weights.get("mean", np.zeros(0)).shape != (FEATURES,):
        raise ModelUnavailable(
            f"near-end detector: {path} was trained for other features; train it again:"
            " python -m voicebot.learning.near_end DIR"
        )
    return weights
