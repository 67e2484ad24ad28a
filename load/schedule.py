"""What is played when, fixed before the first call. Pure.

Every choice depends on the seed, the line and the number of the call on it, never on how
fast the server answered: two runs against two servers ask the same of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

STAGGER_S = 0.1
"""Between the first calls of two lines, so that not all greetings are rendered at once."""
LONGEST_RAMP_S = 5.0
REDIAL_S = 1.0
"""From the end of a call to the next one of its line."""


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """A caller's turn: which recording, and whether it is spoken over the bot's prompt."""

    recording: int
    is_barge_in: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """`lines` callers, each placing one call after the other until `seconds` have passed.

    A call has up to `turns` turns, each one of `recordings` recordings; the share
    `barge_in` of them interrupts the bot.
    """

    lines: int
    seconds: float
    recordings: int
    turns: int = 20
    barge_in: float = 0.1
    seed: int = 0

    def start_s(self, line: int) -> float:
        """When the line places its first call, from the start of the run."""
        ramp_s = min(STAGGER_S * self.lines, LONGEST_RAMP_S, self.seconds / 4)
        return ramp_s * line / self.lines

    def call(self, line: int, number: int) -> list[PlannedTurn]:
        """The turns of the line's call `number`."""
        chance = random.Random(f"{self.seed}/{line}/{number}")
        return [
            PlannedTurn(chance.randrange(self.recordings), chance.random() < self.barge_in)
            for _ in range(self.turns)
        ]
