"""Train the judge of ended turns: `python -m voicebot.learning.end_of_turn DIR`.

DIR holds recordings as the README of the recordings tells (phone_calls, barista, read_sentences;
what is missing is done without). Clips that end in a short silence (end_of_turn_corpus.py) go
through the recogniser's encoder; small nets learn from its features whether the speaker goes on
(end_of_turn_training.py). Seeded; seven or eight minutes on one core. How good the result is on
speakers held out, `voicebot eval turns` tells in full; this prints areas under the ROC curve.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from voicebot.asr.moonshine import Dimensions
from voicebot.asr.recogniser import Recogniser
from voicebot.errors import UserMistake
from voicebot.learning.end_of_turn_corpus import (
    Clip,
    Mixture,
    Pause,
    Recording,
    make_clips,
    pauses,
    read,
    recogniser_audio,
)
from voicebot.learning.end_of_turn_training import (
    FOLDS,
    Examples,
    Net,
    area_under_roc,
    arrange,
    calibrate,
    fit,
    fold_of,
    logits,
    save,
    to_weights,
)
from voicebot.turns.end_of_turn import MODEL_PATH

Tell = Callable[[str], None]
BATCH = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. `recordings`: at most so many of each collection and side."""

    recordings: int | None = None
    epochs: int = 5
    mixture: Mixture = field(default_factory=Mixture)


SMOKE = Plan(recordings=12, epochs=1, mixture=Mixture(copies=1, read_share=1.0))
"""Everything once, in seconds: shows that it runs, not that it learns."""


def train(folder: Path, recogniser: Recogniser, plan: Plan, path: Path, tell: Tell) -> str:
    """Fit, calibrate, save to `path`; returns the figures on what was held out."""
    recordings = _limited(read(folder), plan.recordings)
    found = pauses(recordings, recogniser, tell)
    learnt = [p for p in found if not recordings[p.recording].is_held_out]
    clips = make_clips(recordings, learnt, plan.mixture)
    tell(f"encoding {len(clips)} clips")
    names = [recordings[learnt[clip.pause].recording].name for clip in clips]
    examples = _examples(clips, names, recogniser)
    nets = []
    for fold in range(FOLDS):
        nets.append(fit(examples, fold, plan.epochs))
        tell(f"net {fold + 1} of {FOLDS} fitted")
    calibration = _calibrated(nets, clips, [_kind(recordings, learnt, c) for c in clips], examples)
    save(to_weights(nets, calibration), names, path)
    held = [p for p in found if recordings[p.recording].is_held_out]
    return _figures(nets, recordings, held, recogniser)


def _limited(recordings: list[Recording], limit: int | None) -> list[Recording]:
    if limit is None:
        return recordings
    kept: dict[tuple[str, bool], int] = {}
    chosen = []
    for recording in recordings:
        key = (recording.collection, recording.is_held_out)
        kept[key] = kept.get(key, 0) + 1
        if kept[key] <= limit:
            chosen.append(recording)
    return chosen


def _kind(recordings: Sequence[Recording], found: Sequence[Pause], clip: Clip) -> str:
    return recordings[found[clip.pause].recording].kind


def _examples(clips: Sequence[Clip], names: Sequence[str], recogniser: Recogniser) -> Examples:
    frames, lengths = _encoded([clip.samples for clip in clips], recogniser)
    return Examples(
        frames,
        lengths,
        np.array([clip.is_end for clip in clips], np.float32),
        np.array([clip.weight for clip in clips], np.float32),
        np.array([fold_of(name) for name in names], np.int64),
    )


def _encoded(
    clips: Sequence[NDArray[np.float32]], recogniser: Recogniser
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Those of like length together, in the order given."""
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))

    def batches() -> Iterator[tuple[NDArray[np.float32], int]]:
        for begin in range(0, len(order), BATCH):
            audio = recogniser_audio([clips[i] for i in order[begin : begin + BATCH]])
            for frames, samples in zip(recogniser.encode(audio), audio, strict=True):
                yield frames, len(samples)

    frames, lengths = arrange(batches(), len(clips), Dimensions().width)
    back = np.argsort(order)
    return frames[back], lengths[back]


def _calibrated(
    nets: Sequence[Net], clips: Sequence[Clip], kinds: Sequence[str], examples: Examples
) -> tuple[float, float]:
    """On free sentences of callers as they were said, each by the net that does not know them."""
    is_real = np.zeros(len(clips), bool)
    seen: set[int] = set()
    for row, (clip, kind) in enumerate(zip(clips, kinds, strict=True)):
        is_real[row] = kind == "sentence" and clip.pause not in seen  # the first is unaltered
        seen.add(clip.pause)
    log_odds = np.zeros(len(clips), np.float32)
    for fold, net in enumerate(nets):
        rows = np.flatnonzero(is_real & (examples.fold == fold) & (examples.lengths > 0))
        log_odds[rows] = logits(net, examples, rows)
    chosen = is_real & (examples.lengths > 0)
    alike = np.ones(int(chosen.sum()), np.float32)
    return calibrate(log_odds[chosen], examples.is_end[chosen], alike)


def _figures(
    nets: Sequence[Net], recordings: Sequence[Recording], held: list[Pause], recogniser: Recogniser
) -> str:
    clips = [
        Clip(recordings[p.recording].samples[p.start_at : p.asked_at], index, p.is_end, 1.0)
        for index, p in enumerate(held)
    ]
    names = [recordings[p.recording].name for p in held]
    examples = _examples(clips, names, recogniser)
    rows = np.arange(len(clips))
    votes = np.mean([logits(net, examples, rows) for net in nets], axis=0)
    lines = []
    for kind in sorted({recordings[p.recording].kind for p in held}):
        chosen = np.array([recordings[p.recording].kind == kind for p in held])
        ends, total = int(examples.is_end[chosen].sum()), int(chosen.sum())
        area = area_under_roc(votes[chosen], examples.is_end[chosen])
        lines.append(f"{kind:<10}{total - ends:>5} pauses{ends:>5} ends  area {area:.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 after a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m voicebot.learning.end_of_turn",
        description="Train the head that judges whether a caller has finished.",
    )
    parser.add_argument("directory", type=Path, help="recordings: phone_calls, barista, ...")
    parser.add_argument("--out", type=Path, default=MODEL_PATH, help="default: the shipped model")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(platformdirs.user_cache_dir("voicebot")),
        help="folder of the recogniser's converted weights",
    )
    parser.add_argument("--smoke", action="store_true", help="a minute's work, for trying out")
    options = parser.parse_args(arguments)
    plan = SMOKE if options.smoke else Plan()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        recogniser = Recogniser(options.cache, threads=1)
        print(train(options.directory, recogniser, plan, options.out, tell))
    except UserMistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
