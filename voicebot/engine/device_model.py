"""What the engine of a device needs of a model, and what it tells of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebot.asr.lanes import LaneChunk, LaneStep


class LaneModel(Protocol):
    """A model on a device; see asr.fastconformer_device.FastConformerLanes."""

    chunk_samples: int
    lead_samples: int
    input_hz: int
    frames: int
    lane_rows: int
    buckets: Sequence[int]

    def add_lane(self) -> None:
        """Room for `lane_rows` more; CapacityError where there is none."""

    def reset(self, lane: int, rows: Sequence[int]) -> None:
        """New callers take these rows."""

    def chunks_of(self, samples: int) -> int:
        """Steps until audio of that length is all said."""

    def submit(self, number: int, chunk: LaneChunk) -> None:
        """Begin a step of a lane."""

    def collect(self, number: int) -> LaneStep:
        """Wait for it."""

    def is_alive(self) -> bool:
        """Whether the device answers at all; asked after a step has failed."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What became known of one call.

    `frames`: of each token, from the utterance's beginning. `is_final`: the utterance asked for by
    `finish` is complete, the slot begins the next one. `is_failed`: its computation failed; what
    it said is lost from the last final on, and it begins anew.
    """

    slot: int
    tokens: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    is_final: bool = False
    is_failed: bool = False
