"""The net behind turns/near_end.py in torch: fitting, setting its threshold, saving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voicebot.learning.near_end_hearing import Heard
from voicebot.learning.near_end_marks import measure
from voicebot.turns.near_end import NearEndNet
from voicebot.turns.near_end_features import FEATURES

Floats = NDArray[np.float32]

UNITS = 48
_BATCH = 64
_RATE = 4e-3
_STILL_WEIGHT = 3.0
"""What a false alarm weighs against a missed window of speech: it costs the bot its turn."""
_ONSET_WEIGHT, _ONSET_WINDOWS = 3.0, 4
_UNSURE_WEIGHT = 0.2
_UNSURE = 0.2  # Silero's own doubt about the caller alone, between speech and quiet


class Net(nn.Module):
    """Dense (ReLU), GRU, and one logit from both; sequences first."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(FEATURES, UNITS)
        self.gru = nn.GRU(UNITS, UNITS, batch_first=True)
        self.output = nn.Linear(UNITS, 1)
        self.skip = nn.Linear(UNITS, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [calls, windows] of normalised features [calls, windows, FEATURES]."""
        dense = torch.relu(self.dense(features))
        state, _ = self.gru(dense)
        logits: torch.Tensor = (self.output(state) + self.skip(dense)).squeeze(-1)
        return logits


def weights_of(call: Heard) -> Floats:
    """How much each window shown counts, f32[K]."""
    truth, caller = call.truth, call.caller
    weight = np.where(truth > 0, 1.0, _STILL_WEIGHT).astype(np.float32)
    weight[(truth == 0) & (caller > _UNSURE)] = _UNSURE_WEIGHT
    risen = np.flatnonzero(np.diff(truth, prepend=0.0) > 0)
    fallen = np.flatnonzero(np.diff(truth, prepend=0.0) < 0)
    for begin in risen:
        weight[begin : begin + _ONSET_WINDOWS] = _ONSET_WEIGHT
    for end in fallen:
        weight[end : end + _ONSET_WINDOWS] = _UNSURE_WEIGHT
    return weight[call.shown]


def fit(
    calls: Sequence[Heard], *, epochs: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Floats]:
    """Weights for turns.near_end.NearEndNet, fitted to `calls`; the threshold is not set yet."""
    torch.manual_seed(seed)
    mean, scale = _normalisation(calls)
    inputs, truth, weight = _padded(calls, mean, scale)
    net = Net()
    steps = epochs * -(-len(calls) // _BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(calls)), _BATCH):
            losses = nn.functional.binary_cross_entropy_with_logits(
                net(inputs[rows]), truth[rows], weight[rows], reduction="sum"
            )
            loss = losses / weight[rows].sum().clamp(min=1.0)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        if epoch % 5 == 4 or epoch == epochs - 1:
            tell(f"epoch {epoch + 1} of {epochs}: loss {total / len(calls):.4f}")
    return _exported(net, mean, scale)


def _normalisation(calls: Sequence[Heard]) -> tuple[Floats, Floats]:
    features = np.concatenate([call.features for call in calls])
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 1e-3, 1 / (deviation + 1e-6), 0.0)


def _padded(
    calls: Sequence[Heard], mean: Floats, scale: Floats
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    longest = max(len(call.shown) for call in calls)
    inputs = torch.zeros(len(calls), longest, FEATURES)
    truth, weight = torch.zeros(len(calls), longest), torch.zeros(len(calls), longest)
    for row, call in enumerate(calls):
        count = len(call.shown)
        inputs[row, :count] = torch.from_numpy(np.clip((call.features - mean) * scale, -5, 5))
        truth[row, :count] = torch.from_numpy(call.truth[call.shown])
        weight[row, :count] = torch.from_numpy(weights_of(call))
    return inputs, truth, weight


def _exported(net: Net, mean: Floats, scale: Floats) -> dict[str, Floats]:
    state = net.state_dict()

    def array(name: str) -> Floats:
        return np.ascontiguousarray(state[name].numpy().T, dtype=np.float32)

    return {
        "mean": mean.astype(np.float32),
        "scale": scale.astype(np.float32),
        "dense": array("dense.weight"),
        "dense_bias": array("dense.bias"),
        "input": array("gru.weight_ih_l0"),
        "input_bias": array("gru.bias_ih_l0"),
        "recurrent": array("gru.weight_hh_l0"),
        "recurrent_bias": array("gru.bias_hh_l0"),
        "output": array("output.weight")[:, 0],
        "skip": array("skip.weight")[:, 0],
        "output_bias": array("output.bias"),
        "sharpness": np.ones(1, np.float32),
        "shift": np.zeros(1, np.float32),
    }


def run_all(weights: dict[str, Floats], calls: Sequence[Heard]) -> dict[int, Floats]:
    """Probabilities of all calls by id(call), a slot each: much faster than one by one."""
    net = NearEndNet(weights, len(calls))
    found = [np.zeros(len(call.features), np.float32) for call in calls]
    for at in range(max((len(call.features) for call in calls), default=0)):
        rows = np.array([row for row, call in enumerate(calls) if at < len(call.features)])
        chances = net.advance(rows, np.stack([calls[row].features[at] for row in rows]))
        for row, chance in zip(rows.tolist(), chances.tolist(), strict=True):
            found[row][at] = chance
    return {id(call): chances for call, chances in zip(calls, found, strict=True)}


def set_threshold(
    weights: dict[str, Floats],
    calls: Sequence[Heard],
    *,
    false_per_minute: float,
    tell: Callable[[str], None],
) -> dict[str, Floats]:
    """`weights` with the shift of the logit at which SpeechDetector's 0.4 / 0.25 fit.

    The highest shift (the keenest detector) with which calls in which nobody speaks stay below
    `false_per_minute`, without and with steps of the delay.
    """
    logits = {
        key: np.log(chance / np.maximum(1 - chance, 1e-7))
        for key, chance in run_all(weights, calls).items()
    }
    for shift in np.arange(2.0, -6.0, -0.25):

        def gate(call: Heard, shift: float = float(shift)) -> Floats:
            return np.asarray(1 / (1 + np.exp(-logits[id(call)] - shift)), np.float32)

        marks = measure(calls, gate)
        if max(marks.false_static, marks.false_steps) <= false_per_minute:
            break
    tell(f"threshold: shift {shift:+.2f}; {marks}")
    return {**weights, "shift": np.full(1, shift, np.float32)}


def save(weights: dict[str, Floats], path: Path) -> None:
    """As .npz, half precision: less than 100 kB, no pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{k: v.astype(np.float32) for k, v in weights.items()})  # type: ignore[arg-type]
