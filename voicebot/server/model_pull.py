"""Fetching files of models: checksums, resuming, and one clear line for whatever goes wrong."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import httpx

from voicebot.errors import ModelUnavailable

TIMEOUT_S = 30.0
_BLOCK = 1 << 16
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"[1-9][0-9]{0,14}")

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there and the bytes there will be."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file; `sha256` in hex, "" and `size` 0 where the server is to tell. `url`: its own
    address, where it is not of the release."""

    name: str
    size: int
    sha256: str
    url: str = ""


def client() -> httpx.Client:
    """For all files of a pull. ModelUnavailable for proxies or certificates that are none."""
    try:
        return httpx.Client(
            timeout=TIMEOUT_S, follow_redirects=True, headers={"Accept-Encoding": "identity"}
        )
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        reason = " ".join(str(error).split())
        raise ModelUnavailable(
            f"pull: {reason}; look at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE in the environment"
        ) from None


# ---------------------------------------------------------------- what was trusted at first use


def pinned(path: Path, file: ModelFile) -> ModelFile:
    """The file with what was noted of it when it was pulled first, if it says less itself."""
    if file.sha256 and file.size:
        return file
    try:
        note = json.loads(_note(path).read_text(encoding="utf-8"))
        size, sha256 = int(note["size"]), str(note["sha256"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return file
    if size <= 0 or not _SHA256.fullmatch(sha256):
        return file
    return replace(file, size=file.size or size, sha256=file.sha256 or sha256)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.pin.json")


def _published(session: httpx.Client, url: str, file: ModelFile, path: Path) -> ModelFile:
    """What the server says of it (Hugging Face: the LFS object's SHA-256 as X-Linked-ETag, its
    size as X-Linked-Size, in the answer before the redirect), noted from now on."""
    response = session.head(url, follow_redirects=False)
    onward = response.next_request  # None also for a redirect that says not where to
    if onward is not None and "X-Linked-ETag" not in response.headers:
        response = session.head(str(onward.url), follow_redirects=False)
    if not response.is_redirect:
        response.raise_for_status()
    sha256 = response.headers.get("X-Linked-ETag", "").strip('"').removeprefix("sha256:").lower()
    size = response.headers.get("X-Linked-Size", "")
    if not _SHA256.fullmatch(sha256) or not _SIZE.fullmatch(size):
        raise ModelUnavailable(
            f"{url}: the server publishes no checksum, so that nobody could tell a damaged file; "
            f"put the file at {path} by hand"
        )
    if file.sha256 and sha256 != file.sha256:
        raise ModelUnavailable(
            f"{url}: the server has another file now (sha256 {sha256[:12]}..., expected "
            f"{file.sha256[:12]}...); nothing was fetched"
        )
    told = replace(file, size=int(size), sha256=sha256)
    _note(path).write_text(json.dumps({"size": told.size, "sha256": sha256}), encoding="utf-8")
    return told


# ---------------------------------------------------------------- fetching


def fetch(session: httpx.Client, url: str, file: ModelFile, path: Path, progress: Progress) -> None:
    """Bring one file to `path`, unless it is there and sound. ModelUnavailable, one line."""
    file = pinned(path, file)
    if path.is_file() and is_sound(path, file):
        progress(file.name, file.size, file.size)
        return
    part = path.with_name(f"{path.name}.part")
    with _told_in_one_line(url, path):
        if not (file.sha256 and file.size):
            file = _published(session, url, file, path)
        if not is_sound(part, file):
            _download(session, url, file, part, progress)
        if not is_sound(part, file):
            found = f"{part.stat().st_size} bytes, sha256 {_sha256(part)[:12]}..."
            part.unlink()
            raise ModelUnavailable(
                f"{url}: is not the file it should be ({found}; expected {file.size} bytes, "
                f"{file.sha256[:12]}...); nothing was kept, try again or ask your network's keeper"
            )
        os.replace(part, path)


def _download(
    session: httpx.Client, url: str, file: ModelFile, part: Path, progress: Progress
) -> None:
    have = part.stat().st_size if part.is_file() else 0
    have = have if have < file.size else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.stream("GET", url, headers=headers) as response:
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
            f"{url}: the server answered {status}; look at it and put the file at {path} by hand"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelUnavailable(
            f"{url}: cannot be downloaded ({reason}); check the network and pull again, "
            "what has come is kept"
        ) from None
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> ModelUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelUnavailable(f"{path}: the disk is full; free some space and pull again")
    return ModelUnavailable(
        f"{path}: cannot be written ({error.strerror}); set VOICEBOT_ASR__CACHE_DIR elsewhere"
    )


def is_sound(path: Path, file: ModelFile) -> bool:
    """Whether it is what it should be; of one that nothing is known of yet: no."""
    if not file.sha256:
        return False
    try:
        is_whole = file.size in {0, path.stat().st_size}
        return is_whole and _sha256(path) == file.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
