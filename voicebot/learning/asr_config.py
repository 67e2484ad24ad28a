"""The configuration of a training run: a TOML file, checked before anything is loaded."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from voicebot.asr.moonshine import Dimensions
from voicebot.errors import UserMistake
from voicebot.learning.asr_channel import Chain
from voicebot.learning.asr_phrases import KINDS

RECORDED = (
    "phone sentences", "phone keywords", "phone names", "learners", "digits", "barista",
)  # fmt: skip
JOINED_DIGITS, JOINED_SENTENCES = "joined digits", "joined sentences"
"""Recordings of one speaker after another: numbers, and speech as long as one window."""
SOURCES = (*RECORDED, JOINED_DIGITS, JOINED_SENTENCES, *(f"synthetic {kind}" for kind in KINDS))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Part):
    """What is heard: folders, and how often each set is drawn."""

    recordings: Path | None = None
    """Folder laid out as the recordings' README says; none: synthetic speech alone."""
    texts: Path | None = None
    """Folder with Banking77 and Restaurants-8k."""
    mixture: dict[str, float] = Field(min_length=1)
    empty: float = Field(0.05, ge=0, lt=1)
    """Share of items in which nobody speaks."""
    speed: float = Field(0.3, ge=0, le=1)
    """Share of recordings played faster or slower, which moves pitch and formants too."""
    speed_range: float = Field(0.1, ge=0, lt=0.5)
    """By how much at most."""
    masks: float = Field(0.0, ge=0, le=1)
    """Share of items of which bands and moments are removed (`asr_channel.masked`)."""
    batch_seconds: float = Field(48.0, gt=0)
    """Audio of one batch, padding included."""
    pool: int = Field(96, gt=0)
    """Items that are sorted by length together."""
    workers: int = Field(0, ge=0)
    """Threads that prepare the next items while the network learns; 0: none."""

    @field_validator("mixture")
    @classmethod
    def _known(cls, mixture: dict[str, float]) -> dict[str, float]:
        for name, weight in mixture.items():
            if name not in SOURCES:
                raise ValueError(f"no set {name!r}; there are {', '.join(SOURCES)}")
            if weight < 0:
                raise ValueError(f"{name!r} is negative")
        if sum(mixture.values()) <= 0:
            raise ValueError("all sets are 0")
        return mixture


class Optimiser(_Part):
    """AdamW; the rate rises linearly, stays, and falls linearly over the last steps."""

    rate: float = Field(1e-4, gt=0)
    decoder_rate: float = Field(2e-5, ge=0)
    warm_up: int = Field(100, ge=0)
    cool_down: float = Field(0.25, ge=0, le=1)
    """Share of the steps over which the rate falls to a twentieth."""
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    average: float = Field(0.998, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which is what is kept."""
    freeze_embedding: bool = True


class Loss(_Part):
    """Label smoothing, dropout, and how strongly the untouched model holds on."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Of what attention and feed-forward layers add to the residual stream."""
    smoothing: float = Field(0.1, ge=0, lt=1)
    logits: float = Field(0.3, ge=0)
    features: float = Field(0.3, ge=0)
    every: int = Field(1, gt=0)
    """The untouched model is heard in every so many steps, that much louder."""


class Network(_Part):
    """Untouched weights, or a small random network to try the machinery."""

    start: Literal["untouched", "random"] = "untouched"
    weights: Path | None = None
    """Another checkpoint to begin with (the untouched one still teaches)."""
    width: int = Field(Dimensions().width, gt=0)
    inner: int = Field(Dimensions().inner, gt=0)
    heads: int = Field(Dimensions().heads, gt=0)
    layers: int = Field(Dimensions().encoder_layers, gt=0)

    def dimensions(self, vocabulary: int) -> Dimensions:
        """Of the network with so many tokens."""
        return Dimensions(self.width, self.inner, self.heads, self.layers, self.layers, vocabulary)


class Config(_Part):
    """All of it. Paths are relative to the working directory."""

    seed: int = 1
    steps: int = Field(gt=0)
    output: Path
    threads: int = Field(1, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    save_every: int = Field(100, gt=0)
    try_every: int = Field(400, gt=0)
    """Steps between looks at held-out recordings."""
    try_items: int = Field(40, ge=0)
    """Of each held-out set, at these looks; 0: none."""
    measure_items: int = Field(200, ge=0)
    """Of each held-out set, at the end; 0: no figures."""
    blend: float = Field(1.0, gt=0, le=1)
    """How far from the untouched weights to the tuned ones the kept ones lie (Wortsman et al. 2022,
    arXiv:2109.01903): less forgets less."""
    data: Data
    chain: dict[str, float] = {}
    optimiser: Optimiser = Optimiser()
    loss: Loss = Loss()
    network: Network = Network()

    @field_validator("chain")
    @classmethod
    def _probabilities(cls, chain: dict[str, float]) -> dict[str, float]:
        known = asdict(Chain())
        for name, chance in chain.items():
            if name not in known:
                raise ValueError(f"no impairment {name!r}; there are {', '.join(known)}")
            if not 0 <= chance <= 1:
                raise ValueError(f"{name!r} is no probability")
        return chain

    def impairments(self) -> Chain:
        """The telephone chain asked for."""
        return Chain(**self.chain)

    def essence(self) -> str:
        """What may not change between a run and its resumption, as JSON."""
        free = {
            "steps", "output", "threads", "device", "precision", "save_every", "try_every",
            "try_items", "measure_items", "blend",
        }  # fmt: skip
        content = self.model_dump(mode="json", exclude=free)
        for name in ("recordings", "texts", "workers"):
            del content["data"][name]
        return json.dumps(content, sort_keys=True)


def load(path: Path) -> Config:
    """The configuration in a TOML file. UserMistake with file and key."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Config.model_validate(content)
    except OSError as error:
        raise UserMistake(f"{path}: cannot be read ({error.strerror}); name a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserMistake(f"{path}: not TOML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        raise UserMistake(f"{path}: {key}: {first['msg']}") from None
