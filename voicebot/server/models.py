"""`voicebot models list`, `pull NAME` and `card NAME`.

What is pulled are files of openWakeWord's release v0.5.1, the addresses that its package names
(openwakeword/__init__.py, 0.6, with .onnx for .tflite, as its own `download_models` does). The
package gives no checksums; those here are the ones of upstream's Git LFS pointer
(melspectrogram) and of several independent projects that pin the same release files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO

import httpx

from voicebot.errors import ModelUnavailable
from voicebot.server import recognisers

RELEASE = "https://github.com/dscripka/openWakeWord/releases/download/v0.5.1"
FOLDER = "models"
TIMEOUT_S = 30.0
_BLOCK = 1 << 16

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there and the bytes there will be."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of the release; `sha256` in hex."""

    name: str
    size: int
    sha256: str


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
    return [*shipped, *(_listed(model, cache_dir / FOLDER) for model in MODELS)]


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
    for model in MODELS:
        if model.name == name:
            return _pulled_card(model)
    path = recognisers.find(name, cache_dir)
    return _card(path or _recogniser())


def _pulled_card(model: Model) -> str:
    sums = [f"- {file.name}, {file.size} bytes, {file.sha256}" for file in model.files]
    head = f"# {model.name}: {model.summary}\n\nLicence: {model.licence}. From {RELEASE}:\n\n"
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
    paths = [folder / file.name for file in model.files]
    size = sum(file.size for file in model.files)
    if not all(path.is_file() for path in paths):
        return Listed(model.name, model.summary, model.licence, "can be pulled", size, None)
    sound = all(_is_sound(path, file) for path, file in zip(paths, model.files, strict=True))
    where = paths[0] if len(paths) == 1 else folder
    state = "pulled" if sound else "damaged"
    return Listed(model.name, model.summary, model.licence, state, size, where)


def table(listed: list[Listed]) -> str:
    """`list_models` for a terminal, one model a line."""
    wide = max(len(item.name) for item in listed)
    lines = []
    for item in listed:
        what = f"{item.name:<{wide}}  {item.state:<13}  {item.size / 1e6:4.1f} MB  {item.summary}"
        data = f" (data: {', '.join(item.data)})" if item.data else ""
        lines.append(f"{what}; {item.licence}{data}" + (f"; {item.where}" if item.where else ""))
    return "\n".join(lines)


def find(name: str) -> Model:
    """The model of that name; ModelUnavailable when there is none."""
    for model in MODELS:
        if model.name == name.lower().replace("-", "_").replace(" ", "_"):
            return model
    known = ", ".join(model.name for model in MODELS)
    raise ModelUnavailable(f"there is no model {name!r} to pull; have {known}")


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
    wanted = [*model.files, *(FEATURES.files if model is not FEATURES else ())]
    folder = cache_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        made = httpx.Client(
            timeout=TIMEOUT_S, follow_redirects=True, headers={"Accept-Encoding": "identity"}
        )
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        reason = " ".join(str(error).split())
        raise ModelUnavailable(
            f"pull: {reason}; look at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE in the environment"
        ) from None
    with made as client:
        for file in wanted:
            _fetch(client, f"{release}/{file.name}", file, folder / file.name, progress)
    return [folder / file.name for file in wanted]


def _fetch(client: httpx.Client, url: str, file: ModelFile, path: Path, progress: Progress) -> None:
    if path.is_file() and _is_sound(path, file):
        progress(file.name, file.size, file.size)
        return
    part = path.with_name(f"{path.name}.part")
    with _told_in_one_line(url, path):
        if not _is_sound(part, file):
            _download(client, url, file, part, progress)
        if not _is_sound(part, file):
            found = f"{part.stat().st_size} bytes, sha256 {_sha256(part)[:12]}..."
            part.unlink()
            raise ModelUnavailable(
                f"{url}: is not the file it should be ({found}; expected {file.size} bytes, "
                f"{file.sha256[:12]}...); nothing was kept, try again or ask your network's keeper"
            )
        os.replace(part, path)


def _download(
    client: httpx.Client, url: str, file: ModelFile, part: Path, progress: Progress
) -> None:
    have = part.stat().st_size if part.is_file() else 0
    have = have if have < file.size else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        response.raise_for_status()
        resumed = have and response.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as out:
            _write(response, out, file, have if resumed else 0, progress)


def _write(
    response: httpx.Response, out: IO[bytes], file: ModelFile, done: int, progress: Progress
) -> None:
    for block in response.iter_bytes(_BLOCK):
        done += len(block)
        out.write(block)
        progress(file.name, done, file.size)
        if done > file.size:
            return  # the checksum will say so


@contextlib.contextmanager
def _told_in_one_line(url: str, path: Path) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = f"{error.response.status_code} {error.response.reason_phrase}".strip()
        raise ModelUnavailable(
            f"{url}: the server answered {status}; look at {RELEASE.rpartition('/download')[0]} "
            f"and put the file at {path} by hand"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelUnavailable(
            f"{url}: cannot be downloaded ({reason}); check the network and pull again, "
            "what has come is kept"
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ModelUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelUnavailable(f"{path}: the disk is full; free some space and pull again")
    return ModelUnavailable(
        f"{path}: cannot be written ({error.strerror}); set VOICEBOT_ASR__CACHE_DIR elsewhere"
    )


def _is_sound(path: Path, file: ModelFile) -> bool:
    try:
        return path.stat().st_size == file.size and _sha256(path) == file.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
