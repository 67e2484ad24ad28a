"""Prompts rendered once, kept in memory and on disk by (text, voice, version).

Whole prompts are rendered, not joined from pieces: the voice is hundreds of times faster than
real time, and a sentence in one breath sounds better than one cut at its values. What a prompt
says about one caller (a balance, a number: its `Say` parts) stays out of the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from voicebot.events import CHUNK_SAMPLES, SAMPLE_RATE_HZ, PhraseEnd, Say, SpokenPrompt
from voicebot.speech.telephone import SILENCE, to_telephone
from voicebot.speech.verbalise import PAUSE, join
from voicebot.speech.voices import Voice

_FORMAT = 1  # raise when the sound of a file would change: level, trimming, layout
_LONGEST_TEXT = 4000  # characters, some five minutes; what goes beyond is cut at a word
_SUFFIX = ".prompt"


class Prompts:
    """Renders parts to `SpokenPrompt`; blocking, thread-safe.

    `folder` None, or one that cannot be written, means memory only. `memory_bytes` and
    `disk_bytes` bound both stores, least recently used first out; folders may be shared by
    processes. `others` are the voices of further languages. With `keep_values` prompts with
    `Say` parts go to disk too.
    """

    def __init__(
        self,
        voice: Voice,
        folder: Path | None = None,
        *,
        language: str = "en",
        others: Mapping[str, Voice] | None = None,
        memory_bytes: int = 32 << 20,
        disk_bytes: int = 256 << 20,
        keep_values: bool = False,
    ) -> None:
        self._voice = voice
        self._folder = folder
        self._language = language
        self._others = dict(others or {})
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._keep_values = keep_values
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], SpokenPrompt] = OrderedDict()
        self._kept_bytes = 0
        self._disk_used: int | None = None  # unknown until the first write

    def text(self, parts: tuple[str | Say, ...], language: str = "") -> str:
        """The words that `render` speaks for `parts`; `language` "" is the plan's own."""
        text = join(parts, language or self._language)
        return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT].rsplit(" ", 1)[0]

    def is_ready(self, parts: tuple[str | Say, ...], language: str = "") -> bool:
        """True when `render` need not synthesise (a file found here may still prove corrupt)."""
        pieces = _pieces(parts)
        if len(pieces) > 1:
            return all(self.is_ready(piece, language) for piece, _ in pieces)
        text, voice = self.text(parts, language), self._voice_of(language)
        with self._lock:
            if (voice.name, text) in self._kept:
                return True
        path = self._path(text, parts, voice)
        return path is not None and path.is_file()

    def render(self, parts: tuple[str | Say, ...], language: str = "") -> SpokenPrompt:
        """Speech for `parts`; nothing to say gives empty audio. Raises what the voice raises."""
        pieces = _pieces(parts)
        if len(pieces) > 1:
            return _joined([(self.render(piece, language), ms) for piece, ms in pieces])
        text, voice = self.text(parts, language), self._voice_of(language)
        with self._lock:
            kept = self._kept.get((voice.name, text))
            if kept is not None:
                self._kept.move_to_end((voice.name, text))
                return kept
        path = self._path(text, parts, voice)
        prompt = _read(path, _header(text, voice)) if path is not None else None
        if prompt is None:
            prompt = to_telephone(text, voice.render(text))
            if path is not None:
                self._write(path, prompt, voice)
        return self._keep((voice.name, text), prompt)

    def _voice_of(self, language: str) -> Voice:
        return self._others.get(language, self._voice)

    def _keep(self, key: tuple[str, str], prompt: SpokenPrompt) -> SpokenPrompt:
        with self._lock:
            if key in self._kept:  # another thread was faster
                return self._kept[key]
            self._kept[key] = prompt
            self._kept_bytes += len(prompt.mulaw)
            while self._kept_bytes > self._memory_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest.mulaw)
        return prompt

    # ------------------------------------------------------------ disk

    def _path(self, text: str, parts: tuple[str | Say, ...], voice: Voice) -> Path | None:
        if self._folder is None:
            return None
        if not self._keep_values and any(isinstance(part, Say) for part in parts):
            return None
        key = json.dumps(_header(text, voice), sort_keys=True)
        return self._folder / (hashlib.sha256(key.encode()).hexdigest()[:40] + _SUFFIX)

    def _write(self, path: Path, prompt: SpokenPrompt, voice: Voice) -> None:
        header = _header(prompt.text, voice) | {
            "word_ends": [[end.sample, end.chars] for end in prompt.word_ends],
            "sha256": hashlib.sha256(prompt.mulaw).hexdigest(),
        }
        data = json.dumps(header).encode() + b"\n" + prompt.mulaw
        try:
            _write_atomically(path, data)
        except OSError:
            return  # full or read-only: the prompt is in memory, and tried again next time
        with self._lock:
            if self._disk_used is not None:
                self._disk_used += len(data)
            if self._disk_used is None or self._disk_used > self._disk_bytes:
                self._disk_used = _prune(path.parent, self._disk_bytes)


