"""The shell around the evaluations: models loaded, progress shown, table, picture and JSON out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from voicebot.errors import UserMistake
from voicebot.server.terminal import waiting

if TYPE_CHECKING:
    from voicebot.config import Settings

EVALUATIONS: Mapping[str, tuple[str, str]] = {
    "echo": (
        "voicebot.evaluation.echo",
        "whether the bot interrupts itself on a speakerphone, and hears who interrupts it",
    ),
    "turns": (
        "voicebot.evaluation.turns",
        "whether it knows when a caller has begun, has finished, or only nods",
    ),
}
"""Module and purpose of each."""


class Result(Protocol):
    """What an evaluation gives."""

    def as_dict(self) -> dict[str, object]:
        """Its figures, for --json."""

    def table(self) -> str:
        """The same to read."""

    def plot(self, path: Path) -> None:
        """The same to look at, as PNG."""


def evaluate(
    settings: Settings, name: str, directory: Path, *, quick: bool, as_json: bool, picture: Path
) -> None:
    """Run one of EVALUATIONS on the recordings in `directory`; UserMistake when they are none."""
    _check_picture(name, picture)
    if not directory.is_dir():
        raise UserMistake(
            f"eval {name}: {directory} is no folder; name one laid out like "
            "shared/audio (phone_calls/, digits/, ...)"
        )
    with waiting("loading the recogniser") as tell:
        from voicebot.asr.recogniser import Recogniser

        run = cast(Callable[..., Result], import_module(EVALUATIONS[name][0]).run)
        threads = settings.asr.threads or max(1, (os.cpu_count() or 2) - 1)
        recogniser = Recogniser(settings.asr.cache_dir, threads)
        result = run(directory, recogniser=recogniser, quick=quick, tell=_teller(tell))
    picture.parent.mkdir(parents=True, exist_ok=True)
    result.plot(picture)
    if as_json:
        print(json.dumps(result.as_dict()))
    else:
        print(result.table())
        print(f"{picture}: drawn")


def _check_picture(name: str, picture: Path) -> None:
    """Before minutes of work, not after."""
    if picture.suffix.lower() != ".png":
        raise UserMistake(f"eval {name}: {picture} does not end in .png")
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        with picture.open("ab"):
            pass
    except OSError as error:
        raise UserMistake(
            f"eval {name}: {picture} cannot be written ({error.strerror}); "
            "name a file in a folder that you may write to"
        ) from None
    if not picture.stat().st_size:
        picture.unlink()


def _teller(on_terminal: Callable[[str], None]) -> Callable[[str], None]:
    """Progress on the terminal's last line, else a line each on stderr."""
    if sys.stderr is not None and sys.stderr.isatty():
        return on_terminal

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    return tell
