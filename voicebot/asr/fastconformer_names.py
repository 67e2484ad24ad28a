"""Tensors of NeMo and Hugging Face checkpoints, renamed and joined to those of FastConformer.

A checkpoint with missing, extra or misshapen tensors is refused in one line that names them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_stream import FastConformer
from voicebot.errors import ModelUnavailable

_LAYER = r"encoder\.layers\.(\d+)\."
_NORMS = {
    "up_norm": "norm_feed_forward1",
    "attention_norm": "norm_self_att",
    "conv_norm": "norm_conv",
    "down_norm": "norm_feed_forward2",
    "norm": "norm_out",
}
_SHARED = {
    **_NORMS,
    "up.up": "feed_forward1.linear1",
    "up.down": "feed_forward1.linear2",
    "down.up": "feed_forward2.linear1",
    "down.down": "feed_forward2.linear2",
    "conv.gated": "conv.pointwise_conv1",
    "conv.depthwise": "conv.depthwise_conv",
    "conv.out": "conv.pointwise_conv2",
}
_ATTENTION = "attention.qkv"
_STEM_NUMBERS = {"strided.0": 0, "strided.1": 2, "pointwise.0": 3, "strided.2": 5, "pointwise.1": 6}


@dataclass(frozen=True, slots=True)
class Naming:
    """How one family of checkpoints names what we have. Prefixes, without weight or bias."""

    attention: Mapping[str, str]  # of a layer
    conv_norm: str
    stem: Mapping[str, str]
    heads: Mapping[str, str]
    lstm: str
    ignored: str  # pattern of names that carry nothing

    def sources(self, name: str) -> tuple[str, ...]:
        """The checkpoint's tensors that make ours, to be joined along the first axis."""
        if found := re.match(_LAYER, name):
            return self._of_layer(found[0], name[found.end() :])
        if name.startswith("transducer.lstm."):
            return (name.replace("transducer.lstm.", self.lstm),)
        head, _, kind = name.rpartition(".")
        if head.startswith("encoder.stem."):
            return (f"encoder.{self.stem[head.removeprefix('encoder.stem.')]}.{kind}",)
        return (f"{self.heads[head]}.{kind}",)

    def _of_layer(self, prefix: str, rest: str) -> tuple[str, ...]:
        if rest in {"attention.bias_u", "attention.bias_v"}:
            return (prefix + self.attention[rest],)
        part, _, kind = rest.rpartition(".")
        if part == _ATTENTION:
            return tuple(f"{prefix}{self.attention[letter]}.{kind}" for letter in "qkv")
        if part == "conv.norm":
            return (f"{prefix}{self.conv_norm}.{kind}",)
        return (f"{prefix}{_SHARED.get(part) or self.attention[part]}.{kind}",)


def _attention(projection: str, *, out: str, position: str, bias: str) -> dict[str, str]:
    return {letter: f"self_attn.{projection.format(letter)}" for letter in "qkv"} | {
        "attention.out": f"self_attn.{out}",
        "attention.position": f"self_attn.{position}",
        "attention.bias_u": f"self_attn.{bias}_u",
        "attention.bias_v": f"self_attn.{bias}_v",
    }


def nemo_naming(*, is_ctc_only: bool = False) -> Naming:
    """Of `model_weights.ckpt` in a .nemo archive."""
    attention = _attention("linear_{}", out="linear_out", position="linear_pos", bias="pos_bias")
    stem = {ours: f"pre_encode.conv.{number}" for ours, number in _STEM_NUMBERS.items()}
    return Naming(
        attention,
        "conv.batch_norm",
        stem | {"out": "pre_encode.out"},
        {
            "transducer.embedding": "decoder.prediction.embed",
            "transducer.predictor": "joint.pred",
            "transducer.encoder": "joint.enc",
            "transducer.out": "joint.joint_net.2",
            "ctc": f"{'decoder' if is_ctc_only else 'ctc_decoder'}.decoder_layers.0",
        },
        "decoder.prediction.dec_rnn.lstm.",
        # Windows and filters are computed; ours are the same. Loss and metrics are for training.
        r"preprocessor\.|spec_augmentation\.|loss\.|wer\.|.*num_batches_tracked$",
    )


