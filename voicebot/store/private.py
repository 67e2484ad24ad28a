"""Files that hold what callers said: for the account that runs the server, and nobody else."""

from __future__ import annotations

from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def private_file(path: Path) -> Path:
    """`path`, made with its folder if it is not there; raises OSError.

    What exists keeps its permissions: somebody may have opened them on purpose.
    """
    path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    path.touch(mode=_FILE)
    return path
