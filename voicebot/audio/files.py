"""Audio files in, samples out; every unreadable file is one line for the person who named it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf

from voicebot.audio import mulaw
from voicebot.audio.pcm import to_int16
from voicebot.audio.resample import resample
from voicebot.errors import AudioFileError
from voicebot.events import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = "WAV, FLAC, Ogg (Opus, Vorbis) or MP3"


def read_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Mono samples (float32[n], full scale +-1, channels averaged) and their rate in Hz.

    Raises AudioFileError when the file is missing, a folder, empty, cut off or not audio.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder; name a file in it ({FORMATS})")
    if not path.exists():
        raise AudioFileError(f"{path}: no such file; check the path")
    try:
        # Opened here, not by libsndfile: it would read a ".raw" file as headerless audio
        # and hides the system's reason when a file cannot be opened.
        with path.open("rb") as file:
            samples, rate = sf.read(file, dtype="float32", always_2d=True)
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (sf.SoundFileError, ValueError, TypeError) as error:
        # libsndfile's own words, without the repr of the Python file that it was given.
        words = getattr(error, "error_string", str(error)).rstrip(".")
        reason = "is empty" if path.stat().st_size == 0 else f"is not readable audio ({words})"
        reason = " ".join(reason.split())
        raise AudioFileError(f"{path}: {reason}; give {FORMATS}") from None
    if len(samples) == 0:
        raise AudioFileError(f"{path}: holds no audio samples; record it again")
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if not np.isfinite(mono).all():
        raise AudioFileError(f"{path}: holds samples that are not numbers; export it again")
    return np.ascontiguousarray(mono, dtype=np.float32), int(rate)


def read_mulaw(path: str | Path) -> bytes:
    """The file as the telephone carries it: 8 kHz mu-law bytes. Raises AudioFileError."""
    samples, rate = read_audio(path)
    return mulaw.encode(to_int16(resample(samples, rate, SAMPLE_RATE_HZ)))
