"""Files of the recordings that callers' words come from; what is wrong with them in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.audio.files import read_audio
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError, UserMistake
from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


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
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserMistake(f"{path}:{number}: is not JSON ({error.msg}); mend it") from None
        if not isinstance(row, dict) or not isinstance(row.get("file"), str):
            raise UserMistake(f'{path}:{number}: has no "file"; each line names a recording')
        rows.append(row)
    return rows


def read_labels(path: Path) -> dict[str, Any]:
    """labels.json of barista: recording to intent and slots."""
    try:
        labels = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise UserMistake(f"{path}:{error.lineno}: is not JSON ({error.msg}); mend it") from None
    if not isinstance(labels, dict) or not all(isinstance(of, dict) for of in labels.values()):
        raise UserMistake(f"{path}: does not map recordings to their intent and slots")
    return labels


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserMistake(
            f"{path}: cannot be read ({error.strerror}); give a folder laid out like shared/audio"
        ) from None
    except UnicodeDecodeError:
        raise UserMistake(f"{path}: is not text; give the corpus's own files") from None
