"""Whether English was spoken: a logistic model of the mean and the spread of the encoder's frames.

The decoder makes English words of any language. The encoder hears that it is another: fitted to
callers of the training part, to them played backwards and to synthetic speech in eleven languages
(`learning.asr_language`, which writes `models/language.json`), as the shipped weights hear it. It
is asked only about what is doubtful anyway: no sure answer is thrown away for an accent.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from voicebot.asr.batches import Frames
from voicebot.asr.confidence import Logistic
from voicebot.asr.confidence_features import Vector

FILE = Path(__file__).parent / "models" / "language.json"
FOREIGN = 0.8
"""Of 410 training recordings one is above, judged by models fitted to the others (LOG.md)."""
DOUBTFUL = 0.5
"""Confidence from which on an utterance is believed, whatever it sounds like."""


def statistics(frames: Frames) -> Vector:
    """float32[T > 0, dim] -> float64[2 * dim]: mean and standard deviation of each channel."""
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float64)


def is_foreign(frames: Frames, model: Logistic) -> bool:
    """Whether `model` takes an utterance's frames, float32[T, dim], for another language."""
    return len(frames) > 0 and float(model(statistics(frames)[None])[0]) > FOREIGN


@cache
def shipped() -> Logistic | None:
    """The parameters in the package, for the shipped weights alone; None before they are fitted."""
    return read(FILE) if FILE.is_file() else None


def read(path: Path) -> Logistic:
    """Parameters from a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    mean, scale, weights = (
        np.array(content[name], np.float64) for name in ("mean", "scale", "weights")
    )
    return Logistic(mean, scale, weights, float(content["bias"]))
