"""Text and JSON files of corpora; what is wrong with them is told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voicebot.errors import UserMistake


def read_text(path: Path, *, wanted: str) -> str:
    """The file as UTF-8 text; UserMistake says what is `wanted` where it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserMistake(f"{path}: cannot be read ({error.strerror}); give {wanted}") from None
    except UnicodeDecodeError:
        raise UserMistake(f"{path}: is not UTF-8 text; give {wanted}") from None


def parse_json(path: Path, text: str, *, line: int = 0) -> Any:
    """JSON text of the file, or of its `line` alone; UserMistake names the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = line or error.lineno
        raise UserMistake(f"{path}:{at}: is not JSON ({error.msg}); mend it") from None
    except RecursionError:
        raise UserMistake(f"{path}: is nested too deeply to be a corpus; mend it") from None