def _header(text: str, voice: Voice) -> dict[str, object]:
    return {"format": _FORMAT, "text": text, "voice": voice.name, "version": voice.version}


def _pieces(parts: tuple[str | Say, ...]) -> list[tuple[tuple[str | Say, ...], int]]:
    """What stands between pauses, each with the milliseconds of silence after it."""
    pieces: list[tuple[tuple[str | Say, ...], int]] = []
    piece: list[str | Say] = []
    for part in parts:
        if isinstance(part, Say) and part.kind == PAUSE:
            pieces.append((tuple(piece), int(part.value) if part.value.isdecimal() else 0))
            piece = []
        else:
            piece.append(part)
    pieces.append((tuple(piece), 0))
    return pieces


def _joined(pieces: list[tuple[SpokenPrompt, int]]) -> SpokenPrompt:
    """One prompt of several, with silences in whole chunks between them."""
    text, mulaw = "", b""
    ends: list[PhraseEnd] = []
    for prompt, pause_ms in pieces:
        if prompt.text:
            text = f"{text} {prompt.text}" if text else prompt.text
        before = len(text) - len(prompt.text)
        ends.extend(
            PhraseEnd(len(mulaw) + end.sample, before + end.chars) for end in prompt.word_ends
        )
        chunks = round(pause_ms * SAMPLE_RATE_HZ / 1000 / CHUNK_SAMPLES)
        mulaw += prompt.mulaw + SILENCE * (chunks * CHUNK_SAMPLES)
    return SpokenPrompt(text, mulaw, tuple(ends))


def _read(path: Path, expected: dict[str, object]) -> SpokenPrompt | None:
    """The prompt kept in `path`; None when it is absent, damaged or another one."""
    try:
        head, _, mulaw = path.read_bytes().partition(b"\n")
        header = json.loads(head)
        ends = tuple(PhraseEnd(int(sample), int(chars)) for sample, chars in header["word_ends"])
        if any(header[key] != value for key, value in expected.items()):
            return None
        if header["sha256"] != hashlib.sha256(mulaw).hexdigest():
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # recently used: pruned last
    return SpokenPrompt(str(expected["text"]), mulaw, ends)


def _write_atomically(path: Path, data: bytes) -> None:
    """A reader, also in another process, sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _prune(folder: Path, limit: int) -> int:
    """Delete the least recently used prompts down to 90 % of `limit` bytes; bytes that stay."""
    files = []
    for path in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # another process may prune too
            status = path.stat()
            files.append((status.st_mtime_ns, status.st_size, path))
    used = sum(size for _, size, _ in files)
    if used <= limit:
        return used
    for _, size, path in sorted(files):
        if used <= 0.9 * limit:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        used -= size
    return used
