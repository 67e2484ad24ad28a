"""Train the head that hears a hot word: `python -m voicebot.learning.hotword DIR --word operator`.

DIR holds recordings as the README of the recordings tells; the word must be one that callers of
`phone_calls` say. Windows are cut around the word and away from it, worn and coded at random
(hotword_windows.py), espeak adds voices and words that sound alike (hotword_corpus.py), the
recogniser's encoder turns them into features. Then every recording is streamed through the
product's own procedure (hotword_trial.py). Four nets are fitted (hotword_training.py); what may be
learnt from sets the threshold, each recording judged by the net that does not know its speaker;
what is held out tells how good the whole is. Seeded; about a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray

from voicebot.asr.recogniser import Recogniser
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning import hotword_trial as trial
from voicebot.learning.hotword_corpus import SYNTHETIC, Clip, Samples, recorded, spoken, texts
from voicebot.learning.hotword_training import (
    ALL,
    FOLDS,
    NONE,
    Examples,
    Net,
    fit,
    fold_of,
    logits,
    save,
)
from voicebot.learning.hotword_trial import Result, Spot, judge
from voicebot.learning.hotword_windows import Cut, half_said, negatives, positives, render
from voicebot.turns.hotword_head import FEATURE_SIZE, MODELS, WINDOW_SAMPLES

RECOGNISER_HZ = 16000
FRAMES = 2 * WINDOW_SAMPLES // 384
"""Room for the encoder frames of a window (asr/moonshine.py, FRAME_SAMPLES)."""
BATCH = 32
THRESHOLDS = np.linspace(0.02, 0.995, 196)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; `false_alarms_per_hour` sets the threshold."""

    spoken: tuple[int, int, int] = (320, 600, 500)
    per_word: int = 8
    half_per_word: int = 4
    hop_s: float = 2.0
    false_alarms_per_hour: float = 0.5
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Report:
    """The nets, the threshold (a probability) and what it gives, by kind of recording.

    `cross_validated`: one net on speakers it does not know; `held_out`: all nets together.
    """

    nets: list[Net]
    threshold: float
    cross_validated: dict[str, Result]
    held_out: dict[str, Result]
    windows: dict[str, int]

    def __str__(self) -> str:
        lines = [f"threshold {self.threshold:.3f}"]
        lines += [f"cross-validated, {name}: {it}" for name, it in self.cross_validated.items()]
        lines += [f"held out, {name}: {it}" for name, it in self.held_out.items()]
        return "\n".join(lines)

    def facts(self, plan: Plan) -> dict[str, object]:
        """For the header of the weights file."""
        return {"seed": plan.seed, "windows": self.windows, "figures": str(self).splitlines()}


def train(directory: Path, word: str, recogniser: Recogniser, plan: Plan, tell: Tell) -> Report:
    """Everything from recordings to figures; UserMistake when nobody says the word."""
    rng = np.random.default_rng(plan.seed)
    clips = list(recorded(directory, word))
    if not any(clip.words for clip in clips):
        raise UserMistake(f"{directory}: nobody says {word!r} in phone_calls; choose another word")
    made = list(spoken(word, texts(directory, word), plan.spoken, rng))
    noises = [clip for clip in clips if clip.source == "noise"]
    clips = [clip for clip in clips if clip.source != "noise"]
    voices = [clip for clip in made if not clip.words and len(clip.samples) > SAMPLE_RATE_HZ]
    chosen = cuts([*(clip for clip in clips if not clip.is_held_out), *made], plan, rng)
    tell(f"{len(clips)} recordings: voice activity")
    spots = trial.spots(clips)
    stream = _streamed(clips, spots)

    def window(index: int) -> Samples:
        if index >= len(chosen):
            return stream(index - len(chosen))
        return render(chosen[index], voices, noises, plan.seed * 1_000_003 + index)

    encoded = encode(recogniser, window, len(chosen) + len(spots), tell)
    return conclude(clips, chosen, spots, encoded, plan, tell)


