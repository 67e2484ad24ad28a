"""Train the gate of barge-in: `python -m voicebot.learning.near_end DIR`.

DIR holds recordings as the README of the recordings tells (phone_calls, barista, digits,
read_sentences, noise; what is missing is done without). Calls are simulated (near_end_calls.py),
heard with the product's own canceller (near_end_hearing.py), a small net is fitted to the truth
(near_end_training.py), its threshold set by speakers that it has not heard, and all is measured on
speakers, voices and telephones that took no part (near_end_marks.py). Seeded; twenty minutes on
one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from voicebot.audio.echo import EchoCanceller
from voicebot.errors import AudioFileError, UserMistake
from voicebot.learning.near_end_calls import (
    CALL_SAMPLES,
    Circumstances,
    make_call,
    matrix_circumstances,
    training_circumstances,
)
from voicebot.learning.near_end_corpus import Voices, load
from voicebot.learning.near_end_hearing import Ears, Heard
from voicebot.learning.near_end_marks import Gate, Marks, measure, rules, silero_alone
from voicebot.learning.near_end_training import fit, run_all, save, set_threshold
from voicebot.turns.near_end import MODEL_PATH, load_weights

SLOTS = 64
FALSE_PER_MINUTE = 0.35
"""What the threshold allows in the echo matrix before anything is confirmed, with speakers that
took no part in training: each is a pause of the prompt, which the words that are not there end."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; `calls` of 20 s each."""

    calls: int = 3072
    threshold_calls: int = 512
    test_calls: int = 640
    epochs: int = 24
    files: int = 1600
    slots: int = SLOTS
    seed: int = 20


SMOKE = Plan(calls=4, threshold_calls=2, test_calls=2, epochs=2, files=4, slots=4)
"""Everything once, in seconds: shows that it runs, not that it learns."""


@dataclass(frozen=True, slots=True)
class Report:
    """Marks on what took no part: no gate, the rules, the net."""

    silero: Marks
    rules: Marks
    net: Marks

    def __str__(self) -> str:
        return f"no gate   {self.silero}\nrules     {self.rules}\nlearned   {self.net}"


def hear_calls(
    voices: Voices,
    count: int,
    circumstances: Callable[[np.random.Generator], Circumstances],
    *,
    slots: int,
    seed: int,
    tell: Tell,
    is_varied: bool = False,
) -> list[Heard]:
    """`count` simulated calls as the product hears them; `is_varied` as make_call says."""
    rng = np.random.default_rng(seed)
    ears = Ears(slots, EchoCanceller(slots))
    heard: list[Heard] = []
    while len(heard) < count:
        batch = min(slots, count - len(heard))
        calls = [
            make_call(voices, circumstances(rng), rng, is_varied=is_varied) for _ in range(batch)
        ]
        heard += [call.without_sound() for call in ears.hear(calls)]
        tell(f"{len(heard)} of {count} calls heard")
    return heard


def matrix_calls(voices: Voices, plan: Plan, seed: int, tell: Tell) -> list[Heard]:
    """The echo matrix of the design page: every other call without a caller."""
    return hear_calls(
        voices,
        plan.test_calls,
        lambda rng: matrix_circumstances(rng, has_caller=bool(rng.random() < 0.5)),
        slots=plan.slots,
        seed=seed,
        tell=tell,
    )


def gate_from(path: Path, calls: Sequence[Heard]) -> Gate:
    """The shipped detector's net on these calls."""
    found = run_all(load_weights(path), calls)
    return lambda call: found[id(call)]


def report(path: Path, calls: Sequence[Heard]) -> Report:
    """The marks of the model in `path`, and of what it has to beat."""
    net = gate_from(path, calls)
    return Report(measure(calls, silero_alone), measure(calls, rules), measure(calls, net))


def run(folder: Path, *, plan: Plan, out: Path = MODEL_PATH, tell: Tell = print) -> Report:
    """Train, set the threshold, save to `out`, measure."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(plan.seed)
    voices = load(folder, side="training", rng=rng, limit=plan.files, tell=tell)
    training = hear_calls(
        voices,
        plan.calls,
        training_circumstances,
        slots=plan.slots,
        seed=plan.seed + 1,
        tell=tell,
        is_varied=True,
    )
    hours = len(training) * CALL_SAMPLES / 8000 / 3600
    tell(f"{hours:.1f} hours of calls; fitting")
    weights = fit(training, epochs=plan.epochs, seed=plan.seed, tell=tell)
    del training
    echoes = hear_calls(
        _others(folder, voices, rng, plan, tell),
        plan.threshold_calls,
        lambda rng: matrix_circumstances(rng, has_caller=bool(rng.random() < 0.5)),
        slots=plan.slots,
        seed=plan.seed + 2,
        tell=tell,
    )
    weights = set_threshold(weights, echoes, false_per_minute=FALSE_PER_MINUTE, tell=tell)
    save(weights, out)
    tell(f"{out}: saved")
    strangers = load(folder, side="held out", rng=rng, limit=plan.files, tell=tell)
    return report(out, matrix_calls(strangers, plan, plan.seed + 3, tell))


def _others(
    folder: Path, voices: Voices, rng: np.random.Generator, plan: Plan, tell: Tell
) -> Voices:
    """Who sets the threshold: strangers to the net, where the folder has enough speakers."""
    try:
        return load(folder, side="tuning", rng=rng, limit=plan.files, tell=tell)
    except AudioFileError:
        tell("too few speakers: those that the net has heard set its threshold")
        return voices


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m voicebot.learning.near_end")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of recordings")
    parser.add_argument("--out", type=Path, default=MODEL_PATH, help="where to save the weights")
    parser.add_argument("--smoke", action="store_true", help="a few calls only: does it run?")
    parser.add_argument("--measure", action="store_true", help="only measure the model in --out")
    parser.add_argument("--seed", type=int, default=Plan().seed)
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)

    base = SMOKE if options.smoke else Plan()
    plan = replace(base, seed=options.seed)
    try:
        if options.measure:
            rng = np.random.default_rng(plan.seed)
            voices = load(options.folder, side="held out", rng=rng, limit=plan.files, tell=tell)
            found = report(options.out, matrix_calls(voices, plan, plan.seed + 3, tell))
        else:
            found = run(options.folder, plan=plan, out=options.out, tell=tell)
    except UserMistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
