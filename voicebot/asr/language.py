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
from voicebot.asr.moonshine import Dimensions
from voicebot.errors import ModelUnavailable
from voicebot.events import Hypothesis

FILE = Path(__file__).parent / "models" / "language.json"
FOREIGN = 0.8
"""Of 410 training recordings one is above, judged by models fitted to the others (LOG.md)."""
DOUBTFUL = 0.5
"""Confidence from which on an utterance is believed, whatever it sounds like."""
SURE_WORDS = 0.7
"""So is one, where nothing is expected, whose words are on average as sure as that: one of them
alone is doubtful (LOG.md)."""


def statistics(frames: Frames) -> Vector:
    """float32[T > 0, dim] -> float64[2 * dim]: mean and standard deviation of each channel."""
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float64)


def is_doubtful(heard: Hypothesis, is_expected: bool) -> bool:
    """Whether what was heard may be another language at all; `is_expected`: if something was."""
    sure = sum(word.confidence for word in heard.words) / max(1, len(heard.words))
    return bool(heard.text) and heard.confidence < DOUBTFUL and (is_expected or sure < SURE_WORDS)


def is_foreign(frames: Frames, model: Logistic) -> bool:
    """Whether `model` takes an utterance's frames, float32[T, dim], for another language."""
    return len(frames) > 0 and float(model(statistics(frames)[None])[0]) > FOREIGN


@cache
def fitted_to(weights: str) -> Logistic | None:
    """The parameters in the package; None where they were fitted to other weights than those of
    this checksum, or are not there."""
    if not FILE.is_file():
        return None
    model, of = read(FILE)
    return model if of == weights else None


def read(path: Path) -> tuple[Logistic, str]:
    """Parameters from a file, and the checksum of the weights that they are for.

    ModelUnavailable (one line) when it holds none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        mean, scale, weights = (
            np.array(content[name], np.float64) for name in ("mean", "scale", "weights")
        )
        model = Logistic(mean, scale, weights, float(content["bias"]))
        of = str(content["fitted_to"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelUnavailable(f"{path}: damaged; reinstall voicebot") from None
    is_whole = weights.shape == mean.shape == scale.shape == (2 * Dimensions().width,)
    if not (is_whole and np.isfinite([*mean, *weights, model.bias]).all() and (scale > 0).all()):
        raise ModelUnavailable(f"{path}: damaged; reinstall voicebot")
    return model, of