def cuts(clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> list[Cut]:
    """Where windows are cut to be worn and learnt from."""
    found: list[Cut] = []
    for clip in clips:
        fewer = 2 if clip.source == SYNTHETIC else 1
        found += positives(clip, plan.per_word // fewer, rng)
        found += half_said(clip, plan.half_per_word // fewer, rng)
        found += negatives(clip, int(plan.hop_s * SAMPLE_RATE_HZ), rng)
    return found


def _streamed(clips: Sequence[Clip], spots: Sequence[Spot]) -> Callable[[int], Samples]:
    """Windows by number; the stream last used is kept, since spots come clip by clip."""
    kept: dict[int, Samples] = {}

    def window(index: int) -> Samples:
        spot = spots[index]
        if spot.clip not in kept:
            kept.clear()
            kept[spot.clip] = trial.stream(clips[spot.clip])
        return trial.window(kept[spot.clip], spot.at)

    return window


def encode(
    recogniser: Recogniser, window: Callable[[int], Samples], count: int, tell: Tell
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Windows 0..count at 8 kHz as float16[count, FRAMES, 288] and the valid frames of each."""
    frames = np.zeros((count, FRAMES, FEATURE_SIZE), np.float16)
    lengths = np.zeros(count, np.int64)
    for at in range(0, count, BATCH):
        indices = range(at, min(at + BATCH, count))
        audio = [resample(window(index), SAMPLE_RATE_HZ, RECOGNISER_HZ) for index in indices]
        for index, found in zip(indices, recogniser.encode(audio), strict=True):
            frames[index, : len(found)] = found
            lengths[index] = len(found)
        if at % (50 * BATCH) == 0:
            tell(f"{at} of {count} windows encoded")
    return frames, lengths


def conclude(
    clips: Sequence[Clip],
    chosen: Sequence[Cut],
    spots: Sequence[Spot],
    encoded: tuple[NDArray[np.float16], NDArray[np.int64]],
    plan: Plan,
    tell: Tell,
) -> Report:
    """From features (first of cuts, then of spots) to nets, threshold and figures."""
    examples = Examples(*encoded, *_truth(clips, chosen, spots))
    nets = []
    for fold in range(FOLDS):
        tell(f"fitting net {fold + 1} of {FOLDS}")
        nets.append(fit(examples, fold, plan.seed + fold))
    tell("judging")
    of_spots = np.arange(len(chosen), len(chosen) + len(spots))
    every = np.stack([logits(net, examples, of_spots) for net in nets])
    folds = np.array([fold_of(clips[spot.clip].group) for spot in spots])
    unknown, together = every[folds, np.arange(len(spots))], every.mean(axis=0)
    threshold = choose(clips, spots, _probability(unknown), plan.false_alarms_per_hour)

    def figures(values: NDArray[np.float32], which: Callable[[Clip], bool]) -> Result:
        return judge(*part(clips, spots, _probability(values), which), threshold)

    held_out = {
        "phone_calls": figures(together, lambda clip: clip.is_held_out and clip.is_call),
        "the rest": figures(together, lambda clip: clip.is_held_out and not clip.is_call),
    }
    cross_validated = {
        "phone_calls": figures(unknown, lambda clip: not clip.is_held_out and clip.is_call),
        "the rest": figures(unknown, lambda clip: not clip.is_held_out and not clip.is_call),
    }
    counts = Counter(cut.clip.source for cut in chosen)
    return Report(nets, threshold, cross_validated, held_out, dict(counts))


def _truth(
    clips: Sequence[Clip], chosen: Sequence[Cut], spots: Sequence[Spot]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each window holds the word, and the net that must not learn from it."""
    truth = [
        (cut.is_word, ALL if cut.clip.source == SYNTHETIC else fold_of(cut.clip.group))
        for cut in chosen
    ]
    for spot in spots:
        clip = clips[spot.clip]
        holds = trial.label(clip, spot.at)
        may_teach = holds is not None and not clip.is_held_out
        truth.append((bool(holds), fold_of(clip.group) if may_teach else NONE))
    is_word, folds = zip(*truth, strict=True)
    return np.array(is_word, np.bool_), np.array(folds, np.int64)


def part(
    clips: Sequence[Clip],
    spots: Sequence[Spot],
    probabilities: NDArray[np.float32],
    which: Callable[[Clip], bool],
) -> tuple[list[Clip], list[Spot], NDArray[np.float32]]:
    """Only those clips, with their spots and what was found there."""
    numbers = {
        number: place for place, number in enumerate(n for n, c in enumerate(clips) if which(c))
    }
    kept = [index for index, spot in enumerate(spots) if spot.clip in numbers]
    moved = [Spot(numbers[spots[index].clip], spots[index].at) for index in kept]
    return [clips[number] for number in numbers], moved, probabilities[kept]


def choose(
    clips: Sequence[Clip],
    spots: Sequence[Spot],
    probabilities: NDArray[np.float32],
    false_alarms_per_hour: float,
) -> float:
    """The lowest threshold with no more false alarms than that on what may be learnt from."""
    known = part(clips, spots, probabilities, lambda clip: not clip.is_held_out)
    for threshold in THRESHOLDS:
        if judge(*known, float(threshold)).false_alarms_per_hour <= false_alarms_per_hour:
            return float(threshold)
    return float(THRESHOLDS[-1])


def _probability(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))), np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m voicebot.learning.hotword")
    parser.add_argument("directory", type=Path, help="folder of recordings")
    parser.add_argument("--word", default="operator", help="a word that callers say (operator)")
    parser.add_argument("--seed", type=int, default=Plan().seed)
    parser.add_argument("--output", type=Path, help="weights file (the package's own)")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(platformdirs.user_cache_dir("voicebot")),
        help="where the recogniser's weights are kept",
    )
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    torch.set_num_threads(1)
    plan = Plan(seed=options.seed)
    try:
        report = train(options.directory, options.word, Recogniser(options.cache, 1), plan, tell)
    except UserMistake as mistake:
        print(f"hotword: {mistake}", file=sys.stderr)
        return 2
    path = options.output or MODELS / f"{options.word}.safetensors"
    save(path, report.nets, report.threshold, report.facts(plan))
    print(report)
    print(f"weights in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
