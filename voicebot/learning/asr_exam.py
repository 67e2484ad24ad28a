"""`voicebot train exam DIR`: recogniser and untouched weights, on what no training heard.

    recordings, texts -> held-out sets over 8 kHz mu-law (asr_trial) -> errors by set and search

Training measures its own weights so, too, when it ends. A set that the untouched weights know
better was forgotten. Keys of --json: `figures`, {"product, beam": {set: {errors: % of words, words,
marks: % of texts with a capital and a final mark}}, ...} of product and untouched, greedy and beam;
`forgotten`, the sets that are worse, by search.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import torch

from voicebot.asr import checkpoint
from voicebot.asr.checkpoint import Weights
from voicebot.asr.moonshine import Moonshine
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.vocabulary import Vocabulary
from voicebot.errors import ModelUnavailable, UserMistake
from voicebot.learning import asr_config, asr_corpora, asr_phrases, asr_splits, asr_trial
from voicebot.learning.asr_config import Config
from voicebot.learning.asr_transcripts import Signal
from voicebot.learning.asr_trial import BEAM, Question, Score

Tell = Callable[[str], None]
Figures = dict[str, dict[str, Score]]
PRODUCT, UNTOUCHED = "product", "untouched"
SEARCHES: Mapping[str, int] = {"greedy": 1, "beam": BEAM}
CONFIG = Path(__file__).parent / "configs" / "asr.toml"
"""What is held out is the same in all; its mixture says that synthetic speech is asked for, too."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a configuration names, parted by the splits."""

    training: list[asr_corpora.Item]
    held_out: list[asr_corpora.Item]
    voices: list[str]
    unseen: asr_phrases.Texts
    noise: list[Signal]
    has_synthetic: bool

    @classmethod
    def of(cls, config: Config, tokens: list[bytes]) -> Material:
        """UserMistake when the recordings named are not there."""
        splits, data = asr_splits.load(), config.data
        items = asr_corpora.load(data.recordings) if data.recordings else []
        return cls(
            asr_corpora.part(items, splits, held_out=False),
            asr_corpora.part(items, splits, held_out=True),
            sorted(splits.held_out["synthetic"]),
            asr_phrases.collect(data.texts, tokens, held_out=True),
            asr_corpora.kitchen(data.recordings, held_out=True) if data.recordings else [],
            any(name.startswith("synthetic") for name in data.mixture),
        )

    def questions(self, limit: int) -> list[Question]:
        """At most `limit` of each set."""
        asked = asr_trial.questions(self.held_out, self.training, limit=limit)
        if self.noise:
            asked += asr_trial.in_noise(self.held_out, self.noise[0], limit=limit)
        if self.has_synthetic:
            asked += asr_trial.synthetic(self.unseen, self.voices, limit=limit)
            asked += asr_trial.nobody(self.noise, limit=limit)
        return asked


def figures(
    models: Mapping[str, Moonshine], vocabulary: Vocabulary, asked: list[Question], tell: Tell
) -> Figures:
    """Scores by model and search, then by set."""
    ears = {name: Recogniser.of(model, vocabulary) for name, model in models.items()}
    return heard(ears, asked, tell)


def heard(ears: Mapping[str, asr_trial.Ear], asked: list[Question], tell: Tell) -> Figures:
    """Scores by recogniser and search, then by set."""
    found: Figures = {}
    for name, ear in ears.items():
        for search, nbest in SEARCHES.items():
            tell(f"measuring: {name}, {search}")
            found[f"{name}, {search}"] = asr_trial.ask(ear, asked, nbest=nbest)
    return found


def forgotten(found: Figures) -> dict[str, list[str]]:
    """By search, the sets in which the product makes more errors than the untouched weights."""
    worse = {}
    for search in SEARCHES:
        now, before = found[f"{PRODUCT}, {search}"], found[f"{UNTOUCHED}, {search}"]
        worse[search] = [kind for kind in now if now[kind].errors > before[kind].errors]
    return worse


def blended(untouched: Weights, tuned: Weights, share: float) -> Weights:
    """`share` of the way from the untouched to the tuned weights."""
    state = {
        name: torch.lerp(value.float(), tuned.state[name].float(), share)
        for name, value in untouched.state.items()
    }
    return Weights(state, tuned.tokens)


def measure(
    config: Config,
    *,
    tell: Tell,
    limit: int,
    checkpoint_file: Path | None = None,
    cache_dir: Path,
) -> Figures:
    """The recogniser as callers get it, or with other weights, and the untouched weights, on what
    `config` holds out; at most `limit` of a set. ModelUnavailable for what is no sound checkpoint.
    """
    product = Recogniser(cache_dir, config.threads, model=checkpoint_file)
    untouched = checkpoint.load_weights(cache_dir)
    original = Recogniser.of(checkpoint.build(untouched), Vocabulary(untouched.tokens))
    asked = Material.of(config, untouched.tokens).questions(limit)
    if not asked:
        raise UserMistake("train exam: nothing there is held out from training")
    return heard({UNTOUCHED: original, PRODUCT: product}, asked, tell)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="voicebot train exam",
        description="Measure what a recogniser forgot of the untouched weights.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="laid out like shared/audio")
    parser.add_argument("--texts", type=Path, metavar="DIR", help="of Banking77, Restaurants-8k")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="instead of the shipped")
    parser.add_argument("--limit", type=int, default=60, metavar="N", help="of each set; 60")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    cache = Path(platformdirs.user_cache_dir("voicebot"))
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="their folder")
    options = parser.parse_args(arguments)
    try:
        found = _measured(options)
    except (UserMistake, ModelUnavailable) as mistake:
        print(f"voicebot: {mistake}", file=sys.stderr)
        return 2
    worse = forgotten(found)
    if options.json:
        sets = {name: {k: asdict(v) for k, v in of.items()} for name, of in found.items()}
        print(json.dumps({"figures": sets, "forgotten": worse}))
        return 0
    print(asr_trial.table(found))
    for search, kinds in worse.items():
        print(f"worse than the untouched weights, {search}: {', '.join(kinds) or 'no set'}")
    return 0


def _measured(options: argparse.Namespace) -> Figures:
    for path in (options.directory, options.texts):
        if path is not None and not path.is_dir():
            raise UserMistake(f"train exam: {path} is no folder")
    if options.limit < 1:
        raise UserMistake("train exam: --limit takes a number of recordings, such as 60")
    config = asr_config.load(CONFIG)
    data = {"recordings": options.directory, "texts": options.texts}
    return measure(
        config.model_copy(update={"data": config.data.model_copy(update=data)}),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
        limit=options.limit,
        checkpoint_file=options.checkpoint,
        cache_dir=options.cache,
    )


if __name__ == "__main__":
    sys.exit(main())
