"""`voicebot models list|pull|use|card`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebot.server.terminal import Parser


def add(commands: Any, command: Callable[[str, Any, str], Parser]) -> None:
    """The command and what it can do."""
    from voicebot.server.terminal import adder

    added = command("models", list_models, "models: shipped, fetched, chosen")
    deed = adder(added.add_subparsers(required=True, metavar="WHAT"))
    deed("list", list_models, "what is shipped, what can be pulled, what was, and their licences")
    made = deed("pull", pull_model, "fetch one, checksums verified")
    made.add_argument("name", metavar="NAME", help="as `voicebot models list` shows it")
    made = deed("use", use_model, "recognise with another checkpoint on this machine")
    made.add_argument(
        "name", metavar="NAME|PATH", help="a checkpoint; `telephone`, or `shipped`, goes back"
    )
    made = deed("card", show_card, "what a model is, learnt from and is worth")
    made.add_argument("name", metavar="NAME|PATH", help="a model of `list`, or a checkpoint")


def list_models(_: argparse.Namespace) -> int:
    """What is shipped, what can be pulled, and what was."""
    from voicebot.config import load_settings
    from voicebot.server import models, recognisers

    settings = load_settings()
    print(models.table(models.list_models(settings.asr.cache_dir)))
    if (path := recognisers.in_use(settings)) is not None:
        print(f"recognising with {path}")
    return 0


def pull_model(options: argparse.Namespace) -> int:
    """Fetch a model into the cache folder, checksums verified."""
    from voicebot.config import load_settings
    from voicebot.server import models
    from voicebot.server.terminal import waiting

    with waiting(f"pulling {options.name}") as tell:

        def progress(name: str, there: int, size: int) -> None:
            of_all = f" of {size / 1e6:.1f}" if size else ""
            tell(f"{name}: {there / 1e6:.1f}{of_all} MB")

        cache_dir = load_settings().asr.cache_dir
        for path in models.pull(options.name, cache_dir, progress=progress):
            print(path)
    return 0


def use_model(options: argparse.Namespace) -> int:
    """Choose the recogniser's weights for this machine."""
    from voicebot.config import load_settings
    from voicebot.server import recognisers
    from voicebot.server.terminal import waiting

    settings = load_settings()
    with waiting("looking at it"):
        path = recognisers.use(options.name, settings.asr.cache_dir)
    print(f"recognising with {path or 'the shipped weights'} from the next start on")
    if settings.asr.model is not None:
        print(f"but VOICEBOT_ASR__MODEL={settings.asr.model} is set, and wins")
    return 0


def show_card(options: argparse.Namespace) -> int:
    """Print a model card."""
    from voicebot.config import load_settings
    from voicebot.server import models

    print(models.card(options.name, load_settings().asr.cache_dir))
    return 0
