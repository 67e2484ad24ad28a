"""What goes into a lane's step on a device, and what it tells. Numpy alone.

A lane is a run of slots that advance together; see fastconformer_device, engine.device_engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LaneChunk:
    """The next chunk of a lane's first n rows."""

    audio: NDArray[np.int16]  # [n, chunk_samples]
    active: NDArray[np.bool_]  # [n]; rows that are not stay as they are
    ends: NDArray[np.int64]
    """[n]: where a row's audio ends, in its samples from the beginning (without the lead); a
    negative number while it goes on."""


@dataclass(frozen=True, slots=True)
class LaneStep:
    """Labels of row rows[i] are tokens[splits[i] : splits[i + 1]].

    `frames` count from the chunk's first; `failed`: rows whose numbers were not finite; `stage_s`:
    seconds of the device by stage.
    """

    rows: NDArray[np.int64]
    splits: NDArray[np.int64]
    tokens: NDArray[np.int32]
    frames: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    failed: tuple[int, ...]
    stage_s: dict[str, float]

    def labels(self) -> Iterator[tuple[int, list[int], list[int], list[float]]]:
        """(row, tokens, frames, log-probabilities) of every row that said something."""
        tokens, frames = self.tokens.tolist(), self.frames.tolist()
        log_probs, splits = self.log_probs.tolist(), self.splits.tolist()
        for index, row in enumerate(self.rows.tolist()):
            part = slice(splits[index], splits[index + 1])
            yield row, tokens[part], frames[part], log_probs[part]
