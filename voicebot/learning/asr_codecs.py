"""What telephone networks code speech with, there and back, at 8 kHz and without delay.

G.711 and GSM 06.10 come with libsndfile; AMR-NB and Opus need PyAV (extra `learn`). Their
delay is removed, so that a sample leaves where it entered.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from voicebot.audio.pcm import to_int16
from voicebot.audio.resample import resample
from voicebot.events import SAMPLE_RATE_HZ

Signal = NDArray[np.float32]
Codec = Callable[[Signal, np.random.Generator], Signal]

AMR_BIT_RATES = (4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200)
"""3GPP TS 26.071, the eight modes."""
OPUS_BIT_RATES = (8000, 10000, 12000, 16000, 24000)
_OPUS_HZ = 48000
_MOST_DELAY = 400
"""Samples in which a coder's delay is sought (50 ms; AMR-NB has 5 ms of look-ahead)."""


def mulaw(signal: Signal, _: np.random.Generator) -> Signal:
    """G.711 mu-law."""
    return _sndfile(signal, "ULAW")


def alaw(signal: Signal, _: np.random.Generator) -> Signal:
    """G.711 A-law."""
    return _sndfile(signal, "ALAW")


def gsm(signal: Signal, _: np.random.Generator) -> Signal:
    """GSM 06.10 full rate."""
    return _sndfile(signal, "GSM610")


def amr(signal: Signal, rng: np.random.Generator) -> Signal:
    """AMR narrow band at one of its eight bit rates."""
    return _av(signal, "libopencore_amrnb", SAMPLE_RATE_HZ, int(rng.choice(AMR_BIT_RATES)))


def opus(signal: Signal, rng: np.random.Generator) -> Signal:
    """Opus at bit rates at which it codes narrow to medium band."""
    return _av(signal, "libopus", _OPUS_HZ, int(rng.choice(OPUS_BIT_RATES)))


def available() -> dict[str, Codec]:
    """Name -> codec, those that this installation has."""
    codecs: dict[str, Codec] = {"mulaw": mulaw, "alaw": alaw, "gsm": gsm}
    if importlib.util.find_spec("av") is not None:
        codecs |= {
            name: codec
            for name, codec, coder in (("amr", amr, "libopencore_amrnb"), ("opus", opus, "libopus"))
            if _has(coder)
        }
    return codecs


@lru_cache
def _has(coder: str) -> bool:
    av: Any = importlib.import_module("av")
    try:
        av.codec.Codec(coder, "w")
    except Exception:  # whatever this build of PyAV raises, it has no such coder
        return False
    return True


def _sndfile(signal: Signal, subtype: str) -> Signal:
    if not len(signal):
        return signal
    # Blocks of 320 samples (GSM) must be whole.
    padded = np.concatenate([signal, np.zeros(-len(signal) % 320, np.float32)])
    file = io.BytesIO()
    clipped = np.clip(padded, -1, 1)
    soundfile.write(file, clipped, SAMPLE_RATE_HZ, format="WAV", subtype=subtype)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(decoded[: len(signal)], np.float32)


def _av(signal: Signal, coder: str, rate_hz: int, bit_rate: int) -> Signal:
    """Through an encoder and its decoder in memory; the delay is found by correlation."""
    if len(signal) < _MOST_DELAY:
        return signal
    av: Any = importlib.import_module("av")
    encoder: Any = av.codec.CodecContext.create(coder, "w")
    encoder.sample_rate, encoder.bit_rate = rate_hz, bit_rate
    encoder.layout, encoder.format = "mono", "s16"
    if coder == "libopus":
        encoder.options = {"application": "voip", "frame_duration": "20"}
    encoder.open()
    decoder: Any = av.codec.CodecContext.create("libopus" if coder == "libopus" else "amrnb", "r")
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    size = encoder.frame_size or rate_hz // 50
    samples = resample(np.pad(signal, (0, SAMPLE_RATE_HZ // 10)), SAMPLE_RATE_HZ, rate_hz)
    whole = np.pad(to_int16(samples), (0, -len(samples) % size))
    packets: list[Any] = []
    for at in range(0, len(whole), size):
        frame = av.AudioFrame.from_ndarray(whole[None, at : at + size], "s16", "mono")
        frame.sample_rate, frame.pts = rate_hz, at
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    decoded = np.concatenate([_floats(frame) for frame in frames])
    back = resample(decoded, rate_hz, SAMPLE_RATE_HZ)
    back = back[_delay(signal, back) :]
    return np.pad(back, (0, max(0, len(signal) - len(back))))[: len(signal)]


def _floats(frame: Any) -> Signal:
    samples = frame.to_ndarray().reshape(-1)
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    return np.asarray(samples / scale, np.float32)


def _delay(sent: Signal, received: Signal) -> int:
    """Samples by which `received` lags, 0.._MOST_DELAY, where the two agree best."""
    size = len(sent) + _MOST_DELAY
    spectrum = np.fft.rfft(received[:size], 2 * size) * np.conj(np.fft.rfft(sent, 2 * size))
    return int(np.fft.irfft(spectrum)[:_MOST_DELAY].argmax())
