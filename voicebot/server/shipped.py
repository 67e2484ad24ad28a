"""Where the dialplans that come with voicebot lie: in the package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from voicebot.errors import UserMistake

_PACKAGE = Path(__file__).resolve().parent.parent


def plan_path(name: str) -> Path:
    """The shipped plan called `name`; UserMistake when there is none."""
    for folder in (_PACKAGE / "_dialplans", _PACKAGE.parent / "dialplans"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UserMistake(f"no shipped dialplan {name!r}; install voicebot again, or name a file")
