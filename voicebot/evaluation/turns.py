"""`voicebot eval turns`: does it know when a caller begins, wants the floor, and has finished?

All but the recordings is virtual: calls of the product's own parts in virtual time (virtual_call),
seeds fixed. Sentences, keywords, orders and digits are recordings of callers held out of every
training; nods, "yes" and "no" have no recordings and are synthetic (turns_corpus). Measured are

- onset: caller's onset to speech started, the line quiet (turns_onset);
- yield, backchannels, heard text, resumption: callers who talk over prompts, in one run with the
  same settings (turns_floor);
- false cutoffs and latency at 5 % of them: sentences joined with real pauses (end_of_turn);
- digits: numbers read out (turns_digits);
- response: end of speech to the dialogue's turn, with the recogniser's real times
  (turns_response);
- keys: signalled, in-band and pressed early (turns_keys);
- disturbances: noise, music, bad lines, lost packets (turns_robust).

The marks in the table are those of the design.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.evaluation import (
    end_of_turn,
    turns_digits,
    turns_floor,
    turns_keys,
    turns_onset,
    turns_response,
    turns_robust,
)
from voicebot.evaluation.parts import make_runner
from voicebot.evaluation.turns_corpus import load_corpus
from voicebot.evaluation.turns_result import TurnsResult

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.engine.runner import Runner

SEED = 3
SLOTS = 64
"""Calls in one batch."""
RECORDINGS, QUICK_RECORDINGS = 200, 60
"""Of each kind, for the ends of turns."""


def run(
    directory: Path,
    *,
    recogniser: Recogniser,
    quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    make: Callable[[int, Recogniser], Runner] = make_runner,
) -> TurnsResult:
    """Everything, some minutes; `quick`: parts of it, about a minute.

    `tell` is given a line of progress now and then. `make(slots, recogniser)` builds what is
    measured. UserMistake when `directory` is not laid out like shared/audio.
    """
    tell("reading the recordings")
    corpus = load_corpus(directory)
    runner = make(SLOTS, recogniser)
    onsets = turns_onset.measure(runner, SLOTS, corpus, seed=SEED, quick=quick, tell=tell)
    floor = turns_floor.measure(runner, SLOTS, corpus, seed=SEED, quick=quick, tell=tell)
    digits = turns_digits.measure(runner, SLOTS, corpus, seed=SEED, quick=quick, tell=tell)
    responses, compute_s = turns_response.measure(
        runner, SLOTS, corpus, seed=SEED, quick=quick, tell=tell
    )
    tell("keys")
    keys = turns_keys.measure(runner, SLOTS, corpus, seed=SEED)
    rows = turns_robust.measure(runner, SLOTS, corpus, seed=SEED, quick=quick, tell=tell)
    tell("ends of turns")
    cutoffs = end_of_turn.run(
        directory,
        recogniser=recogniser,
        tell=tell,
        limit=QUICK_RECORDINGS if quick else RECORDINGS,
        judges=("vad", "own"),
    ).as_dict()
    return TurnsResult(
        onsets, floor, digits, responses, compute_s, keys, rows, cutoffs, corpus.is_held_out
    )
