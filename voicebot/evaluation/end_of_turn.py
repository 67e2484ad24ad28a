"""How often a caller is cut off in a pause, and how long one who has finished waits.

Measured on calls of held-out callers made of real recordings with their own pauses
(end_of_turn_calls.py says how). The VAD hears each call; at each pause, at its first sign, a judge
says how probable it is that the turn is over; the endpointer's rule
(`judged_patience`) turns that into a length of silence that ends the turn.

A turn is cut off when in any of its pauses the turn is declared over before the VAD hears the
caller again: a window of speech that begins holds the decision, as the listener does. Latency is
the time from the last window of speech of a turn to the decision, at every turn, cut off or not;
decisions fall on the VAD's windows of 32 ms, and not before the recogniser can have answered.
The endpointer counts silence from where speech is taken to have ended, END_LAG_SAMPLES before
the VAD's last window of it, and so does the rule here.

The rule has one scale, the silence that belongs to probability 1/2. It is swept; at each value
the share of turns cut off and the mean latency are a point. "At 300 ms" is the least share
among points whose mean latency is 300 ms at most; "latency at 5 %" the least mean latency among
points with at most 5 % cut off. The judges:

vad          none: a fixed length of silence, which is swept itself
smart turn   turns.smart_turn, asked after 200 ms of silence as Pipecat does, calibrated
own          turns.end_of_turn on the recogniser's encoder, asked when the listener asks
combined     the sum of the log-odds of both
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicebot.asr.recogniser import Recogniser
from voicebot.engine.dips import fallen_at
from voicebot.evaluation.end_of_turn_calls import (
    Call,
    Signal,
    Turn,
    clip,
    make_calls,
    read,
    turns_of,
)
from voicebot.evaluation.end_of_turn_result import Curve, EndOfTurnResult
from voicebot.events import SAMPLE_RATE_HZ, Timeouts
from voicebot.turns.answer import AHEAD_SAMPLES
from voicebot.turns.end_of_turn import EndOfTurn
from voicebot.turns.patience import CERTAIN_SHARE, EVEN_MS, judged_patience
from voicebot.turns.smart_turn import SmartTurn
from voicebot.turns.vad import END_LAG_SAMPLES, WINDOW_SAMPLES

WINDOW_MS = WINDOW_SAMPLES * 1000 // SAMPLE_RATE_HZ
LAG_MS = END_LAG_SAMPLES * 1000 // SAMPLE_RATE_HZ
ANSWER_MS, READ_MS = 130, 60
"""Between the request and a judgement: encoding and decoding a sentence on one core; and decoding
alone, where all was read at the fall of the voice already (medians of training callers' free
sentences in virtual calls: 120 of 42 and 57 ms of CPU of 62 requests)."""
SMART_TURN_SAMPLES = SAMPLE_RATE_HZ // 5
SMART_TURN_CALIBRATION = (0.13, -0.31)
"""Slope and offset of its log-odds, fitted to 900 pauses of the training's callers: on the
telephone its certainty means little."""
SHORTEST_MS = int(Timeouts().complete_ms * CERTAIN_SHARE)
LONGEST_MS = Timeouts().incomplete_ms
"""Bounds of patience in the sweep: the product's."""
SCALES = range(-1500, 3001, 20)
JUDGES = ("vad", "smart turn", "own", "combined")
KINDS = ("sentence", "order")
BATCH = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """A turn and the probability that it is over, at each of its pauses and at its end.

    `answers_ms`: how long after the request each judgement comes; ANSWER_MS where not told.
    """

    pauses_ms: tuple[float, ...]
    probabilities: tuple[float, ...]
    answers_ms: tuple[int, ...] = ()

    def decided_ms(self, even_ms: int, shortest_ms: int, longest_ms: int) -> list[int]:
        """See the function; of each pause, and of the end."""
        answers = self.answers_ms or (ANSWER_MS,) * len(self.probabilities)
        return [
            decided_ms(probability, even_ms, shortest_ms, longest_ms, answer_ms=answer)
            for probability, answer in zip(self.probabilities, answers, strict=True)
        ]


def run(
    directory: Path,
    *,
    recogniser: Recogniser,
    tell: Callable[[str], None] = lambda _: None,
    limit: int | None = 200,
    judges: Sequence[str] = JUDGES,
) -> EndOfTurnResult:
    """Measure on at most `limit` recordings of each kind in `directory` (shared/audio's layout)."""
    recordings, is_held_out = read(directory, limit)
    calls = make_calls(recordings)
    turns = turns_of(calls, recogniser)
    tell(f"end of turn: {len(turns)} turns in {len(calls)} calls")
    ends = _read_until(calls, turns)
    probabilities: dict[str, list[float]] = {}
    if {"own", "combined"} & set(judges):
        probabilities["own"] = _own(calls, turns, ends, recogniser)
        tell("end of turn: judged by the recogniser's encoder")
    if {"smart turn", "combined"} & set(judges):
        probabilities["smart turn"] = _smart_turn(calls, turns)
        tell("end of turn: judged by Smart Turn")
    if "combined" in judges:
        probabilities["combined"] = _combined(*probabilities.values())
    return _result(turns, ends, probabilities, judges, is_held_out)


