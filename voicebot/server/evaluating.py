"""The shell around the evaluations: models loaded, progress shown, table, picture and JSON out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.server.arguments import existing
from voicebot.server.terminal import Parser, adder, waiting

if TYPE_CHECKING:
    from voicebot.asr.recogniser import Recogniser
    from voicebot.config import Settings


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One of `voicebot eval`.

    `module` has `run(source, *, quick, tell, **of_its_own) -> Result`, and takes `recogniser` too
    where it `hears`. `add` gives its parser the options of its own, `keywords` turns what was given
    into arguments for `run`; it may raise UserMistake. `source` names what is measured on: "DIR",
    laid out as `layout` says, or "FILE"; None where nothing is given.
    """

    module: str
    purpose: str
    add: Callable[[Parser], None] = lambda _: None
    keywords: Callable[[argparse.Namespace], dict[str, Any]] = lambda _: {}
    hears: bool = True
    source: str | None = "DIR"
    layout: str = "laid out like shared/audio (phone_calls/, digits/, ...)"


def _add_weights(parser: Parser) -> None:
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="other weights than the product's"
    )
    parser.add_argument(
        "--held-out", action="store_true", help="of our recordings, only what no training saw"
    )


def _add_intent(parser: Parser) -> None:
    parser.add_argument(
        "--dialplan", type=Path, required=True, metavar="PATH", help="what is asked"
    )
    parser.add_argument(
        "--noise", type=Path, required=True, metavar="FILE", help="what is mixed in"
    )
    parser.add_argument(
        "--snr", type=float, nargs="+", metavar="DB", help="how loud; 6 9 12 15 18 21 24"
    )
    _add_weights(parser)


def _intent_keywords(options: argparse.Namespace) -> dict[str, Any]:
    if any(not -40 <= snr <= 100 for snr in options.snr or ()):
        raise UserMistake("eval intent: --snr takes decibels between -40 and 100, such as 6 or 24")
    existing("eval intent", options.dialplan)
    existing("eval intent", options.noise, "recording")
    keywords = {
        "dialplan": options.dialplan, "noise": options.noise, "held_out": options.held_out,
    }  # fmt: skip
    return keywords | ({"snrs_db": tuple(dict.fromkeys(options.snr))} if options.snr else {})


def _add_files(parser: Parser) -> None:
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="to learn from")
    parser.add_argument("--test", type=Path, required=True, metavar="FILE", help="to be asked")


def _files(options: argparse.Namespace) -> dict[str, Any]:
    for path in (options.train, options.test, *getattr(options, "outside", ())):
        existing("eval", path, "file")
    return {"train": options.train, "test": options.test}


def _add_nlu(parser: Parser) -> None:
    _add_files(parser)
    parser.add_argument(
        "--outside", type=Path, nargs="+", default=[], metavar="FILE",
        help="sentences that mean none of the intents: lines of text, or files as above",
    )  # fmt: skip


EVALUATIONS: Mapping[str, Evaluation] = {
    "echo": Evaluation(
        "voicebot.evaluation.echo",
        "whether the bot interrupts itself on a speakerphone, and hears who interrupts it",
    ),
    "turns": Evaluation(
        "voicebot.evaluation.turns",
        "whether it knows when a caller has begun, has finished, or only nods",
    ),
    "asr": Evaluation(
        "voicebot.evaluation.asr",
        "how well speech is recognised, how fast, how sure, and what is heard where nobody speaks",
        _add_weights,
        lambda options: {"held_out": options.held_out},
    ),
    "intent": Evaluation(
        "voicebot.evaluation.intent",
        "whether a request's intent and every slot are understood, in noise",
        _add_intent,
        _intent_keywords,
        layout="holding labels.json and its recordings, as shared/audio/barista; or its parent",
    ),
    "nlu": Evaluation(
        "voicebot.evaluation.nlu",
        "whether intents are told apart, learned from CSV files of text and category",
        add=_add_nlu,
        keywords=lambda options: {**_files(options), "outside": options.outside},
        hears=False,
        source=None,
    ),
    "slots": Evaluation(
        "voicebot.evaluation.slots",
        "whether values are found in sentences, learned from marked ones (Restaurants-8k's JSON)",
        add=_add_files,
        keywords=_files,
        hears=False,
        source=None,
    ),
}
"""By name, as in `voicebot eval NAME`."""


