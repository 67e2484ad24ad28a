"""The head on the recogniser's features, and the watch that says when to look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from voicebot.errors import ModelUnavailable
from voicebot.turns.hotword import HotWordHead, HotWordWatch
from voicebot.turns.hotword_head import (
    FEATURE_SIZE,
    HOP_SAMPLES,
    REFRACTORY_SAMPLES,
    WINDOW_SAMPLES,
)

pytestmark = pytest.mark.unit

VAD_SAMPLES = 256
Tensors = dict[str, NDArray[np.float16]]


def tensors(width: int = 4, kernel: int = 3, nets: int = 2, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    sizes = [(1, FEATURE_SIZE, width), (kernel, width, width), (1, width, 1)]
    found: Tensors = {}
    for net in range(nets):
        for layer, (taps, inputs, outputs) in enumerate(sizes):
            weight = rng.normal(0, 0.2, (taps, inputs, outputs))
            found[f"{net}.{layer}.weight"] = weight.astype(np.float16)
            found[f"{net}.{layer}.bias"] = rng.normal(0, 0.2, outputs).astype(np.float16)
    return found


def frames(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, (count, FEATURE_SIZE)).astype(np.float32)


def by_hand(weights: Tensors, x: NDArray[np.float32]) -> float:
    """The same net written as loops over frames and taps."""
    votes = []
    for net in range(2):
        h = x.astype(np.float64)
        for layer in range(3):
            weight = weights[f"{net}.{layer}.weight"].astype(np.float64)
            reach = len(weight) // 2
            out = np.tile(weights[f"{net}.{layer}.bias"].astype(np.float64), (len(h), 1))
            for at in range(len(h)):
                for tap in range(len(weight)):
                    if 0 <= at + tap - reach < len(h):
                        out[at] += h[at + tap - reach] @ weight[tap]
            h = np.maximum(out, 0) if layer < 2 else out
        votes.append(h.max())
    return float(1 / (1 + np.exp(-np.mean(votes))))


@pytest.mark.parametrize("count", [1, 2, 65])
def test_computes_what_the_layers_say(count: int) -> None:
    weights = tensors()
    head = HotWordHead(weights, 0.5, "operator")
    assert head.probability(frames(count)) == pytest.approx(by_hand(weights, frames(count)), 1e-4)


def test_nothing_to_hear_is_no_word() -> None:
    assert HotWordHead(tensors(), 0.5, "operator").probability(frames(0)) == 0.0


def test_the_shipped_head_loads_and_hears_nothing_in_noise() -> None:
    head = HotWordHead.load()
    assert head.word == "operator"
    assert 0 < head.threshold < 1
    assert head.probability(frames(66)) < head.threshold


def test_a_word_that_is_not_shipped_is_told_with_what_is() -> None:
    with pytest.raises(ModelUnavailable, match=r"shipped: .*operator.*learning\.hotword") as told:
        HotWordHead.load("abracadabra")
    assert "\n" not in str(told.value)


def without(name: str) -> Tensors:
    return {key: value for key, value in tensors().items() if key != name}


@pytest.mark.parametrize(
    ("weights", "metadata"),
    [
        (tensors(), {}),
        (tensors(), {"threshold": "high"}),
        (without("0.1.bias"), {"threshold": "0.5"}),
        (without("1.2.weight") | {"1.2.weight": np.zeros((1, 5, 1), np.float16)}, None),
        (tensors() | {"0.2.weight": np.zeros((4, 1), np.float16)}, None),
    ],
    ids=["no threshold", "threshold no number", "bias missing", "wrong width", "wrong rank"],
)
def test_a_damaged_file_is_told_in_one_line(
    tmp_path: Path, weights: Tensors, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "operator.safetensors"
    save_file(weights, path, {"threshold": "0.5"} if metadata is None else metadata)
    with pytest.raises(ModelUnavailable, match=r"operator\.safetensors is damaged") as told:
        HotWordHead.load(path=path)
    assert "\n" not in str(told.value)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "operator.safetensors"
    save_file(tensors(), path, {"threshold": "0.5"})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelUnavailable, match="is damaged"):
        HotWordHead.load(path=path)


# ---------------------------------------------------------------- watch


def watched(speech: list[tuple[int, int]], until: int) -> list[int]:
    """Where windows are due when speech lasts from..to."""
    watch = HotWordWatch(0.5)
    return [
        at
        for at in range(0, until, VAD_SAMPLES)
        if watch.due(at, any(start <= at < end for start, end in speech))
    ]


def test_looks_at_once_then_every_hop_then_when_speech_has_ended() -> None:
    due = watched([(8000, 16000)], 40000)
    assert 8000 <= due[0] < 8000 + VAD_SAMPLES
    inner = np.diff(due[:-1])
    assert (inner >= HOP_SAMPLES).all()
    assert (inner < HOP_SAMPLES + VAD_SAMPLES).all()
    assert 16000 <= due[-1] < 16000 + VAD_SAMPLES


def test_does_not_look_while_nobody_speaks() -> None:
    assert watched([], 80000) == []


def test_a_short_cry_is_looked_at_twice() -> None:
    assert len(watched([(8000, 9000)], 40000)) == 2


def test_every_word_lies_whole_in_a_window() -> None:
    """Of 0.97 s at most, wherever the windows fall; speech goes on after it."""
    longest = 7760
    for onset in range(8000, 8000 + HOP_SAMPLES, 300):
        due = watched([(8000, 40000)], 45000)
        word = (onset + 4000, onset + 4000 + longest)
        assert any(at - WINDOW_SAMPLES <= word[0] and word[1] <= at for at in due)


def test_a_word_counts_once_while_it_stays_in_the_window() -> None:
    watch = HotWordWatch(0.5)
    heard = [watch.hear(at, 0.9) for at in range(20000, 20000 + REFRACTORY_SAMPLES, HOP_SAMPLES)]
    assert heard == [True] + [False] * (len(heard) - 1)
    assert watch.hear(20000 + REFRACTORY_SAMPLES, 0.9)


def test_below_the_threshold_nothing_is_heard() -> None:
    watch = HotWordWatch(0.5)
    assert not watch.hear(9000, 0.49)
    assert watch.hear(9000, 0.5)


def test_a_new_call_hears_from_its_beginning() -> None:
    watch = HotWordWatch(0.5)
    assert watch.hear(90000, 0.9)
    assert watch.due(90000, True)
    watch.reset()
    assert watch.hear(0, 0.9)
    assert not watch.due(0, False)
