"""What the evaluation of turns came to: figures, a table beside the marks, and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from voicebot.evaluation.turns_digits import DigitsOutcome
from voicebot.evaluation.turns_floor import FLOOR_KINDS, Outcome
from voicebot.evaluation.turns_keys import KeysOutcome
from voicebot.evaluation.turns_onset import Onset
from voicebot.evaluation.turns_response import Response
from voicebot.evaluation.turns_robust import Row

T = TypeVar("T")
QUIET = ("nod", "filler")
"""Kinds that are backchannels; a burst (click, breath) is none, and is counted apart."""


@dataclass(frozen=True, slots=True)
class TurnsResult:
    """Everything that was measured; `end_of_turn`: the figures of evaluation.end_of_turn."""

    onsets: Sequence[Onset]
    floor: Sequence[Outcome]
    digits: Sequence[DigitsOutcome]
    responses: Sequence[Response]
    compute_s: Sequence[float]
    keys: Sequence[KeysOutcome]
    rows: Sequence[Row]
    end_of_turn: dict[str, Any]
    is_held_out: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON: flat figures (ms, shares of 1; None where nothing was measured), then lists."""
        return {
            **self._onset_figures(),
            **self._floor_figures(),
            **self._digits_figures(),
            **self._other_figures(),
            "callers_held_out": self.is_held_out,
            "onset_by": self._onsets_by(),
            "floor_by": self._floor_by(),
            "failures": self._failures(),
            "digits_failures": [o.as_dict() for o in self.digits if _has_failed(o)],
            "robustness": [row.as_dict() for row in self.rows],
            "end_of_turn": self.end_of_turn,
        }

    def table(self) -> str:
        """The figures beside the marks of the design, what was said by what, and what failed."""
        from voicebot.evaluation.turns_table import table

        return table(self)

    def plot(self, path: Path) -> None:
        """Write a PNG; UserMistake where that is not possible."""
        from voicebot.evaluation.turns_plot import draw

        draw(self, path)

    # ------------------------------------------------------------ figures

    @property
    def takers(self) -> list[Outcome]:
        """Trials in which the caller wants the floor."""
        return [o for o in self.floor if o.trial.wants_floor and not o.is_spoiled]

    def others(self, kinds: Sequence[str] = QUIET) -> list[Outcome]:
        """Trials in which he does not."""
        return [o for o in self.floor if o.trial.clip.kind in kinds and not o.is_spoiled]

    def _onset_figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for name, is_soft in (("onset", False), ("onset_soft", True)):
            of = [o.latency_ms for o in self.onsets if o.is_soft is is_soft]
            known = [ms for ms in of if ms is not None]
            figures |= {
                f"{name}_p50_ms": quantile(known, 50),
                f"{name}_p95_ms": quantile(known, 95),
                f"{name}_missed": share(of, lambda ms: ms is None),
            }
        return figures

    def _floor_figures(self) -> dict[str, Any]:
        yields = [o.yield_ms for o in self.takers if o.yield_ms is not None]
        candidates = [o.candidate_ms for o in self.takers if o.candidate_ms is not None]
        off = [abs(o.words_off) for o in self.takers if o.words_off is not None]
        nods = self.others()
        resumed = [o for o in self.floor if o.candidate_ms is not None and not o.took_floor]
        delays = [o.delay_ms for o in resumed if o.delay_ms is not None and o.is_finished]
        return {
            "yield_mean_ms": None if not yields else round(float(np.mean(yields)), 1),
            "yield_p50_ms": quantile(yields, 50),
            "yield_p95_ms": quantile(yields, 95),
            "yield_rate": share(self.takers, lambda o: o.took_floor),
            "yield_tried": len(self.takers),
            "candidate_p50_ms": quantile(candidates, 50),
            "candidate_p95_ms": quantile(candidates, 95),
            "backchannel_selectivity": share(nods, kept),
            "backchannel_unpaused": share(nods, lambda o: o.candidate_ms is None),
            "backchannel_tried": len(nods),
            "noise_selectivity": share(self.others(("burst",)), kept),
            "floor_spoiled": sum(o.is_spoiled for o in self.floor),
            "heard_words_off_p95": quantile(off, 95),
            "resume_tried": len(resumed),
            "resume_finished": share(resumed, lambda o: o.is_finished),
            "resume_words_lost": sum(o.lost_words for o in resumed),
            "resume_delay_p50_ms": quantile(delays, 50),
            "resume_delay_p95_ms": quantile(delays, 95),
        }

    def _digits_figures(self) -> dict[str, Any]:
        known = [o for o in self.digits if o.reading.is_known_length]
        unknown = [o for o in self.digits if not o.reading.is_known_length]

        def latency(of: Sequence[DigitsOutcome], q: float) -> float | None:
            return quantile([o.latency_ms for o in of if o.latency_ms is not None], q)

        return {
            "digits_truncated": share(self.digits, lambda o: o.is_truncated),
            "digits_p50_ms": latency(known, 50),
            "digits_p95_ms": latency(known, 95),
            "digits_unknown_length_truncated": share(unknown, lambda o: o.is_truncated),
            "digits_unknown_length_p50_ms": latency(unknown, 50),
            "digits_unknown_length_p95_ms": latency(unknown, 95),
            "digits_right": share(self.digits, lambda o: o.understood == o.reading.digits),
            "digits_tried": len(self.digits),
        }

    def _other_figures(self) -> dict[str, Any]:
        responses = [o.ms for o in self.responses if o.ms is not None]
        signalled = [o.ms for o in self.keys if o.kind == "signalled"]
        inband = [o.ms for o in self.keys if o.kind == "in-band"]
        ahead = [o.ms for o in self.keys if o.kind == "ahead" and o.ms is not None]
        figures = {
            "response_p50_ms": quantile(responses, 50),
            "response_p95_ms": quantile(responses, 95),
            "response_missed": share(self.responses, lambda o: o.ms is None and not o.is_cut),
            "response_cut": share(self.responses, lambda o: o.is_cut),
            "recognition_p50_ms": quantile([s * 1000 for s in self.compute_s], 50),
            "recognition_p95_ms": quantile([s * 1000 for s in self.compute_s], 95),
            "dtmf_clear_ms": max((ms for ms in signalled if ms is not None), default=None),
            "dtmf_missed": share(self.keys, lambda o: o.entered != o.pressed),
            "dtmf_inband_clear_p95_ms": quantile([ms for ms in inband if ms is not None], 95),
            "dtmf_inband_missed": share(inband, lambda ms: ms is None),
            "dtmf_ahead_ms": quantile(ahead, 50),
            "robust_barge_ins": sum(row.barge_ins for row in self.rows if not row.is_speech),
            "robust_stuck": sum(row.stuck for row in self.rows),
            "robust_errors": sum(bool(row.error) for row in self.rows),
        }
        for kind in ("order", "keyword", "answer"):
            of = [o.ms for o in self.responses if o.clip.kind == kind and o.ms is not None]
            figures[f"response_{kind}_p50_ms"] = quantile(of, 50)
        for key in ("false_cutoffs_300", "false_cutoffs_600", "latency_5pct_ms"):
            figures[key] = self.end_of_turn.get(key)
        return figures

    # ------------------------------------------------------------ lists

    def _onsets_by(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for phone in sorted({o.clip.phone for o in self.onsets}):
            for name, is_soft in (("as recorded", False), ("-46 dBFS", True)):
                of = [o for o in self.onsets if o.clip.phone == phone and o.is_soft is is_soft]
                known = [o.latency_ms for o in of if o.latency_ms is not None]
                found[f"{phone}, {name}"] = {
                    "tried": len(of),
                    "p50_ms": quantile(known, 50),
                    "p95_ms": quantile(known, 95),
                    "missed": share(of, lambda o: o.latency_ms is None),
                }
        return found

    def _floor_by(self) -> dict[str, dict[str, Any]]:
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.floor:
            if outcome.is_spoiled:
                continue
            trial = outcome.trial
            origin = "synthetic" if trial.clip.is_synthetic else "recorded"
            groups.setdefault(f"{trial.clip.kind} ({origin})", []).append(outcome)
            line = "speakerphone with echo" if trial.is_speakerphone else "handset"
            wants = "floor" if trial.clip.kind in FLOOR_KINDS else "no floor"
            groups.setdefault(f"{wants}, {line}", []).append(outcome)
        return {name: _group(of) for name, of in sorted(groups.items())}

    def _failures(self) -> list[dict[str, object]]:
        wrong = (o for o in self.floor if o.took_floor is not o.trial.wants_floor)
        return [o.as_dict() for o in wrong if not o.is_spoiled]


def kept(outcome: Outcome) -> bool:
    """The prompt went on to its end and the floor was not taken."""
    return not outcome.took_floor and outcome.is_finished


def _group(of: Sequence[Outcome]) -> dict[str, Any]:
    candidates = [o.candidate_ms for o in of if o.candidate_ms is not None]
    yields = [o.yield_ms for o in of if o.yield_ms is not None]
    return {
        "tried": len(of),
        "took_floor": share(of, lambda o: o.took_floor),
        "paused": share(of, lambda o: o.candidate_ms is not None or o.took_floor),
        "candidate_p50_ms": quantile(candidates, 50),
        "yield_p50_ms": quantile(yields, 50),
        "yield_p95_ms": quantile(yields, 95),
    }


def _has_failed(outcome: DigitsOutcome) -> bool:
    return outcome.is_truncated or outcome.latency_ms is None or _is_slow(outcome)


def _is_slow(outcome: DigitsOutcome) -> bool:
    """Known to be complete, had it been understood."""
    return outcome.reading.is_known_length and (outcome.latency_ms or 0) > 1000


def quantile(values: Sequence[float], q: float) -> float | None:
    """The q-th percentile; None of nothing."""
    return round(float(np.percentile(values, q)), 1) if len(values) else None


def share(of: Sequence[T], holds: Callable[[T], bool]) -> float | None:
    """For how many of 1 it holds; None of nothing."""
    return round(sum(holds(item) for item in of) / len(of), 4) if len(of) else None
