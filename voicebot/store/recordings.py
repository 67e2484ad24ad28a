"""Stereo recordings: left the caller, right what the caller heard; playable at any moment."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import structlog

from voicebot.audio import mulaw as g711
from voicebot.errors import SettingsError
from voicebot.events import SAMPLE_RATE_HZ
from voicebot.store.private import private_file

log = structlog.get_logger(__name__)

Side = Literal["caller", "bot"]
_CHANNEL: dict[Side, int] = {"caller": 0, "bot": 1}
_HEADER_BYTES = 44
_FRAME_BYTES = 4
_BUFFERED_SAMPLES = SAMPLE_RATE_HZ  # a crash costs at most this much of each side


class StereoRecording:
    """A 16-bit 8 kHz WAV written as the call goes on; call from one thread.

    Each side is written at its own pace, at any position; where nothing is written there is
    silence. SettingsError where the file cannot be created; a disk that fails later ends the
    recording (`has_failed`), never the call. Audio beyond `max_s` is left out.
    """

    def __init__(self, path: Path, *, max_s: float = 4 * 3600) -> None:
        self.path = path
        self.has_failed = False
        self._max_samples = int(max_s * SAMPLE_RATE_HZ)
        self._length = 0  # frames in the file
        self._pending: dict[Side, tuple[int, bytearray]] = {}
        try:
            self._file = private_file(path).open("w+b", buffering=0)
            self._file.write(_header(0))
        except OSError as error:
            raise SettingsError(
                f"recording {path}: {error.strerror}; name a writable folder in "
                "VOICEBOT_STORE__RECORDINGS_DIR"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, side: Side, at_sample: int, mulaw: bytes) -> None:
        """`mulaw` (8 kHz) begins at `at_sample` of the call; what was there is replaced."""
        if self.has_failed or self._file.closed:
            return
        if at_sample < 0:
            mulaw, at_sample = mulaw[-at_sample:], 0
        mulaw = mulaw[: max(self._max_samples - at_sample, 0)]
        if not mulaw:
            return
        begin, waiting = self._pending.get(side, (at_sample, bytearray()))
        if begin + len(waiting) != at_sample:
            self._flush(side)
            begin, waiting = at_sample, bytearray()
        waiting += mulaw
        self._pending[side] = (begin, waiting)
        if len(waiting) >= _BUFFERED_SAMPLES:
            self._flush(side)

    def close(self) -> None:
        """Write what waits; both sides are as long as the longer one."""
        for side in _CHANNEL:
            self._flush(side)
        self._file.close()

    def _flush(self, side: Side) -> None:
        begin, waiting = self._pending.pop(side, (0, bytearray()))
        if not waiting or self.has_failed:
            return
        try:
            self._merge(_CHANNEL[side], begin, bytes(waiting))
        except OSError as error:
            self.has_failed = True
            log.error("recording failed", problem=error.strerror)

    def _merge(self, channel: int, begin: int, mulaw: bytes) -> None:
        """Put one channel into the interleaved file, keeping the other."""
        offset = _HEADER_BYTES + begin * _FRAME_BYTES
        self._file.seek(offset)
        stored = self._file.read(len(mulaw) * _FRAME_BYTES)
        frames = np.zeros((len(mulaw), 2), "<i2")
        there = np.frombuffer(stored[: len(stored) // _FRAME_BYTES * _FRAME_BYTES], "<i2")
        frames.reshape(-1)[: len(there)] = there
        frames[:, channel] = g711.decode(mulaw)
        self._file.seek(offset)
        self._file.write(frames.tobytes())
        self._length = max(self._length, begin + len(mulaw))
        self._file.seek(0)
        self._file.write(_header(self._length))


def _header(frames: int) -> bytes:
    """RIFF/WAVE, PCM, two channels of 16 bits (Microsoft's Multimedia Programming Interface)."""
    data_bytes = frames * _FRAME_BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + data_bytes, b"WAVE"),
        *(b"fmt ", 16, 1, 2, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * _FRAME_BYTES, _FRAME_BYTES, 16),
        *(b"data", data_bytes),
    )
