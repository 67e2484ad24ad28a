"""The recogniser's weights on disk: converted once, checked on every load.

One safetensors file holds tensors and vocabulary, so that they cannot part. It is written
under another name and renamed; a file that fails its checksum is converted again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from voicebot.asr.moonshine import Dimensions, Moonshine
from voicebot.asr.quantise import equalise
from voicebot.asr.reference import from_reference
from voicebot.errors import ModelUnavailable

FILE_NAME = "moonshine-tiny-en-0.0.62.v2.safetensors"
_TOKEN_BYTES, _TOKEN_ENDS = "vocabulary.bytes", "vocabulary.ends"


@dataclass(frozen=True, slots=True)
class Weights:
    """State of `moonshine.Moonshine` (float32) and token bytes by id.

    `cache_problem` says in one line why the conversion could not be kept, if so.
    """

    state: dict[str, Tensor]
    tokens: list[bytes]
    cache_problem: str | None = None


def load_weights(cache_dir: Path | str, dims: Dimensions | None = None) -> Weights:
    """Weights from `cache_dir`, or from the installed wheel, kept in `cache_dir` for next time.

    A cache that cannot be written costs the conversion (about 3 s) at each start, no more.
    Raises ModelUnavailable (one line) when there is neither a sound cache nor the wheel.
    """
    path = Path(cache_dir) / FILE_NAME
    dims = dims or Dimensions()
    return read(path, dims) or _converted(path, dims)


def _converted(path: Path, dims: Dimensions) -> Weights:
    # Imported here: reading the wheel's format loads onnxruntime, needed once per machine.
    from voicebot.asr import wheel

    folder = wheel.find_folder()
    reference, tokens = wheel.read_model(folder)
    weights = Weights(from_reference(reference), tokens)
    # In place: the network shares the tensors.
    equalise(build(weights, dims), wheel.read_speech(folder))
    try:
        write(path, weights)
    except OSError as error:
        problem = f"{path.parent}: cannot keep the converted weights ({error.strerror})"
        return Weights(weights.state, tokens, problem)
    return weights


def write(path: Path, weights: Weights) -> None:
    """Write atomically, with a checksum. OSError when the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in weights.state.items()}
    tensors |= _packed(weights.tokens)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata={"sha256": _checksum(tensors)})
        os.replace(temporary, path)
    except SafetensorError as error:  # a full disk arrives under this name
        raise OSError(0, str(error)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def read(path: Path, dims: Dimensions) -> Weights | None:
    """The weights in the file, None when it is missing, damaged or of another shape."""
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError):
        return None
    if expected != _checksum(tensors) or not {_TOKEN_BYTES, _TOKEN_ENDS} <= tensors.keys():
        return None
    tokens = _unpacked(tensors.pop(_TOKEN_BYTES), tensors.pop(_TOKEN_ENDS))
    if _shapes(tensors) != expected_shapes(dims) or len(tokens) != dims.vocabulary:
        return None
    return Weights(tensors, tokens)


def build(weights: Weights, dims: Dimensions | None = None) -> Moonshine:
    """The network with these weights, ready to run. ModelUnavailable when they do not fit."""
    with torch.device("meta"):
        model = Moonshine(dims)
    try:
        model.load_state_dict(weights.state, assign=True)
    except RuntimeError as error:
        raise ModelUnavailable(
            "the recogniser's weights do not fit its network; delete the cache folder and retry"
        ) from error
    return model.eval().requires_grad_(False)


def expected_shapes(dims: Dimensions) -> dict[str, torch.Size]:
    """Name -> shape of every tensor of the network."""
    with torch.device("meta"):
        return _shapes(Moonshine(dims).state_dict())


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _packed(tokens: list[bytes]) -> dict[str, Tensor]:
    joined = bytearray(b"".join(tokens))
    ends = torch.tensor([len(token) for token in tokens]).cumsum(0)
    return {_TOKEN_BYTES: torch.frombuffer(joined, dtype=torch.uint8), _TOKEN_ENDS: ends}


def _unpacked(joined: Tensor, ends: Tensor) -> list[bytes]:
    raw, stops = joined.numpy().tobytes(), ends.tolist()
    starts = [0, *stops[:-1]]
    return [raw[start:stop] for start, stop in zip(starts, stops, strict=True)]