def add(commands: Any, command: Callable[[str, Any, str], Parser]) -> None:
    """`voicebot eval` and what it measures."""
    added = command("eval", evaluate, "measure the product on recordings")
    kind_of = adder(added.add_subparsers(required=True, metavar="WHAT"))
    for name, evaluation in EVALUATIONS.items():
        kind = kind_of(name, evaluate, evaluation.purpose)
        kind.set_defaults(evaluation=name, source=None, checkpoint=None)
        if evaluation.source is not None:
            kind.add_argument(
                "source", type=Path, metavar=evaluation.source, help=evaluation.layout
            )
        kind.add_argument("--quick", action="store_true", help="a part of it, about a minute")
        kind.add_argument("--json", action="store_true", help="print one JSON object")
        kind.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="the picture")
        evaluation.add(kind)


def evaluate(options: argparse.Namespace) -> int:
    """Measure the product on recordings; table and PNG, or one JSON object."""
    from voicebot.config import load_settings

    name = options.evaluation
    keywords = EVALUATIONS[name].keywords(options)
    run_evaluation(
        load_settings(),
        name,
        options.source,
        quick=options.quick,
        as_json=options.json,
        picture=options.output or Path("runs") / f"eval_{name}.png",
        checkpoint=options.checkpoint,
        keywords=keywords,
    )
    return 0


class Result(Protocol):
    """What an evaluation gives."""

    def as_dict(self) -> dict[str, object]:
        """Its figures, for --json."""

    def table(self) -> str:
        """The same to read."""

    def plot(self, path: Path) -> None:
        """The same to look at, as PNG."""


def run_evaluation(
    settings: Settings,
    name: str,
    source: Path | None,
    *,
    quick: bool,
    as_json: bool,
    picture: Path,
    checkpoint: Path | None = None,
    keywords: Mapping[str, Any] | None = None,
) -> None:
    """Run one of EVALUATIONS on `source`; UserMistake when that is not there."""
    evaluation = EVALUATIONS[name]
    _check_picture(name, picture)
    _check_source(name, evaluation, source)
    with waiting("loading") as tell:
        run = cast(Callable[..., Result], import_module(evaluation.module).run)
        of_its_own = dict(keywords or {})
        if evaluation.hears:
            tell("loading the recogniser")
            of_its_own["recogniser"] = _recogniser(settings, checkpoint)
        given = () if source is None else (source,)
        result = run(*given, quick=quick, tell=_teller(tell), **of_its_own)
    picture.parent.mkdir(parents=True, exist_ok=True)
    result.plot(picture)
    if as_json:
        print(json.dumps(result.as_dict()))
    else:
        print(result.table())
        print(f"{picture}: drawn")


def _recogniser(settings: Settings, checkpoint: Path | None) -> Recogniser:
    """The one that callers get, or one with the weights of `checkpoint`."""
    from voicebot.server.recognisers import load_recogniser

    try:
        return load_recogniser(settings, model=checkpoint)
    except ModelUnavailable as error:
        if checkpoint is None:
            raise
        raise UserMistake(f"eval --checkpoint: {error}") from None


def _check_source(name: str, evaluation: Evaluation, source: Path | None) -> None:
    if source is None:
        return
    is_folder = evaluation.source == "DIR"
    if is_folder and not source.is_dir():
        raise UserMistake(f"eval {name}: {source} is no folder; name one {evaluation.layout}")
    if not is_folder and not source.is_file():
        raise UserMistake(f"eval {name}: {source} is no file; give {evaluation.layout}")


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
