"""`voicebot models list`, `pull NAME` and `card NAME`.

Large recognisers come from NVIDIA's repositories on Hugging Face (HUB). What else is pulled are
files of openWakeWord's release v0.5.1, the addresses that its package names
(openwakeword/__init__.py, 0.6, with .onnx for .tflite, as its own `download_models` does). The
package gives no checksums; those here are the ones of upstream's Git LFS pointer
(melspectrogram) and of several independent projects that pin the same release files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from voicebot.errors import ModelUnavailable
from voicebot.server import recognisers
from voicebot.server.model_pull import (
    ModelFile,
    Progress,
    client,
    fetch,
    is_sound,
    pinned,
    unwritable,
)

RELEASE = "https://github.com/dscripka/openWakeWord/releases/download/v0.5.1"
FOLDER = "models"


@dataclass(frozen=True, slots=True)
class Model:
    """What `pull` takes a name of."""

    name: str
    summary: str
    licence: str
    files: tuple[ModelFile, ...]


_APACHE = "Apache-2.0"
_MIT_ORIGIN = "Apache-2.0, of MIT weights"
_LICENCES = re.compile(
    r"CC BY(?:-SA|-NC|-NC-SA)? \d\.\d|Apache-2\.0|\bMIT\b|free for any use|public domain"
)
_NON_COMMERCIAL = "CC BY-NC-SA 4.0: not for commercial use"

FEATURES = Model(
    "features",
    "what every openWakeWord model needs: mel spectrogram, speech embedding",
    _APACHE,
    (
        ModelFile(
            "melspectrogram.onnx",
            1087958,
            "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
        ),
        ModelFile(
            "embedding_model.onnx",
            1326578,
            "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
        ),
    ),
)


def _word(name: str, size: int, sha256: str) -> Model:
    file = ModelFile(f"{name}_v0.1.onnx", size, sha256)
    return Model(name, f"hot word {name.replace('_', ' ')!r}", _NON_COMMERCIAL, (file,))


MODELS = (
    FEATURES,
    _word("alexa", 854246, "6ff566a01d12670e8d9e3c59da32651db1575d17272a601b7f8a39283dfbae3e"),
    _word(
        "hey_jarvis", 1271370, "94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb"
    ),
    _word(
        "hey_mycroft", 857691, "c2a311e8fa1338de89c31b3b46dc4dffd4af2f9a8d6ddead48893c2d301b1f18"
    ),
    _word(
        "hey_rhasspy", 204081, "5a9b3ed3be2910e35780e097905aa9f35a9c10038df47914cf2b3ec4d670f6ea"
    ),
    _word("timer", 1742475, "371e44535470a29248b3b8f1bbbbaf2525c86417fd8f75c67fcf02ae0b9626df"),
    _word("weather", 1149158, "8441da8e746899e8d969528d5bad5651cdd563079c05962788f77753041f60e7"),
)


def _hub(
    name: str, summary: str, licence: str, repository: str, revision: str, size: int, sha256: str
) -> Model:
    file = f"{repository}.nemo"
    url = f"https://huggingface.co/nvidia/{repository}/resolve/{revision}/{file}"
    return Model(name, summary, licence, (ModelFile(file, size, sha256, url),))


_CC_BY = "CC BY 4.0"
HUB = (
    _hub(
        "fastconformer_streaming",
        "FastConformer 115M, English, listens all the time (asr-serve --model)",
        _CC_BY,
        "stt_en_fastconformer_hybrid_large_streaming_multi",
        "61f9be786c1280e97468291d254dc2599803ebc0",
        459673600,
        "8db5289d5238aca839b84f5afdd66eb1aa64413feb9c2a915940b291012aff8b",
    ),
    _hub(
        "nemotron_asr_streaming",
        "FastConformer 0.6B, English, listens all the time (asr-serve --model)",
        "NVIDIA Open Model License",
        "nemotron-speech-streaming-en-0.6b",
        "main",
        0,
        "",
    ),
    _hub(
        "parakeet",
        "Parakeet TDT 0.6B v2, English, of whole recordings: cannot serve calls",
        _CC_BY,
        "parakeet-tdt-0.6b-v2",
        "50aec6a056e85b9f95b612df08a2bddc55b58714",
        0,
        "d99e39955c9d3d0350d8fb7c75e40c64a2b2eaeb003883d7c941fd2e8747b28c",
    ),
)
"""Names, revisions and checksums are those that the repositories' own pages show. Where a size or
checksum is not among them (0, ""), the first pull takes what the server publishes and keeps it
beside the file: what differs from that later is refused."""


def fastconformer_file(name: str, cache_dir: Path) -> Path | None:
    """Where the pulled model of that name lies; None where it is none of HUB.

    ModelUnavailable where it was not pulled.
    """
    for model in HUB:
        if model.name == _plain(name):
            path = cache_dir / FOLDER / model.files[0].name
            if not path.is_file():
                raise ModelUnavailable(
                    f"{name}: not on this machine yet; run `voicebot models pull {model.name}`"
                )
            return path
    return None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `models list`. `state`: "shipped", "pulled", "damaged" or "can be pulled";
    `data`: the licences of what it learnt from, where its card tells them."""

    name: str
    summary: str
    licence: str
    state: str
    size: int
    where: Path | None
    data: tuple[str, ...] = ()


