"""NeMo's model_config.yaml as our sizes, and what in it no FastConformer of ours can be.

Weights fit many configurations that decode differently: what is written and would be computed
another way is refused. What is not written is taken to be as in the family's published models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.mel import HOP, POINTS, PREEMPHASIS, SAMPLE_RATE_HZ, WINDOW
from voicebot.errors import ModelUnavailable

CONFIG = "model_config.yaml"


def nemo_config(config: Mapping[str, Any], tokens: int, path: Path) -> FastConformerConfig:
    """Of a model with so many `tokens`; ModelUnavailable, in one line, where it is another."""
    encoder, defaults = config["encoder"], config.get("model_defaults") or {}
    predictor = (config.get("decoder") or {}).get("prednet") or {}
    joint = (config.get("joint") or {}).get("jointnet") or {}
    features = config.get("preprocessor") or {}
    contexts = encoder.get("att_context_size") or [-1, -1]
    contexts = contexts if isinstance(contexts[0], list) else [contexts]
    if encoder.get("subsampling") != "dw_striding" or encoder.get("subsampling_factor") != 8:
        raise ModelUnavailable(f"{path}: not a FastConformer (8x depthwise striding)")
    is_causal = bool(encoder.get("causal_downsampling", False))
    kernel = encoder.get("conv_kernel_size", 9)
    _refuse_others(config, _fitting(is_causal=is_causal, kernel=kernel), path)
    _refuse_contexts(contexts, is_causal, path)
    durations = defaults.get("tdt_durations") if defaults.get("num_tdt_durations") else None
    try:
        return FastConformerConfig(
            mels=int(features.get("features", 80)),
            width=int(encoder["d_model"]),
            layers=int(encoder["n_layers"]),
            heads=int(encoder["n_heads"]),
            inner=int(encoder["d_model"]) * int(encoder.get("ff_expansion_factor", 4)),
            kernel=int(kernel),
            stem_channels=int(encoder.get("subsampling_conv_channels", 256)),
            vocabulary=tokens,
            predictor_width=int(predictor.get("pred_hidden", 640)),
            predictor_layers=int(predictor.get("pred_rnn_layers", 2)),
            joint_width=int(joint.get("joint_hidden", 640)),
            durations=tuple(int(d) for d in durations or ()),
            is_causal=is_causal,
            conv_norm="layer" if encoder.get("conv_norm_type") == "layer_norm" else "batch",
            has_bias=bool(encoder.get("use_bias", True)),
            has_conv_bias=bool(encoder.get("use_bias", True)),
            scales_input=bool(encoder.get("xscaling", True)),
            is_normalised=features.get("normalize") == "per_feature",
            left=int(contexts[0][0]),
            lookaheads=tuple(int(context[1]) for context in contexts),
            has_ctc="aux_ctc" in config or not predictor,
            has_transducer=bool(predictor),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"{path}: its {CONFIG} lacks or spoils {error}") from None


def _fitting(*, is_causal: bool, kernel: object) -> dict[str, tuple[object, ...]]:
    """Key -> the values that it may have, the usual one first."""
    if is_causal:
        style, before = "chunked_limited", kernel - 1 if isinstance(kernel, int) else None
        contexts: tuple[object, ...] = ("causal", [before, 0])
        normalised: tuple[object, ...] = ("NA", None, False, "")
    else:
        side = (kernel - 1) // 2 if isinstance(kernel, int) else None
        style, contexts = "regular", (None, [side, side])
        normalised = ("per_feature", "NA", None, False, "")
    return {
        "preprocessor.sample_rate": (SAMPLE_RATE_HZ,),
        "preprocessor.window_size": (WINDOW / SAMPLE_RATE_HZ,),
        "preprocessor.window_stride": (HOP / SAMPLE_RATE_HZ,),
        "preprocessor.window": ("hann",),
        "preprocessor.n_fft": (POINTS, None),
        "preprocessor.preemph": (PREEMPHASIS,),
        "preprocessor.log": (True,),
        "preprocessor.mag_power": (2.0,),
        "preprocessor.frame_splicing": (1,),
        "preprocessor.normalize": normalised,
        "encoder.self_attention_model": ("rel_pos",),
        "encoder.att_context_style": (style,),
        "encoder.conv_context_size": contexts,
        "encoder.reduction": (None,),
        "joint.jointnet.activation": ("relu",),
    }


def _refuse_others(
    config: Mapping[str, Any], fitting: Mapping[str, Sequence[object]], path: Path
) -> None:
    for key, values in fitting.items():
        part: Any = config
        *parts, last = key.split(".")
        for name in parts:
            part = part.get(name) if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or last not in part:
            continue
        if not any(_is_same(part[last], value) for value in values):
            raise _misfit(path, key, part[last], _yaml_of(values[0]))


def _refuse_contexts(contexts: Sequence[Any], is_causal: bool, path: Path) -> None:
    """A model that streams looks back so many frames, another one at all there is."""
    for context in contexts:
        left, right = int(context[0]), int(context[1])
        if is_causal and (left < 0 or right < 0):
            fits = "[70, 13] or the like: with causal convolutions both are limited"
            raise _misfit(path, "encoder.att_context_size", context, fits)
        if not is_causal and (left, right) != (-1, -1):
            fits = "[-1, -1]: without causal convolutions it sees whole recordings"
            raise _misfit(path, "encoder.att_context_size", context, fits)


def _misfit(path: Path, key: str, value: object, fits: str) -> ModelUnavailable:
    said = " ".join(_yaml_of(value).split())[:60]
    return ModelUnavailable(
        f"{path}: its {CONFIG} has {key}: {said}; what can be computed here has {fits}"
    )


def _is_same(value: object, wanted: object) -> bool:
    if isinstance(wanted, float) and isinstance(value, int | float):
        return abs(value - wanted) < 1e-6
    return type(value) is type(wanted) and value == wanted


def _yaml_of(value: object) -> str:
    return "null" if value is None else str(value)
