"""`voicebot train asr --config FILE`: tune the recogniser to the telephone.

    recordings, texts -> targets -> examples (clean and telephone) -> trainer -> checkpoint, card

A run is resumed by starting it again. In its output folder: `state.safetensors` (to go on with),
`model.safetensors` (weights and vocabulary, as asr.checkpoint reads them), `MODEL_CARD.md`,
`log.jsonl` (losses, and errors on held-out sessions by set), `hearings.json` (the untouched
model's texts).
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from voicebot.asr import checkpoint
from voicebot.asr.moonshine import Moonshine
from voicebot.asr.recogniser import Recogniser
from voicebot.asr.vocabulary import Vocabulary
from voicebot.audio.resample import resample
from voicebot.errors import UserMistake
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.learning import (
    asr_config,
    asr_corpora,
    asr_labels,
    asr_nonspeech,
    asr_phrases,
    asr_speech,
    asr_state,
    asr_trial,
)
from voicebot.learning.asr_card import card
from voicebot.learning.asr_channel import Signal, Telephone
from voicebot.learning.asr_config import Config
from voicebot.learning.asr_exam import Figures, Material, blended, figures
from voicebot.learning.asr_examples import Library, Source, usable
from voicebot.learning.asr_tokens import FIRST_BYTE, Encoder
from voicebot.learning.asr_trainer import Progress as Update
from voicebot.learning.asr_trainer import Trainer
from voicebot.learning.asr_trial import Question, Score

Tell = Callable[[str], None]

STATE, MODEL, CARD = "state.safetensors", "model.safetensors", "MODEL_CARD.md"
LOG, HEARINGS = "log.jsonl", "hearings.json"
_TELL_EVERY = 20
_BABBLE = 40


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run: `figures` by weights and search, then by set; None when interrupted
    before the last step."""

    steps: int
    model: Path | None
    figures: Mapping[str, Mapping[str, Score]]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        figures = {
            name: {kind: asdict(score) for kind, score in scores.items()}
            for name, scores in self.figures.items()
        }
        return {"steps": self.steps, "model": self.model and str(self.model), "figures": figures}

    def table(self) -> str:
        """For people."""
        return asr_trial.table(self.figures) if self.figures else f"{self.steps} steps"


def run(
    config: Path | Config,
    *,
    tell: Tell,
    cache_dir: Path | None = None,
    stop_after: int | None = None,
) -> Report:
    """Train, or go on training; UserMistake in one line for what cannot be used.

    `cache_dir` keeps the converted untouched weights. `stop_after` interrupts after so many
    updates of this call, as Ctrl-C does: the state is saved, and the next call goes on.
    """
    settings = asr_config.load(config) if isinstance(config, Path) else config
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    cache_dir = cache_dir or Path(platformdirs.user_cache_dir("voicebot"))
    with asr_state.alone(settings.output):
        return _Run(settings, tell, cache_dir).go(stop_after)