def hugging_face_naming(*, is_streaming: bool) -> Naming:
    """Of `nemotron_asr_streaming` (is_streaming) and `parakeet` checkpoints."""
    attention = _attention("{}_proj", out="o_proj", position="relative_k_proj", bias="bias")
    if is_streaming:
        stem = {"strided.0": "subsampling.conv_in"}
        for layer in range(2):
            stem[f"strided.{layer + 1}"] = f"subsampling.layers.{layer}.depthwise_conv"
            stem[f"pointwise.{layer}"] = f"subsampling.layers.{layer}.pointwise_conv"
    else:
        stem = {ours: f"subsampling.layers.{number}" for ours, number in _STEM_NUMBERS.items()}
    return Naming(
        attention,
        "conv.norm",
        stem | {"out": "subsampling.linear"},
        {
            "transducer.embedding": "decoder.embedding",
            "transducer.predictor": "decoder.decoder_projector",
            "transducer.encoder": "encoder_projector",
            "transducer.out": "joint.head",
            "ctc": "ctc_head",
        },
        "decoder.lstm.",
        r".*num_batches_tracked$|encoder\.encode_positions\.",
    )


def build(
    config: FastConformerConfig, tensors: Mapping[str, Tensor], naming: Naming, where: str
) -> FastConformer:
    """The model with these weights in float32, ready to run; ModelUnavailable if they do not fit.

    `where` names the file in errors.
    """
    with torch.device("meta"):
        model = FastConformer(config)
    expected = model.state_dict()
    state: dict[str, Tensor] = {}
    missing: list[str] = []
    misshapen: list[str] = []
    used: set[str] = set()
    for name, like in expected.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        sources = naming.sources(name)
        used.update(sources)
        absent = [source for source in sources if source not in tensors]
        missing += absent
        if not absent:
            parts = [tensors[source] for source in sources]
            wrong = _misshapen(sources, parts, like)
            misshapen += wrong
            if not wrong:
                state[name] = torch.cat(parts) if parts[1:] else parts[0]
    extra = [name for name in tensors if name not in used and not re.match(naming.ignored, name)]
    _refuse(where, missing, extra, misshapen)
    _refuse_spoiled(where, {name: tensors[name] for name in sorted(used)})
    fitting = {name: tensor.reshape(expected[name].shape) for name, tensor in state.items()}
    model.load_state_dict(fitting, assign=True)
    model.make_constants()
    return model.float().eval().requires_grad_(False)


def _misshapen(sources: tuple[str, ...], parts: list[Tensor], like: Tensor) -> list[str]:
    """Pointwise convolutions are linear layers here: axes of length 1 at the end do not count."""
    wanted = (like.shape[0] // len(parts), *like.shape[1:])
    found = []
    for source, part in zip(sources, parts, strict=True):
        given = tuple(part.shape)
        while len(given) > len(wanted) and given[-1] == 1:
            given = given[:-1]
        if given != wanted:
            found.append(f"{source} {tuple(part.shape)} instead of {tuple(wanted)}")
    return found


def _refuse_spoiled(where: str, tensors: Mapping[str, Tensor]) -> None:
    """Weights that are no numbers would fail every answer, and integers are none of a network."""
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            raise ModelUnavailable(
                f"{where}: {name} holds values that are no finite numbers; fetch the checkpoint "
                "again, or take another"
            )


def _refuse(where: str, missing: list[str], extra: list[str], misshapen: list[str]) -> None:
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (
            ("tensors missing", missing),
            ("tensors of another shape", misshapen),
            ("tensors that belong to no part of it", extra),
        )
        if names
    ]
    if problems:
        raise ModelUnavailable(
            f"{where}: the weights do not fit a FastConformer of its configuration: "
            f"{'; '.join(problems)}; fetch the checkpoint again, or take one of this family"
        )
