"""A recogniser with weights that are not the product's own: to follow a training, or compare."""

from __future__ import annotations

from pathlib import Path

import torch

from voicebot.asr import checkpoint, quantise
from voicebot.asr.moonshine import Dimensions
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.vocabulary import Vocabulary
from voicebot.errors import UserMistake


def recogniser_of(path: Path, threads: int) -> Recogniser:
    """As callers would get it, int8 where that is worthwhile; UserMistake for another file."""
    weights = checkpoint.read(path, Dimensions())
    if weights is None:
        raise UserMistake(
            f"{path}: is no sound checkpoint of the recogniser; give a model.safetensors that "
            "`voicebot train asr` wrote"
        )
    torch.set_num_threads(threads)
    model = checkpoint.build(weights)
    if quantise.is_worthwhile():
        model = quantise.quantise(model)
    return Recogniser.of(model, Vocabulary(weights.tokens))
