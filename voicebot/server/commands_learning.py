"""`voicebot train WHAT`: the recogniser, and the small nets that hear with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebot.errors import UserMistake

if TYPE_CHECKING:
    from voicebot.server.terminal import Parser

CONFIGS = Path(__file__).parent.parent / "learning" / "configs"


@dataclass(frozen=True, slots=True)
class Trainer:
    """A trainer with a command line of its own: `module` has `main(arguments) -> exit code`."""

    module: str
    purpose: str


TRAINERS: Mapping[str, Trainer] = {
    "exam": Trainer(
        "voicebot.learning.asr_exam", "what the recogniser forgot of the untouched weights"
    ),
    "near-end": Trainer(
        "voicebot.learning.near_end", "whether the caller speaks in the bot's echo"
    ),
    "end-of-turn": Trainer("voicebot.learning.end_of_turn", "whether the caller has finished"),
    "hot-word": Trainer("voicebot.learning.hotword", "whether a word was said"),
}


def add(commands: Any, command: Callable[[str, Any, str], Parser]) -> None:
    """`voicebot train` and what can be trained."""
    from voicebot.server.terminal import adder

    added = command("train", list_configs, "train the recogniser, or the nets beside it")
    kinds = added.add_subparsers(required=True, metavar="WHAT")
    kind = adder(kinds)
    kind("list", list_configs, "the configurations that come with voicebot")
    made = kind("asr", train_asr, "tune the recogniser; the same again goes on")
    made.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="TOML, or a name of `list`"
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made = kind("export", export_asr, "pack a trained checkpoint for shipping")
    made.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="model.safetensors")
    made.add_argument("output", type=Path, metavar="OUT.safetensors", help="what is written")
    for name, trainer in TRAINERS.items():
        made = kinds.add_parser(
            name,
            help=trainer.purpose,
            add_help=False,  # its own help tells its own options
            allow_abbrev=False,
            prefix_chars="\0",  # all that follows is the trainer's
        )
        made.add_argument("arguments", nargs="*")
        made.set_defaults(run=train_other, parser=made, trainer=name)


def list_configs(_: argparse.Namespace) -> int:
    """The shipped configurations: name, first line of what it says of itself."""
    paths = sorted(CONFIGS.glob("*.toml"))
    wide = max(len(path.stem) for path in paths)
    for path in paths:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        print(f"{path.stem:<{wide}}  {first.lstrip('# ')}\n{'':<{wide}}  {path}")
    return 0


def train_asr(options: argparse.Namespace) -> int:
    """Train the recogniser as a configuration says; table, or one JSON object."""
    asr = _learning("voicebot.learning.asr")
    from voicebot.config import load_settings

    try:
        report = asr.run(
            _config(options.config), tell=_tell, cache_dir=load_settings().asr.cache_dir
        )
    except KeyboardInterrupt:
        print(
            f"voicebot: interrupted; `voicebot train asr --config {options.config}` goes on "
            "where it was last saved",
            file=sys.stderr,
        )
        return 130
    print(json.dumps(report.as_dict()) if options.json else report.table())
    return 0


def export_asr(options: argparse.Namespace) -> int:
    """Pack a checkpoint into one small file, model card beside it."""
    export = _learning("voicebot.learning.asr_export")
    exported = export.export(options.checkpoint, options.output, tell=_tell)
    print(exported)
    return 0


def train_other(options: argparse.Namespace) -> int:
    """Hand over to one of TRAINERS."""
    return int(_learning(TRAINERS[options.trainer].module).main(options.arguments))


def _config(path: Path) -> Path:
    """A file, or the shipped configuration of that name, also without its `asr_`."""
    if path.exists():
        return path
    for shipped in (CONFIGS / f"{path}.toml", CONFIGS / f"asr_{path}.toml"):
        if shipped.is_file():
            return shipped
    names = ", ".join(sorted(shipped.stem for shipped in CONFIGS.glob("*.toml")))
    raise UserMistake(
        f"train asr: {path} is neither a file nor a configuration of `train list`: {names}"
    )


def _learning(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserMistake(
            f"train: {error.name} is not installed; run `pip install 'voicebot[learn]'`"
        ) from None


def _tell(text: str) -> None:
    with contextlib.suppress(ValueError):
        print(text, file=sys.stderr, flush=True)
