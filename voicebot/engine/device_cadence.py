"""How often a lane steps: time that the device can spare is spent on answers that come sooner.

A step costs the same whoever takes part, so what goes on (audio that is late, utterances that
ended or began within a chunk) is best computed with the lane's next one. Let L be the share of the
time that one step of every lane in each chunk takes. If none steps again before L / UTILISATION of
a chunk has passed, the device is never busier than UTILISATION, and one that is hardly used
answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicebot.engine.device_admission import UTILISATION, Admission

GRACE_S = 0.02
"""A lane waits at least so long for the audio of those who are late; they miss its step then."""
FLUSH_SHARE = 0.25
"""Of a chunk: no lane steps more often only because utterances in it have ended."""
FINAL_S = 0.35
"""An utterance that ended is computed after this time, however busy the device is: more than a
chunk of 320 ms, of which no final needs a step of its own."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds since a lane's last step: `step_s` before one that not all callers are ready for,
    `flush_s` before one only for utterances that ended."""

    step_s: float
    flush_s: float

    @classmethod
    def of(cls, chunk_s: float, admission: Admission, lanes: Sequence[int]) -> Cadence:
        """Of lanes with these batch sizes. Where nothing is known of steps yet, ended utterances
        wait for the lane's next one."""
        used = sum(admission.predicted(rows) for rows in lanes if rows) / chunk_s
        share = min(1.0, used / UTILISATION)
        flush = max(FLUSH_SHARE, share) if used else 1.0
        grace = GRACE_S if flush == 1.0 else 0.0  # the next step is about to come anyway
        return cls(share * chunk_s, min(FINAL_S, flush * chunk_s + grace))
