"""Moonshine tiny-en out of the installed `moonshine-voice` wheel.

The wheel (MIT; later ones download the model instead) carries two ONNX Runtime flatbuffers
with uint8 matrices. They are read, not run: `w = (q - zero_point) * scale` undoes the
quantisation. Names of the result are those of transformers' MoonshineForConditionalGeneration,
the reference that `moonshine.from_reference` understands.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import (
    InferenceSession,
)
from torch import Tensor

from voicebot.asr.moonshine import SAMPLE_RATE_HZ
from voicebot.errors import ModelUnavailable

PACKAGE = "moonshine_voice"
VERSION = "0.0.62"
FOLDER = Path("assets", "tiny-en")
ENCODER, DECODER, VOCABULARY = "encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"
SPEECH = Path("..", "beckett.wav")
SHA256: dict[str, str] = {
    # Of the files in the wheel on PyPI: another wheel may name its tensors differently.
    ENCODER: "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    DECODER: "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    VOCABULARY: "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}

Array = NDArray[Any]
# ONNX TensorProto.DataType
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_}
_MATRIX = re.compile(
    r".*layers\.(\d+)/(self_attn|encoder_attn|mlp)/(q_proj|k_proj|v_proj|o_proj|fc1|fc2)/MatMul"
)
_EMBEDDING = "model.decoder.embed_tokens.weight"


def find_folder() -> Path:
    """Folder of the model files in the installed wheel; the package itself is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(root) / FOLDER / ENCODER).is_file():
            return Path(root) / FOLDER
    raise ModelUnavailable(
        f"the recogniser's weights are missing: package moonshine-voice is not installed or "
        f"carries no model; run `pip install moonshine-voice=={VERSION}`"
    )


def read_model(folder: Path) -> tuple[dict[str, Tensor], list[bytes]]:
    """(float32 state with reference names, token bytes by id) of the files in `folder`."""
    files = {name: _read(folder / name) for name in (ENCODER, DECODER, VOCABULARY)}
    state = _encoder_state(_graph(files[ENCODER])) | _decoder_state(_graph(files[DECODER]))
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    return tensors, parse_vocabulary(files[VOCABULARY])


def read_speech(folder: Path) -> Tensor:
    """Ten seconds of speech that come with the model, [1, N] at 16 kHz."""
    try:
        samples, rate = soundfile.read(folder / SPEECH, dtype="float32")
    except (OSError, soundfile.SoundFileError) as error:
        raise ModelUnavailable(
            f"{folder / SPEECH}: cannot read the speech that the weights are calibrated with; "
            f"run `pip install --force-reinstall moonshine-voice=={VERSION}`"
        ) from error
    assert rate == SAMPLE_RATE_HZ
    return torch.from_numpy(samples)[None]


def parse_vocabulary(raw: bytes) -> list[bytes]:
    """Token bytes by id: a length byte (two when >= 128: low 7 bits, then times 128), the token."""
    tokens, at = [], 0
    while at < len(raw):
        length, at = raw[at], at + 1
        if length >= 128:
            length, at = length - 128 + 128 * raw[at], at + 1
        tokens.append(raw[at : at + length])
        at += length
    return tokens


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(
            f"{path}: cannot read the recogniser's weights ({error.strerror}); "
            f"run `pip install --force-reinstall moonshine-voice=={VERSION}`"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[path.name]:
        raise ModelUnavailable(
            f"{path}: not the file of moonshine-voice {VERSION} (checksum differs); "
            f"run `pip install --force-reinstall moonshine-voice=={VERSION}`"
        )
    return content


def _graph(content: bytes) -> Any:
    return InferenceSession.GetRootAsInferenceSession(bytearray(content), 0).Model().Graph()


def _initializers(graph: Any) -> dict[str, Array]:
    """Name -> array of every weight stored in the graph."""
    found = {}
    for i in range(graph.InitializersLength()):
        tensor = graph.Initializers(i)
        raw = tensor.RawDataAsNumpy()
        if not isinstance(raw, int):  # 0: stored elsewhere (strings)
            shape = [tensor.Dims(d) for d in range(tensor.DimsLength())]
            array: Array = np.frombuffer(bytes(raw), _DTYPES[tensor.DataType()])
            found[tensor.Name().decode()] = array.reshape(shape)
    return found


def _nodes(graph: Any) -> Iterator[tuple[str, list[str]]]:
    """(name, input names) of every node, those inside If branches included."""
    for i in range(graph.NodesLength()):
        node = graph.Nodes(i)
        yield node.Name().decode(), [node.Inputs(j).decode() for j in range(node.InputsLength())]
        for j in range(node.AttributesLength()):
            if (branch := node.Attributes(j).G()) is not None:
                yield from _nodes(branch)


def _dequantised(weights: dict[str, Array], name: str) -> Array:
    base = name.removesuffix("_quantized")
    zero = weights[base + "_zero_point"].astype(np.float32)
    return np.asarray((weights[name].astype(np.float32) - zero) * weights[base + "_scale"])


def _matrices(graph: Any, weights: dict[str, Array], side: str) -> dict[str, Array]:
    """The quantised projections, found through the MatMul nodes that use them."""
    state = {}
    for name, inputs in _nodes(graph):
        quantised = [i for i in inputs if i.endswith("_quantized") and i in weights]
        if quantised and (match := _MATRIX.match(name)):
            layer, block, part = match.groups()
            key = f"model.{side}.layers.{layer}.{block}.{part}.weight"
            state[key] = _dequantised(weights, quantised[-1]).T
    return state


def _encoder_state(graph: Any) -> dict[str, Array]:
    weights = _initializers(graph)
    state = {
        "model.encoder." + name: array
        for name, array in weights.items()
        if re.match(r"layers\.|layer_norm\.|conv\d\.bias", name)
    }
    # The exporter renamed these: GroupNorm as Mul and Add, convolutions folded with an Add.
    state["model.encoder.groupnorm.weight"] = weights["onnx::Mul_2080"].reshape(-1)
    state["model.encoder.groupnorm.bias"] = weights["onnx::Add_2081"].reshape(-1)
    for conv in ("conv1", "conv2", "conv3"):
        state[f"model.encoder.{conv}.weight"] = weights[f"{conv}.weight_add_tensor"]
    return state | _matrices(graph, weights, "encoder")


def _decoder_state(graph: Any) -> dict[str, Array]:
    weights = _initializers(graph)
    state = {
        name.removesuffix("_merged_0"): array
        for name, array in weights.items()
        if re.match(r"model\.decoder\.(layers|norm)\.", name)
    }
    state = {name: array for name, array in state.items() if array.dtype == np.float32}
    state[_EMBEDDING] = _dequantised(weights, _EMBEDDING + "_merged_0_quantized")
    return state | _matrices(graph, weights, "decoder")
