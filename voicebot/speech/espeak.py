"""espeak-ng's C interface through ctypes, from the library that espeakng-loader carries.

The library holds its state in globals: there is one engine per process, used by one thread at
a time. Structures and constants are those of espeak-ng's `speak_lib.h` (1.52).
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
from ctypes import POINTER, c_char, c_char_p, c_int, c_short, c_uint, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from voicebot.errors import ModelUnavailable

_AUDIO_OUTPUT_SYNCHRONOUS = 2  # samples go to the callback, in the caller's own thread
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: report missing data instead of exit(1)
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE = 1  # espeak_PARAMETER
_LIST_TERMINATED, _WORD, _END = 0, 1, 5  # espeak_EVENT_TYPE
_LONGEST_DATA_PATH = 120  # the library's path buffer holds 160 characters, file names included


class _EventId(ctypes.Union):
    _fields_ = (("number", c_int), ("name", c_char_p), ("string", c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Synthesis(NamedTuple):
    """What espeak made of a text.

    `samples`: int16 at the engine's rate. `starts`: (character offset from 0, sample) of each
    spoken word in the order spoken; one written word may start several ("42").
    `clause_ends`: samples, ascending, where a clause and the pause after it are over.
    """

    samples: NDArray[np.int16]
    starts: tuple[tuple[int, int], ...]
    clause_ends: tuple[int, ...]


class Engine:
    """The process's espeak-ng; get it with `engine()`. Thread-safe."""

    def __init__(self) -> None:
        """Load library and data; ModelUnavailable when they are not there."""
        self._lock = threading.Lock()
        self._samples: list[NDArray[np.int16]] = []
        self._starts: list[tuple[int, int]] = []
        self._clause_ends: list[int] = []
        hint = "reinstall it: pip install --force-reinstall espeakng-loader"
        try:
            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            self._data = Path(espeakng_loader.get_data_path())
        except (OSError, RuntimeError) as error:
            raise ModelUnavailable(
                f"espeak-ng library cannot be loaded ({error}); {hint}"
            ) from None
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, str(_short(self._data)).encode(), _DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise ModelUnavailable(f"espeak-ng data in {self._data} cannot be read; {hint}")
        self._library.espeak_Info.restype = c_char_p
        self.version: str = self._library.espeak_Info(None).decode()
        self._callback = _Callback(self._collect)  # kept alive as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)

    def check(self, voice: str) -> None:
        """ModelUnavailable unless `voice` ("en-us", "en-us+f3") is one the data holds."""
        base, plus, variant = voice.partition("+")
        folder = self._data / "voices" / "!v"
        if plus and not (variant and "/" not in variant and (folder / variant).is_file()):
            # The library itself takes any variant and silently speaks without it.
            known = ", ".join(sorted(path.name for path in folder.iterdir()))
            raise ModelUnavailable(f"espeak voice {voice!r}: no variant {variant!r}; have {known}")
        with self._lock:
            if not base or self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ModelUnavailable(
                    f"espeak voice {voice!r} does not exist; use a language such as en-us or "
                    "en-gb-x-rp, with a variant if you like: en-us+f3"
                )

    def synthesise(self, text: str, voice: str, words_per_minute: int) -> Synthesis:
        """Speak `text` (plain, no markup) with a voice that passed `check`."""
        data = text.encode("utf-8", "replace").replace(b"\0", b" ")
        with self._lock:
            self._samples, self._starts, self._clause_ends = [], [], []
            self._library.espeak_SetVoiceByName(voice.encode())
            self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
            )
            if status != 0:
                raise ModelUnavailable(f"espeak-ng could not speak (status {status})")
            samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
            return Synthesis(samples, tuple(self._starts), tuple(self._clause_ends))

    def _collect(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != _LIST_TERMINATED:
            event = events[index]
            if event.type == _WORD:
                self._starts.append((event.text_position - 1, event.sample))
            elif event.type == _END:
                self._clause_ends.append(event.sample)
            index += 1
        return 0


_engine: Engine | None = None
_engine_lock = threading.Lock()


def engine() -> Engine:
    """The one engine of this process; ModelUnavailable when it cannot be had."""
    global _engine
    with _engine_lock:
        if _engine is None:
            _engine = Engine()
        return _engine


def _short(data: Path) -> Path:
    """A path to the data that fits the library's buffer: a link where the real one is long."""
    if len(str(data)) <= _LONGEST_DATA_PATH:
        return data
    link = Path(tempfile.mkdtemp(prefix="espeak-")) / "espeak-ng-data"
    link.symlink_to(data, target_is_directory=True)
    return link