class _Run:
    """One call of `run`."""

    def __init__(self, config: Config, tell: Tell, cache_dir: Path) -> None:
        self.config, self.tell, self.out = config, tell, config.output
        self.untouched: checkpoint.Weights | None = None
        if config.network.start == "untouched":
            self.untouched = checkpoint.load_weights(cache_dir)
        tokens = self.untouched.tokens if self.untouched else _bytes_alone()
        self.vocabulary, self.encoder = Vocabulary(tokens), Encoder(tokens)
        self.material = Material.of(config, tokens)
        self.texts = asr_phrases.collect(config.data.texts, tokens)
        self._recent: list[Update] = []

    def go(self, stop_after: int | None) -> Report:
        """Until the last step, or the interruption."""
        library = Library(usable(self.material.training, self._targets()))
        trainer = Trainer(self._student(), self._teacher(), self._source(library), self.config)
        state = asr_state.load(self.out / STATE, self.config.essence())
        if state is not None:
            trainer.restore(state)
            self.tell(f"going on at step {trainer.step} of {self.config.steps}")
        self.tell(
            f"{sum(library.counts().values())} recordings to learn from, "
            f"{len(self.material.held_out)} held out; training on {trainer.device}"
        )
        if not self._train(trainer, stop_after):
            self.tell(f"stopped after step {trainer.step}; run the same again to go on")
            return Report(trainer.step, None, {})
        return self._finish(trainer, library)

    def _train(self, trainer: Trainer, stop_after: int | None) -> bool:
        """Whether the last step was reached."""
        asked = self.material.questions(self.config.try_items) if self.config.try_items else []
        done = 0
        with asr_state.until_interrupted() as is_interrupted, _bar(self.config.steps) as show:
            for update in trainer.run():
                done += 1
                self._note(update, show)
                is_to_look = bool(asked) and update.step % self.config.try_every == 0
                if is_to_look or update.step % self.config.save_every == 0:
                    asr_state.save(self.out / STATE, trainer.state())
                if is_to_look and not is_interrupted():
                    self._look(trainer, asked)
                if done == stop_after or is_interrupted():
                    break
            asr_state.save(self.out / STATE, trainer.state())
            if is_interrupted():
                self.tell(f"saved at step {trainer.step}; run the same again to go on")
                raise KeyboardInterrupt
        return trainer.step >= self.config.steps

    def _note(self, update: Update, show: Callable[[Update], bool]) -> None:
        self._recent = [*self._recent[1 - _TELL_EVERY :], update]
        self._log(asdict(update))
        if not show(update) and update.step % _TELL_EVERY == 0:
            self.tell(_line(self._recent, self.config.steps))

    def _look(self, trainer: Trainer, asked: list[Question]) -> None:
        """Errors on held-out recordings, into the log."""
        scores = asr_trial.ask(Recogniser.of(trainer.average, self.vocabulary), asked)
        errors = {kind: round(score.errors, 2) for kind, score in scores.items()}
        self._log({"step": trainer.step, "errors": errors})
        self.tell(f"step {trainer.step}: " + ", ".join(f"{k} {v:.1f}" for k, v in errors.items()))

    def _finish(self, trainer: Trainer, library: Library) -> Report:
        """Weights, figures, card."""
        state = {name: value.cpu() for name, value in trainer.average.state_dict().items()}
        weights = checkpoint.Weights(state, list(self.vocabulary.tokens))
        if self.untouched is not None and self.config.blend < 1:
            weights = blended(self.untouched, weights, self.config.blend)
        self.out.mkdir(parents=True, exist_ok=True)
        checkpoint.write(self.out / MODEL, weights)
        figures = (
            self._figures(checkpoint.build(weights, trainer.student.dims))
            if self.config.measure_items
            else {}
        )
        text = card(
            self.config,
            parameters=sum(value.numel() for value in state.values()),
            steps=trainer.step,
            audio_s=self._logged("audio_s"),
            seconds=self._logged("seconds"),
            counts=library.counts(),
            figures=figures,
            blend=self.config.blend,
        )
        (self.out / CARD).write_text(text, encoding="utf-8")
        self.tell(f"weights in {self.out / MODEL}")
        return Report(trainer.step, self.out / MODEL, figures)

    def _figures(self, model: Moonshine) -> Figures:
        models = {"tuned": model}
        if self.untouched is not None:
            models = {"untouched": checkpoint.build(self.untouched), **models}
        limit = self.config.measure_items
        if not limit:
            return {}
        return figures(models, self.vocabulary, self.material.questions(limit), self.tell)

    def _targets(self) -> dict[str, str]:
        if self.untouched is None:
            return {item.key: item.text for item in self.material.training if item.text is not None}
        ear = Recogniser.of(checkpoint.build(self.untouched), self.vocabulary)
        return asr_labels.targets(self.material.training, ear, self.out / HEARINGS, self.tell)

    def _source(self, library: Library) -> Source:
        """Batches; noise and babble come from what may be trained on."""
        config = self.config
        sentences = [item for item in self.material.training if item.kind == "learners"][::50][
            :_BABBLE
        ]
        babble = [_narrow(asr_corpora.read(item)) for item in sentences]
        folder = config.data.recordings
        noises = asr_corpora.kitchen(folder, held_out=False) if folder else []
        telephone = Telephone(config.impairments(), noises, babble, asr_nonspeech.TRAINED)
        voices = asr_speech.voices(frozenset(self.material.voices))
        return Source(
            config.data, library, self.texts, voices, telephone, self.encoder, config.seed
        )

    def _student(self) -> Moonshine:
        if self.untouched is None:
            dims = self.config.network.dimensions(len(self.vocabulary.tokens))
            return Moonshine(dims)
        begin = self.untouched
        if self.config.network.weights is not None:
            read = checkpoint.read(self.config.network.weights, checkpoint.build(begin).dims)
            if read is None:
                raise UserMistake(
                    f"{self.config.network.weights}: not a sound checkpoint of this network"
                )
            begin = read
        return copy.deepcopy(checkpoint.build(begin))

    def _teacher(self) -> Moonshine | None:
        weights = self.config.loss
        if self.untouched is None or not (weights.logits or weights.features):
            return None
        return copy.deepcopy(checkpoint.build(self.untouched))

    def _log(self, content: Mapping[str, object]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")

    def _logged(self, key: str) -> float:
        """Sum over all updates of the log, earlier calls included; a call that was killed may
        have left half a line."""
        total, log = {}, self.out / LOG
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        for line in text.splitlines():
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and key in row:
                    total[row["step"]] = float(row[key])
        return sum(total.values())


def _bytes_alone() -> list[bytes]:
    """A vocabulary without merges, for networks that start at random."""
    return [b"<unk>", b"<s>", b"</s>", *(bytes([byte]) for byte in range(256))][: FIRST_BYTE + 256]


def _narrow(samples: Signal) -> Signal:
    return resample(samples, asr_corpora.RATE_HZ, SAMPLE_RATE_HZ)


def _line(updates: Sequence[Update], steps: int) -> str:
    """Means over the last updates; what the untouched model says over those that it heard."""
    taught = [update for update in updates if update.features] or updates
    return (
        f"step {updates[-1].step} of {steps}: text {_mean(u.text for u in updates):.3f}, "
        f"opinion {_mean(u.logits for u in taught):.3f}, "
        f"features {_mean(u.features for u in taught):.3f}, "
        f"{_mean(u.audio_s for u in updates):.0f} s of audio in "
        f"{_mean(u.seconds for u in updates):.2f} s"
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / max(1, len(found))


@contextmanager
def _bar(steps: int) -> Iterator[Callable[[Update], bool]]:
    """A progress bar where somebody watches; yields a function that says whether it shows."""
    console = Console(stderr=True)
    if not (sys.stderr.isatty() and console.is_terminal):
        yield lambda _: False
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("learning", total=steps)

        def show(update: Update) -> bool:
            text = f"learning, loss {update.total:.3f}"
            progress.update(task, completed=update.step, description=text)
            return True

        yield show
