"""Which weights this machine recognises with: the setting's, those that were chosen, the shipped.

`voicebot models use` writes the choice into the cache folder; `asr.model` wins over it.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.errors import ModelUnavailable, UserMistake

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.config import Settings

SHIPPED, SHIPPED_NAME = "shipped", "telephone"
"""Both lead back to the weights of the package: what they are, and how `models list` shows them."""
CHOICE = "recogniser.json"
FOLDER = "models"
SUFFIX = ".safetensors"


def load_recogniser(
    settings: Settings, threads: int | None = None, *, model: Path | None = None
) -> Recogniser:
    """The recogniser that callers get, or one with the weights of `model`.

    `threads`: None as the settings say (all cores but one, as threads that spin for a busy core
    cost much more time). ModelUnavailable, in one line, for weights that cannot be used.
    """
    from voicebot.asr.recogniser import Recogniser

    if threads is None:
        threads = settings.asr.threads or max(1, (os.cpu_count() or 2) - 1)
    return Recogniser(settings.asr.cache_dir, threads, model=model or in_use(settings))


def in_use(settings: Settings) -> Path | None:
    """The checkpoint that settings or choice name; None: the shipped one."""
    if settings.asr.model is not None:
        try:
            return find(settings.asr.model, settings.asr.cache_dir)
        except ModelUnavailable as error:
            raise ModelUnavailable(f"settings: asr.model: {error}") from None
    return chosen(settings.asr.cache_dir)


def find(name: str, cache_dir: Path) -> Path | None:
    """A checkpoint by path, or by the name of a file in the cache folder's `models`; None for
    the shipped one. ModelUnavailable when there is none."""
    if name in {SHIPPED, SHIPPED_NAME}:
        return None
    path = Path(name).expanduser()
    named = cache_dir / FOLDER / f"{name}{SUFFIX}"
    if path.is_file() or not named.is_file():
        if not path.is_file():
            what = "is no file" if path.exists() else "is neither a file nor a known name"
            raise ModelUnavailable(f"{name}: {what}; name a checkpoint ({SUFFIX}), or {SHIPPED}")
        return path.absolute()
    return named


def chosen(cache_dir: Path) -> Path | None:
    """What `use` chose on this machine, None if nothing. ModelUnavailable when it is gone."""
    note = cache_dir / CHOICE
    try:
        path = Path(json.loads(note.read_text(encoding="utf-8"))["checkpoint"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelUnavailable(
            f"{note}: cannot be read; run `voicebot models use {SHIPPED}`"
        ) from None
    if not path.is_file():
        raise ModelUnavailable(
            f"{path}: chosen by `voicebot models use`, but gone; choose another, or "
            f"`voicebot models use {SHIPPED}`"
        )
    return path


def use(name: str, cache_dir: Path) -> Path | None:
    """Make a checkpoint this machine's own, after a look at all of it; None: the shipped one.

    UserMistake (one line) when it is no sound checkpoint, or the choice cannot be written.
    """
    path = find(name, cache_dir)
    note = cache_dir / CHOICE
    if path is not None:
        from voicebot.asr.checkpoint import open_file

        open_file(path)
    try:
        if path is None:
            note.unlink(missing_ok=True)
            return None
        cache_dir.mkdir(parents=True, exist_ok=True)
        part = note.with_name(f"{CHOICE}.part")
        part.write_text(json.dumps({"checkpoint": str(path)}), encoding="utf-8")
        os.replace(part, note)
    except OSError as error:
        raise UserMistake(
            f"{note}: cannot be written ({error.strerror}); set VOICEBOT_ASR__CACHE_DIR elsewhere"
        ) from None
    return path


def card_of(checkpoint: Path) -> str | None:
    """The model card beside a checkpoint: NAME.md, or the MODEL_CARD.md of a training run."""
    for path in (checkpoint.with_suffix(".md"), checkpoint.parent / "MODEL_CARD.md"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return path.read_text(encoding="utf-8")
    return None
