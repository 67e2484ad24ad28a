"""Files of the recordings that callers' words come from; what is wrong with them in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError, UserMistake
from voicebot.evaluation.text_files import parse_json, read_text
from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


WANTED = "a folder laid out like shared/audio"


def read_telephone(path: Path) -> Signal:
    """float32 at 8 kHz."""
    try:
        samples, rate = read_audio(path)
    except AudioFileError as error:
        raise UserMistake(str(error)) from None
    return resample(samples, rate, SAMPLE_RATE_HZ)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of transcripts.jsonl; each names a file."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path, wanted=WANTED).splitlines(), 1):
        if not line.strip():
            continue
        row = parse_json(path, line, line=number)
        if not isinstance(row, dict) or not isinstance(row.get("file"), str):
            raise UserMistake(f'{path}:{number}: has no "file"; each line names a recording')
        rows.append(row)
    return rows


def read_labels(path: Path) -> dict[str, Any]:
    """labels.json of barista: recording to intent and slots."""
    labels = parse_json(path, read_text(path, wanted=WANTED))
    if not isinstance(labels, dict) or not all(isinstance(of, dict) for of in labels.values()):
        raise UserMistake(f"{path}: does not map recordings to their intent and slots")
    return labels
