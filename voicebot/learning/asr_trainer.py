"""The loop: one update after another, seeded, to be saved and gone on with at any step."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voicebot.asr.moonshine import Moonshine
from voicebot.errors import UserMistake
from voicebot.learning.asr_config import Config, Optimiser
from voicebot.learning.asr_examples import Source
from voicebot.learning.asr_network import (
    Batch,
    collate,
    has_fast_bfloat16,
    in_bfloat16,
    losses,
    with_dropout,
)
from voicebot.learning.asr_state import State

BETAS = (0.9, 0.98)
LAST_RATE = 0.05
"""Share of the rate that is left at the last step."""
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Progress:
    """One update: its number from 1, losses, norm of the gradient, rate, audio, wall time."""

    step: int
    total: float
    text: float
    logits: float
    features: float
    norm: float
    rate: float
    audio_s: float
    seconds: float


def rate_at(step: int, steps: int, optimiser: Optimiser) -> float:
    """Share of the full rate for update `step` (from 0) of `steps`."""
    rising = (step + 1) / max(1, optimiser.warm_up)
    falling_from = steps * (1 - optimiser.cool_down)
    length = max(1.0, steps - falling_from)
    fallen = max(0.0, (step + 1 - falling_from) / length)
    return min(1.0, rising, max(LAST_RATE, 1 - (1 - LAST_RATE) * fallen))


def device_of(config: Config) -> torch.device:
    """Where to train. UserMistake when the one asked for is not there."""
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise UserMistake("device: no CUDA device here; set it to auto or cpu")
    return torch.device("cuda" if has_gpu and config.device != "cpu" else "cpu")


class Trainer:
    """`student` learns in place; `average` is what to keep. `teacher` None: no distillation."""

    def __init__(
        self, student: Moonshine, teacher: Moonshine | None, source: Source, config: Config
    ) -> None:
        self.config, self.device = config, device_of(config)
        half = config.precision == "bfloat16" or (
            config.precision == "auto" and has_fast_bfloat16(self.device)
        )
        with_dropout(student, config.loss.dropout)
        self.student = student.to(self.device).train().requires_grad_(True)
        self.teacher = teacher and teacher.to(self.device).eval().requires_grad_(False)
        if config.optimiser.freeze_embedding:
            self.student.decoder.embedding.requires_grad_(False)
        self.average = copy.deepcopy(self.student).eval().requires_grad_(False)
        for model in (self.student, self.teacher, self.average):
            if half and model is not None:
                in_bfloat16(model)
        self._source = source
        self._learning = {
            name: value for name, value in self.student.named_parameters() if value.requires_grad
        }
        averages = dict(self.average.named_parameters())
        self._averages: list[Tensor] = [averages[name] for name in self._learning]
        self._optimiser = self._made_optimiser(config.optimiser)
        self.step, self.pool, self.batch = 0, 0, 0

    def _made_optimiser(self, options: Optimiser) -> torch.optim.AdamW:
        decoder = [v for name, v in self._learning.items() if name.startswith("decoder.")]
        encoder = [v for name, v in self._learning.items() if not name.startswith("decoder.")]
        groups = [
            {"params": encoder, "peak": options.rate},
            {"params": decoder, "peak": options.decoder_rate},
        ]
        return torch.optim.AdamW(
            groups, lr=options.rate, betas=BETAS, weight_decay=options.weight_decay, fused=True
        )

    def run(self) -> Iterator[Progress]:
        """Update until `config.steps` are done, from where the last left off."""
        stream = self._source.stream(self.pool, self.batch)
        try:
            while self.step < self.config.steps:
                began = time.perf_counter()
                self.pool, number, examples = next(stream)
                progress = self._update(collate(examples, self.device), began)
                self.batch = number + 1
                yield progress
        finally:
            stream.close()

    def _update(self, batch: Batch, began: float) -> Progress:
        options, step = self.config.optimiser, self.step
        share = rate_at(step, self.config.steps, options)
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * share
        teacher = self.teacher if step % self.config.loss.every == 0 else None
        torch.manual_seed(self.config.seed << 32 | step)  # dropout's, also after a resumption
        loss = losses(self.student, teacher, batch, self.config.loss)
        self._optimiser.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._learning.values(), options.clip)
        if bool(torch.isfinite(norm)):
            self._optimiser.step()
            self._follow()
        self.step += 1
        return Progress(
            self.step, float(loss.total.detach()), loss.text, loss.logits, loss.features,
            float(norm), options.rate * share, batch.seconds, time.perf_counter() - began,
        )  # fmt: skip

    @torch.no_grad()
    def _follow(self) -> None:
        """The average takes a step towards the weights, a larger one at the beginning."""
        decay = min(self.config.optimiser.average, (1 + self.step) / (10 + self.step))
        weights: list[Tensor] = list(self._learning.values())
        torch._foreach_lerp_(self._averages, weights, 1 - decay)

    def state(self) -> State:
        """All that resuming needs."""
        tensors: dict[str, Tensor] = {}
        for (name, value), average in zip(self._learning.items(), self._averages, strict=True):
            tensors[f"weights.{name}"], tensors[f"average.{name}"] = value, average
            for moment in _MOMENTS:
                kept = self._optimiser.state.get(value, {}).get(moment)
                if kept is not None:
                    tensors[f"{moment}.{name}"] = kept
        return State(tensors, self.step, self.pool, self.batch, self.config.essence())

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Go on from there. UserMistake when the state is of another network."""
        for (name, value), average in zip(self._learning.items(), self._averages, strict=True):
            for prefix, place in (("weights", value), ("average", average)):
                kept = state.tensors.get(f"{prefix}.{name}")
                if kept is None or kept.shape != place.shape:
                    raise UserMistake("the training state is of another network; delete it")
                place.copy_(kept)
            if f"exp_avg.{name}" in state.tensors:
                moments = {m: state.tensors[f"{m}.{name}"].to(self.device) for m in _MOMENTS}
                self._optimiser.state[value] = {
                    **moments, "step": torch.tensor(float(state.step), device=self.device)
                }  # fmt: skip
        self.step, self.pool, self.batch = state.step, state.pool, state.batch
