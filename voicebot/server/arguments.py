"""What commands of authors are given, checked before anything heavy is imported."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from voicebot.errors import UserMistake

PLANS = (".yaml", ".yml")


def existing(command: str, path: Path, what: str = "plan") -> Path:
    """The path; UserMistake where no file is there."""
    if path.is_dir():
        raise UserMistake(f"{command}: {path} is a folder; name a {what} in it")
    if not path.is_file():
        raise UserMistake(f"{command}: {path}: there is no such {what}; check the path")
    return path


def all_plans(paths: list[Path]) -> list[Path]:
    """The paths; of a folder the plans and scenarios that lie in it. UserMistake: it has none.

    One that is missing among several is reported beside the others' problems.
    """
    found: list[Path] = []
    if len(paths) == 1 and not paths[0].is_dir():
        existing("check", paths[0])
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if one.suffix in PLANS and one.is_file())
        if not inside:
            raise UserMistake(f"check: {path} holds no plans; their names end in .yaml")
        found += inside
    return found


def ends_in(command: str, path: Path, suffix: str, why: str) -> None:
    """UserMistake where a file to write is called something else: a slip shall replace no plan."""
    if path.suffix.lower() != suffix:
        raise UserMistake(f"{command}: {path} does not end in {suffix}; {why}")


def moment(text: str | None) -> datetime:
    """The caller's time; UserMistake for what is none."""
    if text is None:
        return datetime.now().astimezone()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UserMistake(f'chat: --now is written "2026-11-20 10:30", not {text!r}') from None
