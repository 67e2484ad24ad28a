"""FastConformers from files: .nemo archives and Hugging Face folders.

A .nemo file is a tar of `model_config.yaml`, `model_weights.ckpt` and the tokenizer. Nothing of it
is unpacked to disk, and the weights are read as tensors only: no code in them can run.
"""

from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from voicebot.asr.fastconformer import FastConformerConfig
from voicebot.asr.fastconformer_names import build, hugging_face_naming, nemo_naming
from voicebot.asr.fastconformer_stream import FastConformer
from voicebot.asr.nemo_config import CONFIG, nemo_config
from voicebot.asr.vocabulary import Vocabulary
from voicebot.errors import ModelUnavailable

WEIGHTS = "model_weights.ckpt"
MOST_CONFIG_BYTES = 16 << 20
_FAMILIES = {
    "nemotron_asr_streaming": True,
    "parakeet_ctc": False,
    "parakeet_rnnt": False,
    "parakeet_tdt": False,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in float32 on the CPU, ready to run, and what its tokens spell."""

    model: FastConformer
    vocabulary: Vocabulary


def load(path: Path | str) -> Loaded:
    """From a .nemo file or a Hugging Face folder; ModelUnavailable, in one line, if it is none."""
    path = Path(path)
    if not path.exists():
        raise ModelUnavailable(f"{path}: there is no such file; give a .nemo file or a folder")
    try:
        return _hugging_face(path) if path.is_dir() else _nemo(path)
    except ModelUnavailable:
        raise
    except (MemoryError, RecursionError):
        raise ModelUnavailable(f"{path}: more than this machine can hold, or damaged") from None
    except Exception as error:
        # Archives are strangers' work: whatever is odd in one is its fault, and told as such.
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelUnavailable(
            f"{path}: no model of this family can be made of it ({what})"
        ) from None


# ---------------------------------------------------------------- .nemo


def _nemo(path: Path) -> Loaded:
    try:
        with tarfile.open(path) as archive:
            members = {PurePosixPath(m.name).name: m for m in archive.getmembers() if m.isfile()}
            for wanted in (CONFIG, WEIGHTS):
                if wanted not in members:
                    raise ModelUnavailable(f"{path}: no {wanted} in it; it is no whole .nemo file")
            config = _yaml(_read(archive, members[CONFIG]), path)
            tokens = _nemo_tokens(archive, members, config, path)
            tensors = _tensors(archive.extractfile(members[WEIGHTS]), path)
    except (tarfile.TarError, EOFError, OSError) as error:
        why = str(error).partition("\n")[0].rstrip(":")
        raise ModelUnavailable(f"{path}: not a readable .nemo file ({why})") from None
    ours = nemo_config(config, len(tokens), path)
    naming = nemo_naming(is_ctc_only=not ours.has_transducer)
    _check_tokens(tokens, tensors, naming.sources("transducer.embedding.weight")[0], path)
    return Loaded(build(ours, tensors, naming, str(path)), Vocabulary(tokens))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > MOST_CONFIG_BYTES:
        raise ModelUnavailable(f"{archive.name!s}: {member.name} is no file of a sensible size")
    return file.read()


def _yaml(raw: bytes, path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(raw)
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("encoder"), dict):
        raise ModelUnavailable(f"{path}: its {CONFIG} describes no encoder")
    return config


def _tensors(file: IO[bytes] | None, path: Path) -> dict[str, Tensor]:
    try:
        assert file is not None
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AssertionError, KeyError):
        raise ModelUnavailable(
            f"{path}: its {WEIGHTS} is damaged or holds more than tensors; fetch it again"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ModelUnavailable(f"{path}: its {WEIGHTS} holds something else than named tensors")
    return state


def _nemo_tokens(
    archive: tarfile.TarFile,
    members: Mapping[str, tarfile.TarInfo],
    config: Mapping[str, Any],
    path: Path,
) -> list[bytes]:
    for name, member in members.items():
        if name.endswith("tokenizer.model"):
            return sentencepiece_tokens(_read(archive, member), path)
    labels = config.get("labels") or (config.get("joint") or {}).get("vocabulary")
    if labels:
        return [str(label).encode() for label in labels]
    raise ModelUnavailable(f"{path}: no tokenizer.model in it, nor labels in its {CONFIG}")


# ---------------------------------------------------------------- Hugging Face


def _hugging_face(path: Path) -> Loaded:
    config = _json(path / "config.json")
    family = config.get("model_type")
    if family not in _FAMILIES:
        raise ModelUnavailable(
            f"{path}: a model of type {family!r}; there are {', '.join(_FAMILIES)}"
        )
    tensors = _safetensors(path)
    tokens = _json_tokens(_json(path / "tokenizer.json"), path)
    ours = _hugging_face_config(config, path)
    blank = ours.vocabulary
    if config.get("blank_token_id", config.get("pad_token_id")) != blank:
        raise ModelUnavailable(f"{path}: the blank is not its last class; this is not supported")
    # The blank may have a name among the tokens.
    naming = hugging_face_naming(is_streaming=_FAMILIES[family])
    _check_tokens(tokens[:blank], tensors, "decoder.embedding.weight", path, blank)
    return Loaded(build(ours, tensors, naming, str(path)), Vocabulary(tokens[:blank]))


def _hugging_face_config(config: Mapping[str, Any], path: Path) -> FastConformerConfig:
    encoder = config.get("encoder_config") or {}
    is_streaming = _FAMILIES[config["model_type"]]
    is_ctc = config["model_type"] == "parakeet_ctc"
    durations = config.get("durations", ()) if config["model_type"] == "parakeet_tdt" else ()
    try:
        return FastConformerConfig(
            mels=int(encoder.get("num_mel_bins", 80)),
            width=int(encoder.get("hidden_size", 1024)),
            layers=int(encoder.get("num_hidden_layers", 24)),
            heads=int(encoder.get("num_attention_heads", 8)),
            inner=int(encoder.get("intermediate_size", 4096)),
            kernel=int(encoder.get("conv_kernel_size", 9)),
            stem_channels=int(encoder.get("subsampling_conv_channels", 256)),
            vocabulary=int(config["vocab_size"]) - 1,
            predictor_width=int(config.get("decoder_hidden_size", 640)),
            predictor_layers=int(config.get("num_decoder_layers", 2)),
            joint_width=int(config.get("decoder_hidden_size", 640)),
            durations=tuple(int(d) for d in durations),
            is_causal=is_streaming,
            conv_norm="layer" if is_streaming else "batch",
            has_bias=bool(encoder.get("attention_bias", True)),
            has_conv_bias=bool(encoder.get("convolution_bias", True)),
            scales_input=bool(encoder.get("scale_input", True)),
            is_normalised=not is_streaming,
            left=int(encoder.get("sliding_window", 71)) - 1 if is_streaming else -1,
            has_ctc=is_ctc,
            has_transducer=not is_ctc,
            max_symbols=int(config.get("max_symbols_per_step", 10)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"{path}: its config.json lacks or spoils {error}") from None


def _safetensors(path: Path) -> dict[str, Tensor]:
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelUnavailable(f"{path}: no .safetensors file in it")
    found: dict[str, Tensor] = {}
    for name in files:
        try:
            with safe_open(name, framework="pt") as file:
                found |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelUnavailable(f"{name}: damaged ({error}); fetch it again") from None
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelUnavailable(f"{path}: missing; the folder is no whole model") from None
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{path}: not readable JSON ({error})") from None
    if not isinstance(content, dict):
        raise ModelUnavailable(f"{path}: not a JSON object")
    return content


def _json_tokens(content: Mapping[str, Any], path: Path) -> list[bytes]:
    """Of a `tokenizers` file: BPE (token -> id) or Unigram ([token, score])."""
    vocabulary = (content.get("model") or {}).get("vocab")
    if isinstance(vocabulary, list):
        ids = {str(entry[0]): number for number, entry in enumerate(vocabulary)}
    elif isinstance(vocabulary, dict):
        ids = {str(token): int(number) for token, number in vocabulary.items()}
    else:
        raise ModelUnavailable(f"{path / 'tokenizer.json'}: no vocabulary in it")
    for added in content.get("added_tokens") or ():
        ids[str(added["content"])] = int(added["id"])
    by_id = {number: token for token, number in ids.items()}
    return [by_id.get(number, "<unk>").encode() for number in range(max(by_id, default=-1) + 1)]


# ---------------------------------------------------------------- tokenizers


def sentencepiece_tokens(raw: bytes, path: Path) -> list[bytes]:
    """Pieces by id of a SentencePiece model: field 1 of each field 1 of its protocol buffer."""
    try:
        tokens = [
            bytes(piece)
            for number, entry in _fields(raw)
            if number == 1 and not isinstance(entry, int)
            for inner, piece in _fields(entry)
            if inner == 1 and not isinstance(piece, int)
        ]
    except (IndexError, ValueError):
        tokens = []
    if not tokens:
        raise ModelUnavailable(f"{path}: its tokenizer.model is no SentencePiece model")
    return tokens


def _fields(raw: bytes) -> Sequence[tuple[int, bytes | int]]:
    """(number, value) of a protocol buffer's fields (protobuf.dev/programming-guides/encoding)."""
    found: list[tuple[int, bytes | int]] = []
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(raw, at)
            found.append((key >> 3, value))
            continue
        if kind == 2:
            size, at = _varint(raw, at)
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("a kind of field that does not exist")
        if at + size > len(raw):
            raise ValueError("cut off")
        found.append((key >> 3, raw[at : at + size]))
        at += size
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _check_tokens(
    tokens: Sequence[bytes],
    tensors: Mapping[str, Tensor],
    embedding: str,
    path: Path,
    wanted: int | None = None,
) -> None:
    """ModelUnavailable where the tokenizer does not fit the weights."""
    if wanted is None and embedding in tensors:
        wanted = tensors[embedding].shape[0] - 1
    if wanted is not None and len(tokens) != wanted:
        raise ModelUnavailable(
            f"{path}: its tokenizer has {len(tokens)} tokens where the weights have {wanted}; "
            "it belongs to another model"
        )
