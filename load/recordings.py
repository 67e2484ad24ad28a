"""The recordings that callers speak: found, chosen with a seed, read once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from load.errors import LoadMistake
from voicebot.audio.files import read_mulaw
from voicebot.telephony.simulator import CallerTurn

SUFFIXES = frozenset({".wav", ".flac", ".opus", ".ogg", ".mp3"})
LONGEST_SAMPLES = 20 * 8000
"""Longer recordings are no caller's turn."""
OVER_S = 1.0
"""How long a caller who interrupts lets the bot speak."""


@dataclass(slots=True)
class Pool:
    """Recordings ready to be spoken, once when the bot listens and once over its prompt."""

    turns: list[CallerTurn] = field(default_factory=list)
    interruptions: list[CallerTurn] = field(default_factory=list)
    skipped: int = 0


def find(folder: Path) -> list[Path]:
    """Audio files below `folder`, sorted; LoadMistake when there are none."""
    if not folder.is_dir():
        raise LoadMistake(f"--recordings {folder}: no such folder")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        known = ", ".join(sorted(SUFFIXES))
        raise LoadMistake(f"--recordings {folder}: no audio file in it or below ({known})")
    return paths


def load(
    paths: list[Path],
    size: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Pool:
    """Up to `size` readable recordings with speech in them, chosen with `seed`.

    What cannot be read, is silent or too long is skipped and counted; LoadMistake when
    nothing is left.
    """
    pool = Pool()
    last = ""
    for path in random.Random(seed).sample(paths, len(paths)):
        if len(pool.turns) == size:
            break
        try:
            audio = read_mulaw(path)
        except Exception as error:  # unreadable files are one line each, see audio.files
            pool.skipped, last = pool.skipped + 1, str(error)
            continue
        turn = CallerTurn(audio=audio, label=path.name) if audio else None
        if turn is None or turn.span is None or len(audio) > LONGEST_SAMPLES:
            pool.skipped, last = pool.skipped + 1, f"{path}: silent or longer than 20 s"
            continue
        pool.turns.append(turn)
        pool.interruptions.append(CallerTurn(audio=audio, label=path.name, over_s=OVER_S))
        progress(len(pool.turns))
    if not pool.turns:
        raise LoadMistake(f"--recordings: none of {len(paths)} files can be spoken; last: {last}")
    return pool
