"""Names of the reference network (transformers' Moonshine) to ours."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_ENCODER = {
    "attention_norm.weight": ("input_layernorm.weight",),
    "attention.qkv.weight": tuple(f"self_attn.{part}_proj.weight" for part in "qkv"),
    "attention.out.weight": ("self_attn.o_proj.weight",),
    "up.weight": ("mlp.fc1.weight",),
    "up.bias": ("mlp.fc1.bias",),
    "down.weight": ("mlp.fc2.weight",),
    "down.bias": ("mlp.fc2.bias",),
}
_LAYER = {
    "encoder": {**_ENCODER, "mlp_norm.weight": ("post_attention_layernorm.weight",)},
    "decoder": {
        **_ENCODER,
        "cross_norm.weight": ("post_attention_layernorm.weight",),
        "cross.q.weight": ("encoder_attn.q_proj.weight",),
        "cross.kv.weight": tuple(f"encoder_attn.{part}_proj.weight" for part in "kv"),
        "cross.out.weight": ("encoder_attn.o_proj.weight",),
        "mlp_norm.weight": ("final_layernorm.weight",),
    },
}
_TOP = {
    "encoder.conv1.weight": "encoder.conv1.weight",
    "encoder.stem_norm.weight": "encoder.groupnorm.weight",
    "encoder.stem_norm.bias": "encoder.groupnorm.bias",
    "encoder.conv2.weight": "encoder.conv2.weight",
    "encoder.conv2.bias": "encoder.conv2.bias",
    "encoder.conv3.weight": "encoder.conv3.weight",
    "encoder.conv3.bias": "encoder.conv3.bias",
    "encoder.norm.weight": "encoder.layer_norm.weight",
    "decoder.embedding.weight": "decoder.embed_tokens.weight",
    "decoder.norm.weight": "decoder.norm.weight",
}


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of MoonshineForConditionalGeneration -> state of `moonshine.Moonshine`.

    Query, key and value matrices are stacked; the tied output matrix is dropped.
    The result shares no memory with `state`.
    """
    ours = {name: state["model." + theirs].clone() for name, theirs in _TOP.items()}
    for side, names in _LAYER.items():
        for layer in range(_layer_count(state, side)):
            for name, theirs in names.items():
                parts = [state[f"model.{side}.layers.{layer}.{part}"] for part in theirs]
                ours[f"{side}.layers.{layer}.{name}"] = torch.cat(parts)
    return ours


def _layer_count(state: Mapping[str, Tensor], side: str) -> int:
    prefix = f"model.{side}.layers."
    return 1 + max(int(name.split(".")[3]) for name in state if name.startswith(prefix))
