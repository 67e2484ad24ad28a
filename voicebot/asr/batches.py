"""Utterances of unlike length in one batch: which go together, and their frames as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from voicebot.asr.moonshine import Dimensions, Encoded
from voicebot.asr.utterance import Samples

Frames = NDArray[np.float32]
NO_FRAMES: Frames = np.zeros((0, Dimensions().width), np.float32)
MAX_PADDING = 0.15
"""Share of the longest item that a shorter one may be padded by to be encoded with it."""


def frames_of(encoded: Encoded, row: int) -> Frames:
    """Those of one piece, without the padding."""
    return np.asarray(encoded.frames[row, : encoded.lengths[row]].float().numpy())


def frames_of_last(encoded: Encoded, pieces: Sequence[Sequence[Samples]]) -> list[Frames]:
    """The frames of each utterance's last piece; `encoded` holds those of all pieces."""
    found, row = [], -1
    for of_one in pieces:
        row += len(of_one)
        if of_one:
            found.append(frames_of(encoded, row).copy())
        else:
            found.append(NO_FRAMES)
    return found


def padded_frames(frames: Sequence[Tensor]) -> Encoded:
    """Frames [T, C] of each as one."""
    lengths = tuple(len(item) for item in frames)
    longest = max(lengths)
    return Encoded(
        torch.stack([F.pad(item, (0, 0, 0, longest - len(item))) for item in frames]), lengths
    )


def similar(lengths: Sequence[int]) -> list[list[int]]:
    """Indices grouped so that none is padded by more than MAX_PADDING of the longest."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True):
        if groups and lengths[index] >= (1 - MAX_PADDING) * lengths[groups[-1][0]]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
