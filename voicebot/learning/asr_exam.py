"""Measuring checkpoints on what a configuration holds out: used at the end of a run, or alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch

from voicebot.asr import checkpoint
from voicebot.asr.checkpoint import Weights
from voicebot.asr.moonshine import Moonshine
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.vocabulary import Vocabulary
from voicebot.errors import UserMistake
from voicebot.learning import asr_config, asr_corpora, asr_phrases, asr_splits, asr_trial
from voicebot.learning.asr_config import Config
from voicebot.learning.asr_transcripts import Signal
from voicebot.learning.asr_trial import BEAM, Question, Score

Tell = Callable[[str], None]
Figures = dict[str, dict[str, Score]]


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
    models: Mapping[str, Moonshine],
    vocabulary: Vocabulary,
    asked: list[Question],
    tell: Tell,
    searches: Mapping[str, int] | None = None,
) -> Figures:
    """Scores by model and search, then by set."""
    found: Figures = {}
    for name, model in models.items():
        for search, nbest in (searches or {"greedy": 1, "beam": BEAM}).items():
            tell(f"measuring: {name}, {search}")
            ear = Recogniser.of(model, vocabulary)
            found[f"{name}, {search}"] = asr_trial.ask(ear, asked, nbest=nbest)
    return found


def blended(untouched: Weights, tuned: Weights, share: float) -> Weights:
    """`share` of the way from the untouched to the tuned weights."""
    state = {
        name: torch.lerp(value.float(), tuned.state[name].float(), share)
        for name, value in untouched.state.items()
    }
    return Weights(state, tuned.tokens)


def measure(
    config: Path | Config,
    checkpoints: Mapping[str, tuple[Path, float]],
    *,
    tell: Tell,
    limit: int = 200,
    beam: bool = True,
    cache_dir: Path | None = None,
) -> Figures:
    """The untouched weights and `checkpoints` (name -> file and share of the way to it) on what
    `config` holds out. UserMistake for a file that is no sound checkpoint."""
    settings = asr_config.load(config) if isinstance(config, Path) else config
    torch.set_num_threads(settings.threads)
    folder = cache_dir or Path(platformdirs.user_cache_dir("voicebot"))
    untouched = checkpoint.load_weights(folder)
    original = checkpoint.build(untouched)
    models = {"untouched": original}
    for name, (path, share) in checkpoints.items():
        read = checkpoint.read(path, original.dims)
        if read is None:
            raise UserMistake(f"{path}: not a sound checkpoint of this network")
        models[name] = checkpoint.build(blended(untouched, read, share))
    asked = Material.of(settings, untouched.tokens).questions(limit)
    searches = {"greedy": 1, "beam": BEAM} if beam else {"greedy": 1}
    return figures(models, Vocabulary(untouched.tokens), asked, tell, searches)