def _result(
    turns: Sequence[Turn],
    ends: Sequence[int],
    probabilities: dict[str, list[float]],
    judges: Sequence[str],
    is_held_out: bool,
) -> EndOfTurnResult:
    kinds = [kind for kind in KINDS if any(turn.kind == kind for turn in turns)]
    judged = {judge: _by_turn(turns, ends, values) for judge, values in probabilities.items()}
    # A fixed length of silence is the rule for a judge that always knows as little.
    judged["vad"] = _by_turn(turns, ends, [0.5] * len(ends))
    curves: dict[str, dict[str, Curve]] = {}
    shipped: dict[str, dict[str, float]] = {}
    for kind in kinds:
        of_kind = {
            judge: [j for turn, j in zip(turns, judged[judge], strict=True) if turn.kind == kind]
            for judge in judged
        }
        curves[kind] = {judge: sweep(of_kind[judge]) for judge in judges}
        shipped[kind] = as_shipped(of_kind["own" if "own" in of_kind else "vad"])
    return EndOfTurnResult(
        {kind: sum(turn.kind == kind for turn in turns) for kind in kinds},
        {k: sum(t.kind == k and max(t.pauses_ms, default=0) >= 200 for t in turns) for k in kinds},
        curves,
        shipped,
        is_held_out,
    )


def _by_turn(
    turns: Sequence[Turn], ends: Sequence[int], probabilities: Sequence[float]
) -> list[Judged]:
    each, until = iter(probabilities), iter(ends)
    judged = []
    for turn in turns:
        asked = [stretch.end_at + AHEAD_SAMPLES for stretch in turn.spoken]
        answers = tuple(READ_MS if next(until) < at else ANSWER_MS for at in asked)
        values = tuple(next(each) for _ in turn.spoken)
        judged.append(Judged(tuple(turn.pauses_ms), values, answers))
    return judged


# ---------------------------------------------------------------- judges


def _read_until(calls: Sequence[Call], turns: Sequence[Turn]) -> list[int]:
    """Where what is judged of each stretch of speech ends: at the fall of the voice, or where it
    is asked about."""
    return [
        fallen_at(calls[turn.call].samples, stretch.end_at + AHEAD_SAMPLES)
        for turn in turns
        for stretch in turn.spoken
    ]


def _own(
    calls: Sequence[Call], turns: Sequence[Turn], ends: Sequence[int], recogniser: Recogniser
) -> list[float]:
    head, found = EndOfTurn(), []
    of_stretch = (turn for turn in turns for _ in turn.spoken)
    clips = [
        clip(calls[turn.call].samples, turn.begins_at, turn.spoken[0], until)
        for turn, until in zip(of_stretch, ends, strict=True)
    ]
    for batch in _batches(clips):
        judged = head.probabilities(recogniser.encode(batch), [len(audio) for audio in batch])
        found += [0.5 if probability is None else probability for probability in judged]
    return found


def _smart_turn(calls: Sequence[Call], turns: Sequence[Turn]) -> list[float]:
    net, found = SmartTurn(), []
    clips = [
        clip(
            calls[turn.call].samples,
            turn.begins_at,
            turn.spoken[0],
            stretch.end_at + SMART_TURN_SAMPLES,
        )
        for turn in turns
        for stretch in turn.spoken
    ]
    for batch in _batches(clips):
        found += [float(probability) for probability in net.probabilities(batch)]
    slope, offset = SMART_TURN_CALIBRATION
    return [_probability(slope * _log_odds(probability) + offset) for probability in found]


def _combined(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [_probability(_log_odds(a) + _log_odds(b)) for a, b in zip(one, other, strict=True)]


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _log_odds(probability: float) -> float:
    within = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(within / (1 - within))


def _batches(clips: Sequence[Signal]) -> Iterator[Sequence[Signal]]:
    for begin in range(0, len(clips), BATCH):
        yield clips[begin : begin + BATCH]


# ---------------------------------------------------------------- the policy


def decided_ms(
    probability: float,
    even_ms: int,
    shortest_ms: int = SHORTEST_MS,
    longest_ms: int = LONGEST_MS,
    *,
    answer_ms: int = ANSWER_MS,
) -> int:
    """From the VAD's last window of speech to the window in which the turn is declared over."""
    ready_ms = AHEAD_SAMPLES * 1000 // SAMPLE_RATE_HZ + answer_ms
    patience = judged_patience(
        probability, shortest_ms=shortest_ms, longest_ms=longest_ms, even_ms=even_ms
    )
    silent_ms = max(patience - LAG_MS, min(ready_ms, longest_ms - LAG_MS))
    return -(-silent_ms // WINDOW_MS) * WINDOW_MS


def sweep(turns: Sequence[Judged]) -> Curve:
    """A point for each scale."""
    points = []
    for even_ms in SCALES:
        cut, waits = outcomes(turns, even_ms)
        points.append((waits.mean(), cut.mean()))
    return Curve(np.array(points, np.float64))


def outcomes(
    turns: Sequence[Judged],
    even_ms: int,
    shortest_ms: int = SHORTEST_MS,
    longest_ms: int = LONGEST_MS,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """For each turn: whether it is cut off, and how long after its end it is declared over."""
    cut, waits = [], []
    for turn in turns:
        decided = turn.decided_ms(even_ms, shortest_ms, longest_ms)
        cut.append(any(ms <= pause for ms, pause in zip(decided, turn.pauses_ms, strict=False)))
        waits.append(decided[-1])
    return np.array(cut, np.bool_), np.array(waits, np.float64)


def as_shipped(turns: Sequence[Judged]) -> dict[str, float]:
    """Cutoffs and latency of the product's setting, by the default timeouts of a plan."""
    timeouts = Timeouts()
    shortest_ms = int(timeouts.complete_ms * CERTAIN_SHARE)
    cut, waits = outcomes(turns, EVEN_MS, shortest_ms, timeouts.incomplete_ms)
    p50, p95 = np.percentile(waits, [50, 95])
    mean = float(waits.mean())
    return {
        "cutoffs": float(cut.mean()),
        "mean_ms": mean,
        "p50_ms": float(p50),
        "p95_ms": float(p95),
    }
