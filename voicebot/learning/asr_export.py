"""`voicebot train export CHECKPOINT OUT`: a trained recogniser as it is shipped.

Matrices are rounded to int8, and the model card is copied beside them. Outlying channels are moved
from activations to weights (asr.quantise.equalise, measured on synthetic telephone speech) where
what the file computes then is nearer to the checkpoint on other sentences: tuning may have kept
the channels as they were equalised before.

    voicebot train export runs/asr/model.safetensors voicebot/asr/models/telephone.safetensors

makes the file that the package carries; `end_of_turn` and the hot word's nets hear with its
encoder, and are trained again after it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voicebot.asr import checkpoint, quantise
from voicebot.asr.checkpoint import Stored, Weights
from voicebot.asr.decoder import search, token_limit
from voicebot.asr.moonshine import BEGIN, SAMPLE_RATE_HZ, Dimensions, Moonshine
from voicebot.errors import UserMistake
from voicebot.learning import asr_phrases, asr_speech
from voicebot.learning.asr_trial import over_telephone

Tell = Callable[[str], None]

EQUAL = "equalised"
MAX_BYTES = 60_000_000
MAX_DIVERGENCE = 0.05
"""Nats per token between checkpoint and export. The shipped one is at about a tenth; a channel that
int8 cannot hold brings whole nats."""
CALIBRATION = ("orders", "general", "requests", "digits", "dates", "names")
TRIAL = ("requests", "orders", "general", "letters")
_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `divergence` from the checkpoint, in nats per token."""

    path: Path
    size: int
    divergence: float

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.size / 1e6:.1f} MB, diverges from the checkpoint by "
            f"{self.divergence:.4f} nats per token"
        )


def export(source: Path, out: Path, *, tell: Tell, dims: Dimensions | None = None) -> Exported:
    """Pack a checkpoint. UserMistake (one line) when it is none (of `dims`), is spoilt by rounding,
    or `out` cannot be written."""
    if out.suffix != _SUFFIX:
        raise UserMistake(f"export: {out} does not end in {_SUFFIX}")
    if out.exists() and source.exists() and out.samefile(source):
        raise UserMistake(f"export: {out} is the checkpoint itself; name another file")
    stored = checkpoint.open_file(source, dims)
    if stored.is_packed:
        raise UserMistake(f"export: {source} is an export already; name what training wrote")
    torch.set_num_threads(1)
    weights = stored.weights()
    exact = checkpoint.build(weights, dims)
    choices = {}
    for packed, how in ((checkpoint.pack(weights), "as they are"), (pack(weights, dims), EQUAL)):
        rounded = checkpoint.build_int8(packed, dims)
        choices[apart(exact, rounded, stored.tokens)] = packed, how
        tell(f"channels {how}: {list(choices)[-1]:.4f} nats per token")
    divergence = min(choices)
    packed, how = choices[divergence]
    if not divergence < MAX_DIVERGENCE:
        raise UserMistake(
            f"export: {source} does not survive int8 ({divergence:.3f} nats per token, at most "
            f"{MAX_DIVERGENCE}); was it trained to its end?"
        )
    card = _card(source, out, divergence, how)
    try:
        checkpoint.write(out, packed)
        out.chmod(0o644)  # into packages, for everybody
        out.with_suffix(".md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise UserMistake(f"export: {out} cannot be written ({error.strerror})") from None
    size = out.stat().st_size
    if size > MAX_BYTES:
        raise UserMistake(f"export: {out} takes {size / 1e6:.0f} MB, more than a package may carry")
    return Exported(out, size, divergence)


def pack(weights: Weights, dims: Dimensions | None = None) -> Stored:
    """Equalised and rounded; `weights` keep what they are."""
    copied = Weights({name: value.clone() for name, value in weights.state.items()}, weights.tokens)
    network = checkpoint.build(copied, dims)  # shares the tensors
    quantise.equalise(network, speech(CALIBRATION, weights.tokens, seed=0))
    return checkpoint.pack(copied)


def speech(kinds: Sequence[str], tokens: list[bytes], *, seed: int) -> Tensor:
    """Synthetic sentences over a telephone, [B, N] at 16 kHz; `seed` draws texts and voices."""
    rng = np.random.default_rng(seed)
    texts = asr_phrases.collect(None, tokens)
    voices = asr_speech.voices(frozenset())
    spoken = []
    for kind in kinds:
        phrase = asr_speech.phrase(kind, rng, texts)
        said = asr_speech.speak(phrase.spoken, voices[int(rng.integers(len(voices)))], rng)
        spoken.append(over_telephone(np.pad(said, SAMPLE_RATE_HZ // 4)))
    samples = torch.zeros(len(spoken), max(len(one) for one in spoken))
    for row, one in zip(samples, spoken, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    return samples


@torch.inference_mode()
def apart(exact: Moonshine, rounded: Moonshine, tokens: list[bytes]) -> float:
    """Kullback-Leibler divergence of the second's next tokens from the first's, nats per token,
    along what the first writes for sentences that calibration did not hear."""
    total = count = 0.0
    for sentence in speech(TRIAL * 2, tokens, seed=1)[:, None]:
        encoded = exact.encoder(sentence)
        limit = token_limit(sentence.shape[1] / SAMPLE_RATE_HZ)
        written = search(exact.decoder, encoded, [limit])[0][0].tokens
        given = torch.tensor([[BEGIN, *written]])
        wanted = _opinion(exact, sentence, given)
        found = _opinion(rounded, sentence, given)
        total += float((wanted.exp() * (wanted - found)).sum())
        count += given.shape[1]
    return total / count


def _opinion(model: Moonshine, samples: Tensor, tokens: Tensor) -> Tensor:
    encoded = model.encoder(samples)
    logits: Tensor = model.decoder(tokens, model.decoder.start(encoded, 0))
    return logits[0].log_softmax(dim=-1)


def _card(source: Path, out: Path, divergence: float, how: str) -> str:
    """The training's card under the export's name, with what was done to it."""
    path = source.parent / "MODEL_CARD.md"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserMistake(
            f"export: {path} is missing; a recogniser is not shipped without its model card"
        ) from None
    _, _, rest = text.partition("\n")
    note = (
        f"\n## This file\n\nMatrices in int8 with a scale for each row, channels {how}, "
        f"convolutions in float16; {divergence:.4f} nats per token from the checkpoint that the "
        "figures above are of.\n"
    )
    body, mark, settings = rest.partition("\n## Configuration\n")
    return f"# {out.name}: recogniser of English telephone speech\n{body}{note}{mark}{settings}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m voicebot.learning.asr_export")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("output", type=Path, metavar="OUT.safetensors")
    options = parser.parse_args(arguments)
    try:
        found = export(
            options.checkpoint, options.output, tell=lambda text: print(text, file=sys.stderr)
        )
    except UserMistake as mistake:
        print(f"voicebot: {mistake}", file=sys.stderr)
        return 2
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