def list_models(cache_dir: Path) -> list[Listed]:
    """What comes with the package, what can be pulled, and what has been."""
    shipped = [_shipped(path) for path in shipped_weights()]
    return [*shipped, *(_listed(model, cache_dir / FOLDER) for model in (*HUB, *MODELS))]


def shipped_weights() -> list[Path]:
    """All weights in the package."""
    folders = [Path(str(files("voicebot") / room / "models")) for room in ("asr", "turns")]
    return sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix in {".safetensors", ".npz"}
    )


def _shipped(weights: Path) -> Listed:
    text = recognisers.card_of(weights) or ""
    title = text.partition("\n")[0].lstrip("# ").strip().removeprefix(f"{weights.name}: ")
    licence = _MIT_ORIGIN if weights.parent.parent.name == "asr" else _APACHE
    data = tuple(dict.fromkeys(_LICENCES.findall(text)))
    return Listed(weights.stem, title, licence, "shipped", weights.stat().st_size, weights, data)


def card(name: str, cache_dir: Path) -> str:
    """A model's card: of a shipped one, one that can be pulled, or a checkpoint's.

    ModelUnavailable when there is no such model, or no card beside it.
    """
    for weights in shipped_weights():
        if weights.stem == name:
            return _card(weights)
    for model in (*MODELS, *HUB):
        if model.name == _plain(name):
            return _pulled_card(model, cache_dir / FOLDER)
    path = recognisers.find(name, cache_dir)
    return _card(path or _recogniser())


def _pulled_card(model: Model, folder: Path) -> str:
    known = [pinned(folder / file.name, file) for file in model.files]
    sums = [
        f"- {file.name}, {file.size or 'unknown'} bytes, {file.sha256 or 'checksum at first pull'}"
        for file in known
    ]
    source = model.files[0].url.rpartition("/")[0] or RELEASE
    head = f"# {model.name}: {model.summary}\n\nLicence: {model.licence}. From {source}:\n\n"
    return head + "\n".join(sums)


def _card(weights: Path) -> str:
    text = recognisers.card_of(weights)
    if text is None:
        raise ModelUnavailable(
            f"{weights}: no model card beside it; it would be {weights.with_suffix('.md').name}"
        )
    return text.rstrip("\n")


def _recogniser() -> Path:
    from voicebot.asr.checkpoint import SHIPPED

    return SHIPPED


def _listed(model: Model, folder: Path) -> Listed:
    known = [pinned(folder / file.name, file) for file in model.files]
    paths = [folder / file.name for file in known]
    size = sum(file.size for file in known)
    if not all(path.is_file() for path in paths):
        return Listed(model.name, model.summary, model.licence, "can be pulled", size, None)
    sound = all(is_sound(path, file) for path, file in zip(paths, known, strict=True))
    where = paths[0] if len(paths) == 1 else folder
    state = "pulled" if sound else "damaged"
    return Listed(model.name, model.summary, model.licence, state, size, where)


def table(listed: list[Listed]) -> str:
    """`list_models` for a terminal, one model a line."""
    wide = max(len(item.name) for item in listed)
    lines = []
    for item in listed:
        size = f"{item.size / 1e6:4.1f} MB" if item.size else "size ?"
        what = f"{item.name:<{wide}}  {item.state:<13}  {size:>7}  {item.summary}"
        data = f" (data: {', '.join(item.data)})" if item.data else ""
        lines.append(f"{what}; {item.licence}{data}" + (f"; {item.where}" if item.where else ""))
    return "\n".join(lines)


def find(name: str) -> Model:
    """The model of that name; ModelUnavailable when there is none."""
    for model in (*MODELS, *HUB):
        if model.name == _plain(name):
            return model
    known = ", ".join(model.name for model in (*MODELS, *HUB))
    raise ModelUnavailable(f"there is no model {name!r} to pull; have {known}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def pull(
    name: str,
    cache_dir: Path,
    *,
    progress: Progress = lambda name, done, size: None,
    release: str = RELEASE,
) -> list[Path]:
    """Download a model, and the features that a word's model needs; where its files lie.

    What is there and sound is not fetched again; a download that broke off is taken up where it
    stopped. A file gets its name only when its checksum is right. ModelUnavailable (one line)
    when it cannot be had.
    """
    model = find(name)
    is_word = all(model.name != other.name for other in (FEATURES, *HUB))
    wanted = [*model.files, *(FEATURES.files if is_word else ())]
    folder = cache_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    with client() as session:
        for file in wanted:
            url = file.url or f"{release}/{file.name}"
            fetch(session, url, file, folder / file.name, progress)
    return [folder / file.name for file in wanted]
