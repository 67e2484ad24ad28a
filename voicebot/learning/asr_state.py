"""A run on disk, to be gone on with at any step: weights, averages, the optimiser, the place.

One safetensors file, written under another name and renamed; no pickle.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from voicebot.errors import UserMistake

try:
    import fcntl
except ImportError:  # Windows: one run per folder, by the word of who starts them
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class State:
    """`tensors` by name; `step` updates done; the next example is batch `batch` of `pool`."""

    tensors: Mapping[str, Tensor]
    step: int
    pool: int
    batch: int
    essence: str


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While nobody else trains in that folder: two runs would write over each other's state.

    UserMistake where somebody does, or it cannot be written. Also a run that is killed lets go.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise UserMistake(
            f"{folder}: cannot be written ({error.strerror}); name another output"
        ) from None
    with lock:
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserMistake(
                f"{folder}: another run is training there; wait for it, or name another output"
            ) from None
        yield


@contextlib.contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """Yields what says whether Ctrl-C, `kill` or a cluster wants the run to end, so that it can
    after a whole update: half of one leaves weights and averages of different steps. A second
    signal ends it at once. What the process was started to ignore stays ignored."""
    asked: list[int] = []
    kept = {}

    def note(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                kept[number] = signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def save(path: Path, state: State) -> None:
    """Atomically, torch's random state included. OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
    tensors["random"] = torch.get_rng_state()
    place = {"step": state.step, "pool": state.pool, "batch": state.batch}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        metadata = {"place": json.dumps(place), "essence": state.essence}
        save_file(tensors, temporary, metadata=metadata)
        os.replace(temporary, path)
    except SafetensorError as error:  # a full disk arrives under this name
        raise OSError(0, str(error)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def load(path: Path, essence: str) -> State | None:
    """What was saved there, None if nothing; torch's random state is set.

    UserMistake when the file is damaged or belongs to another configuration.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        place = json.loads(metadata["place"])
        random = tensors.pop("random")
    except (OSError, SafetensorError, KeyError, ValueError):
        raise UserMistake(
            f"{path}: damaged, or no training state; delete it to begin anew"
        ) from None
    if metadata.get("essence") != essence:
        raise UserMistake(
            f"{path}: begun with {_difference(metadata.get('essence', '{}'), essence)}; name "
            "another output, or delete the file to begin anew"
        )
    torch.set_rng_state(random)
    return State(tensors, place["step"], place["pool"], place["batch"], essence)


def _difference(before: str, now: str) -> str:
    """The first setting in which two configurations differ."""
    was, is_now = (dict(_flat(json.loads(text))) for text in (before, now))
    for key in sorted({*was, *is_now}):
        if was.get(key) != is_now.get(key):
            return f"{key} = {was.get(key)}, not {is_now.get(key)}"
    return "another version"


def _flat(content: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found
