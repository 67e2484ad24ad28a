"""Whether a recording is one of the collections that models were trained on, and whose it is there.

Names decide nothing: every collection counts its sessions from 00000, and so may another's. What
decides is the sound: rate, length and first quarter second; or, where it was converted, the
file's name with the length. `asr_origin.json` holds both prints of every recording there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile as sf

if TYPE_CHECKING:
    from typing import BinaryIO

FILE = Path(__file__).parent / "asr_origin.json"
_SOUND, _NAME = 10, 8
"""Hexadecimal digits of the two prints."""
_OGG_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """A recording of a collection: `group` is its session, speaker or file there."""

    corpus: str
    group: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A file by its header and beginning: whose it is, if known; `problem`: "" or one line."""

    origin: Origin | None = None
    problem: str = ""


def examine(path: Path) -> Examined:
    """Never raises. Cut files are found without reading them; damage within them is not."""
    try:
        with path.open("rb") as file:
            if _is_cut_wav(file):
                return Examined(problem=f"{path}: is cut off: its header promises more samples")
            prints = _prints(file, path.name)
    except (OSError, sf.SoundFileError, ValueError, TypeError) as error:
        words = str(getattr(error, "error_string", "") or getattr(error, "strerror", "") or error)
        return Examined(problem=f"{path}: is not readable audio ({' '.join(words.split())})")
    if prints is None:
        return Examined(problem=f"{path}: is cut off or holds no audio samples")
    known = _known()
    return Examined(known.get(prints[0]) or known.get(prints[1]))


def collect(recordings: Iterable[tuple[str, str, Path]]) -> dict[str, dict[str, str]]:
    """What `asr_origin.json` holds, of (corpus, group, file): {corpus: {group: prints}}."""
    found: dict[str, dict[str, str]] = {}
    for corpus, group, path in recordings:
        with path.open("rb") as file:
            prints = _prints(file, path.name)
        if prints is not None:
            groups = found.setdefault(corpus, {})
            groups[group] = groups.get(group, "") + "".join(prints)
    return found


@cache
def _known() -> Mapping[str, Origin]:
    found: dict[str, Origin] = {}
    content = json.loads(FILE.read_text(encoding="utf-8"))
    for corpus, groups in content.items():
        for group, prints in groups.items():
            origin = Origin(corpus, group)
            for at in range(0, len(prints), _SOUND + _NAME):
                found[prints[at : at + _SOUND]] = origin
                found[prints[at + _SOUND : at + _SOUND + _NAME]] = origin
    return found


def _prints(file: BinaryIO, name: str) -> tuple[str, str] | None:
    """Of the sound and of the name with the length; None of what ends before its end."""
    with sf.SoundFile(file) as sound:
        frames, rate = sound.frames, sound.samplerate
        if not frames:
            return None
        if sound.format == "OGG":  # what it sounds like depends on the decoder, and takes long
            file.seek(0)
            first = file.read(_OGG_BYTES)
        else:
            samples = sound.read(rate // 4, dtype="int16", always_2d=True)[:, 0]
            sound.seek(frames - 1)
            if not len(samples) or not len(sound.read(1)):
                return None
            first = samples.tobytes()
    head = f"{rate} {frames} ".encode()
    told = f"{Path(name).stem} {frames * 100 // rate}".encode()
    return (
        blake2b(head + first, digest_size=_SOUND // 2).hexdigest(),
        blake2b(told, digest_size=_NAME // 2).hexdigest(),
    )


def _is_cut_wav(file: BinaryIO) -> bool:
    """Whether a WAV's samples end before its header says; libsndfile reads what is there."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    at = 12
    while head[:4] == b"RIFF" and head[8:] == b"WAVE" and at + 8 <= size:
        file.seek(at)
        chunk = file.read(8)
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            file.seek(0)
            return length not in {0, 0xFFFFFFFF} and at + 8 + length > size  # those: a stream
        at += 8 + length + length % 2
    file.seek(0)
    return False
