"""One `timeline.jsonl` per call: what happened, line by line, on the call's own clock.

A line is `{"at": samples, "t": seconds, "event": name, ...}`; names are the events' classes in
snake_case (`speech_started`, `turn_ended`, `barge_in`, ...) and what the shells add
(`call_ended`). It holds transcripts: keep it where recordings may be kept.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import structlog

from voicebot.errors import SettingsError, UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.store.private import private_file

log = structlog.get_logger(__name__)

_BULKY = {"mulaw", "samples"}


class Timeline:
    """Appends lines; call from one thread. Each line is on its way to the disk when it returns.

    SettingsError where the file cannot be created; a disk that fails later ends the timeline
    (`has_failed`), never the call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_failed = False
        self._last_at = 0
        try:
            self._file = private_file(path).open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise SettingsError(
                f"timeline {path}: {error.strerror}; name a writable folder in "
                "VOICEBOT_STORE__RECORDINGS_DIR"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, at: int, event: str, /, **data: object) -> None:
        """One line; `data` may hold dataclasses, enums and sequences of them."""
        if self.has_failed or self._file.closed:
            return
        self._last_at = at
        line = {"at": at, "t": round(at / SAMPLE_RATE_HZ, 4), "event": event}
        line |= {name: _plain(value) for name, value in data.items() if name not in line}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            self.has_failed = True
            log.error("timeline failed", problem=error.strerror)

    def record(self, event: object, at: int | None = None) -> None:
        """One of voicebot.events; `at`, if it holds no time, else the last line's is taken."""
        data = _fields(event)
        own = _own_time(event)
        data.pop("at", None)
        when = own if own is not None else at if at is not None else self._last_at
        self.append(when, snake_case(type(event).__name__), **data)

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError:
            self.has_failed = True


def read_timeline(path: Path) -> list[dict[str, Any]]:
    """The lines of a timeline; lines cut by a crash are left out. UserMistake when unreadable."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserMistake(f"timeline {path}: {error.strerror}; give a timeline.jsonl") from None
    lines = []
    for row in text.splitlines():
        try:
            line = json.loads(row)
        except ValueError:
            continue
        if isinstance(line, dict) and "event" in line and isinstance(line.get("at"), int):
            lines.append(line)
    return lines


def snake_case(name: str) -> str:
    """SpeechStarted -> speech_started."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _own_time(event: object) -> int | None:
    """Where the event itself says when it was; a hypothesis is as late as what it heard."""
    for holder in (event, getattr(event, "ended", None)):
        for name in ("at", "end_at"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return value
    return None


def _fields(value: object) -> dict[str, object]:
    if not dataclasses.is_dataclass(value):
        return {"value": value}
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if field.name not in _BULKY
    }


def _plain(value: object) -> object:
    """JSON's types; audio is left out."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {name: _plain(item) for name, item in _fields(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float | int | str | None):
        return value
    return str(value)
